"""NaN and infinities in bounds, half-spaces and multipliers: they close nothing, and they fix no phase."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from random_instances import Shape, random_instance, random_points

from hypersplit.bab.closers.regions import close_regions
from hypersplit.bab.tree.evidence import Evidence, State
from hypersplit.bab.tree.search import Closing, sift
from hypersplit.bab.tree.tree import Round
from hypersplit.encodings.linear.bounds import Bounds, LinearBoundOptions, MarginFunctions, at_least, at_most, norm
from hypersplit.encodings.linear.clipping import clip_batch, shrink_box
from hypersplit.encodings.linear.first_layer_ball import Ball
from hypersplit.encodings.linear.halfspaces import cut_is_empty
from hypersplit.encodings.linear.linear_bounds import bound
from hypersplit.encodings.linear.number_range import LARGEST, in_range, largest_number, suits_scip
from hypersplit.encodings.programs.activation_region import activation_region
from hypersplit.encodings.programs.region_lp import minimise_over_region
from hypersplit.encodings.relaxations.kinds import lines
from hypersplit.heuristics.splits.rules import RULES
from hypersplit.heuristics.splits.splits import choose_splits
from hypersplit.instances.batch import Batch, root
from hypersplit.instances.network import Array, Layer, sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

VOID = (np.nan, np.inf, -np.inf)


def query_of(seed: int) -> Query:
    """A random query that a counterexample exists for, so that nothing may ever close it."""
    instance = random_instance(seed, "clear-sat", Shape(most_inputs=3, residual=0.0))
    return queries(instance.network, replace(instance.prop, cases=instance.prop.cases[:1]))[0]


def touched(bounds: Bounds, batch: Batch, value: float, rng: np.random.Generator) -> Bounds:
    """The bounds with some numbers replaced by `value`; a lower bound is never replaced by +inf, which would be one."""
    names = ("coefficients", "constants", "margins", "sensitivities", "pre_lower", "pre_upper")
    arrays = {name: getattr(bounds, name).copy() for name in names}
    for name, array in arrays.items():
        if name in ("margins", "pre_lower") and value == np.inf or name == "pre_upper" and value == -np.inf:
            continue
        array[rng.random(array.shape) < 0.4] = value
    functions = MarginFunctions(arrays.pop("coefficients"), arrays.pop("constants"))
    return replace(bounds, functions=functions, **arrays)


@pytest.mark.parametrize("value", VOID)
def test_clipping_loses_no_counterexample(value: float) -> None:
    """Functions and margins that are not finite empty no node and cut no counterexample off."""
    for seed in range(30):
        query, rng = query_of(seed), np.random.default_rng(seed)
        batch = root(query)
        bounds = touched(bound(query, batch, LinearBoundOptions(kernel="plain")), batch, value, rng)
        points = random_points(rng, query.region, 400)
        bad = points[query.worst(query.network.evaluate(points)) <= 0.0]
        clipped, empty = clip_batch(query, batch, bounds)
        assert not empty.any() or not len(bad), seed
        inside = (bad >= clipped.lower).all(axis=1) & (bad <= clipped.upper).all(axis=1)
        assert inside.all() and np.isfinite(clipped.cuts).all(), seed


def test_a_nan_margin_keeps_a_node_open() -> None:
    """In clipping, and where the search asks what its bounds close."""
    query = query_of(0)
    batch, n = root(query), query.network.input_size
    bounds = bound(query, batch, LinearBoundOptions(kernel="plain"))
    bounds.margins[:], bounds.coefficients[:], bounds.constants[:] = np.nan, np.nan, np.nan
    left, _ = sift(query, batch, bounds, Evidence.LINEAR, Round())
    assert len(left) == 1 and left.margin[0] == -np.inf
    clipped, empty = clip_batch(query, batch, bounds)
    assert not empty.any() and clipped.cuts.shape[2] == n + 1
    np.testing.assert_array_equal(clipped.lower[0], query.region.lower)
    np.testing.assert_array_equal(clipped.upper[0], query.region.upper)


@pytest.mark.parametrize("number", [*VOID, 1e308, -1e308, 5e-324])
def test_half_spaces_of_any_numbers_leave_the_box_what_it_holds(number: float) -> None:
    """Shrinking keeps a point that satisfies the half-space in exact arithmetic; unclear half-spaces say nothing."""
    lower, upper = np.array([[-1.0, 0.0]]), np.array([[1.0, 1e308]])
    for row in ([number, 1.0, 1.0], [1.0, number, 1.0], [1.0, 1.0, number], [number, number, number]):
        cut = np.array([[row]])
        low, high = shrink_box(lower, upper, cut[:, :, :2], cut[:, :, 2])
        assert not np.isnan(low).any() and not np.isnan(high).any()
        if not np.isfinite(row).all():
            np.testing.assert_array_equal(low, lower)
            np.testing.assert_array_equal(high, upper)
        with np.errstate(over="ignore", invalid="ignore"):
            empty = cut_is_empty(lower, upper, cut)
        assert not empty[0] or (np.isfinite(number) and number < 0.0) or number == -np.inf


@pytest.mark.parametrize("kernel", ["plain", "compiled"])
@pytest.mark.parametrize("value", VOID)
def test_pre_activation_bounds_that_are_none(kernel: str, value: float) -> None:
    """NaN, or an infinite bound on the side where it says nothing, is no phase: the twins bound as from scratch."""
    for seed in range(10):
        query = query_of(seed)
        options = LinearBoundOptions(kernel=kernel, conjunctions=True)
        plain, batch = bound(query, root(query), options), root(query)
        if value != np.inf:
            batch.pre_lower[:] = value
        if value != -np.inf:
            batch.pre_upper[:] = value
        found = bound(query, batch, options)
        np.testing.assert_array_equal(found.margins, plain.margins)
        assert not found.infeasible.any()


@pytest.mark.parametrize("kernel", ["plain", "compiled"])
@pytest.mark.parametrize("weight", [1e200, 1e308, 1e155])
def test_overflow_closes_no_node(kernel: str, weight: float) -> None:
    """Weights whose products overflow, here and there with both signs: no margin above 0, nothing infeasible."""
    rng = np.random.default_rng(3)
    for _ in range(20):
        sizes = [2, 3, 3, 1]
        weights = [rng.choice([-weight, 1.0, weight, 0.0], (m, n)) for n, m in zip(sizes, sizes[1:], strict=False)]
        network = sequential(weights, [rng.choice([-weight, 0.0, weight], m) for m in sizes[1:]])
        region = InputSet.box(-np.ones(2), np.ones(2))
        # y is forbidden on both sides of 0: the whole input set is a counterexample
        sides = tuple(Polyhedron(np.array([[s]]), np.zeros(1)) for s in (1.0, -1.0))
        query = queries(network, Property((Case(region, sides),), 2, 1))[0]
        assert not in_range(query) or largest_number(query) <= LARGEST
        for means in (False, True):
            bounds = bound(query, root(query), LinearBoundOptions(kernel=kernel, conjunctions=True, means=means))
            assert not bounds.infeasible.any()
            assert not (query.worst(bounds.margins) > 0.0).any(), bounds.margins
            assert not (bounds.pre_lower == np.inf).any() and not (bounds.pre_upper == -np.inf).any()


@pytest.mark.parametrize("rule", RULES)
def test_splits_of_bounds_that_are_none_divide_the_box(rule: str) -> None:
    """Whatever is NaN or infinite, a split on an axis lies inside the interval and a hyperplane is finite."""
    for seed in range(10):
        query, rng = query_of(seed), np.random.default_rng(seed)
        for value in VOID:
            batch = root(query)
            bounds = bound(query, batch, LinearBoundOptions(means=rule.startswith("rows"), kernel="plain"))
            bounds = touched(bounds, batch, value, rng)
            splits = choose_splits(query, batch, bounds, rule)
            axis = splits.axis[0]
            assert axis < 0 or batch.lower[0, axis] < splits.at[0] < batch.upper[0, axis]
            assert np.isfinite(splits.row).all()


def test_a_region_of_unknown_phases_is_not_closed() -> None:
    """NaN bounds fix no phase: no activation region, and an error where one is asked for."""
    query = query_of(1)
    batch = root(query)
    bounds = bound(query, batch, LinearBoundOptions(kernel="plain"))
    batch.pre_lower[:], batch.pre_upper[:] = np.nan, np.nan
    closing = Closing.nothing(batch)
    close_regions(query, batch, bounds, lambda points: None, None, closing)
    if query.relu.any():
        assert closing.kinds[0] == State.OPEN
        with pytest.raises(ValueError, match="known phase"):
            activation_region(query, batch.node(0), np.zeros(query.neurons, dtype=bool))


@pytest.mark.parametrize("value", VOID)
def test_region_lps_of_void_functions_prove_nothing(value: float) -> None:
    """A function or half-space with such a number is left out or makes the bound -inf."""
    lower, upper = -np.ones(2), np.ones(2)
    for where in range(3):
        row = np.array([1.0, 1.0, 5.0])
        row[where] = value
        least, _ = minimise_over_region(lower, upper, np.zeros((0, 3)), row[None, :2], row[2:], 1.0)
        assert least == -np.inf
        least, _ = minimise_over_region(lower, upper, row[None], np.ones((1, 2)), np.zeros(1), 1.0)
        assert least <= -2.0


def test_lines_of_unknown_bounds_are_void() -> None:
    """A ReLU without bounds gets lines of NaN, not those of a phase."""
    for lower, upper in ((np.nan, np.nan), (-np.inf, np.inf), (np.nan, 1.0), (-1.0, np.nan)):
        with np.errstate(invalid="ignore"):
            found = lines("relu", np.array([lower]), np.array([upper]))
        assert np.isnan(found.upper_slope).all() or np.isnan(found.upper_intercept).all()


def test_what_is_no_bound_becomes_an_infinite_one() -> None:
    """On its own side."""
    values = np.array([np.nan, np.inf, -np.inf, 1.0])
    np.testing.assert_array_equal(at_least(values), [-np.inf, -np.inf, -np.inf, 1.0])
    np.testing.assert_array_equal(at_most(values), [np.inf, np.inf, np.inf, 1.0])


def test_norms_of_tiny_vectors_do_not_vanish() -> None:
    """Squares underflow, error terms made of the norm must not."""
    for size in (1e-320, 1e-200, 1e-160, 1.0, 1e150):
        a = np.full((1, 3), size)
        assert norm(a)[0] >= size * np.sqrt(3.0)


@pytest.mark.parametrize("power", [100, 126, 140])
@np.errstate(over="ignore", invalid="ignore")
def test_the_ball_covers_float32s_underflow(power: int) -> None:
    """First-layer weights below float32's smallest number times coefficients as large: nothing is lost."""
    rng = np.random.default_rng(power)
    w = np.ldexp(rng.normal(size=(3, 64)), -power - 10)
    ball = Ball(Layer((0,), (w,), np.zeros(3), "relu"), -np.ones(64), np.ones(64))
    coefficients = np.ldexp(rng.normal(size=(1, 5, 3)), min(power, 120))
    found = ball.minimum(coefficients, np.zeros((1, 5)), np.zeros((1, 5)))
    assert (found <= -np.abs(coefficients @ w).sum(axis=2)).all()
    small = np.ldexp(rng.normal(size=(1, 5, 3)), -power - 10)
    ball = Ball(Layer((0,), (np.ldexp(w, 2 * power),), np.zeros(3), "relu"), -np.ones(64), np.ones(64))
    found = ball.minimum(small, np.zeros((1, 5)), np.zeros((1, 5)))
    assert (found <= -np.abs(small @ np.ldexp(w, 2 * power)).sum(axis=2)).all()


