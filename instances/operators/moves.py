"""Operators that move entries about: shapes, slices, joins and paddings, as moves of an array of indices."""

from __future__ import annotations

import math

import numpy as np

from ..errors import NetworkError, UnsupportedOperatorError
from ..expressions.affine import check_size
from ..expressions.node import Node, Tensor, joined, moved

__all__ = [
    "concat", "cut", "expand", "flatten", "pad", "reshape", "split", "squeeze", "tile", "transpose", "unsqueeze",
]  # fmt: skip


def flatten(node: Node) -> Tensor:
    """Flatten: two axes, cut at `axis`."""
    x, axis = node.tensor(0), int(node.attributes.get("axis", 1))
    dims = len(x.shape)
    if not -dims <= axis <= dims:
        raise NetworkError(f"axis {axis} of a tensor of shape {x.shape}")
    rows = math.prod(x.shape[: axis + dims if axis < 0 else axis])
    return moved(node, x, lambda i: i.reshape(rows, math.prod(x.shape) // max(rows, 1)))


def reshape(node: Node) -> Tensor:
    """Reshape."""
    x, wanted = node.tensor(0), node.integers("shape", 1)
    if wanted is None:
        raise NetworkError("the new shape is missing")
    if not node.flag("allowzero"):
        wanted = [x.shape[d] if n == 0 else n for d, n in enumerate(wanted)]
    size = math.prod(x.shape)
    if -1 not in wanted and math.prod(wanted) != size and math.prod(wanted[1:]) == size:
        wanted[0] = 1  # the batch size that the exporter saw; a network is read for one input
    return moved(node, x, lambda i: i.reshape(wanted))


def transpose(node: Node) -> Tensor:
    """Transpose."""
    return moved(node, node.tensor(0), lambda i: np.transpose(i, node.attributes.get("perm")))


def squeeze(node: Node) -> Tensor:
    """Squeeze."""
    axes = node.integers("axes", 1)
    return moved(node, node.tensor(0), lambda i: np.squeeze(i, None if axes is None else tuple(axes)))


def unsqueeze(node: Node) -> Tensor:
    """Unsqueeze."""
    axes = node.integers("axes", 1)
    if axes is None:
        raise NetworkError("the axes are missing")
    return moved(node, node.tensor(0), lambda i: np.expand_dims(i, tuple(axes)))


def expand(node: Node) -> Tensor:
    """Expand: broadcast to a constant shape."""
    x, wanted = node.tensor(0), node.integers("shape", 1)
    shape = np.broadcast_shapes(x.shape, tuple(wanted or ()))
    check_size(float(np.prod(shape, dtype=float)))
    return moved(node, x, lambda i: np.broadcast_to(i, shape))


def tile(node: Node) -> Tensor:
    """Tile."""
    x, repeats = node.tensor(0), node.integers("repeats", 1)
    if repeats is None or len(repeats) != len(x.shape):
        raise NetworkError(f"repeats {repeats} of a tensor of shape {x.shape}")
    check_size(math.prod(x.shape) * float(np.prod(repeats, dtype=float)))
    return moved(node, x, lambda i: np.tile(i, repeats))


def concat(node: Node) -> Tensor:
    """Concat."""
    axis, parts = int(node.attributes["axis"]), [node.tensor(i) for i in range(len(node.inputs))]
    return joined(node, parts, lambda *i: np.concatenate(i, axis=axis))


def cut(node: Node) -> Tensor:
    """Slice, with steps of either sign."""
    x = node.tensor(0)
    starts, ends = node.integers("starts", 1), node.integers("ends", 2)
    if starts is None or ends is None:
        raise NetworkError("starts or ends are missing")
    axes = node.integers("axes", 3) or list(range(len(starts)))
    steps = node.integers("steps", 4) or [1] * len(starts)
    ranges = [slice(None)] * len(x.shape)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        ranges[axis] = _clamped(start, end, step, x.shape[axis])
    return moved(node, x, lambda i: i[tuple(ranges)])


def _clamped(start: int, end: int, step: int, length: int) -> slice:
    """ONNX's range as numpy's: backwards, ONNX takes a start before the first entry for the first entry."""
    start, end = (v + length if v < 0 else v for v in (start, end))
    if step > 0:
        return slice(min(max(start, 0), length), min(max(end, 0), length), step)
    start, end = min(max(start, 0), length - 1), min(max(end, -1), length - 1)
    return slice(start, None if end < 0 else end, step)


def split(node: Node) -> list[Tensor]:
    """Split into parts of given sizes, or of equal ones."""
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


def pad(node: Node) -> Tensor:
    """Pad with a constant, the edge, a reflection or the other end; negative pads cut off."""
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
    if any(max(0, -a) + max(0, -b) > n for (a, b), n in zip(width, x.shape, strict=True)):
        raise NetworkError(f"pads {pads} cut more off a tensor of shape {x.shape} than it has")
    kept = tuple(slice(max(0, -a), n - max(0, -b)) for (a, b), n in zip(width, x.shape, strict=True))
    grow = [(max(0, a), max(0, b)) for a, b in width]
    if mode == "constant":
        return node.builder.move(x, lambda i: np.pad(i[kept], grow, constant_values=-1), fill=value)
    return node.builder.move(x, lambda i: np.pad(i[kept], grow, mode=mode))  # type: ignore[call-overload]
