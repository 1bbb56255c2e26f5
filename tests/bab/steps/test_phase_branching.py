"""Rules for phases that need more than a node's own bounds: verdicts, what is learnt, what is looked at."""

from __future__ import annotations

import math

import numpy as np
import oracle
import pytest
from changed_efforts import change_efforts
from random_instances import Shape, random_instance

import hypersplit
from hypersplit.bab.steps.phase_branching import EVALUATED, PhaseBranching
from hypersplit.bab.tree.branching import children
from hypersplit.bab.verify import verify
from hypersplit.encodings.linear import prepared_layers
from hypersplit.encodings.linear.bounds import Bounds, LinearBoundOptions
from hypersplit.encodings.linear.linear_bounds import bound, smallest_margins
from hypersplit.heuristics.splits.rules import PHASE_RULES, RULES
from hypersplit.heuristics.splits.splits import Splits, choose_splits
from hypersplit.instances.batch import Batch, root
from hypersplit.instances.families.random_networks import random_network
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

PLAIN = LinearBoundOptions(kernel="plain", totals=True)


def node_of(seed: int) -> tuple[Query, Batch, Bounds]:
    """A root that plain bounds leave open."""
    network = random_network([5, 14, 14, 1], seed)
    region = InputSet.box(np.full(5, -1.0), np.full(5, 1.0))
    query = queries(network, Property((Case(region, (Polyhedron(np.eye(1), np.full(1, -6.0)),)),), 5, 1))[0]
    batch = root(query)
    bounds = bound(query, batch, PLAIN)
    batch.pre_lower, batch.pre_upper = bounds.pre_lower, bounds.pre_upper
    assert smallest_margins(query, bounds)[0] < 0.0
    return query, batch, bounds


@pytest.mark.parametrize("rule", PHASE_RULES[1:])
@pytest.mark.parametrize("seed", range(8))
def test_verdicts_are_the_oracles(seed: int, rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever chooses the phase, never another verdict than the exact one."""
    change_efforts(monkeypatch, "phases", quick_ascent=math.inf)
    monkeypatch.setattr(prepared_layers, "BALL", 1)
    instance = random_instance(seed)
    result = hypersplit.verify(instance.network, instance.prop, timeout=20, method="split", rule=rule, jobs=1)
    exact = {oracle.decide(instance.network, case, instance.prop.joint)[0] for case in instance.prop.cases}
    assert result.verdict in ({"sat", "unknown"} if "sat" in exact else {"unsat"})


@pytest.mark.parametrize("rule", EVALUATED)
def test_only_unstable_relus_score(rule: str) -> None:
    """Stable neurons score 0, unstable ones more than that."""
    query, batch, bounds = node_of(0)
    scores = PhaseBranching(query, rule).scores(batch, bounds)
    unstable = (bounds.pre_lower < 0.0) & (bounds.pre_upper > 0.0) & query.relu
    assert (scores[unstable] > 0.0).all()
    assert not scores[~unstable].any()


def test_pseudo_costs_prefer_what_has_paid() -> None:
    """A neuron whose split closed nodes rises above its equals, one whose splits won nothing falls behind."""
    query, batch, bounds = node_of(1)
    branching = PhaseBranching(query, "phases-pseudo")
    before = branching.scores(batch, bounds)
    good, bad = np.flatnonzero(before[0])[:2].tolist()
    for neuron, won in ((good, 1.0), (bad, 0.0)):
        child = batch[np.zeros(4, dtype=int)]
        child.margin[:], child.last[:] = -2.0, 1 + neuron
        found = bounds[np.zeros(4, dtype=int)]
        found.margins[:] = -2.0 + 2.0 * won
        branching.learn(child, found)
    after = branching.scores(batch, bounds)
    assert after[0, good] > before[0, good]
    assert after[0, bad] < before[0, bad]
    others = np.setdiff1d(np.arange(query.neurons), [good, bad])
    np.testing.assert_array_equal(after[0, others], before[0, others])


def test_filtered_smart_branching_takes_the_better_children() -> None:
    """No candidate of either score has a higher smaller child than the one that is chosen."""
    for seed in range(3):
        query, batch, bounds = node_of(seed)
        branching = PhaseBranching(query, "phases-fsb")
        chosen = choose_splits(query, batch, bounds, "phases-fsb", branching.scores(batch, bounds)).neuron[0]
        plain = [choose_splits(query, batch, bounds, rule).neuron[0] for rule in ("phases", "phases-babsr")]

        def least(neuron: int, query: Query = query, batch: Batch = batch) -> float:
            splits = Splits.none(1, query.network.input_size)
            splits.neuron[:] = neuron
            both = children(query, batch, splits, half_spaces=False)
            found = bound(query, both, LinearBoundOptions(kernel="plain", hidden=False))
            return float(np.minimum(smallest_margins(query, found), 0.0).min())

        assert least(int(chosen)) >= max(least(int(n)) for n in plain) - 1e-9


def test_children_know_their_split() -> None:
    """`Batch.last` names the neuron and the side."""
    query, batch, bounds = node_of(2)
    splits = choose_splits(query, batch, bounds, "phases")
    both = children(query, batch, splits, half_spaces=False)
    assert both.last.tolist() == [1 + splits.neuron[0], -1 - splits.neuron[0]]
    assert batch.last.tolist() == [0]


@pytest.mark.parametrize("rule", RULES)
def test_networks_of_one_or_two_relus(rule: str) -> None:
    """Fewer neurons than a rule has candidates, down to a single ReLU."""
    for seed in range(12):
        instance = random_instance(seed, "near-unsat", Shape(most_hidden=1, most_width=2, most_relus=1 + seed % 2))
        result = verify(instance.network, instance.prop, method="split", rule=rule, jobs=1, nodes=500)
        assert result.verdict in ("unsat", "unknown"), f"{instance}: {result}"
