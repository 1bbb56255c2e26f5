"""A recorder hears what a tree tells, and a tree tells everything to each of several."""

from __future__ import annotations

import inspect

import numpy as np
from random_instances import random_query

from hypersplit.bab.tree.evidence import Evidence
from hypersplit.bab.tree.recorder import Recorder
from hypersplit.bab.tree.trace import Trace
from hypersplit.bab.tree.tree import Round, Tree
from hypersplit.instances.batch import root

HEARD = [name for name, _ in inspect.getmembers(Recorder, inspect.isfunction) if not name.startswith("_")]


def test_everything_is_told_to_everyone() -> None:
    """Two listeners hear the same, in the same order; one that keeps nothing changes nothing."""
    told: list[list[str]] = [[], []]

    def listener(log: list[str]) -> Recorder:
        kind = type("Log", (Recorder,), {name: lambda *_, name=name: log.append(name) for name in HEARD})
        return kind()

    query = random_query(0)
    tree = Tree(root(query), (listener(told[0]), Recorder(), listener(told[1])))
    taken, found = tree.take(1), Round()
    found.end(taken, np.ones(1, dtype=bool), Evidence.LINEAR)
    tree.give(taken, found)
    tree.learn(Evidence.GROUPS, [0])
    assert told[0] == told[1] == ["planted", "ended", "lemma"] and tree.closed


def test_the_trace_hears_all_but_lemmas() -> None:
    """Every other message changes what it draws."""
    own = {name for name in HEARD if name in vars(Trace)}
    assert own == set(HEARD) - {"lemma"}
