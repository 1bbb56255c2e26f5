"""Functions that jump, as ONNX defines them at the jump:

    step_v(z) = 0 for z < 0, v at 0, 1 beyond:   sign(z) = 2 step_(1/2)(z) - 1,   z > 0: step_0,   z >= 0: step_1
    threshold_a(z) = z for z > a, else 0
    shrink_(l,b)(z) = z + b for z < -l, z - b for z > l, else 0, with l >= 0
    floor(z);    round(z), to the nearest whole number, and to the even one half way between two

Relaxations take their graphs for closed: at a jump every value between the two limits counts. So what they prove holds
whatever a float evaluation makes of an argument next to the jump. Slopes are 0 where the function is flat; attacks
follow the bell 1 / (1 + |z|)^2 around a step, and the slope 1 along stairs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .curve import Curve

__all__ = ["FLOOR", "ROUND", "shrink", "step", "threshold"]


def _flat(z: NDArray[Any]) -> NDArray[Any]:
    return np.zeros_like(z)


def _bell(z: NDArray[Any]) -> NDArray[Any]:
    inverse = 1.0 / (1.0 + np.abs(z))
    return np.asarray(inverse * inverse)


def step(at_jump: float) -> Curve:
    """0 below 0, 1 above it, and between them `at_jump` in [0, 1]."""

    def value(z: NDArray[Any]) -> NDArray[Any]:
        known = np.where(z > 0.0, 1.0, np.where(z < 0.0, 0.0, at_jump))
        return np.asarray(np.where(np.isnan(z), z, known)).astype(z.dtype, copy=False)

    return Curve(value, _flat, (True, True), (0.0,), jumps=((0.0, 0.0, 1.0),), lead=_bell)


def threshold(alpha: float) -> Curve:
    """z above alpha, 0 up to it."""

    def value(z: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(np.where(z <= alpha, 0.0, z)).astype(z.dtype, copy=False)

    def slope(z: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(np.where(z > alpha, 1.0, 0.0)).astype(z.dtype, copy=False)

    return Curve(value, slope, (True, True), (alpha,), jumps=((alpha, 0.0, alpha),))


def shrink(limit: float, bias: float) -> Curve:
    """0 within [-limit, limit], limit >= 0, and z moved by the bias towards 0 outside."""

    def value(z: NDArray[Any]) -> NDArray[Any]:
        outside = np.where(z > limit, z - bias, z + bias)
        return np.asarray(np.where(np.abs(z) <= limit, 0.0, outside)).astype(z.dtype, copy=False)

    def slope(z: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(np.where(np.abs(z) > limit, 1.0, 0.0)).astype(z.dtype, copy=False)

    if limit == 0.0:
        return Curve(value, slope, (True, True), (0.0,), jumps=((0.0, bias, -bias),))
    jumps = ((-limit, bias - limit, 0.0), (limit, 0.0, limit - bias))
    return Curve(value, slope, (True, True, True), (-limit, limit), jumps=jumps)


FLOOR = Curve(np.floor, _flat, (True,), stairs=0.0, lead=np.ones_like)
ROUND = Curve(np.rint, _flat, (True,), stairs=0.5, lead=np.ones_like)
