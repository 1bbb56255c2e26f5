"""Multi-neuron rows in back-substitution, each with a multiplier mu >= 0.

A row  c + A z + B y >= 0  between the pre-activations z of a layer and its activations y holds on a whole input set, so
    m >= m - mu (c + A z + B y)
for every mu >= 0: on the way back through the layer the coefficients of y lose mu B before the ReLU's lines replace
them, those of z lose mu A after that, and the constant loses mu c (MN-BaB, Ferrari et al. 2022; GCP-CROWN, Zhang et al.
2022). With z*, y* the minimiser's values pushed forward, the supergradient is
    d bound / d mu = -(c + A z* + B y*),
so rows that the minimiser violates gain weight. One row's price is a few products per walk.

A pool's rows are those of the root: its nodes inherit them all. What no node has used for a while is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ...instances.network import Array
from ...instances.query import Query
from ...instances.rounding import UP, gamma
from ...instances.sparse import sp
from ..linear.bounds import norm
from .group_rows import GroupRows
from .skeleton import FLOAT

__all__ = ["LayerRows", "RowPool"]

AGE = 200  # calls without any use after which a row is dropped


@dataclass(frozen=True, eq=False)
class LayerRows:
    """R rows c + A z + B y >= 0 over the n neurons of one layer."""

    slots: Array  # [R] their places in the pool
    z: sp.csr_array  # [n, R], transposed: for products with multipliers
    y: sp.csr_array
    z_rows: sp.csr_array  # [R, n]
    y_rows: sp.csr_array
    constants: Array  # [R]

    @cached_property
    def place(self) -> Array | slice:
        """The slots as an index: of neighbours, which is what they are at first, without copies."""
        one_by_one = len(self.slots) > 0 and bool((np.diff(self.slots) == 1).all())
        return slice(int(self.slots[0]), int(self.slots[-1]) + 1) if one_by_one else self.slots

    def restricted(self, live: Array, dtype: type) -> LayerRows:
        """The same over some of the neurons; rows that name others are left out."""
        size = len(self.z.indptr) - 1
        dead = np.ones(size)
        dead[live] = 0.0
        kept = np.flatnonzero((abs(self.z_rows) + abs(self.y_rows)) @ dead == 0.0)
        z, y = (sp.csr_array(m[kept][:, live], dtype=dtype) for m in (self.z_rows, self.y_rows))
        constants: Array = self.constants[kept].astype(dtype)
        return LayerRows(self.slots[kept], sp.csr_array(z.T), sp.csr_array(y.T), z, y, constants)

    def above(self, multipliers: Array) -> Array:
        """[P, n] mu B for mu [P, slots of the pool]."""
        return np.ascontiguousarray((self.y @ multipliers[:, self.place].T).T)

    def below(self, multipliers: Array) -> Array:
        """[P, n] mu A."""
        return np.ascontiguousarray((self.z @ multipliers[:, self.place].T).T)

    def values(self, z: Array, y: Array) -> Array:
        """[P, R] left-hand sides."""
        return np.ascontiguousarray((self.z_rows @ z.T + self.y_rows @ y.T).T) + self.constants

    def taken(self, multipliers: Array, reach: Array) -> tuple[Array, Array]:
        """[P] mu c, and [P] an upper bound of what rounding does: to it, and to mu B and mu A in `above` and `below`.

        reach: [1, n] or [P, n], largest size of the neurons' pre-activations, and so of their activations.
        """
        mine = multipliers[:, self.place]
        constants = mine @ self.constants
        most = int(max(np.diff(self.y.indptr).max(initial=0), np.diff(self.z.indptr).max(initial=0)))
        sizes = ((abs(self.y) + abs(self.z)) @ mine.T).T
        error = gamma(most + 4) * norm(sizes) * norm(reach)
        error = error + gamma(len(self.slots) + 4) * (mine @ np.abs(self.constants))
        return constants, error * UP


@dataclass(eq=False)
class RowPool:
    """The rows that a query's phase nodes may use; threads share it."""

    query: Query
    rows: GroupRows
    used: Array = field(init=False)  # [R] call that used a row last
    calls: int = 0
    layers: dict[int, LayerRows] = field(init=False)  # of those that are still in use
    _single: tuple[list[Array], dict[int, LayerRows], dict[int, LayerRows]] | None = None  # last answer of `single`

    def __post_init__(self) -> None:
        self.used = np.zeros(len(self.rows), dtype=np.int64)
        self.layers = self._layers(np.ones(len(self.rows), dtype=bool))

    def __len__(self) -> int:
        return len(self.rows)

    def single(self, live: list[Array]) -> dict[int, LayerRows]:
        """The rows in use over the neurons that a skeleton has of each layer, in float32."""
        known, layers = self._single, self.layers
        if known is None or known[1] is not layers or not _same(known[0], live):
            found = {k: rows.restricted(live[k], FLOAT) for k, rows in layers.items() if k < len(live)}
            known = self._single = live, layers, found
        return known[2]

    def note(self, multipliers: Array) -> None:
        """multipliers: [P, R] that some nodes have ended with."""
        self.calls += 1
        self.used[(multipliers > 0.0).any(axis=0)] = self.calls
        if self.calls % AGE == 0:
            self.layers = self._layers(self.used > self.calls - AGE)

    def best(self, multipliers: Array, most: int) -> RowPool:
        """A pool of the rows with the largest multipliers [R], not 0."""
        order = np.argsort(-multipliers, kind="stable")[:most]
        return RowPool(self.query, self.rows[np.sort(order[multipliers[order] > 0.0])])

    def _layers(self, kept: Array) -> dict[int, LayerRows]:
        first = self.rows.neurons[:, :1]
        layers = {}
        for k, part in enumerate(self.query.slices, start=1):
            slots = np.flatnonzero(kept & (first[:, 0] >= part.start) & (first[:, 0] < part.stop))
            if len(slots):
                size = part.stop - part.start
                z, y = (self._matrix(slots, entries, part.start, size) for entries in (self.rows.z, self.rows.y))
                layers[k] = LayerRows(slots, sp.csr_array(z.T), sp.csr_array(y.T), z, y, self.rows.constants[slots])
        return layers

    def _matrix(self, slots: Array, entries: Array, start: int, size: int) -> sp.csr_array:
        row, member = np.nonzero(entries[slots])
        column = self.rows.neurons[slots][row, member] - start
        return sp.csr_array((entries[slots][row, member], (row, column)), shape=(len(slots), size))


def _same(a: list[Array], b: list[Array]) -> bool:
    return len(a) == len(b) and all(x is y for x, y in zip(a, b, strict=True))
