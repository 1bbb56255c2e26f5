"""Rows of a disjunct together: no refutation where all rows hold at one input, and some that no row gives alone."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import oracle
import pytest
from random_instances import random_instance

from hypersplit.encodings.linear.bounds import LinearBoundOptions
from hypersplit.encodings.linear.conjunctions import refute_conjunctions
from hypersplit.encodings.linear.linear_bounds import bound
from hypersplit.instances.batch import root
from hypersplit.instances.network import sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import queries


@pytest.mark.parametrize("seed", range(40))
def test_raised_margins_refute_only_what_is_refuted(seed: int) -> None:
    """Where the exact least of a disjunct's largest margin is <= 0, no margin of it becomes positive."""
    instance = random_instance(seed)
    for query in queries(instance.network, instance.prop):
        batch = root(query)
        bounds = bound(query, batch, LinearBoundOptions(kernel="plain"))
        before = bounds.margins.copy()
        refute_conjunctions(query, batch, bounds)
        assert (bounds.margins >= before).all()
        for k, polyhedron in enumerate(query.case.forbidden):
            alone = oracle.worst_margin(instance.network, Case(query.region, (polyhedron,)), instance.prop.joint)
            if alone is not None and alone[0] <= 0:
                part = slice(int(query.starts[k]), int(query.starts[k + 1]))
                assert not (bounds.margins[0, part] > 0.0).any()


def test_rows_that_contradict_each_other_are_refuted_together() -> None:
    """y >= 1/2 and y <= 1/4 hold somewhere each, nowhere both."""
    network = sequential([np.eye(1)], [np.zeros(1)])
    region = InputSet.box(-np.ones(1), np.ones(1))
    forbidden = Polyhedron(np.array([[-1.0], [1.0]]), np.array([-0.5, 0.25]))
    query = queries(network, Property((Case(region, (forbidden,)),), 1, 1))[0]
    batch = root(query)
    bounds = bound(query, batch, LinearBoundOptions(kernel="plain"))
    bounds.margins[:] = -1.0
    refute_conjunctions(query, batch, bounds)
    assert 0.0 < bounds.margins.max() <= float(Fraction(1, 4)) + 1.0
