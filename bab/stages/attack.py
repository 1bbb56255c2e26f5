"""Stage `attack`: rounds of projected gradient at the root, of growing size."""

from __future__ import annotations

import logging

import numpy as np

from ...heuristics.policy import Stage
from ..run.budget import Budget
from .work import Work

__all__ = ["attack", "attack_everywhere", "attack_quickly"]

LOG = logging.getLogger(__name__)
# largest coordinates of an attack where an input set may reach beyond what anything but its middle can be searched
REACHES = (1.0, 10.0, 1e2, 1e3, 1e4, 1e6, 1e8, 1e12, 1e16, 1e24, 1e32, 1e64, 1e128, np.inf)


def attack_quickly(work: Work) -> bool:
    """The first look, before any bound."""
    effort = work.efforts.attack
    return _round(work, effort.quick_starts, effort.quick_steps, effort.quick_points)


def attack_everywhere(work: Work) -> None:
    """Where nothing can be proved: look for a counterexample in parts of the input set that grow from 0."""
    effort = work.efforts.attack
    for reach in REACHES:
        if work.limits.exceeded():
            break
        if _round(work, effort.quick_starts, effort.steps, effort.wide_points, reach=reach):
            break


def attack(work: Work, stage: Stage, budget: Budget) -> None:
    """Rounds of growing size, as long as the next one is likely to end in time."""
    known, effort = work.facts, work.efforts.attack
    assert known is not None
    few, weights = known.few_inputs, known.weights
    most = effort.starts(few, weights)
    starts, took = min(most, effort.first_starts), 0.0
    for number in range(effort.rounds(few)):
        left = budget.left
        if left <= took:
            break
        # spread-out starts in every second round, where there is time to import scipy's sampler
        quasi = number % 2 == 1 and left > effort.sobol_seconds
        if _round(work, starts, effort.steps, effort.points(few, weights, starts), quasi):
            break
        took, grown = left - budget.left, min(2 * starts, most)
        took, starts = took * grown / starts, grown


def _round(
    work: Work, starts: int, steps: int, points: int, quasi: bool = False, reach: float = np.inf
) -> bool:  # fmt: skip
    try:
        return work.found(work.candidates.attack_root(starts, steps, points, quasi, reach), "attack")
    except MemoryError as error:  # no attack: the bounds may need less
        LOG.info("attack left out: %s", error)
        return False
