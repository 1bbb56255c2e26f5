"""Networks as a DAG of affine maps and activations, in topological order.

The paper's notation is kept: x_0 = x is the input, z_k = sum_j W_kj x_j + b_k the *pre-activation* of
layer k, x_k = act_k(z_k) its *value*. A layer may read several earlier values, so residual sums stay edges.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .checks import finite_array, finite_matrix, whole_number
from .curves.names import CURVES, JUMPING, PARTIAL, curve, is_curve
from .curves.ranges import curve_range
from .errors import NetworkError
from .rounding import CURVE_VALUE, ELEMENTARY
from .sparse import is_sparse

if TYPE_CHECKING:
    import networkx as nx

    from .readout import Readout

__all__ = ["ACTIVATIONS", "Array", "Difference", "Layer", "Matrix", "Network", "Port", "sequential"]

Array = NDArray[Any]  # float64 where nothing else is said
Matrix = Any  # Array, or scipy.sparse.csr_array of float64 where that is cheaper

# of a layer, or the name of a curve with parameters (`curves.names`): "elu:1.5", "power:3"
ACTIVATIONS = ("identity", "relu", *CURVES, *PARTIAL, *JUMPING)


@dataclass(frozen=True)
class Port:
    """An input or an output of an ONNX file."""

    name: str
    shape: tuple[int, ...]  # batch axis included
    element: int  # element type, a number of onnx.TensorProto; 0 where it is not known

    @property
    def size(self) -> int:
        """Number of entries."""
        return math.prod(self.shape)


@dataclass(frozen=True, eq=False)
class Layer:
    """One affine map and the activation behind it: x_k = act(sum_j weights[j] @ x_{sources[j]} + bias).

    Raises NetworkError where a field is not what is said below; numbers of other types become float64.
    """

    sources: tuple[int, ...]  # values read, ascending, each once; 0 is the input, k the value of layers[k - 1]
    weights: tuple[Matrix, ...]  # one [size, size of that source] per source, float64, dense or csr_array
    bias: Array  # [size]
    kind: str = "identity"  # one of ACTIVATIONS or another curve's name, applied to every neuron of the layer
    name: str = ""  # the ONNX node that the layer comes from, for messages
    bias_error: float = 0.0  # bound on |bias - exact folded bias|, per entry (folding rounds)
    roundings: int = 0  # each weight is the exact one up to a relative error of roundings * 2**-53

    def __post_init__(self) -> None:
        name = f"layer {self.name!r}"
        if not isinstance(self.kind, str) or not (self.kind in ACTIVATIONS or is_curve(self.kind)):
            others = "or one like 'elu:1.5' and 'power:3'"
            raise NetworkError(f"{name}: activation {self.kind!r}, expected one of {ACTIVATIONS} {others}")
        if not isinstance(self.sources, tuple) or not isinstance(self.weights, tuple):
            raise NetworkError(f"{name}: sources and weights must be tuples, one weight matrix a source")
        if len(self.sources) != len(self.weights):
            raise NetworkError(f"{name}: {len(self.weights)} weights for {len(self.sources)} sources")
        for s in self.sources:
            whole_number(s, 0, f"{name}: source", NetworkError)
        whole_number(self.roundings, 0, f"{name}: roundings", NetworkError)
        bias = finite_array(self.bias, (None,), f"{name}: bias", NetworkError)
        shape = len(bias), None
        weights = tuple(
            finite_matrix(w, shape, f"{name}: weights of source {s}", NetworkError)
            for s, w in zip(self.sources, self.weights, strict=True)
        )
        if not float(finite_array(self.bias_error, (), f"{name}: bias_error", NetworkError)) >= 0.0:
            raise NetworkError(f"{name}: bias_error {self.bias_error}, expected >= 0")
        object.__setattr__(self, "bias", bias)
        object.__setattr__(self, "weights", weights)

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(self.bias.shape[0])


@dataclass(frozen=True, eq=False)
class Difference:
    """What an affine layer holds: z_first[left] - z_second[right], pre-activations of two ReLU layers.

    first < second < layer, and nothing between them reads the first, nor anything the layer itself
    (`rewriting/differences.py`).
    """

    first: int
    second: int
    layer: int
    left: NDArray[np.int64]  # [size of layer] neurons of the first, each once
    right: NDArray[np.int64]  # [size of layer] neurons of the second, each once


@dataclass(frozen=True, eq=False)
class Network:
    """A feed-forward network R^input_size -> R^output_size. The value of the last layer is the output.

    Raises NetworkError where layers do not fit together.
    """

    input_size: int
    layers: tuple[Layer, ...]
    input_shape: tuple[int, ...] = ()  # shape that the ONNX file expects, batch axis included
    output_shape: tuple[int, ...] = ()
    input_name: str = "X"
    output_name: str = "Y"
    source: str = ""  # path of the file, "" when built in memory
    operators: dict[str, int] = field(default_factory=dict)  # ONNX operator -> how many nodes
    unmodelled: str = ""  # the file rounds where this network does not, and how; then no bound of it proves anything
    inputs: tuple[Port, ...] = ()  # of the ONNX file, which count one after another as x; () when built in memory
    outputs: tuple[Port, ...] = ()
    readout: Readout | None = None  # the file's outputs are a softmax of these, of which only the order is told
    parts: tuple[Network, ...] = ()  # networks side by side, each with a file of its own, that this one stands for
    differences: tuple[Difference, ...] = ()  # of networks that are nearly one

    def __post_init__(self) -> None:
        whole_number(self.input_size, 1, "input_size", NetworkError)
        if not isinstance(self.layers, tuple) or not all(isinstance(layer, Layer) for layer in self.layers):
            raise NetworkError("layers: expected a tuple of Layer")
        sizes = [self.input_size]
        for k, layer in enumerate(self.layers, start=1):
            if list(layer.sources) != sorted(set(layer.sources)) or any(not 0 <= s < k for s in layer.sources):
                where = f"layer {k} ({layer.name})"
                raise NetworkError(f"{where}: sources {layer.sources} must ascend and lie in 0..{k - 1}")
            for s, w in zip(layer.sources, layer.weights, strict=True):
                if w.shape != (layer.size, sizes[s]):
                    raise NetworkError(f"layer {k} ({layer.name}): weight {w.shape}, expected {(layer.size, sizes[s])}")
            sizes.append(layer.size)
        if not self.layers:
            raise NetworkError("a network needs at least one layer")
        for d in self.differences:
            ends = 0 < d.first < d.second < d.layer < len(self.layers)
            if not ends or not len(d.left) == len(d.right) == self.layers[d.layer - 1].size:
                raise NetworkError(f"differences of layers {d.first} and {d.second} in {d.layer}: no such layers")

    @property
    def output_size(self) -> int:
        """Number of outputs."""
        return self.layers[-1].size

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Sizes of the values x_0, x_1, ..."""
        return (self.input_size, *(layer.size for layer in self.layers))

    @property
    def piecewise_linear(self) -> bool:
        """Whether splitting phases can make the network affine (there are no curves)."""
        return all(layer.kind in ("identity", "relu") for layer in self.layers)

    @cached_property
    def graph(self) -> nx.DiGraph:
        """The DAG of values: node k is x_k, with `size` and `kind`; an edge for each source read.

        >>> add = Layer((0, 1), (np.eye(2), np.eye(2)), np.zeros(2))
        >>> net = Network(2, (Layer((0,), (np.eye(2),), np.zeros(2), "relu"), add))
        >>> net.shortcuts, net.depth
        ([(0, 2)], 2)
        """
        import networkx as nx

        graph = nx.DiGraph()
        graph.add_node(0, size=self.input_size, kind="input")
        for k, layer in enumerate(self.layers, start=1):
            graph.add_node(k, size=layer.size, kind=layer.kind)
            graph.add_edges_from((s, k) for s in layer.sources)
        return graph

    @property
    def shortcuts(self) -> list[tuple[int, int]]:
        """Edges (s, k) past which a longer path leads from x_s to x_k: residual connections."""
        sources = [(), *(layer.sources for layer in self.layers)]
        joins = [(k, read) for k, read in enumerate(sources) if len(read) > 1]
        return sorted((s, k) for k, read in joins for s in read if _leads(sources, s, read))

    @property
    def depth(self) -> int:
        """Layers on a longest path through the network."""
        import networkx as nx

        return int(nx.dag_longest_path_length(self.graph))

    @np.errstate(over="ignore", invalid="ignore")  # beyond float64 the values are inf or NaN
    def values(self, x: Array) -> tuple[list[Array], list[Array]]:
        """Run the network in float64.

        x: [batch, input_size]. Returns (values, pre_activations): values[k] is x_k, [batch, size of k], and
        pre_activations[k - 1] is z_k.
        """
        values, pre = [x], []
        for layer in self.layers:
            z = layer.bias[None, :].repeat(len(x), axis=0)
            for s, w in zip(layer.sources, layer.weights, strict=True):
                z += values[s] @ w.T if isinstance(w, np.ndarray) else (w @ values[s].T).T
            pre.append(z)
            values.append(activate(layer.kind, z))
        return values, pre

    def evaluate(self, x: Array) -> Array:
        """f(x) in float64 for x of shape [batch, input_size] or [input_size]."""
        x = np.asarray(x, dtype=np.float64)
        flat = x.reshape(-1, self.input_size)
        out = self.values(flat)[0][-1]
        return out[0] if x.ndim == 1 else out

    @np.errstate(over="ignore", invalid="ignore")  # beyond float64 the values are inf or NaN
    def pullback(self, pre: list[Array], cotangent: Array) -> Array:
        """Gradient of sum(cotangent * f(x)) towards x (exact: the network's own slopes, 0 at a ReLU's kink).

        pre: pre-activations from `values`, each [batch, size]; cotangent: [batch, output_size].
        Returns [batch, input_size].
        """
        grads: dict[int, Array] = {len(self.layers): cotangent}
        for k in range(len(self.layers), 0, -1):
            grad = grads.pop(k, None)
            if grad is None:
                continue
            layer = self.layers[k - 1]
            grad = grad * derivative(layer.kind, pre[k - 1])
            for s, w in zip(layer.sources, layer.weights, strict=True):
                back = grad @ w if isinstance(w, np.ndarray) else (w.T @ grad.T).T
                grads[s] = grads[s] + back if s in grads else back
        return grads.get(0, np.zeros((len(cotangent), self.input_size)))


