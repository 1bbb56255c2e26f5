"""The affine functions that a ReLU network is around points, in one forward pass (Singla and Feizi 2019, Algorithm 1).

With the phases theta of all ReLUs known, each pre-activation is an affine function of the input, z_k = P_k x + q_k,
    P_k = sum over sources s of W_ks D_s P_s,    P_0 = 1,
D_s the 0/1 matrix of the phases. The network is a DAG, so that residual sums are further sources. Layers that read the
input alone have the same rows for all points, their weights; others have rows of each point, [B, size, n].

Rounding. A value at a point is off by
    e_k = |W| (g |x| + (1 + g) e) + g |b| + the bias' own error,    g = gamma(terms of the layer),
which counts what is really added up there. A row is off by gamma(terms of all layers) times its magnitude |W| D |W| ...
The norm of that is all that is needed: s_k = |W| D s bounds it by the triangle inequality, a product of vectors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from ...instances import memory
from ...instances.network import Array, Layer, Matrix, Network
from ...instances.rounding import TINY, UP, gamma
from ...instances.sparse import absolute, is_sparse
from ..linear.prepared_layers import product_terms
from .norms import row_norms

__all__ = [
    "LayerRows", "Trace", "magnitudes", "points_at_once", "prepared", "pulled_back", "rows_of_layers", "trace", "zero",
]  # fmt: skip

BLOCK_MB = 96.0  # of the rows that a block of points may need
GATHERED = 1e5  # products of one point's rows from which picking its active neurons pays


class Prepared:
    """What a network's passes share."""

    def __init__(self, network: Network) -> None:
        layers = network.layers
        memory.claim(8e-6 * sum(w.size if not is_sparse(w) else w.nnz for k in layers for w in k.weights))
        self.absolute = [[absolute(w) for w in layer.weights] for layer in layers]
        self.terms = [sum(map(product_terms, k.weights)) + k.roundings + len(k.weights) + 8 for k in layers]
        self.norms: dict[tuple[int, float], Array] = {}  # of rows that read the input
        self.links: list[list[Matrix]] = []  # 1 where a weight is not 0; made when first needed
        self.biased = all(bool((layer.bias != 0.0).all()) for layer in layers)  # so that nothing is exactly 0


_PREPARED: WeakKeyDictionary[Network, Prepared] = WeakKeyDictionary()


def prepared(network: Network) -> Prepared:
    """Made once a network."""
    if network not in _PREPARED:
        _PREPARED[network] = Prepared(network)
    return _PREPARED[network]


@dataclass(eq=False)
class Trace:
    """Pre-activations of B points, each with its phases. Lists have an entry a layer, arrays are [B, size]."""

    pre: list[Array]
    errors: list[Array]  # |pre - exact|
    phases: list[Array]  # bool: whether the value passes; all True behind layers without ReLUs


@np.errstate(over="ignore", invalid="ignore")  # beyond float64 nothing follows: errors are infinite or NaN
def trace(network: Network, points: Array, phases: list[Array] | None = None) -> Trace:
    """points: [B, n]. phases: those of the affine pieces to evaluate; None: the network's own at the points (z >= 0).

    Errors are those of the pieces, or, without phases, those of the network whatever the exact phases are.
    """
    ready = prepared(network)
    values, carried = [points], [np.zeros_like(points)]
    found = Trace([], [], [])
    for k, layer in enumerate(network.layers):
        share = gamma(ready.terms[k])
        z = np.broadcast_to(layer.bias, (len(points), layer.size)).copy()
        error = np.broadcast_to(share * np.abs(layer.bias) + (layer.bias_error + TINY), z.shape).copy()
        for s, w, sizes in zip(layer.sources, layer.weights, ready.absolute[k], strict=True):
            z += times(values[s], w)
            error += times(share * np.abs(values[s]) + (1.0 + share) * carried[s], sizes)
        error *= UP
        if layer.kind != "relu":
            active = passing = np.ones(z.shape, dtype=bool)
        elif phases is None:
            active, passing = z >= 0.0, ~(z + error < 0.0)
        else:
            active = passing = phases[k]
        found.pre.append(z)
        found.errors.append(error)
        found.phases.append(active)
        values.append(z * active)
        carried.append(error * passing)
    return found


@dataclass(eq=False)
class LayerRows:
    """The rows P_k of one layer."""

    layer: int  # k - 1
    shared: Matrix | None  # [size, n] where all points have the same
    own: Array | None  # [B, size, n] else

    def dense(self, points: int) -> Array:
        """[B, size, n]."""
        if self.own is not None:
            return self.own
        shared: Matrix = self.shared
        matrix = shared.toarray() if is_sparse(shared) else shared
        return np.broadcast_to(matrix, (points, *matrix.shape))


