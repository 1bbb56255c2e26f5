"""The record of bounds, and the small functions that keep what is not finite out of it."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

import numpy as np
import pytest
from random_instances import random_instance, random_nodes

from hypersplit.encodings.linear.bounds import (
    Bounds,
    LinearBoundOptions,
    at_least,
    at_most,
    middle_and_radius,
    norm,
    smallest_margins,
)
from hypersplit.encodings.linear.linear_bounds import bound
from hypersplit.instances.query import Query, queries


def some(seed: int, count: int = 6) -> tuple[Query, Bounds]:
    """Bounds of random nodes, with all that numpy's pass can fill."""
    instance = random_instance(seed)
    query = queries(instance.network, instance.prop)[0]
    batch = random_nodes(np.random.default_rng(seed), query, count)
    return query, bound(query, batch, LinearBoundOptions(kernel="plain", means=True, totals=True))


def arrays(bounds: Bounds) -> list[np.ndarray]:
    """All arrays of the record."""
    assert bounds.functions and bounds.means and bounds.totals is not None
    return [bounds.pre_lower, bounds.pre_upper, bounds.margins, bounds.sensitivities, bounds.infeasible, bounds.totals,
            bounds.coefficients, bounds.constants, bounds.means.functions, bounds.means.spreads]  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
def test_rows_and_their_concatenation_are_the_record(seed: int) -> None:
    """Inner records go with their nodes; masks that keep all copy nothing."""
    _, bounds = some(seed)
    mask = np.arange(6) % 2 == 0
    joined = Bounds.concatenate([bounds[mask], bounds[~mask]])
    order = np.concatenate([np.flatnonzero(mask), np.flatnonzero(~mask)])
    for a, b in zip(arrays(joined), arrays(bounds), strict=True):
        np.testing.assert_array_equal(a, b[order])
    assert bounds[np.ones(6, dtype=bool)] is bounds and Bounds.concatenate([bounds]) is bounds


def test_what_one_part_lacks_is_lost() -> None:
    """Bounds without functions beside others have none, and say so when asked."""
    _, bounds = some(0)
    bare = Bounds(bounds.pre_lower, bounds.pre_upper, bounds.margins, bounds.sensitivities, bounds.infeasible)
    joined = Bounds.concatenate([bounds, bare])
    assert joined.functions is None and len(joined.margins) == 12
    with pytest.raises(ValueError, match="no linear functions"):
        _ = joined.coefficients


def test_smallest_margins_are_loops() -> None:
    """The least over disjuncts of the largest row, +inf where nothing lives."""
    for seed in range(10):
        query, bounds = some(seed)
        for b, found in enumerate(smallest_margins(query, bounds)):
            blocks = [bounds.margins[b, i:j].max() for i, j in zip(query.starts[:-1], query.starts[1:], strict=True)]
            assert found == (np.inf if bounds.infeasible[b] else min(blocks))


@pytest.mark.parametrize("power", [-320, -200, -20, 0, 20, 150])
def test_norms_are_not_below_the_real_ones(power: int) -> None:
    """Against integer square roots of rationals, vectors of all sizes and of very different entries."""
    rng = np.random.default_rng(power % 97)
    for _ in range(20):
        vector = rng.normal(size=9) * 10.0 ** rng.integers(-8, 1, 9) * 10.0**power
        square = sum(Fraction(float(v)) ** 2 for v in vector)
        scale = 10**800
        assert Fraction(float(norm(vector))) * scale >= isqrt(int(square * scale**2))


def test_what_is_no_bound_becomes_none() -> None:
    """Overflow to the wrong side and NaN prove nothing; true infinite bounds stay."""
    values = np.array([np.nan, np.inf, -np.inf, 1.0])
    assert at_least(values).tolist() == [-np.inf, -np.inf, -np.inf, 1.0]
    assert at_most(values).tolist() == [np.inf, np.inf, np.inf, 1.0]


def test_middles_of_huge_intervals_do_not_overflow() -> None:
    """middle -+ radius are the ends, up to a rounding, from subnormal to the largest floats."""
    largest = np.finfo(np.float64).max
    lower, upper = np.array([-largest, 0.0, 1.0, 0.5 * largest]), np.array([largest, largest, 1.0, largest])
    middle, radius = middle_and_radius(lower, upper)
    assert np.isfinite(middle).all() and np.isfinite(radius).all()
    np.testing.assert_allclose(middle - radius, lower, atol=1e-15 * largest)
    np.testing.assert_allclose(middle + radius, upper, rtol=1e-15)
