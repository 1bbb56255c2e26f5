"""Batches of nodes: what the root is, what rows and concatenation keep, and what a node is by itself."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from random_instances import random_instance, random_nodes

from hypersplit.instances.batch import Batch, root
from hypersplit.instances.multipliers import Multipliers
from hypersplit.instances.query import Query, queries


def asked(seed: int) -> Query:
    """A query of a random instance."""
    instance = random_instance(seed)
    return queries(instance.network, instance.prop)[0]


def same(left: Batch, right: Batch) -> bool:
    """Whether two batches hold the same numbers, cuts of zeros aside."""
    most = max(left.cuts.shape[1], right.cuts.shape[1])
    for name in (f.name for f in fields(Batch) if f.name != "multipliers"):
        a, b = getattr(left, name), getattr(right, name)
        if name == "cuts":
            a, b = (np.pad(c, ((0, 0), (0, most - c.shape[1]), (0, 0))) for c in (a, b))
        if not np.array_equal(a, b):
            return False
    return True


@pytest.mark.parametrize("seed", range(8))
def test_the_root_is_the_input_set(seed: int) -> None:
    """Box and half-spaces are the region's, slots for the margins are void, nothing is proved, all is to be refuted."""
    query = asked(seed)
    node = root(query)
    g, lone = len(query.region.rows), query.disjuncts == 1
    assert np.array_equal(node.lower[0], query.region.lower) and np.array_equal(node.upper[0], query.region.upper)
    assert np.array_equal(node.cuts[0, :g, :-1], query.region.rows) and not node.cuts[0, g:].any()
    assert np.array_equal(node.cuts[0, :g, -1], query.region.offsets)
    assert node.cuts.shape[1] == g + (query.rows if lone else 0)
    assert (node.pre_lower == -np.inf).all() and (node.pre_upper == np.inf).all() and node.margin[0] == -np.inf
    assert node.duty.all() and node.duty.shape == (1, query.disjuncts) and not node.phases.any()


def test_the_root_owns_its_box() -> None:
    """Writing into a node's box leaves the query's region as it was."""
    query = asked(1)
    before = query.region.lower.copy()
    root(query).lower[:] = -99.0
    assert np.array_equal(query.region.lower, before)


@pytest.mark.parametrize("seed", range(6))
def test_rows_taken_apart_and_put_together_are_the_batch(seed: int) -> None:
    """Concatenating single rows gives the batch, by slices, masks and numbers alike."""
    query = asked(seed)
    batch = random_nodes(np.random.default_rng(seed), query, 7)
    assert same(Batch.concatenate([batch[i : i + 1] for i in range(7)]), batch)
    mask = np.arange(7) % 3 == 0
    assert same(batch[mask], batch[np.flatnonzero(mask)])
    order = np.random.default_rng(seed).permutation(7)
    assert same(batch[order][np.argsort(order)], batch)


def test_numbers_of_an_ascent_go_with_their_nodes() -> None:
    """Nodes without any get NaN beside others; a batch in which nobody has any has none."""
    query = asked(2)
    first, second = root(query), root(query)
    assert Batch.concatenate([first, second]).multipliers is None
    second.multipliers = Multipliers(
        np.full((1, query.disjuncts, query.neurons), 0.25), np.zeros((1, query.disjuncts, 2)),
        np.ones((1, query.disjuncts, 1)),
    )  # fmt: skip
    joined = Batch.concatenate([first, second, first]).multipliers
    assert joined is not None and len(joined) == 3
    assert np.isnan(joined.signed[[0, 2]]).all() and (joined.signed[1] == 0.25).all()


@pytest.mark.parametrize("seed", range(6))
def test_a_node_is_its_row_without_void_cuts(seed: int) -> None:
    """As a batch of one it has the row's numbers, and the half-spaces that are some."""
    query = asked(seed)
    batch = random_nodes(np.random.default_rng(seed), query, 4)
    for b in range(4):
        node = batch.node(b)
        assert np.any(node.cuts != 0.0, axis=1).all()
        assert len(node.cuts) == int(np.any(batch.cuts[b] != 0.0, axis=1).sum())
        alone = node.batch
        for name in ("lower", "upper", "pre_lower", "pre_upper", "phases", "margin", "duty"):
            assert np.array_equal(getattr(alone, name), getattr(batch[b : b + 1], name)), name
