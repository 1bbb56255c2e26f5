"""Numbers that are stored as integers with a scale: x = (q - zero) scale, and q = round(x / scale) + zero.

Quantising what depends on the network's input rounds it by far more than arithmetic does, and is refused; on constants
both directions are computed exactly, up to the declared rounding of the product.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import NetworkError, UnsupportedOperatorError
from ..expressions.constants import added, multiplied
from ..expressions.element_types import INTEGERS, UNSIGNED, type_name
from ..expressions.node import Constant, Node, Tensor, finite

__all__ = ["dequantize", "quantize"]

UINT8 = 2  # of onnx.TensorProto


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
