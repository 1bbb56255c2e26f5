"""Batches of nodes: struct of arrays, one row a node.

A node is a region of inputs: box, half-spaces (cuts) and ReLU phases. A phase is nothing but a tightened
pre-activation bound (z >= 0 or z <= 0), so the inherited bounds carry it. A node's bounds hold on its region.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from .multipliers import Multipliers
from .network import Array
from .query import Query

__all__ = ["Batch", "Node", "root"]


@dataclass(eq=False)
class Batch:
    """B nodes of one query. `cuts[b, i] = (g, h)` is the half-space g'x + h >= 0; an all-zero row is no cut.

    The first Query.reserved slots are the property's own half-spaces and the margins' bounds, the others are splits.
    """

    lower: Array  # [B, inputs] box
    upper: Array  # [B, inputs]
    cuts: Array  # [B, cuts, inputs + 1]
    pre_lower: Array  # [B, neurons] pre-activation bounds proved so far on the region, phases included
    pre_upper: Array  # [B, neurons]
    phases: Array  # [B, neurons] int8: +1 / -1 where a split demanded z >= 0 / z <= 0, 0 elsewhere
    margin: Array  # [B] lower bound of the worst margin (Query.worst) proved so far
    depth: Array  # [B] int, number of splits above the node
    changed: Array  # [B] int, first layer whose bounds the last split can move; those before keep the inherited ones
    number: Array  # [B] int, the node's number in its tree
    multipliers: Multipliers | None  # float16, from the parent's phase bounds; None as long as no node has any
    duty: Array  # [B, disjuncts] bool: what the node has to refute; the others are refuted already, or by another node
    last: Array  # [B] int: 1 + the neuron whose phase the last split fixed, negative for inactive; 0 for another split
    origin: Array  # [B] int: which input set of the property the node is of; 0 where there is one

    def __len__(self) -> int:
        return len(self.lower)

    def __getitem__(self, index: Array | slice) -> Batch:
        """Rows `index` (slice, bool mask or int array) as a batch."""
        columns: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        rows: dict[str, Any] = {name: None if column is None else column[index] for name, column in columns.items()}
        return Batch(**rows)

    def node(self, b: int) -> Node:
        """Row b by itself, cuts that are all zero left out."""
        cuts = self.cuts[b]
        return Node(
            self.lower[b], self.upper[b], cuts[np.any(cuts != 0.0, axis=1)],
            self.pre_lower[b], self.pre_upper[b], self.phases[b], float(self.margin[b]), int(self.depth[b]),
            self.duty[b],
        )  # fmt: skip

    @staticmethod
    def concatenate(batches: list[Batch]) -> Batch:
        """All rows one after another; cuts are padded with zero rows to the longest list."""
        most = max(b.cuts.shape[1] for b in batches)
        padded = [np.pad(b.cuts, ((0, 0), (0, most - b.cuts.shape[1]), (0, 0))) for b in batches]
        names = [f.name for f in fields(Batch) if f.name not in ("cuts", "multipliers")]
        parts = {name: np.concatenate([getattr(b, name) for b in batches]) for name in names}
        multipliers = Multipliers.concatenate([(b.multipliers, len(b)) for b in batches])
        return Batch(cuts=np.concatenate(padded), multipliers=multipliers, **parts)


@dataclass(frozen=True, eq=False)
class Node:
    """One row of a batch: see Batch for the fields."""

    lower: Array  # [inputs]
    upper: Array  # [inputs]
    cuts: Array  # [cuts, inputs + 1]
    pre_lower: Array  # [neurons]
    pre_upper: Array  # [neurons]
    phases: Array  # [neurons] int8
    margin: float
    depth: int
    duty: Array  # [disjuncts] bool

    @cached_property
    def batch(self) -> Batch:
        """The node as a batch of one."""
        return Batch(
            self.lower[None], self.upper[None], self.cuts[None], self.pre_lower[None], self.pre_upper[None],
            self.phases[None], np.array([self.margin]), np.array([self.depth]), np.ones(1, dtype=np.int64),
            np.zeros(1, dtype=np.int64), None, self.duty[None],
            np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64),
        )  # fmt: skip


def root(query: Query) -> Batch:
    """The whole input set as a batch of one, nothing proved yet."""
    n = query.neurons
    cuts = np.zeros((1, query.reserved, query.network.input_size + 1))
    cuts[0, : len(query.region.rows), :-1] = query.region.rows
    cuts[0, : len(query.region.rows), -1] = query.region.offsets
    return Batch(
        query.region.lower[None].copy(), query.region.upper[None].copy(), cuts,
        np.full((1, n), -np.inf), np.full((1, n), np.inf), np.zeros((1, n), dtype=np.int8),
        np.full(1, -np.inf), np.zeros(1, dtype=np.int64), np.ones(1, dtype=np.int64), np.zeros(1, dtype=np.int64),
        None, np.ones((1, query.disjuncts), dtype=bool),
        np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64),
    )  # fmt: skip
