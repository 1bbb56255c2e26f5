"""Which pairs of squares are products: s^2 - d^2 = a b with s = (a + b) / 2 and d = (a - b) / 2.

Products are read as pairs of squares (`expressions/products.py`), and whatever rewrites a network may keep that or not.
So they are looked for in the weights: two neurons of a layer of squares, one with the row (x_a + x_b) / 2, the other
with (x_a - x_b) / 2, which may have either sign, both exactly and without a bias. Then, for real numbers,

    z_s + z_d = x_a,    z_s - z_d = x_b,    y_s - y_d = x_a x_b,

and whatever bounds the product from bounds of x_a and x_b is a row over two neurons of one layer. Pairs are found or
not; nothing rests on finding them.
"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from .curves.names import curve_name
from .network import Array, Layer, Network
from .sparse import is_sparse, places

__all__ = ["Products", "products_of"]

Index = NDArray[np.intp]
SQUARE = curve_name("power", 2)
SHARED = 2.0  # products a factor from which the squares of a layer have no better bounds than their factors' sum


@dataclass(frozen=True, eq=False)
class Products:
    """Q pairs of neurons of one layer of squares: y[plus] - y[minus] = x_left x_right."""

    plus: Index  # [Q] neurons of the layer
    minus: Index  # [Q]
    left: tuple[Index, Index]  # [Q] which value x_v, and which of its entries
    right: tuple[Index, Index]
    opposite: Array  # [Q] bool: whoever reads the two has opposite weights for them, so that only y_s - y_d counts

    def __len__(self) -> int:
        return len(self.plus)

    def __getitem__(self, index: Index) -> Products:
        """Some of the pairs."""
        left, right = ((value[index], entry[index]) for value, entry in (self.left, self.right))
        return Products(self.plus[index], self.minus[index], left, right, self.opposite[index])

    @property
    def shared(self) -> bool:
        """Whether there are far fewer factors than products, as in products of matrices."""
        one, two = np.column_stack(self.left), np.column_stack(self.right)
        return len(self) >= SHARED * len(np.unique(np.concatenate([one, two]), axis=0))

    def factors(self, value: int, size: int) -> Array:
        """[size] bool: which entries of a value are factors."""
        found = np.zeros(size, dtype=bool)
        for which, entry in (self.left, self.right):
            found[entry[which == value]] = True
        return found


_KNOWN: WeakKeyDictionary[Network, dict[int, Products]] = WeakKeyDictionary()


def products_of(network: Network) -> dict[int, Products]:
    """The products of each layer that has any, by its number, from 1."""
    if (known := _KNOWN.get(network)) is None:
        known = {}
        for k, layer in enumerate(network.layers, start=1):
            exact = layer.roundings == 0 and layer.bias_error == 0.0
            if layer.kind == SQUARE and exact and (found := _pairs(network, k, layer)) is not None:
                known[k] = found
        _KNOWN[network] = known
    return known


def _pairs(network: Network, k: int, layer: Layer) -> Products | None:
    neuron, places, weights = _half_sums(layer, network.sizes)
    code, positive = places[:, 0] * sum(network.sizes) + places[:, 1], weights > 0.0
    order = np.argsort(code, kind="stable")
    sums = positive[order].all(axis=1)
    one, two = order[sums], order[~sums]
    i, j = _matched(code[one], code[two])
    if not len(i):
        return None
    one, two = one[i], two[j]
    first = np.where(positive[two, 0], 0, 1)  # of d's two entries, the one that counts +1/2
    both = np.arange(len(two))
    left, right = (_apart(places[two][both, side], network.sizes) for side in (first, 1 - first))
    return Products(neuron[one], neuron[two], left, right, _opposite(network, k, neuron[one], neuron[two]))


def _half_sums(layer: Layer, sizes: tuple[int, ...]) -> tuple[Index, Index, Array]:
    """Neurons without a bias that read two entries, each times 1/2 or -1/2, not both of them -1/2.

    Returns (neurons [P], where the two stand among the entries of all values [P, 2], ascending, weights [P, 2]).
    """
    starts = np.cumsum([0, *sizes])
    parts = [(*places(w), starts[s]) for s, w in zip(layer.sources, layer.weights, strict=True)]
    row = np.concatenate([np.zeros(0, np.intp), *(part[0] for part in parts)])
    column = np.concatenate([np.zeros(0, np.intp), *(part[1] + part[3] for part in parts)])
    weight = np.concatenate([np.zeros(0), *(part[2] for part in parts)])
    order = np.lexsort((column, row))
    row, column, weight = row[order], column[order], weight[order]
    neuron = np.flatnonzero(np.bincount(row, minlength=layer.size) == 2)
    pair = np.searchsorted(row, neuron)[:, None] + np.arange(2)
    fits = (np.abs(weight[pair]) == 0.5).all(axis=1) & (weight[pair] > 0.0).any(axis=1) & (layer.bias[neuron] == 0.0)
    return neuron[fits], column[pair[fits]], weight[pair[fits]]


def _matched(one: Index, two: Index) -> tuple[Index, Index]:
    """Places of equal numbers of two ascending lists: the first of a number with the first, the second with the
    second."""
    ranks = [np.arange(len(a)) - np.searchsorted(a, a) for a in (one, two)]
    most = max(int(rank.max(initial=0)) for rank in ranks) + 1
    _, i, j = np.intersect1d(one * most + ranks[0], two * most + ranks[1], assume_unique=True, return_indices=True)
    return i, j


def _apart(position: Index, sizes: tuple[int, ...]) -> tuple[Index, Index]:
    """Value and entry of positions among the entries of all values."""
    starts = np.cumsum([0, *sizes])
    value = np.searchsorted(starts, position, side="right") - 1
    return value, position - starts[value]


def _opposite(network: Network, k: int, plus: Index, minus: Index) -> Array:
    found = np.ones(len(plus), dtype=bool)
    for layer in network.layers[k:]:
        for s, w in zip(layer.sources, layer.weights, strict=True):
            if s == k:
                columns = w.tocsc() if is_sparse(w) else w
                total = columns[:, plus] + columns[:, minus]
                found &= np.asarray((total != 0.0).sum(axis=0)).reshape(-1) == 0
    return found
