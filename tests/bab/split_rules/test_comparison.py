"""Tests of bab/split_rules/comparison.py."""

from __future__ import annotations

import numpy as np
import pytest

from hypersplit.bab.split_rules.comparison import missing_share, of_fixed, of_search
from hypersplit.bab.split_rules.winner import FACTS

pytest.importorskip("matplotlib")
RULES = ("axes", "rows")


def test_shares_begin_at_the_root() -> None:
    """The root's own bound is 1, what is refuted 0."""
    np.testing.assert_allclose(missing_share([-4.0, -4.0, -1.0, 0.1, 0.1]), [1.0, 0.25, 0.0, 0.0])


def test_bounds_without_search() -> None:
    """The rule whose bounds rise faster ranks first; an instance that lacks a rule is left out."""
    rows = [
        {"instance": str(i), "rule": rule, "bounds": f"{-1.0 - i} {bound * (1 + i)}"}
        for i in range(6)
        for rule, bound in (("axes", -0.5), ("rows", -0.25))
    ]
    lines, tables, figures = of_fixed([*rows, {"instance": "alone", "rule": "axes", "bounds": "-1.0 -0.9"}])
    (table,) = tables.values()
    assert ["rows", "axes"] == [row["rule"] for row in table]
    assert [0.25, 0.5] == [row["left after 1"] for row in table]
    assert "6 instances: rows 1.00, axes 2.00" in lines[0]
    assert {"share-left", "ranks-without-search"} == set(figures)
    assert of_fixed([]) == ([], {}, {})


def test_rules_named_beforehand() -> None:
    """Where inputs decide the winner, the tree of the other families names it, the best single rule cannot."""
    rows, known, groups = [], {}, {}
    for i in range(40):
        name, inputs = f"i{i}", float(1 + i % 10 + 20 * (i >= 20))
        known[name] = {**dict.fromkeys(FACTS, 1.0), "inputs": inputs}
        groups[name] = f"family {i % 4}"
        for rule in RULES:
            best = (rule == "axes") == (inputs < 15.5)
            rows.append({"instance": name, "rule": rule, "verdict": "unsat", "nodes": 10 if best else 40})
    lines, tables, _ = of_search(rows, known, groups)
    (table,) = tables.values()
    assert all(row["named"] == row["best"] for row in table)
    assert "(axes where inputs < 15.5, else rows)" in lines[-3]
    assert "takes 1.00 times the nodes" in lines[-2] and "2.00 times" in lines[-2]
    near = sum(row["single / best"] <= 1.2 for row in table)
    assert 0 < near < 40
    assert f"named rule on 40 of 40 instances that no tree was made of, the single rule on {near}" in lines[-1]


def test_searches_that_did_not_end_count_double() -> None:
    """A rule that gave up at ten nodes is worse than one that ended with fifteen."""
    rows = [
        {"instance": str(i), "rule": rule, "verdict": verdict, "nodes": nodes}
        for i in range(6)
        for rule, verdict, nodes in (("axes", "timeout", 10), ("rows", "unsat", 15))
    ]
    lines, _, _ = of_search(rows, {str(i): dict.fromkeys(FACTS, 1.0) for i in range(6)}, dict.fromkeys("012345", "f"))
    assert "rows 1.00, axes 2.00" in lines[0]
    easy = [{**row, "nodes": 1} for row in rows]
    assert of_search(easy, {}, {}) == (["no instance needed a split"], {}, {})
