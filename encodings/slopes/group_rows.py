"""Multi-neuron rows in a query's own terms: each row names its members."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...instances.network import Array

__all__ = ["GroupRows"]


@dataclass(eq=False)
class GroupRows:
    """Rows  constants + z @ (pre-activations) + y @ (activations) >= 0.

    Members are flat neurons and, behind them, inputs that go past a layer (`group_refinement`), with z alone.
    """

    neurons: Array  # [R, K] flat indices; number of neurons + i for input i
    z: Array  # [R, K]
    y: Array  # [R, K]
    constants: Array  # [R]

    def __len__(self) -> int:
        return len(self.constants)

    def __getitem__(self, index: Array) -> GroupRows:
        """Rows `index` (bool mask or int array)."""
        return GroupRows(self.neurons[index], self.z[index], self.y[index], self.constants[index])

    def values(self, z: Array, y: Array) -> Array:
        """[R] left-hand sides at flat values [neurons + inputs]."""
        return np.asarray(self.constants + (self.z * z[self.neurons]).sum(1) + (self.y * y[self.neurons]).sum(1))

    def renamed(self, names: Array) -> GroupRows:
        """The rows with member i called names[i]; rows with a member whose name is -1 are left out.

        names: [neurons] int, of a query's neurons in a reduced one or the other way round (`reduction`).
        """
        members = names[self.neurons]
        kept = ((members >= 0) | ((self.z == 0.0) & (self.y == 0.0))).all(axis=1)
        return GroupRows(np.maximum(members, 0)[kept], self.z[kept], self.y[kept], self.constants[kept])

    @staticmethod
    def none() -> GroupRows:
        """No rows."""
        return GroupRows(np.zeros((0, 1), np.intp), np.zeros((0, 1)), np.zeros((0, 1)), np.zeros(0))

    @staticmethod
    def concatenate(parts: list[GroupRows]) -> GroupRows:
        """All rows; groups of different sizes are padded with zeros."""
        most = max(p.neurons.shape[1] for p in parts)

        def joined(name: str) -> Array:
            arrays = [getattr(p, name) for p in parts]
            return np.concatenate([np.pad(a, ((0, 0), (0, most - a.shape[1]))) for a in arrays])

        constants = np.concatenate([p.constants for p in parts])
        return GroupRows(joined("neurons"), joined("z"), joined("y"), constants)
