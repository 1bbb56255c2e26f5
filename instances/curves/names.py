"""The curves by their names, as kinds of layers: "sigmoid", "exp", and with a parameter "elu:1.5", "power:3"."""

from __future__ import annotations

import math
from functools import lru_cache

from .curve import Curve
from .exponentials import EXP, SOFTPLUS, elu
from .polynomials import HARDSWISH, power
from .sigmoids import ARCTAN, SIGMOID, SOFTSIGN, TANH

__all__ = ["CURVES", "MOST_POWER", "curve", "curve_name", "is_curve"]

CURVES: dict[str, Curve] = {
    "sigmoid": SIGMOID, "tanh": TANH, "arctan": ARCTAN, "softsign": SOFTSIGN, "exp": EXP, "softplus": SOFTPLUS,
    "hardswish": HARDSWISH,
}  # fmt: skip
MOST_POWER = 16  # exponents: each product rounds once, and as many are paid for


@lru_cache(maxsize=64)
def curve(kind: str) -> Curve:
    """The curve of a name. Raises ValueError for a name of none.

    >>> curve("power:3").bends
    (0.0,)
    """
    if kind in CURVES:
        return CURVES[kind]
    family, _, given = kind.partition(":")
    if family == "power" and given.isdigit() and 2 <= int(given) <= MOST_POWER:
        return power(int(given))
    if family == "elu":
        alpha = float(given)
        if 0.0 < alpha < math.inf:
            return elu(alpha)
    raise ValueError(f"no curve has the name {kind!r}")


def curve_name(family: str, parameter: float | int) -> str:
    """The name of a curve with a parameter, which keeps it to the last digit.

    >>> curve_name("elu", 1.5), curve_name("power", 3)
    ('elu:1.5', 'power:3')
    """
    return f"{family}:{parameter!r}"


def is_curve(kind: str) -> bool:
    """Whether a kind of layer is a curve's name."""
    try:
        curve(kind)
    except ValueError:
        return False
    return True
