"""Norm balls {x : ||x - centre||_p <= radius}, p = 1 or 2: input sets that few half-spaces cannot describe.

The ball of the maximum norm is a box and needs no class. Membership is exact: floats are fractions, and both norms'
conditions are polynomial. A linear function's minimum over the ball is a'centre - radius ||a||_q with the dual norm q,
1/p + 1/q = 1 (Hoelder).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from .checks import finite_array
from .errors import PropertyError
from .network import Array
from .rounding import EPS_32, FEW_ROUNDINGS, UNDERFLOW

__all__ = ["NORMS", "NormBall"]

NORMS = (1, 2)
SWEEPS = 8  # alternations between ball and box; one is enough where the centre lies in the box
EXACT_SHARE = 1e-9  # distances this close to the radius, relative to it, are compared in exact arithmetic


@dataclass(frozen=True, eq=False)
class NormBall:
    """The closed ball of radius `radius` around `centre` in l1 (norm 1) or l2 (norm 2).

    Raises PropertyError where a field is not what is said below.
    """

    centre: Array  # [n], finite
    radius: float  # finite, >= 0
    norm: int  # 1 or 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "centre", finite_array(self.centre, (None,), "norm ball: centre", PropertyError))
        radius = finite_array(self.radius, (), "norm ball: radius", PropertyError)
        if radius < 0.0:
            raise PropertyError(f"norm ball: radius {float(radius)}, expected at least 0")
        object.__setattr__(self, "radius", float(radius))
        if self.norm not in NORMS or isinstance(self.norm, bool):
            raise PropertyError(f"norm ball: norm {self.norm!r}, expected 1 or 2 (of the maximum norm it is a box)")

    @property
    def dual(self) -> float:
        """The order q of the dual norm."""
        return 2.0 if self.norm == 2 else np.inf

    def distances(self, points: Array) -> Array:
        """||x - centre||_p of points [..., n], in float64."""
        return np.asarray(np.linalg.norm(points - self.centre, ord=self.norm, axis=-1))

    def contains(self, x: Array) -> bool:
        """Whether x [n] lies in the ball, in exact arithmetic where floats could err."""
        with np.errstate(over="ignore"):
            distance = float(self.distances(x))
        # squares that underflow make a distance small, not one beyond UNDERFLOW
        if UNDERFLOW < distance < np.inf and abs(distance - self.radius) > EXACT_SHARE * self.radius:
            return distance <= self.radius
        return self.contains_exactly([Fraction(float(v)) for v in x])

    def contains_exactly(self, x: list[Fraction]) -> bool:
        """The same for fractions [n]."""
        steps = [v - Fraction(float(c)) for v, c in zip(x, self.centre, strict=True)]
        radius = Fraction(self.radius)
        if self.norm == 1:
            return sum(abs(s) for s in steps) <= radius
        return sum(s * s for s in steps) <= radius * radius

    def project(self, points: Array) -> Array:
        """The nearest points of the ball in l2, in float64: [..., n] -> [..., n]. Rounding may leave them just outside.

        l1: the steps' sizes are shrunk by one threshold (Duchi et al. 2008).
        """
        steps = points - self.centre
        if self.norm == 2:
            length = np.linalg.norm(steps, axis=-1, keepdims=True)
            with np.errstate(divide="ignore", invalid="ignore"):
                return self.centre + steps * np.where(length > self.radius, self.radius / length, 1.0)
        size = np.abs(steps)
        outside = size.sum(axis=-1, keepdims=True) > self.radius
        ordered = -np.sort(-size, axis=-1)
        excess = (np.cumsum(ordered, axis=-1) - self.radius) / np.arange(1, size.shape[-1] + 1)
        last = (ordered > excess).sum(axis=-1, keepdims=True) - 1
        threshold = np.take_along_axis(excess, np.maximum(last, 0), axis=-1)
        shrunk = np.sign(steps) * np.maximum(size - threshold, 0.0)
        return self.centre + np.where(outside, shrunk, steps)

    def inward(self, points: Array, lower: Array, upper: Array, dtype: Any = np.float64) -> Array:
        """Points [..., n] moved into ball and box, far enough that rounding to `dtype` leaves them there if any can.

        Next to the surface each coordinate becomes a number of `dtype` between it and the centre's, where there is one.
        lower, upper: [n]. Where the two hardly meet the points may stay outside: membership is for `contains` to say.
        """
        found = np.clip(points, lower, upper)
        for _ in range(SWEEPS):
            spare = FEW_ROUNDINGS * (self.radius + np.linalg.norm(found, ord=self.norm, axis=-1))
            if not (self.distances(found) > self.radius - spare).any():
                break
            found = np.clip(self._shrunk(found), lower, upper)
        if dtype == np.float64:
            return found
        with np.errstate(over="ignore"):
            single = found.astype(dtype)
        far = np.abs(single - self.centre) > np.abs(found - self.centre)
        toward = np.nextafter(single, np.where(found > self.centre, -np.inf, np.inf).astype(dtype))
        single = np.where(far, toward, single).astype(np.float64)
        moved = EPS_32 * np.linalg.norm(found, ord=self.norm, axis=-1)
        near = self.distances(found) > self.radius - moved
        return np.where(near[..., None], single, found)

    def _shrunk(self, points: Array) -> Array:
        """Projections onto a ball that is smaller by what they round."""
        spare = 2.0 * FEW_ROUNDINGS * (self.radius + np.linalg.norm(points, ord=self.norm, axis=-1).max(initial=0.0))
        return NormBall(self.centre, max(self.radius - spare, 0.0), self.norm).project(points)

    def covers(self, lower: Array, upper: Array) -> bool:
        """Whether the whole box [n] lies in the ball, exactly."""
        corner = []
        for c, low, high in zip(self.centre.tolist(), lower.tolist(), upper.tolist(), strict=True):
            ends = Fraction(low), Fraction(high)
            corner.append(max(ends, key=lambda end: abs(end - Fraction(c))))
        return self.contains_exactly(corner)
