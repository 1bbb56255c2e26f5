"""What back-substitution needs of a network, computed once a query: absolute weights and the counts of their terms.

Interval bounds of z = W x + b from m - r <= x <= m + r, rounding included:
    W m + b -+ (|W| r + e),  e = 2 gamma(n) (|W| max|x| + |b|) + the bias' own error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from weakref import WeakKeyDictionary

import numpy as np

from ...instances import memory
from ...instances.batch import Batch
from ...instances.network import Array, Layer, Matrix
from ...instances.products import products_of
from ...instances.query import OfQuery, Query
from ...instances.rounding import UNDERFLOW, gamma
from ...instances.sparse import absolute
from .bounds import at_least, at_most, middle_and_radius
from .first_layer_ball import Ball
from .row_blocks import walk_work

__all__ = ["BALL", "Prepared", "PreparedLayer", "prepared_of", "product_terms"]

NOTHING: Mapping[int, tuple[Array, Array]] = MappingProxyType({})
BALL = 64  # inputs from which hidden rows are bounded by way of `first_layer_ball`


class Prepared(OfQuery):
    """What back-substitution needs of a query, computed once."""

    def __init__(self, query: Query) -> None:
        super().__init__(query)
        layers = query.network.layers
        memory.claim(8e-6 * sum(w.size if isinstance(w, np.ndarray) else w.nnz for k in layers for w in k.weights))
        last = replace(layers[-1], bias_error=layers[-1].bias_error + UNDERFLOW)  # of all layers
        self.layers = tuple(PreparedLayer(layer) for layer in (*layers[:-1], last))
        self.products = products_of(query.network)
        for k, products in self.products.items():
            for v, prepared in enumerate(self.layers[: k - 1], start=1):
                prepared.bounded |= products.factors(v, prepared.layer.size)
            if products.shared:
                self.layers[k - 1].bounded[np.concatenate([products.plus, products.minus])] = False
        self.walks = [walk_work(layers[: k - 1]) for k in range(1, len(layers) + 1)]  # of a row of each layer
        self.widest = max(query.network.sizes)
        self.differences = {d.layer: d for d in query.network.differences}
        # additions that a constant or a coefficient goes through on its way: two a layer, and four where multiples of
        # differences are taken from it, multiplied and added
        self.sums = 2 * len(layers) + 4 * len(self.differences)
        # whether the input is read by the first layer alone
        readers = [k for k, layer in enumerate(query.network.layers) if 0 in layer.sources]
        self.chained = len(self.layers) > 1 and readers == [0]
        self._ball: Ball | None = None

    def ball(self, batch: Batch) -> Ball | None:
        """The nodes' common box seen from the first layer, where there is one and nothing else bounds the input."""
        lower, upper = batch.lower[0], batch.upper[0]
        if not self.chained or self.query.network.input_size < BALL or batch.cuts.any():
            return None
        if self.query.region.ball is not None:  # not a box: a linear function of the input itself is minimised
            return None
        if len(batch) > 1 and not ((batch.lower == lower).all() and (batch.upper == upper).all()):
            return None
        known = self._ball  # another thread may put its own there meanwhile
        if known is None or not known.of(lower, upper):
            known = self._ball = Ball(self.query.network.layers[0], lower, upper)
        return known


class PreparedLayer:
    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.absolute = [absolute(w) for w in layer.weights]
        self.terms = sum(product_terms(w) for w in layer.weights) + layer.roundings
        # [n] bool: rows whose bounds matter by themselves, those of activations and factors of products
        self.bounded = np.full(layer.size, layer.kind != "identity")

    def interval(
        self, lowers: list[Array], uppers: list[Array], read: Mapping[int, tuple[Array, Array]] = NOTHING
    ) -> tuple[Array, Array, Array]:
        """Interval bounds of z [B, n] from those of the sources, and the magnitude |W| m + |b| of its terms.

        read: bounds of sources by which their share is bounded in place of their own, see `as_read`.
        """
        layer = self.layer
        middle = layer.bias[None, :].repeat(len(lowers[0]), axis=0)
        radius, magnitude = np.zeros_like(middle), np.abs(middle)
        for s, w, wa in zip(layer.sources, layer.weights, self.absolute, strict=True):
            lo, up = lowers[s], uppers[s]
            ends = middle_and_radius(*read.get(s, (lo, up)))
            middle += _times(ends[0], w)
            radius += _times(ends[1], wa)
            magnitude += _times(np.maximum(np.abs(lo), np.abs(up)), wa)
        error = gamma(self.terms + 4) * 2.0 * magnitude + layer.bias_error
        return at_least(middle - radius - error), at_most(middle + radius + error), magnitude


def product_terms(w: Matrix) -> int:
    """Largest number of terms that a product with w sums, from either side."""
    if isinstance(w, np.ndarray):
        return int(max(w.shape))
    columns = np.bincount(w.indices, minlength=1)
    return int(max(np.diff(w.indptr).max(initial=0), columns.max(initial=0)))


def _times(x: Array, w: Matrix) -> Array:
    """x [B, n] -> x @ w.T [B, m]."""
    return x @ w.T if isinstance(w, np.ndarray) else np.ascontiguousarray((w @ x.T).T)


_CACHE: WeakKeyDictionary[Query, Prepared] = WeakKeyDictionary()


def prepared_of(query: Query) -> Prepared:
    if query not in _CACHE:
        _CACHE[query] = Prepared(query)
    return _CACHE[query]
