"""Tests of bab/studies/frame.py and of the studies."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from hypersplit.bab.command.cli import main
from hypersplit.bab.run.result import Result
from hypersplit.bab.studies import contest as rule_contest
from hypersplit.bab.studies import frame as module
from hypersplit.bab.studies import partition_rules as partition_rules
from hypersplit.bab.studies import scaling as scaling
from hypersplit.bab.studies.frame import Findings, Row, Settings, Study, run
from hypersplit.bab.studies.ladder import STEPS
from hypersplit.heuristics.splits.rules import PHASE_RULES, RULES
from hypersplit.instances.carried import DATA
from hypersplit.instances.errors import InputError

Captured = pytest.CaptureFixture[str]
SETTINGS = Settings(timeout=1.0)
VALUES = (1, 2, 3)


def squares(path: Path, stop_at: int = 0, begun: list[int] | None = None) -> Study:
    """A study of three rows that ends like Ctrl-C before the value `stop_at`, and looks at its csv on the way."""

    def rows(settings: Settings, former: Sequence[Row]) -> Iterator[Row]:
        known = {row["value"] for row in former}
        for value in VALUES:
            if value in known:
                continue
            if value == stop_at:
                raise KeyboardInterrupt
            if begun is not None:
                begun.append(value)
            # what was yielded before this row is on the disk already
            assert len(path.read_text().splitlines()) == 1 + len([v for v in VALUES if v < value])
            yield {"value": value, "square": value**2, "half": value / 2, "words": f"is {value}, <b>"}

    return Study(
        "Squares", 1.0, {"value": int, "square": int, "half": float, "words": str}, rows,
        lambda settings, rows: Findings(["How."], [f"{len(rows)} squares"], {"All": rows}, {}),
    )  # fmt: skip


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a csv."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_rows_are_written_one_by_one_and_resumed(tmp_path: Path, capsys: Captured) -> None:
    """An interrupted study keeps the rows it has; resuming runs the others alone and gives all of them back."""
    path = tmp_path / "new" / "squares.csv"
    with pytest.raises(KeyboardInterrupt):
        run(squares(path, stop_at=3), SETTINGS, path)
    assert ["1", "4"] == [row["square"] for row in read(path)]
    assert "2 rows so far, --resume" in capsys.readouterr().err

    begun: list[int] = []
    rows = run(squares(path, begun=begun), SETTINGS, path, resume=True)
    assert [3] == begun
    assert [1, 4, 9] == [row["square"] for row in rows]
    assert [0.5, 1.0, 1.5] == [row["half"] for row in rows]
    assert ["1", "4", "9"] == [row["square"] for row in read(path)]


def test_a_line_that_was_cut_off_is_run_again(tmp_path: Path) -> None:
    """A process killed in the middle of a line costs that row only."""
    path = tmp_path / "squares.csv"
    run(squares(path), SETTINGS, path)
    whole = path.read_text()
    path.write_text(whole[:-4])

    assert [1, 4, 9] == [row["square"] for row in run(squares(path), SETTINGS, path, resume=True)]
    assert whole == path.read_text()


def test_results_are_neither_overwritten_nor_mixed(tmp_path: Path) -> None:
    """Without --resume a csv that holds rows stays as it is; with it, other options are refused."""
    path = tmp_path / "squares.csv"
    with pytest.raises(KeyboardInterrupt):  # leaves no row: nothing to protect
        run(squares(path, stop_at=1), Settings(timeout=2.0), path)
    run(squares(path), SETTINGS, path)
    before = path.read_text()

    with pytest.raises(InputError, match="--resume goes on"):
        run(squares(path), SETTINGS, path)
    with pytest.raises(InputError, match="was begun with the options"):
        run(squares(path), Settings(timeout=2.0), path, resume=True)
    assert before == path.read_text()


def test_the_page_holds_everything(tmp_path: Path) -> None:
    """One file: the text, the options, the machine, the escaped table, and the figure inside."""
    pytest.importorskip("matplotlib")
    path = tmp_path / "squares.csv"
    chosen = squares(path)
    rows = run(chosen, SETTINGS, path)
    figure, (panel,) = module.new_figure(1)
    panel.plot([row["value"] for row in rows], [row["square"] for row in rows])
    findings = Findings(["How it was run."], ["They grow."], {"All": rows}, {"growth": figure})
    page = module._write_page(tmp_path, "squares", chosen, SETTINGS, findings, rows).read_text()

    assert (tmp_path / "squares-growth.png").read_bytes().startswith(b"\x89PNG")
    assert 1 == page.count('src="data:image/png;base64,iVBOR') == page.count("src=")
    for words in ("<h1>Squares</h1>", "How it was run.", "They grow.", "timeout 1.0", " cores", "<td>9</td>"):
        assert words in page
    assert "is 3, &lt;b&gt;" in page


def test_without_a_name_the_studies_are_listed(capsys: Captured) -> None:
    """`hypersplit study` says a line a study, and each of them has its module."""
    assert 0 == main(["study"])
    lines = capsys.readouterr().out.splitlines()
    assert list(module.STUDIES) == [line.split()[0] for line in lines]
    for name in module.STUDIES:
        assert isinstance(import_module(f"hypersplit.bab.studies.{name.replace('-', '_')}").STUDY, Study)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("nonsense", "expected one of scaling, partition-rules"),
        ("scaling --only x", "takes no --only"),
        ("scaling --timeout 0", "expected a positive number"),
        ("scaling --seed -1", "expected an integer from 0"),
        ("partition-rules --only nonsense --quick", "matches no instance"),
        ("partition-rules --instances missing.csv", "missing.csv"),
    ],
)
def test_bad_words_are_one_line_and_2(arguments: str, words: str, tmp_path: Path, capsys: Captured) -> None:
    """What cannot be run is said in one line, with exit code 2."""
    pytest.importorskip("matplotlib")
    assert 2 == main(["study", *arguments.split(), "--out", str(tmp_path / "out")])
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


def test_without_matplotlib_nothing_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """A missing matplotlib is said at once, not after hours of work."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert 2 == main(["study", "scaling", "--quick", "--out", str(tmp_path / "out")])
    (line,) = capsys.readouterr().err.splitlines()
    assert 'pip install "hypersplit[plot]"' in line
    assert not (tmp_path / "out").exists()


