"""The trace hears the whole tree: its leaves partition the input set, every node has a parent, a split, an end."""

from __future__ import annotations

import numpy as np
import pytest

from hypersplit.bab.closers.exact_step import ExactStep
from hypersplit.bab.run.budget import Budget
from hypersplit.bab.run.limits import Limits
from hypersplit.bab.run.options import Options
from hypersplit.bab.steps.candidates import Candidates
from hypersplit.bab.steps.inputs import InputSteps
from hypersplit.bab.tree.evidence import Evidence, State
from hypersplit.bab.tree.search import Pace, search
from hypersplit.bab.tree.trace import SplitTree, Trace
from hypersplit.bab.tree.tree import Tree
from hypersplit.instances.batch import root
from hypersplit.instances.judges.replay import Replay
from hypersplit.instances.network import sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

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


@pytest.mark.parametrize("rule", ["inputs", "rows-1", "phases"])
def test_every_node_has_its_parent_its_split_and_its_end(rule: str) -> None:
    """Inner nodes have two children and exactly one split, leaves none; what was bounded and closed is in the tree."""
    known, tree = searched(hard_query(1), rule)
    inner = np.flatnonzero(~tree.leaf)

    assert len(inner) > 5 and len(tree) == 2 * len(inner) + 1
    assert sorted(tree.children[inner].ravel()) == list(range(1, len(tree)))
    assert (tree.parent[tree.children[inner]] == inner[:, None]).all() and tree.parent[0] == -1
    assert (tree.side[tree.children[inner]] == [1, -1]).all() and tree.side[0] == 0
    assert (tree.depth[1:] == tree.depth[tree.parent[1:]] + 1).all() and tree.depth.max() >= known.deepest
    made = np.stack([tree.axis >= 0, tree.neuron >= 0, tree.row >= 0]).sum(axis=0)
    assert (made == ~tree.leaf).all() and ((tree.ended == State.SPLIT) == ~tree.leaf).all()
    assert known.size == len(tree) and known.count_open == int((tree.ended == State.OPEN).sum())


def test_a_finished_search_leaves_nothing_open() -> None:
    """Every leaf of a search that closed everything says by what."""
    query = hard_query(0, slack=-0.5)
    known, tree = searched(query, "inputs", 10_000)

    assert known.closed and not np.isin(tree.ended, (State.OPEN, State.STUCK)).any()
    assert {Evidence.LINEAR, Evidence.TOGETHER} & set(tree.ended)
