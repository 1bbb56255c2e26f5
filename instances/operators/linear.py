"""Operators with weights (products, convolutions, averages, normalisation) as matrices on the flat input.

Matrices are built from index arrays, without loops over pixels: the rows of all filters of a convolution read
the same entries, so one pattern [windows, entries] is repeated for every filter.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..errors import NetworkError, UnsupportedOperatorError
from ..expressions.affine import Expression
from ..expressions.node import Constant, Node, Tensor, finite, moved
from ..expressions.products import SQUARE, check_count, sums_of_products
from ..expressions.products import product as entrywise
from ..network import Array, Matrix
from ..nonlinear.norms import absolute, group_sums
from ..nonlinear.shares import log_sum_exp
from ..rounding import EPS
from ..sparse import sp

__all__ = [
    "average_pool",
    "batch_normalization",
    "batched",
    "check_products",
    "conv",
    "gemm",
    "global_average_pool",
    "grouped",
    "matmul",
    "reduce",
    "windows",
]

MAX_PRODUCTS = 2**27  # nonzeros of one matrix: 1.5 GB
MEANS = ("GlobalAveragePool", "ReduceMean")
BEHIND = {"ReduceL2": "sqrt", "ReduceLogSum": "log"}  # curves behind a sum
BEYOND = -2  # in `windows`: outside even the padding
Index = NDArray[np.int64]


def matmul(node: Node) -> Expression:
    """MatMul with numpy's rules for shapes."""
    return product(node, node.tensor(0), node.tensor(1))


def gemm(node: Node) -> Expression:
    """alpha A B + beta C."""
    get = node.attributes.get
    a, b = (
        moved(node, node.tensor(i), np.transpose) if node.flag(flag) else node.tensor(i)
        for i, flag in enumerate(("transA", "transB"))
    )
    if len(a.shape) != 2 or len(b.shape) != 2:
        raise NetworkError(f"factors of shapes {a.shape} and {b.shape}, expected two matrices")
    out = node.builder.scale(product(node, a, b), float(get("alpha", 1.0)))
    beta = float(get("beta", 1.0))
    if not node.has(2) or beta == 0.0:
        return out
    c = node.tensor(2)
    if isinstance(c, Constant):
        offset, error = node.offset(c)
        scaled = beta * offset
        rounding = 0.0 if beta in (1.0, -1.0) else EPS * float(np.abs(scaled).max(initial=0.0))
        return node.builder.shift(out, scaled, abs(beta) * error + rounding)
    spread = node.builder.move(c, lambda i: np.broadcast_to(i, out.shape))
    return node.builder.add(out, node.builder.scale(spread, beta))


def product(node: Node, a: Tensor, b: Tensor) -> Expression:
    """a @ b by numpy's rules; where both depend on the input, as sums of squares."""
    if isinstance(a, Expression) and isinstance(b, Expression):
        return _of_data(node, a, b)
    if isinstance(b, Constant):
        return _times(node, node.affine(a), b)
    assert isinstance(a, Constant)
    # a b = (b' a')', with vectors left as they are
    swapped = Constant(np.swapaxes(a.array, -1, -2) if a.array.ndim > 1 else a.array, a.roundings, a.name)
    flipped = node.builder.move(b, lambda i: np.swapaxes(i, -1, -2)) if len(b.shape) > 1 else b
    result = _times(node, flipped, swapped)
    both = len(b.shape) > 1 and a.array.ndim > 1
    return node.builder.move(result, lambda i: np.swapaxes(i, -1, -2)) if both else result


def _times(node: Node, x: Expression, weights: Constant) -> Expression:
    """x @ weights: entry (batch, r, n) reads entries (batch, r, :) of x with weights (batch, :, n)."""
    if not x.shape or not weights.shape:
        raise NetworkError("a product with a scalar, expected vectors or matrices")
    w = finite(weights).array.astype(np.float64, copy=False)
    row, column = len(x.shape) == 1, w.ndim == 1
    left = (1, *x.shape) if row else x.shape
    w = w[:, None] if column else w
    if left[-1] != w.shape[-2]:
        raise NetworkError(f"a product of shapes {x.shape} and {weights.shape}")
    batch = np.broadcast_shapes(left[:-2], w.shape[:-2])
    rows, inner, columns = left[-2], left[-1], w.shape[-1]
    shape = (*batch, *(() if row else (rows,)), *(() if column else (columns,)))
    if math.prod(batch) * rows == 1:
        return node.builder.apply(w.reshape(inner, columns).T, x, shape, weights.roundings)
    count = math.prod(batch) * rows * columns
    check_products(count * inner)
    read = np.broadcast_to(np.arange(x.size).reshape(left), (*batch, rows, inner))[..., None, :]
    values = np.swapaxes(np.broadcast_to(w, (*batch, inner, columns)), -1, -2)[..., None, :, :]
    indices = np.broadcast_to(read, (*batch, rows, columns, inner)).reshape(-1)
    data = np.broadcast_to(values, (*batch, rows, columns, inner)).reshape(-1)
    matrix = sp.csr_array((data, indices, np.arange(count + 1) * inner), shape=(count, x.size))
    return node.builder.apply(matrix, x, shape, weights.roundings)


