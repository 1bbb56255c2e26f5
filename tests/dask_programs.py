"""A scheduler of Dask's with two workers, as programs of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["dask", "dask_worker"]


@contextmanager
def dask(port: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """(address, [scheduler, worker, worker]); what the list holds by then ends with the block."""
    address = f"tcp://127.0.0.1:{port}"
    programs = [_program("dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")]
    programs += [dask_worker(address), dask_worker(address)]
    try:
        yield address, programs
    finally:
        for program in programs:
            program.kill()
            program.wait()


def dask_worker(address: str) -> subprocess.Popen[bytes]:
    """A worker of one thread, which nobody replaces."""
    return _program("dask_worker", address, "--nthreads", "1", "--nworkers", "1", "--no-nanny", "--no-dashboard",
                    "--host", "127.0.0.1")  # fmt: skip


def _program(name: str, *words: str) -> subprocess.Popen[bytes]:
    here = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    quiet = subprocess.DEVNULL
    return subprocess.Popen([sys.executable, "-m", f"distributed.cli.{name}", *words], env=here, stdout=quiet,
                            stderr=quiet)  # fmt: skip
