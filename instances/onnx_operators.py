"""ONNX operators as affine expressions and layers: one small function an operator, by name in OPERATORS.

Every function takes (call, inputs) and returns the output (or a list of outputs); an input is an Expression
or a numpy constant. Relu, Sigmoid and Tanh become layers. LeakyRelu, Clip, MaxPool and Max are written
with ReLUs:

    leaky(z) = a z + (1 - a) relu(z),  max(a, b) = b + relu(a - b),  clip(z) = min(hi, max(lo, z)).

Operators that only move entries are in onnx_moves.py.
"""

from __future__ import annotations

import functools

import numpy as np

from .affine import Expression
from .network import Array
from .onnx_call import Call, Operand, Operator, axes_of
from .onnx_linear import convolution, matmul_left, matmul_right, pooling_windows, window_mean
from .onnx_moves import MOVES

__all__ = ["OPERATORS"]


def _broadcast(a: Operand, b: Operand) -> tuple[Operand, Operand]:
    """Both operands in their common shape."""
    shape = np.broadcast_shapes(a.shape, b.shape)
    return tuple(
        x.rearrange(lambda i: np.broadcast_to(i, shape))
        if isinstance(x, Expression)
        else np.broadcast_to(x, shape)
        for x in (a, b)
    )  # type: ignore[return-value]


def _add(call: Call, inputs: list[Operand]) -> Operand:
    a, b = _broadcast(inputs[0], inputs[1])
    if isinstance(a, Expression) and isinstance(b, Expression):
        return call.builder.add(a, b, call.name)
    return a.shift(b) if isinstance(a, Expression) else b.shift(a)


def _neg(call: Call, inputs: list[Operand]) -> Operand:
    return inputs[0].scale(-1.0)


def _sub(call: Call, inputs: list[Operand]) -> Expression:
    a, b = inputs[:2]
    return _add(call, [a, b.scale(-1.0) if isinstance(b, Expression) else -np.asarray(b, dtype=np.float64)])


def _mul(call: Call, inputs: list[Operand]) -> Operand:
    a, b = _broadcast(inputs[0], inputs[1])
    if isinstance(a, Expression) and isinstance(b, Expression):
        raise ValueError("a product of two tensors that both depend on the input is not piecewise linear")
    return a.scale(b) if isinstance(a, Expression) else b.scale(a)


def _div(call: Call, inputs: list[Operand]) -> Operand:
    if isinstance(inputs[1], Expression):
        raise ValueError("a division by a tensor that depends on the input is not piecewise linear")
    a, b = _broadcast(inputs[0], inputs[1])
    if not np.all(b):
        raise ValueError("a division by zero")
    return a.scale(1.0 / np.asarray(b, dtype=np.float64), roundings=2)


def _matmul(call: Call, inputs: list[Operand]) -> Expression:
    a, b = inputs[:2]
    if isinstance(a, Expression) and isinstance(b, Expression):
        raise ValueError("a product of two tensors that both depend on the input is not piecewise linear")
    moving, weight = (a, b) if isinstance(a, Expression) else (b, a)
    weight = np.asarray(weight, dtype=np.float64)
    shape = np.matmul(np.zeros(a.shape), np.zeros(b.shape)).shape
    if isinstance(a, Expression):
        matrix, _ = matmul_right(a.shape, _matrix(weight[:, None] if weight.ndim == 1 else weight))
    else:
        matrix, _ = matmul_left(_matrix(weight[None] if weight.ndim == 1 else weight), b.shape)
    return call.builder.apply(matrix, moving, shape, call.name)


def _matrix(weight: Array) -> Array:
    """A constant with leading axes of length one as a matrix."""
    if weight.ndim > 2 and int(np.prod(weight.shape[:-2])) == 1:
        weight = weight.reshape(weight.shape[-2:])
    if weight.ndim != 2:
        raise ValueError(f"a product with a constant of shape {weight.shape}, expected a matrix")
    return weight


