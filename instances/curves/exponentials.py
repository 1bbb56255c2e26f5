"""Curves made of exponentials:

    exp(z),    softplus(z) = log(1 + e^z) = max(z, 0) + log(1 + e^-|z|),    elu_a(z) = z for z > 0, else a (e^z - 1)

The last has a kink at 0 unless a = 1, which is concave for a > 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .curve import Curve

__all__ = ["EXP", "SOFTPLUS", "elu"]


def _softplus(z: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.maximum(z, 0.0) + np.log1p(np.exp(-np.abs(z))))


def _logistic(z: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * z)))


@np.errstate(over="ignore")  # beyond float64 it is infinite, which proves nothing
def _exp(z: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.exp(z))


EXP = Curve(_exp, _exp, (True,))
SOFTPLUS = Curve(_softplus, _logistic, (True,))


def elu(alpha: float) -> Curve:
    """The exponential linear unit of a number alpha > 0 (Clevert et al., 2016)."""

    def value(z: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(np.where(z > 0.0, z, alpha * np.expm1(np.minimum(z, 0.0)))).astype(z.dtype, copy=False)

    def slope(z: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(np.where(z > 0.0, 1.0, alpha * np.exp(np.minimum(z, 0.0)))).astype(z.dtype, copy=False)

    return Curve(value, slope, (True, True), (0.0,))
