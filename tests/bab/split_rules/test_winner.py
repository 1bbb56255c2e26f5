"""Tests of bab/split_rules/winner.py."""

from __future__ import annotations

import numpy as np
import pytest

from hypersplit.bab.split_rules.fixed_splits import first_bounds
from hypersplit.bab.split_rules.winner import FACTS, facts, grown, held_out, trusted_depth
from hypersplit.instances.network import sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import queries

RULES = ("axes", "rows", "phases")


def known(inputs: float, aligned: float) -> dict[str, float]:
    """Facts that differ in two things."""
    return {**dict.fromkeys(FACTS, 1.0), "inputs": inputs, "aligned rows": aligned}


def world(count: int = 60) -> tuple[list[dict[str, float]], np.ndarray]:
    """Axes are best with few inputs; with more of them rows where these are slanted, else phases."""
    rng = np.random.default_rng(0)
    some = [known(float(rng.integers(1, 20)), float(rng.uniform())) for _ in range(count)]
    best = [0 if one["inputs"] < 8 else 1 if one["aligned rows"] < 0.5 else 2 for one in some]
    return some, np.where(np.arange(3) == np.array(best)[:, None], 1.0, 10.0) * rng.uniform(1.0, 1.1, (count, 3))


def test_the_tree_finds_what_decides() -> None:
    """Two questions, about the right facts at about the right places, and a sentence that says so."""
    some, costs = world()
    tree = grown(some, costs, RULES)
    assert [RULES[int(row.argmin())] for row in costs] == [tree.choose(one) for one in some]
    assert 7.0 < (tree.threshold if tree.fact == "inputs" else 7.5) < 8.0
    assert "inputs <" in tree.words() and "aligned rows <" in tree.words()


def test_noise_makes_no_questions() -> None:
    """Where one rule is best everywhere, the tree is its name; where rules are alike, no question is asked."""
    some, costs = world()
    assert grown(some, np.tile([3.0, 1.0, 2.0], (60, 1)), RULES).words() == "rows"
    assert grown(some, np.ones((60, 3)), RULES).fact == ""


def test_held_out_families_are_named_by_the_others() -> None:
    """What is chosen for a family does not change with that family's own costs."""
    some, costs = world()
    groups = [f"{int(one['inputs']) % 5}" for one in some]
    named, single = held_out(some, costs, RULES, groups)
    spoilt = costs.copy()
    mine = np.array(groups) == "3"
    spoilt[mine] = spoilt[mine][:, ::-1]
    again, same = held_out(some, spoilt, RULES, groups)

    assert [named[i] for i in np.flatnonzero(mine)] == [again[i] for i in np.flatnonzero(mine)]
    assert [single[i] for i in np.flatnonzero(mine)] == [same[i] for i in np.flatnonzero(mine)]
    price = [row[RULES.index(rule)] for row, rule in zip(costs, named, strict=True)]
    assert np.mean(price) < 2.0 < costs.mean()


def test_a_tree_is_trusted_as_far_as_families_that_it_has_not_seen_bear_it_out() -> None:
    """Two questions where two decide; none where costs are noise, though a tree of all instances would ask some."""
    some, costs = world()
    groups = [str(i % 12) for i in range(len(some))]
    assert trusted_depth(some, costs, RULES, groups) == 2
    noise = np.exp(np.random.default_rng(1).normal(size=costs.shape))
    assert grown(some, noise, RULES).fact
    assert trusted_depth(some, noise, RULES, groups) == 0


@pytest.mark.parametrize(("weights", "aligned"), [(np.eye(2), 1.0), (np.array([[1.0, 1.0], [1.0, -1.0]]), 0.5)])
def test_facts_of_a_network(weights: np.ndarray, aligned: float) -> None:
    """Rows along axes have alignment 1, diagonal ones 1/n; all ReLUs of this network are unstable and in one layer."""
    network = sequential([weights, np.ones((1, 2))], [np.zeros(2), np.zeros(1)])
    region = InputSet.box(-np.ones(2), np.ones(2))
    query = queries(network, Property((Case(region, (Polyhedron(-np.ones((1, 1)), -np.ones(1)),)),), 2, 1))[0]
    found = facts(query, first_bounds(query))
    assert tuple(found) == FACTS
    assert tuple(found.values()) == pytest.approx((2.0, 1.0, 2.0, 1.0, aligned, 1.0))