def _gemm(call: Call, inputs: list[Operand]) -> Expression:
    get = call.attributes.get
    operands = list(inputs[:2])
    for i, flag in enumerate(("transA", "transB")):
        if get(flag, 0):
            x = operands[i]
            operands[i] = x.rearrange(lambda k: k.T) if isinstance(x, Expression) else np.asarray(x).T
    out = _matmul(call, operands)
    if get("alpha", 1.0) != 1.0:
        out = out.scale(float(call.attributes["alpha"]))
    if len(inputs) > 2 and inputs[2] is not None:
        c, beta = inputs[2], get("beta", 1.0)
        if beta != 1.0:
            c = c.scale(beta) if isinstance(c, Expression) else beta * np.asarray(c, dtype=np.float64)
        out = _add(call, [out, c])
    return out


def _conv(call: Call, inputs: list[Operand]) -> Expression:
    matrix, shape = convolution(inputs[0].shape, np.asarray(inputs[1], dtype=np.float64), call.attributes)
    out = call.builder.apply(matrix, inputs[0], shape, call.name)
    if len(inputs) > 2 and inputs[2] is not None:
        bias = np.asarray(inputs[2], dtype=np.float64).reshape(-1, *[1] * (len(shape) - 2))
        out = out.shift(np.broadcast_to(bias[None], shape))
    return out


def _batch_normalization(call: Call, inputs: list[Operand]) -> Expression:
    if call.attributes.get("training_mode", 0):
        raise ValueError("training mode; export the model for inference")
    x, (scale, shift, mean, variance) = inputs[0], (np.asarray(c, dtype=np.float64) for c in inputs[1:5])
    factor = scale / np.sqrt(variance + call.attributes.get("epsilon", 1e-5))
    offset = shift - mean * factor
    form = (1, -1, *[1] * (len(x.shape) - 2))
    out = x.scale(np.broadcast_to(factor.reshape(form), x.shape), roundings=6)
    out = out.shift(np.broadcast_to(offset.reshape(form), x.shape))
    error = 8 * 2.0**-52 * float((np.abs(shift) + np.abs(mean * factor)).max(initial=0.0))
    return Expression(out.shape, out.terms, out.bias, out.bias_error + error, out.roundings)


def _average_pool(call: Call, inputs: list[Operand]) -> Expression:
    x = inputs[0]
    windows, out = pooling_windows(x.shape, list(call.attributes["kernel_shape"]), call.attributes)
    matrix = window_mean(windows, x.size, bool(call.attributes.get("count_include_pad", 0)))
    return call.builder.apply(matrix, x, (1, x.shape[1], *out), call.name, roundings=1)


def _global_average_pool(call: Call, inputs: list[Operand]) -> Expression:
    x = inputs[0]
    return _reduce(call, x, list(range(2, len(x.shape))), keep=True, mean=True)


def _reduce(call: Call, x: Expression, axes: list[int] | None, keep: bool, mean: bool) -> Expression:
    if not axes and call.attributes.get("noop_with_empty_axes", 0):
        return x
    dims = len(x.shape)
    gone = sorted({a % dims for a in axes}) if axes else list(range(dims))
    kept = [d for d in range(dims) if d not in gone]
    index = np.arange(x.size).reshape(x.shape).transpose(*kept, *gone)
    count = int(np.prod([x.shape[d] for d in gone]))
    windows = index.reshape(1, -1, count)
    matrix = window_mean(windows, x.size, True)
    if not mean:
        matrix.data[:] = 1.0
    shape = tuple(1 if d in gone else n for d, n in enumerate(x.shape) if keep or d not in gone)
    return call.builder.apply(matrix, x, shape, call.name, roundings=1 if mean else 0)


def _reduce_mean(call: Call, inputs: list[Operand]) -> Expression:
    return _reduce(
        call, inputs[0], axes_of(call, inputs), bool(call.attributes.get("keepdims", 1)), mean=True
    )


def _reduce_sum(call: Call, inputs: list[Operand]) -> Expression:
    return _reduce(
        call, inputs[0], axes_of(call, inputs), bool(call.attributes.get("keepdims", 1)), mean=False
    )


def _same(call: Call, inputs: list[Operand]) -> Operand:
    return inputs[0]


def _dropout(call: Call, inputs: list[Operand]) -> Operand:
    if len(inputs) > 2 and inputs[2] is not None and np.any(inputs[2]):
        raise ValueError("training mode; export the model for inference")
    return inputs[0]


