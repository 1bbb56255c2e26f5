"""Interval propagation, plain and compiled, against the exact oracle: it loses no counterexample, and brings news."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import oracle
import pytest
from counterexamples import counterexamples, pre_activations
from milp_problems import bounded, exact_minimum
from random_instances import Shape, random_instance, random_nodes, random_points

from hypersplit.encodings.propagation.contraction import Propagation
from hypersplit.encodings.propagation.state import Nogoods, State
from hypersplit.instances.batch import Node, root
from hypersplit.instances.network import Layer, Network, sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

KERNELS = ("plain", "compiled")
SHAPES = (Shape(), Shape(scale=1e3), Shape(scale=1e6, rough=True), Shape(flat=1.0, halfspaces=1.0))


def one_output(network: Network, low: float, high: float, threshold: float) -> tuple[Query, Node]:
    """Every input in [low, high], the output forbidden at `threshold` or below; the root with linear bounds."""
    n = network.input_size
    case = Case(InputSet.box(np.full(n, low), np.full(n, high)), (Polyhedron(np.eye(1), np.array([threshold])),))
    (query,) = queries(network, Property((case,), n, 1))
    node = bounded(query, root(query).node(0))
    assert node is not None
    return query, node


def holds(state: State, query: Query, x: list[Fraction]) -> bool:
    """Whether the exact values at x lie in the state's boxes."""
    values = oracle.exact_values(query.network, x)
    own = [v for layer in values[:-1] for v in layer]
    within = all(
        Fraction(float(a)) <= v <= Fraction(float(b)) for a, v, b in zip(state.low, own, state.high, strict=True)
    )
    ends = zip(state.z_low, pre_activations(query, x), state.z_high, strict=True)
    within &= all(Fraction(float(a)) <= v <= Fraction(float(b)) for a, v, b in ends)
    return within


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_no_counterexample_is_lost(shape: int, kernel: str) -> None:
    """Roots and nodes: every vertex of the counterexamples stays in all boxes; "empty" only where there are none."""
    empty = kept = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        instance = random_instance(seed, shape=SHAPES[shape])
        for query in queries(instance.network, instance.prop):
            batch = random_nodes(rng, query, 1)
            for node in filter(None, (bounded(query, n) for n in (root(query).node(0), batch.node(0)))):
                for k in range(query.disjuncts):
                    state = State.of(query, node)
                    refuted = Propagation(query, node, k, kernel).contract(state, Nogoods())
                    points = counterexamples(query, node, k)
                    label = f"{instance}, disjunct {k}, {kernel}"
                    assert not (refuted and points), label
                    empty += refuted
                    if not refuted:
                        kept += len(points)
                        assert all(holds(state, query, x) for x in points[:12]), label
    assert empty >= 10 and kept >= 50, (empty, kept)


@pytest.mark.parametrize("kernel", KERNELS)
def test_sampled_counterexamples_stay(kernel: str) -> None:
    """Points of the region with exact margins <= 0 lie in the contracted box."""
    hit = 0
    for seed in range(60):
        instance = random_instance(seed, "clear-sat", Shape(scale=1e3))
        rng = np.random.default_rng(seed)
        for query in queries(instance.network, instance.prop):
            node = bounded(query, root(query).node(0))
            if node is None:
                continue
            points = random_points(rng, query.region, 20)
            for k in range(query.disjuncts):
                state = State.of(query, node)
                refuted = Propagation(query, node, k, kernel).contract(state, Nogoods())
                for x in points:
                    margins = oracle.exact_values(query.network, [*x])[-1][query.starts[k] : query.starts[k + 1]]
                    if all(m <= 0 for m in margins):
                        hit += 1
                        assert not refuted and holds(state, query, [Fraction(float(a)) for a in x]), f"{instance}: {x}"
    assert hit >= 50, hit


def test_the_twins_agree() -> None:
    """Plain and compiled passes end at the same boxes, up to what one more pass wins."""
    for seed in range(60):
        instance = random_instance(seed)
        for query in queries(instance.network, instance.prop):
            node = bounded(query, root(query).node(0))
            if node is None:
                continue
            states = [State.of(query, node) for _ in KERNELS]
            passes = [Propagation(query, node, 0, kernel) for kernel in KERNELS]
            said = [p.contract(state, Nogoods()) for p, state in zip(passes, states, strict=True)]
            if any(said):
                continue
            width = 0.25 * passes[0].widths[: query.network.input_size]  # a pass that wins little is the last one
            n = query.network.input_size
            for name in ("low", "high"):
                a, b = (getattr(state, name)[:n] for state in states)
                assert (np.abs(a - b) <= width + 1e-9).all(), f"{instance}: {name} {a} {b}"


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_sum_that_must_not_exceed_zero_makes_its_terms_inactive(kernel: str) -> None:
    """y = sum of clause violations, y <= 0 forbidden: every clause's neuron ends inactive but for rounding."""
    clauses = np.array([[-1.0, -1.0, 0.0], [1.0, 0.0, -1.0], [0.0, 1.0, 1.0]])
    network = sequential([clauses, np.ones((1, 3))], [np.array([1.0, 0.0, -1.0]), np.zeros(1)])
    query, node = one_output(network, 0.0, 1.0, 0.0)
    assert (node.pre_upper > 0.5).all()
    state = State.of(query, node)
    assert not Propagation(query, node, 0, kernel).contract(state, Nogoods())
    assert (state.z_high <= 1e-12).all() and (state.high[3:] <= 1e-12).all()


