"""ONNX operators as affine expressions and layers: one small function an operator, found by its name in OPERATORS.

Every function takes (call, inputs) and returns the output (or a list of outputs); an input is an Expression or a numpy
constant. What ONNX calls Relu, Sigmoid and Tanh become layers. LeakyRelu, Clip and MaxPool are written with ReLUs:
    leaky(z) = a z + (1 - a) relu(z),   clip(z) = lo + relu(z - lo) - relu(z - hi),   max(a, b) = b + relu(a - b).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .affine import Builder, Expression
from .network import Array
from .onnx_linear import convolution, matmul_left, matmul_right, pooling_windows, window_mean

__all__ = ["OPERATORS", "Call"]


@dataclass(frozen=True, eq=False)
class Call:
    """One node of the graph."""

    builder: Builder
    name: str  # for messages and layers
    attributes: dict[str, Any]
    outputs: int  # how many outputs the node has


Operand = Any  # Expression or numpy array
Operator = Callable[[Call, list[Operand]], Any]


def _axes(call: Call, inputs: list[Operand], position: int = 1) -> list[int] | None:
    """The `axes` of a node, an attribute in old opsets and an input in new ones."""
    if "axes" in call.attributes:
        return [int(a) for a in call.attributes["axes"]]
    if len(inputs) > position and inputs[position] is not None:
        return [int(a) for a in np.asarray(inputs[position]).ravel()]
    return None


def _broadcast(a: Operand, b: Operand) -> tuple[Operand, Operand]:
    """Both operands in their common shape."""
    shape = np.broadcast_shapes(a.shape, b.shape)
    return tuple(
        x.rearrange(lambda i: np.broadcast_to(i, shape)) if isinstance(x, Expression) else np.broadcast_to(x, shape)
        for x in (a, b)
    )  # type: ignore[return-value]


def _add(call: Call, inputs: list[Operand]) -> Expression:
    a, b = _broadcast(inputs[0], inputs[1])
    if isinstance(a, Expression) and isinstance(b, Expression):
        return call.builder.add(a, b, call.name)
    return a.shift(b) if isinstance(a, Expression) else b.shift(a)


def _neg(call: Call, inputs: list[Operand]) -> Expression:
    return inputs[0].scale(-1.0)


def _sub(call: Call, inputs: list[Operand]) -> Expression:
    a, b = inputs[:2]
    return _add(call, [a, b.scale(-1.0) if isinstance(b, Expression) else -np.asarray(b, dtype=np.float64)])


def _mul(call: Call, inputs: list[Operand]) -> Expression:
    a, b = _broadcast(inputs[0], inputs[1])
    if isinstance(a, Expression) and isinstance(b, Expression):
        raise ValueError("a product of two tensors that both depend on the input is not piecewise linear")
    return a.scale(b) if isinstance(a, Expression) else b.scale(a)


def _div(call: Call, inputs: list[Operand]) -> Expression:
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
    if isinstance(a, Expression):
        weight = np.asarray(b, dtype=np.float64)
        column = weight.ndim == 1
        matrix, shape = matmul_right(a.shape, _matrix(weight[:, None] if column else weight))
        return call.builder.apply(matrix, a, shape[:-1] if column else shape, call.name)
    weight = np.asarray(a, dtype=np.float64)
    row = weight.ndim == 1
    matrix, shape = matmul_left(_matrix(weight[None] if row else weight), b.shape)
    return call.builder.apply(matrix, b, (*shape[:-2], *shape[-1:]) if row else shape, call.name)


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
        out = out.scale(get("alpha"))
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
    return _reduce(call, inputs[0], _axes(call, inputs), bool(call.attributes.get("keepdims", 1)), mean=True)


def _reduce_sum(call: Call, inputs: list[Operand]) -> Expression:
    return _reduce(call, inputs[0], _axes(call, inputs), bool(call.attributes.get("keepdims", 1)), mean=False)


def _same(call: Call, inputs: list[Operand]) -> Operand:
    return inputs[0]


def _flatten(call: Call, inputs: list[Operand]) -> Expression:
    shape = inputs[0].shape
    axis = call.attributes.get("axis", 1)
    axis = axis + len(shape) if axis < 0 else axis
    return inputs[0].rearrange(lambda i: i.reshape(int(np.prod(shape[:axis])), -1))


def _reshape(call: Call, inputs: list[Operand]) -> Expression:
    old = inputs[0].shape
    wanted = [int(n) for n in np.asarray(inputs[1] if len(inputs) > 1 else call.attributes["shape"]).ravel()]
    if not call.attributes.get("allowzero", 0):
        wanted = [old[d] if n == 0 else n for d, n in enumerate(wanted)]
    size = int(np.prod(old))
    if -1 not in wanted and int(np.prod(wanted)) != size and int(np.prod(wanted[1:])) == size:
        wanted[0] = 1  # a fixed batch size in the file; one input is read at a time
    return inputs[0].rearrange(lambda i: i.reshape(wanted))


def _transpose(call: Call, inputs: list[Operand]) -> Expression:
    return inputs[0].rearrange(lambda i: np.transpose(i, call.attributes.get("perm")))


def _squeeze(call: Call, inputs: list[Operand]) -> Expression:
    axes = _axes(call, inputs)
    return inputs[0].rearrange(lambda i: np.squeeze(i, None if axes is None else tuple(axes)))


def _unsqueeze(call: Call, inputs: list[Operand]) -> Expression:
    axes = _axes(call, inputs) or []
    return inputs[0].rearrange(lambda i: np.expand_dims(i, tuple(axes)))


def _concat(call: Call, inputs: list[Operand]) -> Expression:
    axis = call.attributes["axis"]
    starts = np.cumsum([0] + [int(np.prod(x.shape)) for x in inputs])
    index = np.concatenate(
        [s + np.arange(int(np.prod(x.shape))).reshape(x.shape) for s, x in zip(starts, inputs, strict=False)], axis=axis
    )
    out: Expression | None = None
    for start, end, x in zip(starts[:-1], starts[1:], inputs, strict=True):
        mine = np.where((index >= start) & (index < end), index - start, -1)
        if not isinstance(x, Expression):
            constant = np.append(np.asarray(x, dtype=np.float64).ravel(), 0.0)
            part = Expression(mine.shape, {}, constant[mine.ravel()])
        else:
            part = x.rearrange(lambda _, mine=mine: mine)  # type: ignore[misc]
        out = part if out is None else call.builder.add(out, part, call.name)
    assert out is not None
    return out


def _slice(call: Call, inputs: list[Operand]) -> Expression:
    get = call.attributes.get
    rest = [None if x is None else [int(v) for v in np.asarray(x).ravel()] for x in inputs[1:]]
    starts = rest[0] if rest else list(get("starts"))
    ends = rest[1] if len(rest) > 1 else list(get("ends"))
    axes = (rest[2] if len(rest) > 2 else get("axes")) or list(range(len(starts or [])))
    steps = (rest[3] if len(rest) > 3 else None) or [1] * len(starts or [])
    cut = [slice(None)] * len(inputs[0].shape)
    for axis, start, end, step in zip(axes, starts or [], ends or [], steps, strict=True):
        size = inputs[0].shape[axis]
        # with a negative step an end before the first entry means "to the very start"
        stop: int | None = end
        if step < 0 and end < -size:
            stop = None
        cut[axis] = slice(start, stop, step)
    return inputs[0].rearrange(lambda i: i[tuple(cut)])


def _gather(call: Call, inputs: list[Operand]) -> Expression:
    if isinstance(inputs[1], Expression):
        raise ValueError("indices that depend on the input")
    index = np.asarray(inputs[1]).astype(int)
    return inputs[0].rearrange(lambda i: np.take(i, index, axis=call.attributes.get("axis", 0)))


def _split(call: Call, inputs: list[Operand]) -> list[Expression]:
    x, axis = inputs[0], call.attributes.get("axis", 0)
    sizes = call.attributes.get("split")
    if sizes is None and len(inputs) > 1 and inputs[1] is not None:
        sizes = [int(v) for v in np.asarray(inputs[1]).ravel()]
    if sizes is None:
        count = call.attributes.get("num_outputs", call.outputs)
        chunk = -(-x.shape[axis] // count)
        sizes = [min(chunk, x.shape[axis] - chunk * i) for i in range(count)]
    ends = np.cumsum(sizes)
    return [
        x.rearrange(lambda i, a=end - size, b=end: np.take(i, np.arange(a, b), axis=axis))  # type: ignore[misc]
        for size, end in zip(sizes, ends, strict=True)
    ]


def _pad(call: Call, inputs: list[Operand]) -> Expression:
    mode = call.attributes.get("mode", b"constant")
    mode = mode.decode() if isinstance(mode, bytes) else mode
    pads = call.attributes.get("pads")
    if pads is None:
        pads = np.asarray(inputs[1]).ravel()
    value = call.attributes.get("value", 0.0)
    if len(inputs) > 2 and inputs[2] is not None:
        value = float(np.asarray(inputs[2]).ravel()[0])
    dims = len(inputs[0].shape)
    axes = list(range(dims))
    if len(inputs) > 3 and inputs[3] is not None:
        axes = [int(a) % dims for a in np.asarray(inputs[3]).ravel()]
    width = [(0, 0)] * dims
    for k, axis in enumerate(axes):
        width[axis] = (int(pads[k]), int(pads[k + len(axes)]))
    kept = tuple(slice(max(0, -a), n - max(0, -b)) for (a, b), n in zip(width, inputs[0].shape, strict=True))
    grow = [(max(0, a), max(0, b)) for a, b in width]

    def move(index: Array) -> Array:
        if mode == "constant":
            return np.pad(index[kept], grow, constant_values=-1)
        return np.pad(index[kept], grow, mode={"reflect": "reflect", "edge": "edge", "wrap": "wrap"}[mode])  # type: ignore[call-overload]

    return inputs[0].rearrange(move, fill=value)


def _expand(call: Call, inputs: list[Operand]) -> Expression:
    shape = np.broadcast_shapes(inputs[0].shape, tuple(int(n) for n in np.asarray(inputs[1]).ravel()))
    return inputs[0].rearrange(lambda i: np.broadcast_to(i, shape))


def _activation(kind: str) -> Operator:
    return lambda call, inputs: call.builder.layer(inputs[0], kind, call.name)


def _leaky_relu(call: Call, inputs: list[Operand]) -> Expression:
    slope = float(call.attributes.get("alpha", 0.01))
    z = inputs[0] if call.builder.is_plain(inputs[0]) else call.builder.layer(inputs[0], "identity", call.name)
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


def _max(call: Call, inputs: list[Operand]) -> Expression:
    out = inputs[0]
    for other in inputs[1:]:
        a, b = _broadcast(out, other)
        if not isinstance(a, Expression):
            a, b = b, a
        if isinstance(b, Expression):
            out = _maximum(call, a, b)
        else:
            out = call.builder.layer(a.shift(-np.asarray(b, dtype=np.float64)), "relu", call.name).shift(b)
    return out


OPERATORS: dict[str, Operator] = {
    "Add": _add,
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_normalization,
    "Cast": _same,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _conv,
    "Div": _div,
    "Dropout": _same,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_average_pool,
    "Identity": _same,
    "LeakyRelu": _leaky_relu,
    "MatMul": _matmul,
    "Max": _max,
    "MaxPool": _max_pool,
    "Mul": _mul,
    "Neg": _neg,
    "Pad": _pad,
    "ReduceMean": _reduce_mean,
    "ReduceSum": _reduce_sum,
    "Relu": _activation("relu"),
    "Reshape": _reshape,
    "Sigmoid": _activation("sigmoid"),
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Sub": _sub,
    "Tanh": _activation("tanh"),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
