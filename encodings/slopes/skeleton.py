"""A network in float32 without the neurons that are 0 on all nodes of a batch: what ascents on slopes walk through."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np

from ...instances import memory
from ...instances.batch import Batch
from ...instances.expressions.matrices import picking_mb
from ...instances.network import Array, Matrix
from ...instances.query import OfQuery, Query
from ...instances.sparse import is_sparse, sp
from ..linear.bounds import middle_and_radius

__all__ = ["FLOAT", "Skeleton"]

FLOAT = np.float32
PICKED = 1.5  # memory of a picked matrix in float32 with its transpose, in that of picking it
DENSE = 0.04  # share of nonzeros from which a dense float32 product beats a sparse one


@dataclass(eq=False)
class _Layer:
    """One layer in float32, without the neurons that are 0 on every node."""

    sources: tuple[int, ...]
    weights: list[Matrix]  # [live neurons, live neurons of the source]
    transposed: list[Matrix]
    bias: Array


class Skeleton(OfQuery):
    """The layers below layer `last` in float32, without the ReLUs that are 0 on all nodes of a batch.

    Of a query that is lean already all of them: else the sums of a product would be rounded as those neurons have it
    that the first nodes of a process need, and an ascent makes so much of roundings that trees would differ by them.
    """

    def __init__(self, query: Query, batch: Batch, last: int) -> None:
        super().__init__(query)
        self.last = last
        self.box: tuple[Array, Array] | None = None  # see `centred`
        self.live: list[Array] = [np.arange(query.network.input_size)]
        self.layers: list[_Layer] = []
        for k in range(1, last):
            layer = query.network.layers[k - 1]
            self.live.append(np.flatnonzero(_alive(query, batch, k)))
            live = self.live[k]
            for s, w in zip(layer.sources, layer.weights, strict=True):
                memory.claim(PICKED * picking_mb(w, len(live), len(self.live[s])))
            weights = [_single(w[live][:, self.live[s]]) for s, w in zip(layer.sources, layer.weights, strict=True)]
            transposed = [w.T if isinstance(w, np.ndarray) else sp.csr_array(w.T) for w in weights]
            self.layers.append(_Layer(layer.sources, weights, transposed, layer.bias[live].astype(FLOAT)))

    def below(self, k: int) -> Skeleton:
        """The part that layer k reads."""
        part = copy.copy(self)
        part.last, part.live, part.layers = k, self.live[:k], self.layers[: k - 1]
        return part

    def centred(self, lower: Array, upper: Array) -> Skeleton:
        """The same over s in [-1, 1] with x = m + r s, for the box |x - m| <= r, where only layer 1 reads the input."""
        part, first, (middle, radius) = copy.copy(self), self.layers[0], middle_and_radius(lower, upper)
        w = self.query.network.layers[0].weights[0][self.live[1]]
        dense = isinstance(w, np.ndarray)
        scaled = _single(w * radius[None, :] if dense else sp.csr_array(w.multiply(radius[None, :])))
        bias = (first.bias + w @ middle).astype(FLOAT)
        transposed = scaled.T if isinstance(scaled, np.ndarray) else sp.csr_array(scaled.T)
        part.layers = [_Layer((0,), [scaled], [transposed], bias), *self.layers[1:]]
        part.box = lower, upper
        return part

    def covers(self, batch: Batch) -> bool:
        """Whether no ReLU that is left out is alive on some node of this batch."""
        alive = [_alive(self.query, batch, k) for k in range(1, self.last)]
        return all(mask.sum() == mask[live].sum() for mask, live in zip(alive, self.live[1:], strict=True))


def _alive(query: Query, batch: Batch, k: int) -> Array:
    """[size] bool: layer k's neurons that are not 0 on every node, and those whose phase has a multiplier."""
    part = query.slices[k - 1]
    if query.lean or query.kinds[k - 1] != "relu":
        return np.ones(part.stop - part.start, dtype=bool)
    return np.asarray(((batch.pre_upper[:, part] > 0.0) | (batch.phases[:, part] != 0)).any(axis=0))


def _single(w: Matrix) -> Matrix:
    """Float32, dense where that is faster."""
    if is_sparse(w):
        if w.nnz < DENSE * w.shape[0] * w.shape[1]:
            return sp.csr_array(w.astype(FLOAT))
        w = w.toarray()
    return np.ascontiguousarray(w, dtype=FLOAT)
