"""When a tree counts as one that is not getting on."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

import hypersplit
from hypersplit.bab.tree.stall import STALLED, Stall
from hypersplit.instances.families.random_networks import nested_max, nested_max_property


def looks(open_share: Callable[[int], float], sizes: range, least: int = 100) -> list[str]:
    """What is said of a tree that has this share open at these sizes."""
    stall = Stall(least)
    tree: Any = SimpleNamespace(size=0, open_share=1.0)
    said = []
    for size in sizes:
        tree.size, tree.open_share = size, open_share(size)
        said.append(stall(tree))
    return said


@pytest.mark.parametrize("left", [1.0, 0.3])
def test_a_tree_that_closes_nothing_stalls_once_it_had_its_trial(left: float) -> None:
    """However much was closed before: first at the least number of nodes, of which half were seen, too."""
    said = looks(lambda size: left, range(1, 131))
    assert not any(said[:99])
    assert STALLED in said[99:110]


def test_a_tree_that_loses_a_third_of_what_is_open_while_it_doubles_never_stalls() -> None:
    """Up to a million nodes."""
    assert not any(looks(lambda size: float(size) ** -0.585, range(1, 1_000_000, 997)))


def test_a_tree_that_stops_closing_stalls_within_another_doubling() -> None:
    """All but a hundredth of it closed by 2600 nodes, and nothing after that."""
    said = looks(lambda size: max(0.01, float(size) ** -0.585), range(1, 8000))
    assert not any(said[:2600])
    assert STALLED in said[2600:5800]


def test_a_stalled_tree_is_left_to_the_next_stage(tmp_path: Any) -> None:
    """A maximum of ten nested ReLU by ReLU: splits close nothing, rows of several neurons all of it."""
    log = tmp_path / "log.txt"
    result = hypersplit.verify(nested_max(10), nested_max_property(10), timeout=600.0, jobs=1, log=str(log))
    assert (result.verdict, result.reason) == ("unsat", "multi-neuron rows")
    assert STALLED in log.read_text()
    assert result.statistics["nodes"] < 2000
