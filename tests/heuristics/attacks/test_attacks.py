"""Attacks: fast passes against the network itself, descents that find what is there, points of each kind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.sparse as sp
from random_instances import Shape, random_instance, random_network

from hypersplit.heuristics.attacks import gathered_blocks
from hypersplit.heuristics.attacks.attack_passes import Passes, passes_of
from hypersplit.heuristics.attacks.attacks import EXACT, Elite, best_first, points_in, projected_gradient
from hypersplit.heuristics.attacks.gathered_blocks import GatheredBlocks, product_form
from hypersplit.instances.network import Array, Layer, Network, sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

CHANNELS, WIDTH = 8, 12


def forbidding(network: Network, region: InputSet, *polyhedra: Polyhedron) -> Query:
    """The question whether an output of the region lies in one of the polyhedra."""
    prop = Property((Case(region, polyhedra),), network.input_size, network.output_size)
    return queries(network, prop)[0]


def convolution(rng: np.random.Generator, inputs: int, channels: int, taps: int = 5) -> sp.csr_array:
    """A padded convolution of one row of pixels, [channels * WIDTH, inputs * WIDTH]."""
    kernel = rng.normal(size=(channels, inputs, taps))
    dense = np.zeros((channels, WIDTH, inputs, WIDTH))
    for place in range(WIDTH):
        for tap in range(taps):
            column = place + tap - taps // 2
            if 0 <= column < WIDTH:
                dense[:, place, :, column] = kernel[:, :, tap]
    return sp.csr_array(dense.reshape(channels * WIDTH, inputs * WIDTH))


def convolutional(rng: np.random.Generator, kinds: tuple[str, str] = ("relu", "relu")) -> Network:
    """Two convolutions, a residual edge around the second, a dense layer."""
    first, second = convolution(rng, 2, CHANNELS), convolution(rng, CHANNELS, CHANNELS)
    size = CHANNELS * WIDTH
    around = sp.csr_array(np.eye(size))
    layers = (
        Layer((0,), (first,), rng.normal(size=size), kinds[0]),
        Layer((1, 2)[:1], (second,), rng.normal(size=size), kinds[1]),
        Layer((1, 2), (around, rng.normal(size=(size, size)) / size), rng.normal(size=size), "relu"),
        Layer((3,), (rng.normal(size=(4, size)) / size,), np.zeros(4), "identity"),
    )
    return Network(2 * WIDTH, layers)


@pytest.mark.parametrize("shape", ["convolution", "transposed", "random", "empty rows", "one pattern"])
def test_gathered_blocks_multiply_as_the_matrix_does(shape: str) -> None:
    """Whatever rows share their columns, the product is that of the matrix."""
    rng = np.random.default_rng(1)
    matrix = {
        "convolution": lambda: convolution(rng, 3, CHANNELS),
        "transposed": lambda: sp.csr_array(convolution(rng, 3, CHANNELS).T),
        "random": lambda: sp.csr_array(sp.random(40, 30, 0.2, rng=rng)),
        "empty rows": lambda: sp.csr_array(np.vstack([np.zeros((3, 30)), rng.normal(size=(5, 30))])),
        "one pattern": lambda: sp.csr_array(rng.normal(size=(6, 30))),
    }[shape]()
    x = rng.normal(size=(matrix.shape[1], 7))
    product = GatheredBlocks(matrix, np.float64) @ x
    assert np.allclose(product, matrix @ x, rtol=1e-12, atol=1e-12)
    single = GatheredBlocks(matrix, np.float32) @ x.astype(np.float32)
    assert single.dtype == np.float32
    assert np.allclose(single, matrix @ x, rtol=1e-4, atol=1e-4)


def test_convolutions_become_blocks() -> None:
    """All channels of one place are one block, and no row is left to csr; a random matrix has no blocks."""
    rng = np.random.default_rng(2)
    blocks = GatheredBlocks(convolution(rng, 3, CHANNELS))
    assert sum(b.weights.shape[0] for b in blocks.buckets) == WIDTH
    assert all(b.weights.shape[1] == CHANNELS for b in blocks.buckets)
    assert not len(blocks.rest_rows)
    assert not GatheredBlocks(sp.csr_array(sp.random(40, 300, 0.1, rng=rng))).buckets


def test_patterns_that_only_share_their_code_are_kept_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the random sums of two patterns agree by chance, their rows are not made one block."""

    class Zeros:
        def integers(self, most: int, size: int) -> Array:
            return np.zeros(size, dtype=np.int64)

    rng = np.random.default_rng(3)
    matrix = convolution(rng, 3, CHANNELS)
    monkeypatch.setattr(gathered_blocks.np.random, "default_rng", lambda seed: Zeros())
    x = rng.normal(size=(matrix.shape[1], 2))
    assert np.allclose(GatheredBlocks(matrix, np.float64) @ x, matrix @ x)


