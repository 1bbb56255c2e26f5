"""Activation regions: one LP a disjunct decides, or exact arithmetic, or the node goes on."""

from __future__ import annotations

import numpy as np

from hypersplit.bab.closers.exact_step import ExactStep
from hypersplit.bab.closers.regions import close_regions, open_disjuncts
from hypersplit.bab.tree.evidence import Evidence, State
from hypersplit.bab.tree.search import Closing
from hypersplit.encodings.linear.linear_bounds import bound
from hypersplit.instances.batch import root
from hypersplit.instances.network import sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries


def three_disjuncts(threshold: float = -5.0) -> Query:
    """y = (x, -x, |x|) on [-1, 1], each output forbidden at `threshold` or below."""
    out = np.array([[1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]])
    network = sequential([np.array([[1.0], [-1.0]]), out], [np.zeros(2), np.zeros(3)])
    forbidden = tuple(Polyhedron(row[None], np.array([threshold])) for row in np.eye(3))
    case = Case(InputSet.box(np.array([-1.0]), np.array([1.0])), forbidden)
    return queries(network, Property((case,), 1, 3))[0]


def test_open_disjuncts_come_most_suspicious_first() -> None:
    """Refuted disjuncts are left out, those that are no duty too, the others sorted by their bounds."""
    margins = np.array([-1.0, 2.0, -3.0])
    assert open_disjuncts(three_disjuncts(), margins) == [2, 0]
    assert open_disjuncts(three_disjuncts(), margins, np.array([True, True, False])) == [0]


def closed(threshold: float, lowest: float, exact: ExactStep | None = None) -> Closing:
    """What is told of the node x in [lowest, 1], where both ReLUs are stable."""
    query = three_disjuncts(threshold)
    batch = root(query)
    batch.lower[:] = lowest
    bounds = bound(query, batch)
    batch.pre_lower, batch.pre_upper = bounds.pre_lower, bounds.pre_upper
    bounds.margins[:] = -1.0  # as if they had not been good enough
    closing = Closing.nothing(batch)
    close_regions(query, batch, bounds, lambda points: None, exact, closing)
    return closing


def test_an_activation_region_is_decided_by_one_linear_program() -> None:
    """The bound is exact: it closes what holds and leaves what does not; boundaries go to exact arithmetic."""
    assert closed(-1.5, 0.6).kinds.tolist() == [Evidence.REGION]
    assert closed(-0.5, 0.6).kinds.tolist() == [State.OPEN]  # -x <= -0.5 is reached
    assert closed(-1.0, 0.6).kinds.tolist() == [State.STUCK]  # touched at x = 1
    step = ExactStep()
    assert closed(-1.0, 0.6, step).kinds.tolist() == [State.STUCK] and step.counterexample == (1,)
    assert closed(np.nextafter(-1.0, -2.0), 0.6, ExactStep()).kinds.tolist() == [Evidence.EXACT]


def test_nodes_with_an_unstable_relu_are_left_alone() -> None:
    """An LP over a region with a kink would prove nothing."""
    assert closed(-1.5, -0.5).kinds.tolist() == [State.OPEN]