def _of_data(node: Node, a: Expression, b: Expression) -> Expression:
    """a @ b: entry (batch, m, n) is the sum of the products of entries (batch, m, i) of a and (batch, i, n) of b."""
    if not a.shape or not b.shape:
        raise NetworkError("a product with a scalar, expected vectors or matrices")
    row, column = len(a.shape) == 1, len(b.shape) == 1
    left = np.arange(a.size).reshape((1, *a.shape) if row else a.shape)
    right = np.arange(b.size).reshape((*b.shape, 1) if column else b.shape)
    if left.shape[-1] != right.shape[-2]:
        raise NetworkError(f"a product of shapes {a.shape} and {b.shape}")
    batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    rows, inner, columns = *left.shape[-2:], right.shape[-1]
    grid = (*batch, rows, columns, inner)
    check_count(float(np.prod(grid, dtype=float)))
    one = np.broadcast_to(left[..., :, None, :], grid).reshape(-1)
    two = np.broadcast_to(np.swapaxes(right, -1, -2)[..., None, :, :], grid).reshape(-1)
    out = np.repeat(np.arange(math.prod(grid[:-1])), inner)
    shape = (*batch, *(() if row else (rows,)), *(() if column else (columns,)))
    return sums_of_products(node.builder, a, b, (out, one, two), shape)


def conv(node: Node) -> Expression:
    """Convolution of any number of axes, with groups, strides, padding and dilations."""
    x, weights = node.expression(0), node.weights(1)
    w = weights.array
    group = int(node.attributes.get("group", 1))
    if (
        w.ndim < 3
        or len(x.shape) != w.ndim
        or group < 1
        or w.shape[0] % group
        or x.shape[1] != w.shape[1] * group
    ):
        raise NetworkError(f"a convolution of shape {x.shape} with weights {w.shape} in {group} groups")
    filters, depth = w.shape[:2]
    kernel = [int(k) for k in node.attributes.get("kernel_shape", w.shape[2:])]
    if kernel != list(w.shape[2:]):
        raise NetworkError(f"kernel_shape {kernel} for weights of shape {w.shape}")
    read, out = windows(node, x.shape[2:], kernel, ceil=False)
    matrix = _convolution(read, w.reshape(filters, -1), depth, group, math.prod(x.shape[2:]))
    result = node.builder.apply(
        batched(matrix, x.shape[0]), x, (x.shape[0], filters, *out), weights.roundings
    )
    if not node.has(2):
        return result
    offset, error = node.offset(node.weights(2))
    return node.builder.shift(result, offset.reshape(-1, *[1] * len(kernel)), error)


def _convolution(read: Index, weights: Array, depth: int, group: int, pixels: int) -> Matrix:
    """Matrix of one image, [filters * windows, group * depth * pixels].

    read: [windows, entries]; weights: [filters, depth * entries].
    """
    filters, count, entries = len(weights), *read.shape
    check_products(filters * count * depth * entries)
    # the pattern that all filters of a group share: the entries that each window reads, and with which weight
    every = np.broadcast_to(read[:, None, :], (count, depth, entries)).reshape(count, -1)
    inside = every >= 0
    shift = np.repeat(np.arange(depth) * pixels, entries)
    columns = (every + shift)[inside]
    taps = np.broadcast_to(np.arange(depth * entries), every.shape)[inside]
    per_group = filters // group
    starts = np.repeat(np.arange(group) * depth * pixels, per_group)
    indices = (columns[None] + starts[:, None]).reshape(-1)
    pointers = np.concatenate([[0], np.cumsum(np.tile(inside.sum(axis=1), filters))])
    data = weights[:, taps].reshape(-1)
    return sp.csr_array((data, indices, pointers), shape=(filters * count, group * depth * pixels))


