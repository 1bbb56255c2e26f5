"""Checkpoints: written while a run goes on and at its end, gone on with, and never a way to a wrong verdict."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import small_files
from job_problems import PLAIN, files, problem

import hypersplit
from hypersplit.bab import resume as resuming
from hypersplit.bab.command.cli import main
from hypersplit.bab.jobs import keeper as keeping
from hypersplit.bab.jobs.keeper import Keeper
from hypersplit.bab.jobs.saved import load
from hypersplit.bab.resume import resume
from hypersplit.bab.run.limits import LimitReached, Limits
from hypersplit.bab.run.result import Result
from hypersplit.bab.stages.work import Work
from hypersplit.bab.tree.frontier import Frontier
from hypersplit.instances.errors import InputError
from hypersplit.instances.query import Query

Captured = pytest.CaptureFixture[str]


def first_run(folder: Path, nodes: int = 30, **more: Any) -> Path:
    """A run stopped at some nodes; returns its checkpoint."""
    network, prop = files(folder, sets=more.pop("sets", 1))
    path = folder / "run.job"
    result = hypersplit.verify(network, prop, checkpoint=path, **(PLAIN | more | {"nodes": nodes}))
    assert (result.verdict, result.reason, result.notes) == ("unknown", "nodes", ())
    return path


def counted(result: Result) -> tuple[Any, ...]:
    """What of a result does not depend on how many runs there were."""
    names = ("nodes", "open_nodes", "stuck_nodes", "depth", "unstable", "queries", "sets_together")
    return result.verdict, result.reason, result.evidence, [result.statistics.get(name) for name in names]


@pytest.mark.parametrize(("rule", "sets"), [("auto", 1), ("axes", 1), ("phases", 1), ("auto", 3)])
def test_the_verdict_is_as_from_one_run(rule: str, sets: int, tmp_path: Path) -> None:
    """Verdict, reason, evidence and numbers of nodes, however often the run was stopped; several input sets, too."""
    network, prop = files(tmp_path, gap=0.2, sets=sets)
    whole = hypersplit.verify(network, prop, **(PLAIN | {"rule": rule}))
    path = tmp_path / "run.job"
    result = hypersplit.verify(network, prop, checkpoint=path, **(PLAIN | {"rule": rule, "nodes": 2}))
    assert result.verdict == "unknown"
    for nodes in range(3, 2000, 7):
        result = resume(path, nodes=nodes, jobs=1)
        if result.verdict != "unknown":
            break
    assert counted(result) == counted(whole) and whole.verdict == "unsat"
    assert result.statistics["runs"] > 2


def test_a_run_of_many_sets_goes_on_with_those_that_are_left(tmp_path: Path) -> None:
    """Input sets that are asked all together: what holds is not asked again, and all verdicts are the same."""
    network, prop = files(tmp_path, gap=0.6, sets=16)
    path = tmp_path / "run.job"
    stopped = hypersplit.verify(network, prop, checkpoint=path, **(PLAIN | {"nodes": 3, "batch": 16}))
    assert stopped.verdict == "unknown"
    result = resume(path, jobs=1)
    assert result.verdict == "unsat" and result.statistics["nodes"] > stopped.statistics["nodes"]
    assert sum(result.evidence.values()) >= 16


def test_many_sets_are_kept_while_they_are_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the file says in the middle of it is true: sets that hold have no open node, and no other counts as held."""
    network, prop = files(tmp_path, gap=1.5, sets=16)
    seen: list[int] = []
    real = Keeper.report

    def report(self: Keeper, tree: Any) -> None:
        self._due = 0.0
        real(self, tree)
        saved = load(tmp_path / "run.job", "checkpoint")[1]
        waiting = {int(k) for b in (*tree.open, *tree.hands, *tree.stuck) for k in b.origin}
        if not saved.together and not saved.jobs:
            assert waiting <= set(np.flatnonzero(~saved.held).tolist())
            seen.append(int(saved.held.sum()))

    monkeypatch.setattr(Keeper, "report", report)
    result = hypersplit.verify(network, prop, checkpoint=tmp_path / "run.job", **(PLAIN | {"batch": 16}))
    assert result.verdict == "unsat" and max(seen) > 0 and len(set(seen)) > 1
    assert resume(tmp_path / "run.job").verdict == "unsat"


def test_a_decided_run_says_so(tmp_path: Path, capsys: Captured) -> None:
    """`unsat` and `sat`, the witness run once more; nothing is searched."""
    network = small_files.absolute(tmp_path / "net.onnx")
    for name, prop in (("unsat", small_files.holds(tmp_path / "p")), ("sat", small_files.violated(tmp_path / "q"))):
        path = tmp_path / f"{name}.job"
        first = hypersplit.verify(network, prop, checkpoint=path, timeout=60)
        again = resume(path)
        assert first.verdict == again.verdict == name and again.reason == first.reason
        assert "decided by an earlier run" in again.notes[-1]
        if first.witness and again.witness:
            assert np.array_equal(again.witness.input, first.witness.input)
    assert main(["resume", str(tmp_path / "sat.job")]) == 1
    assert capsys.readouterr().out.startswith("sat\n")


