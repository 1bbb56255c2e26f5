"""The ascent's own values against the formula, its directions against differences, and what it keeps."""

from __future__ import annotations

import numpy as np
import pytest
from milp_problems import bounded
from random_instances import Shape, random_query

from hypersplit.encodings.linear.inherited_pass import InheritedPass
from hypersplit.encodings.slopes.optimised_bounds import PairPass
from hypersplit.encodings.slopes.phase_bounds import skeleton_of
from hypersplit.encodings.slopes.slope_ascent import Ascent, Pairs, Single, Steps
from hypersplit.instances.batch import Batch, root
from hypersplit.instances.network import Array
from hypersplit.instances.query import Query

SHAPE = Shape(halfspaces=0.0, identity=0.0, most_hidden=2)


def question(seed: int) -> tuple[Query, Batch, Pairs] | None:
    """A bounded root with unstable neurons, and one pair a margin."""
    query = random_query(seed, SHAPE)
    start = root(query)
    start.cuts = start.cuts[:, :0]
    node = bounded(query, start.node(0))
    assert node is not None
    if not ((node.pre_lower < 0.0) & (node.pre_upper > 0.0) & query.relu).any():
        return None
    count = query.rows
    return query, node.batch, Pairs(np.zeros(count, np.intp), np.arange(count), np.ones(count), np.arange(count))


def ascended(query: Query, batch: Batch, pairs: Pairs, iterations: int, **options: float) -> Ascent:
    """After so many iterations, none of which is given up."""
    ascent = Ascent(Single(skeleton_of(query, batch), batch), pairs, None)
    ascent.run(Steps(iterations, 0.3, 0.95, -1.0, np.inf, **options))  # type: ignore[arg-type]
    return ascent


def rigorous(query: Query, batch: Batch, pairs: Pairs, numbers: Array) -> Array:
    """The bounds that numbers give, by back-substitution."""
    cuts = np.zeros((len(numbers), 0))
    return PairPass(InheritedPass(query, batch), pairs, numbers, cuts).minima(len(query.network.layers))


@pytest.mark.parametrize("signs", [False, True])
def test_its_best_values_are_the_bounds_of_its_numbers(signs: bool) -> None:
    """In float32 they are what back-substitution says; they never fall with more iterations, and rise somewhere."""
    rose = asked = 0
    for seed in range(20):
        if (made := question(seed)) is None:
            continue
        query, batch, pairs = made
        before = None
        for iterations in (0, 4, 20):
            ascent = ascended(query, batch, pairs, iterations, signs=signs)
            numbers, _ = ascent.result()
            assert ((numbers >= 0.0) & (numbers <= 1.0)).all(), f"seed {seed}"
            found = rigorous(query, batch, pairs, numbers)
            scale = 1e-4 * (1.0 + np.abs(found).max())
            np.testing.assert_allclose(ascent.best, found, atol=scale, err_msg=f"seed {seed}")
            assert before is None or (found >= before - scale).all(), f"seed {seed}"
            rose += before is not None and bool((found > before + 10.0 * scale).any())
            before = found
            asked += 1
    assert asked > 20 and rose > 3


def test_steps_go_where_the_bound_rises() -> None:
    """After one small step of every slope by its supergradient no bound is lower but by rounding and bends."""
    better = worse = 0
    for seed in range(30):
        if (made := question(seed)) is None:
            continue
        query, batch, pairs = made
        plain, _ = ascended(query, batch, pairs, 0).result()
        ascent = Ascent(Single(skeleton_of(query, batch), batch), pairs, plain)
        ascent.run(Steps(1, 1e-3, 1.0, -1.0, np.inf, signs=True))
        moved = np.abs(ascent.result()[0] - plain).max(axis=1)
        gain = rigorous(query, batch, pairs, ascent.result()[0]) - rigorous(query, batch, pairs, plain)
        better += int(((moved > 0.0) & (gain > 1e-7)).sum())
        worse += int(((moved > 0.0) & (gain < -1e-5)).sum())
    assert better > 5 and worse == 0


def test_time_ends_it() -> None:
    """After the deadline no iteration begins."""
    query, batch, pairs = next(m for m in map(question, range(50)) if m)
    late = Ascent(Single(skeleton_of(query, batch), batch), pairs, None)
    late.run(Steps(50, 0.3, 0.95, -1.0, -np.inf))
    np.testing.assert_array_equal(late.result()[0], ascended(query, batch, pairs, 0).result()[0])
