"""Run a command under a time and a memory limit enforced from outside.

The command gets a session of its own, so that it and all its workers can be ended together. Memory is
resident memory, polled: a limit on address space (RLIMIT_AS) counts what threads merely reserve, and kills
healthy runs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Ended", "run_limited"]

POLL = 0.05  # seconds between looks at memory
KB = 1024 / 1e6  # /proc counts in units of 1024 bytes, we in MB of 10**6


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int | None  # its exit code, negative for a signal; None where a limit ended it
    stdout: str
    stderr: str
    seconds: float  # wall clock of the whole process
    peak_mb: (
        float  # largest sum of resident memory over its processes that was seen; 0 where /proc is missing
    )
    limit: str = ""  # "time", "memory" or "interrupted" where that ended it


def run_limited(
    command: Sequence[str],
    seconds: float,
    memory_mb: float,
    environment: Mapping[str, str],
    stop: threading.Event | None = None,
) -> Ended:
    """Run `command` until it ends, `seconds` or `memory_mb` are exceeded, or `stop` is set.

    environment: added to this process's own.
    """
    with (
        tempfile.TemporaryFile("w+", errors="replace") as out,
        tempfile.TemporaryFile("w+", errors="replace") as err,
    ):
        started = time.monotonic()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env={**os.environ, **environment},
            start_new_session=True,
        )  # fmt: skip
        ended_at: list[float] = []
        waiter = threading.Thread(target=lambda: ended_at.append(_wait(process)), daemon=True)
        waiter.start()
        peak, limit = 0.0, ""
        while waiter.is_alive():
            peak = max(peak, _resident_mb(process.pid, peak))
            limit = _exceeded(time.monotonic() - started, seconds, peak, memory_mb, stop)
            if limit:
                break
            waiter.join(POLL)
        _kill(process.pid)  # on a normal end too: a worker may be left over
        waiter.join()
        out.seek(0)
        err.seek(0)
        code = None if limit else process.returncode
        return Ended(code, out.read(), err.read(), ended_at[0] - started, peak, limit)


def _wait(process: subprocess.Popen[bytes]) -> float:
    """Block until the process ends; when that was."""
    process.wait()
    return time.monotonic()


def _exceeded(
    elapsed: float, seconds: float, peak: float, memory_mb: float, stop: threading.Event | None
) -> str:
    if stop is not None and stop.is_set():
        return "interrupted"
    if elapsed > seconds:
        return "time"
    return "memory" if peak > memory_mb else ""


def _kill(group: int) -> None:
    with contextlib.suppress(
        ProcessLookupError, PermissionError
    ):  # nobody is left (macOS says it the second way)
        os.killpg(group, signal.SIGKILL)


def _resident_mb(group: int, peak: float) -> float:
    """Resident memory of all processes of the group now; of a single one, its peak so far.

    Forked processes share pages, which count once. That takes the kernel a walk over all of them, so it is only
    asked where the plain sum exceeds `peak`.
    """
    members = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):  # it ended while we looked
            if int((folder / "stat").read_text().rpartition(")")[2].split()[2]) == group:
                members.append((folder, (folder / "status").read_text()))
    if len(members) == 1:
        return _kilobytes(members[0][1], "VmHWM:") * KB
    plain = sum(_kilobytes(status, "VmRSS:") for _, status in members) * KB
    return plain if plain <= peak else sum(_shared_out(*member) for member in members) * KB


def _shared_out(folder: Path, status: str) -> int:
    """Kilobytes of one process, a page that n processes share as 1/n; plain where the system does not tell."""
    try:
        return _kilobytes((folder / "smaps_rollup").read_text(), "Pss:")
    except ProcessLookupError:  # it ended while we looked
        return 0
    except OSError:
        return _kilobytes(status, "VmRSS:") if folder.exists() else 0


def _kilobytes(status: str, field: str) -> int:
    for line in status.splitlines():
        if line.startswith(field):
            return int(line.split()[1])
    return 0  # a process that has ended and was not yet waited for has no memory
