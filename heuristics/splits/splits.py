"""One rule that chooses a node's split among axes, weight-row hyperplanes and ReLU phases.

All three are scored in the margin's own units, by how much the lower bound of the margin is expected to rise:
smear for axes, the optimal-partition score for rows and, with total multipliers, for phases. With few open inputs the
input set is split (rows where they beat the axes); with many, phases are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...instances.batch import Batch
from ...instances.network import Array
from ...instances.query import Query
from ...instances.rounding import gamma
from ..attacks.attacks import suspects
from .axes import longest_edge_scores, smear_scores
from .hyperplanes import composed_rows, first_layers, gain_scores, optimal_partition_scores
from .relus import phase_scores
from .rules import PHASE_RULES, RULES

if TYPE_CHECKING:
    from ...encodings.linear.bounds import Bounds, MeanFunctions

__all__ = ["Splits", "choose_splits", "focus_rows", "halved_duty"]

PARALLEL = 1.0 - 1e-9  # cosine from which two hyperplanes count as one
LEAST_SIDE = 0.02  # share of a hyperplane's range over the box below which it cuts nothing off worth a child
VANISHING = 1e-12  # scores below this share of the largest margin magnitude say nothing
TIES = 1e-9  # share of the best score within which scores count as equal: far above roundings, far below a difference


@dataclass(eq=False)
class Splits:
    """One split a node: an axis, a ReLU's phase, a hyperplane, or its duty; none of them where nothing can be split.

    A phase of a deeper layer may come with a hyperplane: its pre-activation z is within `slack` of g'x + h, so that the
    inputs of z >= 0 lie in one half-space and those of z <= 0 in the other; the two overlap.
    """

    axis: Array  # [B] int, input whose interval is halved at `at`; -1 for none
    at: Array  # [B]
    neuron: Array  # [B] int, flat index of the ReLU whose phase is split; -1 for none
    row: Array  # [B, inputs + 1] hyperplane g'x + h = 0 that cuts the input set; all zero for none
    slack: Array  # [B] how far either child reaches across the hyperplane: g'x + h >= -slack, or <= slack
    disjunct: Array  # [B] int, the last that is the upper child's to refute, the others are the lower's; -1 for none

    @staticmethod
    def none(count: int, inputs: int) -> Splits:
        """No split chosen yet."""
        nothing = np.full(count, -1)
        row = np.zeros((count, inputs + 1))
        return Splits(nothing, np.zeros(count), nothing.copy(), row, np.zeros(count), nothing.copy())

    def __getitem__(self, index: Array) -> Splits:
        """Rows `index` (bool mask or int array)."""
        return Splits(*(getattr(self, name)[index] for name in Splits.__dataclass_fields__))

    def __setitem__(self, index: Array, other: Splits) -> None:
        """Replace rows `index` (bool mask or int array)."""
        for name in Splits.__dataclass_fields__:
            getattr(self, name)[index] = getattr(other, name)

    @staticmethod
    def concatenate(parts: list[Splits]) -> Splits:
        """Rows one after another."""
        return Splits(*(np.concatenate([getattr(p, name) for p in parts]) for name in Splits.__dataclass_fields__))

    @property
    def missing(self) -> Array:
        """[B] bool: nodes without a split."""
        return (self.axis < 0) & (self.neuron < 0) & (self.disjunct < 0) & ~np.any(self.row != 0.0, axis=1)


def focus_rows(query: Query, bounds: Bounds) -> Array:
    """[B, rows] bool: all rows of the disjuncts that are still open; these are the bounds to raise.

    All rows, not only the one nearest to closing: on ACAS Xu property 3, where different rows refute different parts,
    following the best row alone stalls.
    """
    focus = np.zeros(bounds.margins.shape, dtype=bool)
    still_open = ~(query.per_disjunct(bounds.margins) > 0.0)
    for k in range(query.disjuncts):
        focus[:, query.starts[k] : query.starts[k + 1]] = still_open[:, [k]]
    return focus


@np.errstate(over="ignore", invalid="ignore")  # a score that is not finite is no reason to split
def choose_splits(
    query: Query, batch: Batch, bounds: Bounds, rule: str = "inputs", scores: Array | None = None
) -> Splits:
    """Splits for every node of the batch.

    rule: "inputs" (axes, first-layer rows and, where `bounds.means` are given, rows of deeper layers: the best
    score), "axes" (smear), "longest-edge", "rows-1" (first-layer rows; axes once all are stable), "rows" (rows of all
    layers; axes once none gains), "rows-composed" (the same neurons, deeper ones cut along the function that they are
    around the point where a counterexample is most suspected), "phases" or another of `rules.PHASE_RULES` (axes once
    no ReLU is unstable). scores: [B, neurons] of unstable ReLUs, in place of a phase rule's own.
    Raises ValueError for another rule.
    """
    if rule not in RULES:
        raise ValueError(f"split rule {rule!r}: expected one of {', '.join(RULES)}")
    focus = focus_rows(query, bounds)
    splits = Splits.none(len(batch), query.network.input_size)
    axis, axis_score = _best_axis(query, batch, bounds, focus, rule)
    neuron, neuron_score = _best_neuron(query, bounds, focus, rule, scores)
    usable = neuron_score > 0.0
    use_neuron = usable & ((neuron_score > axis_score) | (axis < 0) if rule == "inputs" else True)
    as_phase = use_neuron.copy()
    if query.neurons and rule not in PHASE_RULES:
        as_phase &= first_layers(query)[neuron]
    splits.neuron[as_phase] = neuron[as_phase]
    if rule in PHASE_RULES and bounds.means is not None:
        _add_half_spaces(query, batch, bounds.means, splits)
    as_row = np.flatnonzero(use_neuron & ~as_phase)
    if len(as_row) and bounds.means is not None:
        rows = bounds.means.functions[as_row, neuron[as_row]]
        if rule == "rows-composed":
            rows = composed_rows(query, neuron[as_row], suspects(query, batch, bounds)[as_row])
        again = already_cut(batch.cuts[as_row], rows) | ~_divides(batch.lower[as_row], batch.upper[as_row], rows)
        again |= ~np.isfinite(rows).all(axis=1)
        splits.row[as_row[~again]] = rows[~again]
        use_neuron[as_row[again]] = False
    splits.axis[~use_neuron] = axis[~use_neuron]
    index = np.flatnonzero(~use_neuron & (axis >= 0))
    splits.at[index] = 0.5 * batch.lower[index, axis[index]] + 0.5 * batch.upper[index, axis[index]]
    return splits


def halved_duty(duty: Array, inputs: int) -> Splits:
    """Splits by which each child has half of its parent's disjuncts to refute. duty: [B, disjuncts] bool, 2 or more."""
    splits, rank = Splits.none(len(duty), inputs), np.cumsum(duty, axis=1)
    splits.disjunct[:] = (rank >= (rank[:, -1:] + 1) // 2).argmax(axis=1)
    return splits


def _add_half_spaces(query: Query, batch: Batch, means: MeanFunctions, splits: Splits) -> None:
    """The half-spaces that hold the inputs of each phase of a deeper layer, where the neuron's mean is known."""
    spread = means.spreads[np.arange(len(batch)), splits.neuron]
    deep = np.flatnonzero((splits.neuron >= 0) & ~first_layers(query)[splits.neuron] & np.isfinite(spread))
    deep = deep[np.isfinite(means.functions[deep, splits.neuron[deep]]).all(axis=1)]
    row, spread = means.functions[deep, splits.neuron[deep]], spread[deep]
    reach = np.maximum(np.abs(batch.lower[deep]), np.abs(batch.upper[deep]))
    splits.row[deep] = row
    # the mean and the spread are rounded sums of a few terms of this size
    size = spread + (np.abs(row[:, :-1]) * reach).sum(axis=1) + np.abs(row[:, -1])
    splits.slack[deep] = spread + 16.0 * gamma(query.network.input_size) * size


def already_cut(cuts: Array, rows: Array) -> Array:
    """[B] bool: the node was cut along (nearly) this hyperplane before; again would change nothing.

    cuts: [B, K, inputs + 1]; rows: [B, inputs + 1].
    """
    lengths = np.linalg.norm(cuts, axis=2) * np.linalg.norm(rows, axis=1)[:, None]
    cosines = np.abs(np.matmul(cuts, rows[:, :, None])[:, :, 0]) / np.where(lengths > 0.0, lengths, 1.0)
    return np.asarray((cosines > PARALLEL).any(axis=1))


def _divides(lower: Array, upper: Array, rows: Array) -> Array:
    """[B] bool: either side of g'x + h = 0 has at least LEAST_SIDE of the function's range over the box."""
    middle = (rows[:, :-1] * (0.5 * lower + 0.5 * upper)).sum(axis=1) + rows[:, -1]
    radius = (np.abs(rows[:, :-1]) * (0.5 * upper - 0.5 * lower)).sum(axis=1)
    return np.asarray(radius - np.abs(middle) > 2.0 * LEAST_SIDE * radius)


def _best_axis(query: Query, batch: Batch, bounds: Bounds, focus: Array, rule: str) -> tuple[Array, Array]:
    """(input, score) of the best axis per node; -1 where every interval is a single float."""
    edges = longest_edge_scores(batch.lower, batch.upper, query.region.upper - query.region.lower)
    if rule == "longest-edge":
        scores = edges
    elif bounds.functions is None:
        scores = edges * VANISHING
    else:
        coefficients = np.abs(bounds.coefficients)
        scores = np.einsum(
            "brn,br->bn", smear_scores(coefficients, batch.lower[:, None], batch.upper[:, None]), focus.astype(float)
        )  # fmt: skip
        blind = scores.max(axis=1) <= VANISHING * np.abs(bounds.margins).max(axis=1)
        # a bound that does not see the input: fall back on the longest edge, whose score cannot vanish
        scores = np.where(blind[:, None], edges * VANISHING, scores)
    middle = 0.5 * batch.lower + 0.5 * batch.upper
    divisible = (middle > batch.lower) & (middle < batch.upper)
    scores = np.where(divisible, np.fmax(scores, 0.0), -1.0)
    # a box that one half-space has clipped on several sides has as much of it left on each: no rounding shall choose
    best = (scores >= (1.0 - TIES) * scores.max(axis=1, keepdims=True)).argmax(axis=1)
    value = scores[np.arange(len(batch)), best]
    return np.where(value < 0.0, -1, best), value


def _best_neuron(
    query: Query, bounds: Bounds, focus: Array, rule: str, scores: Array | None
) -> tuple[Array, Array]:
    """(neuron, score) of the best unstable ReLU that the rule may split; score 0 where there is none."""
    count = len(bounds.margins)
    if rule in ("axes", "longest-edge") or not query.neurons:
        return np.full(count, -1), np.zeros(count)
    if rule in PHASE_RULES:
        scores = phase_scores(query, bounds, focus, rule) if scores is None else scores
    else:
        lower, upper = bounds.pre_lower, bounds.pre_upper
        multipliers = np.einsum("brn,br->bn", bounds.multipliers, focus.astype(float))
        scores = optimal_partition_scores(multipliers, lower, upper) * first_layers(query)
        if bounds.means is not None and rule != "rows-1":
            gains = gain_scores(multipliers, lower, upper, bounds.means.spreads)
            scores = np.where(first_layers(query), scores, gains * query.relu)
    best = scores.argmax(axis=1)
    return best, scores[np.arange(count), best]