@pytest.mark.parametrize("kinds", [("relu", "relu"), ("sigmoid", "tanh"), ("identity", "relu")])
def test_passes_are_the_networks_own(kinds: tuple[str, str]) -> None:
    """Margins and gradients agree with `Network.values` and `pullback`, residual edges and all activations included."""
    rng = np.random.default_rng(4)
    network = convolutional(rng, kinds)
    x, cotangent = rng.normal(size=(9, network.input_size)), rng.normal(size=(9, 4))
    values, pre = network.values(x)
    passes = Passes(network, np.dtype(np.float64))
    own = passes.forward(np.ascontiguousarray(x.T))
    assert np.allclose(own[-1].T, values[-1], rtol=1e-12)
    assert np.allclose(passes.backward(own, cotangent.T).T, network.pullback(pre, cotangent), rtol=1e-10, atol=1e-12)
    single = Passes(network, np.dtype(np.float32))
    assert np.allclose(single.margins(x), values[-1], rtol=1e-4, atol=1e-5)


def test_random_networks_pass_alike() -> None:
    """The same for random networks with residual edges, identity layers and a ReLU on the output."""
    for seed in range(30):
        rng = np.random.default_rng(seed)
        network = random_network(rng, Shape(residual=0.6, identity=0.4))
        x = rng.normal(size=(5, network.input_size))
        cotangent = rng.normal(size=(5, network.output_size))
        values, pre = network.values(x)
        passes = Passes(network, np.dtype(np.float64))
        own = passes.forward(np.ascontiguousarray(x.T))
        back = passes.backward(own, cotangent.T).T
        assert np.allclose(own[-1].T, values[-1]), seed
        assert np.allclose(back, network.pullback(pre, cotangent)), seed


def test_small_networks_and_tiny_boxes_stay_double() -> None:
    """float32 is for large networks, and only where the box is wide against the coordinates' own size."""
    rng = np.random.default_rng(5)
    large = sequential([rng.normal(size=(200, 120)), rng.normal(size=(2, 200))], [np.zeros(200), np.zeros(2)])
    small = sequential([rng.normal(size=(5, 3))], [np.zeros(5)])
    zeros, ones = np.zeros(120), np.ones(120)
    assert passes_of(large, zeros, ones).single
    assert passes_of(large, zeros, ones) is passes_of(large, -ones, ones)
    assert not passes_of(large, ones, ones + 1e-6).single
    assert not passes_of(small, zeros[:3], ones[:3]).single


def test_best_first_sorts_by_the_worst_margin() -> None:
    """The order is that of float64 for the points that count, also where float32 makes the first selection."""
    rng = np.random.default_rng(6)
    network = sequential([rng.normal(size=(200, 120)), rng.normal(size=(3, 200))], [np.zeros(200), np.zeros(3)])
    region = InputSet.box(np.zeros(120), np.ones(120))
    query = forbidding(network, region, Polyhedron(np.eye(3)[:2], np.zeros(2)), Polyhedron(np.eye(3)[2:], np.zeros(1)))
    points = points_in(region.lower, region.upper, 4 * EXACT, rng)
    found, worst = best_first(query, points)
    exact = query.worst(network_margins(query, found))
    assert np.array_equal(worst[:EXACT], exact[:EXACT])
    assert np.allclose(worst, exact, rtol=1e-4, atol=1e-4)
    assert (np.diff(exact) > -1e-4).all()
    assert np.array_equal(np.sort(found, axis=0), np.sort(points, axis=0))


