"""The triangle LP against the oracle: its safe bounds hold in exact arithmetic, whatever the solver says."""

from __future__ import annotations

import time
from dataclasses import replace
from fractions import Fraction

import numpy as np
import oracle
import pytest
import scipy.sparse as sp
from random_instances import Shape, random_instance, random_network, random_nodes

from hypersplit.encodings.linear.linear_bounds import bound, smallest_margins
from hypersplit.encodings.programs import safe_lp, scip
from hypersplit.encodings.programs.lp import TriangleLP, tighten
from hypersplit.instances.batch import Node, root
from hypersplit.instances.network import Array, Layer, Network, activate, sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

SECONDS = 60.0  # far beyond what any of these LPs needs
SHAPES = (Shape(), Shape(rough=True), Shape(scale=1000.0, rough=True), Shape(identity=0.5, residual=0.6))
CHUNK = 15


def bounded(query: Query, node: Node) -> Node | None:
    """The node with linear bounds of all neurons; None where they prove it empty."""
    bounds = bound(query, node.batch)
    if bounds.infeasible[0]:
        return None
    margin = float(smallest_margins(query, bounds)[0])
    return replace(node, pre_lower=bounds.pre_lower[0], pre_upper=bounds.pre_upper[0], margin=margin)


def region_of(node: Node) -> InputSet:
    """Box and half-spaces of a node."""
    return InputSet(node.lower, node.upper, node.cuts[:, :-1], node.cuts[:, -1])


def exact_minima(query: Query, node: Node) -> list[Fraction | None]:
    """Per disjunct the exact minimum over the node of its largest margin; None for an empty node."""
    found: list[Fraction | None] = [None] * query.disjuncts
    for leaf in oracle.leaves(query.network, region_of(node), node.phases):
        margins = leaf.values[-1]
        for k in range(query.disjuncts):
            rows = range(query.starts[k], query.starts[k + 1])
            for r in rows:
                part = leaf.polytope  # where margin r is the largest of the disjunct
                for other in rows:
                    part = part.cut(margins.rows[r] - margins.rows[other])
                for value in margins.at_vertices(part, r):
                    old = found[k]
                    found[k] = value if old is None else min(old, value)
    return found


def nodes_of(seed: int, count: int = 3) -> list[tuple[Query, Node]]:
    """The root and some random nodes of a random instance's queries, bounded."""
    rng = np.random.default_rng(seed)
    instance = random_instance(seed, shape=SHAPES[seed % len(SHAPES)])
    found = []
    for query in queries(instance.network, instance.prop):
        batch = random_nodes(rng, query, count)
        for node in [root(query).node(0), *(batch.node(b) for b in range(count))]:
            if (ready := bounded(query, node)) is not None:
                found.append((query, ready))
    return found


def output_query(network: Network, lower: Array, upper: Array, rows: Array) -> Query:
    """The query whose only disjunct has the margins rows @ f(x)."""
    polyhedron = Polyhedron(np.asarray(rows, dtype=np.float64), np.zeros(len(rows)))
    case = Case(InputSet.box(lower, upper), (polyhedron,))
    return queries(network, Property((case,), network.input_size, network.output_size))[0]


def kpoly_example() -> tuple[Query, Node]:
    """z1 = x1 + x2, z2 = x1 - x2 on [-1, 1]^2, margin -(y1 + 2 y2) (section 2 of the k-ReLU paper)."""
    network = sequential([np.array([[1.0, 1.0], [1.0, -1.0]]), np.eye(2)], [np.zeros(2), np.zeros(2)])
    query = output_query(network, -np.ones(2), np.ones(2), np.array([[-1.0, -2.0]]))
    node = bounded(query, root(query).node(0))
    assert node is not None
    return query, node


