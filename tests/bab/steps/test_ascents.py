"""Efforts become the options of an ascent: what an effort leaves open is as the ascent has it."""

from __future__ import annotations

import math

from hypersplit.bab.steps.ascents import ascent
from hypersplit.encodings.slopes.optimised_bounds import OptimiseOptions
from hypersplit.heuristics.efforts import AscentEffort


def test_every_number_arrives() -> None:
    """Given ones and defaults, deadline and conjunctions beside them."""
    plain = OptimiseOptions()
    found = ascent(AscentEffort(7))
    assert (found.iterations, found.rate, found.worth, found.signs) == (7, plain.rate, plain.worth, False)
    assert found.deadline == math.inf and found.conjunctions is False
    full = ascent(AscentEffort(3, rate=0.25, worth=0.0, signs=True), 12.5, True)
    assert (full.iterations, full.rate, full.worth, full.signs) == (3, 0.25, 0.0, True)
    assert full.deadline == 12.5 and full.conjunctions is True
