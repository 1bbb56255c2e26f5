"""Functions that are not defined everywhere: square root, logarithm, and powers with exponents that are not whole.

    sqrt(z), log(z) for z > 0,    1 / z for z != 0,    z^p for z > 0, and for z < 0 where p is whole

Next to the edges of these domains they are too steep for the error terms of floats, so a gap begins where their slope
reaches STEEPEST. Of an interval that touches a gap nothing is known. z^p with p > 1 is flat at 0; its gap is z <= 0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .curve import Curve, Function

__all__ = ["LOG", "RECIPROCAL", "SQRT", "real_power"]

STEEPEST = 2.0**40


def _quiet(function: Function) -> Function:
    """The same, with NaN and infinities where it is not defined."""

    def silent(z: NDArray[Any]) -> NDArray[Any]:
        with np.errstate(all="ignore"):
            return np.asarray(function(z))

    return silent


def _positive(value: Function, slope: Function, convex: bool, edge: float) -> Curve:
    return Curve(_quiet(value), _quiet(slope), (convex,), gaps=((-math.inf, edge),))


SQRT = _positive(np.sqrt, lambda z: 0.5 / np.sqrt(z), False, 0.25 / STEEPEST**2)
LOG = _positive(np.log, lambda z: 1.0 / z, False, 1.0 / STEEPEST)


def real_power(p: float) -> Curve:
    """z^p for a number p that is no whole number above 0: of z > 0 and, for a whole p, of z < 0.

    At a bend of 0, inside the gap of such powers, an odd one turns from concave to convex.
    """

    def value(z: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(z**p)

    def slope(z: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(p * z ** (p - 1.0)).astype(z.dtype, copy=False)

    convex = not 0.0 < p < 1.0
    # |p| z^(p - 1) = STEEPEST, up to the next power of two; above 1 the slope is 0 at 0
    edge = 0.0 if p > 1.0 else 2.0 ** math.ceil(math.log2(STEEPEST / abs(p)) / (p - 1.0))
    if p != int(p):
        return _positive(value, slope, convex, edge)
    return Curve(_quiet(value), _quiet(slope), (int(p) % 2 == 0, True), (0.0,), gaps=((-edge, edge),))


RECIPROCAL = real_power(-1.0)
