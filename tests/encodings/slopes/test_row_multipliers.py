"""Multipliers of multi-neuron rows in back-substitution: true bounds, right gradients, as good as the LP."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import oracle
import pytest

from hypersplit.encodings.linear.linear_bounds import LinearBoundOptions, bound
from hypersplit.encodings.neuron_groups.group_ascent import refine_by_ascent
from hypersplit.encodings.neuron_groups.group_lp import GroupLP, group_rows
from hypersplit.encodings.slopes.disjunct_bounds import DisjunctAscent, DisjunctPass
from hypersplit.encodings.slopes.group_rows import GroupRows
from hypersplit.encodings.slopes.optimised_bounds import OptimiseOptions
from hypersplit.encodings.slopes.phase_bounds import bound_phases, disjunct_minima, hidden_minima, skeleton_of
from hypersplit.encodings.slopes.row_multipliers import AGE, RowPool
from hypersplit.encodings.slopes.slope_ascent import Single
from hypersplit.heuristics.neuron_groups import Grouping, groups_of_layer
from hypersplit.instances.batch import Batch, Node, root
from hypersplit.instances.families.max_networks import chained_max, max_query, tree_max
from hypersplit.instances.families.random_networks import random_network
from hypersplit.instances.network import Array, Network
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

LONG = OptimiseOptions(iterations=400, worth=-1.0)


def question(seed: int, sizes: tuple[int, ...] = (3, 6, 6, 2)) -> Query:
    """Two disjuncts of one row each on a random network, far from being refuted."""
    network = random_network(sizes, seed=seed)
    region = InputSet.box(np.full(sizes[0], -1.0), np.ones(sizes[0]))
    rows = np.random.default_rng(seed).normal(size=(2, sizes[-1]))
    forbidden = tuple(Polyhedron(row[None], np.zeros(1)) for row in rows)
    return queries(network, Property((Case(region, forbidden),), sizes[0], sizes[-1]))[0]


def bounded(query: Query) -> Batch:
    """The root with linear bounds."""
    batch = root(query)
    found = bound(query, batch, LinearBoundOptions(kernel="plain"))
    return replace(batch, pre_lower=found.pre_lower, pre_upper=found.pre_upper)


def pairs_of(query: Query) -> Callable[[int, Node], list[Array]]:
    """Pairs and triples of each layer."""
    return lambda k, node: [groups_of_layer(query, node, k, Grouping(size, 30)) for size in (2, 3)]


def pool_of(query: Query, batch: Batch) -> RowPool:
    """Rows of pairs and triples on the root."""
    node = batch.node(0)
    return RowPool(query, group_rows(query, node, lambda k: pairs_of(query)(k, node)))


def ascent_of(query: Query, batch: Batch, pool: RowPool | None, options: OptimiseOptions = LONG) -> DisjunctAscent:
    """Of all disjuncts of the root."""
    disjunct = np.arange(query.disjuncts)
    single = Single(skeleton_of(query, batch), batch)
    ascent = DisjunctAscent(single, np.zeros(len(disjunct), dtype=np.intp), disjunct, None, pool)
    ascent.run(options.steps(warm=False))
    return ascent


def rigorous(query: Query, batch: Batch, ascent: DisjunctAscent, mus: Array, pool: RowPool) -> Array:
    """[disjuncts] bounds with these multipliers."""
    disjunct = np.arange(query.disjuncts)
    numbers = replace(ascent.found(), mus=mus)
    evaluated = DisjunctPass(query, batch, np.zeros_like(disjunct), disjunct, numbers, pool)
    return evaluated.minima(len(query.kinds) + 1)


@pytest.mark.parametrize("seed", range(8))
def test_any_multipliers_give_true_bounds(seed: int) -> None:
    """Whatever mu >= 0 is, the bound is not above the exact minimum."""
    print(f"seed {seed}")
    query = question(seed)
    batch = bounded(query)
    pool, rng = pool_of(query, batch), np.random.default_rng(seed)
    ascent = ascent_of(query, batch, pool)
    assert len(pool)
    least = truth(query)
    for scale in (0.0, 0.01, 1.0):
        mus = scale * rng.exponential(size=(query.disjuncts, len(pool)))
        assert (rigorous(query, batch, ascent, mus, pool) <= least).all()
    found = disjunct_minima(query, batch, LONG, pool)
    assert (rigorous(query, batch, ascent, ascent.best_mus, pool) == found).all() and (found <= least).all()


def truth(query: Query) -> Array:
    """[disjuncts] exact minima of the margins; the last layer of a query is the margins themselves."""
    units = np.eye(query.rows)
    minima = [oracle.minimum(query.network, query.region, unit) for unit in units]
    assert all(value is not None for value in minima)
    return np.array([float(value) for value in minima if value is not None])


@pytest.mark.parametrize("seed", range(8))
def test_as_good_as_the_lp(seed: int) -> None:
    """With the same rows the ascent comes near the LP and not above it; without rows it stays below."""
    print(f"seed {seed}")
    query = question(seed, (4, 12, 12, 2))
    batch = bounded(query)
    pool = pool_of(query, batch)
    rows, none = ascent_of(query, batch, pool), ascent_of(query, batch, None)
    proved = rigorous(query, batch, rows, rows.best_mus, pool)
    for d in range(query.disjuncts):
        lp = GroupLP(query, batch.node(0), pool.rows).minimise(d, time.monotonic() + 60.0).bound
        gap = max(lp - none.best[d], 0.0)
        assert none.best[d] - 1e-4 <= proved[d] <= lp + 1e-4
        assert proved[d] >= lp - 0.25 * gap - 1e-3 * (1.0 + abs(lp))


def test_supergradient() -> None:
    """d bound / d mu is minus the row's value at the minimiser pushed forward."""
    query = question(3)
    batch = bounded(query)
    pool = pool_of(query, batch)
    ascent = ascent_of(query, batch, pool, OptimiseOptions(iterations=0))
    rng, step = np.random.default_rng(0), 1e-3
    ascent.mus = rng.uniform(0.01, 0.02, ascent.mus.shape).astype(np.float32)
    values, coefficients, x = ascent._back(ascent.numbers, ascent.fresh, ascent.rows)
    before, seen = ascent.mus.copy(), {}
    original = ascent._direction

    def heard(v: int, gradient: Array, t: int) -> Array:
        seen[v] = gradient.copy()
        return original(v, gradient, t)

    ascent._direction = heard  # type: ignore[method-assign]
    ascent._ascend(coefficients, x, 1, 0.0)
    checked = 0
    for v, rows in ascent.rows.items():
        for j, slot in enumerate(rows.slots[:20].tolist()):
            ascent.mus = before.copy()
            ascent.mus[:, slot] += step
            moved = ascent._back(ascent.numbers, ascent.fresh, ascent.rows)[0]
            measured = (moved - values) / step
            # the minimiser may change on the way: then the bound lies below its tangent
            assert (measured <= seen[-v][:, j] + 2e-2 * (1.0 + np.abs(seen[-v][:, j]))).all()
            checked += int(np.isclose(measured, seen[-v][:, j], atol=2e-2, rtol=2e-2).sum())
    assert checked > 10


