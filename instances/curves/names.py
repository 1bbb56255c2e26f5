"""The curves by their names, as kinds of layers: "sigmoid", "exp", and with parameters "elu:1.5", "shrink:0.5:0.0"."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

from .curve import Curve
from .exponentials import EXP, SOFTPLUS, elu
from .gated import ERF, GELU, GELU_TANH, MISH, SILU, gelu, gelu_tanh, is_tanh_gate
from .partial import LOG, RECIPROCAL, SQRT, real_power
from .polynomials import HARDSWISH, power
from .sigmoids import ARCTAN, SIGMOID, SOFTSIGN, TANH
from .steps import FLOOR, ROUND, shrink, step, threshold
from .waves import COS, SIN

__all__ = ["CURVES", "JUMPING", "LEAST_POWER", "MOST_POWER", "PARTIAL", "curve", "curve_name", "is_curve"]

# continuous, and defined everywhere
CURVES: dict[str, Curve] = {
    "sigmoid": SIGMOID, "tanh": TANH, "arctan": ARCTAN, "softsign": SOFTSIGN, "exp": EXP, "softplus": SOFTPLUS,
    "hardswish": HARDSWISH, "erf": ERF, "gelu": GELU, "gelu_tanh": GELU_TANH, "mish": MISH, "silu": SILU, "sin": SIN,
    "cos": COS,
}  # fmt: skip
PARTIAL: dict[str, Curve] = {"sqrt": SQRT, "log": LOG, "reciprocal": RECIPROCAL}
JUMPING: dict[str, Curve] = {"floor": FLOOR, "round": ROUND}
_ALL = CURVES | PARTIAL | JUMPING
MOST_POWER = 16  # exponents: each product rounds once, and as many are paid for
LEAST_POWER = 1e-3  # of exponents that are not whole


@lru_cache(maxsize=64)
def curve(kind: str) -> Curve:
    """The curve of a name. Raises ValueError for a name of none.

    >>> curve("power:3").bends
    (0.0,)
    """
    if kind in _ALL:
        return _ALL[kind]
    family, *given = kind.split(":")
    if family in _FAMILIES and len(given) == _FAMILIES[family][0]:
        numbers = [float(text) for text in given]
        if all(map(math.isfinite, numbers)) and (made := _FAMILIES[family][1](*numbers)):
            return made
    raise ValueError(f"no curve has the name {kind!r}")


def _power(n: float) -> Curve | None:
    """A whole exponent from 2 on, or one that is below 0 or not whole."""
    if n == 1.0 or not LEAST_POWER <= abs(n) <= MOST_POWER:
        return None
    return power(int(n)) if n == int(n) and n > 0.0 else real_power(n)


# family -> (how many parameters, the curve of them or None where there is none)
_FAMILIES: dict[str, tuple[int, Callable[..., Curve | None]]] = {
    "elu": (1, lambda alpha: elu(alpha) if alpha > 0.0 else None),
    "gelu": (1, lambda divisor: gelu(divisor) if divisor > 0.0 else None),
    "gelu_tanh": (2, lambda linear, cubic: gelu_tanh(linear, cubic) if is_tanh_gate(linear, cubic) else None),
    "power": (1, _power),
    "shrink": (2, lambda limit, bias: shrink(limit, bias) if limit >= 0.0 else None),
    "step": (1, lambda at_jump: step(at_jump) if 0.0 <= at_jump <= 1.0 else None),
    "threshold": (1, threshold),
}


def curve_name(family: str, *parameters: float | int) -> str:
    """The name of a curve with parameters, which keeps them to the last digit.

    >>> curve_name("elu", 1.5), curve_name("power", 3), curve_name("shrink", 0.5, 0.0)
    ('elu:1.5', 'power:3', 'shrink:0.5:0.0')
    """
    return ":".join((family, *map(repr, parameters)))


def is_curve(kind: str) -> bool:
    """Whether a kind of layer is a curve's name."""
    try:
        curve(kind)
    except ValueError:
        return False
    return True
