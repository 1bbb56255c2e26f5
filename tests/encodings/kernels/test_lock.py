"""A lock is its living holder's: held against others, free when it is given back or the holder is killed."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hypersplit.encodings.kernels import lock as module
from hypersplit.encodings.kernels.lock import holding, is_held

HOLDER = """
import sys
from pathlib import Path
from hypersplit.encodings.kernels import lock
if sys.argv[2] == "marks":
    lock.fcntl = None
with lock.holding(Path(sys.argv[1])) as mine:
    print(mine, flush=True)
    sys.stdin.read()
"""


def unable(*_: Any) -> None:
    """A file system without locks."""
    raise OSError(errno.ENOLCK, "no locks available")


@pytest.fixture(params=["locks", "marks"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With the operating system's locks, and without them."""
    if request.param == "marks":
        monkeypatch.setattr(module, "fcntl", SimpleNamespace(flock=unable, LOCK_EX=2, LOCK_SH=1, LOCK_NB=4))
    else:
        pytest.importorskip("fcntl")
    return str(request.param)


def until(condition: Callable[[], bool]) -> None:
    """Return as soon as it holds."""
    while not condition():
        time.sleep(0.01)


def holder(path: Path, way: str) -> subprocess.Popen[str]:
    """Another process that holds the lock until its input ends."""
    command = [sys.executable, "-c", HOLDER, str(path), way]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "True\n"
    return process


def test_one_holds_it_at_a_time(way: str, tmp_path: Path) -> None:
    """Whoever asks meanwhile is told so; afterwards it is free, and looking makes no file."""
    path = tmp_path / "it.lock"
    assert not is_held(path) and not path.exists()
    for _ in range(2):
        with holding(path) as mine:
            assert mine and is_held(path)
            with holding(path) as again:
                assert not again
            assert is_held(path), "who did not get it took nothing away"
        assert not is_held(path)


def test_an_exception_gives_it_back(way: str, tmp_path: Path) -> None:
    """The exception goes on, the lock is free."""
    with pytest.raises(ZeroDivisionError), holding(tmp_path / "it.lock"):
        raise ZeroDivisionError
    assert not is_held(tmp_path / "it.lock")


def test_a_process_that_ends_gives_it_back(way: str, tmp_path: Path) -> None:
    """While it lives nobody else gets it; then the next one does."""
    path = tmp_path / "it.lock"
    process = holder(path, way)
    with holding(path) as mine:
        assert not mine and is_held(path)
    process.communicate("")
    assert not is_held(path)
    with holding(path) as mine:
        assert mine


def test_a_killed_process_holds_nothing(way: str, tmp_path: Path) -> None:
    """At once with locks; with marks as soon as its mark is old."""
    path = tmp_path / "it.lock"
    process = holder(path, way)
    process.kill()
    process.communicate()
    if way == "marks":
        assert is_held(path)
        old = time.time() - 2.0 * module.SILENCE
        os.utime(path.with_suffix(".mark"), (old, old))
    assert not is_held(path)
    with holding(path) as mine:
        assert mine and is_held(path)


def test_who_is_patient_gets_it_when_it_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again until then."""
    pytest.importorskip("fcntl")
    path = tmp_path / "it.lock"
    process = holder(path, "locks")
    monkeypatch.setattr(
        module, "time", SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: process.communicate(""))
    )
    with holding(path, patience=3600.0) as mine:
        assert mine


def test_marks_are_kept_young(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A holder that works for longer than SILENCE still has its mark."""
    monkeypatch.setattr(module, "fcntl", None)
    monkeypatch.setattr(module, "BEAT", 0.01)
    path = tmp_path / "it.lock"
    with holding(path) as mine:
        old = time.time() - 2.0 * module.SILENCE
        os.utime(path.with_suffix(".mark"), (old, old))
        until(lambda: is_held(path))
        assert mine
    assert not path.with_suffix(".mark").exists()


def test_marks_of_the_future_are_nobodys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that was set back does not keep a dead holder's mark for ever."""
    monkeypatch.setattr(module, "fcntl", None)
    path, late = tmp_path / "it.lock", time.time() + 1e6
    path.touch()
    path.with_suffix(".mark").touch()
    assert is_held(path)
    os.utime(path.with_suffix(".mark"), (late, late))
    assert not is_held(path)


def test_a_file_that_cannot_be_made_is_said(way: str, tmp_path: Path) -> None:
    """No folder, no lock: OSError, and nobody holds it."""
    assert not is_held(tmp_path / "absent" / "it.lock")
    with pytest.raises(FileNotFoundError), holding(tmp_path / "absent" / "it.lock"):
        pass
