"""Properties of many input sets, decided as roots of one tree: the verdicts are those of the sets one by one."""

from __future__ import annotations

import numpy as np
import oracle
import pytest

import hypersplit
from hypersplit.bab import many_sets
from hypersplit.bab.many_sets import FEWEST
from hypersplit.instances.families.random_networks import random_network
from hypersplit.instances.network import Network
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property

ABOVE_BELOW = np.array([[1.0, 0.0], [-1.0, 0.0]])  # y_0 <= a, y_0 >= b


def bands(network: Network, count: int, room: float, seed: int) -> Property:
    """So many boxes on a grid, each with a band around what the network does at some of its points; forbidden:
    outside the band, widened by `room` on both sides."""
    rng = np.random.default_rng(seed)
    cases = []
    for _ in range(count):
        lower = rng.uniform(-1.0, 0.9, 2)
        upper = lower + 0.1 * rng.uniform(0.2, 1.0, 2)
        met = network.evaluate(rng.uniform(lower, upper, (200, 2)))[:, 0]
        ends = np.array([met.min() - room, -met.max() - room])
        forbidden = tuple(Polyhedron(row[None], end[None]) for row, end in zip(ABOVE_BELOW, ends, strict=True))
        cases.append(Case(InputSet.box(lower, upper), forbidden))
    return Property(tuple(cases), 2, 2)


def truth(network: Network, prop: Property) -> str:
    """By the exact oracle, set by set."""
    return "sat" if any(oracle.decide(network, case, False)[0] == "sat" for case in prop.cases) else "unsat"


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("room", [0.3, 1e-3, -1e-4])
def test_verdicts_are_the_oracles(seed: int, room: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wide bands, tight ones, and some that are violated; with one planting or several."""
    monkeypatch.setattr(many_sets, "AT_ONCE", (4096, 7)[seed % 2])
    network = random_network([2, 6, 2], seed)
    prop = bands(network, FEWEST + 4, room, seed)
    result = hypersplit.verify(network, prop, timeout=60, jobs=1 + seed % 2)
    assert result.verdict == truth(network, prop), result
    assert result.statistics["queries"] == FEWEST + 4
    if result.verdict == "unsat":
        assert result.statistics["sets_together"] > 0 and result.evidence
    if result.witness is not None:
        assert any(
            case.region.contains(result.witness.input)
            and any(p.contains(network.evaluate(result.witness.input[None])[0]) for p in case.forbidden)
            for case in prop.cases
        )


def test_sets_that_resist_are_asked_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the splits that they are worth together they go on by themselves, and the verdict is the same."""
    monkeypatch.setattr(many_sets, "MOST_SPLITS", 0)
    network = random_network([2, 6, 2], 3)
    prop = bands(network, FEWEST, 1e-3, 3)
    result = hypersplit.verify(network, prop, timeout=60, jobs=1)
    assert result.verdict == truth(network, prop) and result.statistics["sets_together"] < FEWEST


def test_sets_of_other_rows_and_half_spaces_are_left() -> None:
    """A set with half-spaces, one with other rows and one that forbids nothing are told apart from the many."""
    network = random_network([2, 6, 2], 1)
    prop = bands(network, FEWEST, 0.3, 1)
    first = prop.cases[0]
    cut = InputSet(first.region.lower, first.region.upper, np.array([[1.0, 1.0]]), np.array([9.0]))
    others = (
        Case(cut, first.forbidden), Case(first.region, ()),
        Case(first.region, (Polyhedron(np.array([[1.0, -1.0]]), np.array([-99.0])),)),
    )  # fmt: skip
    mixed = Property((*others, *prop.cases), 2, 2)
    result = hypersplit.verify(network, mixed, timeout=60, jobs=1)
    assert result.verdict == "unsat"
    assert result.statistics["sets_together"] == FEWEST and result.statistics["queries"] == FEWEST + 2


def test_a_set_keeps_its_own_right_hand_side() -> None:
    """y = x on many intervals, each forbidden above its own upper end: one end lowered makes it `sat` right there."""
    network = random_network([1, 4, 1], 0)
    ends = np.linspace(-1.0, 1.0, 40)
    values = network.evaluate(np.linspace(-1.0, 1.0, 2001)[:, None])[:, 0]

    def asked(drop: int) -> Property:
        cases = []
        for k, (a, b) in enumerate(zip(ends[:-1], ends[1:], strict=True)):
            inside = values[(np.linspace(-1.0, 1.0, 2001) >= a) & (np.linspace(-1.0, 1.0, 2001) <= b)]
            limit = inside.max() + (0.5 if k != drop else -1e-3)
            region = InputSet.box(np.array([a]), np.array([b]))
            cases.append(Case(region, (Polyhedron(-np.eye(1), np.array([-limit])),)))
        return Property(tuple(cases), 1, 1)

    assert hypersplit.verify(network, asked(-1), timeout=60, jobs=1).verdict == "unsat"
    result = hypersplit.verify(network, asked(17), timeout=60, jobs=1)
    assert result.verdict == "sat" and result.witness is not None
    assert ends[17] <= result.witness.input[0] <= ends[18]