@pytest.mark.parametrize("kernel", KERNELS)
def test_nogoods_force_the_last_phase(kernel: str) -> None:
    """A nogood of which all phases but one hold gives the opposite of that one; if all hold the node is empty."""
    network = sequential([np.eye(3), -np.ones((1, 3))], [np.zeros(3), np.zeros(1)])
    query, node = one_output(network, -1.0, 1.0, 100.0)
    propagation = Propagation(query, node, 0, kernel)
    nogoods = Nogoods()
    nogoods.add([0, 3])  # not z_0 >= 0 and z_1 <= 0 together
    nogoods.add([2, 5])  # nor z_1 >= 0 and z_2 <= 0

    state = State.of(query, node)
    assert not propagation.contract(state, nogoods)
    assert (state.z_low < 0.0).all() and (state.z_high[:3] > 0.0).all()

    state.fix(0, 1)
    assert not propagation.contract(state, nogoods)
    assert (state.z_low[:3] >= 0.0).all() and (state.low[:3] >= -1e-12).all()  # the fourth neuron is the output

    state = State.of(query, node)
    for neuron, sign in ((0, 1), (1, -1)):
        state.fix(neuron, sign)
    assert propagation.contract(state, nogoods)


def test_old_long_nogoods_are_dropped() -> None:
    """Beyond the limit the older half goes but for short ones, and what stays is whole."""
    nogoods = Nogoods()
    for i in range(6):
        nogoods.add([2 * i] if i == 1 else [2 * i, 2 * i + 3, 2 * i + 4])
    nogoods.reduce(6, 1)
    assert len(nogoods) == 6
    nogoods.reduce(5, 1)
    starts = nogoods.starts.tolist()
    kept = [nogoods.literals[a:b].tolist() for a, b in zip(starts[:-1], starts[1:], strict=True)]
    assert kept == [[2], [6, 9, 10], [8, 11, 12], [10, 13, 14]]


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_bounds_that_are_not_finite_change_nothing(value: float, kernel: str) -> None:
    """Infinite or undefined ends: the state stays as it was, and it is never empty."""
    network = sequential([np.eye(2), np.ones((1, 2))], [np.zeros(2), np.zeros(1)])
    query, node = one_output(network, -1.0, 1.0, -5.0)  # refuted where bounds are finite
    propagation = Propagation(query, node, 0, kernel)
    assert propagation.contract(State.of(query, node), Nogoods())
    for name in ("low", "high", "z_low", "z_high"):
        state = State.of(query, node)
        getattr(state, name)[0] = -value if name.endswith("low") else value
        before = state.copy()
        assert not propagation.contract(state, Nogoods())
        for field in ("low", "high", "z_low", "z_high"):
            assert np.array_equal(getattr(before, field), getattr(state, field), equal_nan=True)


@pytest.mark.parametrize("kernel", KERNELS)
def test_margins_that_touch_zero_are_never_refuted(kernel: str) -> None:
    """Badly scaled instances whose worst margin is exactly 0, or 2^-20 below: the disjunct that has it stays."""
    for seed in range(40):
        for kind in ("touching", "near-sat"):
            instance = random_instance(seed, kind, Shape(scale=1e3))
            for query in queries(instance.network, instance.prop):
                node = bounded(query, root(query).node(0))
                for k in range(query.disjuncts if node is not None else 0):
                    if Propagation(query, node, k, kernel).contract(State.of(query, node), Nogoods()):
                        least = exact_minimum(query, node, [k])
                        assert least is None or least > 0, f"{instance}, disjunct {k}"


def test_sigmoids_are_refused() -> None:
    """Only ReLUs and identities have phases."""
    network = Network(1, (Layer((0,), (np.ones((1, 1)),), np.zeros(1), "sigmoid"),))
    case = Case(InputSet.box(np.zeros(1), np.ones(1)), (Polyhedron(np.eye(1), np.zeros(1)),))
    (query,) = queries(network, Property((case,), 1, 1))
    with pytest.raises(ValueError, match="ReLU"):
        Propagation(query, root(query).node(0), 0)
