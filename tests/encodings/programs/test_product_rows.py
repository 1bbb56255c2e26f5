"""Planes of products as rows of an LP: they hold at the network's values, and make its bounds better."""

from __future__ import annotations

import numpy as np
import pytest
from lp_columns import columns_at, excess
from milp_problems import bounded
from product_networks import FORMS, corners, question, random_network

from hypersplit.encodings.linear.linear_bounds import bound
from hypersplit.encodings.programs.lp import TriangleLP
from hypersplit.encodings.programs.product_rows import ProductRows
from hypersplit.instances.batch import Node, root
from hypersplit.instances.property import InputSet
from hypersplit.instances.query import Query

BOX = InputSet.box(np.array([-1.0, 0.2, -0.5, 0.1]), np.array([0.5, 1.0, 0.7, 0.3]))


def asked(form: str, seed: int, region: InputSet = BOX) -> tuple[Query, Node]:
    """A question and its root, bounded."""
    query = question(random_network(form, seed), region)
    node = bounded(query, root(query).node(0))
    assert node is not None
    return query, node


@pytest.mark.parametrize("form", FORMS)
def test_rows_hold_and_bounds_are_sound(form: str) -> None:
    """At a grid over the input set, on the root and on a part of it, for the same model."""
    for seed in range(3):
        query, node = asked(form, seed)
        part, smaller = asked(form, seed, InputSet.box(BOX.lower, 0.5 * BOX.lower + 0.5 * BOX.upper))
        model = TriangleLP(query, node)
        for of, at in ((query, node), (part, smaller)):
            model.update(at)
            points = corners(of.region, 3)
            least = float(query.network.evaluate(points).min())
            answer = model.minimise(0, 10.0)
            assert answer.status == "optimal"
            assert bound(of, at.batch).margins[0, 0] - 1e-6 <= answer.bound <= least, f"seed {seed}"
            for x in points[::7]:
                v = columns_at(query, model.triangles, x)
                assert excess(model.triangles, v, model.margins).max() <= 1e-9


def test_rows_make_bounds_better(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products of entries, with and without them."""
    gained = []
    for seed in range(6):
        query, node = asked("entries", seed)
        with monkeypatch.context() as without:
            without.setattr(ProductRows, "add", lambda *_: None)
            plain = TriangleLP(query, node).minimise(0, 10.0).bound
        gained.append(TriangleLP(query, node).minimise(0, 10.0).bound - plain)
    assert min(gained) > -1e-6 and max(gained) > 1e-3
