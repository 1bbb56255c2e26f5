"""The study `barrier-robust-error`: its two sides, what was printed beside them, and contradictions."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from barrier_pack import NAMES, pack

from hypersplit.bab.barrier import robust_error as module
from hypersplit.bab.barrier.relaxations import RELAXATIONS
from hypersplit.bab.barrier.robust_error import PROVED, agreed
from hypersplit.bab.command.cli import main
from hypersplit.bab.studies.contest import Contradiction

Captured = pytest.CaptureFixture[str]


def read(folder: Path) -> list[dict[str, str]]:
    """The rows of the study's csv."""
    with (folder / "barrier-robust-error.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_both_sides(tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors grow from attack to search to relaxation on every input; printed lines stand beside; resuming goes on."""
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(module, "QUICK_SECONDS", 600.0)
    words = ["study", "barrier-robust-error", "--quick", "--timeout", "600", "--instances", str(pack(tmp_path))]
    words += ["--out", str(tmp_path / "out")]
    assert 0 == main([*words, "--limit", "2"])
    rows = read(tmp_path / "out")
    assert [(name, str(i)) for name in NAMES for i in range(2)] == [(row["network"], row["input"]) for row in rows]
    before = rows
    assert 0 == main([*words, "--limit", "4", "--resume"])
    rows, said = read(tmp_path / "out"), capsys.readouterr().out
    assert before == rows[: len(before)] and 2 * 4 == len(rows)
    for row in rows:
        steps = [row["descent"] in ("wrong", "attacked"), row["search"] != "robust"]
        steps += [row[name] != PROVED for name in reversed(RELAXATIONS)]
        assert steps == sorted(steps)
        assert row["search"] in ("wrong", "attacked", "robust")
    assert {"robust", "attacked", "wrong"} == {row["search"] for row in rows}
    assert any(row["LP-GREEDY"] != PROVED and row["search"] == "robust" for row in rows)
    assert "DEEP 0.14, 4 inputs: descents" in said and "(0 undecided)" in said
    page = (tmp_path / "out" / "barrier-robust-error.html").read_text()
    assert all(f"{name} 0.14, printed" in page for name in NAMES)


def test_the_carried_digits(tmp_path: Path) -> None:
    """Without a folder carried networks are asked; attacks and certificates do not meet."""
    pytest.importorskip("matplotlib")
    only = ["--only", "digits_mlp_32 0.06", "--limit", "1", "--quick"]
    assert 0 == main(["study", "barrier-robust-error", *only, "--out", str(tmp_path)])
    rows = read(tmp_path)
    assert 1 == len(rows)
    for row in rows:
        agreed({**row, "epsilon": float(row["epsilon"])})


def test_steps_that_are_asked(tmp_path: Path, capsys: Captured) -> None:
    """What is not asked stays empty, and is not told."""
    pytest.importorskip("matplotlib")
    words = ["study", "barrier-robust-error", "--quick", "--instances", str(pack(tmp_path)), "--only", "DEEP"]
    assert 0 == main([*words, "--limit", "2", "--steps", "search", "--out", str(tmp_path / "out")])
    rows = read(tmp_path / "out")
    assert 2 == len(rows) and all(row["search"] and not any(row[name] for name in RELAXATIONS) for row in rows)
    said = capsys.readouterr().out
    assert "complete search" in said and "LP-" not in said and "nan" not in said
    assert 0 == main([*words, "--limit", "1", "--steps", "LP-GREEDY", "--out", str(tmp_path / "one")])
    assert "complete search" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"rows": PROVED, "descent": "attacked"}, "rows says robust, descent says attacked"),
        ({"search": "robust", "descent": "attacked"}, "search says robust, descent says attacked"),
        ({"LP-LAST": PROVED, "search": "attacked"}, "LP-LAST says robust, search says attacked"),
    ],
)
def test_contradictions(changed: dict[str, str], words: str) -> None:
    """What is proved on one side and refuted on the other ends the study."""
    row = {"network": "one", "epsilon": 0.1, "input": 3, "descent": "held", "search": "unknown"}
    row |= dict.fromkeys(RELAXATIONS, "open")
    agreed(row)
    with pytest.raises(Contradiction, match=words):
        agreed(row | changed)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["barrier-robust-error", "--instances", "nowhere"], "expected a folder with barrier/paper_table1.csv"),
        (["barrier-robust-error", "--only", "nonsense"], "matches no instance"),
        (["scaling", "--jobs", "2"], "takes no --jobs"),
    ],
)
def test_bad_words(words: list[str], said: str, tmp_path: Path, capsys: Captured) -> None:
    """What cannot be run is one line, with exit code 2."""
    pytest.importorskip("matplotlib")
    assert 2 == main(["study", *words, "--out", str(tmp_path / "out")])
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
