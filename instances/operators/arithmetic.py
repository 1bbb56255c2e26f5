"""Arithmetic entry by entry: sums, differences, products, quotients by a constant, powers, means, and casts.

Also numbers that are stored as integers with a scale: x = (q - zero) scale, and q = round(x / scale) + zero. Quantising
what depends on the network's input rounds it by far more than arithmetic does, and is refused; on constants both
directions are computed exactly, up to the declared rounding of the product.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import NetworkError, UnsupportedOperatorError
from ..expressions.constants import CAST, added, divided, multiplied, negated
from ..expressions.element_types import BOOL, FLOATS, INTEGERS, UINT8, UNSIGNED, type_name, widens
from ..expressions.node import Constant, Node, Tensor, finite
from ..nonlinear.curves import one_power
from ..nonlinear.products import product, quotient

__all__ = [
    "add", "cast", "dequantize", "divide", "dropout", "identity", "mean", "multiply", "negate", "power", "quantize",
    "subtract",
]  # fmt: skip


def identity(node: Node) -> Tensor:
    """Identity, and what is one in inference."""
    return node.tensor(0)


def dropout(node: Node) -> Tensor:
    """Dropout in inference, with the mask of ones that older exporters ask for left out."""
    if node.has(2) and bool(node.constant(2).array.any()):
        raise UnsupportedOperatorError("training_mode; supported is inference")
    return node.tensor(0)


def cast(node: Node) -> Tensor:
    """Cast and CastLike among floats, from integers to floats, and to wider integers."""
    x = node.tensor(0)
    if isinstance(x, Constant):
        return CAST(node)
    target = node.type(1) if node.kind == "CastLike" else int(node.attributes["to"])
    if target == node.type(0) == BOOL:
        return x
    if target not in FLOATS and not widens(node.type(0), target):
        raise UnsupportedOperatorError(
            "a tensor that depends on the network's input becomes other than a float: "
            f"{type_name(target)}, which does not hold every value; supported are casts to floats"
        )
    return x  # whether that rounds is said by element_types.rounding


def add(node: Node) -> Tensor:
    """Add, and Sum of any number of tensors."""
    out = node.tensor(0)
    for i in range(1, len(node.inputs)):
        out = _plus(node, out, node.tensor(i))
    return out


def mean(node: Node) -> Tensor:
    """Mean of any number of tensors: their sum times 1 / n."""
    total, count = add(node), len(node.inputs)
    if isinstance(total, Constant):
        return divided(total, Constant(np.array(float(count))))
    return node.builder.scale(total, 1.0 / count, roundings=1)


def subtract(node: Node) -> Tensor:
    """Sub."""
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


def negate(node: Node) -> Tensor:
    """Neg."""
    x = node.tensor(0)
    return negated(x) if isinstance(x, Constant) else node.builder.scale(x, -1.0)


def multiply(node: Node) -> Tensor:
    """Mul: by a constant, and of two tensors that depend on the input as sums of squares."""
    a, b = node.tensor(0), node.tensor(1)
    if isinstance(a, Constant) and isinstance(b, Constant):
        return multiplied(a, b)
    if not isinstance(a, Constant) and not isinstance(b, Constant):
        return product(node, a, b)
    a, b = node.broadcast(a, b)
    if isinstance(a, Constant):
        a, b = b, a
    assert isinstance(b, Constant)
    return node.builder.scale(node.affine(a), finite(b).array, b.roundings)


def divide(node: Node) -> Tensor:
    """Div: by a constant, and by a tensor that depends on the input as a product with its reciprocal."""
    a, b = node.tensor(0), node.tensor(1)
    if not isinstance(b, Constant):
        return quotient(node, a, b)
    if isinstance(a, Constant):
        return divided(a, b)
    divisor = Constant(finite(b).array.astype(np.float64), b.roundings, b.name)
    inverse = divided(Constant(np.ones(b.shape)), divisor)
    shape = np.broadcast_shapes(a.shape, b.shape)
    spread = node.builder.move(a, lambda i: np.broadcast_to(i, shape))
    return node.builder.scale(spread, inverse.array, inverse.roundings)


def power(node: Node) -> Tensor:
    """Pow with one constant exponent."""
    exponent = node.constant(1)
    shape = np.broadcast_shapes(node.tensor(0).shape, exponent.shape)
    x = node.expression(0)
    if x.shape != shape:
        x = node.builder.move(x, lambda i: np.broadcast_to(i, shape))
    return one_power(node, x, exponent)


def dequantize(node: Node) -> Tensor:
    """DequantizeLinear: per tensor, per axis or in blocks."""
    x, scale = node.tensor(0), node.weights(1)
    if node.type(0) and node.type(0) not in INTEGERS:
        raise UnsupportedOperatorError(f"quantised numbers of type {type_name(node.type(0))}; supported are integers")
    scales = _spread(node, scale.array, x.shape).astype(np.float64)
    zero = _spread(node, node.constant(2).array, x.shape) if node.has(2) else np.zeros((), dtype=np.int64)
    if isinstance(x, Constant):
        difference = (x.array - zero).astype(np.float64)
        return multiplied(Constant(difference, 0, x.name), Constant(scales, scale.roundings))
    shifted = node.builder.shift(x, -zero.astype(np.float64))
    return node.builder.scale(shifted, scales, scale.roundings)


def _spread(node: Node, given: Any, shape: tuple[int, ...]) -> Any:
    """Scales or zero points in the data's shape."""
    if given.size == 1:
        return given.reshape(())
    axis, block = int(node.attributes.get("axis", 1)), int(node.attributes.get("block_size", 0))
    if not -len(shape) <= axis < len(shape):
        raise NetworkError(f"axis {axis} of a tensor of shape {shape}")
    axis %= len(shape)
    if block:
        repeated = np.repeat(given, block, axis=axis)
        return repeated[tuple(slice(n) for n in shape)]
    if given.shape != (shape[axis],):
        raise NetworkError(f"{given.size} scales or zero points along axis {axis} of a tensor of shape {shape}")
    return given.reshape([-1 if d == axis else 1 for d in range(len(shape))])


def quantize(node: Node) -> Constant:
    """QuantizeLinear of constants, to the nearest integer, ties to even, cut off where the type ends."""
    x, scale = finite(node.constant(0)), node.weights(1)
    target = node.type(2) if node.has(2) else int(node.attributes.get("output_dtype", 0)) or UINT8
    if target not in INTEGERS:
        raise UnsupportedOperatorError(f"quantising to {type_name(target)}; supported are integers")
    if x.roundings or scale.roundings:
        raise UnsupportedOperatorError("quantising rounded results of arithmetic on constants, which may go either way")
    scales = _spread(node, scale.array, x.shape)
    if not np.all(scales):
        raise NetworkError("a scale of zero")
    near = np.rint(x.array / scales)
    if not np.array_equal(near, np.rint(x.array.astype(np.float32) / scales.astype(np.float32))):
        raise UnsupportedOperatorError("quantising a number half way between two integers up to float32's rounding")
    low = 0 if target in UNSIGNED else -(2 ** INTEGERS[target])
    high = 2 ** INTEGERS[target] - 1
    zero = _spread(node, node.constant(2).array, x.shape) if node.has(2) else np.zeros((), dtype=np.int64)
    limit = float(2**53)
    whole = added(Constant(np.clip(near, -limit, limit).astype(np.int64)), Constant(np.asarray(zero)))
    return Constant(np.clip(whole.array, low, high), 0, x.name)
