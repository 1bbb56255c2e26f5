"""A disjunct refuted by supposing a counterexample: rows and bounds on the part of the input set that it leaves.

A counterexample of a disjunct has margins <= 0, so the linear function proved below them has
    a'x + c <= 0,
a half-space that holds nothing but what the proof has not excluded yet. Bounds of hidden neurons, octahedra and rows of
groups made anew behind it (`group_ascent`) hold for every counterexample, give a better function, and so on until the
bound is positive or nothing is left. Where the function is nearly positive the half-space is a small corner of the
box, and a round or two suffice. Papers: half-spaces of the output in hidden bounds are INVPROP (Kotha, Brix, Kolter,
Dvijotham and Zhang 2023), linear functions that cut the input Clip-and-Verify (arXiv 2512.11087); rows of k ReLUs as
in kPoly (Singh, Ganvir, Pueschel and Vechev 2019). There is no branching: each round is one relaxation.

Everything is rigorous; what is found holds for counterexamples of this disjunct alone. A bound that is not positive is
one on the whole input set, for elsewhere the margin is positive.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from ...instances.batch import Batch, Node
from ...instances.network import Array
from ...instances.query import Query
from ..slopes.optimised_bounds import OptimiseOptions
from ..slopes.phase_bounds import disjunct_functions
from ..slopes.row_multipliers import RowPool
from .group_ascent import refine_by_ascent

__all__ = ["Supposed", "refute_by_supposing"]

KEPT = 3  # half-spaces of the last rounds; older ones say nothing that these do not
WORTH = 0.02  # least gain of a round, as a share of what is missing to 0; gains grow from round to round


@dataclass(frozen=True)
class Supposed:
    """What the rounds brought."""

    bound: float  # positive: there is no counterexample, rigorously; else a lower bound of the largest margin
    rounds: int


def refute_by_supposing(
    query: Query, batch: Batch, disjunct: int, pool: RowPool, groups: Callable[[int, Node], Iterable[Array]],
    hidden: OptimiseOptions, octahedra: OptimiseOptions, margins: OptimiseOptions, rounds: int, deadline: float,
) -> Supposed:  # fmt: skip
    """Bound one disjunct from below by at most so many rounds.

    batch: one node with finite bounds; pool: rows that hold on it; groups, hidden, octahedra: see `refine_by_ascent`;
    margins: of the ascents behind the functions; deadline: time.monotonic() from which on no round is begun.
    """
    own, best = batch.cuts, -np.inf
    supposed = np.zeros((1, 0, query.network.input_size + 1))
    for done in range(rounds + 1):
        coefficients, constants, minima = disjunct_functions(query, batch, np.array([disjunct]), margins, pool)
        gain, best = minima[0] - best, max(best, float(minima[0]))
        half_space = np.append(-coefficients[0], -constants[0])
        hopeless = done > 0 and not gain > -WORTH * best
        late = done == rounds or time.monotonic() > deadline
        if best > 0.0 or hopeless or late or not np.isfinite(half_space).all():
            return Supposed(best, done)
        supposed = np.append(supposed, half_space[None, None], axis=1)[:, -KEPT:]
        batch = replace(batch, cuts=np.append(own, supposed, axis=1))
        batch, pool = refine_by_ascent(query, batch, groups, hidden, deadline, octahedra)
        if (batch.pre_lower > batch.pre_upper).any():
            return Supposed(np.inf, done + 1)
    return Supposed(best, rounds)