@pytest.mark.parametrize("seed", range(6))
def test_refined_bounds_hold(seed: int) -> None:
    """Every neuron's value at samples lies within the refined bounds, and every row holds there."""
    print(f"seed {seed}")
    query = question(seed, (4, 10, 10, 10, 2))
    batch = bounded(query)
    refined, pool = refine_by_ascent(query, batch, pairs_of(query), OptimiseOptions(), time.monotonic() + 60.0)
    x = np.random.default_rng(seed).uniform(-1.0, 1.0, (2000, 4))
    z = np.concatenate(query.network.values(x)[1][:-1], axis=1)

    assert (z >= refined.pre_lower - 1e-9).all() and (z <= refined.pre_upper + 1e-9).all()
    assert (refined.pre_lower >= batch.pre_lower).all() and (refined.pre_upper <= batch.pre_upper).all()
    widths = (refined.pre_upper - refined.pre_lower).sum(), (batch.pre_upper - batch.pre_lower).sum()
    assert widths[0] < 0.99 * widths[1]
    for point in z[:200]:
        assert (pool.rows.values(point, np.maximum(point, 0.0)) >= -1e-9).all()


@pytest.mark.parametrize("form", [chained_max, tree_max])
@pytest.mark.parametrize("d", [2, 3, 4])
def test_maxima_need_no_lp(form: Callable[[int], Network], d: int) -> None:
    """Rows of pairs close the maximum's root by multipliers alone, where triangles leave half the range."""
    query = max_query(form(d), 0.25)
    batch = bounded(query)
    refined, pool = refine_by_ascent(
        query, batch, pairs_of(query), OptimiseOptions(iterations=200, worth=0.0), time.monotonic() + 60.0
    )
    plain, _ = bound_phases(query, batch, LONG)
    found, _ = bound_phases(query, refined, LONG, pool=pool)
    assert not plain.margins[0, 0] > 0.0
    assert 0.0 < found.margins[0, 0] <= 0.25


