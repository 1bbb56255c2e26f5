"""Tests of bab/partition/: the propositions of Anderson et al. (2020), by the product's own LPs, against the oracle."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import oracle
import pytest

from hypersplit.bab.partition.error_bounds import (
    diameter_constant,
    lipschitz_constant,
    scaled_error,
    split_error,
    worst_case_error,
)
from hypersplit.bab.partition.optimum import exact_optimum, multistart
from hypersplit.bab.partition.refinement import (
    along_all_rows,
    along_best_rows,
    along_rows,
    into_boxes,
    partitioned_bound,
    refinements,
)
from hypersplit.bab.partition.relaxation import Part, objective_query, whole
from hypersplit.bab.partition.row_scores import best_rows, coefficients, last_rows, row_scores, row_weights
from hypersplit.instances.errors import NetworkError, PropertyError
from hypersplit.instances.network import Array, Layer, Network, sequential
from hypersplit.instances.property import InputSet
from hypersplit.instances.query import Query

CLOSE = 1e-6  # of values around 1: rigorous bounds lie that near the LPs' optima
LOOSE = 2e-3  # of a neuron's width: how far its bounds may stay from the LPs' optima
SEEDS = range(6)


def question(seed: int, sizes: tuple[int, ...], last: str = "identity") -> tuple[Query, Network, InputSet, Array]:
    """A random chain, a polytope (box, and for odd seeds a half-space through it) and an objective."""
    print("seed", seed)
    rng = np.random.default_rng(seed)
    pairs = list(pairwise(sizes))
    network = sequential(
        [rng.integers(-8, 9, (m, n)) / 4.0 for n, m in pairs], [rng.integers(-4, 5, m) / 4.0 for _, m in pairs], last
    )
    rows = rng.integers(-4, 5, (seed % 2, sizes[0])) / 4.0
    region = InputSet(-np.ones(sizes[0]), np.ones(sizes[0]), rows, np.full(seed % 2, 0.25))
    c = rng.integers(-4, 5, sizes[-1]) / 4.0
    return objective_query(network, region, c), network, region, c


def truth(query: Query) -> float:
    """f*(X), exactly: the margin is -c'f."""
    least = oracle.minimum(query.network, query.region, np.ones(1))
    assert least is not None
    return -float(least)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("sizes", "last"), [((3, 4), "relu"), ((2, 5, 2), "identity"), ((2, 4, 3), "relu")])
def test_partitions_bound_the_truth_and_tighten(seed: int, sizes: tuple[int, ...], last: str) -> None:
    """Prop. 1 and 2: every refinement bounds f*, and none is looser than the one before, down to all rows."""
    query, *_ = question(seed, sizes, last)
    start, exact = whole(query), truth(query)
    rows = best_rows(query, start, 4)
    values = [partition.value for partition in refinements(query, start, rows)]
    assert len(rows) + 1 == len(values)
    assert exact <= min(values) and start.value == values[0]
    assert all(after <= before for before, after in pairwise(values))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("sizes", "last"), [((3, 5), "relu"), ((3, 5, 2), "identity")])
def test_all_sign_patterns_are_exact(seed: int, sizes: tuple[int, ...], last: str) -> None:
    """Prop. 4: a single layer split along all its rows has no error left, in at most 2^n parts."""
    query, *_ = question(seed, sizes, last)
    found = along_all_rows(query)
    assert len(found.parts) <= 2 ** len(found.rows)
    assert found.value == pytest.approx(truth(query), abs=CLOSE)


@pytest.mark.parametrize("seed", SEEDS)
def test_theorem_1_and_lemma_2_hold_without_a_common_optimum(seed: int) -> None:
    """The error of the relaxation, and that of every partition along rows, is at most the sum of the terms left."""
    query, *_ = question(seed, (3, 5, 2))
    start, exact, c = whole(query), truth(query), coefficients(query)
    ends = start.node.pre_lower, start.node.pre_upper
    assert start.value - exact <= worst_case_error(c, *ends) + CLOSE
    for row in range(5):
        assert along_rows(query, [row], start=start).value - exact <= split_error(c, *ends, [row]) + CLOSE
    for count in range(6):
        found = along_best_rows(query, count, start=start)
        assert found.value - exact <= split_error(c, *ends, found.rows) + CLOSE


