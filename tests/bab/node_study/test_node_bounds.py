"""The study of relaxations in nodes, in small."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from hypersplit.bab.command.cli import main
from hypersplit.bab.node_study.node_bounds import STUDY
from hypersplit.bab.node_study.node_problems import node_problems
from hypersplit.bab.node_study.ways import BOUNDS
from hypersplit.bab.studies.contest import Contradiction
from hypersplit.bab.studies.frame import Row, Settings


def test_quick_node_bounds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every way meets every instance, and all agree; rungs were asked in the nodes that were open."""
    pytest.importorskip("matplotlib")
    assert 0 == main(["study", "node-bounds", "--quick", "--out", str(tmp_path)])
    with (tmp_path / "node-bounds.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["bounds"] for row in rows] == list(BOUNDS)
    assert {row["verdict"] for row in rows} == {"unsat"}
    assert all(int(row["asked"]) > 0 for row in rows if row["bounds"] not in ("default", "linear"))
    assert "default" in capsys.readouterr().out


def test_its_own_families() -> None:
    """Nested maxima, deep networks of 10, 20 and 30 inputs, and carried instances of many; each can be loaded."""
    problems = node_problems(Settings(1.0))
    assert {one.family for one in problems} == {
        "nested max", "carried", *(f"random deep, {inputs} inputs" for inputs in (10, 20, 30))
    }
    chosen = node_problems(Settings(1.0, only=("random*20x*", "nested max 8")))
    assert {one.family for one in chosen} == {"nested max", "random deep, 20 inputs"}
    network, prop = problems[0].load()
    assert network.input_size == prop.input_size == 4


def test_a_winner_is_named_and_a_contradiction_ends_it() -> None:
    """Half of the default's seconds or less, with what distinguishes the family."""
    rows: list[Row] = [
        {"instance": "a", "family": "f", "bounds": name, "inputs": 3, "layers": 2, "unstable": 9, "verdict": "unsat",
         "nodes": 5, "seconds": seconds, "asked": 4, "closed": 3, "timeout": 9.0, "reason": ""}
        for name, seconds in (("default", 3.0), ("lp", 1.0), ("rows", 2.0))
    ]  # fmt: skip
    said = STUDY.findings(Settings(9.0), rows).summary
    assert said == [
        "f: lp in every node is 3.0 times as fast as the default and closes 75% of its nodes (2 hidden layers, 9 "
        "unstable ReLUs on average)"
    ]
    wrong = [dict(rows[0], instance="nested max 4", verdict="sat")]
    with pytest.raises(Contradiction):
        list(STUDY.rows(Settings(20.0, quick=True), wrong))