def test_the_kpoly_papers_example_has_its_triangle_value() -> None:
    """max y1 + 2 y2 is 5 with triangles, one of the paper's numbers; the safe bound stays below it by rounding only."""
    query, node = kpoly_example()
    answer = TriangleLP(query, node).minimise(0, SECONDS)

    assert answer.status == "optimal"
    assert -5.0 - 1e-9 < answer.bound <= -5.0
    assert answer.point is not None and answer.point.shape == (2,)
    assert np.all(answer.dual_upper >= 0.0) and answer.dual_upper[:2].sum() > 0.0


@pytest.mark.parametrize("first", range(0, 10 * CHUNK, CHUNK))
def test_bounds_hold_exactly_and_beat_linear_bounds(first: int) -> None:
    """On random nodes the LP's bound is below the exact minimum of its disjunct and not below the linear bound."""
    for seed in range(first, first + CHUNK):
        for number, (query, node) in enumerate(nodes_of(seed)):
            exact, lp = exact_minima(query, node), TriangleLP(query, node)
            linear = query.per_disjunct(bound(query, node.batch).margins)[0]
            for k in range(query.disjuncts):
                answer = lp.minimise(k, SECONDS)
                label = f"seed {seed}, node {number}, disjunct {k}: {answer}, exact {exact[k]}"
                assert exact[k] is None or answer.bound <= exact[k], label
                if answer.status == "optimal":
                    assert answer.bound >= linear[k] - 1e-6 * max(1.0, abs(linear[k])), f"{label}, {linear[k]}"
                    assert answer.point is not None
                    assert np.all((answer.point >= node.lower) & (answer.point <= node.upper)), label


def test_an_activation_region_is_solved_exactly() -> None:
    """Where every ReLU is stable the network is affine and the LP's bound is the minimum, up to rounding."""
    solved = 0
    for seed in range(60):
        for query, node in nodes_of(seed, 2):
            rng = np.random.default_rng(seed)
            x = node.lower + (node.upper - node.lower) * rng.random(len(node.lower))
            z = np.concatenate([p[0] for p in query.network.values(x[None])[1][:-1]])
            phases = np.where(query.relu, np.where(z >= 0.0, 1, -1), 0).astype(np.int8)
            fixed = replace(
                node,
                phases=phases,
                pre_lower=np.where(phases > 0, np.maximum(node.pre_lower, 0.0), node.pre_lower),
                pre_upper=np.where(phases < 0, np.minimum(node.pre_upper, 0.0), node.pre_upper),
            )
            exact, lp = exact_minima(query, fixed), TriangleLP(query, fixed)
            for k, truth in enumerate(exact):
                answer = lp.minimise(k, SECONDS)
                if truth is None:
                    continue
                solved += 1
                scale = max(1.0, abs(float(truth)), float(np.abs(node.pre_upper).max(initial=1.0)))
                assert truth - Fraction(1e-6 * scale) <= answer.bound <= truth, (
                    f"seed {seed}, disjunct {k}: {answer}"
                )

    assert solved > 100


def test_update_gives_what_a_fresh_build_gives() -> None:
    """One LP walked through many nodes of a query has the same bounds as an LP built for each."""
    compared = 0
    for seed in range(30):
        by_query: dict[int, list[tuple[Query, Node]]] = {}
        for query, node in nodes_of(seed, 6):
            by_query.setdefault(id(query), []).append((query, node))
        for group in by_query.values():
            walking = TriangleLP(*group[0])
            for number, (query, node) in enumerate(group[1:] + group[:1], start=1):
                walking.update(node)
                fresh, exact = TriangleLP(query, node), exact_minima(query, node)
                for k in range(query.disjuncts):
                    here, there = walking.minimise(k, SECONDS), fresh.minimise(k, SECONDS)
                    label = f"seed {seed}, node {number}, disjunct {k}: updated {here}, fresh {there}"
                    assert exact[k] is None or here.bound <= exact[k], label
                    if there.status == "optimal" and here.status == "optimal":
                        compared += 1
                        # an update may keep rows z <= 0 that a fresh build leaves out, so it may be better
                        scale = max(1.0, abs(there.bound), float(there.dual_upper.sum()))
                        assert here.bound >= there.bound - 1e-6 * scale, label

    assert compared > 100