@pytest.mark.parametrize("seed", SEEDS)
def test_the_best_rows_minimise_the_bound(seed: int) -> None:
    """Thm 2 and its recursion: no other rows of the same number leave a smaller bound of the error."""
    query, *_ = question(seed, (3, 5, 2))
    start, c = whole(query), coefficients(query)
    ends = start.node.pre_lower, start.node.pre_upper
    for count in (1, 2, 3):
        chosen = best_rows(query, start, count)
        others = [split_error(c, *ends, rows) for rows in combinations(range(5), count)]
        assert split_error(c, *ends, chosen) == pytest.approx(min(others), abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_corollary_1(seed: int) -> None:
    """A set shrunk around a point where all rows are zero has bounds, and a bound of the error, that shrink with it."""
    rng = np.random.default_rng(seed)
    weights, c = rng.integers(-8, 9, (4, 3)) / 4.0, rng.integers(-4, 5, 4) / 4.0
    network = sequential([weights], [np.zeros(4)], "relu")
    query, part = _around_zero(network, 1.0, c)
    for alpha in (0.5, 0.125):
        smaller, inner = _around_zero(network, alpha, c)
        np.testing.assert_allclose(inner.node.pre_upper, alpha * part.node.pre_upper, rtol=LOOSE)
        bound = scaled_error(coefficients(query), part.node.pre_lower, part.node.pre_upper, alpha)
        assert inner.value - truth(query) <= inner.value - truth(smaller) <= bound + CLOSE


def _around_zero(network: Network, radius: float, c: Array) -> tuple[Query, Part]:
    box = InputSet.box(np.full(network.input_size, -radius), np.full(network.input_size, radius))
    query = objective_query(network, box, c)
    return query, whole(query)


@pytest.mark.parametrize("seed", SEEDS)
def test_proposition_3(seed: int) -> None:
    """The error over equal boxes is at most their diameter times either constant, and shrinks with it."""
    query, *_ = question(seed, (2, 4, 2))
    exact, c, weights = truth(query), coefficients(query)[last_rows(query)], row_weights(query)
    values = []
    for halvings in (0, 1, 2, 3):
        found = into_boxes(query, halvings)
        error = found.value - exact
        assert -CLOSE <= error <= diameter_constant(c, weights) * found.diameter + CLOSE
        assert 4.0 * diameter_constant(c, weights) <= lipschitz_constant(c, weights) + 1e-12
        assert found.diameter == pytest.approx(2.0 * np.sqrt(2.0) / 2**halvings)
        values.append(found.value)
    assert all(after <= before + CLOSE for before, after in pairwise(values))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_relaxed_objective_is_as_steep_as_its_constant_says(seed: int) -> None:
    """Lemma 1: where boxes are points, the relaxation is c'f itself, whose slopes the constant bounds."""
    query, network, region, objective = question(2 * seed, (3, 5, 2))
    constant = lipschitz_constant(coefficients(query)[last_rows(query)], row_weights(query))
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(region.lower, region.upper, (2, 50, 3))
    rise = np.abs((network.evaluate(a) - network.evaluate(b)) @ objective)
    assert (rise <= constant * np.linalg.norm(a - b, axis=1) + 1e-9).all()


def test_the_last_layer_alone_is_scored() -> None:
    """Of two ReLU layers only the second has coefficients, c times the affine layers behind it; its rows are split."""
    query, network, _, objective = question(0, (2, 4, 3, 2))
    where = last_rows(query)
    assert (where.start, where.stop) == (4, 7)
    found = coefficients(query)
    assert not found[:4].any() and not found[7:].any()
    np.testing.assert_allclose(found[where], objective @ network.layers[-1].weights[0])
    scores, start = row_scores(query, whole(query)), whole(query)
    assert set(best_rows(query, start, 9)) <= {4, 5, 6} and not scores[:4].any()


def test_phases_of_deep_rows_are_no_half_spaces_but_bound_the_truth() -> None:
    """All rows of all layers together leave nothing to relax: the LPs' largest value is the truth."""
    query, *_ = question(1, (2, 3, 3, 1))
    start = whole(query)
    low, high = start.node.pre_lower, start.node.pre_upper
    rows = [int(i) for i in np.flatnonzero((low < 0.0) & (high > 0.0) & query.relu)]
    assert any(row >= 3 for row in rows)
    assert along_rows(query, rows, start=start).value == pytest.approx(truth(query), abs=CLOSE)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_search_finds_the_optimum(seed: int) -> None:
    """The complete search closes in on the oracle's maximum from both sides; multistart stays below it."""
    query, network, region, c = question(seed, (2, 4, 3), "relu")
    exact = truth(query)
    found = exact_optimum(network, region, c, whole(query).value)
    assert found.lower - 1e-9 <= exact <= found.upper + 1e-9
    assert found.upper - found.lower <= 2e-6
    assert found.point is None or region.contains(found.point)
    assert multistart(network, region, c)[0] <= exact + 1e-9


def test_parts_that_are_out_of_time_still_bound_the_truth() -> None:
    """No second at all leaves inherited bounds and whatever multipliers there are: looser, never wrong."""
    query, *_ = question(3, (3, 5, 2))
    assert truth(query) <= along_all_rows(query, seconds=0.0).value


def test_an_empty_set_has_no_part() -> None:
    """Half-spaces that contradict each other leave nothing, and the bound of nothing is -inf."""
    network = sequential([np.eye(2)], [np.zeros(2)], "relu")
    region = InputSet(-np.ones(2), np.ones(2), np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([-0.5, -0.5]))
    assert partitioned_bound(network, region, np.ones(2), 2).value == -np.inf


@pytest.mark.parametrize(
    ("rows", "words"), [([7], "row 7"), ([0, 0], "row 0"), ([-1], "row -1"), ([2], "row 2")]
)
def test_rows_that_are_none(rows: list[int], words: str) -> None:
    """Numbers of no ReLU, and one named twice, are refused in a sentence."""
    query, *_ = question(0, (2, 2, 1))
    with pytest.raises(PropertyError, match=words):
        along_rows(query, rows)


def test_what_cannot_be_asked() -> None:
    """Another activation, a skip behind the last ReLUs, no ReLU at all, too many boxes, a wrong objective."""
    box = InputSet.box(-np.ones(2), np.ones(2))
    curved = sequential([np.eye(2)], [np.zeros(2)], "tanh")
    plain = sequential([np.eye(2)], [np.zeros(2)], "identity")
    relu = sequential([np.eye(2)], [np.zeros(2)], "relu")
    skip = Network(2, (*relu.layers, Layer((0, 1), (np.eye(2), np.eye(2)), np.zeros(2))))
    with pytest.raises(NetworkError, match="ReLU"):
        partitioned_bound(curved, box, np.ones(2))
    with pytest.raises(NetworkError, match="a layer of ReLUs"):
        partitioned_bound(plain, box, np.ones(2))
    with pytest.raises(NetworkError, match="reads"):
        partitioned_bound(skip, box, np.ones(2))
    with pytest.raises(NetworkError, match="input alone"):
        row_weights(objective_query(replace(relu, layers=(*relu.layers, *_again(relu))), box, np.ones(2)))
    with pytest.raises(PropertyError, match="boxes"):
        into_boxes(objective_query(relu, box, np.ones(2)), 9)
    with pytest.raises(PropertyError, match="objective"):
        partitioned_bound(relu, box, np.ones(3))


def _again(network: Network) -> tuple[Layer, ...]:
    return (replace(network.layers[0], sources=(1,)),)
