"""The bench: lists, limits, resumption, second opinions on witnesses, and the table."""

from __future__ import annotations

import csv
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import small_files

from hypersplit.bab.bench.bench import Bench
from hypersplit.bab.bench.bench_instances import Instance, read_instances
from hypersplit.bab.bench.bench_table import (
    COLUMNS,
    Row,
    csv_line,
    read_rows,
    values,
)
from hypersplit.bab.command.cli import main

Captured = pytest.CaptureFixture[str]
PACK = Path(__file__).resolve().parents[3] / ".." / "shared" / "benchmarks"
ROW = Row("toy", "a.onnx", "p.vnnlib", "unsat", 1.0, 0.5, 80.0, 7, "linear bounds", 10.0, "")


def truth_file(path: Path, holds: str, violated: str) -> str:
    """Known verdicts of the family, with a column more than needed."""
    path.write_text(
        "family,onnx,vnnlib,verdict,source\n"
        f"toy,net.onnx,holds.vnnlib,{holds},x\ntoy,net.onnx,violated.vnnlib,{violated},x\n"
    )
    return str(path)


def test_a_folder_of_lists_is_answered_and_compared(family: Path, tmp_path: Path, capsys: Captured) -> None:
    """Both instances are solved, written with all columns, and agree with the known verdicts."""
    result = tmp_path / "results.csv"
    truth = truth_file(tmp_path / "truth.csv", "unsat", "sat")
    assert main(["bench", str(tmp_path), "--result", str(result), "--truth", truth, "--jobs", "2"]) == 0
    rows = {row.vnnlib: row for row in read_rows(result)}
    assert rows["holds.vnnlib"].verdict == "unsat"
    assert (rows["violated.vnnlib"].verdict, rows["violated.vnnlib"].witness) == ("sat", "valid")
    assert rows["violated.vnnlib"].timeout == 60.5
    assert all(row.seconds > row.search_seconds > 0.0 and row.peak_mb > 10.0 for row in rows.values())
    line = next(x for x in capsys.readouterr().out.splitlines() if x.startswith("| toy"))
    assert [c.strip() for c in line.strip("|").split("|")][:10] == [
        "toy",
        "2",
        "1",
        "1",
        "0",
        "0",
        "0",
        "2",
        "2",
        "0",
    ]


def test_disagreement_with_known_verdicts_is_exit_code_1(
    family: Path, tmp_path: Path, capsys: Captured
) -> None:
    """A verdict that is known to be the opposite one is listed, counted, and ends the command with 1."""
    truth = truth_file(tmp_path / "truth.csv", "sat", "unknown")
    assert main(["bench", str(family / "instances.csv"), "--truth", truth]) == 1
    out = capsys.readouterr().out
    assert "wrong: toy net.onnx holds.vnnlib: unsat, known to be sat" in out
    assert out.count("wrong: ") == 1


def test_resume_keeps_what_is_there(family: Path, tmp_path: Path, capsys: Captured) -> None:
    """Rows of a former run stay, of instances not asked for now too; a cut last line is run again."""
    result = tmp_path / "results.csv"
    kept = replace(ROW, onnx="net.onnx", vnnlib="holds.vnnlib", verdict="unknown", reason="kept")
    other = replace(ROW, family="other")
    lines = [csv_line(COLUMNS), csv_line(values(kept)), csv_line(values(other)), "toy,net.onnx,violated.vn"]
    result.write_text("".join(lines))
    assert main(["bench", str(family), "--result", str(result), "--resume"]) == 0
    rows = read_rows(result)
    assert rows[:2] == [kept, other]
    assert [(r.vnnlib, r.verdict) for r in rows[2:]] == [("violated.vnnlib", "sat")]
    assert "| toy " in capsys.readouterr().out


def test_files_that_are_missing_are_errors_not_verdicts(tmp_path: Path, capsys: Captured) -> None:
    """An instance without its files counts as an error, named below the table, and the others go on."""
    (tmp_path / "instances.csv").write_text("no.onnx,no.vnnlib,5\n")
    assert main(["bench", str(tmp_path / "instances.csv"), "--result", str(tmp_path / "r.csv")]) == 0
    assert "no such file" in capsys.readouterr().out
    assert [row.verdict for row in read_rows(tmp_path / "r.csv")] == ["error"]


