"""When a run changes over to compiled kernels, and who compiles them: one process at a time, lost ones are replaced."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hypersplit.encodings.kernels import switch as module
from hypersplit.encodings.kernels.cache import kernel_folder, kernels_ready, mark_ready
from hypersplit.encodings.kernels.lock import holding, is_held
from hypersplit.encodings.kernels.switch import (
    Switch,
    await_kernels,
    begin_compilation,
    compilation_lock,
    compiling,
)
from hypersplit.encodings.linear import linear_bounds
from hypersplit.encodings.propagation import contraction
from hypersplit.encodings.propagation.state import Nogoods, State
from hypersplit.encodings.slopes import phase_bounds
from hypersplit.instances.batch import root
from hypersplit.instances.families.random_networks import random_network, random_property
from hypersplit.instances.query import Query, queries

# compiles for as long as there is no file `go` beside the kernels
STAND_IN = """
import json, sys, time
sys.path[:] = json.loads(sys.argv[1])
from hypersplit.encodings.kernels.cache import kernel_folder, mark_ready
from hypersplit.encodings.kernels.lock import holding
from hypersplit.encodings.kernels.switch import compilation_lock
with holding(compilation_lock(), 60.0) as mine:
    while mine and not (kernel_folder() / "go").exists():
        time.sleep(0.01)
    mark_ready(sys.argv[2])
"""


class Started:
    """A process that is not one: alive until the test says otherwise."""

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.code: int | None = None

    def poll(self) -> int | None:
        return self.code


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache folder of the test's own, and a process that has started nothing."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "_STARTED", [])
    kernel_folder.cache_clear()
    yield tmp_path / "cache"
    for process in module._STARTED:
        if isinstance(process, subprocess.Popen):
            process.kill()
            process.wait()
    kernel_folder.cache_clear()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Started]:
    """The processes that would have been started."""
    replace_popen(monkeypatch, lambda words, **_: Started(words))
    found: list[Started] = []
    monkeypatch.setattr(module, "_STARTED", found)
    return found


def replace_popen(monkeypatch: pytest.MonkeyPatch, popen: Callable[..., Any]) -> None:
    """For the module alone; subprocess itself stays as it is."""
    monkeypatch.setattr(module, "subprocess", SimpleNamespace(Popen=popen, DEVNULL=subprocess.DEVNULL))


def until(condition: Callable[[], bool]) -> None:
    """Return as soon as it holds."""
    while not condition():
        time.sleep(0.01)


def tired(family: Any) -> Switch:
    """The switch of a query that numpy has worked on for long enough."""
    switch = Switch(family, True, 0.5)
    switch.seconds = 1.0
    return switch


def test_one_process_compiles_at_a_time(started: list[Started]) -> None:
    """The first that wants the kernels starts it; a lost one is replaced, but not for ever."""
    for _ in range(3):
        begin_compilation("narrow")
    assert len(started) == 1 and started[0].words[1] == "-c" and compiling()
    for _ in range(3):
        started[-1].code = -signal.SIGKILL
        assert not compiling()
        begin_compilation("wide")
    assert [process.words[-1] for process in started] == ["narrow", "wide"]


def test_what_another_run_compiles_is_not_compiled_again(started: list[Started]) -> None:
    """While another process holds the lock nothing is started; once it is lost, the next run starts it at once."""
    kernel_folder().mkdir(parents=True)
    switch = tired("narrow")
    with holding(compilation_lock()) as mine:
        assert mine and compiling()
        assert not switch.compiled("auto") and started == []
    assert not switch.compiled("auto") and len(started) == 1


def test_a_compiler_that_is_killed_is_noticed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run after it starts another one, and changes over to the kernels when that is ready."""
    pytest.importorskip("fcntl")
    monkeypatch.setattr(module, "_WORKER", STAND_IN)
    first = tired("narrow")
    assert not first.compiled("auto")
    until(lambda: is_held(compilation_lock()))
    lost = module._STARTED[0]
    assert os.getsid(lost.pid) != os.getsid(0), "a signal to the run's group or terminal does not reach it"
    monkeypatch.setattr(module, "_STARTED", [])  # another run, which met it
    next_run = tired("narrow")
    assert not next_run.compiled("auto") and module._STARTED == []
    lost.kill()
    lost.wait()
    assert not compiling()
    assert not next_run.compiled("auto") and len(module._STARTED) == 1
    until(lambda: is_held(compilation_lock()))
    assert not next_run.compiled("auto") and not first.compiled("auto")
    (kernel_folder() / "go").touch()
    until(lambda: kernels_ready("narrow"))
    assert next_run.compiled("auto") and first.compiled("auto") and not tired("wide").compiled("plain")


