"""Stage `attack`: rounds of projected gradient at the root, of growing size."""

from __future__ import annotations

import logging

import numpy as np

from ...heuristics.policy import FEW_INPUTS, Stage
from ..run.budget import Budget
from .work import Work

__all__ = ["attack", "attack_everywhere", "attack_quickly"]

LOG = logging.getLogger(__name__)
QUICK_STARTS, QUICK_STEPS = 16, 10  # the first attack, before any bound
STEPS = 40  # of one round
FIRST_STARTS = 128  # of the first round
STARTS_WORK = 5e8  # products of a round over all starts and steps: a fraction of a second
FEW_STARTS = 64  # where the search attacks inside its nodes anyway: points are cheaper than descents
POINTS_WORK = 1.2e8  # products of a round over all points that are only evaluated
FEW_ROUNDS = 1  # rounds where the search attacks inside its nodes anyway
MOST_ROUNDS = 10_000
SOBOL_SECONDS = 3.0  # left to the attack from which on a second's import is worth it
# largest coordinates of an attack where an input set may reach beyond what anything but its middle can be searched
REACHES = (1.0, 10.0, 1e2, 1e3, 1e4, 1e6, 1e8, 1e12, 1e16, 1e24, 1e32, 1e64, 1e128, np.inf)


def attack_quickly(work: Work) -> bool:
    """The first look, before any bound."""
    return _round(work, QUICK_STARTS, QUICK_STEPS, 4 * QUICK_STARTS)


def attack_everywhere(work: Work) -> None:
    """Where nothing can be proved: look for a counterexample in parts of the input set that grow from 0."""
    for reach in REACHES:
        if work.limits.exceeded() or _round(work, QUICK_STARTS, STEPS, 8 * QUICK_STARTS, reach=reach):
            break


def attack(work: Work, stage: Stage, budget: Budget) -> None:
    """Rounds of growing size, as long as the next one is likely to end in time."""
    known = work.facts
    assert known is not None
    few = known.open_inputs <= FEW_INPUTS
    most = int(np.clip(STARTS_WORK / (STEPS * known.weights), 16, FEW_STARTS if few else 2048))
    starts, took = min(most, FIRST_STARTS), 0.0
    for number in range(FEW_ROUNDS if few else MOST_ROUNDS):
        left = budget.left
        if left <= took:
            break
        points = max(4 * starts, min(8192, int(POINTS_WORK / known.weights)) if few else 0)
        # spread-out starts in every second round, where there is time to import scipy's sampler
        if _round(work, starts, STEPS, points, quasi=number % 2 == 1 and left > SOBOL_SECONDS):
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
