"""Bounds of hidden neurons by branching: near the exact ends with leaves enough, true with few, never worse."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache

import numpy as np
import oracle
import pytest
from milp_problems import bounded
from random_instances import Shape, random_points, random_query

from hypersplit.encodings.linear.bounds import LinearBoundOptions
from hypersplit.encodings.linear.linear_bounds import bound
from hypersplit.encodings.neuron_groups.group_ascent import refine_by_ascent
from hypersplit.encodings.slopes.branched_bounds import LEAF, Branching, tighten_by_branching
from hypersplit.encodings.slopes.optimised_bounds import OptimiseOptions
from hypersplit.encodings.slopes.phase_bounds import hidden_minima
from hypersplit.heuristics.neuron_groups import Grouping, groups_of_layer
from hypersplit.instances import memory
from hypersplit.instances.batch import Node, root
from hypersplit.instances.families.random_networks import random_network
from hypersplit.instances.network import Array
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

SHAPES = (Shape(identity=0.0), Shape(identity=0.0, scale=1e5, rough=True))  # weights that are badly scaled, too
MANY = 10_000  # leaves, more than there are
LONG = OptimiseOptions(iterations=60, worth=0.0)
OUTPUTS = Property((Case(InputSet(-np.ones(3), np.ones(3), np.zeros((0, 3)), np.zeros(0)),
                         (Polyhedron(np.array([[1.0, -1.0]]), np.zeros(1)),)),), 3, 2)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Hidden:
    """The unstable neurons of a later layer on a random query's root with linear bounds, and their exact ends."""

    query: Query
    node: Node
    k: int
    index: Array
    low: list[Fraction]
    high: list[Fraction]

    @property
    def known(self) -> tuple[Array, Array]:
        """The node's bounds of them."""
        part = self.query.slices[self.k - 1]
        return self.node.pre_lower[part][self.index], self.node.pre_upper[part][self.index]

    def hold(self, lower: Array, upper: Array) -> bool:
        """Whether bounds hold, to the last bit."""
        pairs = zip(lower.tolist(), upper.tolist(), self.low, self.high, strict=True)
        return all(Fraction(a) <= low and high <= Fraction(b) for a, b, low, high in pairs)


@cache
def hidden(shape: Shape, count: int) -> list[Hidden]:
    """All of the first `count` queries of a shape."""
    found = []
    for seed in range(count):
        query = random_query(seed, shape)
        node = bounded(query, root(query).node(0))
        for k, part in enumerate(query.slices, start=1):
            if node is None or k == 1:
                continue
            index = np.flatnonzero((node.pre_lower[part] < 0.0) & (node.pre_upper[part] > 0.0))
            ends = _exact(query, node, k, index) if len(index) else None
            if ends is not None:
                found.append(Hidden(query, node, k, index, *ends))
    return found


def _exact(query: Query, node: Node, k: int, index: Array) -> tuple[list[Fraction], list[Fraction]] | None:
    """The least and the largest pre-activations, by enumeration; None on a region without inputs."""
    low: list[list[Fraction]] = [[] for _ in index]
    high: list[list[Fraction]] = [[] for _ in index]
    region = InputSet(node.lower, node.upper, node.cuts[:, :-1], node.cuts[:, -1])
    for leaf in oracle.leaves(query.network, region):
        for i, neuron in enumerate(index.tolist()):
            least, most = leaf.pre[k - 1].range(leaf.polytope, neuron)
            low[i].append(least)
            high[i].append(most)
    return ([min(ends) for ends in low], [max(ends) for ends in high]) if all(low) else None


def test_many_leaves_come_near_the_exact_ends() -> None:
    """Within a share of the width that the ascents leave, neurons that turn out stable aside; never beyond them."""
    seen, near = 0, 0
    for case in hidden(SHAPES[0], 12):
        lower, upper = tighten_by_branching(case.query, case.node.batch, case.k, case.index, MANY, LONG, worth=1e-6)
        assert case.hold(lower, upper), case.query
        width = case.known[1] - case.known[0]
        off = np.maximum(np.array(case.low, float) - lower, upper - np.array(case.high, float)) / width
        off[(lower >= 0.0) | (upper <= 0.0)] = 0.0
        assert (off < 0.05).all(), case.query
        seen, near = seen + len(off), near + int((off < 1e-4).sum())
    assert seen > 10 and near > 0.5 * seen


@pytest.mark.parametrize("shape", SHAPES)
def test_few_leaves_lie_between_the_ascent_and_the_truth(shape: Shape) -> None:
    """One leaf is an ascent without splits; more win something, and nothing that is not true."""
    won = 0
    for case in hidden(shape, 12):
        widths = []
        for leaves in (1, 3, 9):
            lower, upper = tighten_by_branching(
                case.query, case.node.batch, case.k, case.index, leaves, LONG, worth=1e-6
            )
            assert case.hold(lower, upper), case.query
            widths.append(float((upper - lower).sum()))
        assert widths == sorted(widths, reverse=True), case.query
        won += widths[-1] < 0.999 * widths[0]
    assert won > 0


