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


def decoupled(query: Query, node: Node, k: int, slopes: str = "adaptive") -> tuple[Node, Array]:
    """(the node with bounds of all neurons, lower bounds [rows] of the margins), from the node's box alone.

    k: layers that each walk goes back, >= 1; slopes: of unstable ReLUs, "adaptive" or "parallel". Bounds that the node
    has are not used; where some lower bound is above its upper one the box is empty.
    Raises ValueError for a smaller k or another rule.
    """
    if k < 1:
        raise ValueError(f"k = {k}: expected at least 1")
    options = LinearBoundOptions(slopes=slopes, hidden=False, kernel="plain")
    network = query.network
    lows, highs = [node.lower], [node.upper]
    pre_lower, pre_upper = np.full(query.neurons, -np.inf), np.full(query.neurons, np.inf)
    for end, layer in enumerate(network.layers[:-1], start=1):
        part = query.slices[end - 1]
        asked, start = _piece(network, max(1, end - k + 1), end, lows, highs, both=True)
        least = _margins(asked, (pre_lower[start : part.start], pre_upper[start : part.start]), options)
        pre_lower[part], pre_upper[part] = least[: layer.size], -least[layer.size :]
        low, high = value_range(layer.kind, pre_lower[part], pre_upper[part])
        lows.append(low)
        highs.append(high)
    end = len(network.layers)
    asked, start = _piece(network, max(1, end - k + 1), end, lows, highs, both=False)
    margins = _margins(asked, (pre_lower[start:], pre_upper[start:]), options)
    return replace(node, pre_lower=pre_lower, pre_upper=pre_upper), margins


def _piece(
    network: Network, first: int, end: int, lows: list[Array], highs: list[Array], both: bool
) -> tuple[Query, int]:
    """(layers first..end as a query of the last one's pre-activations, `both` of them and their negatives; how many
    neurons lie before it). Values before layer `first` are its inputs."""
    sizes = network.sizes[:first]
    offsets = np.cumsum([0, *sizes])
    layers = [_shifted(network.layers[v - 1], first, offsets) for v in range(first, end + 1)]
    last = replace(layers[-1], kind="identity")
    if both:
        weights = tuple(np.concatenate([w, -w]) for w in last.weights)
        last = replace(last, weights=weights, bias=np.concatenate([last.bias, -last.bias]))
    small = Network(int(offsets[-1]), (*layers[:-1], last))
    region = InputSet.box(np.concatenate(lows[:first]), np.concatenate(highs[:first]))
    rows = last.size
    case = Case(region, tuple(Polyhedron(row[None], np.zeros(1)) for row in np.eye(rows)))
    return Query(small, region, np.arange(rows + 1), case), int(sum(sizes[1:]))


def _shifted(layer: Layer, first: int, offsets: Array) -> Layer:
    """A layer whose sources before `first` are parts of one input, weights dense."""
    inputs, sources, weights = np.zeros((layer.size, int(offsets[-1]))), [], []
    for s, w in zip(layer.sources, layer.weights, strict=True):
        dense = w if isinstance(w, np.ndarray) else w.toarray()
        if s < first:
            inputs[:, offsets[s] : offsets[s + 1]] = dense
        else:
            sources.append(s - first + 1)
            weights.append(dense)
    return replace(layer, sources=(0, *sources), weights=(inputs, *weights))


def _margins(query: Query, hidden: tuple[Array, Array], options: LinearBoundOptions) -> Array:
    """Lower bounds of the query's rows from the bounds of its hidden neurons."""
    batch = replace(root(query), pre_lower=hidden[0][None], pre_upper=hidden[1][None])
    return np.asarray(bound(query, batch, options).margins[0])
