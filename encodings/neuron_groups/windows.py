"""The hull of a maximum over the box of its entries, as of a pooling window, in rows over the ReLUs that it is made of.

Readers make a tree of ReLUs of y = max(x_1, ..., x_k): max(a, b) = b + ReLU(a - b). Triangles relax each of these
alone, with bounds of a - b that do not know that a and b are maxima themselves. Over the box l <= x <= u the graph's
hull is

    y >= x_i,    y <= u_J + sum_{i < J} (u_i - u_J) (x_i - l_i) / (u_i - l_i)    for J = 1, ..., m + 1,

entries in descending order of u, of which the first m have u_i > L = max l_i, and u_{m + 1} = L. That y >= x_i follows
from the ReLUs' own rows. Why the others are all there are: the least concave function above the maximum is, at x, the
largest mean of max(X) over random corners X with mean x. With p_i = (x_i - l_i) / (u_i - l_i), t >= L,

    P(max(X) > t) <= min(1, sum over u_i > t of p_i),

with equality for all t at once where the events X_i = u_i follow one another in [0, 1], in the order of u, as far as
there is room. Integrated from L on this is the least of the rows. Max pooling is (5) of Salman et al. (2019), and
disjoint windows are in their Corollary 4.3; maxima of affine functions over a box: Anderson et al. (2020).

Rows do not rest on the derivation: for whatever coefficients t in [0, 1]

    y <= sum_i t_i x_i + c,    c = max_j [ (1 - t_j) u_j - sum_{i != j} t_i l_i ],

and c is computed so, rounding errors added. Maxima are found in the network's weights: ReLU(a - b) with two or more
entries in all, where a and b, the parts of positive and of negative weights, are single values or such maxima.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np

from ...instances.batch import Node
from ...instances.network import Array, Matrix, curved, value_range
from ...instances.query import Query
from ...instances.rounding import EPS, UP, gamma
from ..slopes.group_rows import GroupRows

__all__ = ["Entry", "Maximum", "maxima_of", "window_bounds", "window_rows"]

MOST_TERMS = 24  # weights of a row in which a tree is sought: two maxima of 2^11 entries


@dataclass(frozen=True)
class Entry:
    """coefficient * value + constant."""

    name: int  # flat neuron whose activation it is, number of neurons + i for input i, -1 for none
    coefficient: float
    constant: float


@dataclass(frozen=True, eq=False)
class Maximum:
    """max(first, second) = rest + ReLU of the neuron, whose pre-activation is first - second."""

    neuron: int  # flat
    layer: int  # from 1
    first: Tree
    second: Tree
    rest: Mapping[int, float]  # the second one: weights of values
    terms: Mapping[int, float]  # of the pre-activation
    errors: tuple[float, float]  # relative one of each weight, absolute one of the bias


Tree = Entry | Maximum

_CACHE: WeakKeyDictionary[Query, list[Maximum]] = WeakKeyDictionary()


def maxima_of(query: Query) -> list[Maximum]:
    """Maxima of at least two values in a query's network, in the order of their neurons. Found once a query."""
    if query not in _CACHE:
        known: dict[int, Maximum] = {}
        for neuron, layer, terms, bias in _sparse_rows(query):
            first = {name: weight for name, weight in terms.items() if weight > 0.0}
            second = {name: -weight for name, weight in terms.items() if weight < 0.0}
            trees = _tree(first, bias, known), _tree(second, 0.0, known)
            if trees[0] is not None and trees[1] is not None:
                errors = query.network.layers[layer - 1].roundings * EPS, query.network.layers[layer - 1].bias_error
                known[neuron] = Maximum(neuron, layer, trees[0], trees[1], second, terms, errors)
        _CACHE[query] = [m for m in known.values() if len({e.name for e in _entries(m) if e.name >= 0}) > 1]
    return _CACHE[query]