def test_interrupted_runs_are_no_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """`verify` answers Ctrl-C by `unknown`; a study must stop there, not write it down."""
    monkeypatch.setattr(module, "verify", lambda *_, **__: Result("unknown", reason="interrupted"))
    with pytest.raises(KeyboardInterrupt):
        module.decide("net.onnx", "prop.vnnlib")


def test_fits_find_slopes_and_treat_limits_as_lower_bounds() -> None:
    """Exact points give their line; a bound below it changes nothing, one above it draws it up."""
    x = np.arange(6.0)
    y = 0.5 * x + 1.0
    at_end = np.arange(6) == 5
    assert scaling.fit(x, y, np.zeros(6, dtype=bool)) == pytest.approx((0.5, 1.0))
    assert scaling.fit(x, y - 2.0 * at_end, at_end) == pytest.approx((0.5, 1.0))
    above = scaling.fit(x, y + 2.0 * at_end, at_end)
    assert above and above[0] > 0.6
    assert scaling.fit(x, y, x > 0.0) is None


def test_medians_know_that_a_timeout_is_no_small_number() -> None:
    """A run at its limit is longer than all others whatever nodes it got through; most of them make a bound."""
    base = {"swept": "inputs", "inputs": 4, "search_seconds": 1.0}
    solved = [{**base, "verdict": "unsat", "nodes": nodes} for nodes in (100, 300)]
    limits = [{**base, "verdict": "timeout", "nodes": nodes} for nodes in (10, 20)]

    (point,) = scaling.medians([*solved, limits[0]], "inputs")
    assert (300, "", 2) == (point["nodes"], point["bound"], point["solved"])
    (point,) = scaling.medians([solved[0], *limits], "inputs")
    assert (20, "at least") == (point["nodes"], point["bound"])
    assert [] == scaling.medians([{**base, "verdict": "sat", "nodes": 1}], "inputs")