def scale_of(weights: list[Array], end: float = 1.0) -> Query:
    """A chain of single neurons on [-end, end]."""
    network = sequential(weights, [np.zeros(1)] * len(weights))
    region = InputSet.box(np.array([-end]), np.array([end]))
    return queries(network, Property((Case(region, (Polyhedron(np.ones((1, 1)), np.zeros(1)),)),), 1, 1))[0]


@pytest.mark.parametrize(
    ("weights", "end", "fits"),
    [
        ([1.0, 1.0], 1.0, True),
        ([1e30, 1e30], 1.0, True),
        ([1e38, 1e38], 1.0, False),
        ([1e-200, 1e-200, 1e200, 1e200], 1.0, False),  # forwards they vanish, backwards they overflow
        ([1e200, 1e-200], 1.0, False),
        ([1.0], 1e80, False),
    ],
)
def test_the_range_for_proofs_looks_both_ways(weights: list[float], end: float, fits: bool) -> None:
    """Values that overflow and coefficients that do are both beyond it."""
    assert in_range(scale_of([np.array([[w]]) for w in weights], end)) == fits


def test_scip_is_asked_about_ordinary_numbers_only() -> None:
    """Layers whose weights vanish next to its tolerances, and ranges next to its infinity, are not for SCIP."""
    for weights, fits in (([1.0, 1.0], True), ([1e-12, 1e12], False), ([1e13, 1.0], False)):
        query = scale_of([np.array([[w]]) for w in weights])
        assert suits_scip(query, root(query).node(0)) == fits