def _activation(kind: str) -> Operator:
    return lambda call, inputs: call.builder.layer(inputs[0], kind, call.name)


def _leaky_relu(call: Call, inputs: list[Operand]) -> Expression:
    slope = float(call.attributes.get("alpha", 0.01))
    z = (
        inputs[0]
        if call.builder.is_plain(inputs[0])
        else call.builder.layer(inputs[0], "identity", call.name)
    )
    positive = call.builder.layer(z, "relu", call.name)
    return call.builder.add(z.scale(slope), positive.scale(1.0 - slope, roundings=2), call.name)


def _clip(call: Call, inputs: list[Operand]) -> Expression:
    low, high = (call.attributes.get(name) for name in ("min", "max"))
    if len(inputs) > 1 and inputs[1] is not None:
        low = float(np.asarray(inputs[1]).ravel()[0])
    if len(inputs) > 2 and inputs[2] is not None:
        high = float(np.asarray(inputs[2]).ravel()[0])
    out, build = inputs[0], call.builder
    if low is not None and low > -3e38:
        out = build.layer(out.shift(-low), "relu", call.name).shift(low)
    if high is not None and high < 3e38:
        out = build.layer(out.scale(-1.0).shift(high), "relu", call.name).scale(-1.0).shift(high)
    return out


def _max_pool(call: Call, inputs: list[Operand]) -> Expression:
    if call.outputs > 1:
        raise ValueError("MaxPool's second output (indices)")
    x, build = inputs[0], call.builder
    windows, out = pooling_windows(x.shape, list(call.attributes["kernel_shape"]), call.attributes)
    flat = windows.reshape(-1, windows.shape[2])
    if (flat >= 0).sum(axis=1).min() == 0:
        raise ValueError("a pooling window that lies outside the image")
    # padding is left out: it is replaced by an entry of the same window
    flat = np.where(flat >= 0, flat, flat.max(axis=1, keepdims=True))
    x = x if build.is_plain(x) else build.layer(x, "identity", call.name)
    columns = [x.rearrange(lambda _, c=c: flat[:, c]) for c in range(flat.shape[1])]  # type: ignore[misc]
    while len(columns) > 1:
        pairs = [_maximum(call, a, b) for a, b in zip(columns[::2], columns[1::2], strict=False)]
        columns = pairs + ([columns[-1]] if len(columns) % 2 else [])
    return columns[0].rearrange(lambda i: i.reshape(1, x.shape[1], *out))


def _maximum(call: Call, a: Expression, b: Expression) -> Expression:
    """max(a, b) = b + relu(a - b)."""
    positive = call.builder.layer(call.builder.add(a, b.scale(-1.0), call.name), "relu", call.name)
    out = call.builder.add(b, positive, call.name)
    return call.builder.layer(out, "identity", call.name)


def _max(call: Call, inputs: list[Operand]) -> Operand:
    moving = [x for x in inputs if isinstance(x, Expression)]
    constants = [x for x in inputs if not isinstance(x, Expression)]
    out = moving[0]
    for other in moving[1:]:
        out = _maximum(call, *_broadcast(out, other))
    if constants:
        a, floor = _broadcast(out, functools.reduce(np.maximum, constants))
        out = call.builder.layer(a.shift(-np.asarray(floor, dtype=np.float64)), "relu", call.name).shift(
            floor
        )
    return out


OPERATORS: dict[str, Operator] = MOVES | {
    "Add": _add,
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_normalization,
    "Cast": _same,
    "Clip": _clip,
    "Conv": _conv,
    "Div": _div,
    "Dropout": _dropout,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_average_pool,
    "Identity": _same,
    "LeakyRelu": _leaky_relu,
    "MatMul": _matmul,
    "Max": _max,
    "MaxPool": _max_pool,
    "Mul": _mul,
    "Neg": _neg,
    "ReduceMean": _reduce_mean,
    "ReduceSum": _reduce_sum,
    "Relu": _activation("relu"),
    "Sigmoid": _activation("sigmoid"),
    "Sub": _sub,
    "Tanh": _activation("tanh"),
}
