"""S-shaped curves: convex up to 0, concave beyond, increasing, with a limit on either side.

    sigmoid(z) = 1 / (1 + e^-z) = (1 + tanh(z / 2)) / 2,    tanh(z),    arctan(z),    softsign(z) = z / (1 + |z|)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .curve import Curve

__all__ = ["ARCTAN", "SIGMOID", "SOFTSIGN", "TANH"]


def _sigmoid(z: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * z)))


def _sigmoid_slope(z: NDArray[Any]) -> NDArray[Any]:
    s = _sigmoid(z)
    return np.asarray(s * (1.0 - s))


def _softsign(z: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(z / (1.0 + np.abs(z)))


def _softsign_slope(z: NDArray[Any]) -> NDArray[Any]:
    inverse = 1.0 / (1.0 + np.abs(z))
    return np.asarray(inverse * inverse)  # a square could overflow where this underflows


@np.errstate(over="ignore")  # 1 / inf is 0, as it should be
def _arctan_slope(z: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(1.0 / (1.0 + z * z))


SIGMOID = Curve(_sigmoid, _sigmoid_slope, (True, False), (0.0,))
TANH = Curve(np.tanh, lambda z: np.asarray(1.0 - np.tanh(z) ** 2), (True, False), (0.0,))
ARCTAN = Curve(np.arctan, _arctan_slope, (True, False), (0.0,))
SOFTSIGN = Curve(_softsign, _softsign_slope, (True, False), (0.0,))
