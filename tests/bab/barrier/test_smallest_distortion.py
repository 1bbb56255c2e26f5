"""The study `barrier-eps`: certified distances in order and below attacked ones, on small networks of our own."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from barrier_pack import pack

from hypersplit.bab.barrier import smallest_distortion as module
from hypersplit.bab.barrier.relaxations import RELAXATIONS
from hypersplit.bab.barrier.smallest_distortion import COLUMNS, agreed
from hypersplit.bab.command.cli import main
from hypersplit.bab.robustness.radius import Radius
from hypersplit.bab.studies.contest import Contradiction


def read(folder: Path) -> list[dict[str, str]]:
    """The rows of the study's csv."""
    with (folder / "barrier-eps.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_certified_below_attacked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """LP-GREEDY <= LP-LAST <= LP-ALL <= rows <= search <= PGD; the printed stands beside; resuming adds none."""
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(module, "QUICK_SECONDS", 600.0)
    monkeypatch.setattr(module, "SEARCH_TOLERANCE", 0.1)
    words = ["study", "barrier-eps", "--instances", str(pack(tmp_path)), "--out", str(tmp_path / "out")]
    words += ["--only", "DEEP *0*1*", "--limit", "1", "--quick", "--timeout", "600"]
    assert 0 == main(words)
    rows, said = read(tmp_path / "out"), capsys.readouterr().out
    mine = {row["method"]: row for row in rows}
    assert {*RELAXATIONS, "search", "PGD", "times"} == set(mine) and len(mine) == len(rows)
    below = [float(mine[method]["epsilon"]) for method in RELAXATIONS]
    above = [float(mine[method]["above"]) for method in ("search", "PGD")]
    assert below == sorted(below) and below[0] < below[-1] <= 1.0001 * min(above)
    assert 0.9 * float(mine["search"]["above"]) <= float(mine["search"]["epsilon"]) <= 1.0001 * min(above)
    assert ("2", "0") == (mine["times"]["layer"], mine["search"]["stopped"])
    assert "DEEP, [0, 1]: LP-GREEDY " in said and "printed 10" in said
    page = (tmp_path / "out" / "barrier-eps.html").read_text()
    assert "LP-ALL by layers" in page
    assert 0 == main([*words, "--resume"])
    assert rows == read(tmp_path / "out")


def test_an_interrupted_search_ends_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the input is written, so that the study can be resumed with it."""
    pytest.importorskip("matplotlib")
    folder = pack(tmp_path)

    def interrupted(*args: object, **options: object) -> Radius:
        return Radius(0.0, 1.0, 0, 1, None, "interrupted", 1, 0.1)

    monkeypatch.setattr(module, "radius", interrupted)
    words = ["study", "barrier-eps", "--instances", str(folder), "--out", str(tmp_path / "out"), "--quick"]
    words += ["--only", "DEEP *whole*", "--limit", "1", "--steps", "search"]
    assert 3 == main(words)
    assert [] == read(tmp_path / "out")


def test_steps_that_are_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Those alone, with LP-GREEDY and PGD; a step that is none is told in a line."""
    pytest.importorskip("matplotlib")
    words = ["study", "barrier-eps", "--instances", str(pack(tmp_path)), "--quick", "--only", "DEEP *whole*"]
    assert 0 == main([*words, "--limit", "1", "--steps", "LP-LAST", "--out", str(tmp_path / "out")])
    assert ["LP-GREEDY", "LP-LAST", "PGD"] == [row["method"] for row in read(tmp_path / "out")]
    said = capsys.readouterr().out
    assert "LP-LAST" in said and "search" not in said and "nan" not in said.split("on the grid")[0]
    assert 2 == main([*words, "--steps", "LP-SOME", "--out", str(tmp_path / "other")])
    assert "--steps LP-SOME: expected some of LP-GREEDY" in capsys.readouterr().err


def test_a_certificate_above_an_attack() -> None:
    """It ends the study, both sides named."""
    empty = dict.fromkeys(COLUMNS, -1) | {"network": "one", "range": "[0, 1]", "epsilon": float("nan")}
    attack = empty | {"method": "PGD", "above": 0.1}
    agreed([attack, empty | {"method": "LP-ALL", "epsilon": 0.1, "above": float("nan")}])
    with pytest.raises(Contradiction, match=r"LP-ALL certifies 0.11, PGD attacks at 0.1"):
        agreed([attack, empty | {"method": "LP-ALL", "epsilon": 0.11, "above": float("nan")}])
