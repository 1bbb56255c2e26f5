"""Tests of bab/split_rules/fixed_splits.py."""

from __future__ import annotations

import numpy as np
import pytest

from hypersplit.bab.split_rules.fixed_splits import TRIED, after_splits, first_bounds
from hypersplit.bab.studies.scaling import near_maximum
from hypersplit.heuristics.splits.rules import RULES
from hypersplit.instances.query import Query, queries

SPLITS = 4


def question(sizes: tuple[int, ...] = (2, 12, 12, 1), seed: int = 3) -> Query:
    """A random network's largest output, whose root is not refuted."""
    return queries(*near_maximum(sizes, seed, radius=1.0))[0]


@pytest.mark.parametrize("rule", TRIED)
def test_bounds_rise_and_hold(rule: str) -> None:
    """By every rule the bound never falls, gets better, and is not above the margin of any input."""
    query = question()
    values, parts = after_splits(query, rule, SPLITS, seed=1)
    x = np.random.default_rng(0).uniform(query.region.lower, query.region.upper, (4000, 2))
    truth = float(query.worst(query.network.evaluate(x)).min())

    assert len(values) == SPLITS + 1 and values == sorted(values)
    assert values[0] == first_bounds(query).value < 0.0
    assert values[-1] <= truth + 1e-9
    assert 2 <= len(parts) <= SPLITS + 1 and (rule == "random" or values[-1] > values[0])


def test_every_rule_of_a_search_is_tried() -> None:
    """But that of pseudo-costs, which has nothing to learn from so few splits; what is unknown is refused."""
    assert set(RULES) - set(TRIED) == {"phases-pseudo"}
    with pytest.raises(ValueError, match="expected one of inputs, axes"):
        after_splits(question(), "nonsense", 1)


def test_looking_ahead_never_loses_the_first_split() -> None:
    """The first split by look-ahead is at least as good as that of every rule whose proposal it bounds."""
    for seed in range(3):
        query = question((3, 10, 1), seed)
        best = after_splits(query, "look-ahead", 1)[0][-1]
        assert all(best >= after_splits(query, rule, 1)[0][-1] for rule in ("longest-edge", "axes", "rows-1", "phases"))


@pytest.mark.parametrize("clip", [True, False])
def test_parts_cover_the_box(clip: bool) -> None:
    """What no part holds was clipped off, and has a positive margin; without clipping there is no such input."""
    query = question()
    _, parts = after_splits(query, "inputs", 8, clip=clip)
    x = np.random.default_rng(0).uniform(query.region.lower, query.region.upper, (2000, 2))
    held = np.zeros(len(x), dtype=bool)
    for part in parts:
        node = part.node
        inside = ((x >= node.lower[0]) & (x <= node.upper[0])).all(axis=1)
        held |= inside & (x @ node.cuts[0, :, :2].T + node.cuts[0, :, 2] >= -1e-9).all(axis=1)
    assert (query.worst(query.network.evaluate(x))[~held] > 0.0).all()
    assert clip or held.all()
