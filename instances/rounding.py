"""Every constant of rounding, each with what it covers and why its size is enough.

Floats round to the nearest: one operation errs by at most u = UNIT of its result, n products and their sum, in whatever
order, by at most n u / (1 - n u) of their magnitude sum |a_i b_i| (Higham, *Accuracy and Stability of Numerical
Algorithms*, 2002, section 3.1), as long as nothing overflows (`linear/number_range.py`) or underflows; what underflows
is absolute and paid apart, by TINY, TINY_SQUARE and UNDERFLOW.

Factors ("times an error", "of a value") are relative, the others absolute. Values are bounded by *_ROUNDINGS and gamma,
error terms themselves by UP: they are small, so that a generous factor costs nothing.
Thresholds of search, and a solver's tolerances, are no rounding and stay where they are used; those of SCIP in
`programs/scip.py`.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CURVE_SLACK", "CURVE_VALUE", "DOUBLE_NOISE", "ELEMENTARY", "EPS", "EPS_32", "FEW_ROUNDINGS", "FEW_ROUNDINGS_32",
    "INVERSE_ERROR", "LAST_ROUNDINGS", "LEAST_PRODUCT", "LITERALS", "MOST_PRODUCT", "NOISE", "RESIDUAL", "ROUND_UP",
    "SHIFT", "SMALLEST", "SMALLEST_32", "SPARE", "SPARE_32", "TINY", "TINY_32", "TINY_SQUARE", "UNDERFLOW", "UNIT",
    "UP", "gamma", "gamma_32",
]  # fmt: skip

Terms = TypeVar("Terms", float, NDArray[np.float64])

# ---------------------------------------------------------------- float64, relative

UNIT = 2.0**-53  # one rounding: half a unit in the last place, by definition of the format
EPS = 2.0**-52  # one rounding in an error term: twice as much, which covers that the term is computed in floats, too
SPARE = 8  # terms that every sum is charged beyond its own: the bias, signs, its addition to others
# A few roundings of one number: eight of them; the longest chain that it is used for is a product, a quotient, the sum
# with a limit or a side, and that of this slack itself
FEW_ROUNDINGS = 2.0**-50
ROUND_UP = 1.0 + FEW_ROUNDINGS  # of a radius, a side, an intercept: at most three roundings, and the product's own
# Times the size of a row of literals, by which input sets of thin equalities are widened: each literal is off by one
# UNIT of itself, and so is what is computed of them; this is eight
LITERALS = 2.0**-50
# The last additions of a value to its error terms, of the sum of their sizes: thousands of roundings, where ten are due
LAST_ROUNDINGS = 2.0**-40
# Times an error: a sum of up to 2^32 nonnegative terms is off by 2^-21 of itself at most, and a root by half of that; a
# millionth of an error costs nothing. The largest tensor that is read has 2^24 entries
UP = 1.0 + 2.0**-20

# ---------------------------------------------------------------- float64, absolute

SMALLEST = 2.0**-1074  # what one product may lose below float64's range: its smallest number
TINY = 1e-300  # what sums lose there: 10^23 products; added to divisors and sizes it also keeps them from 0
TINY_SQUARE = 1e-300  # where sums of squares begin: the squares of numbers below 1e-150 may vanish, their products not
UNDERFLOW = 1e-140  # what all that underflows can move a margin by: 6e-150, see `linear/number_range.py`
LEAST_PRODUCT = 2.0**-1000  # from here on a product of two numbers is a normal float: its rounding is relative
MOST_PRODUCT = 2.0**1000  # up to here sums of 2^24 of them do not overflow

# ---------------------------------------------------------------- float32

EPS_32 = 2.0**-23  # as EPS: one rounding in an error term, doubled
SPARE_32 = 16  # as SPARE; the two factors of each product were rounded to float32 before
FEW_ROUNDINGS_32 = 2.0**-20  # a few roundings of one float32: sixteen; a difference of two rounded numbers takes three
SMALLEST_32 = 2.0**-126  # a float32 below it may have become 0: the smallest normal one
TINY_32 = 1e-30  # what sums lose below float32's range: 10^7 of its smallest normal numbers; divisors as with TINY

# ---------------------------------------------------------------- activations

# A value of tanh or of the sigmoid made of it: eight units in the last place of 1; numpy's and libm's tanh err by less
# than four of the result, which is below 1, and the sigmoid halves that and rounds once more
ELEMENTARY = 2.0**-49
# A value or a slope v of any curve of `curves/`, times 1 + |v|: up to three of numpy's functions one behind another, of
# at most four units in the last place each (2^-50), which none of them enlarges beyond 1 + |v|, and a few roundings;
# powers up to 16 are off by fewer than 16 u
CURVE_VALUE = 2.0**-47
# A line along a sigmoid or tanh, per unit of the terms in it: the values' errors, a few roundings of the terms, and the
# second-order error of the touching point (1e-7 off at most, where the curvature is below 1e-9); and a box that lies
# beside such lines in one linear program
CURVE_SLACK = 1e-12

# ---------------------------------------------------------------- polytopes of groups of neurons

# Outwards, of the row's reach, before vertices are enumerated: a million times what the enumeration rounds, so that
# rows meet in general position, and far below what a bound is worth. Proofs take the bounds as given, without it
SHIFT = 2.0**-30
# An inverse B of a basis A [k, k] counts as accurate where k |A B - 1| |B| (largest entries) is below the first: the
# exact inverse differs from it by k |A B - 1| |B| / (1 - k |A B - 1|) at most, with what rounds in A B below the second
RESIDUAL, INVERSE_ERROR = 1e-11, 1e-9

# ---------------------------------------------------------------- comparison with the file's own run

# Noise that is put on every value to see what rounding in the file's type may do: four units in the last place, or more
NOISE: dict[Any, float] = {np.float16: 2.0**-9, np.float32: 2.0**-22, np.float64: 2.0**-50}
DOUBLE_NOISE = 2.0**-40  # of the largest number in a file: what an evaluation in double may be off by, amply


def gamma(terms: Terms) -> Terms:
    """Bound on the relative error of a float64 sum of `terms` products, with a factor 2 for evaluating the bound.

    (n + SPARE) EPS = 2 (n + 8) u is at least twice n u / (1 - n u) up to n = 2^27. terms: a number or an array of
    numbers. Kernels write it out.

    >>> gamma(0) == SPARE * EPS
    True
    """
    return (terms + SPARE) * EPS


def gamma_32(terms: int) -> float:
    """The same for a float32 sum of products of rounded factors, (n + 2) u / (1 - (n + 2) u) with u = EPS_32 / 2.

    Right up to 2^22 terms, and twice that bound up to 2^13.
    """
    return (terms + SPARE_32) * EPS_32