def window_bounds(query: Query, node: Node) -> Node:
    """The node with what the boxes of entries say of the differences of maxima; crossed where it is empty.

    max(first) - max(second) lies between max l - max u and max u - max l of their entries.
    """
    if not maxima_of(query):
        return node
    node = replace(node, pre_lower=node.pre_lower.copy(), pre_upper=node.pre_upper.copy())
    for m in maxima_of(query):
        first, second = (_range(query, node, _entries(side, node)) for side in (m.first, m.second))
        slack = _slack(query, node, m)
        low, high = first[0] - second[1] - slack, first[1] - second[0] + slack
        node.pre_lower[m.neuron] = np.fmax(node.pre_lower[m.neuron], np.nextafter(low, -np.inf))
        node.pre_upper[m.neuron] = np.fmin(node.pre_upper[m.neuron], np.nextafter(high, np.inf))
    return node


def window_rows(query: Query, node: Node, layers: Iterable[int] | None = None) -> GroupRows:
    """The rows of the hulls of all maxima on a node, for linear programs: their members are of several layers.

    layers: those whose neurons end the maxima, all by default. Maxima whose neuron is stable on the node, or whose
    entries' bounds are not finite, get none.
    """
    wanted = None if layers is None else set(layers)
    parts = [GroupRows.none()]
    for m in maxima_of(query):
        if (wanted is None or m.layer in wanted) and node.pre_lower[m.neuron] < 0.0 < node.pre_upper[m.neuron]:
            parts.append(_rows(query, node, m))
    return GroupRows.concatenate(parts)


def _sparse_rows(query: Query) -> Iterator[tuple[int, int, dict[int, float], float]]:
    """(flat neuron, its layer, weights of the values that it reads, bias) of ReLUs that read few values, no curves'."""
    kinds = ("identity", *query.kinds)
    starts = (query.neurons, *(part.start for part in query.slices))
    for k, (layer, part) in enumerate(zip(query.network.layers[:-1], query.slices, strict=True), start=1):
        if layer.kind != "relu" or any(curved(kinds[s]) for s in layer.sources):
            continue
        counts = sum(_counts(w) for w in layer.weights)
        for i in np.flatnonzero((counts > 1) & (counts <= MOST_TERMS)).tolist():
            terms: dict[int, float] = {}
            for s, w in zip(layer.sources, layer.weights, strict=True):
                columns, weights = _row(w, i)
                terms |= {starts[s] + j: weight for j, weight in zip(columns, weights, strict=True) if weight}
            yield part.start + i, k, terms, float(layer.bias[i])


def _counts(w: Matrix) -> Array:
    """[rows] weights that are not 0."""
    return np.count_nonzero(w, axis=1) if isinstance(w, np.ndarray) else np.asarray((w != 0.0).sum(axis=1)).ravel()


def _row(w: Matrix, i: int) -> tuple[list[int], list[float]]:
    """(columns, weights) of a row."""
    if isinstance(w, np.ndarray):
        columns = np.flatnonzero(w[i])
        return columns.tolist(), w[i, columns].tolist()
    part = slice(int(w.indptr[i]), int(w.indptr[i + 1]))
    return w.indices[part].tolist(), w.data[part].tolist()


def _tree(terms: Mapping[int, float], constant: float, known: Mapping[int, Maximum]) -> Tree | None:
    """What a sum of values is: one of them, or rest + ReLU(first - second) with exactly this rest; else None."""
    if len(terms) < 2:
        name, weight = next(iter(terms.items()), (-1, 0.0))
        return Entry(name, weight, constant)
    for name, weight in terms.items():
        if weight == 1.0 and constant == 0.0 and name in known:
            if {other: w for other, w in terms.items() if other != name} == known[name].rest:
                return known[name]
    return None


def _entries(tree: Tree, node: Node | None = None) -> list[Entry]:
    """A tree's entries, each once; on a node without those that its phases leave out."""
    if isinstance(tree, Entry):
        return [tree]
    sides = [tree.first, tree.second]
    if node is not None and node.pre_lower[tree.neuron] >= 0.0:
        sides = sides[:1]
    elif node is not None and node.pre_upper[tree.neuron] <= 0.0:
        sides = sides[1:]
    return list(dict.fromkeys(entry for side in sides for entry in _entries(side, node)))


