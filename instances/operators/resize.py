"""Operators that change an image's resolution: Resize and Upsample as matrices, DepthToSpace and SpaceToDepth as moves.

Every mode is linear in the entries, and acts axis by axis: entry o of an axis is a sum of a few entries with weights
that follow from where o lies among them (nearest: one; linear: two; cubic: four, Keys 1981). Places are computed as
rational numbers; where float32, which the file computes in, comes to another nearest entry, the node is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from ..errors import NetworkError, UnsupportedOperatorError
from ..expressions.affine import Expression, check_size
from ..expressions.node import Node, Tensor, moved
from ..network import Matrix
from ..sparse import sp
from .linear import check_products

__all__ = ["depth_to_space", "resize", "space_to_depth"]

HALF = Fraction(1, 2)
COORDINATES = ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric")
LONGEST = 2**14  # entries of an axis, whose places are computed one by one


def resize(node: Node) -> Expression:
    """Resize and Upsample with constant scales or sizes: nearest, linear and cubic."""
    x = node.expression(0)
    if node.flag("antialias"):
        raise UnsupportedOperatorError("antialias; supported is antialias = 0")
    policy = node.text("keep_aspect_ratio_policy", "stretch")
    if policy != "stretch":
        raise UnsupportedOperatorError(f"keep_aspect_ratio_policy {policy!r}; supported is 'stretch'")
    how = _Placement(node)
    matrix: Matrix = sp.eye_array(1, format="csr")
    out, changed, products = [], 0, 1.0
    for n, (size, scale) in zip(x.shape, _targets(node, x.shape), strict=True):
        same = size == n and scale == 1
        if not same and max(n, size) > LONGEST:
            raise NetworkError(f"an axis of {n} entries becomes one of {size}, expected at most {LONGEST}")
        one = sp.eye_array(n, format="csr") if same else how.axis(n, size, scale)
        products *= one.nnz
        check_products(products)
        matrix = sp.kron(matrix, one, format="csr")
        changed += not same
        out.append(size)
    check_size(float(math.prod(out)))
    roundings = 0 if how.mode == "nearest" else 2 * changed  # each factor, and its product with those before
    return node.builder.apply(sp.csr_array(matrix), x, tuple(out), roundings)


def _targets(node: Node, shape: tuple[int, ...]) -> list[tuple[int, Fraction]]:
    """New size and scale of every axis."""
    later = node.kind == "Resize" and node.opset >= 11
    axes = [int(a) % len(shape) for a in node.attributes.get("axes") or range(len(shape))]
    scales = node.attributes.get("scales")
    place = 2 if later else 1
    if node.has(place):
        scales = node.weights(place).array.reshape(-1).tolist()
    sizes = node.integers("sizes", 3) if later and node.has(3) else None
    given = sizes or scales
    if not given or len(given) != len(axes):
        raise NetworkError(f"scales or sizes {given} for a tensor of shape {shape}")
    result = [(n, Fraction(1)) for n in shape]
    for axis, value in zip(axes, given, strict=True):
        scale = Fraction(value) / shape[axis] if sizes else Fraction(value)
        size = int(value) if sizes else math.floor(scale * shape[axis])
        if scale <= 0 or size < 1:
            raise NetworkError(f"an axis of {shape[axis]} entries becomes one of {size}")
        result[axis] = size, scale
    return result


class _Placement:
    """Where the entries of a resized axis lie among those that it had."""

    def __init__(self, node: Node) -> None:
        resizes = node.kind == "Resize"
        usual = "half_pixel" if resizes and node.opset >= 11 else "asymmetric"
        self.mode = node.text("mode", "nearest")
        self.coordinates = node.text("coordinate_transformation_mode", usual)
        self.nearest = node.text("nearest_mode", "round_prefer_floor" if usual == "half_pixel" else "floor")
        self.cubic = Fraction(float(node.attributes.get("cubic_coeff_a", -0.75)))
        self.inside = node.flag("exclude_outside")
        if self.mode not in ("nearest", "linear", "cubic"):
            raise UnsupportedOperatorError(f"mode {self.mode!r}; supported are nearest, linear and cubic")
        if self.coordinates not in COORDINATES:
            known = ", ".join(COORDINATES)
            raise UnsupportedOperatorError(
                f"coordinate_transformation_mode {self.coordinates!r}; supported are {known}"
            )
        if self.nearest not in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"):
            raise NetworkError(f"nearest_mode {self.nearest!r}")

    def axis(self, n: int, size: int, scale: Fraction) -> Matrix:
        """[size, n] the weights of an axis."""
        matrix = np.zeros((size, n))
        for o in range(size):
            place = self._place(o, n, size, scale, Fraction)
            for k, weight in self._weights(place, o, n, size, scale):
                matrix[o, k] = float(weight)
        return sp.csr_array(matrix)

    def _place(self, o: int, n: int, size: int, scale: Fraction, number: Callable[[Any], Any]) -> Any:
        """Entry o's place among the n entries, in numbers of one type."""
        step, at = number(scale), number(o)
        half, one = number(HALF), number(1)
        if self.coordinates == "asymmetric":
            return at / step
        if self.coordinates == "align_corners":
            return at * number(n - 1) / number(size - 1) if size > 1 else number(0)
        if self.coordinates == "pytorch_half_pixel" and size == 1:
            return number(0)
        place = (at + half) / step - half
        if self.coordinates == "half_pixel_symmetric":
            adjustment = number(size) / (step * number(n))
            place = place + number(n) * half * (one - adjustment)
        return place

    def _weights(self, place: Fraction, o: int, n: int, size: int, scale: Fraction) -> Sequence[tuple[int, Fraction]]:
        if self.mode == "nearest":
            k = min(max(self._nearest(place), 0), n - 1)
            rough = self._nearest(Fraction(float(self._place(o, n, size, scale, _single))))
            if k != min(max(rough, 0), n - 1):
                raise UnsupportedOperatorError(
                    f"entry {o} of an axis of {size} lies between two of {n} entries up to float32's rounding"
                )
            return [(k, Fraction(1))]
        if self.mode == "linear":
            place = min(max(place, Fraction(0)), Fraction(n - 1))
            k = math.floor(place)
            return _merged([(k, 1 - (place - k)), (k + 1, place - k)], n)
        first = math.floor(place) - 1
        weights = [(first + j, _keys(abs(place - (first + j)), self.cubic)) for j in range(4)]
        if self.inside:
            weights = [(k, w) for k, w in weights if 0 <= k < n]
            total = sum((w for _, w in weights), Fraction(0))
            weights = [(k, w / total) for k, w in weights]
        return _merged(weights, n)

    def _nearest(self, place: Fraction) -> int:
        if self.nearest == "floor":
            return math.floor(place)
        if self.nearest == "ceil":
            return math.ceil(place)
        return math.ceil(place - HALF) if self.nearest == "round_prefer_floor" else math.floor(place + HALF)


