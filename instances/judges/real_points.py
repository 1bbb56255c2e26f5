"""Which inputs count as inside an input set with equalities: those that are the rounding of a real point of it.

A float32 input cannot satisfy 0.3 x_0 + 0.7 x_1 = 0.5 as it is written, as it cannot be 0.1. So a candidate x gives a
point p of rational numbers that does: its free inputs as they are, and the others by the equalities (`elimination`).
Where p satisfies bounds and half-spaces, exactly, the input is p rounded to the type that the file takes. Free inputs
are tried as values of that type first: equal inputs, or sums of few bits, then need no rounding at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from ..network import Array
from ..property import InputSet
from ..rewriting.elimination import Solution

__all__ = ["RealPoint", "inside", "real_points"]

RealPoint = tuple[list[Fraction], Array, bool]  # p, its rounding [n] as float64, and whether it was rounded


def real_points(region: InputSet, solution: Solution, x: Array, dtype: Any) -> Iterator[RealPoint]:
    """Points of the input set next to a candidate x [n] float64, each with the value of `dtype` that it rounds to."""
    free = np.clip(x[solution.kept], region.lower[solution.kept], region.upper[solution.kept])
    with np.errstate(over="ignore"):
        rounded = free.astype(dtype).astype(np.float64)
    for z in [rounded, free] if not np.array_equal(rounded, free) else [free]:
        if not np.isfinite(z).all():
            continue
        p = solution.exactly([Fraction(v) for v in z.tolist()])
        if inside(region, p):
            with np.errstate(over="ignore"):
                given = np.array([_nearest(v) for v in p]).astype(dtype).astype(np.float64)
            yield p, given, any(Fraction(a) != b for a, b in zip(given.tolist(), p, strict=True) if np.isfinite(a))


def inside(region: InputSet, p: list[Fraction]) -> bool:
    """Whether a rational point satisfies bounds and half-spaces, the strict ones strictly."""
    low, high = region.lower.tolist(), region.upper.tolist()
    for v, a, b, above, below in zip(p, low, high, region.strict_lower, region.strict_upper, strict=True):
        if v < a or v > b or (above and v == a) or (below and v == b):
            return False
    for row, offset, strict in zip(region.rows, region.offsets, region.strict, strict=True):
        used = np.flatnonzero(row).tolist()
        value = Fraction(float(offset)) + sum((Fraction(float(row[i])) * p[i] for i in used), Fraction(0))
        if value < 0 or (strict and value == 0):
            return False
    return True


def _nearest(number: Fraction) -> float:
    try:
        return float(number)
    except OverflowError:
        return np.inf if number > 0 else -np.inf
