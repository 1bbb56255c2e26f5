"""Relaxations of single layers: each proves what the one before it proves, and none more than what is true."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from oracle import worst_margin

from hypersplit.bab.barrier.relaxations import RELAXATIONS, Relaxations
from hypersplit.bab.robustness.question import question, whole_range
from hypersplit.instances.families.random_networks import random_network
from hypersplit.instances.network import Network
from hypersplit.instances.property import Property
from hypersplit.instances.query import Query, queries

ROUNDED = 1e-9


def asked(seed: int, epsilon: float) -> tuple[Network, Property, Query]:
    """Whether a random network with two hidden layers keeps its class around a random point."""
    network = random_network([3, 6, 6, 3], seed)
    x = np.random.default_rng(seed).uniform(size=3)
    label = int(network.evaluate(x[None])[0].argmax())
    others = [j for j in range(3) if j != label]
    prop = question(x, epsilon, np.inf, label, others, 3, whole_range(3))
    return network, prop, queries(network, prop)[0]


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_the_bounds(seed: int) -> None:
    """LP-GREEDY, LP-LAST, LP-ALL, rows: each at least as tight, in every margin, and all below the exact minimum."""
    network, prop, query = asked(seed, 0.6)
    relaxations = Relaxations(query)
    found = [relaxations.margins(name, stop=False) for name in RELAXATIONS]
    left = ~(found[0] > 0.0)
    assert left.any()
    for weak, tight in zip(found, found[1:], strict=False):
        assert (weak[left] <= tight[left] + ROUNDED)[weak[left] <= 0.0].all()
    for d, polyhedron in enumerate(prop.cases[0].forbidden):
        exact = worst_margin(network, replace(prop.cases[0], forbidden=(polyhedron,)))
        assert exact is not None
        assert max(float(margins[d]) for margins in found) <= float(exact[0]) + ROUNDED


def test_each_step_wins_something() -> None:
    """On one of the networks LP-LAST, LP-ALL and rows are each tighter than the step before."""
    gains = np.zeros(len(RELAXATIONS) - 1)
    for seed in range(4):
        relaxations = Relaxations(asked(seed, 0.6)[2])
        found = np.array([relaxations.margins(name, stop=False) for name in RELAXATIONS])
        open_before = found[:-1] <= 0.0
        gains = np.maximum(gains, np.where(open_before, np.diff(found, axis=0), 0.0).max(axis=1))
    assert (gains > 1e-3).all()


def test_what_is_open_stays_open_behind_the_first() -> None:
    """With `stop` an LP ends at the first disjunct that it cannot prove."""
    relaxations = Relaxations(asked(0, 5.0)[2])
    assert not relaxations.proves("LP-LAST")
    assert np.isfinite(relaxations.margins("LP-LAST", stop=False)).all()
    assert np.isneginf(relaxations.margins("LP-LAST")).any()


def test_near_the_point_everything_is_proved() -> None:
    """At a small distance all of them prove the class."""
    relaxations = Relaxations(asked(1, 1e-4)[2])
    assert all(relaxations.proves(name) for name in RELAXATIONS)


def test_other_names_are_refused() -> None:
    """A relaxation that is none is named."""
    with pytest.raises(ValueError, match="LP-SOME"):
        Relaxations(asked(0, 0.1)[2]).margins("LP-SOME")