def test_numbers_go_to_the_children() -> None:
    """A node that starts with its parent's multipliers starts with its bound."""
    query = question(5, (4, 12, 12, 2))
    batch = bounded(query)
    pool = pool_of(query, batch)
    _, numbers = bound_phases(query, batch, LONG, pool=pool)
    assert numbers.signed.shape == (1, query.disjuncts, query.neurons)
    assert numbers.mus.shape == (1, query.disjuncts, len(pool))
    single, disjunct = Single(skeleton_of(query, batch), batch), np.arange(query.disjuncts)
    warm = DisjunctAscent(single, np.zeros_like(disjunct), disjunct, numbers[0], pool)
    warm.run(OptimiseOptions(iterations=0).steps(warm=True))
    np.testing.assert_allclose(warm.best, ascent_of(query, batch, pool).best, rtol=1e-4, atol=1e-4)


def test_unused_rows_are_dropped() -> None:
    """A row that no node has used for AGE calls leaves the products; its slot stays."""
    query = question(1)
    batch = bounded(query)
    pool = pool_of(query, batch)
    mus = np.zeros((1, len(pool)))
    mus[0, 0] = 1.0
    for _ in range(AGE):
        pool.note(mus)
    assert [0] == [slot for rows in pool.layers.values() for slot in rows.slots.tolist()]
    assert 1 == len(pool.best(mus[0], 10)) and len(pool) > 1


def test_hidden_bounds_use_rows_of_layers_before() -> None:
    """Bounds of layer 2 gain from rows of layer 1, and those of layer 1 have none to gain from."""
    query = question(2, (4, 12, 12, 2))
    batch = bounded(query)
    pool, part = pool_of(query, batch), query.slices[1]
    lower, upper = batch.pre_lower[0, part], batch.pre_upper[0, part]
    row = np.repeat(np.flatnonzero((lower < 0.0) & (upper > 0.0)), 2)
    found = [hidden_minima(query, batch, 2, np.zeros_like(row), row, LONG, p) for p in (None, pool)]
    assert (found[1] - found[0]).max() > 1e-3 and (found[1] >= found[0] - 1e-4).mean() > 0.9


def test_rows_under_other_names() -> None:
    """Members get their new names; a row with a member that has none is left out."""
    rows = GroupRows(np.array([[0, 2], [1, 2]]), np.ones((2, 2)), np.zeros((2, 2)), np.zeros(2))
    renamed = rows.renamed(np.array([5, -1, 7]))
    assert [[5, 7]] == renamed.neurons.tolist()
