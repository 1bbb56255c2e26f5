"""ONNX operators that move, repeat, drop or join entries and compute nothing: one small function an operator.

Each hands the same numpy operation an array of indices, and the expression picks its rows by what comes out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .affine import Expression
from .network import Array
from .onnx_call import Call, Operand, Operator, axes_of

__all__ = ["MOVES"]

MOST_ENTRIES = 10**8  # of a tensor: more is a damaged file, or needs gigabytes of indices


def _flatten(call: Call, inputs: list[Operand]) -> Operand:
    shape = inputs[0].shape
    axis = call.attributes.get("axis", 1)
    axis = axis + len(shape) if axis < 0 else axis
    return inputs[0].rearrange(lambda i: i.reshape(int(np.prod(shape[:axis])), -1))


def _reshape(call: Call, inputs: list[Operand]) -> Operand:
    old = inputs[0].shape
    wanted = [int(n) for n in np.asarray(inputs[1] if len(inputs) > 1 else call.attributes["shape"]).ravel()]
    if not call.attributes.get("allowzero", 0):
        wanted = [old[d] if n == 0 else n for d, n in enumerate(wanted)]
    size = int(np.prod(old))
    if -1 not in wanted and int(np.prod(wanted)) != size and int(np.prod(wanted[1:])) == size:
        wanted[0] = 1  # a fixed batch size in the file; one input is read at a time
    return inputs[0].rearrange(lambda i: i.reshape(wanted))


def _transpose(call: Call, inputs: list[Operand]) -> Operand:
    return inputs[0].rearrange(lambda i: np.transpose(i, call.attributes.get("perm")))


def _squeeze(call: Call, inputs: list[Operand]) -> Operand:
    axes = axes_of(call, inputs)
    return inputs[0].rearrange(lambda i: np.squeeze(i, None if axes is None else tuple(axes)))


def _unsqueeze(call: Call, inputs: list[Operand]) -> Operand:
    axes = axes_of(call, inputs) or []
    return inputs[0].rearrange(lambda i: np.expand_dims(i, tuple(axes)))


def _concat(call: Call, inputs: list[Operand]) -> Expression:
    axis = call.attributes["axis"]
    starts = np.cumsum([0] + [int(np.prod(x.shape)) for x in inputs])
    index = np.concatenate(
        [s + np.arange(int(np.prod(x.shape))).reshape(x.shape) for s, x in zip(starts, inputs, strict=False)],
        axis=axis,
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


def _slice(call: Call, inputs: list[Operand]) -> Operand:
    given = call.attributes
    rest = [None if x is None else [int(v) for v in np.asarray(x).ravel()] for x in inputs[1:]]
    rest += [None] * (4 - len(rest))
    starts, ends = rest[0] or given["starts"], rest[1] or given["ends"]
    axes = rest[2] or given.get("axes") or range(len(starts))
    steps = rest[3] or [1] * len(starts)
    cut = [slice(None)] * len(inputs[0].shape)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        size = inputs[0].shape[axis]
        if step > 0:
            cut[axis] = slice(start, end, step)
        else:  # ONNX clamps: a start before the first entry is that entry, such an end is "to the very start"
            cut[axis] = slice(max(start, -size), end if end >= -size else None, step)
    return inputs[0].rearrange(lambda i: i[tuple(cut)])


def _gather(call: Call, inputs: list[Operand]) -> Operand:
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
        x.rearrange(lambda i, a=end - size, b=end: np.take(i, np.arange(a, b), axis=axis))
        for size, end in zip(sizes, ends, strict=True)
    ]


def _pad(call: Call, inputs: list[Operand]) -> Operand:
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
    _check_size([n + a + b for n, (a, b) in zip(inputs[0].shape, width, strict=True)])

    def move(index: Array) -> Array:
        if mode == "constant":
            return np.pad(index[kept], grow, constant_values=-1)
        return np.pad(index[kept], grow, mode={"reflect": "reflect", "edge": "edge", "wrap": "wrap"}[mode])  # type: ignore[call-overload]

    return inputs[0].rearrange(move, fill=value)


def _expand(call: Call, inputs: list[Operand]) -> Operand:
    shape = np.broadcast_shapes(inputs[0].shape, tuple(int(n) for n in np.asarray(inputs[1]).ravel()))
    _check_size(shape)
    return inputs[0].rearrange(lambda i: np.broadcast_to(i, shape))


def _check_size(shape: Sequence[int]) -> None:
    if np.prod([float(n) for n in shape]) > MOST_ENTRIES:
        raise ValueError(f"a result of shape {list(shape)}")


MOVES: dict[str, Operator] = {
    "Concat": _concat,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Pad": _pad,
    "Reshape": _reshape,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
