"""The root's hidden bounds by trees of their own refute what rows of pairs alone leave open, and it is said so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import hypersplit
from hypersplit.bab.stages import answer
from hypersplit.bab.stages.root_rows import branches, refine_root
from hypersplit.bab.tree.tree import Tree
from hypersplit.encodings.linear.bounds import LinearBoundOptions
from hypersplit.encodings.linear.linear_bounds import bound
from hypersplit.encodings.slopes.optimised_bounds import OptimiseOptions, tighten
from hypersplit.heuristics.efforts import RootRowsEffort
from hypersplit.heuristics.policy import Stage
from hypersplit.instances.batch import root
from hypersplit.instances.families.random_networks import random_network
from hypersplit.instances.network import Array, Network
from hypersplit.instances.property import Property
from hypersplit.instances.query import queries

LONG = 600.0
SIZES, SEED, EPSILON = [40, 30, 40, 40, 3], 41, 0.09  # of 60 seeds one of two on which only branching closes all


def asked() -> tuple[Network, Property, Array]:
    """A network of three hidden layers, and robustness around a point that it has not only by linear bounds."""
    network = random_network(SIZES, SEED)
    x = np.random.default_rng(SEED).uniform(0.0, 1.0, SIZES[0])
    label = int(network.evaluate(x[None])[0].argmax())
    return network, Property.robustness(x, EPSILON, label).about(SIZES[0], SIZES[-1]), x


def test_branched_hidden_bounds_refute_what_rows_leave_open() -> None:
    """Within the bounds without them, around the network's own values, and all disjuncts closed."""
    network, prop, x = asked()
    query = queries(network, prop)[0]
    batch = root(query)
    found = tighten(query, batch, bound(query, batch, LinearBoundOptions()), OptimiseOptions(iterations=10))
    batch = replace(batch, pre_lower=found.pre_lower, pre_upper=found.pre_upper)
    plain, branched = (
        refine_root(query, batch, found, LONG, RootRowsEffort(leaves=leaves, rounds=0)) for leaves in ((0, 0), (16, 16))
    )
    assert len(plain.closed) < len(branched.closed) == query.disjuncts
    narrower = (plain.node.pre_upper - plain.node.pre_lower) - (branched.node.pre_upper - branched.node.pre_lower)
    assert narrower.sum() > 0.05 * (plain.node.pre_upper - plain.node.pre_lower).sum()
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.uniform(batch.lower, batch.upper, (2000, len(x))), x[None]])
    values = np.concatenate(network.values(points)[1][: len(query.kinds)], axis=1)[:, : query.neurons]
    assert (values >= branched.node.pre_lower).all() and (values <= branched.node.pre_upper).all()


@pytest.mark.parametrize(("leaves", "there"), [((0, 0), False), ((1, 1), False), ((8, 0), True), ((0, 8), True)])
def test_which_efforts_branch(leaves: tuple[int, int], there: bool) -> None:
    """Trees of one leaf are none."""
    network, prop, _ = asked()
    assert branches(queries(network, prop)[0], RootRowsEffort(leaves=leaves)) is there


def test_the_verdict_names_them() -> None:
    """As its reason, where they refuted the root before any split."""
    network, prop, _ = asked()
    result = hypersplit.verify(network, prop, timeout=LONG, jobs=1, method="split", rows="always")
    assert (result.verdict, result.reason) == ("unsat", "branched hidden bounds")


@pytest.mark.parametrize(
    ("share", "rows", "there"), [(0.2, "auto", False), (0.3, "auto", True), (0.2, "always", True)]
)
def test_a_tree_that_is_nearly_closed_is_left_alone(
    share: float, rows: str, there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless rows are asked for, the root gets no bounds by branching for what little is open."""
    stages = [Stage("slopes", 0.15), Stage("groups", 0.5), Stage("split", 1.0, "phases")]
    monkeypatch.setattr(answer, "plan", lambda *facts: stages)
    monkeypatch.setattr(Tree, "open_share", share)
    network, prop, _ = asked()
    log = tmp_path / "log.txt"
    result = hypersplit.verify(network, prop, timeout=LONG, jobs=1, rows=rows, log=str(log))
    assert result.verdict == "unsat"
    assert ("branched hidden bounds" in result.reason) is there
    assert ("closes by itself" in log.read_text()) is not there
