"""The study of MILP formulations: every variant meets every question, all agree, a contradiction ends it."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hypersplit.bab.command.cli import main
from hypersplit.bab.studies import formulations as formulations
from hypersplit.encodings.milp.close import close

Captured = pytest.CaptureFixture[str]


def read(path: Path) -> list[dict[str, str]]:
    """Rows of a csv."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_quick_formulations(tmp_path: Path, capsys: Captured) -> None:
    """Every variant meets every question once; those with all binaries decide it alike; nothing is run twice."""
    pytest.importorskip("matplotlib")
    words = ["study", "formulations", "--quick", "--out", str(tmp_path)]
    assert 0 == main(words)
    rows = read(tmp_path / "formulations.csv")
    questions = {row["instance"] for row in rows}

    assert len(rows) == len(questions) * len(formulations.VARIANTS) > 0
    whole = [row for row in rows if not row["formulation"].startswith("partial")]
    assert len({(row["instance"], row["status"]) for row in whole}) == len(questions)
    assert {row["status"] for row in whole} <= {"refuted", "counterexample"}
    roots = {(row["instance"], row["formulation"]): float(row["root bound"]) for row in rows}
    assert all(roots[name, "tightened"] >= roots[name, "big-m"] - 1e-6 for name in questions)
    assert all(float(row["start"]) <= 0.0 < int(row["unstable"]) for row in rows)
    assert "Formulations by family" in (tmp_path / "formulations.html").read_text()
    capsys.readouterr()

    before = (tmp_path / "formulations.csv").read_text()
    assert 0 == main([*words, "--resume"])
    assert before == (tmp_path / "formulations.csv").read_text()


def test_contradictions_end_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """A formulation that refutes what another has a counterexample of ends the study with 4, both named."""
    pytest.importorskip("matplotlib")

    def lie(*arguments: Any) -> Any:
        answer = close(*arguments)
        return replace(answer, status="refuted") if arguments[-1].formulation == "hull" else answer

    monkeypatch.setattr(formulations, "close", lie)
    assert 4 == main(["study", "formulations", "--quick", "--only", "random*", "--out", str(tmp_path)])
    assert "big-m says counterexample, hull refuted" in capsys.readouterr().err
