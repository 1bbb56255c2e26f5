"""Bounds of hidden neurons by MILPs: true by the oracle, as tight as it says, never worse, cheap where SCIP fails."""

from __future__ import annotations

import time

import numpy as np
import oracle
import pytest
from milp_problems import bounded
from random_instances import Shape, random_instance, random_nodes

from hypersplit.encodings.milp import tightening
from hypersplit.encodings.milp.tightening import TighteningOptions, bound_neuron, tighten_by_milp
from hypersplit.instances.batch import Node, root
from hypersplit.instances.network import sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

NEAR = 1e-4  # SCIP_MARGIN times the largest scale of these rows, and more


def nodes(seeds: range, phases: bool = False) -> list[tuple[str, Query, Node]]:
    """Roots of random instances, or with `phases` nodes of a search, that linear bounds leave open."""
    found = []
    for seed in seeds:
        instance = random_instance(seed, shape=Shape(rough=seed % 2 == 0))
        for query in queries(instance.network, instance.prop):
            batch = random_nodes(np.random.default_rng(seed), query, 1) if phases else root(query)
            node = bounded(query, batch.node(0))
            if node is not None:
                found.append((f"{instance}, seed {seed}", query, node))
    return found


def wide(seed: int = 0, inputs: int = 8, width: int = 30) -> tuple[Query, Node]:
    """A network with two hidden layers, in which linear bounds leave room."""
    rng = np.random.default_rng(seed)
    sizes = [inputs, width, width, 1]
    weights = [rng.standard_normal((b, a)) / np.sqrt(a) for a, b in zip(sizes[:-1], sizes[1:], strict=True)]
    network = sequential(weights, [0.1 * rng.standard_normal(len(w)) for w in weights])
    case = Case(InputSet.box(-np.ones(inputs), np.ones(inputs)), (Polyhedron(np.ones((1, 1)), np.zeros(1)),))
    query = queries(network, Property((case,), inputs, 1))[0]
    node = bounded(query, root(query).node(0))
    assert node is not None
    return query, node


@pytest.mark.parametrize("phases", [False, True])
def test_bounds_are_true_and_with_all_binaries_exact(phases: bool) -> None:
    """Both sides of every unstable neuron, with no, two and all binaries, against the exact range."""
    compared = 0
    for label, query, node in nodes(range(6), phases):
        region = InputSet(node.lower, node.upper, node.cuts[:, :-1], node.cuts[:, -1])
        for n in np.flatnonzero((node.pre_lower < 0.0) & (node.pre_upper > 0.0) & query.relu).tolist():
            k = next(k for k, part in enumerate(query.slices, start=1) if n < part.stop)
            start = query.slices[k - 1].start
            mine = oracle.pre_activation_range(query.network, region, k, n - start, node.phases)
            before = oracle.pre_activation_range(query.network, region, k, n - start, node.phases[:start])
            for sign, side in ((1.0, 0), (-1.0, 1)) if mine and before else ():
                truth, reachable = (sign * float(r[side]) for r in (mine, before))
                known = node.pre_lower[n] if sign > 0.0 else -node.pre_upper[n]
                values = [bound_neuron(query, node, n, sign, 60.0, TighteningOptions(b)) for b in (0, 2, None)]
                where = f"{label}, neuron {n}, sign {sign}: {values}, exact {truth}"
                assert all(known <= value <= truth + 1e-12 for value in values), where
                # SCIP stops where the neuron is proved stable
                assert values[-1] >= min(reachable, 0.0) - NEAR, where
                compared += 1
    assert compared >= 6


def test_more_binaries_win_more() -> None:
    """On a wide network the LP's bound is below that of eight binaries, and that below the exact one."""
    query, node = wide()
    n = query.slices[1].start + int(np.argmax((node.pre_upper - node.pre_lower)[query.slices[1]]))
    values = [bound_neuron(query, node, n, 1.0, 60.0, TighteningOptions(b)) for b in (0, 8, None)]
    points = np.random.default_rng(1).uniform(-1.0, 1.0, (2000, 8))
    sampled = query.network.values(points)[1][1][:, n - query.slices[1].start].min()

    assert node.pre_lower[n] <= values[0] < values[1] < values[2] <= sampled


@pytest.mark.parametrize("jobs", [1, 2])
def test_tightening_is_true_and_never_worse(jobs: int) -> None:
    """Bounds of all neurons hold at sampled points, are nowhere worse than before, and some are better."""
    query, node = wide(1)
    neurons = np.arange(query.neurons)
    low, high = tighten_by_milp(query, node, neurons, time.monotonic() + 1.0, TighteningOptions(6, 0.05, jobs))
    points = np.random.default_rng(1).uniform(-1.0, 1.0, (2000, 8))
    pre = np.concatenate(query.network.values(points)[1][:-1], axis=1)

    assert (low <= pre.min(axis=0)).all() and (pre.max(axis=0) <= high).all()
    assert (low >= node.pre_lower).all() and (high <= node.pre_upper).all()
    assert (low > node.pre_lower).any()


def test_only_the_asked_neurons_are_asked() -> None:
    """Neurons of the same and of earlier layers that are not listed keep their bounds."""
    query, node = wide(2)
    asked = np.arange(query.slices[1].start, query.slices[1].start + 3)
    low, high = tighten_by_milp(query, node, asked, time.monotonic() + 20.0, TighteningOptions(4, 5.0))
    changed = (low != node.pre_lower) | (high != node.pre_upper)

    assert changed.any() and set(np.flatnonzero(changed[: query.slices[1].stop])) <= set(asked)


def test_no_time_changes_nothing() -> None:
    """A deadline in the past leaves every bound as it was."""
    query, node = wide(3)
    low, high = tighten_by_milp(query, node, np.arange(query.neurons), time.monotonic() - 1.0)

    assert (low == node.pre_lower).all() and (high == node.pre_upper).all()


def test_a_scip_that_fails_or_lies_costs_only_its_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    """SCIP's errors, and bounds above a known point's value, leave the bounds as they were."""
    query, node = wide(4)
    n = query.slices[1].start + int(np.argmax((node.pre_upper - node.pre_lower)[query.slices[1]]))
    honest = tightening.dual_bound
    monkeypatch.setattr(tightening, "dual_bound", lambda model: honest(model) + 1.0)
    lied = bound_neuron(query, node, n, 1.0, 60.0)

    def fail(model: object) -> float:
        raise Exception("SCIP: error in LP solver!")

    monkeypatch.setattr(tightening, "dual_bound", fail)
    failed = bound_neuron(query, node, n, 1.0, 60.0)
    low, high = tighten_by_milp(query, node, np.array([n]), time.monotonic() + 10.0)

    assert lied == failed == node.pre_lower[n]
    assert (low == node.pre_lower).all() and (high == node.pre_upper).all()


def test_a_mistake_of_ours_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that is not SCIP's comes through, from threads too."""
    query, node = wide(4)

    def fail(model: object) -> float:
        raise TypeError("a mistake")

    monkeypatch.setattr(tightening, "dual_bound", fail)
    with pytest.raises(TypeError, match="a mistake"):
        tighten_by_milp(query, node, np.arange(query.neurons), time.monotonic() + 10.0)