def _value(query: Query, node: Node, name: int) -> tuple[float, float]:
    """Bounds of a value."""
    if name >= query.neurons:
        return float(node.lower[name - query.neurons]), float(node.upper[name - query.neurons])
    kind = "relu" if query.relu[name] else "identity"
    low, high = value_range(kind, node.pre_lower[name], node.pre_upper[name])
    return float(low), float(high)


def _box(query: Query, node: Node, entries: Sequence[Entry]) -> tuple[Array, Array]:
    """Bounds of entries."""
    low, high = np.zeros(len(entries)), np.zeros(len(entries))
    for i, entry in enumerate(entries):
        ends = _value(query, node, entry.name) if entry.name >= 0 else (0.0, 0.0)
        moved = [entry.coefficient * end + entry.constant for end in ends]
        slack = 0.0
        if entry.coefficient != 1.0 or entry.constant:
            slack = gamma(2) * (abs(entry.coefficient) * max(map(abs, ends)) + abs(entry.constant))
        low[i], high[i] = min(moved) - slack, max(moved) + slack
    return low, high


def _range(query: Query, node: Node, entries: Sequence[Entry]) -> tuple[float, float]:
    """Bounds of the largest of some entries."""
    low, high = _box(query, node, entries)
    return float(low.max()), float(high.max())


def _slack(query: Query, node: Node, tree: Tree) -> float:
    """How far rest + ReLU may lie from the maximum, where weights and biases are those of the file up to roundings."""
    if isinstance(tree, Entry):
        return 0.0
    relative, absolute = tree.errors
    inner = _slack(query, node, tree.first) + _slack(query, node, tree.second)
    if relative:
        sizes = (abs(w) * max(map(abs, _value(query, node, name))) for name, w in tree.terms.items())
        absolute += relative * sum(sizes)
    return (inner + absolute) * UP


def _rows(query: Query, node: Node, m: Maximum) -> GroupRows:
    """c + sum_i t_i x_i - rest - ReLU >= 0 for every facet above."""
    entries = _entries(m, node)
    low, high = _box(query, node, entries)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        return GroupRows.none()
    shares, constants = _facets(low, high)
    members: dict[int, Array] = {m.neuron: np.full(len(shares), -1.0)}
    for entry, share in zip(entries, shares.T, strict=True):
        constants = constants + share * entry.constant
        if entry.name >= 0:
            members[entry.name] = members.get(entry.name, np.zeros(len(shares))) + share * entry.coefficient
    for name, weight in m.rest.items():
        members[name] = members.get(name, np.zeros(len(shares))) - weight
    reach = {name: max(map(abs, _value(query, node, name))) for name in members}
    members = {name: column for name, column in members.items() if reach[name] > 0.0 and column.any()}
    # coefficients are a product and a sum of two, the constant has a product for every entry
    sizes = sum(reach.get(e.name, 0.0) * abs(e.coefficient) + abs(e.constant) for e in entries)
    sizes += sum(reach[name] * abs(weight) for name, weight in m.rest.items())
    slack = _slack(query, node, m) + gamma(2 * len(entries)) * (sizes + np.abs(constants))
    names, columns = np.array(list(members)), np.stack(list(members.values()), axis=1)
    inputs = names >= query.neurons
    return GroupRows(
        np.tile(names, (len(columns), 1)), np.where(inputs, columns, 0.0), np.where(inputs, 0.0, columns),
        np.nextafter(constants + slack * UP, np.inf),
    )  # fmt: skip


def _facets(low: Array, high: Array) -> tuple[Array, Array]:
    """(t [F, k], c [F]) of the rows y <= t x + c, y the largest of k entries in their boxes; equal u_J make one."""
    least = low.max()
    tops = np.append(np.unique(high[high > least])[::-1], least)[:, None]  # u_J
    width = np.where(high > low, high - low, 1.0)
    shares = np.clip(np.maximum(high - tops, 0.0) / width, 0.0, 1.0)
    moved = shares * low
    at = (1.0 - shares) * high + moved - moved.sum(axis=1, keepdims=True)
    error = gamma(len(low) + 4) * (np.abs(high) + np.abs(low).sum()).max()
    return shares, at.max(axis=1) + error * UP