def test_any_multipliers_give_a_valid_bound() -> None:
    """Random, scaled, infinite and NaN multipliers never prove more than the exact minimum."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        for query, node in nodes_of(seed, 1):
            exact, lp = exact_minima(query, node), TriangleLP(query, node)
            for k, truth in enumerate(exact):
                answer = lp.minimise(k, SECONDS)
                if truth is None or answer.status != "optimal":
                    continue
                duals = lp.triangles.lp.multipliers()
                noise = rng.standard_normal((6, len(duals)))
                tries = [
                    duals,
                    -duals,
                    *(duals * (1.0 + 0.1 * noise[:2])),
                    *noise[2:4],
                    1e9 * noise[4],
                    1e-9 * noise[5],
                ]
                broken = duals.copy()
                broken[rng.integers(len(duals))] = rng.choice([np.nan, np.inf, -np.inf])
                for multipliers in [*tries, broken, np.full(len(duals), np.nan)]:
                    value = lp.safe_bound(multipliers)
                    assert value <= truth, (
                        f"seed {seed}, disjunct {k}: {value} above {float(truth)} from {multipliers}"
                    )


def test_an_empty_region_is_proved_by_multipliers() -> None:
    """Two phases that contradict each other only through the weights: the bound is +inf, and so is a crossed box's."""
    network = sequential(
        [np.array([[1.0, 1.0], [-1.0, -1.0]]), np.ones((1, 2))], [-0.25 * np.ones(2), np.zeros(1)]
    )
    query = output_query(network, -np.ones(2), np.ones(2), np.array([[1.0]]))
    node = bounded(query, root(query).node(0))
    assert node is not None
    both = replace(
        node, phases=np.array([1, 1, 0], dtype=np.int8), pre_lower=np.array([0.0, 0.0, node.pre_lower[2]])
    )
    crossed = replace(node, lower=node.upper + 1.0)
    lp = TriangleLP(query, node)
    alone = lp.minimise(0, SECONDS)
    lp.update(both)
    empty = lp.minimise(0, SECONDS)
    lp.update(crossed)
    outside = lp.minimise(0, SECONDS)
    lp.update(node)
    again = lp.minimise(0, SECONDS)

    assert empty.bound == np.inf and outside.bound == np.inf
    assert alone.bound == pytest.approx(again.bound) and again.bound < 0.0 + 1e-9


def test_half_spaces_are_switched_on_and_off() -> None:
    """A node's half-spaces count in its bound and leave no trace in the next node's; many force a fresh build."""
    query, node = kpoly_example()
    lp = TriangleLP(query, node)
    rng = np.random.default_rng(0)
    for number in range(100):
        cut = np.array([[1.0, -1.0, -rng.random()]])  # x1 - x2 >= r
        lp.update(replace(node, cuts=cut))
        with_cut = lp.minimise(0, SECONDS)
        truth = TriangleLP(query, replace(node, cuts=cut)).minimise(0, SECONDS)
        lp.update(node)
        without = lp.minimise(0, SECONDS)

        assert with_cut.bound == pytest.approx(truth.bound), f"cut {number}: {cut}"
        assert without.bound == pytest.approx(-5.0), f"after cut {number}"


@pytest.mark.parametrize("first", range(0, 5 * CHUNK, CHUNK))
def test_tightened_bounds_keep_every_reachable_value(first: int) -> None:
    """`tighten` never cuts off an exactly reachable pre-activation, and is never worse than what it was given."""
    for seed in range(first, first + CHUNK):
        for number, (query, node) in enumerate(nodes_of(seed, 2)):
            lower, upper = tighten(query, node, np.arange(query.neurons), time.monotonic() + SECONDS)
            label = f"seed {seed}, node {number}"
            assert np.all(lower >= node.pre_lower) and np.all(upper <= node.pre_upper), label
            ranges = oracle.pre_activation_ranges(query.network, region_of(node), node.phases)
            if ranges is None:
                continue
            assert not np.any(lower > upper), label
            flat = [r for layer in ranges[:-1] for r in layer]
            for j, (low, high) in enumerate(flat):
                assert lower[j] <= low and high <= upper[j], f"{label}, neuron {j}: [{lower[j]}, {upper[j]}]"


