"""Processes with limits from outside."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from hypersplit.bab.bench.limited_process import run_limited


def alive(stat: Path) -> bool:
    """Whether the process of a /proc/PID/stat is there, and not merely waiting to be noticed as ended."""
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_time_is_limited_from_outside(tmp_path: Path) -> None:
    """A process that never ends is killed with its children, and counts as `timeout`."""
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, flush=True)\ntime.sleep(600)"
    )
    ended = run_limited([sys.executable, "-c", code], 1.5, 1000.0, {})
    assert (ended.limit, ended.code) == ("time", None)
    child = Path("/proc") / ended.stdout.strip() / "stat"
    waited = time.monotonic() + 60.0
    while alive(child) and time.monotonic() < waited:  # a killed process takes a moment to end
        time.sleep(0.01)
    assert not alive(child)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="resident memory is read from /proc")
def test_memory_is_limited_from_outside() -> None:
    """A process over the memory limit is killed, and its peak is told."""
    code = "import time; block = bytearray(300_000_000); time.sleep(600)"
    ended = run_limited([sys.executable, "-c", code], 300.0, 200.0, {})
    assert ended.limit == "memory"
    assert ended.peak_mb > 200.0


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="shared pages are read from /proc")
def test_pages_that_forked_processes_share_count_once() -> None:
    """Two processes with one block of memory are within a limit that two blocks would exceed."""
    code = (
        "import os, time\nblock = bytearray(b'1') * 200_000_000\n"
        "if os.fork() == 0:\n    time.sleep(0.6)\n    os._exit(0)\nos.wait()"
    )
    ended = run_limited([sys.executable, "-c", code], 60.0, 350.0, {})
    assert (ended.code, ended.limit) == (0, "")
    assert 200.0 < ended.peak_mb < 350.0


def test_output_and_exit_code_come_back() -> None:
    """What a process says and how it ends are handed on, and its environment is ours with the additions."""
    code = "import os, sys; print(os.environ['ANSWER']); print('no', file=sys.stderr); sys.exit(7)"
    ended = run_limited([sys.executable, "-c", code], 60.0, 1000.0, {"ANSWER": "42"})
    assert (ended.code, ended.stdout, ended.stderr, ended.limit) == (7, "42\n", "no\n", "")