def test_a_bench_can_be_stopped() -> None:
    """Setting the stop event ends a process at once, without a row."""
    stop = threading.Event()
    stop.set()
    instance = Instance("toy", "a.onnx", "p.vnnlib", 60.0, Path("."))
    assert Bench(command=(sys.executable, "-c", "import time; time.sleep(600)")).run(instance, stop) is None


def test_an_interrupted_bench_keeps_what_it_has(family: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends what runs, prints the table of what is answered, and gives 3; the results can be resumed."""
    answers = iter([replace(ROW, onnx="net.onnx", vnnlib="holds.vnnlib")])

    def run(self: Bench, instance: Instance, stop: threading.Event) -> Row | None:
        if answer := next(answers, None):
            return answer
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        assert stop.wait(60.0)
        return None

    monkeypatch.setattr(Bench, "run", run)
    result = tmp_path / "results.csv"
    assert main(["bench", str(family), "--result", str(result)]) == 3
    assert [row.vnnlib for row in read_rows(result)] == ["holds.vnnlib"]


def test_options_are_handed_on(family: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every option that was given reaches every process, whether by its flag or by its name; memory has a flag."""
    heard: list[Bench] = []
    monkeypatch.setattr(Bench, "run", lambda self, *_: heard.append(self))
    words = "--trust-scip --seed 7 --method split --memory 900 --option rule=axes --option clip=false"
    assert main(["bench", str(family), "--limit", "1", *words.split()]) == 3
    assert heard[0].memory_mb == 900.0
    assert set(heard[0].flags) == {
        "--option=trust_scip=true", "--option=seed=7", "--option=method=split", "--option=rule=axes",
        "--option=clip=false",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("code", "verdict", "reason"),
    [
        ("import sys; sys.exit(4)", "error", "exit code 4"),
        ("print('unsat')", "error", "no JSON object"),
        ("import sys; sys.exit('a traceback')", "error", "no JSON object"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "error", "exit code -11"),
        ('print(\'{"verdict": "sat", "reason": ""}\')', "sat", ""),
    ],
)
def test_broken_verifiers_are_not_believed(code: str, verdict: str, reason: str) -> None:
    """A crash or garbage is an error; `sat` without a witness is kept, but as wrong."""
    instance = Instance("toy", "a.onnx", "p.vnnlib", 60.0, Path("."))
    row = Bench(command=(sys.executable, "-c", code)).run(instance)
    assert row is not None
    assert row.verdict == verdict and reason in row.reason
    assert row.bad_witness == (verdict == "sat")


def test_known_instances_of_the_pack_agree(tmp_path: Path) -> None:
    """The pack's `test` family is decided as known, with valid witnesses."""
    if not PACK.is_dir():
        pytest.skip("benchmark pack ../shared/benchmarks is absent")
    result = tmp_path / "results.csv"
    arguments = [
        "bench",
        str(PACK / "test"),
        "--truth",
        str(PACK / "truth.csv"),
        "--result",
        str(result),
        "--jobs",
        "2",
    ]
    assert main(arguments) == 0
    with open(result, newline="") as file:
        assert {row["verdict"] for row in csv.DictReader(file)} <= {"sat", "unsat"}


def test_several_networks_and_equalities_are_answered(tmp_path: Path) -> None:
    """A list that names two networks in one cell is run, and its witness judged as roundings of a real point."""
    small_files.absolute(tmp_path / "f.onnx")
    tensors = "(declare-network {0} (declare-input X{0} real [2]) (declare-output Y{0} real [1]))"
    (tmp_path / "q.vnnlib").write_text(
        "(vnnlib-version <2.0>)" + tensors.format("f") + tensors.format("g")
        + "(assert (and (<= Xf[0] 1) (>= Xf[0] 0) (<= Xf[1] 1) (>= Xf[1] 0) (== Xf[0] Xg[0])))"
        + "(assert (and (== (* 3 Xg[1]) (+ Xf[1] 0.7)) (>= Yf[0] (+ Yg[0] 0.3))))"
    )  # fmt: skip
    (tmp_path / "instances.csv").write_text("\"[('f', 'f.onnx'), ('g', 'f.onnx')]\",q.vnnlib,30\n")
    (instance,) = read_instances([tmp_path / "instances.csv"])
    row = Bench().run(instance)
    assert row is not None and (row.verdict, row.witness) == ("sat", "valid"), row
