"""Activations, and the piecewise linear operators that ReLUs express exactly:

    leaky(z) = a z + (1 - a) relu(z), max(a, b) = b + relu(a - b), clip(z) = lo + relu(z - lo) - relu(z - hi),

so LeakyRelu, PRelu, Clip, Abs, Max, Min and MaxPool (a tree of maxima) need no layer kinds of their own.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..errors import NetworkError, UnsupportedOperatorError
from ..network import Array
from ..sparse import sp
from ..expressions.affine import Expression
from .linear import windows
from ..expressions.node import Node, Tensor

__all__ = ["absolute", "activation", "clip", "extremum", "leaky_relu", "max_pool", "parametric_relu"]

KINDS = {"Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh"}
NO_BOUND = 3.4e38  # exporters write "unbounded" as float32's largest number
NO_DOUBLE, DOUBLE = 1.79e308, 11  # the same of float64, where 3.4e38 is a bound like any other


def activation(node: Node) -> Expression:
    """Relu, Sigmoid, Tanh: a layer."""
    return node.builder.layer(node.expression(0), KINDS[node.kind])


def leaky_relu(node: Node) -> Expression:
    """LeakyRelu."""
    return _leaky(node, np.asarray(float(node.attributes.get("alpha", 0.01))))


def parametric_relu(node: Node) -> Expression:
    """PRelu with constant slopes."""
    slope = node.weights(1)
    if slope.roundings:
        raise UnsupportedOperatorError("slopes that are rounded results of arithmetic on constants")
    return _leaky(node, slope.array)


def _leaky(node: Node, slope: Array) -> Expression:
    z, build = node.expression(0), node.builder
    positive = build.layer(z, "relu")
    return build.add(build.scale(z, slope), build.scale(positive, 1.0 - slope, roundings=1))


def absolute(node: Node) -> Expression:
    """|z| = 2 relu(z) - z."""
    z, build = node.expression(0), node.builder
    return build.subtract(build.scale(build.layer(z, "relu"), 2.0), z)


def clip(node: Node) -> Expression:
    """Clip with constant bounds, one of which may be missing."""
    z, build = node.expression(0), node.builder
    low, high = (_bound(node, name, i) for i, name in enumerate(("min", "max"), start=1))
    if low is not None and high is not None and low > high:
        raise NetworkError(f"its lower bound {low} is above its upper bound {high}")
    if low is None:
        if high is None:
            return z
        above = build.layer(build.shift(z, -high), "relu")
        return build.subtract(z, above)
    out = build.shift(build.layer(build.shift(z, -low), "relu"), low)
    return out if high is None else build.subtract(out, build.layer(build.shift(z, -high), "relu"))


def _bound(node: Node, name: str, i: int) -> float | None:
    value, none = node.number(name, i), NO_DOUBLE if node.type(0) == DOUBLE else NO_BOUND
    if value is None or (value <= -none if name == "min" else value >= none):
        return None
    if not math.isfinite(value):
        raise NetworkError(f"its bound {name} is {value}")
    if node.has(i) and node.constant(i).roundings:
        raise UnsupportedOperatorError(f"its bound {name} is a rounded result of arithmetic on constants")
    return value


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
    x, build = node.expression(0), node.builder
    if len(x.shape) < 3:
        raise NetworkError(f"a pooling of shape {x.shape}, expected batch, channels and at least one axis")
    if node.attributes.get("storage_order", 0):
        raise UnsupportedOperatorError("storage_order 1")
    kernel = [int(k) for k in node.attributes["kernel_shape"]]
    read, out = windows(node, x.shape[2:], kernel, bool(node.attributes.get("ceil_mode", 0)))
    read = np.take_along_axis(read, np.argsort(read < 0, axis=1, kind="stable"), axis=1)  # padding last
    if bool((read[:, 0] < 0).any()):
        raise NetworkError("a pooling window lies in the padding alone")
    read = read[:, : int((read >= 0).sum(axis=1).max())]
    images, pixels = math.prod(x.shape[:2]), math.prod(x.shape[2:])
    table = np.where(read >= 0, read + (np.arange(images) * pixels)[:, None, None], -1).reshape(
        -1, read.shape[1]
    )
    current = x if x.read_once else build.layer(x, "identity")
    while table.shape[1] > 1:
        current, table = _halve(node, current, table)
    return build.move(current, lambda _: table.reshape(*x.shape[:2], *out))


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