def test_tightening_gains_on_deep_networks_and_stops_at_the_deadline() -> None:
    """LP bounds of a second hidden layer are clearly tighter than linear ones; with no time left nothing changes."""
    rng = np.random.default_rng(4)
    weights = [rng.standard_normal((8, n)) for n in (4, 8, 8)] + [np.ones((1, 8))]
    network = sequential(weights, [0.1 * rng.standard_normal(len(w)) for w in weights])
    query = output_query(network, -np.ones(4), np.ones(4), np.array([[1.0]]))
    node = bounded(query, root(query).node(0))
    assert node is not None
    late = tighten(query, node, np.arange(query.neurons), time.monotonic() - 1.0)
    lower, upper = tighten(query, node, np.arange(query.neurons), time.monotonic() + SECONDS)
    third = query.slices[2]

    assert np.array_equal(late[0], node.pre_lower) and np.array_equal(late[1], node.pre_upper)
    assert (upper - lower)[third].sum() < 0.95 * (node.pre_upper - node.pre_lower)[third].sum()


@pytest.mark.parametrize("kind", ["sigmoid", "tanh", "elu:1.5", "softplus", "arctan"])
def test_s_shaped_activations_are_relaxed_soundly(kind: str) -> None:
    """For increasing curves the bound is below every sampled value and above the interval bound."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        sizes = [3, 5, 4, 1]
        layers = tuple(
            Layer((k,), (rng.standard_normal((b, a)),), rng.standard_normal(b), kind if k < 2 else "identity")
            for k, (a, b) in enumerate(zip(sizes[:-1], sizes[1:], strict=True))
        )
        query = output_query(Network(3, layers), -np.ones(3), np.ones(3), np.array([[1.0]]))
        node = bounded(query, root(query).node(0))
        assert node is not None
        lower, upper = tighten(query, node, np.arange(query.neurons), time.monotonic() + SECONDS)
        node = replace(node, pre_lower=lower, pre_upper=upper)
        answer = TriangleLP(query, node).minimise(0, SECONDS)
        values, pre = query.network.values(rng.uniform(-1.0, 1.0, (2000, 3)))
        flat = np.concatenate(pre[:-1], axis=1)
        last = query.slices[1]
        ends = activate(kind, np.array([lower[last], upper[last]]))
        interval = (
            np.minimum(layers[2].weights[0] * ends[0], layers[2].weights[0] * ends[1]).sum()
            + layers[2].bias[0]
        )

        assert answer.bound <= values[-1].min(), f"seed {seed}"
        assert np.all(flat >= lower) and np.all(flat <= upper), f"seed {seed}"
        assert answer.bound >= interval - 1e-9, f"seed {seed}"


def exp_example() -> tuple[Query, Node]:
    """e^x - 1.2 x on [-1, 1]."""
    one = np.ones((1, 1))
    layers = Layer((0,), (one,), np.zeros(1), "exp"), Layer((0, 1), (-1.2 * one, one), np.zeros(1))
    query = output_query(Network(1, layers), -np.ones(1), np.ones(1), np.array([[1.0]]))
    node = bounded(query, root(query).node(0))
    assert node is not None
    return query, node


def test_curves_get_lines_at_the_lps_point() -> None:
    """e^x - 1.2 x on [-1, 1] is bounded by its minimum 1.2 - 1.2 log 1.2, and lines of one node serve its children."""
    query, node = exp_example()
    lp, least = TriangleLP(query, node), 1.2 - 1.2 * np.log(1.2)
    assert least - 1e-3 <= lp.minimise(0, SECONDS).bound <= least
    assert lp.triangles.supports > 0
    for low, high in ((-1.0, 0.0), (0.5, 1.0), (0.1, 0.3)):
        child = bounded(query, replace(root(query).node(0), lower=np.array([low]), upper=np.array([high])))
        assert child is not None
        lp.update(child)
        truth = float((np.exp(x := np.linspace(low, high, 10_001)) - 1.2 * x).min())
        assert truth - 1e-3 <= lp.minimise(0, SECONDS).bound <= truth + 1e-12


def test_a_later_solve_that_fails_leaves_what_was_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the lines at the first optimum the solver fails: the bound is the first optimum's, and the LP is broken."""
    query, node = exp_example()
    lp, truth = TriangleLP(query, node), 1.2 - 1.2 * np.log(1.2)
    answers = iter([lp.triangles.lp.solve, lambda _: "error: at last"])
    monkeypatch.setattr(lp.triangles.lp, "solve", lambda seconds: next(answers)(seconds))
    answer = lp.minimise(0, SECONDS)
    assert lp.triangles.broken and answer.point is None and scip.failed(answer.status)
    assert -10.0 < answer.bound <= truth
    lp.update(node)
    assert truth - 1e-3 <= lp.minimise(0, SECONDS).bound <= truth