def network_margins(query: Query, points: Array) -> Array:
    """[P, rows]."""
    return np.asarray(query.network.evaluate(points))


def test_points_stay_in_their_boxes_and_never_get_worse() -> None:
    """Every start ends in its own box, no higher than it began, with the worst margin that is told."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        query = queries(*_asked(seed))[0]
        lower, upper = query.region.lower, query.region.upper
        centre = points_in(lower, upper, 12, rng)
        low, high = np.maximum(lower, centre - 0.1), np.minimum(upper, centre + 0.1)
        starts = rng.uniform(low, high)
        targets = np.arange(12) % query.disjuncts
        points, worst = projected_gradient(query, starts, low, high, 8, targets)
        assert ((points >= low) & (points <= high)).all(), seed
        assert np.allclose(worst, query.worst(query.network.evaluate(points)), atol=1e-9), seed
        assert (worst <= query.worst(query.network.evaluate(starts)) + 1e-12).all(), seed


def _asked(seed: int) -> tuple[Network, Property]:
    instance = random_instance(seed)
    return instance.network, instance.prop


def test_clear_counterexamples_are_found() -> None:
    """Of the random instances with room below zero, descents from 32 starts find nearly all."""
    missed = asked = 0
    for seed in range(60):
        instance = random_instance(seed)
        if instance.kind != "clear-sat" or len(instance.prop.cases) != 1:
            continue
        query = queries(instance.network, instance.prop)[0]
        if len(query.region.rows):
            continue  # attacks know boxes only
        asked += 1
        starts = points_in(query.region.lower, query.region.upper, 32, np.random.default_rng(seed))
        points, _ = projected_gradient(query, starts, query.region.lower, query.region.upper, 40)
        missed += not query.worst(query.network.evaluate(points)).min() <= 0.0
    assert asked >= 5
    assert missed <= asked // 10


def test_every_polyhedron_is_aimed_at() -> None:
    """Each of many classes that only its own descent reaches is reached from the middle of the box."""
    classes = 8
    network = sequential([np.eye(classes)], [np.zeros(classes)])
    region = InputSet.box(np.zeros(classes), np.ones(classes))
    polyhedra = [Polyhedron(-np.eye(classes)[k : k + 1], np.array([-0.9 - 0.01 * k])) for k in range(classes)]
    query = forbidding(network, region, *polyhedra)
    starts = np.full((classes, classes), 0.5)
    points, worst = projected_gradient(query, starts, region.lower, region.upper, 40, np.arange(classes))
    each = query.per_disjunct(query.network.evaluate(points))
    assert (worst < 0.0).all()
    assert (each.argmin(axis=1) == np.arange(classes)).all()


def test_conjunctions_need_all_their_rows() -> None:
    """The smoothed worst margin ends where both rows hold, not where their sum is least."""
    network = sequential([np.array([[3.0, 1.0], [-1.0, -1.0]])], [np.zeros(2)])
    region = InputSet.box(np.full(2, -1.0), np.ones(2))
    # 3 a + b <= -0.4 pulls more strongly than -a - b <= -0.3; both hold only around a = -0.55, b = 1
    query = forbidding(network, region, Polyhedron(np.eye(2), np.array([-0.4, -0.3])))
    points, worst = projected_gradient(query, np.zeros((4, 2)), region.lower, region.upper, 60)
    assert worst.min() < 0.0
    assert query.worst(query.network.evaluate(points)).min() < 0.0


def test_dead_layers_do_not_stop_a_descent() -> None:
    """Where a whole layer is off the exact gradient is 0, and yet the way out is found."""
    network = sequential([np.eye(3), np.ones((1, 3)), np.array([[-1.0]])], [np.zeros(3), np.full(1, -2.5), np.zeros(1)])
    region = InputSet.box(np.full(3, -1.0), np.ones(3))
    query = forbidding(network, region, Polyhedron(np.array([[1.0]]), np.array([-0.2])))
    start = np.full((1, 3), -0.5)
    _, pre = query.network.values(start)
    assert not query.network.pullback(pre, np.ones((1, 1))).any()
    _, worst = projected_gradient(query, start, region.lower, region.upper, 40)
    assert worst[0] < 0.0


def _chunked() -> tuple[Query, Array]:
    """A wide network that any point violates, with twice as many starts as a chunk holds."""
    rng = np.random.default_rng(7)
    network = sequential([rng.normal(size=(4096, 8)), np.full((1, 4096), 1.0)], [np.zeros(4096), np.zeros(1)])
    region = InputSet.box(np.zeros(8), np.ones(8))
    query = forbidding(network, region, Polyhedron(np.array([[1.0]]), np.array([1e6])))
    chunk = passes_of(query.network, region.lower, region.upper).chunk
    return query, points_in(region.lower, region.upper, 2 * chunk, rng)


def test_a_chunk_with_a_counterexample_ends_the_attack() -> None:
    """Starts behind it are handed back as they were, with margin inf."""
    query, starts = _chunked()
    points, worst = projected_gradient(query, starts, query.region.lower, query.region.upper, 20)
    half = len(starts) // 2
    assert (worst[:half] < 0.0).all()
    assert np.isinf(worst[half:]).all()
    assert np.array_equal(points[half:], starts[half:])


def test_no_step_begins_after_the_deadline() -> None:
    """Of a deadline in the past the first chunk's starts come back, evaluated; those behind it as they were."""
    query, starts = _chunked()
    points, worst = projected_gradient(query, starts, query.region.lower, query.region.upper, 20, deadline=0.0)
    half = len(starts) // 2
    assert np.allclose(points, starts)
    assert np.isfinite(worst[:half]).all() and np.isinf(worst[half:]).all()


