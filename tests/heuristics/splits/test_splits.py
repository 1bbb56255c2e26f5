"""What counts as cut already, and which rows' bounds are to be raised."""

from __future__ import annotations

import numpy as np
from random_instances import random_instance

from hypersplit.encodings.linear.bounds import Bounds
from hypersplit.heuristics.splits.splits import already_cut, focus_rows
from hypersplit.instances.network import Array, Layer, Network
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries


def query_of(network: Network, polyhedra: tuple[int, ...] = (1,), radius: float = 1.0) -> Query:
    """The network on [-radius, radius]^n with so many margins in each disjunct."""
    n, m = network.input_size, network.output_size
    forbidden = tuple(Polyhedron(np.ones((rows, m)), np.zeros(rows)) for rows in polyhedra)
    case = Case(InputSet.box(np.full(n, -radius), np.full(n, radius)), forbidden)
    return queries(network, Property((case,), n, m))[0]


def test_a_cut_along_the_same_hyperplane_is_known() -> None:
    """Either side of it, in any length, at any slot of the list."""
    row = np.array([[1.0, -2.0, 0.5]])
    other = np.array([2.0, 1.0, 0.5])
    for factor in (1.0, -1.0, 1e-8, -3e7):
        assert already_cut(np.array([[other, factor * row[0], np.zeros(3)]]), row).tolist() == [True]
    assert already_cut(np.array([[other, np.zeros(3)]]), row).tolist() == [False]


def test_a_parallel_hyperplane_elsewhere_is_another() -> None:
    """The offset counts as much as the normal."""
    cut = np.array([[[1.0, 1.0, 0.5]]])
    assert already_cut(cut, np.array([[1.0, 1.0, 0.5001]])).tolist() == [False]
    assert already_cut(cut, np.array([[1.0, 1.0, -0.5]])).tolist() == [False]
    assert already_cut(cut, np.array([[1.0, 1.0, 0.5 + 1e-7]])).tolist() == [True], "nothing would be cut off"


def test_empty_slots_and_empty_rows_are_no_cuts() -> None:
    """All-zero rows are no hyperplanes: nothing was cut, nothing is divided by zero."""
    row = np.array([[1.0, 0.0, 0.0]])
    with np.errstate(all="raise"):
        assert already_cut(np.zeros((1, 2, 3)), row).tolist() == [False]
        assert already_cut(np.zeros((1, 0, 3)), row).tolist() == [False]
        assert already_cut(row[:, None], np.zeros((1, 3))).tolist() == [False]


def test_each_node_has_its_own_cuts() -> None:
    """Node b is compared with the cuts of node b."""
    rows = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    cuts = np.array([rows[[1, 0]], rows[[0, 2]], rows[[0, 1]]])
    assert already_cut(cuts, rows).tolist() == [True, False, False]


def bounds_of(query: Query, margins: Array) -> Bounds:
    """Bounds of which only the margins are looked at."""
    count = len(margins)
    wide = np.full((count, query.neurons), np.inf)
    return Bounds(-wide, wide, margins, np.zeros((count, query.rows, query.neurons)), np.zeros(count, dtype=bool))


def test_focus_is_on_every_row_of_every_open_disjunct() -> None:
    """One positive row closes its disjunct; a bound of exactly zero and an unknown one close nothing."""
    network = Network(1, (Layer((0,), (np.ones((1, 1)),), np.zeros(1)),))
    query = query_of(network, (2, 1, 3))
    margins = np.array([
        [-1.0, -2.0, -1.0, -3.0, -1.0, -2.0],
        [-1.0, 0.5, -1.0, -3.0, -1.0, -2.0],
        [-1.0, -2.0, 0.5, -3.0, 1e-300, -2.0],
        [0.0, -2.0, 0.0, 0.0, 0.0, 0.0],
        [np.nan, np.nan, 1.0, -np.inf, -np.inf, -np.inf],
        [1.0, -1.0, 1.0, 1.0, 1.0, 1.0],
    ])  # fmt: skip
    expected = [
        [True, True, True, True, True, True],
        [False, False, True, True, True, True],
        [True, True, False, False, False, False],
        [True, True, True, True, True, True],
        [True, True, False, True, True, True],
        [False, False, False, False, False, False],
    ]
    assert focus_rows(query, bounds_of(query, margins)).tolist() == expected


def test_focus_follows_the_worst_margin() -> None:
    """On random properties a node has some row in focus exactly if its worst margin's bound does not close it."""
    for seed in range(30):
        instance = random_instance(seed)
        query = queries(instance.network, instance.prop)[0]
        margins = np.random.default_rng(seed).normal(0.5, 1.0, (20, query.rows))
        focus = focus_rows(query, bounds_of(query, margins))
        np.testing.assert_array_equal(focus.any(axis=1), ~(query.worst(margins) > 0.0), err_msg=f"{instance}")