def test_other_networks_and_properties_are_refused(tmp_path: Path) -> None:
    """One clear line, whether they were changed in their place or are given anew; moved ones are taken."""
    path = first_run(tmp_path)
    network, prop = tmp_path / "net.onnx", tmp_path / "prop.vnnlib"
    data, text = network.read_bytes(), prop.read_text()
    (tmp_path / "moved").mkdir()
    network.rename(tmp_path / "moved" / "net.onnx")
    prop.rename(tmp_path / "moved" / "prop.vnnlib")
    with pytest.raises(InputError, match=r"net\.onnx: no such file"):
        resume(path)
    other = {"network": tmp_path / "moved" / "net.onnx", "property": tmp_path / "moved" / "prop.vnnlib"}
    assert resume(path, **other, nodes=40).reason == "nodes"
    network.write_bytes(data.replace(b"gemm_0", b"gemm_9"))
    with pytest.raises(InputError, match="of another network than"):
        resume(path, network, other["property"])
    prop.write_text(text + "; a comment\n")
    with pytest.raises(InputError, match="of another property than"):
        resume(path, other["network"], prop)
    prop.write_text(text.replace("-1.0", "-1.5"))
    with pytest.raises(InputError, match="of another property than"):
        resume(path, other["network"], prop)


@pytest.mark.parametrize("words", ["--method auto", "--option rule=axes", "--option rows=always", "--picture p.png"])
def test_what_the_tree_rests_on_cannot_be_changed(words: str, tmp_path: Path, capsys: Captured) -> None:
    """The rules by which it was begun, and a picture of nodes that are gone."""
    path = first_run(tmp_path)
    assert main(["resume", str(path), *words.split()]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("hypersplit: error: option ") and len(err.splitlines()) == 1


def test_an_earlier_run_is_not_written_over(tmp_path: Path, capsys: Captured) -> None:
    """`verify` refuses a file that is there, and what nobody can write."""
    path = first_run(tmp_path)
    data = path.read_bytes()
    words = ["verify", str(tmp_path / "net.onnx"), str(tmp_path / "prop.vnnlib"), "--checkpoint"]
    assert main([*words, str(path)]) == 2 and "hypersplit resume" in capsys.readouterr().err
    assert path.read_bytes() == data
    assert main([*words, str(tmp_path / "no" / "such")]) == 2 and "cannot be written" in capsys.readouterr().err
    assert main([*words, str(tmp_path / "net.onnx")]) == 2 and "is an input" in capsys.readouterr().err


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError("none left")])
def test_a_file_that_cannot_be_written_costs_no_verdict(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is a note of the result."""
    network, prop = files(tmp_path, gap=0.2)

    def failing(*_: object) -> None:
        raise error

    monkeypatch.setattr(keeping, "save", failing)
    result = hypersplit.verify(network, prop, checkpoint=tmp_path / "run.job", every=1e-9, **PLAIN)
    assert result.verdict == "unsat"
    assert len(result.notes) == 1 and "not written" in result.notes[0]
    assert not (tmp_path / "run.job").exists()


@pytest.mark.parametrize("place", ["push", "pop"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), LimitReached("time"), LimitReached("memory")])
@pytest.mark.parametrize("when", [2, 3, 5, 8])
def test_interruptions_leave_a_file_that_is_right(
    when: int, error: BaseException, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever a run is interrupted, in the middle of a change too: what was written last leads to the verdict."""
    network, prop = files(tmp_path, gap=0.2)
    path, real, calls = tmp_path / "run.job", getattr(Frontier, place), 0

    def failing(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == when and place == "pop":
            real(*arguments)
        if calls == when:
            raise error
        return real(*arguments)

    monkeypatch.setattr(Frontier, place, failing)
    result = hypersplit.verify(network, prop, checkpoint=path, every=1e-9, **PLAIN)
    monkeypatch.undo()
    assert result.verdict in ("unknown", "timeout")
    if path.exists():  # not where the very first change was cut off
        assert resume(path, jobs=1).verdict == "unsat"


def test_a_violated_property_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blind attacks, runs that are stopped every few nodes: what has a counterexample never becomes `unsat`."""
    from hypersplit.bab.steps.candidates import Candidates

    monkeypatch.setattr(Candidates, "check", lambda self, points: None)
    network, prop = files(tmp_path, gap=-0.1)
    path = tmp_path / "run.job"
    result = hypersplit.verify(network, prop, checkpoint=path, **(PLAIN | {"nodes": 5}))
    for nodes in range(10, 400, 30):
        assert result.verdict == "unknown"
        result = resume(path, nodes=nodes, jobs=1)
    monkeypatch.undo()
    assert resume(path, jobs=1).verdict == "sat"


def test_networks_in_memory_are_given_again(tmp_path: Path) -> None:
    """Their digests are those of their numbers."""
    network, prop = problem()
    path = tmp_path / "run.job"
    assert hypersplit.verify(network, prop, checkpoint=path, **(PLAIN | {"nodes": 20})).verdict == "unknown"
    with pytest.raises(InputError, match="built in memory"):
        resume(path)
    with pytest.raises(InputError, match="of another network"):
        resume(path, *problem(seed=4))
    assert resume(path, network, prop, jobs=1).verdict == "unsat"


def test_chosen_ports_are_kept(tmp_path: Path) -> None:
    """A run goes on with the outputs that were chosen for it, and with no others."""
    network, prop = files(tmp_path)
    model = onnx.load(network)
    name = model.graph.output[0].name
    model.graph.node.append(onnx.helper.make_node("Neg", [name], ["other"]))
    model.graph.output.append(onnx.helper.make_tensor_value_info("other", onnx.TensorProto.FLOAT, None))
    onnx.save(model, network)
    path = tmp_path / "run.job"
    first = hypersplit.verify(network, prop, checkpoint=path, output=name, **(PLAIN | {"nodes": 20}))
    assert first.reason == "nodes"
    with pytest.raises(InputError, match=f"option output = other: .* was begun with {name}"):
        resume(path, output="other")
    assert resume(path, jobs=1).verdict == "unsat"


def test_a_witness_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sat` is never said on a file's word."""
    network = small_files.absolute(tmp_path / "net.onnx")
    path = tmp_path / "sat.job"
    result = hypersplit.verify(network, small_files.violated(tmp_path / "p"), checkpoint=path, timeout=60)
    assert result.verdict == "sat"
    monkeypatch.setattr(resuming, "_witness", lambda *_: False)
    with pytest.raises(InputError, match="no counterexample"):
        resume(path)


def started(folder: Path, *words: str) -> subprocess.Popen[str]:
    """A process of its own that searches for a while and writes its checkpoint after every round."""
    network, prop = files(folder, wide=32, gap=0.02)
    command = [
        sys.executable, "-m", "hypersplit.bab", "verify", str(network), str(prop), "--checkpoint",
        str(folder / "run.job"), "--every", "1e-6", "--timeout", "300", "--jobs", "1", "--method", "split", "--option",
        "kernel=plain", "--option", "batch=2", "--json", *words,
    ]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path, process: subprocess.Popen[str], writings: int) -> None:
    """Until the file was written so many times."""
    seen: set[int] = set()
    while len(seen) < writings:
        assert process.poll() is None, process.stderr and process.stderr.read()
        if path.exists():
            seen.add(path.stat().st_mtime_ns)
        time.sleep(0.002)


@pytest.mark.parametrize("writings", [1, 4, 9])
def test_a_killed_process_leaves_a_whole_file(writings: int, tmp_path: Path) -> None:
    """SIGKILL at some moment: the file is read, and leads on."""
    process, path = started(tmp_path), tmp_path / "run.job"
    try:
        wait_for(path, process, writings)
    finally:
        process.kill()
        process.communicate()
    before = load(path, "checkpoint")[1]
    assert before.decided is None
    size = before.jobs[0].size if before.jobs else 1
    result = resume(path, jobs=1, nodes=size + 20)
    assert result.verdict in ("unknown", "unsat") and result.statistics["nodes"] >= size


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError("none left")])
@pytest.mark.parametrize("kept", [True, False])
def test_interruptions_outside_of_a_search_tell_all_nodes(
    kept: bool, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of sets that are over and open and of the one at work, as many as the file has, or would have."""
    network, prop = files(tmp_path, gap=0.2, sets=2)
    path, real, sizes = tmp_path / "run.job", Keeper.watch, list[int]()

    def failing(self: Keeper, work: Work, case: int, query: Query) -> None:
        real(self, work, case, query)
        if case == 1:
            raise error
        work.report = lambda tree: sizes.append(tree.size)

    monkeypatch.setattr(Keeper, "watch", failing)
    monkeypatch.setattr(Limits, "exceeded", lambda self, nodes=0, seconds=0.0: "nodes" if nodes > 20 else "")
    result = hypersplit.verify(network, prop, checkpoint=path if kept else "", **PLAIN)
    assert result.verdict == "unknown" and sizes[-1] > 20
    assert result.statistics["nodes"] == sizes[-1] + 1
    if kept:
        assert sum(job.size for job in load(path, "checkpoint")[1].jobs) == sizes[-1] + 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_write_a_last_one(number: int, tmp_path: Path) -> None:
    """The answer is `unknown`, interrupted, exit code 3; the file has as many nodes as it tells."""
    process, path = started(tmp_path), tmp_path / "run.job"
    wait_for(path, process, 2)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 3, err
    told = json.loads(out)
    assert (told["verdict"], told["reason"]) == ("unknown", "interrupted")
    saved = load(path, "checkpoint")[1]
    assert saved.jobs[0].size == told["statistics"]["nodes"]
    assert not [name for name in os.listdir(tmp_path) if name.endswith((".new", ".before"))]