@pytest.mark.parametrize(("share", "verdict"), [(0.05, "unsat"), (-0.2, "sat")])
def test_questions_near_the_maximum(share: float, verdict: str) -> None:
    """Just above the highest output that the attack finds, the answer is `unsat`; well below it, `sat`."""
    asked = scaling.near_maximum([3, 12, 12, 1], seed=1, share=share)
    assert verdict == module.decide(*asked, method="split", timeout=20.0).verdict


def test_quick_scaling(tmp_path: Path, capsys: Captured) -> None:
    """The small version proves all its instances, says how nodes grow, and writes csv, figures and page."""
    pytest.importorskip("matplotlib")
    assert 0 == main(["study", "scaling", "--quick", "--out", str(tmp_path)])
    said = capsys.readouterr().out
    rows = read(tmp_path / "scaling.csv")

    assert sum(len(values) for _, values in scaling.QUICK_SWEEPS.values()) * scaling.QUICK_SEEDS == len(rows)
    assert {"unsat"} == {row["verdict"] for row in rows}
    assert all(int(row["nodes"]) > 0 and float(row["seconds"]) >= float(row["search_seconds"]) for row in rows)
    assert re.search(r"^nodes (grow|fall) by a factor of [\d.]+ per added input \(depth 2, width 20\)", said, re.M)
    assert re.search(r"^nodes go like width\^-?[\d.]+ \(inputs 4, depth 2\)", said, re.M)
    assert {"scaling-nodes.png", "scaling-search-seconds.png", "scaling.html"} < {p.name for p in tmp_path.iterdir()}
    assert 3 == (tmp_path / "scaling.html").read_text().count("base64,iVBOR")


def test_quick_partition_rules(tmp_path: Path, capsys: Captured) -> None:
    """Every rule but those of phases meets every instance, and all agree; nothing is run twice."""
    pytest.importorskip("matplotlib")
    words = ["study", "partition-rules", "--quick", "--out", str(tmp_path)]
    assert 0 == main(words)
    rows = read(tmp_path / "partition-rules.csv")
    verdicts = {(row["instance"], row["verdict"]) for row in rows}

    assert set(RULES) - set(PHASE_RULES) == {row["rule"] for row in rows}
    assert len(rows) == len(verdicts) * (len(RULES) - len(PHASE_RULES))
    assert {"sat", "unsat"} == {verdict for _, verdict in verdicts}
    hard = [row for row in rows if row["instance"].startswith("random")]
    assert hard and all(int(row["nodes"]) > 1 for row in hard)
    page = (tmp_path / "partition-rules.html").read_text()
    assert 2 == page.count("base64,iVBOR") and "best single rule" in page
    capsys.readouterr()

    before = (tmp_path / "partition-rules.csv").read_text()
    assert 0 == main([*words, "--resume"])
    assert before == (tmp_path / "partition-rules.csv").read_text()


def test_partition_rules_on_a_list(tmp_path: Path, capsys: Captured) -> None:
    """--instances takes VNN-COMP's lists, --only chooses, and the smaller of both limits holds."""
    pytest.importorskip("matplotlib")
    words = ["study", "partition-rules", "--instances", str(DATA / "instances.csv"), "--only", "control_force_1.2*"]
    assert 0 == main([*words, "--quick", "--timeout", "15", "--out", str(tmp_path)])
    rows = read(tmp_path / "partition-rules.csv")

    assert {"data control_2d.onnx control_force_1.2.vnnlib"} == {row["instance"] for row in rows}
    assert {("unsat", "15.0")} == {(row["verdict"], row["timeout"]) for row in rows}
    assert f"{partition_rules.DEFAULT}: 1 of 1 solved" in capsys.readouterr().out