@pytest.mark.parametrize("seed", range(3))
def test_the_same_generator_gives_the_same_points(seed: int) -> None:
    """A descent is a function of its arguments; another generator leads elsewhere."""
    network = convolutional(np.random.default_rng(8))
    region = InputSet.box(np.zeros(network.input_size), np.ones(network.input_size))
    query = forbidding(network, region, *(Polyhedron(r[None], np.full(1, -1e3)) for r in np.eye(4)))
    starts = points_in(region.lower, region.upper, 8, np.random.default_rng(9))
    attack: Callable[[int], Array] = lambda n: projected_gradient(  # noqa: E731
        query, starts, region.lower, region.upper, 6, rng=np.random.default_rng(n)
    )[0]
    assert np.array_equal(attack(seed), attack(seed))
    assert not np.array_equal(attack(seed), attack(seed + 1))


def test_the_elite_are_the_best_and_their_crossings_stay_in_the_box() -> None:
    """The best points of all rounds are kept; crossings take their inputs from these or from the ends."""
    rng = np.random.default_rng(10)
    lower, upper = np.zeros(50), np.ones(50)
    elite = Elite()
    starts = points_in(lower, upper, 6, rng)
    assert elite.mixed(starts, lower, upper, rng) is starts
    points = rng.uniform(size=(30, 50))
    worst = rng.permutation(30).astype(float)
    worst[worst > 25] = np.inf
    elite.add(points[:15], worst[:15])
    elite.add(points[15:], worst[15:])
    assert np.array_equal(elite.worst, np.arange(8.0))
    assert np.array_equal(elite.points, points[np.argsort(worst)[:8]])
    children = elite.crossings(20, lower, upper, rng)
    known = (children[:, None] == elite.points).any(axis=1)
    assert (known | (children == lower) | (children == upper)).all()
    assert 0.8 < known.mean() < 0.97
    mixed = elite.mixed(starts, lower, upper, rng)
    assert (mixed == starts).all(axis=1).sum() == 3


def test_product_form_keeps_dense_matrices() -> None:
    """Dense weights stay dense, in the wanted type."""
    dense = product_form(np.eye(3), np.float32)
    assert isinstance(dense, np.ndarray)
    assert dense.dtype == np.float32
