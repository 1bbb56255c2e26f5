"""Axis scores against ranges over the corners of the box, and the rule that takes the best axis."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from hypersplit.encodings.linear.bounds import Bounds, MarginFunctions
from hypersplit.heuristics.splits.axes import longest_edge_scores, smear_scores
from hypersplit.heuristics.splits.splits import choose_splits
from hypersplit.instances.batch import Batch, root
from hypersplit.instances.network import Array, Layer, Network
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

INPUTS = 3


def boxes(seed: int, count: int) -> tuple[Array, Array]:
    """(lower, upper) of random boxes, some edges of length zero."""
    rng = np.random.default_rng(seed)
    lower = rng.normal(size=(count, INPUTS))
    return lower, lower + np.where(rng.random((count, INPUTS)) < 0.2, 0.0, rng.uniform(0.1, 2.0, (count, INPUTS)))


def asked(lower: Array, upper: Array, coefficients: Array) -> tuple[Query, Batch, Bounds]:
    """An affine network's query on a box, its root, and bounds whose one margin is open with these coefficients."""
    n = len(lower)
    network = Network(n, (Layer((0,), (np.ones((1, n)),), np.zeros(1)),))
    case = Case(InputSet.box(lower, upper), (Polyhedron(np.ones((1, 1)), np.zeros(1)),))
    query = queries(network, Property((case,), n, 1))[0]
    shape = (1, query.neurons)
    bounds = Bounds(
        -np.ones(shape), np.ones(shape), np.full((1, 1), -1.0), np.zeros((1, 1, query.neurons)),
        np.zeros(1, dtype=bool), MarginFunctions(coefficients[None, None], np.zeros((1, 1))),
    )  # fmt: skip
    return query, root(query), bounds


def test_smear_is_half_the_range_of_each_term() -> None:
    """Half of what a_j x_j can differ by over the box, from its values at the corners."""
    lower, upper = boxes(1, 20)
    coefficients = np.random.default_rng(2).normal(size=lower.shape)
    scores = smear_scores(coefficients, lower, upper)
    assert scores.shape == lower.shape
    for b in range(len(lower)):
        corners = np.array(list(product(*zip(lower[b], upper[b], strict=True))))
        terms = coefficients[b] * corners
        expected = 0.5 * (terms.max(axis=0) - terms.min(axis=0))
        np.testing.assert_allclose(scores[b], expected, rtol=1e-12, atol=1e-14)


def test_smears_add_up_to_half_the_range_of_the_bound() -> None:
    """Over all inputs the scores are how far the linear bound lies below its value at the middle."""
    lower, upper = boxes(3, 20)
    coefficients = np.random.default_rng(4).normal(size=lower.shape)
    middle = (coefficients * (lower + upper) / 2).sum(axis=1)
    least = np.minimum(coefficients * lower, coefficients * upper).sum(axis=1)
    np.testing.assert_allclose(smear_scores(coefficients, lower, upper).sum(axis=1), middle - least, rtol=1e-12)


def test_smear_takes_many_rows_of_each_box() -> None:
    """Coefficients [B, rows, inputs] with boxes [B, 1, inputs], as the split rule asks."""
    lower, upper = boxes(5, 4)
    coefficients = np.random.default_rng(6).normal(size=(4, 2, INPUTS))
    scores = smear_scores(coefficients, lower[:, None], upper[:, None])
    for r in range(2):
        np.testing.assert_array_equal(scores[:, r], smear_scores(coefficients[:, r], lower, upper))


def test_edges_are_measured_by_the_roots() -> None:
    """The root scores 1 in every input that is open, half of it 1/2, whatever the input's unit."""
    width = np.array([1e-6, 2.0, 1e6])
    lower = -width / 4
    assert longest_edge_scores(lower[None], (lower + width)[None], width)[0] == pytest.approx([1.0, 1.0, 1.0])
    halved = lower + width * np.array([0.5, 1.0, 0.25])
    assert longest_edge_scores(lower[None], halved[None], width)[0] == pytest.approx([0.5, 1.0, 0.25])


def test_fixed_inputs_score_nothing() -> None:
    """An input that is fixed at the root scores 0 without a division by zero; one that became fixed as well."""
    lower, upper = np.zeros((2, 3)), np.array([[0.0, 1.0, 4.0], [0.0, 0.0, 2.0]])
    with np.errstate(all="raise"):
        scores = longest_edge_scores(lower, upper, np.array([0.0, 2.0, 4.0]))
    assert scores.tolist() == [[0.0, 0.5, 1.0], [0.0, 0.0, 0.5]]


def test_the_rule_axes_halves_the_largest_smear() -> None:
    """Coefficient times width decides, not either of them alone."""
    query, batch, bounds = asked(np.zeros(3), np.array([1.0, 10.0, 3.0]), np.array([3.0, 0.1, -2.0]))
    splits = choose_splits(query, batch, bounds, "axes")
    assert (splits.axis.tolist(), splits.at.tolist()) == ([2], [1.5])


@pytest.mark.parametrize("rounding", [-1e-15, 0.0, 1e-15])
def test_roundings_choose_no_axis(rounding: float) -> None:
    """Of axes that are equal but for roundings the first one is halved; one that is better is not equal."""
    ends = np.array([1.0, 2.0, 1.0])
    query, batch, bounds = asked(np.zeros(3), ends, np.array([0.5, 1.0 + rounding, 2.0 - rounding]))
    assert choose_splits(query, batch, bounds, "axes").axis.tolist() == [1]
    query, batch, bounds = asked(np.zeros(3), ends, np.array([0.5, 1.0, 2.0 + 1e-6]))
    assert choose_splits(query, batch, bounds, "axes").axis.tolist() == [2]


def test_a_bound_that_does_not_see_the_input_takes_the_longest_edge() -> None:
    """Where all coefficients vanish the edge that has shrunk least since the root is halved."""
    query, batch, bounds = asked(np.zeros(3), np.array([1.0, 10.0, 3.0]), np.zeros(3))
    batch.upper = np.array([[0.5, 5.0, 2.25]])
    splits = choose_splits(query, batch, bounds, "axes")
    assert (splits.axis.tolist(), splits.at.tolist()) == ([2], [1.125])


def test_an_interval_without_a_float_inside_is_not_halved() -> None:
    """The best axis that can be halved is taken; none where every interval is a float or two."""
    one = np.nextafter(1.0, 2.0)
    query, batch, bounds = asked(np.array([1.0, 0.0]), np.array([one, 1.0]), np.array([1e30, 1.0]))
    for rule in ("axes", "longest-edge"):
        assert choose_splits(query, batch, bounds, rule).axis.tolist() == [1]
    batch.lower[:, 1] = batch.upper[:, 1]
    for rule in ("axes", "longest-edge"):
        splits = choose_splits(query, batch, bounds, rule)
        assert splits.axis.tolist() == [-1] and splits.missing.tolist() == [True]
