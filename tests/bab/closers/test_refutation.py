"""Refutations here and in a process of its own are the same, and time or a stop ends them."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from milp_problems import bounded, exact_minimum
from random_instances import Shape, random_query

from hypersplit.bab.closers import refutation as module
from hypersplit.bab.closers.refutation import refute, refute_apart
from hypersplit.instances.batch import root


def test_refutations_are_true_and_the_same_apart() -> None:
    """Against exact minima; what is not refuted has a point or stays open."""
    asked = 0
    for seed in range(12):
        query = random_query(seed, Shape(most_hidden=2))
        node = bounded(query, root(query).node(0))
        for k in range(query.disjuncts) if node else ():
            truth, found = exact_minimum(query, node, [k]), refute(query, node, k, 60.0)
            assert (found.status == "refuted") == (truth is None or truth > 0), f"seed {seed}, disjunct {k}: {found}"
            asked += 1
            if asked % 8 == 1:
                assert refute_apart(query, node, k, 60.0).status == found.status, f"seed {seed}, disjunct {k}"
    assert asked > 8


def test_a_stop_leaves_it_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is ended in the middle of its work, and the answer says that nothing is known."""
    monkeypatch.setattr(module, "refute", lambda *_: time.sleep(600.0))
    query = random_query(0)
    node = bounded(query, root(query).node(0))
    assert node is not None
    found = refute_apart(query, node, 0, 60.0, lambda: True)
    assert found.status == "open" and found.reason


def test_smooth_networks_are_refused() -> None:
    """There are no phases to search."""
    query = random_query(0)
    node = bounded(query, root(query).node(0))
    assert node is not None
    first = replace(query.network.layers[0], kind="tanh")
    smooth = replace(query, network=replace(query.network, layers=(first, *query.network.layers[1:])))
    with pytest.raises(ValueError, match="ReLU"):
        refute(smooth, node, 0, 1.0)