def test_runs_that_begin_together_wait_for_one_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs that both saw nobody compile start two processes; one of them compiles, both runs change over."""
    monkeypatch.setattr(module, "_WORKER", STAND_IN)
    begin_compilation("narrow")
    mine = module._STARTED
    monkeypatch.setattr(module, "_STARTED", [])
    monkeypatch.setattr(module, "is_held", lambda _: False)  # as if it had not begun yet
    begin_compilation("narrow")
    mine.extend(module._STARTED)
    monkeypatch.setattr(module, "is_held", is_held)
    until(lambda: is_held(compilation_lock()))
    (kernel_folder() / "go").touch()
    await_kernels("narrow")
    assert [process.wait() for process in mine] == [0, 0]
    assert tired("narrow").compiled("auto") and not compiling()


def test_the_process_finds_the_package_and_compiles(started: list[Started], tmp_path: Path) -> None:
    """Its program, run with a stand-in for the package on its path, calls `compile_kernels`."""
    begin_compilation("wide")
    stand_in = tmp_path / "hypersplit" / "encodings" / "slopes" / "compile_kernels.py"
    stand_in.parent.mkdir(parents=True)
    (tmp_path / "hypersplit" / "__init__.py").touch()
    stand_in.write_text("def compile_kernels(first):\n    print('compiled', first)\n")
    python, option, program, path, family = started[0].words
    assert json.loads(path) == sys.path, "where this process finds its modules, and in that order"
    command = [python, option, program, json.dumps([str(tmp_path), *json.loads(path)]), family]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "compiled wide\n"), done.stderr


def test_a_place_that_cannot_be_written_starts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[Started]
) -> None:
    """A file where the folder should be, or a folder of somebody else's: no process, no exception, not ready."""
    kernel_folder().mkdir(parents=True)
    monkeypatch.setattr(module, "os", SimpleNamespace(access=lambda *_: False, W_OK=os.W_OK))
    begin_compilation("narrow")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
    kernel_folder.cache_clear()
    begin_compilation("narrow")
    assert started == [] and not kernels_ready("narrow")


def test_a_process_that_cannot_be_started_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run goes on without compiled kernels."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no more processes")

    replace_popen(monkeypatch, refuse)
    begin_compilation("narrow")
    assert not compiling() and not kernels_ready("narrow")


def test_numpy_works_until_the_family_is_ready(started: list[Started]) -> None:
    """Only what is suited changes over, only once numpy has worked long enough, and only for its own family."""
    kernel_folder().mkdir(parents=True)
    switch = Switch("narrow", True, 0.5)
    assert not switch.compiled("auto") and started == [], "an easy query compiles nothing"
    switch.seconds = 1.0
    mark_ready("wide")
    assert not switch.compiled("auto") and len(started) == 1
    mark_ready("narrow")
    assert switch.compiled("auto") and not switch.compiled("plain")
    for choice in ("auto", "compiled", "plain"):
        assert not Switch("narrow", False, 0.0).compiled(choice)


def test_compiled_waits_for_who_compiles(started: list[Started], monkeypatch: pytest.MonkeyPatch) -> None:
    """The choice `compiled` starts the compilation and returns when its family is ready."""
    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=lambda _: mark_ready("narrow")))
    switch = Switch("narrow", True, 0.5)
    assert switch.compiled("compiled") and len(started) == 1 and kernels_ready("narrow")


def test_compiled_does_without_who_does_not_come_through(
    started: list[Started], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where each compiler is lost, the kernel's own first call compiles it."""
    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=lambda _: setattr(started[-1], "code", -signal.SIGKILL)))
    assert Switch("narrow", True, 0.5).compiled("compiled")
    assert len(started) == module.TRIES and not kernels_ready("narrow")


def query_of(*sizes: int) -> Query:
    network = random_network(sizes, seed=0)
    return queries(network, random_property(network, seed=0))[0]


def test_linear_bounds_change_over_during_a_run(started: list[Started], monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches are bounded by numpy while others compile, by the kernel once it is ready."""
    query = query_of(2, 3, 2)
    monkeypatch.setattr(linear_bounds, "KERNEL_AFTER", 0.0)
    for _ in range(3):
        assert linear_bounds.bound(query, root(query)).margins.shape == (1, query.rows)
    assert [process.words[-1] for process in started] == ["narrow"]
    mark_ready("narrow")
    monkeypatch.setitem(
        sys.modules, "hypersplit.encodings.linear.narrow_bounds", SimpleNamespace(bound_narrow=lambda *_: "kernel")
    )
    assert linear_bounds.bound(query, root(query)) == "kernel"


def test_phase_bounds_change_over_during_a_run(started: list[Started], monkeypatch: pytest.MonkeyPatch) -> None:
    """So are the hidden bounds of phase nodes."""
    query = query_of(70, 3, 3, 2)
    batch = root(query)
    bounds = linear_bounds.bound(query, batch)
    batch.pre_lower, batch.pre_upper = bounds.pre_lower, bounds.pre_upper
    monkeypatch.setattr(phase_bounds, "KERNEL_AFTER", 0.0)
    options = phase_bounds.OptimiseOptions()
    for _ in range(3):
        assert phase_bounds.refresh_phases(query, batch, options).margins.shape == (1, query.rows)
    assert [process.words[-1] for process in started] == ["wide"]
    mark_ready("wide")
    monkeypatch.setitem(
        sys.modules, "hypersplit.encodings.slopes.refreshed_bounds", SimpleNamespace(refresh_wide=lambda *_: "kernel")
    )
    assert phase_bounds.refresh_phases(query, batch, options) == "kernel"


def test_contraction_changes_over_during_a_run(started: list[Started], monkeypatch: pytest.MonkeyPatch) -> None:
    """So are the propagations of one conflict-driven search."""
    query = query_of(2, 3, 3, 2)
    node = root(query).node(0)
    bounds = linear_bounds.bound(query, root(query))
    node.pre_lower[:], node.pre_upper[:] = bounds.pre_lower[0], bounds.pre_upper[0]
    monkeypatch.setattr(contraction, "KERNEL_AFTER", 0.0)
    calls: list[int] = []
    monkeypatch.setattr(contraction, "contraction_kernel", lambda: lambda *_: calls.append(1))
    propagation = contraction.Propagation(query, node, 0)
    for _ in range(3):
        propagation.contract(State.of(query, node), Nogoods())
    assert [process.words[-1] for process in started] == ["contraction"] and calls == []
    mark_ready("contraction")
    propagation.contract(State.of(query, node), Nogoods())
    assert calls == [1]
