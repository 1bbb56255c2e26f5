"""Warm starts of children: rows of nodes and pairs, half precision, nodes with numbers beside nodes without."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hypersplit.instances.batch import Batch, root
from hypersplit.instances.multipliers import LARGEST, Multipliers
from hypersplit.instances.network import Layer, Network
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import queries


def numbers(nodes: int) -> Multipliers:
    """Counted through, of two disjuncts, three neurons, two rows and no pool."""
    signed, logits = (np.arange(nodes * 2 * n, dtype=np.float32).reshape(nodes, 2, n) for n in (3, 2))
    return Multipliers(signed, logits, np.zeros((nodes, 2, 0), dtype=np.float32))


def nodes(count: int, given: Multipliers | None) -> Batch:
    """So many roots of one query, with these numbers."""
    layers = (Layer((0,), (np.ones((3, 1)),), np.zeros(3), "relu"), Layer((1,), (np.ones((1, 3)),), np.zeros(1)))
    case = Case(InputSet.box(np.zeros(1), np.ones(1)), (Polyhedron(np.ones((1, 1)), np.zeros(1)),))
    query = queries(Network(1, layers), Property((case,), 1, 1))[0]
    return replace(root(query)[np.zeros(count, dtype=np.intp)], multipliers=given)


def test_pairs_are_read_and_written() -> None:
    """A node and a disjunct name one row of every array; the others stay NaN."""
    node, disjunct = np.array([0, 2]), np.array([1, 0])
    found = Multipliers.none((3, 2), 3, 2, 0)
    found[node, disjunct] = numbers(3)[node, disjunct]
    assert found.signed[2, 0].tolist() == numbers(3).signed[2, 0].tolist() and found.logits[0, 1].tolist() == [2.0, 3.0]
    assert np.isnan(found.signed[1]).all() and np.isnan(found.logits[0, 0]).all()
    assert found.width == 2 * (3 + 2) and found[node, disjunct].width == 5


def test_halves_keep_signs_and_end() -> None:
    """Waiting numbers take two bytes each, are cut off, and a multiplier of 0 stays one (-0.0)."""
    one = Multipliers(*(np.array([[[-1e9, -0.0, 0.25, np.nan]]], dtype=np.float32) for _ in range(3))).halved()
    assert one.signed.dtype == np.float16 and one.signed.nbytes == 8
    assert one.signed[0, 0, 0] == np.float16(-LARGEST) and np.signbit(one.signed[0, 0, 1])
    assert one.single().mus.dtype == np.float32 and np.isnan(one.logits[0, 0, 3])


def test_batches_take_their_numbers_along() -> None:
    """Nodes without numbers have NaN beside nodes with some; rows of a batch are rows of its numbers."""
    both = Batch.concatenate([nodes(2, None), nodes(3, numbers(3).halved()), nodes(1, None)])
    assert both.multipliers is not None and both.multipliers.signed.dtype == np.float16
    assert np.isnan(both.multipliers.signed[[0, 1, 5]]).all()
    picked = both[np.array([4, 0])].multipliers
    assert picked is not None and picked.signed[0].tolist() == numbers(3).signed[2].tolist()
    assert Batch.concatenate([nodes(2, None), nodes(1, None)])[:1].multipliers is None
