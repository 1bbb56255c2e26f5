"""Runs in parts: exported, run each by itself, merged; what is missing or foreign is never a verdict."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_files
from job_problems import PLAIN, files

import hypersplit
from hypersplit.bab import parts as dividing
from hypersplit.bab.command.cli import main
from hypersplit.bab.jobs.saved import load, save
from hypersplit.bab.parts import MANIFEST, export, merge, run_job
from hypersplit.instances.errors import InputError

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two nodes a part are enough: the trees are small."""
    monkeypatch.setattr(dividing, "EACH", 2)


def exported(folder: Path, parts: int = 8, sets: int = 1, gap: float = 0.1, name: str = "run") -> list[Path]:
    """An export of a problem that holds (gap > 0); returns its parts."""
    network, prop = files(folder, sets=sets, gap=gap)
    result = export(network, prop, folder / name, parts, **(PLAIN | {"batch": 8}))
    assert (result.verdict, result.reason) == ("unknown", "enough open nodes"), result
    return sorted((folder / name).glob("part-*.job"))


@pytest.mark.parametrize("sets", [1, 3, 20])
def test_the_parts_together_are_the_run(sets: int, tmp_path: Path) -> None:
    """Eight parts, one input set or several: `unsat`, with the nodes and the evidence of all."""
    files_of_parts = exported(tmp_path, sets=sets, gap=0.1 if sets == 1 else 0.2)
    assert len(files_of_parts) == 8
    for path in files_of_parts:
        result = run_job(path, jobs=1)
        assert result.verdict == "unsat"
    merged = merge(tmp_path / "run")
    assert merged.verdict == "unsat" and merged.statistics["open_nodes"] == 0
    if sets == 1:
        whole = hypersplit.verify(tmp_path / "net.onnx", tmp_path / "prop.vnnlib", **PLAIN)
        assert merged.statistics["nodes"] == whole.statistics["nodes"]
        assert merged.evidence == whole.evidence


def test_an_export_grows_wide(tmp_path: Path) -> None:
    """Where one node is taken at a time the deepest one would go on, and few were open at any time until the end."""
    network, prop = files(tmp_path, wide=16)
    words: dict[str, Any] = PLAIN | {"batch": 1}
    whole = hypersplit.verify(network, prop, **words)
    result = export(network, prop, tmp_path / "run", 8, **words)
    assert result.reason == "enough open nodes" and result.statistics["open_nodes"] == 16
    assert 5 * result.statistics["nodes"] < whole.statistics["nodes"]
    for path in sorted((tmp_path / "run").glob("part-*.job")):
        run_job(path, jobs=1)
    assert merge(tmp_path / "run").verdict == whole.verdict == "unsat"


def test_what_is_missing_is_unknown(tmp_path: Path) -> None:
    """No outcome, or one that is open: the parts are named."""
    parts = exported(tmp_path, parts=4)
    for path in parts[:-2]:
        assert run_job(path, jobs=1).verdict == "unsat"
    assert run_job(parts[-2], jobs=1, nodes=1).verdict == "unknown"
    result = merge(tmp_path / "run")
    assert result.verdict == "unknown"
    assert result.reason == "parts that are not closed: 2 of 4, part-003.job, part-004.job"
    assert run_job(parts[-2], jobs=1).verdict == "unsat"  # goes on with its outcome
    assert run_job(parts[-1], jobs=1).verdict == "unsat"
    assert merge(tmp_path / "run").verdict == "unsat"


def test_foreign_outcomes_are_refused(tmp_path: Path) -> None:
    """Of another export, even of the same files; of another part; without a part."""
    first, second = exported(tmp_path), exported(tmp_path, name="other")
    for path in (*first[1:], *second[:1]):
        run_job(path, jobs=1)
    own = first[0].with_suffix(".outcome")
    shutil.copy(second[0].with_suffix(".outcome"), own)
    with pytest.raises(InputError, match="of another export"):
        merge(tmp_path / "run")
    with pytest.raises(InputError, match="of another part"):
        run_job(first[0])
    shutil.copy(first[1].with_suffix(".outcome"), own)
    with pytest.raises(InputError, match="of another export"):
        merge(tmp_path / "run")
    own.rename(tmp_path / "run" / "part-099.outcome")
    with pytest.raises(InputError, match="of another export"):
        merge(tmp_path / "run")


