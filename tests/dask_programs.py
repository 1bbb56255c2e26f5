"""A scheduler of Dask's with two workers, as programs of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["dask"]


@contextmanager
def dask(port: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """(address, [scheduler, worker, worker]); they end with the block."""
    address, here = f"tcp://127.0.0.1:{port}", {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    ask = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port),
           "--no-dashboard"]  # fmt: skip
    help_it = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--nworkers", "1",
               "--no-nanny", "--no-dashboard", "--host", "127.0.0.1"]  # fmt: skip
    quiet = subprocess.DEVNULL
    programs = [subprocess.Popen(words, env=here, stdout=quiet, stderr=quiet) for words in (ask, help_it, help_it)]
    try:
        yield address, programs
    finally:
        for program in programs:
            program.kill()
            program.wait()
