"""The affine pieces of functions that jump, with the ends that belong to each, in rational numbers.

    step_v:   0 on z < 0,   v at 0,   1 on z > 0
    threshold_a:   0 on z <= a,   z on z > a
    shrink_(l,b):   z + b on z < -l,   0 on [-l, l],   z - b on z > l
    floor:   n on n <= z < n + 1
    round:   n on |z - n| < 1/2, and at both ends where n is even

These are the functions of `steps` to the last point, where relaxations take graphs for closed.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor
from typing import NamedTuple

from .names import curve, is_curve

__all__ = ["MOST_PIECES", "Piece", "exact_value", "has_pieces", "pieces"]

MOST_PIECES = 64  # of one neuron; stairs over a wide range have more than can be gone through
HALF = Fraction(1, 2)


class Piece(NamedTuple):
    """f(z) = slope z + shift on an interval, whose open ends do not belong to it."""

    slope: int  # 0 or 1
    shift: Fraction
    low: Fraction | None = None  # None: no end
    low_open: bool = False
    high: Fraction | None = None
    high_open: bool = False

    def holds(self, z: Fraction) -> bool:
        """Whether z lies on it."""
        above = self.low is None or (z > self.low if self.low_open else z >= self.low)
        below = self.high is None or (z < self.high if self.high_open else z <= self.high)
        return above and below

    def meets(self, low: Fraction, high: Fraction) -> bool:
        """Whether it has a number in common with [low, high]."""
        above = self.low is None or (high > self.low if self.low_open else high >= self.low)
        below = self.high is None or (low < self.high if self.high_open else low <= self.high)
        return above and below

    def wider(self, by: Fraction) -> Piece:
        """The same function further on at both ends, which then belong to it."""
        if not by:
            return self
        low, high = (None if end is None else end + d for end, d in ((self.low, -by), (self.high, by)))
        return Piece(self.slope, self.shift, low, False, high, False)


def has_pieces(kind: str) -> bool:
    """Whether a kind of layer is a function that jumps, all of whose pieces are affine."""
    return is_curve(kind) and curve(kind).steps


def exact_value(kind: str, z: Fraction) -> Fraction:
    """The function's value. Raises ValueError for a kind without pieces."""
    piece = next(piece for piece in pieces(kind, z, z) if piece.holds(z))
    return piece.slope * z + piece.shift


def pieces(kind: str, low: Fraction, high: Fraction) -> list[Piece]:
    """The pieces that meet [low, high], from left to right.

    Of more than MOST_PIECES only the first ones, and one more. Raises ValueError for a kind without pieces.
    """
    family, *given = kind.split(":")
    zero = Fraction(0)
    if family == "step":
        found = [
            Piece(0, zero, high=zero, high_open=True), Piece(0, Fraction(float(given[0])), zero, False, zero),
            Piece(0, Fraction(1), zero, True),
        ]  # fmt: skip
    elif family == "threshold":
        place = Fraction(float(given[0]))
        found = [Piece(0, zero, high=place), Piece(1, zero, place, True)]
    elif family == "shrink":
        limit, bias = (Fraction(float(number)) for number in given)
        found = [
            Piece(1, bias, high=-limit, high_open=True), Piece(0, zero, -limit, False, limit),
            Piece(1, -bias, limit, True),
        ]  # fmt: skip
    elif family == "floor":
        found = [_flat(n, Fraction(n), Fraction(n + 1), False, True) for n in _whole(floor(low), floor(high))]
    elif family == "round":
        near = _whole(floor(low - HALF), ceil(high + HALF))
        found = [_flat(n, n - HALF, n + HALF, n % 2 == 1, n % 2 == 1) for n in near]
    else:
        raise ValueError(f"{kind!r} has no affine pieces")
    return [piece for piece in found if piece.meets(low, high)]


def _whole(first: int, last: int) -> range:
    return range(first, min(last, first + MOST_PIECES + 2) + 1)


def _flat(n: int, low: Fraction, high: Fraction, low_open: bool, high_open: bool) -> Piece:
    return Piece(0, Fraction(n), low, low_open, high, high_open)
