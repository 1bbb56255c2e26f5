"""Maxima and minima by ReLUs, two by two: max(a, b) = b + relu(a - b), min(a, b) = a - relu(a - b).

Max, Min, MaxPool, GlobalMaxPool, ReduceMax and ReduceMin: a tree of maxima over pairs, shared by windows that overlap.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..errors import NetworkError, UnsupportedOperatorError
from ..expressions.affine import Expression
from ..expressions.node import Node, Tensor
from ..sparse import sp
from .linear import grouped, windows

__all__ = ["extremum", "global_max_pool", "max_pool", "reduce_extremum"]


def extremum(node: Node) -> Tensor:
    """Max and Min of any number of tensors: max(a, b) = b + relu(a - b), min(a, b) = a - relu(a - b)."""
    build = node.builder
    out = node.tensor(0)
    for i in range(1, len(node.inputs)):
        a, b = (node.affine(t) for t in node.broadcast(out, node.tensor(i)))
        excess = build.layer(build.subtract(a, b), "relu")
        out = build.add(b, excess) if node.kind == "Max" else build.subtract(a, excess)
    return out


def max_pool(node: Node) -> Expression:
    """MaxPool as a tree of maxima over pairs; positions in the padding are left out."""
    if node.outputs > 1:
        raise UnsupportedOperatorError("its second output, the indices; supported is the first output only")
    x = node.expression(0)
    if len(x.shape) < 3:
        raise NetworkError(f"a pooling of shape {x.shape}, expected batch, channels and at least one axis")
    if node.flag("storage_order"):
        raise UnsupportedOperatorError("storage_order 1")
    kernel = [int(k) for k in node.attributes["kernel_shape"]]
    read, out = windows(node, x.shape[2:], kernel, node.flag("ceil_mode"))
    read = np.take_along_axis(read, np.argsort(read < 0, axis=1, kind="stable"), axis=1)  # padding last
    if bool((read[:, 0] < 0).any()):
        raise NetworkError("a pooling window lies in the padding alone")
    read = read[:, : int((read >= 0).sum(axis=1).max())]
    images, pixels = math.prod(x.shape[:2]), math.prod(x.shape[2:])
    table = np.where(read >= 0, read + (np.arange(images) * pixels)[:, None, None], -1).reshape(
        -1, read.shape[1]
    )
    return _maxima(node, x, table, (*x.shape[:2], *out))


def global_max_pool(node: Node) -> Expression:
    """GlobalMaxPool: over every axis behind the channels."""
    x = node.expression(0)
    if len(x.shape) < 3:
        raise NetworkError(f"a pooling of shape {x.shape}, expected batch, channels and at least one axis")
    return _over(node, x, list(range(2, len(x.shape))), keep=True)


def reduce_extremum(node: Node) -> Expression:
    """ReduceMax and ReduceMin, which is -max(-x)."""
    x, axes = node.expression(0), node.integers("axes", 1)
    if not axes:
        if node.flag("noop_with_empty_axes"):
            return x
        axes = list(range(len(x.shape)))
    keep, build = node.flag("keepdims", True), node.builder
    if node.kind == "ReduceMax":
        return _over(node, x, axes, keep)
    return build.scale(_over(node, build.scale(x, -1.0), axes, keep), -1.0)


def _over(node: Node, x: Expression, axes: list[int], keep: bool) -> Expression:
    """Maxima over some axes."""
    shape, table = grouped(x.shape, axes, keep)
    return _maxima(node, x, table, shape)


def _maxima(node: Node, x: Expression, table: NDArray[np.int64], shape: tuple[int, ...]) -> Expression:
    """Maxima over the rows of `table`, entries of x with -1 behind them, in a shape."""
    current = x if x.read_once else node.builder.layer(x, "identity")
    while table.shape[1] > 1:
        current, table = _halve(node, current, table)
    return node.builder.move(current, lambda _: table.reshape(shape))


def _halve(node: Node, current: Expression, table: NDArray[np.int64]) -> tuple[Expression, NDArray[np.int64]]:
    """Maxima, two by two, of the columns of `table`: the entries that windows still have to compare."""
    build, n = node.builder, current.size
    if table.shape[1] % 2:
        table = np.concatenate([table, np.full((len(table), 1), -1)], axis=1)
    left, right = table[:, ::2], table[:, 1::2]
    pair = (right >= 0) & (left >= 0)
    # windows that overlap share pairs
    code, place = np.unique(left[pair] * n + right[pair], return_inverse=True)
    first, second, count = code // n, code % n, len(code)
    signs, columns = np.tile([1.0, -1.0], count), np.stack([first, second], axis=1).reshape(-1)
    difference = sp.csr_array((signs, columns, np.arange(count + 1) * 2), shape=(count, n))
    excess = build.layer(build.apply(difference, current, (count,)), "relu")
    maxima = build.add(build.move(current, lambda _: second), excess)
    alone = np.unique(left[~pair & (left >= 0)])
    following = (
        build.stack([maxima, build.move(current.reshaped((n,)), lambda _: alone)]) if len(alone) else maxima
    )
    result = np.full(left.shape, -1)
    result[pair] = place
    single = ~pair & (left >= 0)
    result[single] = count + np.searchsorted(alone, left[single])
    return following, result
