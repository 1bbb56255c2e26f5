"""Curves in extended precision, written down from their definitions."""

from __future__ import annotations

from typing import Any

import numpy as np

WIDE = np.longdouble
PI = WIDE("3.14159265358979323846264338327950288")
TERMS = 180  # of the error function's series, up to |z| = 7


def wide_curve(kind: str, z: Any) -> Any:
    """act(z) in numpy's long double, elementwise; at a jump the function's own value."""
    w = np.asarray(z, dtype=WIDE)
    family, *given = kind.split(":")
    numbers = [WIDE(float(text)) for text in given]
    return {**PLAIN, **FAMILIES}[family](w, *numbers)


def erf(w: Any) -> Any:
    """2 / sqrt(pi) e^(-w^2) sum 2^n w^(2 n + 1) / (2 n + 1)!!, whose terms have one sign; 1 from 7 on."""
    near = np.clip(w, -7, 7)
    term = total = near
    for n in range(1, TERMS):
        term = term * 2 * near * near / (2 * n + 1)
        total = total + term
    return np.where(np.abs(w) >= 7, np.sign(w), 2 / np.sqrt(PI) * np.exp(-near * near) * total)


def gelu(w: Any, divisor: Any = None) -> Any:
    """w (1 + erf(w / divisor)) / 2, of sqrt(2) where none is given."""
    return w / 2 * (1 + erf(w / (np.sqrt(WIDE(2)) if divisor is None else divisor)))


def gelu_tanh(w: Any, linear: Any = None, cubic: Any = None) -> Any:
    """w (1 + tanh(linear w + cubic w^3)) / 2, of sqrt(2 / pi) (w + 0.044715 w^3) where none are given."""
    scale = np.sqrt(2 / PI)
    inner = scale * (w + WIDE("0.044715") * w**3) if linear is None else linear * w + cubic * w**3
    return w / 2 * (1 + np.tanh(inner))


def power(w: Any, n: Any) -> Any:
    """w^n."""
    return np.prod([w] * int(n), axis=0) if n == int(n) and n > 0 else w**n


def softplus(w: Any) -> Any:
    """log(1 + e^w)."""
    return np.maximum(w, 0) + np.log1p(np.exp(-np.abs(w)))


PLAIN = {
    "tanh": np.tanh, "arctan": np.arctan, "exp": np.exp, "softsign": lambda w: w / (1 + np.abs(w)),
    "sigmoid": lambda w: WIDE(1) / (WIDE(1) + np.exp(-w)), "softplus": softplus,
    "hardswish": lambda w: w * np.clip(w + 3, 0, 6) / 6, "erf": erf, "silu": lambda w: w / (1 + np.exp(-w)),
    "mish": lambda w: w * np.tanh(softplus(w)), "sin": np.sin, "cos": np.cos, "sqrt": np.sqrt, "log": np.log,
    "reciprocal": lambda w: 1 / w, "floor": np.floor, "round": np.rint,
}  # fmt: skip
FAMILIES = {
    "elu": lambda w, alpha: np.where(w > 0, w, alpha * np.expm1(np.minimum(w, 0))), "gelu": gelu, "power": power,
    "gelu_tanh": gelu_tanh,
    "step": lambda w, at_jump: np.where(w > 0, 1, np.where(w < 0, 0, at_jump)),
    "threshold": lambda w, alpha: np.where(w > alpha, w, 0),
    "shrink": lambda w, limit, bias: np.where(w < -limit, w + bias, np.where(w > limit, w - bias, 0)),
}  # fmt: skip
