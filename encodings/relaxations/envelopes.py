"""Lines that touch the convex hull of a curve's graph: the optimal layer-wise relaxation, one line at a time.

The hull of {(z, act(z)): l <= z <= u} lies between the greatest convex function below act and the least concave one
above it (Salman et al., NeurIPS 2019, (6) and Proposition B.3). `supports` gives a line below and a line above that
touch both at a point `at`:

    act(z) <= s z + t on [l, u],    s at + t = least that any such line has there.

At the middle of [l, u] this is the pair of lines with the least area between them, since a line's area over an interval
is its height in the middle times the width. At the point of a linear program it is the tangent that cuts most.

The slope is that of the tangent where the curve is concave on [l, u], of the chord where it is convex, and otherwise of
the highest chord over `at` between points of the graph, found on grids around the best ones so far. Whatever it is, the
intercept is proved: t >= max over [l, u] of act(z) - s z, which is taken at an end, at a bend, or inside a concave
piece, where a bracket [p, q] with act'(p) >= s >= act'(q) bounds it by the tangents at p and q.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ...instances.curves.curve import JUMP_SLOPE, Curve, Function
from ...instances.curves.names import curve
from ...instances.network import Array
from ...instances.rounding import CURVE_VALUE, ROUND_UP
from .lines import Lines
from .staircase import stairs_supports

__all__ = ["sloped", "supports"]

HALVINGS = 54  # of a concave piece: its width times 2^-54 is left
GRID, ZOOMS = 13, 7  # points on either side of `at`; each zoom keeps two gaps of twelve
ODD = 0.6181  # of a grid's width, and its multiples: where no grid point is, in place of bends elsewhere
NEAREST = 1e-4  # of the width, that a chord's ends keep from `at`: as good as a tangent up to 1e-8
INSIDE = 1e-3  # of the width, that `at` keeps from the ends where chords are sought
NARROW = 1e-6  # below this share of 1 + |at| a chord's slope is rounding: the tangent's is taken
MOST_ENTRIES = 1 << 21  # of one array of chords


class _Side(NamedTuple):
    """The curve, or its negative, for which the line above is asked."""

    value: Function
    slope: Function
    concave: tuple[bool, ...]
    bends: tuple[float, ...]
    steepest: float  # slopes beyond are cut off


def supports(kind: str, lower: Array, upper: Array, at: Array) -> Lines:
    """Lines that enclose the curve on [lower, upper] and touch its hull at `at`, elementwise.

    kind: a curve's name; lower <= at <= upper, finite, of equal shapes. What is not finite gets lines that are not.
    Raises ValueError for a name of no curve.
    """
    told, shape = curve(kind), lower.shape
    flat = [np.asarray(a, dtype=np.float64).reshape(-1) for a in (lower, upper, at)]
    with np.errstate(over="ignore", invalid="ignore"):
        if told.stairs is not None:
            found = stairs_supports(told.stairs, *flat)
        else:
            upper_line, lower_line = (_line_above(_side(told, sign), *flat) for sign in (1.0, -1.0))
            found = Lines(-lower_line[0], -lower_line[1], *upper_line)
    return Lines(*(a.reshape(shape) for a in _where_known(told, found, *flat[:2])))


def _side(told: Curve, sign: float) -> _Side:
    """The curve times sign, with the larger one of its two limits at each jump."""

    def value(z: Array) -> Array:
        height = sign * told.value(z)
        for place, *limits in told.jumps:
            height = np.where(z == place, max(sign * limit for limit in limits), height)
        return height

    concave = tuple(c == (sign < 0.0) for c in told.convex)
    steepest = JUMP_SLOPE if told.jumps else np.inf
    return _Side(value, lambda z: sign * told.slope(z), concave, told.bends, steepest)


def _where_known(told: Curve, found: Lines, lower: Array, upper: Array) -> Lines:
    """Beyond the curve's reach its limits, and no line at all on what touches a gap."""
    beyond, gap = told.beyond(lower, upper), told.touches(lower, upper)
    ends = told.limits[0] - CURVE_VALUE, told.limits[1] + CURVE_VALUE
    flat = [np.where(beyond, limit, a) for limit, a in zip((0.0, ends[0], 0.0, ends[1]), found, strict=True)]
    return Lines(*(np.where(gap, nothing, a) for nothing, a in zip((0.0, -np.inf, 0.0, np.inf), flat, strict=True)))


