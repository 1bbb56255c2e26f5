"""Rows of several neurons that nodes hand down to those below them.

A row that holds on a node's region holds on every part of it. So rows are kept with their region, and a node takes
those of the regions that it lies in: smaller boxes, more half-spaces, more phases, and no more to refute (where one
disjunct is asked about, a region is cut by that disjunct's margins, too). Nothing of the node's ancestry has to be
remembered, as long as the node tells all of its splits: bounds rest on half-spaces that a node has dropped, and nobody
sees any more which nodes lie behind these. So nodes that may have dropped some hand nothing down. Rows that bound
nothing for some nodes in a row are dropped; so are the oldest, where there are too many.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np

from ...encodings.slopes.group_rows import GroupRows
from ...heuristics.efforts import KeptRowsEffort
from ...instances.batch import Batch
from ...instances.network import Array
from ...instances.query import Query
from ..tree.branching import MOST_CUTS

__all__ = ["KeptRows"]


@dataclass(eq=False)
class _Region:
    """Where rows hold, and how long they have been of no use."""

    rows: GroupRows
    lower: Array  # [inputs]
    upper: Array  # [inputs]
    cuts: frozenset[bytes]  # half-spaces that splits have added
    phases: Array  # [neurons] int8
    duty: Array  # [disjuncts] bool
    depth: int
    idle: int = 0  # nodes in a row that took them, and for which none was binding


class KeptRows:
    """The rows of one query's nodes. Threads share it."""

    def __init__(
        self, query: Query, root: GroupRows | None = None, effort: KeptRowsEffort | None = None, bare: bool = False
    ) -> None:
        """root: rows that hold on all nodes; bare: some nodes may be without their half-spaces (`Tree.rename`)."""
        self.query, self.effort, self.bare = query, effort or KeptRowsEffort(), bare
        self.lock = threading.Lock()
        self.regions: list[_Region] = []
        if root is not None and len(root):
            n = query.network.input_size
            self.regions.append(_Region(
                root, np.full(n, -np.inf), np.full(n, np.inf), frozenset(),
                np.zeros(query.neurons, dtype=np.int8), np.ones(query.disjuncts, dtype=bool), 0,
            ))  # fmt: skip

    def holding(self, batch: Batch, b: int) -> GroupRows:
        """The rows that hold on node b, those of the smallest regions first."""
        with self.lock:
            cuts = self._cuts(batch, b)
            there = [region for region in self.regions if _inside(batch, b, cuts, region)]
        parts, count = [GroupRows.none()], 0
        for region in sorted(there, key=lambda region: -region.depth):
            if count >= self.effort.rows:
                break
            parts.append(region.rows)
            count += len(region.rows)
        return GroupRows.concatenate(parts)

    def keep(self, batch: Batch, b: int, binding: GroupRows) -> None:
        """Rows that hold on node b, and are binding there; what else was taken has been of no use."""
        useful = set(_names(binding))
        with self.lock:
            cuts = self._cuts(batch, b)
            for region in self.regions:
                if _inside(batch, b, cuts, region):
                    region.idle = 0 if useful.intersection(_names(region.rows)) else region.idle + 1
            if len(binding) and self._tells_its_splits(batch, b):
                self.regions.append(_Region(
                    binding, batch.lower[b].copy(), batch.upper[b].copy(), cuts, batch.phases[b].copy(),
                    batch.duty[b].copy(), int(batch.depth[b]),
                ))  # fmt: skip
            self.regions = [r for r in self.regions if r.idle <= self.effort.idle][-self.effort.regions :]

    def _tells_its_splits(self, batch: Batch, b: int) -> bool:
        """Whether all splits above node b show in its box, half-spaces and phases.

        Either each has left a phase, or there were no more than a node has room for half-spaces.
        """
        depth = int(batch.depth[b])
        return depth == np.count_nonzero(batch.phases[b]) or (depth <= MOST_CUTS and not self.bare)

    def _cuts(self, batch: Batch, b: int) -> frozenset[bytes]:
        added = batch.cuts[b, self.query.reserved :]
        return frozenset(cut.tobytes() for cut in added[np.any(added != 0.0, axis=1)])


def _inside(batch: Batch, b: int, cuts: frozenset[bytes], region: _Region) -> bool:
    """Whether node b lies in a region and has no more to refute."""
    fixed = region.phases != 0
    return bool(
        (batch.lower[b] >= region.lower).all() and (batch.upper[b] <= region.upper).all()
        and region.cuts <= cuts and (batch.phases[b][fixed] == region.phases[fixed]).all()
        and not (batch.duty[b] & ~region.duty).any()
    )  # fmt: skip


def _names(rows: GroupRows) -> list[bytes]:
    """What tells rows apart: their coefficients, whatever zeros they are padded with."""
    names = []
    for r in range(len(rows)):
        used = (rows.z[r] != 0.0) | (rows.y[r] != 0.0)
        parts = rows.neurons[r][used], rows.z[r][used], rows.y[r][used], rows.constants[r : r + 1]
        names.append(b"".join(part.tobytes() for part in parts))
    return names
