"""Which expressions are one number times another one, and which are a layer's value.

Exporters write one function in several nodes, x Sigmoid(x) or x (1 + Erf(x / sqrt 2)) / 2. Each node by itself is read
as an affine expression or a layer; what is kept here tells whether two of them are made of one and the same third:

    expression = factor (base + ratio),   ratio 0 or 1

and which are the sum of two others, or of another one and a number.
Objects stand for themselves: an expression that was changed in any other way has no origin but itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from ..rounding import LEAST_PRODUCT, MOST_PRODUCT

if TYPE_CHECKING:
    from .affine import Expression

__all__ = ["Origin", "Origins"]


@dataclass(frozen=True, eq=False)
class Origin:
    """The expression that has it is factor (base + ratio), entry by entry."""

    base: Expression
    factor: float = 1.0  # never 0
    ratio: float = 0.0  # 0 or 1, exactly
    roundings: int = 0  # the factor's relative error is at most roundings * 2**-53


class Origins:
    """What is known of the expressions of one graph. It holds them, so that their ids stay their own."""

    def __init__(self) -> None:
        self._origins: dict[int, tuple[Expression, Origin]] = {}
        self._layers: dict[int, tuple[Expression, Expression, str]] = {}
        self._sums: dict[int, tuple[Expression, Expression, Expression]] = {}
        self._moved: dict[int, tuple[Expression, Expression, float]] = {}

    def of(self, expression: Expression) -> Origin:
        """Where it comes from; it is its own origin where nothing is known."""
        known = self._origins.get(id(expression))
        return known[1] if known else Origin(expression)

    def layer(self, value: Expression) -> tuple[Expression, str] | None:
        """(pre-activation, kind) of the layer whose value this is, None where it is none."""
        known = self._layers.get(id(value))
        return known[1:] if known else None

    def sum(self, value: Expression) -> tuple[Expression, Expression] | None:
        """The two expressions whose sum it is, None where none are known."""
        known = self._sums.get(id(value))
        return known[1:] if known else None

    def moved(self, value: Expression) -> tuple[Expression, float] | None:
        """The expression and the number whose sum it is, None where none are known."""
        known = self._moved.get(id(value))
        return known[1:] if known else None

    def total(self, a: Expression, b: Expression) -> tuple[Expression, float, int] | None:
        """(c, factor, roundings) where a + b is factor times c, of which both are exact multiples; None elsewhere."""
        one, two = self.of(a), self.of(b)
        if one.base is not two.base or one.ratio or two.ratio or one.roundings or two.roundings:
            return None
        factor = one.factor + two.factor  # the float next to the sum, so off by its own rounding at most
        if not LEAST_PRODUCT <= abs(factor) <= MOST_PRODUCT:
            return None
        exact = Fraction(one.factor) + Fraction(two.factor) == Fraction(factor)
        return one.base, factor, 0 if exact else 1

    def added(self, result: Expression, a: Expression, b: Expression) -> None:
        """result = a + b."""
        self._sums[id(result)] = result, a, b

    def made(self, value: Expression, pre: Expression, kind: str) -> None:
        """value = kind(pre), a layer."""
        self._layers[id(value)] = value, pre, kind

    def scaled(self, result: Expression, given: Expression, factors: Any, roundings: int) -> None:
        """result = factors * given; kept where the factors are one number, a rounded one with `roundings`."""
        factor, before = _one_number(factors), self.of(given)
        if result is given or not factor:
            return
        made = before.factor * factor
        if not LEAST_PRODUCT <= abs(made) <= MOST_PRODUCT:
            return
        exact = before.factor == 1.0 or abs(float(np.frexp(factor)[0])) == 0.5
        total = before.roundings + roundings + (0 if exact else 1)
        self._origins[id(result)] = result, Origin(before.base, made, before.ratio, total)

    def shifted(self, result: Expression, given: Expression, offset: Any) -> None:
        """result = given + offset, without an error of its own; kept where it is given, or factor (base + 1)."""
        number, before = _one_number(offset), self.of(given)
        if result is given:
            return
        if not np.any(offset):
            self._origins[id(result)] = result, before
            return
        if number:
            self._moved[id(result)] = result, given, number
        if not before.ratio and not before.roundings and number == before.factor:
            self._origins[id(result)] = result, Origin(before.base, before.factor, 1.0)


def _one_number(values: Any) -> float:
    """The number that all values are, 0 where they differ or are none."""
    flat = np.asarray(values, dtype=np.float64).reshape(-1)
    return float(flat[0]) if len(flat) and np.isfinite(flat[0]) and bool((flat == flat[0]).all()) else 0.0