def sloped(kind: str, lower: Array, upper: Array, slope: Array) -> Lines:
    """Lines of given slopes that enclose the curve on [lower, upper] and touch it, elementwise.

    slope: of both lines; what is steeper than the curve by more than 1 is cut there, and such lines touch it at ends.
    Functions that jump get the lines that touch their hull in the middle. Else as `supports`.
    """
    told, shape = curve(kind), lower.shape
    if told.stairs is not None or told.jumps:
        return supports(kind, lower, upper, 0.5 * lower + 0.5 * upper)
    above, below = _side(told, 1.0), _side(told, -1.0)
    low, high, slope = (np.asarray(a, dtype=np.float64).reshape(-1) for a in (lower, upper, slope))
    with np.errstate(over="ignore", invalid="ignore"):
        ends = [above.slope(z) for z in (low, high, *(np.clip(bend, low, high) for bend in above.bends))]
        most = 1.0 + np.abs(ends).max(axis=0)  # a slope is extreme at an end or at a bend
        slope = np.clip(slope, -most, most)
        intercepts = -_intercept(below, -slope, low, high), _intercept(above, slope, low, high)
    found = _where_known(told, Lines(slope, intercepts[0], slope, intercepts[1]), low, high)
    return Lines(*(a.reshape(shape) for a in found))


def _line_above(side: _Side, lower: Array, upper: Array, at: Array) -> tuple[Array, Array]:
    slope = np.clip(_slope(side, lower, upper, at), -side.steepest, side.steepest)
    return slope, _intercept(side, slope, lower, upper)


# ---------------------------------------------------------------- slopes: any are right


