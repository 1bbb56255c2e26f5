"""Searches that go on without attacks, and what their trace says."""

from __future__ import annotations

import numpy as np

from hypersplit.bab.closers.exact_step import ExactStep
from hypersplit.bab.run.budget import Budget
from hypersplit.bab.run.limits import Limits
from hypersplit.bab.run.options import Options
from hypersplit.bab.steps.candidates import Candidates
from hypersplit.bab.steps.inputs import InputSteps
from hypersplit.bab.tree.search import Pace, search
from hypersplit.bab.tree.trace import SplitTree, Trace
from hypersplit.bab.tree.tree import Tree
from hypersplit.instances.batch import root
from hypersplit.instances.judges.replay import Replay
from hypersplit.instances.network import sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

__all__ = ["BOX", "hard_query", "searched"]


BOX = InputSet.box(np.array([-1.0, -2.0]), np.array([1.0, 3.0]))


def hard_query(seed: int, region: InputSet = BOX, slack: float = 0.05) -> Query:
    """A random 2-8-8-2 network; forbidden: both outputs below what sampling finds plus `slack`.

    With slack > 0 the search, which does not attack here, never ends.
    """
    rng = np.random.default_rng(seed)
    sizes = [2, 8, 8, 2]
    weights = [rng.normal(size=(b, a)) for a, b in zip(sizes[:-1], sizes[1:], strict=True)]
    network = sequential(weights, [rng.normal(size=len(w)) for w in weights])
    points = rng.uniform(region.lower, region.upper, (4000, 2))
    points = points[(points @ region.rows.T + region.offsets >= 0.0).all(axis=1)]
    least = network.evaluate(points).max(axis=1).min()
    case = Case(region, (Polyhedron(np.eye(2), np.full(2, least + slack)),))
    return queries(network, Property((case,), 2, 2))[0]


def searched(query: Query, rule: str, nodes: int = 150) -> tuple[Tree, SplitTree]:
    """A search of that many nodes, without attacks, and what its trace says."""
    limits = Limits(Options(nodes=nodes))
    candidates = Candidates(query, Replay(query.network), False, limits, np.random.default_rng(0))
    steps = InputSteps(query, candidates, ExactStep(limits.deadline), rule)
    steps.attack = lambda *_: None  # type: ignore[method-assign]
    trace = Trace()
    tree = Tree(root(query), (trace,))
    search(tree, steps, Pace(Budget(limits), 16))
    return tree, trace.tree()
