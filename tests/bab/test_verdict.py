"""The verdict that several input sets make together."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from hypersplit.bab.jobs.keeper import Keeper
from hypersplit.bab.jobs.saved import Saved
from hypersplit.bab.run.limits import Limits
from hypersplit.bab.run.options import Options
from hypersplit.bab.stages.answer import Answer
from hypersplit.bab.verdict import Answers
from hypersplit.instances.network import Layer, Network
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import queries
from hypersplit.instances.rewriting.elimination import Solution


def _answers(sets: int) -> Answers:
    """Of f(x) = x, asked about as many input sets [k, k + 1] whether f(x) <= -1 somewhere; nothing was searched."""
    network = Network(1, (Layer((0,), (np.eye(1),), np.zeros(1), "identity"),))
    forbidden = (Polyhedron(np.ones((1, 1)), np.array([-1.0])),)
    prop = Property(tuple(Case(InputSet.box([float(k)], [k + 1.0]), forbidden) for k in range(sets)), 1, 1)
    options = Options()
    return Answers(prop, Keeper(Saved.fresh(network, prop, options, False), Limits(options), None))


def test_the_first_reason_is_told_and_the_least_bound() -> None:
    """What stays open: the reason of the first open set, the least of all bounds, statistics of all of them."""
    answers = _answers(3)
    network = Network(1, (Layer((0,), (np.eye(1),), np.zeros(1), "identity"),))
    asked = queries(network, answers.prop)
    counts = Counter(nodes=3, depth=5)
    answers.searched(0, asked[0], Answer(reason="numerics", bound=-2.0, statistics=counts))
    answers.searched(1, asked[1], Answer(reason="nodes", bound=-1.0, statistics=Counter(nodes=4, depth=2)))
    result = answers.without_witness()
    assert (result.verdict, result.reason, result.bound) == ("unknown", "numerics", -2.0)
    assert (result.statistics["nodes"], result.statistics["depth"]) == (7, 5)
    answers.untouched(None)
    assert answers.without_witness().bound == -np.inf


@pytest.mark.parametrize(("point", "kept"), [(Fraction(1, 2), True), (Fraction(7, 2), False)])
def test_points_of_a_rounded_query_are_told_where_they_lie_in_the_set(point: Fraction, kept: bool) -> None:
    """A query whose set was rounded outward may find points that the property does not ask about."""
    answers = _answers(1)
    network = Network(1, (Layer((0,), (np.eye(1),), np.zeros(1), "identity"),))
    query = replace(queries(network, answers.prop)[0], lift=Solution(np.array([0]), {}))
    answers.searched(0, query, Answer(reason="not replayed", counterexample=(point,)))
    assert (answers.counterexample == (point,)) is kept


def test_all_held_is_unsat() -> None:
    """Once the keeper knows that every input set holds, and not before."""
    answers = _answers(2)
    assert answers.without_witness().verdict == "unknown"
    for k in range(2):
        answers.keeper.over_empty(k)
    assert answers.without_witness().verdict == "unsat"
