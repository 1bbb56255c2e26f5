"""Scores for splitting the phase of an unstable ReLU.

* "phases": the optimal-partition score (`hyperplanes`) with the *total multiplier* (`encodings.bounds.Bounds.totals`),
  which counts the ways through the bounds of later neurons, too. Where all neurons read the input alone there are no
  such ways, and it is the neuron's own multiplier; in other networks without totals BaBSR.
* "phases-direct": the same with the neuron's own multiplier in the margin's bound only.
* "phases-babsr": BaBSR (Bunel et al. 2020), how much the margin's bound would gain to first order if the neuron were
  fixed,
      |max(0, lam b) - u/(u-l) lam b + u l/(u-l) max(0, lam)|,
  with lam the (negated) coefficient of the activation in the bound and b the layer's bias. Its last term is the
  optimal-partition score.

`bab.steps.phase_branching` has the rules that need more than a node's own bounds. Where a score is tiny everywhere the
widest neuron is taken: an unstable neuron never scores zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...instances.network import Array
from ...instances.query import Query
from .hyperplanes import first_layers, optimal_partition_scores

if TYPE_CHECKING:
    from ...encodings.linear.bounds import Bounds

__all__ = ["babsr_scores", "phase_scores", "with_widths"]

WIDTH_SHARE = 1e-9  # of a neuron's width in its score


def phase_scores(query: Query, bounds: Bounds, focus: Array, rule: str = "phases") -> Array:
    """[B, neurons] scores of unstable ReLUs, 0 elsewhere. focus: [B, rows] bool, the margins to raise."""
    lower, upper, wanted = bounds.pre_lower, bounds.pre_upper, focus.astype(float)
    totals = bounds.totals if rule not in ("phases-direct", "phases-babsr") else None
    own = rule == "phases-direct" or (rule != "phases-babsr" and bool(first_layers(query)[query.relu].all()))
    if own or totals is not None:
        multipliers = np.einsum("brn,br->bn", bounds.multipliers if totals is None else totals, wanted)
        return with_widths(query, optimal_partition_scores(multipliers, lower, upper), lower, upper)
    scores = sum(
        babsr_scores(query, bounds.sensitivities[:, r], lower, upper) * wanted[:, r, None] for r in range(query.rows)
    )
    return np.asarray(scores)


def with_widths(query: Query, scores: Array, lower: Array, upper: Array) -> Array:
    """The scores of unstable ReLUs and a little of their widths, 0 elsewhere; all [B, neurons]."""
    unstable = (lower < 0.0) & (upper > 0.0) & query.relu
    return np.where(unstable, scores + WIDTH_SHARE * np.minimum(-lower, upper), 0.0)


def babsr_scores(query: Query, sensitivities: Array, lower: Array, upper: Array) -> Array:
    """BaBSR score of every unstable ReLU, 0 elsewhere.

    sensitivities: [B, neurons] coefficient of each activation in the bound to improve; lower, upper: [B, neurons]
    pre-activation bounds. Returns [B, neurons].
    """
    unstable = (lower < 0.0) & (upper > 0.0) & query.relu
    low, high = np.where(unstable, lower, -1.0), np.where(unstable, upper, 1.0)
    lam = -sensitivities
    bias = np.concatenate([layer.bias for layer in query.network.layers[:-1]])
    slope = high / (high - low)
    score = np.maximum(0.0, lam * bias) - slope * lam * bias + slope * low * np.maximum(0.0, lam)
    return with_widths(query, np.abs(score), lower, upper)
