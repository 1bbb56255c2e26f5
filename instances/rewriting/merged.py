"""Neurons that compute the same from the same inputs, in networks side by side: each is kept once.

Two copies of a network, or networks with common first layers, that are asked about with equal inputs compute the same
values twice, and whoever bounds them apart from each other loses that they are equal. Layer after layer, a neuron whose
row (w, b) and kind are those of an earlier one is left out, and its readers' weights go to that one:

    relu(w x + b) = x_j, relu(w x + b) = x_k    =>    c x_j + d x_k = (c + d) x_j.

Rows are compared after that was done to what they read, so copies merge up to their last layer. Sums of weights are
taken only where they are exact in float64, and of weights that a layer declares to be rounded only where both have one
sign, so that the relative error of the sum is theirs; else the network stays as it is. Two neurons with rounded numbers
are the same only where they are one neuron of one file, which is told by the array of biases that both layers share.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..network import Array, Layer, Matrix, Network
from ..sparse import is_sparse, sp

__all__ = ["without_copies"]

DENSE = 4096  # entries of a matrix that is kept dense

_Name = tuple[object, ...]  # what a neuron computes
_Entry = tuple[int, int]  # a value of the new network, and the entry of it


class _Place(NamedTuple):
    """Where the entries of an old value are: entry rows[k] is entry columns[k] of the new value."""

    value: int
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]


def without_copies(network: Network, alike: NDArray[np.int64]) -> Network:
    """The same function, for inputs that are equal, with every neuron once; the network itself where none is left out.

    alike: [inputs] for each input the first one that equals it, itself where there is none. No weight is left on other
    inputs. The last layer stays whole: its entries are the outputs.
    """
    if bool((alike == np.arange(len(alike))).all()):
        return network  # what one file holds twice is left out where it is read
    layers: list[Layer] = []
    sizes = [network.input_size]
    places: dict[int, list[_Place]] = {0: [_Place(0, np.arange(len(alike)), alike)]}
    known: dict[_Name, _Entry] = {}
    for k, old in enumerate(network.layers, start=1):
        layer = _reading_anew(old, places, sizes)
        if layer is None:
            return network
        value, last = len(layers) + 1, k == len(network.layers)
        names = [] if last else _names(old, layer, places)
        found = [known.get(name, (value, i)) for i, name in enumerate(names)]
        own = np.array([i for i, (v, _) in enumerate(found) if v == value], dtype=np.int64)
        place_of = {i: n for n, i in enumerate(own.tolist())}
        entries = [(v, place_of[i] if v == value else i) for v, i in found]
        for name, entry in zip(names, entries, strict=True):
            known.setdefault(name, entry)
        places[k] = _gathered(entries)
        if last or len(own):
            layers.append(layer if last or len(own) == layer.size else _part(layer, own))
            sizes.append(layers[-1].size)
    return network if sum(sizes) == sum(network.sizes) else replace(network, layers=tuple(layers))


def _names(old: Layer, layer: Layer, places: dict[int, list[_Place]]) -> list[_Name]:
    """What each neuron computes: its row over the new values; of rounded numbers also which number of the file it is.

    old: the layer as it was, layer: the same one on the new values.
    """
    kind = layer.kind, layer.roundings, layer.bias_error
    rows, biases = _rows(layer.sources, layer.weights), (layer.bias + 0.0).tolist()
    if not layer.roundings and not layer.bias_error:
        return [(*kind, row, bias) for row, bias in zip(rows, biases, strict=True)]
    # in the file's own order: a weight that equals its neighbour once rounded is another one
    read = tuple((p.value, p.rows.tobytes(), p.columns.tobytes()) for p in _read(old, places))
    return [(*kind, id(old.bias), i, read, row, bias) for i, (row, bias) in enumerate(zip(rows, biases, strict=True))]


def _read(old: Layer, places: dict[int, list[_Place]]) -> list[_Place]:
    """Where the entries are that a layer has a weight for; those of the input counted from the first one on."""
    found = []
    for s, w in zip(old.sources, old.weights, strict=True):
        used = np.zeros(w.shape[1], dtype=bool)
        used[sp.csr_array(w).indices] = True
        for p in places[s]:
            kept = used[p.rows]
            if kept.any():
                start = int(p.rows[kept][0]) if s == 0 else 0
                found.append(_Place(p.value, p.rows[kept] - start, p.columns[kept]))
    return found


def _rows(sources: tuple[int, ...], weights: tuple[Matrix, ...]) -> list[tuple[tuple[int, bytes, bytes], ...]]:
    """Of each row the sources that it reads, with the columns and the weights."""
    rows: list[list[tuple[int, bytes, bytes]]] = [[] for _ in range(weights[0].shape[0])]
    for s, w in zip(sources, weights, strict=True):
        sparse = sp.csr_array(w)
        sparse.eliminate_zeros()
        sparse.sort_indices()
        ends: Any = sparse.indptr.tolist()
        columns: Array = sparse.indices.astype(np.int64)
        for i, (a, b) in enumerate(zip(ends[:-1], ends[1:], strict=True)):
            if b > a:
                rows[i].append((s, columns[a:b].tobytes(), sparse.data[a:b].tobytes()))
    return [tuple(row) for row in rows]


def _gathered(found: list[_Entry]) -> list[_Place]:
    """Where the entries of one old value are."""
    values = np.array([v for v, _ in found])
    entries = np.array([i for _, i in found])
    return [
        _Place(int(v), np.flatnonzero(values == v), entries[values == v]) for v in np.unique(values)
    ]


def _part(layer: Layer, rows: NDArray[np.int64]) -> Layer:
    return replace(layer, weights=tuple(w[rows] for w in layer.weights), bias=layer.bias[rows])


def _reading_anew(layer: Layer, places: dict[int, list[_Place]], sizes: list[int]) -> Layer | None:
    """The layer with its weights on the new values; None where a sum of weights would round."""
    read: dict[int, Matrix] = {}
    for s, w in zip(layer.sources, layer.weights, strict=True):
        for place in places[s]:
            moved = _moved(w, place, sizes[place.value], layer.roundings > 0)
            if moved is None:
                return None
            if place.value not in read:
                read[place.value] = moved
                continue
            total = _exact_sum(read[place.value], moved, layer.roundings > 0)
            if total is None:
                return None
            read[place.value] = total
    sources = tuple(sorted(read))
    return replace(layer, sources=sources, weights=tuple(_compact(read[s]) for s in sources))


def _moved(w: Matrix, place: _Place, size: int, rounded: bool) -> Matrix | None:
    """The columns of w [m, n] that are at a place as columns of the new value, [m, size]; None as for `_exact_sum`."""
    if w.shape[1] == size == len(place.rows) and bool((place.rows == place.columns).all()):
        return w
    columns = sp.csr_array(w).tocsc()
    total: Matrix | None = None
    ranks = _ranks(place.columns)
    for rank in range(int(ranks.max()) + 1):  # columns that come to lie on each other are added one after another
        of_rank = ranks == rank
        coo = columns[:, place.rows[of_rank]].tocoo()
        part = sp.csr_array((coo.data, (coo.row, place.columns[of_rank][coo.col])), shape=(w.shape[0], size))
        total = part if rank == 0 else _exact_sum(total, part, rounded)
        if total is None:
            return None
    return total


def _ranks(columns: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many equal numbers stand before each."""
    order = np.argsort(columns, kind="stable")
    first = np.searchsorted(columns[order], columns[order])
    ranks = np.empty(len(columns), dtype=np.int64)
    ranks[order] = np.arange(len(columns)) - first
    return ranks


def _exact_sum(a: Matrix, b: Matrix, rounded: bool) -> Matrix | None:
    """a + b, None where an entry of it is rounded (Knuth's error of a sum); and where rounded ones cancel."""
    a, b = sp.csr_array(a), sp.csr_array(b)
    x, y = _where(a, b), _where(b, a)
    new = x + y
    part: Array = new - x
    rest = (x - (new - part)) + (y - part)
    exact = np.isfinite(new).all() and not rest.any() and not (rounded and (np.sign(x) != np.sign(y)).any())
    return sp.csr_array(a + b) if exact else None


def _where(a: Matrix, b: Matrix) -> Array:
    """The entries of a, row after row, where neither a nor b is zero."""
    both = sp.csr_array(a.multiply(b != 0.0))
    both.eliminate_zeros()
    both.sort_indices()
    return np.asarray(both.data)


def _compact(w: Matrix) -> Matrix:
    """Dense where it is small."""
    if is_sparse(w) and w.shape[0] * w.shape[1] <= DENSE:
        return np.asarray(w.toarray())
    return w
