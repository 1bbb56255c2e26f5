"""Tests of instances/families/lattice_networks.py: right everywhere, and bounded exactly by groups of two neurons."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from hypersplit.encodings.linear.linear_bounds import LinearBoundOptions, bound
from hypersplit.encodings.neuron_groups.group_lp import GroupLP
from hypersplit.encodings.neuron_groups.group_refinement import refine_by_groups
from hypersplit.encodings.programs.lp import TriangleLP
from hypersplit.instances.batch import root
from hypersplit.instances.families.lattice_networks import (
    Lattice,
    LatticeNetwork,
    Surface,
    grid_surface,
    lattice_network,
)
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import queries

SECONDS = 600.0  # never reached


def highest(built: LatticeNetwork, region: InputSet) -> tuple[float, float]:
    """Upper bounds of the output over a box: by triangles, and by the pairs of every layer."""
    forbidden = Polyhedron(-np.ones((1, 1)), np.zeros(1))
    query = queries(built.network, Property((Case(region, (forbidden,)),), region.size, 1))[0]
    batch = root(query)
    found = bound(query, batch, LinearBoundOptions(kernel="plain"))
    node = replace(batch, pre_lower=found.pre_lower, pre_upper=found.pre_upper).node(0)
    deadline = time.monotonic() + SECONDS
    fine, pool = refine_by_groups(
        query, node, lambda k, known: built.groups(k, known.pre_lower, known.pre_upper), deadline
    )
    triangles, pairs = TriangleLP(query, node), GroupLP(query, fine, pool)
    return -triangles.minimise(0, SECONDS).bound, -pairs.minimise(0, deadline).bound


def unit(n: int) -> InputSet:
    """[0, 1]^n."""
    return InputSet.box(np.zeros(n), np.ones(n))


@pytest.mark.parametrize(("cells", "n"), [(1, 1), (3, 1), (2, 2), (1, 3), (2, 3)])
def test_the_network_computes_the_function(cells: int, n: int) -> None:
    """At every corner of the triangulation the given value, everywhere else what the lattice says."""
    for seed in range(5):
        surface = grid_surface(cells, n, seed)
        lattice = surface.lattice()
        built = lattice_network(lattice, unit(n))
        points = np.concatenate([surface.points, np.random.default_rng(seed).uniform(0.0, 1.0, (200, n))])

        np.testing.assert_allclose(built.network.evaluate(surface.points)[:, 0], surface.values, atol=1e-12)
        np.testing.assert_allclose(built.network.evaluate(points)[:, 0], lattice.evaluate(points), atol=1e-12)


def test_between_corners_it_is_affine() -> None:
    """In every simplex of the triangulation the value is the mixture of the corners' values."""
    surface = grid_surface(2, 2, seed=3)
    weights = np.random.default_rng(0).dirichlet(np.ones(3), len(surface.simplices))
    inside = np.einsum("sk,skn->sn", weights, surface.points[surface.simplices])
    mixed = (weights * surface.values[surface.simplices]).sum(axis=1)
    np.testing.assert_allclose(surface.lattice().evaluate(inside), mixed, atol=1e-12)


@pytest.mark.parametrize(("cells", "n", "seeds"), [(4, 1, (1, 8)), (2, 2, (0, 5, 8)), (1, 3, (2, 3))])
def test_pairs_bound_it_exactly(cells: int, n: int, seeds: tuple[int, ...]) -> None:
    """The bound over the whole cube is the largest value of a corner, which no triangles reach on these functions."""
    for seed in seeds:
        surface = grid_surface(cells, n, seed)
        triangles, pairs = highest(lattice_network(surface.lattice(), unit(n)), unit(n))
        assert pairs == pytest.approx(surface.values.max(), abs=1e-8)
        assert triangles > surface.values.max() + 0.1


def test_pairs_bound_it_exactly_over_smaller_boxes() -> None:
    """A network made for the cube is as exact on a box within it: the largest value is at a multiple of 1/8."""
    region = InputSet.box(np.array([0.25, 0.125]), np.array([0.75, 0.625]))
    grid = np.stack(np.meshgrid(*[np.arange(9) / 8.0] * 2), axis=-1).reshape(-1, 2)
    inside = grid[((grid >= region.lower) & (grid <= region.upper)).all(axis=1)]
    for seed in range(3):
        lattice = grid_surface(2, 2, seed).lattice()
        _, pairs = highest(lattice_network(lattice, unit(2)), region)
        assert pairs == pytest.approx(lattice.evaluate(inside).max(), abs=1e-8)


def test_what_is_no_surface_is_refused() -> None:
    """A flat simplex, a lattice without sets and pieces of another number of inputs have no network."""
    flat = Surface(np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]), np.array([[0, 1, 2]]), np.zeros(3))
    with pytest.raises(ValueError, match="flat"):
        flat.lattice()
    for width, sets in ((3, ()), (3, ((),)), (2, ((0,),))):
        with pytest.raises(ValueError, match="a lattice on 2 inputs"):
            lattice_network(Lattice(np.zeros((1, width)), sets), unit(2))