def test_inexact_weights_and_biases_enter_the_bound() -> None:
    """Layers known only up to `roundings` and `bias_error`: the bound also holds for networks that far away."""
    roundings, bias_error = 2**30, 1e-4
    for seed in range(20):
        rng = np.random.default_rng(seed)
        network = random_network(rng, Shape(identity=0.0, residual=0.0, final_relu=0.0))
        stated = tuple(replace(layer, roundings=roundings, bias_error=bias_error) for layer in network.layers)
        n = network.input_size
        row = np.eye(network.output_size)[:1]
        query = output_query(Network(n, stated), -np.ones(n), np.ones(n), row)
        node = bounded(query, root(query).node(0))
        assert node is not None
        answer = TriangleLP(query, node).minimise(0, SECONDS)
        for _ in range(5):
            # (1 + d)^-1 W is a W' whose rounded value W may be
            moved = tuple(
                Layer(
                    layer.sources,
                    tuple(
                        w * (1.0 + rng.choice([-1.0, 1.0], w.shape) * 0.9 * roundings * 2.0**-53)
                        for w in layer.weights
                    ),
                    layer.bias + rng.choice([-1.0, 1.0], layer.size) * bias_error,
                    layer.kind,
                )
                for layer in network.layers
            )
            truth = oracle.minimum(Network(n, moved), InputSet.box(-np.ones(n), np.ones(n)), row[0])
            assert truth is not None and answer.bound <= truth, (
                f"seed {seed}: {answer.bound} above {float(truth)}"
            )


def test_unbounded_neurons_are_refused() -> None:
    """An LP over a node that was never bounded is a ValueError that says what to do."""
    query, node = kpoly_example()
    raw = root(query).node(0)

    with pytest.raises(ValueError, match="bound the node first"):
        TriangleLP(query, raw)
    with pytest.raises(ValueError, match="bound the node first"):
        tighten(query, raw, np.arange(query.neurons), time.monotonic() + SECONDS)


def test_slices_of_a_solve_reach_the_same_optimum(monkeypatch: pytest.MonkeyPatch) -> None:
    """A solve in slices that are much too short goes on where it was, and ends with the bound of a single one."""
    rng = np.random.default_rng(0)
    matrix, costs = sp.csr_array(sp.random(60, 60, 0.3, rng=rng)), -rng.uniform(size=60)
    found = []
    for seconds in (1e-4, 1e4):
        monkeypatch.setattr(scip, "SLICE", seconds)
        lp = safe_lp.SafeLP()
        lp.add_columns(np.zeros(60), np.ones(60))
        lp.add_rows(matrix, np.full(60, -np.inf), matrix @ np.full(60, 0.3))
        lp.set_objective(costs)
        assert lp.solve(1e4) == "optimal"
        found.append(lp.lower_bound(lp.multipliers(), costs))
    assert found[0] == pytest.approx(found[1])
