"""Several networks as one: f(x) and g(z) become (x, z) -> (f(x), g(z)).

Their layers stand one behind another, none reads another's; those that read the input get zero columns for what is not
theirs, and a last layer sets the outputs side by side. No weight is changed, so nothing is rounded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..network import Array, Layer, Matrix, Network
from ..readout import Readout
from ..sparse import sp

__all__ = ["side_by_side"]


def side_by_side(networks: Sequence[Network]) -> Network:
    """One network over all inputs; a single network is returned as it is. `parts` of the result are the networks."""
    if len(networks) == 1:
        return networks[0]
    inputs = [network.input_size for network in networks]
    layers: list[Layer] = []
    ends: list[int] = []  # the value that holds each network's output
    for k, network in enumerate(networks):
        first = len(layers)
        for layer in network.layers:
            sources = tuple(s + first if s else 0 for s in layer.sources)
            pairs = zip(layer.sources, layer.weights, strict=True)
            weights = tuple(w if s else _placed(w, sum(inputs[:k]), sum(inputs)) for s, w in pairs)
            layers.append(replace(layer, sources=sources, weights=weights))
        ends.append(len(layers))
    outputs = [network.output_size for network in networks]
    rows = np.eye(sum(outputs))
    blocks = np.split(rows, np.cumsum(outputs)[:-1], axis=1)
    weights = tuple(sp.csr_array(b) if b.size > 4096 else b for b in blocks)
    layers.append(Layer(tuple(ends), weights, np.zeros(sum(outputs)), "identity", "side by side"))
    operators: Counter[str] = Counter()
    for network in networks:
        operators.update(network.operators)
    return Network(
        sum(inputs), tuple(layers), (sum(inputs),), (sum(outputs),),
        source=", ".join(dict.fromkeys(n.source for n in networks if n.source)),
        operators=dict(sorted(operators.items())),
        unmodelled=next((n.unmodelled for n in networks if n.unmodelled), ""), parts=tuple(networks),
        inputs=tuple(port for n in networks for port in n.inputs) if all(n.inputs for n in networks) else (),
        outputs=tuple(port for n in networks for port in n.outputs) if all(n.outputs for n in networks) else (),
        readout=_readout(networks),
    )  # fmt: skip


def _readout(networks: Sequence[Network]) -> Readout | None:
    """The readouts of all, whose vectors stay apart."""
    if not any(network.readout for network in networks):
        return None
    kinds: list[str] = []
    vectors: list[NDArray[np.int64]] = []
    known = 0
    for network in networks:
        own = network.readout or Readout(("",) * network.output_size, np.full(network.output_size, -1))
        kinds += own.kinds
        vectors.append(np.where(own.vectors >= 0, own.vectors + known, -1))
        known += int(own.vectors.max(initial=-1)) + 1
    return Readout(tuple(kinds), np.concatenate(vectors))


def _placed(w: Matrix, before: int, width: int) -> Matrix:
    """The columns of w [m, n] behind `before` columns of zeros, `width` in all."""
    if isinstance(w, np.ndarray):
        wide: Array = np.zeros((len(w), width))
        wide[:, before : before + w.shape[1]] = w
        return wide
    rows = w.shape[0]
    sides = sp.csr_array((rows, before)), sp.csr_array((rows, width - before - w.shape[1]))
    return sp.csr_array(sp.hstack([sides[0], w, sides[1]]))