def _merged(weights: Sequence[tuple[int, Fraction]], n: int) -> Sequence[tuple[int, Fraction]]:
    """Weights of entries beyond the ends added to the ends', exactly."""
    total: dict[int, Fraction] = {}
    for k, w in weights:
        inside = min(max(k, 0), n - 1)
        total[inside] = total.get(inside, Fraction(0)) + w
    return list(total.items())


def _keys(t: Fraction, a: Fraction) -> Fraction:
    """Keys' cubic convolution kernel at distance t <= 2."""
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * (t**3 - 5 * t**2 + 8 * t - 4)


def _single(value: Fraction) -> np.float32:
    return np.float32(float(value))


def depth_to_space(node: Node) -> Tensor:
    """DepthToSpace: blocks of channels become blocks of pixels."""
    x, b = node.tensor(0), int(node.attributes["blocksize"])
    if len(x.shape) != 4 or b < 1 or x.shape[1] % (b * b):
        raise NetworkError(f"blocks of {b} in a tensor of shape {x.shape}")
    batch, depth, high, wide = x.shape
    left = depth // (b * b)
    if node.text("mode", "DCR") == "CRD":
        split, order = (batch, left, b, b, high, wide), (0, 1, 4, 2, 5, 3)
    else:
        split, order = (batch, b, b, left, high, wide), (0, 3, 4, 1, 5, 2)
    return moved(node, x, lambda i: i.reshape(split).transpose(order).reshape(batch, left, high * b, wide * b))


def space_to_depth(node: Node) -> Tensor:
    """SpaceToDepth: blocks of pixels become blocks of channels."""
    x, b = node.tensor(0), int(node.attributes["blocksize"])
    if len(x.shape) != 4 or b < 1 or x.shape[2] % b or x.shape[3] % b:
        raise NetworkError(f"blocks of {b} in a tensor of shape {x.shape}")
    batch, depth, high, wide = x.shape
    split = (batch, depth, high // b, b, wide // b, b)
    out = (batch, depth * b * b, high // b, wide // b)
    return moved(node, x, lambda i: i.reshape(split).transpose(0, 3, 5, 1, 2, 4).reshape(out))