def test_one_leaf_is_an_ascent_without_splits() -> None:
    """The same bounds as those of `hidden_minima`, up to the rounding of a batch."""
    seen = 0
    for case in hidden(SHAPES[0], 12):
        lower, upper = tighten_by_branching(case.query, case.node.batch, case.k, case.index, 1, LONG)
        twice = np.repeat(case.index, 2)
        found = hidden_minima(case.query, case.node.batch, case.k, np.zeros_like(twice), twice, LONG)
        least, most = np.fmax(case.known[0], found[::2]), np.fmin(case.known[1], -found[1::2])
        still = (least < 0.0) & (most > 0.0)
        assert lower[still] == pytest.approx(least[still], abs=1e-4), case.query
        assert upper[still] == pytest.approx(most[still], abs=1e-4), case.query
        seen += int(still.sum())
    assert seen > 0


@pytest.mark.parametrize("shape", SHAPES)
def test_rows_of_the_layers_before_are_taken_in(shape: Shape) -> None:
    """With them no bound is beyond the truth, and where weights are well scaled some are better than without."""
    won = 0.0
    for case in hidden(shape, 12):

        def pairs(layer: int, known: Node, query: Query = case.query) -> list[Array]:
            return [groups_of_layer(query, known, layer, Grouping(2, 50))]

        _, pool = refine_by_ascent(case.query, case.node.batch, pairs, LEAF, np.inf)
        lower, upper = tighten_by_branching(case.query, case.node.batch, case.k, case.index, 3, LEAF, pool)
        assert case.hold(lower, upper), case.query
        plain = tighten_by_branching(case.query, case.node.batch, case.k, case.index, 3, LEAF)
        won += float(((plain[1] - plain[0]) / (upper - lower) - 1.0).sum())
    assert won > 0.0 or shape is not SHAPES[0]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_root_refined_by_branching_has_narrower_bounds_that_hold(shape: Shape) -> None:
    """`refine_by_ascent` with branching: beyond no exact end."""
    won = 0.0
    for case in hidden(shape, 12):
        part, widths = case.query.slices[case.k - 1], []
        for branching in (None, Branching(8, 8)):
            done, _ = refine_by_ascent(
                case.query, case.node.batch, lambda layer, known: [], LEAF, np.inf, branching=branching
            )
            lower, upper = done.pre_lower[0, part][case.index], done.pre_upper[0, part][case.index]
            assert case.hold(lower, upper), case.query
            widths.append(upper - lower)
        won += float((widths[0] / widths[1] - 1.0).sum())
    assert won > 0.0


def test_which_layers_are_branched() -> None:
    """The second ReLU layer and those behind it, each with its own number of leaves; never the first."""
    query = queries(random_network([3, 4, 4, 4, 2], 0), OUTPUTS)[0]
    assert [Branching(8, 3).of_layer(query, k) for k in range(1, len(query.kinds) + 1)] == [0, 8, 3, 0]


def test_inputs_beyond_half_spaces_end_no_tree() -> None:
    """What the network does outside the node says nothing of how far its bounds may still rise."""
    query = random_query(33, Shape(identity=0.0, halfspaces=1.0))
    node, part = bounded(query, root(query).node(0)), query.slices[1]
    assert node is not None
    index = np.flatnonzero((node.pre_lower[part] < 0.0) & (node.pre_upper[part] > 0.0))
    lower, upper = tighten_by_branching(query, node.batch, 2, index, 32, LEAF, worth=1e-3)
    assert float((upper - lower).sum()) < 8.0  # 7.948; 8.036 where they do


def test_without_memory_bounds_stay() -> None:
    """Where there is no room for leaves the node's own bounds come back, and nothing is raised."""
    case = hidden(SHAPES[0], 12)[0]
    with memory.ceiling(0.0):
        lower, upper = tighten_by_branching(case.query, case.node.batch, case.k, case.index, MANY)
    assert np.array_equal(lower, case.known[0]) and np.array_equal(upper, case.known[1])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seed", [100001, 100026, 100031, 100044])
def test_weights_beyond_float32_warn_of_nothing(seed: int) -> None:
    """Overflows on the way prove nothing, quietly: values of inputs lie within what is found."""
    query = random_query(seed, Shape(most_hidden=4, identity=0.0, residual=0.4, scale=1e100, rough=True))
    bounds = bound(query, root(query), LinearBoundOptions(kernel="plain"))
    batch = replace(root(query), pre_lower=bounds.pre_lower, pre_upper=bounds.pre_upper)
    groups = Grouping(2, 50)
    done, _ = refine_by_ascent(
        query, batch, lambda k, known: [groups_of_layer(query, known, k, groups)], LEAF, np.inf,
        branching=Branching(4, 4),
    )  # fmt: skip
    points = random_points(np.random.default_rng(seed), query.region, 100)
    values = np.concatenate(query.network.values(points)[1], axis=1)[:, : query.neurons]
    slack = 1e-9 * np.abs(values).max(axis=0, initial=0.0)
    assert (values >= done.pre_lower - slack).all() and (values <= done.pre_upper + slack).all()


def test_without_time_bounds_stay() -> None:
    """After the deadline the node's own bounds come back."""
    case = hidden(SHAPES[0], 12)[0]
    late = replace(LEAF, deadline=time.monotonic() - 1.0)
    lower, upper = tighten_by_branching(case.query, case.node.batch, case.k, case.index, MANY, late)
    assert np.array_equal(lower, case.known[0]) and np.array_equal(upper, case.known[1])
