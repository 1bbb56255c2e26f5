"""Every rung on nodes of every kind: what it proves is true, and what it refutes holds no counterexample."""

from __future__ import annotations

import time

import numpy as np
import pytest
from convolutions import convolutional
from milp_problems import exact_minimum
from random_instances import random_nodes, random_query

from hypersplit.bab.closers.asking import Asking
from hypersplit.bab.closers.exact_step import ExactStep
from hypersplit.bab.closers.regions import bounded
from hypersplit.bab.run.options import Options
from hypersplit.bab.rungs.kept_rows import KeptRows
from hypersplit.bab.rungs.milp import MilpRung
from hypersplit.bab.rungs.rows import RowRung
from hypersplit.bab.rungs.rung import Climb, Rung, duties_of
from hypersplit.bab.rungs.slopes import SlopeRung
from hypersplit.bab.rungs.triangle import TriangleRung
from hypersplit.bab.tree.evidence import Evidence
from hypersplit.encodings.linear.bounds import LinearBoundOptions
from hypersplit.encodings.linear.linear_bounds import bound
from hypersplit.heuristics.efforts import MilpRungEffort
from hypersplit.instances.batch import Batch, root
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

LATER = 60.0  # seconds that no test needs
KINDS = {
    "slopes": Evidence.SLOPES, "lp": Evidence.LP, "rows": Evidence.GROUPS, "partial-milp": Evidence.CONFLICTS,
    "milp": Evidence.CONFLICTS,
}  # fmt: skip


def rung_of(name: str, query: Query, trust: bool = False) -> Rung:
    """A rung by its name; a partial MILP has two binaries."""
    asking = Asking(query, Options(jobs=1, trust_scip=trust), ExactStep(), time.monotonic() + LATER)
    effort = MilpRungEffort(binaries=2, seconds=LATER)
    if name == "slopes":
        return SlopeRung(query)
    if name == "lp":
        return TriangleRung(query)
    if name == "rows":
        return RowRung(query, KeptRows(query))
    return MilpRung(query, asking, KeptRows(query) if name == "partial-milp" else None, effort)


def nodes_of(query: Query, seed: int, count: int = 4) -> tuple[Batch, np.ndarray]:
    """Nodes with boxes, half-spaces and phases, and their plain bounds; those that these prove empty are left out."""
    batch = random_nodes(np.random.default_rng(seed), query, count)
    bounds = bound(query, batch, LinearBoundOptions(kernel="plain"))
    batch.pre_lower, batch.pre_upper = bounds.pre_lower, bounds.pre_upper
    kept = ~bounds.infeasible & (batch.pre_lower <= batch.pre_upper).all(axis=1)
    return batch[kept], bounds.margins[kept]


def climbed(rung: Rung, batch: Batch, margins: np.ndarray) -> Climb:
    """All nodes; nothing is found."""
    return rung.climb(batch, margins, lambda points: None, time.monotonic() + LATER)


@pytest.mark.parametrize("name", ["slopes", "lp", "rows"])
@pytest.mark.parametrize("seed", range(5))
def test_proved_bounds_are_below_the_exact_minimum(name: str, seed: int) -> None:
    """Of the largest margin on the node's region, half-spaces and phases included; +inf only where that is empty."""
    query = random_query(seed)
    batch, margins = nodes_of(query, seed)
    found = climbed(rung_of(name, query), batch, margins)
    for b in range(len(batch)):
        for k in range(query.disjuncts):
            truth = exact_minimum(query, batch.node(b), [k])
            assert truth is None or found.bounds[b, k] <= truth, (seed, b, k)
    assert found.asked.all() and (found.evidence == KINDS[name]).all() and found.witness is None


@pytest.mark.parametrize("name", ["partial-milp", "milp"])
@pytest.mark.parametrize("seed", range(3))
def test_what_milps_refute_is_refuted(name: str, seed: int) -> None:
    """Every refuted disjunct has a positive exact minimum, or none; its evidence is the conflict search."""
    query = random_query(seed + 20)
    batch, margins = nodes_of(query, seed, 2)
    found = climbed(rung_of(name, query), batch, margins)
    for b, k in np.argwhere(found.bounds > 0.0):
        truth = exact_minimum(query, batch.node(int(b)), [int(k)])
        assert truth is None or truth > 0, (seed, b, k)
    assert (found.evidence == Evidence.CONFLICTS).all()


def near(query: Query, gap: float) -> tuple[Query, Batch, np.ndarray]:
    """The query of the lone disjunct that its bounds miss by `gap` of what they lack: the root with its margins."""
    points = np.random.default_rng(0).uniform(query.region.lower, query.region.upper, (4000, len(query.region.lower)))
    met = query.network.evaluate(points).min()
    floor = bound(query, root(query), LinearBoundOptions(kernel="plain")).margins.min()
    case = Case(query.region, (Polyhedron(query.case.forbidden[0].rows, np.array([gap * met + (1 - gap) * floor])),))
    moved = queries(convolutional(np.random.default_rng(1)), Property((case,), *sizes(query)))[0]
    batch = root(moved)
    bounds = bound(moved, batch, LinearBoundOptions(kernel="plain"))
    batch.pre_lower, batch.pre_upper = bounds.pre_lower, bounds.pre_upper
    return moved, batch, bounds.margins


def sizes(query: Query) -> tuple[int, int]:
    """Inputs and outputs of the network asked about."""
    return query.network.input_size, query.case.forbidden[0].rows.shape[1]


@pytest.mark.parametrize("name", KINDS)
def test_each_rung_closes_what_linear_bounds_leave_open(name: str) -> None:
    """On a convolutional network with a residual edge, a little above what linear bounds prove."""
    network = convolutional(np.random.default_rng(1))
    box = InputSet.box(np.full(network.input_size, -0.5), np.full(network.input_size, 0.5))
    row = np.zeros((1, network.output_size))
    row[0, 0] = 1.0
    case = Case(box, (Polyhedron(row, np.zeros(1)),))
    query, batch, margins = near(queries(network, Property((case,), network.input_size, network.output_size))[0], 0.02)
    assert (margins < 0.0).any()
    found = climbed(rung_of(name, query), batch, margins)
    assert (found.bounds > 0.0).all(), found.bounds


@pytest.mark.parametrize("name", KINDS)
def test_nothing_is_done_after_the_deadline_or_without_bounds(name: str) -> None:
    """Such nodes are left as they are, and counted as not asked."""
    query = random_query(3)
    batch, margins = nodes_of(query, 3)
    late = rung_of(name, query).climb(batch, margins, lambda points: None, time.monotonic() - 1.0)
    assert (late.bounds == -np.inf).all() or name == "slopes"
    if name != "slopes":
        batch.pre_lower[:], batch.pre_upper[:] = -np.inf, np.inf
        blind = climbed(rung_of(name, query), batch, margins)
        assert not late.asked.any() and not blind.asked.any() and (blind.bounds == -np.inf).all()


def test_worst_duties_come_first() -> None:
    """What is refuted already is left out."""
    query = next(q for q in map(random_query, range(50)) if q.disjuncts == 3)
    batch = root(query)
    margins = np.repeat([[2.0, -1.0, 1.0]], np.diff(query.starts), axis=1)
    assert duties_of(query, batch, 0, margins) == [1, 2, 0]
    batch.duty[0, 1] = False
    assert duties_of(query, batch, 0, margins) == [2, 0]
    assert not bounded(batch.node(0))
