"""ReLUs that a network does not need: pairs with relu(z) - relu(-z) = z, duplicates, constants, and those nobody reads.

Tools that split neurons, and merge networks, leave them behind. Of the neurons of one layer whose rows (w, b) are the
multiples s z of one row z, s = +-2^k, one ReLU is enough, since

    relu(s z) = s relu(z),    relu(-s z) = s relu(z) - s z    for s > 0.

So the readers' weights c of these neurons become sum c |s| for the one relu(z), and minus the sum over negative s for
z itself, which moves to an identity layer and costs no relaxation; a pair with c relu(z) - c relu(-z) leaves c z alone.
Sums are taken only where they are exact in float64; else the neurons stay. Neurons with w = 0 are numbers, which go
into the readers' biases with a rounding that `bias_error` declares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache
from typing import NamedTuple

import numpy as np

from ..distinct import distinct
from ..expressions.matrices import compact, entry_range, row_counts
from ..network import Array, Layer, Matrix, Network
from ..rounding import EPS, LEAST_PRODUCT, MOST_PRODUCT, SMALLEST
from ..sparse import is_sparse, sp

__all__ = ["without_twins"]

DIGITS = 12  # of the numbers by which rows are found that may be multiples of each other
MOST_EXACT = 4096  # products that are added as rational numbers
PASSES = 3  # what one pass leaves unread the next one drops

_Group = tuple[Array, Array]  # neurons, and their multiples of the first one's row


class _Share(NamedTuple):
    """A matrix with at most one number in a row."""

    data: Array
    rows: Array  # ascending
    columns: Array
    shape: tuple[int, int]

    def gathered(self, w: Matrix) -> Matrix:
        """w @ the matrix, its columns added one after another as `_exact_sum` has them; a BLAS may take another order.

        w: [m, n]. Returns [m, width].
        """
        if is_sparse(w):
            share = sp.csr_array((self.data, (self.rows, self.columns)), shape=self.shape)
            return sp.csr_array(w.sorted_indices() @ share)
        total = np.zeros((self.shape[1], len(w)))
        np.add.at(total, self.columns, (w[:, self.rows] * self.data).T)
        return np.ascontiguousarray(total.T)


class _Plan(NamedTuple):
    """What becomes of a ReLU layer of n neurons: x = of_kept relu(z_kept) + of_moved z_moved + constant."""

    kept: Array  # neurons that stay ReLUs, [k]
    moved: Array  # neurons whose pre-activations become an identity layer, [m]
    of_kept: _Share  # [n, k] zeros and powers of two
    of_moved: _Share  # [n, m] zeros and negative powers of two
    constant: Array  # [n]


def without_twins(network: Network) -> Network:
    """The same function with fewer ReLUs; the network itself where there are none to leave out."""
    for _ in range(PASSES):
        readers = _readers(network)
        plans = {}
        for k, layer in enumerate(network.layers[:-1], start=1):
            if layer.kind == "relu" and (plan := _plan(layer, readers[k])) is not None:
                plans[k] = plan
        if not plans:
            break
        network = _carried_out(network, plans)
    return network


def _readers(network: Network) -> list[list[tuple[Layer, Matrix]]]:
    """The layers that read each value, with their weights."""
    readers: list[list[tuple[Layer, Matrix]]] = [[] for _ in network.sizes]
    for layer in network.layers:
        for s, w in zip(layer.sources, layer.weights, strict=True):
            readers[s].append((layer, w))
    return readers


def _plan(layer: Layer, readers: Sequence[tuple[Layer, Matrix]]) -> _Plan | None:
    """How the layer gets smaller, None where it does not."""
    n = layer.size
    # biases that are only nearly known are no numbers
    read, full = np.zeros(n, dtype=bool), np.full(n, layer.bias_error > 0.0)
    for _, w in readers:
        read |= _used_columns(w)
    for w in layer.weights:
        full |= row_counts(w) > 0
    groups = _groups(layer, np.flatnonzero(read & full))
    by_column = [(reader, w.tocsc() if groups and is_sparse(w) else w) for reader, w in readers]
    groups = [group for group in groups if _adds_exactly(group, by_column)]
    if not groups and (read & full).all():
        return None
    first, factor, negative = np.arange(n), np.ones(n), np.zeros(n, dtype=bool)
    for members, scales in groups:
        first[members] = members[0]
        factor[members], negative[members] = np.abs(scales), scales < 0.0
    used, turned = np.flatnonzero(read & full), np.flatnonzero(negative)
    kept, moved = distinct(first[used]), distinct(first[turned])
    return _Plan(
        kept, moved,
        _Share(factor[used], used, np.searchsorted(kept, first[used]), (n, len(kept))),
        _Share(-factor[turned], turned, np.searchsorted(moved, first[turned]), (n, len(moved))),
        np.where(read & ~full, np.maximum(layer.bias, 0.0), 0.0),
    )  # fmt: skip


def _used_columns(w: Matrix) -> Array:
    if not is_sparse(w):
        return np.asarray((w != 0.0).any(axis=0))
    used = np.zeros(w.shape[1], dtype=bool)
    used[w.indices[w.data != 0.0]] = True
    return used


def _groups(layer: Layer, wanted: Array) -> list[_Group]:
    """Neurons whose rows are each other's multiples by +-2^k."""
    if len(wanted) < 2 or layer.roundings or layer.bias_error:
        return []
    found: dict[bytes, list[tuple[int, float]]] = {}
    for i in wanted[_alike(layer, wanted)].tolist():
        columns, data = _row(layer, i)
        lead = float(np.copysign(np.ldexp(0.5, np.frexp(data[0])[1]), data[0]))
        scaled = np.append(data, layer.bias[i]) / lead + 0.0  # a zero bias without its sign
        small, large = entry_range(scaled)
        if small >= LEAST_PRODUCT and large <= MOST_PRODUCT:  # else digits may be lost
            found.setdefault(columns.tobytes() + scaled.tobytes(), []).append((i, lead))
    return [
        (np.array([i for i, _ in members]), np.array([lead / members[0][1] for _, lead in members]))
        for members in found.values()
        if len(members) > 1
    ]


