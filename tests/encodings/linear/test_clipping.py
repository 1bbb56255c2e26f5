"""Clipped boxes: the exact box of one half-space up to rounding, and no counterexample lost."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import oracle
import pytest
from random_instances import random_instance, random_query

from hypersplit.encodings.linear.bounds import LinearBoundOptions
from hypersplit.encodings.linear.clipping import clip_batch, shrink_box
from hypersplit.encodings.linear.linear_bounds import bound
from hypersplit.instances.batch import root
from hypersplit.instances.property import InputSet
from hypersplit.instances.query import Query, queries


@pytest.mark.parametrize("seed", range(40))
def test_one_half_space_gives_its_exact_box(seed: int) -> None:
    """Ends against the vertices of box and half-space in rationals: never inside, and no further than rounding."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 5))
    lower = rng.normal(size=n)
    upper = lower + rng.uniform(size=n)
    normal, middle = rng.normal(size=n) * (rng.random(n) < 0.8), 0.5 * (lower + upper)
    offset = -float(normal @ middle) + rng.normal() * 0.3 * float(np.abs(normal).sum())
    low, high = (end[0] for end in shrink_box(lower[None], upper[None], normal[None, None], np.full((1, 1), offset)))
    exact = oracle.Polytope.of(InputSet(lower, upper, normal[None], np.array([offset]))).points()
    if not exact:
        assert (low > high - 1e-9).any() or not normal.any()
        return
    for j in range(n):
        ends = [p[j] for p in exact]
        assert Fraction(low[j]) <= min(ends) <= Fraction(low[j]) + Fraction(1, 10**9)
        assert Fraction(high[j]) - Fraction(1, 10**9) <= max(ends) <= Fraction(high[j])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_says_nothing(bad: float) -> None:
    """A half-space with such a number leaves the box, whatever its other numbers are."""
    lower, upper = np.zeros((1, 2)), np.ones((1, 2))
    for normal, offset in (([bad, 1.0], -5.0), ([1.0, 1.0], bad)):
        low, high = shrink_box(lower, upper, np.array([[normal]]), np.array([[offset]]))
        assert (low <= lower).all() and (high >= upper).all()


def counterexamples(query: Query) -> list[list[Fraction]]:
    """Vertices of the exact counterexamples' polytopes, of all patterns and disjuncts."""
    found = []
    for leaf in oracle.leaves(query.network, query.region):
        for k in range(query.disjuncts):
            part = leaf.polytope
            for r in range(int(query.starts[k]), int(query.starts[k + 1])):
                part = part.cut(-leaf.pre[-1].rows[r])
            found += part.points()
    return found


@pytest.mark.parametrize("seed", range(30))
def test_no_counterexample_is_clipped(seed: int) -> None:
    """All of them stay in the clipped boxes and half-spaces; a node that is called empty has none."""
    instance = random_instance(seed)
    for query in queries(instance.network, instance.prop):
        batch = root(query)
        bounds = bound(query, batch, LinearBoundOptions(kernel="plain"))
        batch.pre_lower, batch.pre_upper = bounds.pre_lower, bounds.pre_upper
        clipped, empty = clip_batch(query, batch, bounds)
        points = counterexamples(query)
        assert not (empty[0] and points)
        for x in points:
            ends = zip(clipped.lower[0].tolist(), x, clipped.upper[0].tolist(), strict=True)
            assert all(Fraction(a) <= v <= Fraction(b) for a, v, b in ends)
            for cut in clipped.cuts[0]:
                slack = oracle.exact_dot(cut[:-1], x) + Fraction(float(cut[-1]))
                assert slack >= -Fraction(1, 10**9)  # half-spaces carry their rounding to whoever uses them


def test_half_spaces_that_only_rounding_makes_hold_stay() -> None:
    """Sums of floats say that the half-space holds all over the box, and the box's lower corner lies outside."""
    query = next(q for q in map(random_query, range(50)) if q.network.input_size > 2 and q.disjuncts > 1)
    known = bound(query, root(query), LinearBoundOptions(kernel="plain"))
    known.margins[:], known.coefficients[:], known.constants[:] = -1.0, 0.0, -1.0  # which say nothing of the inputs
    rng, seen = np.random.default_rng(0), 0
    for _ in range(500):
        batch, normal, corner = root(query), *rng.uniform(0.1, 1.0, (2, query.network.input_size))
        batch.lower[0], batch.upper[0] = corner, 2.0
        offset = -float(np.nextafter((normal * corner).sum(), -np.inf))
        least = sum(Fraction(g) * Fraction(x) for g, x in zip(normal, corner, strict=True)) + Fraction(offset)
        batch.cuts = np.append(normal, offset)[None, None]
        if least < 0:
            seen += 1
            assert clip_batch(query, batch, known)[0].cuts.any()
    assert seen > 0