def _leads(sources: Sequence[tuple[int, ...]], s: int, read: tuple[int, ...]) -> bool:
    """Whether a path leads from x_s to one of the other values that are read."""
    asked, seen = [t for t in read if t > s], set(read)
    while asked:
        for t in sources[asked.pop()]:
            if t == s:
                return True
            if t > s and t not in seen:
                seen.add(t)
                asked.append(t)
    return False


def curved(kind: str) -> bool:
    """Whether an activation is a curve: no phase makes it affine."""
    return kind not in ("identity", "relu")


def activate(kind: str, z: Array) -> Array:
    """act(z), elementwise."""
    if kind == "relu":
        return np.maximum(z, 0.0)
    return curve(kind).value(z) if curved(kind) else z


def derivative(kind: str, z: Array) -> Array:
    """act'(z), elementwise; 0 at a ReLU's kink."""
    if kind == "relu":
        return (z > 0).astype(np.float64)
    return curve(kind).slope(z) if curved(kind) else np.ones_like(z)


def leading_slope(kind: str, z: Array) -> Array:
    """What a descent follows, elementwise: act'(z), but for steps, whose slopes lead nowhere."""
    lead = curve(kind).lead if curved(kind) else None
    return derivative(kind, z) if lead is None else lead(z)


def value_range(kind: str, lower: Array, upper: Array) -> tuple[Array, Array]:
    """Bounds of act(z) for real z in [lower, upper], elementwise, and beyond by what values of curves round."""
    if curved(kind) and kind not in ("sigmoid", "tanh"):
        return curve_range(curve(kind), lower, upper, CURVE_VALUE)
    low, high = activate(kind, lower), activate(kind, upper)
    return (low - ELEMENTARY, high + ELEMENTARY) if curved(kind) else (low, high)


def sequential(weights: list[Array], biases: list[Array], last: str = "identity") -> Network:
    """A plain chain W, b, ReLU, W, b, ReLU, ..., W, b with `last` behind the last map.

    >>> net = sequential([np.array([[1.0, -1.0]]), np.array([[2.0]])], [np.zeros(1), np.ones(1)])
    >>> net.evaluate(np.array([3.0, 1.0]))
    array([5.])
    """
    kinds = ["relu"] * (len(weights) - 1) + [last]
    layers = tuple(
        Layer((k,), (_compact(w),), np.asarray(b, dtype=np.float64), kind, f"layer_{k + 1}")
        for k, (w, b, kind) in enumerate(zip(weights, biases, kinds, strict=True))
    )
    return Network(layers[0].weights[0].shape[1], layers)


def _compact(w: Any) -> Matrix:
    return w.tocsr().astype(np.float64) if is_sparse(w) else np.ascontiguousarray(w, dtype=np.float64)
