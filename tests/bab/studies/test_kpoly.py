"""The study of groups of neurons, in small."""

from __future__ import annotations

import csv
from itertools import pairwise
from pathlib import Path

import pytest

from hypersplit.bab.command.cli import main
from hypersplit.bab.studies import partition_rules as partition_rules
from hypersplit.bab.studies import scaling as scaling


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a csv."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_quick_kpoly(tmp_path: Path) -> None:
    """More neurons at a time prove no less and give no larger boxes; a refuted region is proved by none."""
    pytest.importorskip("matplotlib")
    assert 0 == main(["study", "kpoly", "--quick", "--out", str(tmp_path)])
    rows = read(tmp_path / "kpoly.csv")
    for name in {row["instance"] for row in rows}:
        mine = {row["step"]: row for row in rows if row["instance"] == name}
        volumes = [float(mine[f"volume {k}"]["volume"]) for k in range(4) if f"volume {k}" in mine]
        assert volumes == sorted(volumes, reverse=True)
        boxes = [float(mine[f"box {k}"]["volume"]) for k in (1, 2, 3) if f"box {k}" in mine]
        assert bool(boxes) == bool(volumes)
        assert all(0.0 < after <= 1.05 * before for before, after in pairwise([*volumes[:1], *boxes]))
        proved = [mine[step]["verdict"] == "unsat" for step in ("DeepPoly", "slopes", "1-ReLU", "2-ReLU", "3-ReLU")]
        assert proved == sorted(proved)
        steps = ("pairs", "area", "random", "supposed", "triples", "branched", "deep")
        rows_at_root = [mine[step]["verdict"] == "unsat" for step in steps]
        assert all(rows_at_root[3:]) or not rows_at_root[0]
        assert all(0.0 <= float(row["processor"]) for row in mine.values())
        proved += rows_at_root
        assert not (mine["complete"]["verdict"] == "sat" and any(proved))


def test_steps_in_turn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Those that are asked for alone, each for what is open yet; a cut-off run goes on; other names are refused."""
    pytest.importorskip("matplotlib")
    words = ["study", "kpoly", "--quick", "--steps", "DeepPoly,slopes,pairs", "--out", str(tmp_path)]
    assert 0 == main(words)
    said, rows = capsys.readouterr().out, read(tmp_path / "kpoly.csv")
    names = list(dict.fromkeys(row["instance"] for row in rows))
    for name in names:
        mine = [row for row in rows if row["instance"] == name]
        assert [row["step"] for row in mine] == ["DeepPoly", "slopes", "pairs"][: len(mine)]
        assert {row["verdict"] for row in mine[:-1]} <= {"unknown"} and (
            len(mine) == 3 or mine[-1]["verdict"] == "unsat"
        )
    for family in {row["family"] for row in rows}:
        mine = [row for row in rows if row["family"] == family]
        verified, regions = sum(row["verdict"] == "unsat" for row in mine), len({row["instance"] for row in mine})
        assert f"{family}, these in turn: {verified} of {regions} verified" in said
    text = (tmp_path / "kpoly.csv").read_text().splitlines(keepends=True)
    (tmp_path / "kpoly.csv").write_text("".join(text[:3]))
    assert 0 == main([*words, "--resume"])
    again = read(tmp_path / "kpoly.csv")
    assert [(r["instance"], r["step"], r["verdict"]) for r in again] == [
        (r["instance"], r["step"], r["verdict"]) for r in rows
    ]
    for asked, why in (
        (["kpoly", "--steps", "slopes,all"], "expected some of"),
        (["ladder", "--steps", "a"], "takes no"),
    ):
        assert 2 == main(["study", *asked, "--quick", "--out", str(tmp_path / "other")])
        assert why in capsys.readouterr().err