def batched(matrix: Matrix, batch: int) -> Matrix:
    """The matrix for every image of a batch."""
    if batch == 1:
        return matrix
    check_products(batch * matrix.nnz)
    return sp.csr_array(sp.kron(sp.eye_array(batch), matrix, format="csr"))


def windows(
    node: Node, sizes: tuple[int, ...], kernel: list[int], ceil: bool
) -> tuple[Index, tuple[int, ...]]:
    """What each window of a convolution or a pooling reads, and how many windows there are along each axis.

    Returns ([windows, entries of a window] positions in the flat image, -1 in the padding and BEYOND outside
    even that, where `ceil` lets a last window overhang).
    """
    dims = len(sizes)
    strides, dilations = (
        [int(v) for v in node.attributes.get(k) or [1] * dims] for k in ("strides", "dilations")
    )
    before, after = _padding(node, sizes, kernel, strides, dilations)
    if not all(len(v) == dims for v in (kernel, strides, dilations, before, after)):
        raise NetworkError(f"kernel, strides, dilations or pads do not have {dims} axes, as the image does")
    if min([*kernel, *strides, *dilations], default=1) < 1 or min([*before, *after], default=0) < 0:
        raise NetworkError("kernel, strides and dilations must be positive, pads not negative")
    counts = []
    for n, k, s, d, low, high in zip(sizes, kernel, strides, dilations, before, after, strict=True):
        room = n + low + high - d * (k - 1) - 1
        if room < 0:
            raise NetworkError(f"a window of {d * (k - 1) + 1} on {n} entries with padding {low}, {high}")
        count = (-(-room // s) if ceil else room // s) + 1
        if ceil and (count - 1) * s >= n + low:
            count -= 1  # a window starts inside the image or the padding before it
        counts.append(count)
    check_products(math.prod(counts) * math.prod(kernel))
    flat = np.zeros((1, 1), dtype=np.int64)
    for n, k, s, d, low, high, count in zip(
        sizes, kernel, strides, dilations, before, after, counts, strict=True
    ):
        position = np.arange(count)[:, None] * s + np.arange(k) * d - low
        state = np.where(position >= n + high, BEYOND, np.where((position < 0) | (position >= n), -1, 0))
        joined = flat[:, None, :, None] * n + position[None, :, None, :]
        outside = np.minimum(np.minimum(flat, 0)[:, None, :, None], state[None, :, None, :])
        flat = np.where(outside < 0, outside, joined).reshape(len(flat) * count, flat.shape[1] * k)
    return flat, tuple(counts)


def _padding(
    node: Node, sizes: tuple[int, ...], kernel: list[int], strides: list[int], dilations: list[int]
) -> tuple[list[int], list[int]]:
    """Padding before and after each axis."""
    auto = node.text("auto_pad", "NOTSET")
    if auto in ("NOTSET", ""):
        pads = [int(p) for p in node.attributes.get("pads") or [0] * (2 * len(sizes))]
        return pads[: len(sizes)], pads[len(sizes) :]
    if auto == "VALID":
        return [0] * len(sizes), [0] * len(sizes)
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        raise NetworkError(f"auto_pad {auto!r}, expected NOTSET, VALID, SAME_UPPER or SAME_LOWER")
    before, after = [], []
    for n, k, s, d in zip(sizes, kernel, strides, dilations, strict=True):
        total = max(0, (-(-n // s) - 1) * s + d * (k - 1) + 1 - n)
        small, large = total // 2, total - total // 2
        before.append(small if auto == "SAME_UPPER" else large)
        after.append(large if auto == "SAME_UPPER" else small)
    return before, after


def average_pool(node: Node) -> Expression:
    """Means over windows; the padding counts as entries with count_include_pad."""
    x = node.expression(0)
    if len(x.shape) < 3:
        raise NetworkError(f"a pooling of shape {x.shape}, expected batch, channels and at least one axis")
    kernel = [int(k) for k in node.attributes["kernel_shape"]]
    read, out = windows(node, x.shape[2:], kernel, node.flag("ceil_mode"))
    counted = (read > BEYOND if node.flag("count_include_pad") else read >= 0).sum(axis=1)
    inside = read >= 0
    share = np.broadcast_to(1.0 / np.maximum(counted, 1)[:, None], read.shape)
    pointers = np.concatenate([[0], np.cumsum(inside.sum(axis=1))])
    one = sp.csr_array((share[inside], read[inside], pointers), shape=(len(read), math.prod(x.shape[2:])))
    matrix = batched(one, x.shape[0] * x.shape[1])
    return node.builder.apply(matrix, x, (*x.shape[:2], *out), roundings=1)


def global_average_pool(node: Node) -> Expression:
    """Means over every axis behind the channels."""
    x = node.expression(0)
    return _reduced(node, x, list(range(2, len(x.shape))), keep=True)


def reduce(node: Node) -> Expression:
    """ReduceSum, ReduceMean, ReduceProd, sums of absolute values and of squares, their roots and their logarithms.

    ReduceL1, ReduceL2, ReduceSumSquare, ReduceLogSum, and ReduceLogSumExp without an exponential.
    """
    x, axes, build, kind = node.expression(0), node.integers("axes", 1), node.builder, node.kind
    nothing = not axes and node.flag("noop_with_empty_axes")
    axes, keep = axes or list(range(len(x.shape))), node.flag("keepdims", True)
    if kind == "ReduceLogSumExp":
        shape, table = grouped(x.shape, axes, keep)
        return x if nothing else log_sum_exp(build, x, table, shape)
    if kind in ("ReduceL2", "ReduceSumSquare"):
        x = build.layer(x, SQUARE)
    if kind == "ReduceL1":
        x = absolute(build, x)
    if not nothing:
        x = _multiplied(node, x, axes, keep) if kind == "ReduceProd" else _reduced(node, x, axes, keep)
    return build.layer(x, BEHIND[kind]) if kind in BEHIND else x


def _multiplied(node: Node, x: Expression, axes: list[int], keep: bool) -> Expression:
    """Products of each group's entries: one half times the other half, until one entry is left."""
    shape, table = grouped(x.shape, axes, keep)
    check_count(float(x.size))
    build = node.builder
    while (count := table.shape[1]) > 1:
        x, half = build.layer(x, "identity"), count // 2
        halves = [build.pick(x, table[:, part]) for part in (slice(half), slice(half, 2 * half))]
        done, rest = entrywise(build, *halves), build.pick(x, table[:, 2 * half :])
        x = build.stack([done, rest] if rest.size else [done])
        left = done.size + np.arange(rest.size).reshape(len(table), -1)
        table = np.concatenate([np.arange(done.size).reshape(len(table), half), left], axis=1)
    return build.pick(x, table[:, 0]).reshaped(shape)


def _reduced(node: Node, x: Expression, axes: list[int], keep: bool) -> Expression:
    shape, table = grouped(x.shape, axes, keep)
    return group_sums(node.builder, x, table, mean=node.kind in MEANS).reshaped(shape)


def grouped(shape: tuple[int, ...], axes: list[int], keep: bool) -> tuple[tuple[int, ...], Index]:
    """What a reduction over some axes leaves of a shape, and [entries of the result, entries that each one reads]."""
    dims, size = len(shape), math.prod(shape)
    if any(not -dims <= a < dims for a in axes):
        raise NetworkError(f"axes {axes} of a tensor of shape {shape}")
    gone = sorted({a % dims for a in axes})
    kept = [d for d in range(dims) if d not in gone]
    count = math.prod(shape[d] for d in gone)
    if count == 0 or size == 0:
        raise NetworkError(f"a reduction over no entries (shape {shape})")
    table = np.arange(size).reshape(shape).transpose(*kept, *gone).reshape(-1, count)
    return tuple(1 if d in gone else n for d, n in enumerate(shape) if keep or d not in gone), table


def batch_normalization(node: Node) -> Expression:
    """(x - mean) scale / sqrt(variance + epsilon) + shift, for inference."""
    if node.flag("training_mode"):
        raise UnsupportedOperatorError("training_mode; supported is inference")
    x = node.expression(0)
    form = (-1, *[1] * (len(x.shape) - 2))
    scale, shift, mean, variance = (node.weights(i).array.reshape(form) for i in range(1, 5))
    if any(node.constant(i).roundings for i in range(1, 5)):
        raise UnsupportedOperatorError(
            "scale, shift, mean or variance that are rounded results of arithmetic"
        )
    spread = variance + float(node.attributes.get("epsilon", np.float32(1e-5)))
    if not bool(np.all(spread > 0.0)):
        raise NetworkError("variance + epsilon is not positive")
    # a sum, a square root and a division: less than four roundings
    centred = node.builder.shift(x, -mean)
    return node.builder.shift(node.builder.scale(centred, scale / np.sqrt(spread), roundings=4), shift)


def check_products(count: float) -> None:
    """Raise NetworkError for a matrix that no sound file of this kind has, before its memory is asked for."""
    if count > MAX_PRODUCTS:
        raise NetworkError(f"a linear map of {count:.0f} nonzeros, expected at most {MAX_PRODUCTS}")
