"""The search's loop: what cannot be closed forbids `unsat`, whoever works on it."""

from __future__ import annotations

import numpy as np
import pytest
from search_steps import FunctionSteps, pace

from hypersplit import verify
from hypersplit.bab.run.options import Options
from hypersplit.bab.tree.search import search
from hypersplit.bab.tree.tree import Tree
from hypersplit.encodings.linear.bounds import Bounds
from hypersplit.encodings.linear.linear_bounds import bound
from hypersplit.instances.batch import Batch, root
from hypersplit.instances.families.random_networks import random_network, random_property
from hypersplit.instances.network import sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries


def random_query(seed: int) -> Query:
    """A 3-6-5-2 network on a box with one half-space; both outputs forbidden below a low threshold."""
    rng = np.random.default_rng(seed)
    sizes = [3, 6, 5, 2]
    weights = [rng.normal(size=(b, a)) for a, b in zip(sizes[:-1], sizes[1:], strict=True)]
    network = sequential(weights, [rng.normal(size=len(w)) for w in weights])
    region = InputSet(-np.ones(3), np.ones(3), np.array([[1.0, 1.0, 1.0]]), np.array([1.0]))
    return queries(network, Property((Case(region, (Polyhedron(np.eye(2), np.full(2, -1.0)),)),), 3, 2))[0]


def test_nodes_that_cannot_be_split_forbid_unsat() -> None:
    """A search whose nodes are neither closed nor split ends without being `closed`; Ctrl-C keeps the batch."""
    query = next(q for q in map(random_query, range(50)) if q.worst(bound(q, root(q)).margins)[0] <= 0.0)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    tree = Tree(root(query))
    outcome = search(tree, FunctionSteps(query), pace(4))

    assert not outcome.stopped and not tree.closed and tree.count_stuck == 1

    tree = Tree(root(query))
    outcome = search(tree, FunctionSteps(query, attacking=interrupt), pace(4))

    assert outcome.stopped == "interrupted" and tree.count_open == 1


def test_the_tree_does_not_depend_on_the_workers() -> None:
    """Closed by one thread or by three: the same nodes."""
    network = random_network((3, 12, 12, 2), seed=4)
    prop = random_property(network, seed=6, radius=0.5, slack=0.3)
    told = Options(method="split", batch=4, timeout=60.0, node_bounds="linear", closing="never", kernel="plain")
    found = [verify(network, prop, told, jobs=jobs) for jobs in (1, 3)]
    assert found[0].verdict == found[1].verdict == "unsat"
    assert found[0].statistics["nodes"] == found[1].statistics["nodes"] > 20


def test_an_error_in_a_worker_reaches_the_caller() -> None:
    """And leaves the tree as it was."""
    query = random_query(0)

    def fail(query: Query, batch: Batch) -> Bounds:
        raise MemoryError("none left")

    tree = Tree(Batch.concatenate([root(query)] * 40))
    with pytest.raises(MemoryError, match="none left"):
        search(tree, FunctionSteps(query, fail), pace(8, workers=3))
    tree.recall()
    assert tree.count_open == 40