def _alike(layer: Layer, wanted: Array) -> Array:
    """[wanted] bool: whether another row may be a multiple, by the mantissa of a weighted sum of absolute values."""
    total = np.abs(layer.bias)
    for w in layer.weights:
        total = total + abs(w) @ _factors(w.shape[1])
    mantissa = np.round(np.frexp(total[wanted])[0], DIGITS)
    order = np.argsort(mantissa)
    same = mantissa[order[1:]] == mantissa[order[:-1]]
    result = np.zeros(len(wanted), dtype=bool)
    result[order[1:]] |= same
    result[order[:-1]] |= same
    return result


@cache
def _factors(n: int) -> Array:
    """Positive numbers by which columns are told apart."""
    return np.random.default_rng(n).uniform(0.5, 1.0, n)


def _row(layer: Layer, i: int) -> tuple[Array, Array]:
    """(columns over all sources, numbers) of a row, without zeros."""
    columns, data, start = [], [], 0
    for w in layer.weights:
        if is_sparse(w):
            part = slice(w.indptr[i], w.indptr[i + 1])
            places, values = w.indices[part], w.data[part]
        else:
            places = np.flatnonzero(w[i])
            values = w[i, places]
        columns.append(np.asarray(places, dtype=np.int64) + start)
        data.append(values)
        start += w.shape[1]
    return np.concatenate(columns), np.concatenate(data)


def _adds_exactly(group: _Group, readers: Sequence[tuple[Layer, Matrix]]) -> bool:
    """Whether the readers' weights of the neurons can be added, with and without those of positive scale, exactly.

    Sparse weights are given by columns (csc).
    """
    members, scales = group
    for layer, w in readers:
        columns = _columns(w, members) if is_sparse(w) else w[:, members]
        terms = columns * np.abs(scales)
        if not columns.any():
            continue
        exact = bool((terms / np.abs(scales) == columns).all()) and _exact_sum(terms)
        if layer.roundings or not (exact and _exact_sum(terms[:, scales < 0.0])):
            return False
    return True


