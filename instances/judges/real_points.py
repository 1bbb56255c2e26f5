"""Which inputs count as inside an input set with equalities: those that are the rounding of a real point of it.

A float32 input cannot satisfy 0.3 x_0 + 0.7 x_1 = 0.5 as it is written, as it cannot be 0.1. So a candidate x gives a
point p of rational numbers that does: its free inputs as they are, and the others by the equalities (`elimination`).
Where p satisfies bounds and half-spaces, exactly, the input is p rounded to the type that the file takes. Free inputs
are tried as values of that type first: equal inputs, or sums of few bits, then need no rounding at all. Inputs that
are integers in the file are those of p itself, or p does not count.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from ..network import Array
from ..property import InputSet
from ..rewriting.elimination import Solution
from .runtime import Grid

__all__ = ["RealPoint", "inside", "real_points"]

RealPoint = tuple[list[Fraction], Array, bool]  # p, its rounding [n] as float64, and whether it was rounded


def real_points(region: InputSet, solution: Solution, x: Array, dtype: Any) -> Iterator[RealPoint]:
    """Points of the input set next to a candidate x [n] float64, each with the value of `dtype` that it rounds to.

    dtype: one type for all inputs, or a grid of types of parts of x.
    """
    grid = dtype if isinstance(dtype, tuple) else ((slice(None), dtype),)
    whole = np.zeros(len(x), dtype=bool)
    for part, kind in grid:
        whole[part] = np.dtype(kind).kind in "iu"
    near = np.clip(x, region.lower, region.upper)
    ends = np.ceil(region.lower), np.floor(region.upper)
    rounded = np.where(whole, np.minimum(np.maximum(np.rint(near), ends[0]), ends[1]), near)
    rounded, free = _cast(rounded, grid)[solution.kept], near[solution.kept]
    for z in [rounded, free] if not np.array_equal(rounded, free) else [free]:
        if not np.isfinite(z).all():
            continue
        p = solution.exactly([Fraction(v) for v in z.tolist()])
        if inside(region, p):
            given = _cast(np.array([_nearest(v) for v in p]), grid)
            pairs = zip(given.tolist(), p, strict=True)
            differ = np.array([bool(np.isfinite(a)) and Fraction(a) != b for a, b in pairs])
            if not (differ & whole).any():
                yield p, given, bool(differ.any())


def _cast(x: Array, grid: Grid) -> Array:
    """x [n] as values of the grid's types, as float64; NaN where a type of integers does not reach so far."""
    result = np.array(x)
    for part, kind in grid:
        if np.dtype(kind).kind == "f":
            with np.errstate(over="ignore"):
                result[part] = x[part].astype(kind)
        else:
            least, most = float(np.iinfo(kind).min), float(np.iinfo(kind).max)
            most = most if most < 2.0**53 else float(np.nextafter(most, 0.0))  # the float of 2**63 - 1 is 2**63
            result[part] = np.where((x[part] >= least) & (x[part] <= most), np.rint(x[part]), np.nan)
    return result


def inside(region: InputSet, p: list[Fraction]) -> bool:
    """Whether a rational point satisfies bounds and half-spaces, the strict ones strictly, and lies in the ball."""
    low, high = region.lower.tolist(), region.upper.tolist()
    for v, a, b, above, below in zip(p, low, high, region.strict_lower, region.strict_upper, strict=True):
        if v < a or v > b or (above and v == a) or (below and v == b):
            return False
    for row, offset, strict in zip(region.rows, region.offsets, region.strict, strict=True):
        used = np.flatnonzero(row).tolist()
        value = Fraction(float(offset)) + sum((Fraction(float(row[i])) * p[i] for i in used), Fraction(0))
        if value < 0 or (strict and value == 0):
            return False
    return region.ball is None or region.ball.contains_exactly(p)


def _nearest(number: Fraction) -> float:
    try:
        return float(number)
    except OverflowError:
        return np.inf if number > 0 else -np.inf