@pytest.mark.parametrize("hole", ["node", "part", "twice", "ended", "case"])
def test_a_cover_with_a_hole_is_refused(hole: str, tmp_path: Path) -> None:
    """A manifest whose parts are not exactly what was open is bad input, whatever the outcomes say."""
    for path in exported(tmp_path, sets=2, parts=4):
        run_job(path, jobs=1)
    place = tmp_path / "run" / MANIFEST
    _, manifest = load(place, "manifest")
    parts, jobs = list(manifest.parts), list(manifest.jobs)
    if hole == "node":
        parts[0] = replace(parts[0], numbers=[parts[0].numbers[0][1:], *parts[0].numbers[1:]])
    elif hole == "part":
        del parts[1]
    elif hole == "twice":
        numbers = parts[0].numbers[0]
        parts[0] = replace(parts[0], numbers=[np.append(numbers[1:], numbers[1]), *parts[0].numbers[1:]])
    elif hole == "ended":
        jobs[0] = replace(jobs[0], inner=jobs[0].inner + 1)
    else:
        jobs = jobs[1:]
    save(place, "manifest", replace(manifest, parts=parts, jobs=jobs))
    with pytest.raises(InputError):
        merge(tmp_path / "run")


def test_a_counterexample_in_a_part_is_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sat` with the witness of the part that found it."""
    from hypersplit.bab.steps.candidates import Candidates

    monkeypatch.setattr(Candidates, "check", lambda self, points: None)
    parts = exported(tmp_path, gap=-0.1, parts=3)
    monkeypatch.undo()
    verdicts = [run_job(path, jobs=1).verdict for path in parts]
    assert "sat" in verdicts
    result = merge(tmp_path / "run")
    assert result.verdict == "sat" and result.witness is not None


def test_an_easy_run_writes_nothing(tmp_path: Path) -> None:
    """The verdict comes at once."""
    network, prop = small_files.absolute(tmp_path / "net.onnx"), small_files.holds(tmp_path / "prop.vnnlib")
    assert export(network, prop, tmp_path / "run", 8, timeout=60).verdict == "unsat"
    assert list((tmp_path / "run").iterdir()) == []


def test_other_kinds_of_files_are_refused(tmp_path: Path) -> None:
    """A part is no checkpoint: what it says is not the property's verdict. And the other way round."""
    part = exported(tmp_path)[0]
    with pytest.raises(InputError, match="holds a part, expected a checkpoint"):
        hypersplit.resume(part)
    with pytest.raises(InputError, match="holds a manifest, expected a part"):
        run_job(tmp_path / "run" / MANIFEST)
    with pytest.raises(InputError, match="cannot be read"):
        merge(tmp_path)
    with pytest.raises(InputError, match="is not empty"):
        export(tmp_path / "net.onnx", tmp_path / "prop.vnnlib", tmp_path / "run", **PLAIN)
    with pytest.raises(InputError, match="option checkpoint"):
        run_job(part, checkpoint=tmp_path / "c.job")


def test_the_commands_say_what_became_of_it(tmp_path: Path, capsys: Captured) -> None:
    """A part is `closed` or `open`, not `unsat`; the merged verdict is the property's; exit codes as of `verify`."""
    network, prop = files(tmp_path)
    words: list[Any] = ["--jobs", "1", "--method", "split", "--option", "kernel=plain", "--option", "batch=8"]
    run = str(tmp_path / "run")

    def said(*arguments: str) -> tuple[int, str]:
        code = main([*arguments])
        return code, capsys.readouterr().out.split("\n")[0]

    assert said("verify", str(network), str(prop), "--export", run, "--parts", "2", *words) == (3, "unknown")
    assert said("merge", run) == (3, "unknown")
    first, second = (str(path) for path in sorted((tmp_path / "run").glob("part-*.job")))
    assert said("run-job", first, "--option", "nodes=1", "--jobs", "1") == (3, "open")
    assert said("run-job", first, "--jobs", "1") == (0, "closed")
    assert said("run-job", second, "--jobs", "1") == (0, "closed")
    assert said("merge", run, "--result", str(tmp_path / "verdict")) == (0, "unsat")
    assert (tmp_path / "verdict").read_text() == "unsat\n"
    assert main(["verify", str(network), str(prop), "--parts", "2"]) == 2
