"""Decimals for a witness: inside the intervals as the property writes them, and read as the very input replayed.

A bound such as 0.1 is no float64, and the float32 that is replayed for it, 0.100000001490116..., is outside an
interval that ends there. Checkers that hold the printed decimals against the written ones want 0.1, those that
cast to float32 get the same number from it. So for each input: a decimal d with written lower <= d <= written
upper (< where strict) that rounds to the replayed value, both at once and by way of float64.

Only inputs that lie on or outside a bound need this: rounding to float64 is monotone, so strictly between the
bounds in float64 is strictly between them as they are written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Context, Decimal
from fractions import Fraction
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from ..property import InputSet, Property
from .witness import Witness

__all__ = ["read_as", "written_inside"]

_NUMBER = r"([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)"
_NAME = r"([A-Za-z][A-Za-z0-9_]*+(?:\s*+\[[0-9,\s]*+\])?)"
_COMPARED = re.compile(rf"\(\s*[<>=]=?\s+(?:{_NAME}\s+{_NUMBER}|{_NUMBER}\s+{_NAME})\s*\)")
_PRECISE = Context(prec=1200)  # float64s have up to 767 digits
MOST_DIGITS = 1000
_HALVINGS = (1, 2, 4, 8, 16, 32, 64)  # how near to the ends of an interval decimals are tried, in powers of two


class _Interval(NamedTuple):
    """The interval of one input as it is written."""

    low: Fraction
    high: Fraction
    open_below: bool
    open_above: bool

    def contains(self, d: Fraction) -> bool:
        """Whether d lies in it."""
        above = self.low < d or (d == self.low and not self.open_below)
        return above and (d < self.high or (d == self.high and not self.open_above))


def written_inside(witness: Witness, region: InputSet, prop: Property, dtype: Any) -> Witness:
    """The witness with the decimals of its inputs that lie inside the intervals of `region` as `prop` writes them.

    prop: its `text` is VNN-LIB, "" where there is none (bounds are then what float64 says); dtype: numpy's type of the
    model's inputs. Where no decimal does both, the input's own repr stays.
    """
    touched = np.flatnonzero((witness.input <= region.lower) | (witness.input >= region.upper)).tolist()
    if not touched:
        return witness
    literals = _literals(prop.text, {prop.name_of(i): i for i in touched})
    written = {}
    for i in touched:
        value, ends = float(witness.input[i]), (float(region.lower[i]), float(region.upper[i]))
        low, high = (literals.get((i, end), []) for end in ends)
        interval = _Interval(
            max(map(Fraction, low), default=Fraction(ends[0])), min(map(Fraction, high), default=Fraction(ends[1])),
            bool(region.strict_lower[i]), bool(region.strict_upper[i]),
        )  # fmt: skip
        found = _decimal(value, interval, [*low, *high], dtype)  # as the text writes it, if possible
        if found != repr(value):
            written[i] = found
    return replace(witness, written=written)


def _literals(text: str, names: dict[str, int]) -> dict[tuple[int, float], list[str]]:
    """Decimals that the text compares inputs with, by input and the float64 that each is read as."""
    found: dict[tuple[int, float], list[str]] = {}
    for match in _COMPARED.finditer(text):
        index, number = names.get("".join((match[1] or match[4]).split())), match[2] or match[3]
        if index is None:
            continue
        if len(number) > MOST_DIGITS or abs(int(number.lower().partition("e")[2] or 0)) > MOST_DIGITS:
            continue  # a Fraction of it would be of any size
        same = found.setdefault((index, float(number)), [])
        if number not in same:
            same.append(number)
    return found


def _decimal(value: float, interval: _Interval, literals: list[str], dtype: Any) -> str:
    """A decimal inside the interval that is read as `value`; the repr of `value` where there is none."""
    plain, inside = repr(value), ""
    for decimal in chain((plain, *literals), _between(interval)):
        number = Fraction(decimal)
        if interval.contains(number) and _by_float64(decimal, dtype) == value:
            if read_as(decimal, value, dtype):
                return decimal
            inside = inside or decimal
    return inside or plain


def _between(interval: _Interval) -> Iterator[str]:
    """Decimals between the ends, from the middle towards both."""
    low, width = interval.low, interval.high - interval.low
    if width > 0:
        for share in (s for k in _HALVINGS for s in (Fraction(1, 2**k), 1 - Fraction(1, 2**k))):
            yield _shortest(low + width * share, width)


def _shortest(number: Fraction, width: Fraction) -> str:
    """The number with few digits, off by far less than any of the shares above."""
    exact = _PRECISE.divide(Decimal(number.numerator), Decimal(number.denominator))
    scale = _PRECISE.divide(Decimal(width.numerator), Decimal(width.denominator)).adjusted()
    return str(exact.quantize(Decimal((0, (1,), scale - 25)), context=_PRECISE))


def read_as(decimal: str, value: float, dtype: Any) -> bool:
    """Whether a decimal is read as `value` of type `dtype`, both by way of float64 and at once."""
    return _by_float64(decimal, dtype) == value and (
        float(decimal) == value or _at_once(Fraction(decimal), value, dtype)
    )


def _by_float64(decimal: str, dtype: Any) -> float:
    """What a reader has who takes the decimal for a float64 and casts it."""
    with np.errstate(over="ignore"):
        return float(dtype(float(decimal)))


def _at_once(d: Fraction, value: float, dtype: Any) -> bool:
    """Whether `value` is the number of type `dtype` nearest to d, with nothing in between."""
    neighbours = (float(np.nextafter(dtype(value), dtype(side))) for side in (-np.inf, np.inf))
    return all(abs(d - Fraction(value)) <= abs(d - Fraction(n)) for n in neighbours if np.isfinite(n))
