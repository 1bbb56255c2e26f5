"""Piecewise polynomials:

    power_n(z) = z^n for a whole number n >= 2,    hardswish(z) = z min(max(z + 3, 0), 6) / 6

An even power is convex and turns at 0, an odd one is concave up to 0 and convex beyond. The other is 0 up to -3, a
convex parabola from there to 3 and z beyond, with concave kinks at both and its least value at -3/2.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .curve import Curve

__all__ = ["HARDSWISH", "power"]


def _hardswish(z: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(z * np.clip(z + 3.0, 0.0, 6.0) / 6.0)


def _hardswish_slope(z: NDArray[Any]) -> NDArray[Any]:
    middle = (2.0 * np.clip(z, -3.0, 3.0) + 3.0) / 6.0
    return np.asarray(np.where(z <= -3.0, 0.0, np.where(z >= 3.0, 1.0, middle))).astype(z.dtype, copy=False)


HARDSWISH = Curve(_hardswish, _hardswish_slope, (True, True, True), (-3.0, 3.0), (-1.5,))


def power(n: int) -> Curve:
    """z^n for a whole number n >= 2."""

    @np.errstate(over="ignore")  # beyond float64 it is infinite, which proves nothing
    def value(z: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(z**n)

    @np.errstate(over="ignore")
    def slope(z: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(float(n) * z ** (n - 1)).astype(z.dtype, copy=False)

    if n % 2:
        return Curve(value, slope, (False, True), (0.0,))
    return Curve(value, slope, (True,), (), (0.0,))
