"""Values and gradients for attacks: the network's passes with one point a column, in float32 where that pays.

Attacks need no rigour, only speed. Three things make a pass over a large network several times faster than
`Network.values`: points are columns, so that a sparse product reads and writes whole rows; convolutions are products of
dense blocks (`gathered_blocks`); and numbers are float32, unless the network is so small that nothing is won.
"""

from __future__ import annotations

import weakref
from functools import cached_property
from typing import Any

import numpy as np

from ...instances import memory
from ...instances.network import Array, Matrix, Network, activate, curved, leading_slope
from .gathered_blocks import product_form

__all__ = ["Passes", "passes_of"]

SINGLE_FROM = 20_000  # weights from which float32 is faster than float64
FINE = 1e-4  # width of the widest interval, as a share of the coordinates, below which float32 is too coarse
LARGEST = 1e30  # width above which float32 soon overflows
CHUNK = 64  # points at a time: more fall out of the cache where layers are wide
BY_VALUE = ("sigmoid", "tanh")  # curves whose slope is told by their value
WIDE = 4096  # neurons of the widest layer from which that matters


class Passes:
    """One network's weights in the form that its passes want."""

    def __init__(self, network: Network, dtype: np.dtype[Any]) -> None:
        # the cache holds the network weakly, so its passes must not hold it
        self.layers, self.output_size = network.layers, network.output_size
        self.dtype = dtype
        self.single = dtype == np.float32
        self.biases = [layer.bias.astype(self.dtype)[:, None] for layer in network.layers]
        self.chunk = CHUNK if max(network.sizes) >= WIDE else 1024
        # MB of the weights in another form; sparse ones have an index each
        self.form_mb = 1e-6 * (dtype.itemsize + 4) * network_weights(network)

    @cached_property
    def maps(self) -> list[list[Matrix]]:
        """[layer][source] weights."""
        memory.claim(self.form_mb)
        return [[product_form(w, self.dtype) for w in layer.weights] for layer in self.layers]

    @cached_property
    def back(self) -> list[list[Matrix]]:
        """[layer][source] transposed weights."""
        memory.claim(2.0 * self.form_mb)  # a transposed copy on the way
        dense = np.ndarray
        return [
            [m.T if isinstance(m, dense) else product_form(w.T, self.dtype) for m, w in zip(ms, k.weights, strict=True)]
            for ms, k in zip(self.maps, self.layers, strict=True)
        ]

    def forward(self, x: Array) -> list[Array]:
        """Values x_0, x_1, ... of the points x [inputs, P], each [size, P]; the last ones are the margins."""
        values = [x]
        for k, layer in enumerate(self.layers, start=1):
            z = self._pre(k, values)
            values.append(np.maximum(z, 0.0, out=z) if layer.kind == "relu" else activate(layer.kind, z))
        return values

    def _pre(self, k: int, values: list[Array]) -> Array:
        """Pre-activations [size, P] of layer k from the values before it."""
        layer, maps = self.layers[k - 1], self.maps[k - 1]
        z = maps[0] @ values[layer.sources[0]]
        for s, w in zip(layer.sources[1:], maps[1:], strict=True):
            z += w @ values[s]
        z += self.biases[k - 1]
        return np.asarray(z)

    def backward(self, values: list[Array], cotangent: Array, leak: float = 0.0) -> Array:
        """Gradient [inputs, P] of sum(cotangent * margins), cotangent [rows, P]; values as `forward` gave them.

        leak: slope that is taken for ReLUs that are off.
        """
        last = len(self.layers)
        grads: dict[int, Array] = {last: np.ascontiguousarray(cotangent, dtype=self.dtype)}
        for k in range(last, 0, -1):
            grad = grads.pop(k, None)
            if grad is None:
                continue
            layer = self.layers[k - 1]
            if curved(layer.kind) and layer.kind not in BY_VALUE:
                grad = np.asarray(grad * leading_slope(layer.kind, self._pre(k, values)))
            else:
                grad = _through(layer.kind, values[k], grad, leak)
            for s, back in zip(layer.sources, self.back[k - 1], strict=True):
                part = back @ grad
                grads[s] = grads[s] + part if s in grads else part
        return grads.get(0, np.zeros_like(values[0]))

    def margins(self, x: Array) -> Array:
        """Margins [P, rows] of points x [P, inputs], as float64 numbers."""
        columns = np.ascontiguousarray(x.T, dtype=self.dtype)
        parts = [self.forward(columns[:, i : i + self.chunk])[-1].T for i in range(0, len(x), self.chunk)]
        return np.concatenate([np.zeros((0, self.output_size)), *parts])


_CACHE: weakref.WeakKeyDictionary[Network, dict[str, Passes]] = weakref.WeakKeyDictionary()


def passes_of(network: Network, lower: Array, upper: Array) -> Passes:
    """The network's passes, made once a type: float32 where the network is large and the boxes are of ordinary sizes.

    lower, upper: [inputs] or [B, inputs], the boxes that the points lie in.
    """
    single = network_weights(network) >= SINGLE_FROM
    if single:
        width, reach = float(np.max(upper - lower)), float(np.max(np.abs([lower.max(), lower.min(), upper.max()])))
        single = FINE * reach <= width <= LARGEST
    dtype = np.dtype(np.float32 if single else np.float64)
    known = _CACHE.setdefault(network, {})
    if dtype.name not in known:
        known[dtype.name] = Passes(network, dtype)
    return known[dtype.name]


def network_weights(network: Network) -> int:
    """Number of weights that products run over."""
    return sum(w.size if isinstance(w, np.ndarray) else int(w.nnz) for k in network.layers for w in k.weights)


def _through(kind: str, value: Array, grad: Array, leak: float) -> Array:
    """grad * act'(z) by the activation's value."""
    if kind == "relu":
        return np.multiply(grad, np.maximum(value > 0.0, grad.dtype.type(leak)) if leak else value > 0.0)
    if kind == "sigmoid":
        return np.asarray(grad * (value * (1.0 - value)))
    if kind == "tanh":
        return np.asarray(grad * (1.0 - value * value))
    return grad