@np.errstate(over="ignore", invalid="ignore")
def rows_of_layers(network: Network, phases: list[Array], layers: int) -> Iterator[LayerRows]:
    """The rows of the first `layers` layers, one layer after the other; what no later one reads is forgotten."""
    known: dict[int, LayerRows] = {}
    last_read = {s: k for k in range(layers) for s in network.layers[k].sources}
    for k, layer in enumerate(network.layers[:layers]):
        if set(layer.sources) <= {0}:
            matrix = layer.weights[0] if layer.sources else np.zeros((layer.size, network.input_size))
            rows = LayerRows(k, matrix, None)
        else:
            rows = LayerRows(k, None, _composed(layer, known, phases, network.input_size))
        yield rows
        known[k + 1] = rows
        known = {s: r for s, r in known.items() if last_read.get(s, 0) > k}


def _composed(layer: Layer, known: dict[int, LayerRows], phases: list[Array], inputs: int) -> Array:
    """sum over sources of W D P for each point: [B, size, n]."""
    count = len(phases[0])
    total = np.zeros((count, layer.size, inputs))
    for s, w in zip(layer.sources, layer.weights, strict=True):
        if s == 0:
            total += w.toarray() if is_sparse(w) else w
            continue
        rows, active = known[s], phases[s - 1]
        if layer.size * active.shape[1] * inputs >= GATHERED or is_sparse(w) or is_sparse(rows.shared):
            for b in range(count):
                kept = np.flatnonzero(active[b])
                read = rows.shared[kept] if rows.own is None else rows.own[b, kept]  # type: ignore[index]
                product = w[:, kept] @ read
                total[b] += product.toarray() if is_sparse(product) else product
        else:
            total += w @ (rows.dense(count) * active[:, :, None])
    return total


@np.errstate(over="ignore", invalid="ignore")
def pulled_back(network: Network, phases: list[Array], outputs: Array) -> Array:
    """Rows of linear functions of the outputs, outputs [B, R, classes], as functions of the input: [B, R, n].

    The last layer first, so that each layer costs one product with its weights.
    """
    count, rows = outputs.shape[:2]
    functions: dict[int, Array] = {len(network.layers): outputs.reshape(count * rows, -1)}
    for k in range(len(network.layers), 0, -1):
        function = functions.pop(k, None)
        if function is None:
            continue
        layer = network.layers[k - 1]
        if layer.kind == "relu":
            function = function * np.repeat(phases[k - 1], rows, axis=0)
        for s, w in zip(layer.sources, layer.weights, strict=True):
            back = function @ w if not is_sparse(w) else (w.T @ function.T).T
            functions[s] = functions[s] + back if s in functions else back
    found = functions.get(0)
    return np.zeros((count, rows, network.input_size)) if found is None else found.reshape(count, rows, -1)


@np.errstate(over="ignore", invalid="ignore")
def magnitudes(network: Network, phases: list[Array], order: float) -> list[Array]:
    """[B, size] a layer: bounds on the errors of its rows in the norm of that order, however they were added up."""
    ready, terms = prepared(network), 0
    sizes: list[Array] = []
    errors: list[Array] = []
    for k, layer in enumerate(network.layers):
        terms += ready.terms[k]
        size = np.full((len(phases[k]), layer.size), TINY)
        for s, w, a in zip(layer.sources, layer.weights, ready.absolute[k], strict=True):
            if s == 0:
                if (k, order) not in ready.norms:
                    ready.norms[k, order] = row_norms(w, order)
                size += ready.norms[k, order]
            else:
                size += times(sizes[s - 1] * phases[s - 1], a)
        sizes.append(size)
        errors.append(gamma(terms) * size * UP)
    return errors


def zero(network: Network, phases: list[Array]) -> list[Array]:
    """[B, size] bool a layer: pre-activations that are exactly 0 on the whole piece, since nothing reaches them."""
    ready = prepared(network)
    if ready.biased:
        return [np.zeros(p.shape, dtype=bool) for p in phases]
    if not ready.links:
        ready.links = [[(w != 0).astype(np.float64) for w in layer.weights] for layer in network.layers]
    reached: list[Array] = [np.ones((len(phases[0]), network.input_size), dtype=bool)]
    found = []
    for k, layer in enumerate(network.layers):
        some = np.broadcast_to((layer.bias != 0.0) | (layer.bias_error > 0.0), phases[k].shape).copy()
        for s, links in zip(layer.sources, ready.links[k], strict=True):
            some |= times(reached[s].astype(np.float64), links) > 0.0
        found.append(~some)
        reached.append(some & phases[k])
    return found


def points_at_once(network: Network) -> int:
    """How many points a block may have."""
    inner = [layer.size for layer in network.layers if not set(layer.sources) <= {0}][:-1]
    numbers = network.input_size * (3 * max(inner, default=0) + 2 * network.output_size) + 8 * sum(network.sizes)
    return max(1, int(min(BLOCK_MB, memory.room_mb() / 2) / (8e-6 * numbers)))


def times(x: Array, w: Matrix) -> Array:
    """x [B, n] -> x @ w.T [B, m]."""
    return x @ w.T if not is_sparse(w) else np.ascontiguousarray((w @ x.T).T)
