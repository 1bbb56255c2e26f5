"""Tests of bab/studies/frame.py and of the studies."""

from __future__ import annotations

import csv
import html
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from hypersplit.bab.command.cli import main
from hypersplit.bab.pages.page import write_page
from hypersplit.bab.run.result import Result
from hypersplit.bab.studies import contest as rule_contest
from hypersplit.bab.studies import frame as module
from hypersplit.bab.studies import partition_rules as partition_rules
from hypersplit.bab.studies import scaling as scaling
from hypersplit.bab.studies.frame import Findings, Row, Settings, Study, run
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
    """Question, text, options, machine, findings, the escaped table, and the command that makes the page again."""
    pytest.importorskip("matplotlib")
    path = tmp_path / "squares.csv"
    rows = run(squares(path), SETTINGS, path)
    findings = Findings(["How it was run."], ["They grow."], {"All": rows}, {})
    settings = Settings(1.5, quick=True, seed=7, instances="my list.csv", only=("a*", "b"), jobs=2)
    page = module._page("scaling", squares(path), settings, findings, rows)
    text = write_page(tmp_path, "scaling", page).read_text()

    asked = html.escape(module.QUESTIONS["scaling"])
    said = ("<h1>Squares</h1>", asked, "How it was run.", "They grow.", "timeout 1.5", " cores, ")
    for words in (*said, "2 instances at a time", ">9</td>", "is 3, &lt;b&gt;", "All 3 rows of scaling.csv"):
        assert words in text
    command = "hypersplit study scaling --timeout 1.5 --seed 7 --quick --jobs 2 --instances 'my list.csv'"
    assert page.command == f"{command} --only 'a*' --only b"


def test_every_study_has_its_question() -> None:
    """The page of each begins with one, and it ends with a question mark."""
    assert list(module.QUESTIONS) == list(module.STUDIES)
    assert all(words.endswith("?") for words in module.QUESTIONS.values())


def test_a_study_may_go_on_with_more_processes(tmp_path: Path) -> None:
    """How many instances run at a time is no setting of the rows."""
    path = tmp_path / "squares.csv"
    run(squares(path), SETTINGS, path)
    assert [1, 4, 9] == [row["square"] for row in run(squares(path), replace(SETTINGS, jobs=2), path, resume=True)]


def test_without_a_name_the_studies_are_listed(capsys: Captured) -> None:
    """`hypersplit study` says a line a study, and each of them has its module."""
    assert 0 == main(["study"])
    lines = capsys.readouterr().out.splitlines()
    assert list(module.STUDIES) == [line.split()[0] for line in lines]
    for name in module.STUDIES:
        home = module.MODULES.get(name, f".{name.replace('-', '_')}")
        assert isinstance(import_module(home, "hypersplit.bab.studies").STUDY, Study)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("nonsense", "expected one of scaling, partition-rules"),
        ("scaling --only x", "takes no --only"),
        ("scaling --timeout 0", "expected a positive number"),
        ("scaling --jobs 2", "takes no --jobs"),
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
