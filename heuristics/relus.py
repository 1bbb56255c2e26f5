"""Scores for splitting the phase of an unstable ReLU.

BaBSR (Bunel et al. 2020): how much the margin's bound would gain to first order if the neuron were fixed,
    |max(0, lam b) - u/(u-l) lam b + u l/(u-l) max(0, lam)|,
with lam the (negated) coefficient of the activation in the bound and b the layer's bias. Where it is tiny everywhere
the optimal-partition score (its intercept term) decides, and after that the widest neuron.
"""

from __future__ import annotations

import numpy as np

from ..instances.network import Array
from ..instances.query import Query

__all__ = ["babsr_scores"]


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
    # a wide neuron that the bound does not use yet still gets a little, so that an unstable neuron never scores zero
    return np.where(unstable, np.abs(score) + 1e-9 * np.minimum(high, -low), 0.0)
