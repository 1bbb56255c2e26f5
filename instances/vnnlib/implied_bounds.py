"""Bounds that follow for inputs without bounds of their own, such as those that equal another input.

From a comparison sum_i c_i x_i + d <= 0 with c_j > 0 follows x_j <= (-d - sum_{i != j} min c_i x_i) / c_j, and with
c_j < 0 a lower bound alike. Bounds that the text gives are left as they are; what follows is rounded outward, and the
comparison it follows from stays, so no input is lost or gained.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from ..network import Array
from .formula import Atom

__all__ = ["bound_the_unbounded"]


def bound_the_unbounded(lower: Array, upper: Array, atoms: Sequence[Atom]) -> None:
    """Replace infinite ends of the box [n], in place, as far as the atoms on inputs tell."""
    relevant = [a for a in atoms if len(a.terms) > 1]
    progress = True
    while progress:
        progress = False
        for atom in relevant:
            for j, coefficient in atom.terms:
                end = upper if coefficient > 0 else lower
                if math.isinf(end[j]) and (bound := _implied(atom, j, lower, upper)) is not None:
                    end[j] = _outward(bound, coefficient > 0)
                    progress = progress or math.isfinite(end[j])


def _implied(atom: Atom, j: int, lower: Array, upper: Array) -> Fraction | None:
    """The bound on x_j, None where another input of the comparison is not bounded."""
    total, own = Fraction(atom.constant), Fraction(1)
    for i, c in atom.terms:
        if i == j:
            own = Fraction(c)
            continue
        end = float(lower[i] if c > 0 else upper[i])
        if math.isinf(end):
            return None
        total += Fraction(c) * Fraction(end)
    return -total / own


def _outward(bound: Fraction, up: bool) -> float:
    """The float64 next to a number, not below (or not above) it; infinite beyond the largest."""
    try:
        near = float(bound)
    except OverflowError:
        return math.inf if up else -math.inf
    off = near < bound if up else near > bound
    return math.nextafter(near, math.inf if up else -math.inf) if off else near
