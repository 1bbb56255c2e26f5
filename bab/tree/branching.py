"""Children of a batch: every split is a pair of complementary closed half-spaces or phases, so nothing gets lost."""

from __future__ import annotations

import numpy as np

from ...heuristics.splits.hyperplanes import first_layer_row, first_layers
from ...heuristics.splits.splits import Splits
from ...instances.batch import Batch
from ...instances.network import Array
from ...instances.query import Query
from ...instances.rounding import FEW_ROUNDINGS

__all__ = ["MOST_CUTS", "children"]

MOST_CUTS = 12  # half-spaces a node carries; older ones are dropped, which only enlarges the region that is bounded


def children(query: Query, batch: Batch, splits: Splits, half_spaces: bool = True) -> Batch:
    """Both children of every node that has a split (see `Splits`), upper or active ones first.

    An axis split halves the box at `at`. A neuron's split demands z >= 0 or z <= 0; if z is affine in the input the
    child carries the half-space too, moved out by the rounding of the row, else the one that comes with the split; not
    so without `half_spaces`: multipliers of the phases do as much where there are many inputs, and cost less.
    """
    batch, splits = batch[~splits.missing], splits[~splits.missing]
    both, twice = Batch.concatenate([batch, batch]), Splits.concatenate([splits, splits])
    side = np.repeat([1.0, -1.0], len(batch))
    both.depth = both.depth + 1
    both.changed = np.ones(len(both), dtype=np.int64)
    both.last = np.where(twice.neuron >= 0, side * (1 + twice.neuron), 0.0).astype(np.int64)
    _split_axes(both, twice, side)
    _split_duty(both, twice.disjunct, side)
    rows = side[:, None] * twice.row
    rows[:, -1] += twice.slack
    _split_neurons(query, both, twice.neuron, side, rows)
    if half_spaces and rows.any():
        both.cuts = _append_cut(both.cuts, rows, query.reserved)
    return both


def _split_axes(both: Batch, splits: Splits, side: Array) -> None:
    up, down = np.flatnonzero((splits.axis >= 0) & (side > 0)), np.flatnonzero((splits.axis >= 0) & (side < 0))
    both.lower[up, splits.axis[up]] = splits.at[up]
    both.upper[down, splits.axis[down]] = splits.at[down]


def _split_duty(both: Batch, disjunct: Array, side: Array) -> None:
    index = np.flatnonzero(disjunct >= 0)
    first = np.arange(both.duty.shape[1])[None, :] <= disjunct[index, None]
    both.duty[index] &= np.where(side[index, None] > 0, first, ~first)


def _split_neurons(query: Query, both: Batch, neuron: Array, side: Array, rows: Array) -> None:
    """Tighten the pre-activation bounds; `rows` receives the half-spaces of first-layer neurons."""
    index = np.flatnonzero(neuron >= 0)
    if not len(index):
        return
    up, down = index[side[index] > 0], index[side[index] < 0]
    both.pre_lower[up, neuron[up]] = np.maximum(both.pre_lower[up, neuron[up]], 0.0)
    both.pre_upper[down, neuron[down]] = np.minimum(both.pre_upper[down, neuron[down]], 0.0)
    both.phases[index, neuron[index]] = side[index]
    ends = np.array([part.stop for part in query.slices])
    affine = first_layers(query)[neuron[index]]
    layer = 1 + np.searchsorted(ends, neuron[index], side="right")
    both.changed[index] = np.where(affine | rows[index].any(axis=1), 1, 1 + layer)
    for b in index[affine]:
        row, slack = first_layer_row(query, int(neuron[b]))
        rows[b] = side[b] * row
        rows[b, -1] += slack + FEW_ROUNDINGS * abs(row[-1])


def _append_cut(cuts: Array, rows: Array, permanent: int) -> Array:
    """Cuts [B, K, n + 1] with one more row each; the property's own half-spaces (the first `permanent`) always stay."""
    kept, moving = cuts[:, :permanent], np.concatenate([cuts[:, permanent:], rows[:, None]], axis=1)
    used = np.any(moving != 0.0, axis=2)
    order = np.argsort(used, axis=1, kind="stable")  # empty slots first, the others oldest first
    moving = np.take_along_axis(moving, order[:, :, None], axis=1)
    return np.concatenate([kept, moving[:, -min(MOST_CUTS, int(used.sum(axis=1).max())) :]], axis=1)
