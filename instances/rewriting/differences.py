"""Networks that are nearly one: pairs of neurons that compute nearly the same, and a layer of their differences.

A property that compares outputs of two networks, pruned or quantised twins say, needs bounds of z - w for neurons z, w
that correspond to each other (ReluDiff, Paulsen, Wang and Wang 2020): where bounds of each by itself are wide, those of
the difference are narrow. The network gets, behind each two layers with such pairs, a layer

    d = z - w = W x - V y + (b - c),

which nobody reads; its neurons are bounded like all others, and inherited by nodes. `Network.differences` names it, and
back-substitution uses its bounds (`encodings/relaxations/differences.py`). The function stays what it was.

Neurons correspond whose rows of weights are near each other once what they read is identified, layer after layer from
the input on; no declaration is needed, and permuted neurons are found. Layers are put in the order of their levels,
length of the longest path from the input, so that all readers of a pair come behind both.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..network import Array, Difference, Layer, Matrix, Network
from ..query import Query
from ..rounding import ROUND_UP, UNIT
from ..sparse import is_sparse

__all__ = ["with_differences"]

NEAR = 0.5  # of the larger norm: rows that are closer correspond. Pruning a third of the weights moves less
MOST = 4_000_000  # entries of the rows of a layer over all values, laid out densely

Ints = NDArray[np.int64]


class _Match(NamedTuple):
    """Neurons left[i] of layer `first` and right[i] of layer `second` correspond."""

    first: int
    second: int
    left: Ints
    right: Ints


def with_differences(query: Query) -> Query:
    """The query whose network also holds the differences of neurons that correspond; itself where there are none, or
    where no margin takes one output of a pair from the other."""
    network = query.network
    levels = _levels(network)
    matches = [m for m in _matches(network, levels) if network.layers[m.first - 1].kind == "relu"]
    if not matches or not _compared(network, matches):
        return query
    layers = [_difference(network, match) for match in matches]
    found = [(match, layer) for match, layer in zip(matches, layers, strict=True) if layer is not None]
    return replace(query, network=_ordered(network, levels, found)) if found else query


def _levels(network: Network) -> list[int]:
    """Length of the longest path to each value."""
    levels = [0]
    for layer in network.layers:
        levels.append(1 + max((levels[s] for s in layer.sources), default=0))
    return levels


def _matches(network: Network, levels: list[int]) -> list[_Match]:
    """Layers of equal level with neurons that correspond, from the input on."""
    same = np.concatenate([[0], np.cumsum(network.sizes)]).astype(np.int64)
    starts, names = same.copy(), np.arange(same[-1])  # names: of each entry of each value the one that it equals nearly
    matches: list[_Match] = []
    taken: set[int] = set()
    last = len(network.layers)
    for q in sorted(range(1, last), key=lambda k: (levels[k], k)):
        second = network.layers[q - 1]
        for p in (p for p in range(1, q) if levels[p] == levels[q] and p not in taken and q not in taken):
            first = network.layers[p - 1]
            if first.kind != second.kind or max(first.size, second.size) * int(same[-1]) > MOST:
                continue
            rows = _rows(first, names, starts, {}), _rows(second, names, starts, _inputs(first, second))
            left, right = _near(*rows)
            if len(left):
                matches.append(_Match(p, q, left, right))
                taken |= {p, q}
                names[starts[q] + right] = names[starts[p] + left]
    return matches


def _inputs(first: Layer, second: Layer) -> dict[int, int]:
    """The inputs that the second layer reads, to those of the first one, where each reads its own."""
    read = []
    for layer in (first, second):
        own = dict(zip(layer.sources, layer.weights, strict=True))
        read.append(np.flatnonzero(_dense(own[0]).any(axis=0)).tolist() if 0 in own else [])
    alike = len(read[0]) == len(read[1]) and not set(read[0]) & set(read[1])
    return dict(zip(read[1], read[0], strict=True)) if alike else {}


def _rows(layer: Layer, names: Ints, starts: Ints, moved: dict[int, int]) -> Array:
    """[size, entries + 1] the rows over the names of what they read, with the biases.

    moved: inputs to take for others.
    """
    rows = np.zeros((layer.size, len(names) + 1))
    for s, w in zip(layer.sources, layer.weights, strict=True):
        columns = names[starts[s] : starts[s + 1]]
        if s == 0 and moved:
            columns = np.array([moved.get(j, j) for j in range(len(columns))], dtype=np.int64)
        np.add.at(rows.T, columns, _dense(w).T)
    rows[:, -1] = layer.bias
    return rows


def _near(first: Array, second: Array) -> tuple[Ints, Ints]:
    """Rows of the first that are near one of the second, each taken once, and those of the second."""
    left: list[int] = []
    right: list[int] = []
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite corresponds to nothing
        sizes = (first**2).sum(axis=1), (second**2).sum(axis=1)
        gaps = sizes[0][:, None] + sizes[1][None, :] - 2.0 * (first @ second.T)
        gaps = np.where(gaps < NEAR**2 * np.maximum.outer(*sizes), gaps, np.inf)
    for j in range(gaps.shape[1]):
        i = int(gaps[:, j].argmin())
        if np.isfinite(gaps[i, j]):
            left.append(i)
            right.append(j)
            gaps[i] = np.inf
    return np.array(left, dtype=np.int64), np.array(right, dtype=np.int64)


def _compared(network: Network, matches: list[_Match]) -> bool:
    """Whether some margin takes the value of one neuron of a pair from that of the other."""
    last = len(network.layers)
    pending: dict[int, Array] = {last: np.eye(network.output_size)}
    for k in range(last, 0, -1):
        layer = network.layers[k - 1]
        if k not in pending or layer.kind != "identity":
            continue
        rows = pending.pop(k)
        for s, w in zip(layer.sources, layer.weights, strict=True):
            pending[s] = pending.get(s, 0.0) + rows @ w
    return any(
        bool((pending[m.first][:, m.left] * pending[m.second][:, m.right] < 0.0).any())
        for m in matches if m.first in pending and m.second in pending
    )  # fmt: skip


def _difference(network: Network, match: _Match) -> Layer | None:
    """The layer d = z - w; None where rounded numbers cancel in it."""
    first, second = network.layers[match.first - 1], network.layers[match.second - 1]
    weights = {s: _dense(w)[match.left] for s, w in zip(first.sources, first.weights, strict=True)}
    subtracted = False
    for s, w in zip(second.sources, second.weights, strict=True):
        own = _dense(w)[match.right]
        if s in weights:
            both = (weights[s] != 0.0) & (own != 0.0)
            if both.any() and (first.roundings or second.roundings):
                return None
            subtracted |= bool(both.any())
        weights[s] = weights.get(s, 0.0) - own
    sources = tuple(sorted(weights))
    bias = first.bias[match.left] - second.bias[match.right]
    rounded = UNIT * float(np.abs(bias).max(initial=0.0))
    return Layer(
        sources, tuple(weights[s] for s in sources), bias, "identity", "differences",
        (first.bias_error + second.bias_error + rounded) * ROUND_UP,
        max(first.roundings, second.roundings) + subtracted,
    )  # fmt: skip


def _ordered(network: Network, levels: list[int], found: list[tuple[_Match, Layer]]) -> Network:
    """The layers by levels, those of differences behind the others of their level, the margins last."""
    last = len(network.layers)
    keys = [(levels[k], 0, k) for k in range(1, last)] + [(levels[m.first], 1, n) for n, (m, _) in enumerate(found)]
    order = [*sorted(keys), (levels[last] + last, 0, last)]
    place = {(kind, k): at for at, (_, kind, k) in enumerate(order, start=1)}
    values = {0: 0} | {k: place[0, k] for k in range(1, last + 1)}
    layers = [_renumbered(network.layers[k - 1] if kind == 0 else found[k][1], values) for _, kind, k in order]
    differences = tuple(
        Difference(values[m.first], values[m.second], place[1, n], m.left, m.right) for n, (m, _) in enumerate(found)
    )
    return replace(network, layers=tuple(layers), differences=differences)


def _renumbered(layer: Layer, values: dict[int, int]) -> Layer:
    pairs = sorted(((values[s], w) for s, w in zip(layer.sources, layer.weights, strict=True)), key=lambda p: p[0])
    return replace(layer, sources=tuple(s for s, _ in pairs), weights=tuple(w for _, w in pairs))


def _dense(w: Matrix) -> Array:
    return np.asarray(w.toarray() if is_sparse(w) else w)