def _columns(w: Matrix, members: Array) -> Array:
    """Some columns of a csc matrix [m, n], dense, without the rows that have nothing there: [rows, members]."""
    parts = [slice(w.indptr[i], w.indptr[i + 1]) for i in members.tolist()]
    used = distinct(np.concatenate([w.indices[part] for part in parts]))
    columns = np.zeros((len(used), len(parts)))
    for k, part in enumerate(parts):
        np.add.at(columns[:, k], np.searchsorted(used, w.indices[part]), w.data[part])
    return columns


def _exact_sum(terms: Array) -> bool:
    """Whether adding the columns one after another rounds nowhere (Knuth's error of a sum)."""
    total = np.zeros(len(terms))
    for column in terms.T:
        added = total + column
        rest = added - total
        if not np.isfinite(added).all() or ((total - (added - rest)) + (column - rest)).any():
            return False
        total = added
    return True


def _carried_out(network: Network, plans: dict[int, _Plan]) -> Network:
    """The network with its layers made smaller, and identity layers for what moved."""
    layers: list[Layer] = []
    places: dict[int, list[tuple[int, _Share | None]]] = {0: [(0, None)]}  # old value -> new values, and their share
    for k, old in enumerate(network.layers, start=1):
        layer = _reading_anew(old, places, plans, network.input_size)
        plan = plans.get(k)
        if plan is None:
            layers.append(layer)
            places[k] = [(len(layers), None)]
            continue
        places[k] = []
        for rows, share, kind in ((plan.kept, plan.of_kept, "relu"), (plan.moved, plan.of_moved, "identity")):
            if len(rows):
                weights = tuple(compact(w[rows]) for w in layer.weights)
                layers.append(replace(layer, weights=weights, bias=layer.bias[rows], kind=kind))
                places[k].append((len(layers), share))
    return replace(network, layers=tuple(layers))


def _with_constants(bias: Array, w: Matrix, constant: Array, roundings: int) -> tuple[Array, float]:
    """bias + w @ constant, and a bound on its error, 0 where the sum is a float64 and nothing was rounded before."""
    used = np.flatnonzero(constant)
    part = w[:, used]
    part = part.toarray() if is_sparse(part) else part
    size = np.abs(part) @ np.abs(constant[used]) + np.abs(bias)
    if part.size > MOST_EXACT:
        total, error = bias + part @ constant[used], (len(used) + 4) * EPS * float(size.max()) + len(used) * SMALLEST
    else:
        numbers = [Fraction(c) for c in constant[used].tolist()]
        exact = [
            sum((Fraction(v) * c for v, c in zip(row, numbers, strict=True)), Fraction(start))
            for row, start in zip(part.tolist(), bias.tolist(), strict=True)
        ]
        total = np.array([float(v) for v in exact])
        rounded = any(Fraction(v) != e for v, e in zip(total.tolist(), exact, strict=True))
        error = EPS * float(np.abs(total).max()) if rounded else 0.0
    return total, error + (roundings * EPS * float(size.max()) if roundings else 0.0) + (SMALLEST if error else 0.0)


def _reading_anew(
    layer: Layer, places: dict[int, list[tuple[int, _Share | None]]], plans: dict[int, _Plan], inputs: int
) -> Layer:
    """The layer with what it read in its new place, and constants in its bias."""
    if not any(s in plans for s in layer.sources) and all(places[s] == [(s, None)] for s in layer.sources):
        return layer
    read: dict[int, Matrix] = {}
    bias, error = layer.bias, layer.bias_error
    for s, w in zip(layer.sources, layer.weights, strict=True):
        for place, share in places[s]:
            weights = w if share is None else compact(share.gathered(w))
            if share is None or (weights != 0.0).sum():
                read[place] = weights
        if s in plans and plans[s].constant.any():
            bias, more = _with_constants(bias, w, plans[s].constant, layer.roundings)
            error += more
    sources = tuple(sorted(read)) or (0,)
    empty = np.zeros((layer.size, inputs))
    weights = tuple(read.get(s, empty) for s in sources)
    return replace(layer, sources=sources, weights=weights, bias=bias, bias_error=error)
