"""An activation as a curve: what relaxations, enclosures and attacks have to know of it.

Between two neighbouring bends the curve is convex or concave throughout; between two neighbouring turns it is monotone.
So the concave envelope on an interval touches it at ends, at bends and inside concave pieces only, and its range is
that of its values at ends and turns. This holds for every function that Salman et al. (NeurIPS 2019) name: sigmoids,
ELU, polynomials' powers, and step-like ones made of them.

How accurate values and slopes are is said by `rounding.CURVE_VALUE`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

__all__ = ["Curve", "Function"]

Function = Callable[[NDArray[Any]], NDArray[Any]]


@dataclass(frozen=True)
class Curve:
    """A continuous function of one number, elementwise on arrays of float64 or float32, in whose type it answers."""

    value: Function
    slope: Function  # its derivative; at a kink that of one side
    convex: tuple[bool, ...]  # one a piece, len(bends) + 1; False: concave. An affine piece is both
    bends: tuple[float, ...] = ()  # ascending: inflection points, and kinks
    turns: tuple[float, ...] = ()  # ascending: where it is lowest or highest among its neighbours
