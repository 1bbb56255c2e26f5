"""An activation as a curve: what relaxations, enclosures and attacks have to know of it.

Between two neighbouring bends the curve is convex or concave throughout; between two neighbouring turns, and places
where it jumps, it is monotone. So the concave envelope on an interval touches it at ends, at bends and inside concave
pieces only, and its range is that of its values at ends and turns and beside its jumps. This holds for every function
that Salman et al. (NeurIPS 2019) name: sigmoids, ELU, polynomials' powers, and steps.

How accurate values and slopes are is said by `rounding.CURVE_VALUE`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["JUMP_SLOPE", "Curve", "Function"]

Function = Callable[[NDArray[Any]], NDArray[Any]]

# Lines across a jump are no steeper: on so narrow an interval flat ones are as good, and the numbers that linear bounds
# are made of stay within their range
JUMP_SLOPE = 2.0**10


@dataclass(frozen=True)
class Curve:
    """A function of one number, elementwise on arrays of float64 or float32, in whose type it answers.

    It is continuous but for its jumps, and defined everywhere but for its gaps.
    """

    value: Function
    slope: Function  # its derivative; at a kink that of one side
    convex: tuple[bool, ...]  # one a piece, len(bends) + 1; False: concave. An affine piece is both
    bends: tuple[float, ...] = ()  # ascending: inflection points, kinks, jumps
    turns: tuple[float, ...] = ()  # ascending: where it is lowest or highest among its neighbours
    # (bend, limit from the left, limit from the right); relaxations take the graph for closed there: they hold whatever
    # the value between the two limits is
    jumps: tuple[tuple[float, float, float], ...] = ()
    # closed intervals on which nothing is claimed of it: it is not defined there, or too steep for error terms. What
    # touches one has no bounds at all
    gaps: tuple[tuple[float, float], ...] = ()
    reach: float = math.inf  # beyond -reach and reach `limits` are all that is known: bends and turns are not listed
    limits: tuple[float, float] = (-math.inf, math.inf)  # its least and largest value anywhere
    stairs: float | None = None  # not None: floor(z + stairs), whose jumps are not listed either
    lead: Function | None = None  # what attacks follow in place of the slope, where that leads nowhere

    @property
    def steps(self) -> bool:
        """Whether it jumps."""
        return bool(self.jumps) or self.stairs is not None

    def to_jump(self, z: NDArray[Any]) -> NDArray[Any]:
        """Distance to the nearest jump."""
        if self.stairs is not None:
            return np.asarray(np.abs(z + self.stairs - np.rint(z + self.stairs)))
        return np.min([np.abs(z - place) for place, _, _ in self.jumps], axis=0, initial=np.inf)

    def holds_jump(self, lower: NDArray[Any], upper: NDArray[Any]) -> NDArray[np.bool_]:
        """Which intervals [lower, upper] have a jump inside or at an end."""
        if self.stairs is not None:
            return np.asarray(np.ceil(lower + self.stairs) - 1.0 < np.floor(upper + self.stairs))
        found = np.zeros(np.shape(lower), dtype=bool)
        for place, _, _ in self.jumps:
            found |= (lower <= place) & (place <= upper)
        return found

    def claimed(self, z: NDArray[Any]) -> NDArray[np.bool_]:
        """Which numbers are in no gap."""
        return ~self.touches(z, z)

    def touches(self, lower: NDArray[Any], upper: NDArray[Any]) -> NDArray[np.bool_]:
        """Which intervals [lower, upper] have a number in common with a gap; those with a NaN do."""
        found = np.zeros(np.shape(lower), dtype=bool)
        for low, high in self.gaps:
            found |= ~((upper < low) | (lower > high))
        return found

    def inside_gap(self, lower: NDArray[Any], upper: NDArray[Any]) -> NDArray[np.bool_]:
        """Which intervals [lower, upper] have no number outside some gap."""
        found = np.zeros(np.shape(lower), dtype=bool)
        for low, high in self.gaps:
            found |= (lower >= low) & (upper <= high)
        return found

    def beyond(self, lower: NDArray[Any], upper: NDArray[Any]) -> NDArray[np.bool_]:
        """Which intervals [lower, upper] are not within `reach`; those with a NaN are not."""
        if self.reach == math.inf:
            return np.zeros(np.shape(lower), dtype=bool)
        return np.asarray(~((lower >= -self.reach) & (upper <= self.reach)))
