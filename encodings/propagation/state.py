"""What interval contraction works on: the boxes of one node, and the sets of phases that exclude each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...instances.batch import Node
from ...instances.network import Array
from ...instances.query import Query

__all__ = ["Nogoods", "State"]


@dataclass(eq=False)
class State:
    """A node's boxes: of all values (inputs first), and of the pre-activations."""

    low: Array  # [inputs + neurons]
    high: Array
    z_low: Array  # [neurons]
    z_high: Array

    @staticmethod
    def of(query: Query, node: Node) -> State:
        """The node's own."""
        low, high = (np.where(query.relu, np.maximum(z, 0.0), z) for z in (node.pre_lower, node.pre_upper))
        return State(
            np.concatenate([node.lower, low]), np.concatenate([node.upper, high]),
            node.pre_lower.astype(np.float64), node.pre_upper.astype(np.float64),
        )  # fmt: skip

    def copy(self) -> State:
        """Arrays of its own."""
        return State(self.low.copy(), self.high.copy(), self.z_low.copy(), self.z_high.copy())

    def fix(self, neuron: int, sign: int) -> None:
        """Demand sign * z >= 0 of a neuron."""
        if sign > 0:
            self.z_low[neuron] = max(self.z_low[neuron], 0.0)
        else:
            self.z_high[neuron] = min(self.z_high[neuron], 0.0)

    @property
    def finite(self) -> bool:
        """Whether all ends are numbers; others cannot be contracted."""
        return all(bool(np.isfinite(a).all()) for a in (self.low, self.high, self.z_low, self.z_high))


class Nogoods:
    """Sets of phases that no counterexample has together, literals 2 i for z_i >= 0 and 2 i + 1 for z_i <= 0."""

    def __init__(self) -> None:
        self.starts, self.literals = np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def pairs(self) -> list[tuple[int, int]]:
        """Those of two literals, the smaller one first."""
        where = self.starts[:-1][np.diff(self.starts) == 2]
        both = np.sort(np.stack([self.literals[where], self.literals[where + 1]], axis=1), axis=1)
        return [(int(a), int(b)) for a, b in both.tolist()]

    def add(self, literals: Sequence[int]) -> None:
        """One more. An empty one would refute everything: it is not for here."""
        self.literals = np.concatenate([self.literals, np.array(literals, dtype=np.int64)])
        self.starts = np.append(self.starts, len(self.literals))

    @property
    def mb(self) -> float:
        """MB of the store."""
        return 1e-6 * float(self.starts.nbytes + self.literals.nbytes)

    def reduce(self, most: int, kept: int, mb: float = np.inf) -> None:
        """Beyond `most` drop the older half of the long ones (more than `kept` literals), beyond `mb` of all."""
        if len(self) > most:
            self._keep((np.diff(self.starts) <= kept) | self._newer)
        while len(self) and self.mb > mb:
            self._keep(self._newer)

    @property
    def _newer(self) -> Array:
        """[len(self)] bool: the newer half, less than half of an odd number."""
        return np.arange(len(self)) >= (len(self) + 1) // 2

    def _keep(self, stays: Array) -> None:
        sizes = np.diff(self.starts)
        self.literals = self.literals[np.repeat(stays, sizes)]
        self.starts = np.concatenate([[0], np.cumsum(sizes[stays])]).astype(np.int64)
