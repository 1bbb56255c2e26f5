"""ONNX operators as affine expressions and layers: one function an operator, found by its name in OPERATORS.

Here stand the operators that move entries about and those that act entry by entry; products, convolutions
and averages are in onnx_linear.py, ReLUs and what they express in onnx_activations.py, arithmetic on
constants in onnx_constants.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..errors import NetworkError, UnsupportedOperatorError
from .activations import absolute, activation, clip, extremum, leaky_relu, max_pool, parametric_relu
from ..expressions.affine import check_size
from .constants import CAST, FOLDED, SHAPES, added, divided, multiplied, negated
from ..expressions.element_types import FLOATS, check_integers, type_name
from .linear import average_pool, batch_normalization, conv, gemm, global_average_pool, matmul, reduce
from ..expressions.node import Constant, Node, Tensor, finite, moved

__all__ = ["OPERATORS", "run"]

Operator = Callable[[Node], Tensor | list[Tensor]]


def run(node: Node) -> list[Tensor]:
    """Outputs of a node.

    Raises NetworkError, UnsupportedOperatorError, or what numpy raises where shapes do not fit.
    """
    constant = all(t is None or isinstance(t, Constant) for t in node.inputs)
    if node.kind in SHAPES:
        return [SHAPES[node.kind](node)]
    if constant and node.kind in FOLDED:
        return [FOLDED[node.kind](node)]
    if node.kind not in OPERATORS:
        on_constants = node.kind in FOLDED
        what = (
            "supported on constants alone"
            if on_constants
            else "not supported; supported are " + ", ".join(OPERATORS)
        )
        raise UnsupportedOperatorError(f"the operator {node.kind} is {what}")
    check_integers(node.kind, node.types, node.inputs)
    result = OPERATORS[node.kind](node)
    return result if isinstance(result, list) else [result]


def _identity(node: Node) -> Tensor:
    return node.tensor(0)


def _dropout(node: Node) -> Tensor:
    if node.has(2) and bool(node.constant(2).array.any()):
        raise UnsupportedOperatorError("training_mode; supported is inference")
    return node.tensor(0)


def _cast(node: Node) -> Tensor:
    x = node.tensor(0)
    if isinstance(x, Constant):
        return CAST(node)
    target = int(node.attributes["to"])
    if target not in FLOATS:
        raise UnsupportedOperatorError(
            "a tensor that depends on the network's input becomes other than a float: "
            f"{type_name(target)}, which does not hold every value; supported are casts among floats"
        )
    return x  # whether that rounds is said by element_types.rounding


def _add(node: Node) -> Tensor:
    """Add, and Sum of any number of tensors."""
    out = node.tensor(0)
    for i in range(1, len(node.inputs)):
        out = _plus(node, out, node.tensor(i))
    return out


def _subtract(node: Node) -> Tensor:
    a, b = node.tensor(0), node.tensor(1)
    return _plus(node, a, negated(b) if isinstance(b, Constant) else node.builder.scale(b, -1.0))


def _plus(node: Node, a: Tensor, b: Tensor) -> Tensor:
    if isinstance(a, Constant) and isinstance(b, Constant):
        return added(a, b)
    a, b = node.broadcast(a, b)
    if isinstance(a, Constant):
        a, b = b, a
    if isinstance(b, Constant):
        return node.builder.shift(node.affine(a), *node.offset(b))
    return node.builder.add(node.affine(a), b)


def _negate(node: Node) -> Tensor:
    x = node.tensor(0)
    return negated(x) if isinstance(x, Constant) else node.builder.scale(x, -1.0)


def _multiply(node: Node) -> Tensor:
    a, b = node.tensor(0), node.tensor(1)
    if isinstance(a, Constant) and isinstance(b, Constant):
        return multiplied(a, b)
    a, b = node.broadcast(a, b)
    if isinstance(a, Constant):
        a, b = b, a
    if not isinstance(b, Constant):
        raise UnsupportedOperatorError(
            "both factors depend on the network's input; supported is one constant factor"
        )
    return node.builder.scale(node.affine(a), finite(b).array, b.roundings)


def _divide(node: Node) -> Tensor:
    a, b = node.tensor(0), node.constant(1)
    if isinstance(a, Constant):
        return divided(a, b)
    divisor = Constant(finite(b).array.astype(np.float64), b.roundings, b.name)
    inverse = divided(Constant(np.ones(b.shape)), divisor)
    shape = np.broadcast_shapes(a.shape, b.shape)
    spread = node.builder.move(a, lambda i: np.broadcast_to(i, shape))
    return node.builder.scale(spread, inverse.array, inverse.roundings)


def _flatten(node: Node) -> Tensor:
    x, axis = node.tensor(0), int(node.attributes.get("axis", 1))
    dims = len(x.shape)
    if not -dims <= axis <= dims:
        raise NetworkError(f"axis {axis} of a tensor of shape {x.shape}")
    rows = math.prod(x.shape[: axis + dims if axis < 0 else axis])
    return moved(node, x, lambda i: i.reshape(rows, math.prod(x.shape) // max(rows, 1)))


def _reshape(node: Node) -> Tensor:
    x, wanted = node.tensor(0), node.integers("shape", 1)
    if wanted is None:
        raise NetworkError("the new shape is missing")
    if not node.attributes.get("allowzero", 0):
        wanted = [x.shape[d] if n == 0 else n for d, n in enumerate(wanted)]
    size = math.prod(x.shape)
    if -1 not in wanted and math.prod(wanted) != size and math.prod(wanted[1:]) == size:
        wanted[0] = 1  # the batch size that the exporter saw; a network is read for one input
    return moved(node, x, lambda i: i.reshape(wanted))


def _transpose(node: Node) -> Tensor:
    return moved(node, node.tensor(0), lambda i: np.transpose(i, node.attributes.get("perm")))


def _squeeze(node: Node) -> Tensor:
    axes = node.integers("axes", 1)
    return moved(node, node.tensor(0), lambda i: np.squeeze(i, None if axes is None else tuple(axes)))


def _unsqueeze(node: Node) -> Tensor:
    axes = node.integers("axes", 1)
    if axes is None:
        raise NetworkError("the axes are missing")
    return moved(node, node.tensor(0), lambda i: np.expand_dims(i, tuple(axes)))


def _expand(node: Node) -> Tensor:
    x, wanted = node.tensor(0), node.integers("shape", 1)
    shape = np.broadcast_shapes(x.shape, tuple(wanted or ()))
    check_size(float(np.prod(shape, dtype=float)))
    return moved(node, x, lambda i: np.broadcast_to(i, shape))


def _tile(node: Node) -> Tensor:
    x, repeats = node.tensor(0), node.integers("repeats", 1)
    if repeats is None or len(repeats) != len(x.shape):
        raise NetworkError(f"repeats {repeats} of a tensor of shape {x.shape}")
    check_size(math.prod(x.shape) * float(np.prod(repeats, dtype=float)))
    return moved(node, x, lambda i: np.tile(i, repeats))


def _concat(node: Node) -> Tensor:
    axis = int(node.attributes["axis"])
    parts = [node.tensor(i) for i in range(len(node.inputs))]
    constants = [p for p in parts if isinstance(p, Constant)]
    if len(constants) == len(parts):
        array = np.concatenate([c.array for c in constants], axis=axis)
        return Constant(array, max(c.roundings for c in constants), constants[0].name)
    expressions = [node.affine(p) for p in parts]
    starts = np.cumsum([0, *(e.size for e in expressions)])
    index = np.concatenate(
        [s + np.arange(e.size).reshape(e.shape) for s, e in zip(starts, expressions, strict=False)], axis=axis
    )
    return node.builder.move(node.builder.stack(expressions), lambda _: index)


def _slice(node: Node) -> Tensor:
    x = node.tensor(0)
    starts, ends = node.integers("starts", 1), node.integers("ends", 2)
    if starts is None or ends is None:
        raise NetworkError("starts or ends are missing")
    axes = node.integers("axes", 3) or list(range(len(starts)))
    steps = node.integers("steps", 4) or [1] * len(starts)
    cut = [slice(None)] * len(x.shape)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        cut[axis] = _clamped(start, end, step, x.shape[axis])
    return moved(node, x, lambda i: i[tuple(cut)])


def _clamped(start: int, end: int, step: int, length: int) -> slice:
    """ONNX's range as numpy's: backwards, ONNX takes a start before the first entry for the first entry."""
    start, end = (v + length if v < 0 else v for v in (start, end))
    if step > 0:
        return slice(min(max(start, 0), length), min(max(end, 0), length), step)
    start, end = min(max(start, 0), length - 1), min(max(end, -1), length - 1)
    return slice(start, None if end < 0 else end, step)


def _gather(node: Node) -> Tensor:
    x, index = node.tensor(0), node.constant(1).array
    if index.dtype.kind != "i":
        raise NetworkError(f"indices are {index.dtype}, expected integers")
    return moved(node, x, lambda i: np.take(i, index, axis=int(node.attributes.get("axis", 0))))


def _split(node: Node) -> list[Tensor]:
    x, axis = node.tensor(0), int(node.attributes.get("axis", 0))
    length, sizes = x.shape[axis], node.integers("split", 1)
    if sizes is None:
        count = int(node.attributes.get("num_outputs", node.outputs))
        chunk = -(-length // count)
        sizes = [chunk] * (count - 1) + [length - chunk * (count - 1)]
    if sum(sizes) != length or min(sizes, default=0) < 0:
        raise NetworkError(f"parts {sizes} of an axis of length {length}")
    ends = np.cumsum(sizes)
    ranges = [np.arange(end - size, end) for size, end in zip(sizes, ends, strict=True)]
    return [moved(node, x, lambda i, r=r: np.take(i, r, axis=axis)) for r in ranges]  # type: ignore[misc]


def _pad(node: Node) -> Tensor:
    x, mode, dims = node.expression(0), node.text("mode", "constant"), len(node.tensor(0).shape)
    pads, value = node.integers("pads", 1), node.number("value", 2) or 0.0
    axes = node.integers("axes", 3) or list(range(dims))
    if pads is None or len(pads) != 2 * len(axes) or not math.isfinite(value):
        raise NetworkError(f"pads {pads} on {len(axes)} axes with value {value}")
    if mode not in ("constant", "reflect", "edge", "wrap"):
        raise UnsupportedOperatorError(f"mode {mode!r}; supported are constant, reflect, edge and wrap")
    if node.has(2) and node.constant(2).roundings:
        raise UnsupportedOperatorError("a value that is a rounded result of arithmetic on constants")
    width = [(0, 0)] * dims
    for axis, before, after in zip(axes, pads, pads[len(axes) :], strict=False):
        width[axis] = (before, after)
    check_size(math.prod(float(n + max(a, 0) + max(b, 0)) for (a, b), n in zip(width, x.shape, strict=True)))
    kept = tuple(slice(max(0, -a), n - max(0, -b)) for (a, b), n in zip(width, x.shape, strict=True))
    grow = [(max(0, a), max(0, b)) for a, b in width]
    if mode == "constant":
        return node.builder.move(x, lambda i: np.pad(i[kept], grow, constant_values=-1), fill=value)
    return node.builder.move(x, lambda i: np.pad(i[kept], grow, mode=mode))  # type: ignore[call-overload]


OPERATORS: dict[str, Operator] = {
    "Abs": absolute,
    "Add": _add,
    "AveragePool": average_pool,
    "BatchNormalization": batch_normalization,
    "Cast": _cast,
    "Clip": clip,
    "Concat": _concat,
    "Conv": conv,
    "Div": _divide,
    "Dropout": _dropout,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": gemm,
    "GlobalAveragePool": global_average_pool,
    "Identity": _identity,
    "LeakyRelu": leaky_relu,
    "MatMul": matmul,
    "Max": extremum,
    "MaxPool": max_pool,
    "Min": extremum,
    "Mul": _multiply,
    "Neg": _negate,
    "PRelu": parametric_relu,
    "Pad": _pad,
    "ReduceMean": reduce,
    "ReduceSum": reduce,
    "Relu": activation,
    "Reshape": _reshape,
    "Sigmoid": activation,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Sub": _subtract,
    "Sum": _add,
    "Tanh": activation,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