def _slope(side: _Side, lower: Array, upper: Array, at: Array) -> Array:
    first = np.searchsorted(side.bends, lower, side="right")
    last = np.searchsorted(side.bends, upper, side="left")
    single = first >= last
    concave = np.array(side.concave)[np.minimum(first, last)]
    width = upper - lower
    chord = (side.value(upper) - side.value(lower)) / np.where(width > 0.0, width, 1.0)
    slope = np.where(concave | (width <= NARROW * (1.0 + np.abs(at))), side.slope(at), chord)
    mixed = np.flatnonzero(~single & (width > 0.0) & np.isfinite(width))
    step = max(1, MOST_ENTRIES // (GRID + len(side.bends)) ** 2)
    for start in range(0, len(mixed), step):
        some = mixed[start : start + step]
        slope[some] = _over_chords(side, lower[some], upper[some], at[some])
    return slope


def _over_chords(side: _Side, lower: Array, upper: Array, at: Array) -> Array:
    """Slope of the highest chord of the graph over `at`."""
    share, rim = np.linspace(0.0, 1.0, GRID), INSIDE * (upper - lower)
    at = np.clip(at, lower + rim, upper - rim)  # at an end every line through it is a support
    nearest = NEAREST * (upper - lower)
    ends = [[lower, at - nearest], [at + nearest, upper]]  # where the chord's two ends are sought
    rows, far, rise = np.arange(len(at)), upper - lower, np.zeros(len(at))
    for _ in range(ZOOMS):
        left, right = (np.clip(_grid(a, b, share, side.bends), a[:, None], b[:, None]) for a, b in ends)
        left_at, right_at = side.value(left), side.value(right)
        wide = right[:, None, :] - left[:, :, None]
        weight = (at[:, None] - left)[:, :, None] / np.where(wide > 0.0, wide, 1.0)
        height = (1.0 - weight) * left_at[:, :, None] + weight * right_at[:, None, :]
        i, j = np.divmod(height.reshape(len(at), -1).argmax(axis=1), right.shape[1])
        far, rise = right[rows, j] - left[rows, i], right_at[rows, j] - left_at[rows, i]
        ends = [_around(left, rows, i), _around(right, rows, j)]
    touching = far <= 2.5 * nearest + NARROW * (1.0 + np.abs(at))  # the hull is the curve itself there
    return np.where(touching, side.slope(at), rise / np.where(far > 0.0, far, 1.0))


def _grid(a: Array, b: Array, share: Array, bends: tuple[float, ...]) -> Array:
    """[n, points] from a to b ascending, the bends between them included; no point twice, unless a = b."""
    low, high = a[:, None], b[:, None]
    odd_share = (ODD * np.arange(1, len(bends) + 1)) % 1.0
    odd = low * (1.0 - odd_share) + high * odd_share
    bent = np.where((low < np.array(bends)) & (np.array(bends) < high), np.array(bends), odd)
    return np.sort(np.concatenate([low * (1.0 - share) + high * share, bent], axis=1), axis=1)


def _around(grid: Array, rows: Array, i: Array) -> list[Array]:
    return [grid[rows, np.maximum(i - 1, 0)], grid[rows, np.minimum(i + 1, grid.shape[1] - 1)]]


# ---------------------------------------------------------------- intercepts: proved


def _intercept(side: _Side, slope: Array, lower: Array, upper: Array) -> Array:
    """At least max over [lower, upper] of act(z) - slope z."""
    most, size, steepest = np.full(lower.shape, -np.inf), np.zeros_like(lower), np.abs(slope)
    for z in (lower, upper, *(np.clip(bend, lower, upper) for bend in side.bends)):
        value = side.value(z)
        size = np.maximum(size, np.abs(value))
        most = np.maximum(most, value - slope * z)
    for which, low, high in _concave_pieces(side, lower, upper):
        height, tangent, value = _within(side, slope[which], low, high)
        most[which] = np.maximum(most[which], height)
        steepest[which], size[which] = np.maximum(steepest[which], tangent), np.maximum(size[which], value)
    # values and slopes err by CURVE_VALUE of themselves, slopes are carried over the width; twice, which pays the
    # roundings of the sums and of this line
    reach = np.maximum(np.abs(lower), np.abs(upper))
    return most + 2.0 * CURVE_VALUE * (1.0 + size + (1.0 + steepest) * 2.0 * reach) * ROUND_UP


def _concave_pieces(side: _Side, lower: Array, upper: Array) -> Iterator[tuple[Array, Array, Array]]:
    """(neurons, lower, upper) of each concave piece's part of the intervals."""
    ends = (-np.inf, *side.bends, np.inf)
    for low, high, concave in zip(ends[:-1], ends[1:], side.concave, strict=True):
        left, right = np.maximum(lower, low), np.minimum(upper, high)
        which = np.flatnonzero(left < right) if concave else np.zeros(0, dtype=np.intp)
        if len(which):
            yield which, left[which], right[which]


def _within(side: _Side, slope: Array, low: Array, high: Array) -> tuple[Array, Array, Array]:
    """(bound on max of act(z) - slope z on a concave piece, the steepest and the largest number that it rests on).

    Left of p, where act' >= slope, the function rises to its value at p; right of q it falls from that at q; between
    them it lies below its tangent at p.
    """
    p, q = low, high
    for _ in range(HALVINGS):
        middle = 0.5 * p + 0.5 * q
        rises = side.slope(middle) > slope
        p, q = np.where(rises, middle, p), np.where(rises, q, middle)
    at_p, at_q, steep = side.value(p), side.value(q), side.slope(p)
    most = at_p - slope * p + np.maximum(steep - slope, 0.0) * (q - p)
    numbers = np.maximum(np.abs(at_p), np.abs(at_q))
    return np.maximum(most, at_q - slope * q), np.maximum(np.abs(steep), np.abs(side.slope(q))), numbers