def test_opposite_verdicts_stop_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """Two rules that contradict each other end the study with exit code 4, both named."""
    pytest.importorskip("matplotlib")

    def answer(*_: object, rule: str = "", **__: object) -> Result:
        return Result("sat" if rule == "axes" else "unsat", statistics={"nodes": 2})

    monkeypatch.setattr(rule_contest, "decide", answer)
    assert 4 == main(["study", "partition-rules", "--quick", "--out", str(tmp_path)])
    (line,) = capsys.readouterr().err.splitlines()
    assert "rule inputs says unsat, rule axes says sat" in line
    assert {"inputs"} == {row["rule"] for row in read(tmp_path / "partition-rules.csv")}


def test_quick_branching_rules(tmp_path: Path, capsys: Captured) -> None:
    """Every rule of phases meets every instance, and all agree."""
    pytest.importorskip("matplotlib")
    assert 0 == main(["study", "branching-rules", "--quick", "--out", str(tmp_path)])
    rows = read(tmp_path / "branching-rules.csv")

    assert set(PHASE_RULES) == {row["rule"] for row in rows}
    assert {"unsat"} == {row["verdict"] for row in rows}
    assert all(int(row["nodes"]) > 1 for row in rows)
    assert "phases: 2 of 2 solved" in capsys.readouterr().out


def test_quick_ladder(tmp_path: Path, capsys: Captured) -> None:
    """Every step meets every question; steps that build on others are no worse, and none beats the attack."""
    pytest.importorskip("matplotlib")
    assert 0 == main(["study", "ladder", "--quick", "--out", str(tmp_path)])
    rows = read(tmp_path / "ladder.csv")

    for name in {row["instance"] for row in rows}:
        bounds = {row["step"]: float(row["bound"]) for row in rows if row["instance"] == name}
        upper = {float(row["upper"]) for row in rows if row["instance"] == name}
        assert set(bounds) == set(STEPS) and len(upper) == 1
        assert max(value for step, value in bounds.items() if not step.startswith("partial")) <= upper.pop() + 1e-9
        for worse, better in (("linear", "slopes-last"), ("slopes-last", "LP-LAST"), ("slopes+LP", "LP-ALL")):
            assert bounds[worse] <= bounds[better] + 1e-6 * (1.0 + abs(bounds[worse]))
    assert "LP-ALL" in capsys.readouterr().out


def test_quick_max_subproblems(tmp_path: Path, capsys: Captured) -> None:
    """2^d - 1 nodes with single neurons, one with several; all prove it."""
    pytest.importorskip("matplotlib")
    assert 0 == main(["study", "max-subproblems", "--quick", "--out", str(tmp_path)])
    rows = read(tmp_path / "max-subproblems.csv")

    assert {"unsat"} == {row["verdict"] for row in rows}
    for row in rows:
        if row["method"] == "single-neuron":
            assert int(row["nodes"]) == 2 ** int(row["inputs"]) - 1
        if row["method"] == "multi-neuron":
            assert int(row["nodes"]) == 1 and float(row["bound"]) == pytest.approx(0.01, abs=1e-6)
    assert "grow by a factor of 2" in capsys.readouterr().out


def test_quick_convex_barrier(tmp_path: Path) -> None:
    """The barrier's error is its factor and 1 for every layer-wise relaxation, that of copied maxima 0."""
    pytest.importorskip("matplotlib")
    assert 0 == main(["study", "convex-barrier", "--quick", "--out", str(tmp_path)])
    for row in read(tmp_path / "convex-barrier.csv"):
        error, size = float(row["error"]), int(row["size"])
        if row["method"] == "search":
            assert row["verdict"] == "unsat"
        elif row["family"].startswith("barrier"):
            assert error == pytest.approx(size + 1, rel=1e-6) and row["verdict"] == "unknown"
        elif row["method"] == "layer-wise":
            assert error < 1e-6 and row["verdict"] == "unsat"
        else:
            assert error > 0.4


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
        proved.append(mine["pairs"]["verdict"] == "unsat")
        assert not (mine["complete"]["verdict"] == "sat" and any(proved))
