"""k-layer decoupling: bounds of a layer from the boxes of the values k layers before it, which count as inputs.

With k = 1 these are interval bounds (IBP, Gowal et al. 2018; the box domain), with k = the depth the lines are
substituted back to the input: parallel ones give Fast-Lin (Weng et al. 2018), adaptive ones CROWN (Zhang et al. 2018).
The scale between them is that of Salman et al. (NeurIPS 2019), Appendix D.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...instances.batch import Node, root
from ...instances.network import Array, Layer, Network, value_range
from ...instances.property import Case, InputSet, Polyhedron
from ...instances.query import Query
from ..linear.bounds import LinearBoundOptions
from ..linear.linear_bounds import bound

__all__ = ["decoupled"]

ROWS = 256  # neurons that are bounded at a time


def decoupled(query: Query, node: Node, k: int, slopes: str = "adaptive") -> tuple[Node, Array]:
    """(the node with bounds of all neurons, lower bounds [rows] of the margins), from the node's box alone.

    k: layers that each walk goes back, >= 1; slopes: of unstable ReLUs, "adaptive" or "parallel". Bounds that the node
    has are not used; where some lower bound is above its upper one the box is empty.
    Raises ValueError for a smaller k or another rule.
    """
    if k < 1:
        raise ValueError(f"k = {k}: expected at least 1")
    options = LinearBoundOptions(slopes=slopes, hidden=False, kernel="plain")
    network, boxes = query.network, [(node.lower, node.upper)]
    hidden = np.full(query.neurons, -np.inf), np.full(query.neurons, np.inf)
    for end, layer in enumerate(network.layers[:-1], start=1):
        part, first = query.slices[end - 1], max(1, end - k + 1)
        for rows in np.array_split(np.arange(layer.size), -(-layer.size // ROWS)):
            asked = _piece(network, first, end, boxes, _both(layer, rows))
            least = _margins(asked, query, hidden, first, end, options)
            hidden[0][part.start + rows], hidden[1][part.start + rows] = least[: len(rows)], -least[len(rows) :]
        boxes.append(value_range(layer.kind, hidden[0][part], hidden[1][part]))
    end = len(network.layers)
    first = max(1, end - k + 1)
    margins = _margins(_piece(network, first, end, boxes, network.layers[-1]), query, hidden, first, end, options)
    return replace(node, pre_lower=hidden[0], pre_upper=hidden[1]), margins


def _both(layer: Layer, rows: Array) -> Layer:
    """Pre-activations of some neurons, and their negatives."""
    picked = [w[rows] if isinstance(w, np.ndarray) else w[rows].toarray() for w in layer.weights]
    weights = tuple(np.concatenate([w, -w]) for w in picked)
    return replace(layer, kind="identity", weights=weights, bias=np.concatenate([layer.bias[rows], -layer.bias[rows]]))


def _piece(network: Network, first: int, end: int, boxes: list[tuple[Array, Array]], last: Layer) -> Query:
    """The layers first..end-1 and `last` behind them as a query; values before layer `first` that they read are its
    inputs."""
    layers = [*network.layers[first - 1 : end - 1], last]
    read = sorted({s for layer in layers for s in layer.sources if s < first})
    offsets = dict(zip(read, np.cumsum([0, *(network.sizes[s] for s in read)]).tolist(), strict=False))
    inputs = max(1, sum(network.sizes[s] for s in read))
    small = Network(inputs, tuple(_shifted(layer, first, offsets, inputs) for layer in layers))
    ends = [np.concatenate([boxes[s][i] for s in read] or [np.zeros(1)]) for i in range(2)]
    region = InputSet.box(*ends)
    case = Case(region, (Polyhedron(np.zeros((1, last.size)), np.zeros(1)),))
    return Query(small, region, np.array([0, last.size]), case)


def _shifted(layer: Layer, first: int, offsets: dict[int, int], inputs: int) -> Layer:
    """A layer whose sources before `first` are parts of one input, weights dense."""
    merged, sources, weights = np.zeros((layer.size, inputs)), [], []
    for s, w in zip(layer.sources, layer.weights, strict=True):
        dense = w if isinstance(w, np.ndarray) else w.toarray()
        if s < first:
            merged[:, offsets[s] : offsets[s] + dense.shape[1]] = dense
        else:
            sources.append(s - first + 1)
            weights.append(dense)
    return replace(layer, sources=(0, *sources), weights=(merged, *weights))


def _margins(
    asked: Query, query: Query, hidden: tuple[Array, Array], first: int, end: int, options: LinearBoundOptions
) -> Array:
    """Lower bounds of the rows of a piece from what is known of its hidden neurons."""
    inside = np.arange(query.neurons)[slice(*_span(query, first, end))]
    batch = replace(root(asked), pre_lower=hidden[0][None, inside], pre_upper=hidden[1][None, inside])
    return np.asarray(bound(asked, batch, options).margins[0])


def _span(query: Query, first: int, end: int) -> tuple[int, int]:
    """Flat numbers of the neurons of the layers first..end-1."""
    return (query.slices[first - 1].start, query.slices[end - 2].stop) if end > first else (0, 0)
