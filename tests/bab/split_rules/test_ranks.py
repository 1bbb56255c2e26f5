"""Tests of bab/split_rules/ranks.py."""

from __future__ import annotations

import numpy as np
import pytest

from hypersplit.bab.pages.figures import svg
from hypersplit.bab.split_rules.ranks import critical_difference, diagram, holm, ranked

NAMES = ("good", "poor", "alike")


def costs(instances: int) -> np.ndarray:
    """The first and the third rule alike but for noise, the second twice as dear."""
    rng = np.random.default_rng(0)
    base = rng.uniform(1.0, 100.0, (instances, 1))
    return base * np.array([1.0, 2.0, 1.0]) * rng.uniform(0.95, 1.05, (instances, 3))


def test_rules_are_ranked_and_told_apart() -> None:
    """The dear rule comes last and is told apart, the two alike ones are not."""
    found = ranked(costs(30), NAMES)
    assert list(found.ranks)[-1] == "poor" and found.ranks["poor"] == 3.0
    assert found.friedman < 1e-6
    other = next(name for name in list(found.ranks)[1:] if name != "poor")
    assert found.against_first["poor"] < 0.001 and found.against_first[other] > 0.05
    assert sum(found.ranks.values()) == pytest.approx(6.0)


def test_too_few_instances_prove_nothing() -> None:
    """Below five instances, and where all rules cost the same, there are ranks and no finding."""
    few, same = ranked(costs(4), NAMES), ranked(np.ones((9, 3)), NAMES)
    assert np.isnan([few.friedman, few.difference, *few.against_first.values()]).all()
    assert np.isnan(same.friedman) and set(same.against_first.values()) == {1.0}
    assert set(same.ranks.values()) == {2.0}


def test_known_values() -> None:
    """Nemenyi's critical difference of four rules on fourteen instances is 1.25 (Demsar 2006); Holm's steps."""
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.01)
    assert holm([0.01, float("nan"), 0.04, 0.9]) == pytest.approx([0.03, float("nan"), 0.08, 0.9], nan_ok=True)


def test_the_diagram_names_every_rule() -> None:
    """With its rank beside it."""
    pytest.importorskip("matplotlib")
    text = svg(diagram(ranked(costs(30), NAMES)), "ranks")
    assert all(name in text for name in NAMES) and "(3.00)" in text
