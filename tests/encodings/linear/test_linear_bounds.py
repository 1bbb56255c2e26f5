"""Linear bounds against the oracle: no bound, no linear function is wrong by a single bit."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import oracle
import pytest
from random_instances import Instance, Shape, random_instance, random_nodes, random_points

from hypersplit.encodings.linear import row_blocks
from hypersplit.encodings.linear.linear_bounds import Bounds, LinearBoundOptions, bound, smallest_margins
from hypersplit.instances.batch import Batch, Node, root
from hypersplit.instances.network import sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries
from hypersplit.instances.rounding import gamma

OPTIONS = (
    LinearBoundOptions(),
    LinearBoundOptions(slopes="parallel"),
    LinearBoundOptions(hidden=False),
    LinearBoundOptions(first_layer=2),
    LinearBoundOptions(deadline=0.0),
    LinearBoundOptions(kernel="compiled"),
    LinearBoundOptions(kernel="compiled", slopes="parallel"),
)
CHUNK = 30


def region_of(node: Node) -> InputSet:
    """Box and half-spaces of a node."""
    return InputSet(node.lower, node.upper, node.cuts[:, :-1], node.cuts[:, -1])


def assert_valid(query: Query, batch: Batch, bounds: Bounds, label: str) -> int:
    """Exact check of every row of `bounds`; returns how many nodes were not empty.

    On a leaf of the oracle margins are affine: a linear function is below iff it is at the leaf's vertices.
    """
    alive = 0
    for b in range(len(batch)):
        node = batch.node(b)
        leaves = list(oracle.leaves(query.network, region_of(node), node.phases))
        if not leaves:
            continue
        alive += 1
        assert not bounds.infeasible[b], f"{label}, node {b}: declared empty, but it is not"
        for leaf in leaves:
            low, high = np.array([z.range(leaf.polytope, i) for z in leaf.pre for i in range(len(z.rows))]).T
            inner = slice(0, query.neurons)
            assert all(a <= e for a, e in zip(bounds.pre_lower[b], low[inner], strict=True)), (
                f"{label}, node {b}"
            )
            assert all(a >= e for a, e in zip(bounds.pre_upper[b], high[inner], strict=True)), (
                f"{label}, node {b}"
            )
            assert all(a <= e for a, e in zip(bounds.margins[b], low[query.neurons :], strict=True)), (
                f"{label}, node {b}"
            )
            for r in range(query.rows):
                exact = leaf.pre[-1].at_vertices(leaf.polytope, r)
                for x, value in zip(leaf.polytope.points(), exact, strict=True):
                    below = oracle.exact_dot(bounds.coefficients[b, r], x) + Fraction(
                        float(bounds.constants[b, r])
                    )
                    assert below <= value, f"{label}, node {b}, margin {r}: above by {float(below - value)}"
    return alive


def nodes_of(instance: Instance, query: Query, count: int) -> Batch:
    """The root, and nodes below it of which half inherit the root's bounds."""
    rng = np.random.default_rng(instance.seed)
    batch = Batch.concatenate([root(query), random_nodes(rng, query, count)])
    proved = bound(query, root(query))
    half = slice(1, 1 + count // 2)
    batch.pre_lower[half] = np.maximum(batch.pre_lower[half], proved.pre_lower)
    batch.pre_upper[half] = np.minimum(batch.pre_upper[half], proved.pre_upper)
    return batch


@pytest.mark.parametrize("seed", range(0, 300, CHUNK))
def test_bounds_contain_the_exact_ranges(seed: int) -> None:
    """Boxes, half-spaces, phases, residual edges: bounds and linear functions hold under every option."""
    alive = 0
    for s in range(seed, seed + CHUNK):
        instance = random_instance(s, shape=Shape(flat=0.2))
        for query in queries(instance.network, instance.prop):
            batch = nodes_of(instance, query, 4)
            options = OPTIONS[s % len(OPTIONS)]
            alive += assert_valid(query, batch, bound(query, batch, options), f"{instance}, {options}")
    assert alive > 2 * CHUNK


def test_a_deadline_on_the_way_leaves_true_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes on with every look, and one row a block: whatever is left out, all that is said holds."""
    monkeypatch.setattr(row_blocks, "BLOCK", 1.0)
    walked = set()
    for s in range(60):
        instance = random_instance(s, shape=Shape(flat=0.2))
        for query in queries(instance.network, instance.prop):
            batch = nodes_of(instance, query, 2)
            looks = itertools.count()
            monkeypatch.setattr(row_blocks, "time", SimpleNamespace(monotonic=lambda looks=looks: float(next(looks))))
            options = LinearBoundOptions(deadline=float(s % 12), conjunctions=s % 2 == 0, kernel="plain")
            bounds = bound(query, batch, options)
            assert not np.isnan(bounds.margins).any() and not np.isnan(bounds.constants).any()
            if s % 2:  # rows tested together say less
                assert_valid(query, batch, bounds, f"{instance}, deadline {s % 12}")
            walked.add(bool(bounds.coefficients.any()))
    assert walked == {False, True}


def test_a_deadline_in_the_past_leaves_interval_bounds() -> None:
    """Hidden bounds and margins are those of intervals, and the margins' functions are constants below them."""
    for s in range(20):
        instance = random_instance(s)
        for query in queries(instance.network, instance.prop):
            batch = nodes_of(instance, query, 2)
            bounds = bound(query, batch, LinearBoundOptions(deadline=0.0, kernel="plain"))
            assert not bounds.coefficients.any() and not bounds.sensitivities.any()
            assert np.array_equal(bounds.constants, bounds.margins)
            assert_valid(query, batch, bounds, str(instance))


@pytest.mark.parametrize("scale", [1e-8, 1e4, 1e8])
@pytest.mark.parametrize("slopes", ["adaptive", "parallel"])
def test_extreme_and_ragged_weights_stay_valid(scale: float, slopes: str) -> None:
    """Neurons scaled by 1e-8 and 1e8 side by side, weights of 53 bits: bounds hold exactly, not nearly."""
    for s in range(1000, 1025):
        instance = random_instance(s, shape=Shape(scale=scale, rough=True))
        for query in queries(instance.network, instance.prop):
            batch = nodes_of(instance, query, 2)
            for kernel in ("plain", "compiled"):
                bounds = bound(query, batch, LinearBoundOptions(slopes=slopes, kernel=kernel))
                assert_valid(query, batch, bounds, f"{instance}, {scale}, {kernel}")


def test_a_batch_equals_its_nodes() -> None:
    """Row b of a batch is what node b gets alone, up to rounding: neighbours have no influence."""
    for s in range(2000, 2040):
        instance = random_instance(s)
        for query in queries(instance.network, instance.prop):
            batch = nodes_of(instance, query, 12)
            together = bound(query, batch)
            for b in range(len(batch)):
                alone = bound(query, batch.node(b).batch)
                assert together.infeasible[b] == alone.infeasible[0], f"{instance}, node {b}"
                if together.infeasible[b]:
                    continue
                for name in ("pre_lower", "pre_upper", "margins", "coefficients", "constants", "multipliers"):
                    np.testing.assert_allclose(
                        getattr(together, name)[b],
                        getattr(alone, name)[0],
                        1e-9,
                        1e-9,
                        err_msg=f"{instance}, {b}, {name}",
                    )


def test_a_batch_of_many_chunks_equals_its_parts() -> None:
    """More nodes than are bounded at a time give what the same nodes give in small batches."""
    query = queries(random_instance(3).network, random_instance(3).prop)[0]
    batch = random_nodes(np.random.default_rng(0), query, 50)
    many = Batch.concatenate([batch] * 120)
    few, whole = bound(query, batch), bound(query, many)
    for name in ("pre_lower", "pre_upper", "margins", "constants"):
        np.testing.assert_allclose(getattr(whole, name), np.tile(getattr(few, name), (120, 1)), 1e-9, 1e-9)


def test_children_are_never_worse_than_what_they_inherit() -> None:
    """Inherited bounds are intersected with the new ones."""
    for s in range(60):
        instance = random_instance(s)
        query = queries(instance.network, instance.prop)[0]
        parent = bound(query, root(query))
        child = random_nodes(np.random.default_rng(s), query, 3)
        child.pre_lower = np.maximum(child.pre_lower, parent.pre_lower)
        child.pre_upper = np.minimum(child.pre_upper, parent.pre_upper)
        got = bound(query, child)
        open_nodes = ~got.infeasible
        assert np.all(got.pre_lower[open_nodes] >= child.pre_lower[open_nodes]), str(instance)
        assert np.all(got.pre_upper[open_nodes] <= child.pre_upper[open_nodes]), str(instance)


def stable_or_not(instance: Instance) -> tuple[Query, Bounds, list[Fraction]]:
    """The first query of an instance, its root bounds, and the exact minima of its margins."""
    query = queries(instance.network, instance.prop)[0]
    exact = oracle.pre_activation_ranges(query.network, query.region)
    assert exact is not None
    return query, bound(query, root(query)), [low for low, _ in exact[-1]]


def test_bounds_are_exact_without_unstable_neurons() -> None:
    """Where every ReLU is stable and there is at most one half-space nothing is lost but rounding."""
    seen = cut = 0
    for s in range(400):
        instance = random_instance(s)
        query, bounds, exact = stable_or_not(instance)
        unstable = query.relu & (bounds.pre_lower[0] < 0) & (bounds.pre_upper[0] > 0)
        if unstable.any() or len(query.region.rows) > 1:
            continue
        seen, cut = seen + 1, cut + len(query.region.rows)
        np.testing.assert_allclose(
            bounds.margins[0], [float(e) for e in exact], 1e-9, 1e-9, err_msg=str(instance)
        )
    assert seen >= 30 and cut >= 5, (seen, cut)


def test_the_triangle_of_one_neuron() -> None:
    """-ReLU(x) on [-1, 2]: upper line 2/3 x + 2/3, so the bound is -2, with multiplier 1."""
    network = sequential([np.ones((1, 1)), -np.ones((1, 1))], [np.zeros(1), np.zeros(1)])
    case = Case(InputSet.box(np.array([-1.0]), np.array([2.0])), (Polyhedron(np.ones((1, 1)), np.zeros(1)),))
    query = queries(network, Property((case,), 1, 1))[0]
    bounds = bound(query, root(query))
    assert bounds.coefficients[0, 0] == pytest.approx([-2 / 3])
    assert bounds.constants[0, 0] == pytest.approx(-2 / 3)
    assert bounds.margins[0, 0] == pytest.approx(-2.0)
    assert bounds.multipliers[0, 0] == pytest.approx([1.0, 0.0])  # the ReLU; the output neuron has no lines


def test_slopes_of_the_worked_example() -> None:
    """x1 + x2 and x1 - x2 on [-1, 1]^2 (k-ReLU paper, section 2): triangles bound max y1 + 2 y2 by 5."""
    network = sequential(
        [np.array([[1.0, 1.0], [1.0, -1.0]]), np.array([[1.0, 2.0]])], [np.zeros(2), np.zeros(1)]
    )
    case = Case(InputSet.box(-np.ones(2), np.ones(2)), (Polyhedron(-np.ones((1, 1)), np.zeros(1)),))
    query = queries(network, Property((case,), case.region.size, 1))[0]
    for slopes in ("adaptive", "parallel"):
        bounds = bound(query, root(query), LinearBoundOptions(slopes=slopes))
        # upper lines y <= z / 2 + 1: y1 + 2 y2 <= (3 x1 - x2) / 2 + 3
        assert bounds.coefficients[0, 0] == pytest.approx([-1.5, 0.5])
        assert bounds.margins[0, 0] == pytest.approx(-5.0)


def test_empty_regions_are_seen_and_count_as_closed() -> None:
    """A half-space that misses the box proves the node empty: its margin is +inf for the search."""
    instance = random_instance(1)
    query = queries(instance.network, instance.prop)[0]
    node = root(query)
    row = np.append(np.ones(query.network.input_size), -float(node.upper.sum()) - 1.0)
    node.cuts = np.concatenate([node.cuts, row[None, None]], axis=1)
    bounds = bound(query, node)
    assert bounds.infeasible.all() and np.isposinf(smallest_margins(query, bounds)).all()


@pytest.mark.parametrize("kind", ["sigmoid", "tanh", "hardswish", "elu:1.7", "softplus", "arctan", "power:2"])
def test_smooth_networks_stay_within_their_bounds(kind: str) -> None:
    """Samples of networks of curves stay within bounds and above the margins' linear functions."""
    for s in range(3000, 3040):
        instance = random_instance(s)
        layers = tuple(replace(x, kind=kind if x.kind == "relu" else x.kind) for x in instance.network.layers)
        network = replace(instance.network, layers=layers)
        for query in queries(network, instance.prop):
            bounds = bound(query, root(query))
            x = random_points(np.random.default_rng(s), query.region, 500)
            pre = np.concatenate(query.network.values(x)[1], axis=1)
            z, margins = np.split(pre, [query.neurons], axis=1)
            slack = 1e-12 * (1.0 + np.abs(pre).max(initial=0.0))  # of the samples' own evaluation
            assert np.all(bounds.pre_lower[0] <= z + slack), f"seed {s}"
            assert np.all(bounds.pre_upper[0] >= z - slack), f"seed {s}"
            below = x @ bounds.coefficients[0].T + bounds.constants[0]
            assert np.all(below <= margins + slack), f"seed {s}"
            assert np.all(bounds.margins[0] <= margins + slack), f"seed {s}"


def test_overflow_proves_nothing_wrong() -> None:
    """Products past 1e308 become infinite or NaN bounds at worst, never wrong finite ones."""
    network = sequential(
        [np.array([[1e200], [-1e200]]), np.array([[1e200, 1.0]])], [np.zeros(2), np.zeros(1)]
    )
    case = Case(InputSet.box(np.array([-1.0]), np.array([1.0])), (Polyhedron(np.ones((1, 1)), np.zeros(1)),))
    query = queries(network, Property((case,), case.region.size, 1))[0]
    with np.errstate(all="ignore"):
        bounds = bound(query, root(query))
    assert not bounds.infeasible[0] and not bounds.margins[0, 0] > 0.0
    assert bounds.pre_lower[0, 0] <= -1e200 and bounds.pre_upper[0, 0] >= 1e200


def test_gamma_covers_a_sum_of_products() -> None:
    """A float dot product is off by less than gamma(n) times the sum of the products' magnitudes."""
    rng = np.random.default_rng(0)
    for terms in (1, 10, 300):
        for _ in range(20):
            a, b = rng.normal(size=terms), rng.normal(size=terms) * 10.0 ** rng.integers(-6, 7, terms)
            exact = oracle.exact_dot(a, [Fraction(float(v)) for v in b])
            assert abs(Fraction(float(a @ b)) - exact) <= Fraction(
                gamma(terms) * float(np.abs(a) @ np.abs(b))
            )
