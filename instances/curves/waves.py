"""Sine and cosine, with the bends and turns of the eight periods around 0.

Within [-8 pi, 8 pi] they have their own envelopes; of an interval that goes beyond, -1 and 1 are all that is said.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .curve import Curve

__all__ = ["COS", "SIN"]

HALVES = 8  # half periods on either side of 0


def _minus_sine(z: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(-np.sin(z))


def _wave(shift: float) -> tuple[tuple[bool, ...], tuple[float, ...], tuple[float, ...]]:
    """(convex, bends, turns) of sin(z + shift pi): bends at (k - shift) pi, turns half a step beyond."""
    inside = range(-HALVES, HALVES + 1)
    bends = [k for k in inside if -HALVES < k - shift < HALVES]
    turns = [k + 0.5 for k in inside if -HALVES < k + 0.5 - shift < HALVES]
    first = bends[0] % 2 == 0  # right of (2 m - shift) pi it is concave, so left of it convex
    convex = tuple(first == (i % 2 == 0) for i in range(len(bends) + 1))
    return convex, tuple((k - shift) * math.pi for k in bends), tuple((k - shift) * math.pi for k in turns)


SIN = Curve(np.sin, np.cos, *_wave(0.0), reach=HALVES * math.pi, limits=(-1.0, 1.0))
COS = Curve(np.cos, _minus_sine, *_wave(0.5), reach=HALVES * math.pi, limits=(-1.0, 1.0))
