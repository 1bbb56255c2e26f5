"""Descent by linear minimisation (Frank and Wolfe 1956), for sets that are easier to minimise over than to step in.

    x' = x + 2 / (t + 2) (v - x),    v the minimiser of g'x over the set, g the gradient at x.
Points stay in the set without any projection, and the first step goes all the way to a minimiser, as far as the set
reaches: norm balls cut by a box have one in closed form, whatever their norm. Like every attack it only proposes.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from ...instances.network import Array
from ...instances.query import Query
from ...instances.rounding import TINY_32
from .attack_passes import Passes, passes_of

__all__ = ["frank_wolfe"]

SOFTNESS = 0.03  # of the worst margin's smoothing, relative to the margins
LEAK = 0.1  # slope of inactive ReLUs where the exact gradient is zero


@np.errstate(over="ignore", invalid="ignore")  # such points are never the best ones
def frank_wolfe(
    query: Query, starts: Array, lower: Array, upper: Array, minimisers: Callable[[Array, Array], Array],
    steps: int, targets: Array | None = None, deadline: float = np.inf,
) -> tuple[Array, Array]:  # fmt: skip
    """Descend from every start on the worst margin of one polyhedron and return the best point met on each path.

    starts: [P, inputs] in the set; lower, upper: a box around it, [inputs] or [P, inputs]; minimisers: of linear
    functions [Q, inputs] over the sets of the starts with numbers [Q], [Q, inputs]; targets: [P] polyhedra, by default
    those nearest to the start, by turns. Returns (points [P, inputs], their worst margins [P]); after the deadline,
    time.monotonic(), no step begins, and paths have margin inf that have not begun.
    """
    passes = passes_of(query.network, lower, upper)
    best, least = starts.copy(), np.full(len(starts), np.inf)
    for first in range(0, len(starts), passes.chunk):
        part = np.arange(first, min(first + passes.chunk, len(starts)))
        aims = None if targets is None else targets[part]

        def within(gradient: Array, part: Array = part) -> Array:
            return minimisers(gradient, part)

        best[part], least[part] = _descend(query, passes, starts[part], within, steps, aims, deadline)
        if time.monotonic() > deadline:
            break
    return best, least


def _descend(
    query: Query, passes: Passes, starts: Array, minimisers: Callable[[Array], Array], steps: int,
    targets: Array | None, deadline: float,
) -> tuple[Array, Array]:  # fmt: skip
    x, best, least = starts.copy(), starts.copy(), np.full(len(starts), np.inf)
    owner = np.repeat(np.arange(query.disjuncts), np.diff(query.starts))
    for t in range(steps + 1):
        values = passes.forward(np.ascontiguousarray(x.T, dtype=passes.dtype))
        margins = values[-1].T.astype(np.float64)
        each = query.per_disjunct(margins)
        worst = each.min(axis=1)
        better = worst < least
        best[better], least[better] = x[better], worst[better]
        if t == steps or time.monotonic() > deadline:
            break
        if targets is None:
            number = np.arange(len(x))
            targets = np.argsort(each, axis=1)[number, number // 2 % query.disjuncts]
        mine = np.where(owner == targets[:, None], margins, -np.inf)
        unit = SOFTNESS * np.abs(margins).max(axis=1, keepdims=True) + TINY_32
        share = np.exp((mine - mine.max(axis=1, keepdims=True)) / unit)
        cotangent = (share / share.sum(axis=1, keepdims=True)).T
        gradient = passes.backward(values, cotangent)
        if not gradient.any(axis=0).all():
            dead = ~gradient.any(axis=0)
            some = [np.ascontiguousarray(v[:, dead]) for v in values]
            gradient[:, dead] = passes.backward(some, cotangent[:, dead], LEAK)
        goal = minimisers(gradient.T.astype(np.float64))
        x = x + 2.0 / (t + 2.0) * np.where(np.isfinite(goal), goal - x, 0.0)
    return best, least
