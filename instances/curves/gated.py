"""Activations z g(z) with a gate g that rises from 0 to 1, all convex between two bends and concave beyond them:

    silu    g(z) = 1 / (1 + e^-z)                          (Elfwing et al., 2018; "swish" in Ramachandran et al., 2017)
    gelu_s  g(z) = (1 + erf(z / s)) / 2, s = sqrt(2) as a rule           (Hendrycks and Gimpel, 2016)
    gelu_tanh  g(z) = (1 + tanh(u)) / 2, u = sqrt(2 / pi) (z + 0.044715 z^3)    (their approximation)
    gelu_tanh_(a,c)  the same with u = a z + c z^3, numbers near those
    mish    g(z) = tanh(log(1 + e^z)) = n (n + 2) / (n (n + 2) + 2), n = e^z       (Misra, 2020)

Each has its least value at one turn below 0. Gates are computed so that they are accurate where they are small, too:
z times a difference of numbers near 1 would not be.

Bends and turns are roots of the second and first derivative, by bisection; the floats that it ends with are off by so
little that it is far below what values are accurate to: what it makes of a value is of second order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .curve import Curve

__all__ = ["ERF", "GELU", "GELU_TANH", "MISH", "SILU", "gelu", "gelu_tanh", "is_tanh_gate"]

FLAT = 30.0  # |z| from which the gates are 0 or 1 in floats, and are taken at this place
SQRT_PI = math.sqrt(math.pi)
TANH_SCALE, TANH_CUBE = math.sqrt(2.0 / math.pi), 0.044715
SIMILAR = 2.0**-6  # how far from these numbers, relatively, others may be
GELU_TURN = -0.5315968851493932227261913  # of z (1 + erf(z)) / 2, whose bends are -1 and 1


def _gate(z: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """(s, 1 - s) for the logistic function s of z, each accurate relative to itself."""
    small = np.exp(-np.abs(z))
    large, rest = 1.0 / (1.0 + small), small / (1.0 + small)
    return np.where(z >= 0.0, large, rest), np.where(z >= 0.0, rest, large)


def _silu(z: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(z * _gate(z)[0])


def _silu_slope(z: NDArray[Any]) -> NDArray[Any]:
    gate, rest = _gate(z)
    return np.asarray(gate * (1.0 + np.clip(z, -2.0 * FLAT, 2.0 * FLAT) * rest))


def is_tanh_gate(linear: float, cubic: float) -> bool:
    """Whether z (1 + tanh(linear z + cubic z^3)) / 2 bends and turns as that of GELU does, whose numbers these are."""
    near = abs(linear / TANH_SCALE - 1.0) <= SIMILAR
    return near and abs(cubic / (TANH_SCALE * TANH_CUBE) - 1.0) <= SIMILAR


def gelu_tanh(linear: float, cubic: float) -> Curve:
    """z (1 + tanh(u)) / 2 for u = linear z + cubic z^3, which `is_tanh_gate` holds of.

    With w = 2 u and the logistic function s of w: the slope is s (1 + z (1 - s) w'), and the second derivative
    s (1 - s) (2 w' + z w'' - z w'^2 tanh(u)), an even function.
    """

    def value(z: NDArray[Any]) -> NDArray[Any]:
        near = np.clip(z, -FLAT, FLAT)
        return np.asarray(z * _gate(2.0 * near * (linear + cubic * near * near))[0])

    def slope(z: NDArray[Any]) -> NDArray[Any]:
        near = np.clip(z, -FLAT, FLAT)
        gate, rest = _gate(2.0 * near * (linear + cubic * near * near))
        return np.asarray(gate * (1.0 + near * rest * 2.0 * (linear + 3.0 * cubic * near * near)))

    def bends(z: float) -> float:
        steep = 2.0 * (linear + 3.0 * cubic * z * z)
        return 2.0 * steep + z * (12.0 * cubic * z - steep * steep * math.tanh(z * (linear + cubic * z * z)))

    def turns(z: float) -> float:
        return float(slope(np.array(z)))

    bend = _root(bends, 1.0, 2.0)
    return Curve(value, slope, (False, True, False), (-bend, bend), (_root(turns, -1.0, -0.5),))


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function changes its sign once between two numbers, by bisection down to neighbouring floats."""
    sign = function(low) > 0.0
    while low < (middle := 0.5 * (low + high)) < high:
        low, high = (middle, high) if (function(middle) > 0.0) == sign else (low, middle)
    return low


def _mish(z: NDArray[Any]) -> NDArray[Any]:
    n = np.exp(np.minimum(z, FLAT))
    return np.asarray(z * (n * (n + 2.0) / (n * (n + 2.0) + 2.0)))


def _mish_slope(z: NDArray[Any]) -> NDArray[Any]:
    near = np.clip(z, -4.0 * FLAT, FLAT)
    n = np.exp(near)
    below = n * (n + 2.0) + 2.0
    return np.asarray(n * (n + 2.0) / below + 4.0 * near * (n / below) * ((n + 1.0) / below))


def _erf(z: NDArray[Any]) -> NDArray[Any]:
    from scipy.special import erf

    return np.asarray(erf(z))


@np.errstate(over="ignore")  # e^-inf is 0, as it should be
def _bell(z: NDArray[Any]) -> NDArray[Any]:
    """Half the slope of erf: e^(-z^2) / sqrt(pi)."""
    return np.asarray(np.exp(-(z * z)) / SQRT_PI)


def gelu(divisor: float) -> Curve:
    """z (1 + erf(z / divisor)) / 2 for a number divisor > 0, by erfc, which is accurate where it is small."""

    def value(z: NDArray[Any]) -> NDArray[Any]:
        from scipy.special import erfc

        return np.asarray(0.5 * z * erfc(-(z / divisor)))

    def slope(z: NDArray[Any]) -> NDArray[Any]:
        from scipy.special import erfc

        w = z / divisor
        return np.asarray(0.5 * erfc(-w) + np.clip(w, -FLAT, FLAT) * _bell(w))

    return Curve(value, slope, (False, True, False), (-divisor, divisor), (divisor * GELU_TURN,))


ERF = Curve(_erf, lambda z: np.asarray(2.0 * _bell(z)), (True, False), (0.0,))
GELU = gelu(math.sqrt(2.0))
GELU_TANH = gelu_tanh(TANH_SCALE, TANH_SCALE * TANH_CUBE)
MISH = Curve(
    _mish, _mish_slope, (False, True, False), (-2.2563763963607931200057486, 1.4905711794854284592944189),
    (-1.1924312145154952121375883,),
)  # fmt: skip
SILU = Curve(
    _silu, _silu_slope, (False, True, False), (-2.3993572805154676678327397, 2.3993572805154676678327397),
    (-1.2784645427610737951093587,),
)  # fmt: skip
