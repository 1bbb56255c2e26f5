"""Where compiled kernels are kept between runs, and how they get there without anybody waiting.

numba keeps compiled code beside the source file and discards it when that file changes. The kernels call each other
across files, so code of an old version could survive there; and an installation may not be writable. They are kept in
the user's cache folder instead, under a name that is the digest of all their sources (the constants of `rounding`
included) and of what they are compiled by and for. Compiling takes about a minute, once: a process of its own does it,
while the run that first wanted the kernels goes on with numpy.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path

from ...instances import rounding

__all__ = ["Switch", "compile_in_background", "kernel_cache", "kernel_folder", "kernels_ready", "mark_ready"]

SHARED = (Path(rounding.__file__),)  # files elsewhere whose constants are compiled in
PATIENCE = 180.0  # seconds after which a compilation that was begun counts as lost
_WORKER = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from hypersplit.encodings.slopes.compile_kernels import compile_kernels
compile_kernels()
"""


@cache
def kernel_folder() -> Path:
    """The folder of this version's compiled kernels; NUMBA_CACHE_DIR, then XDG_CACHE_HOME move it."""
    digest = hashlib.sha256()
    for path in (*sorted(Path(__file__).parent.glob("*.py")), *SHARED):
        digest.update(path.read_bytes())
    # numba itself adds the sources' place to its key
    words = [str(Path(__file__).resolve()), sys.version, _processor()]
    words += [version(name) for name in ("numba", "llvmlite", "numpy", "scipy")]
    digest.update("\n".join(words).encode())
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    base = os.environ.get("NUMBA_CACHE_DIR") or Path(home) / "hypersplit"
    return Path(base) / f"kernels-{digest.hexdigest()[:16]}"


def _processor() -> str:
    """What instructions the code may use."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())


@contextlib.contextmanager
def kernel_cache() -> Iterator[None]:
    """Functions that numba is given inside this block are cached in `kernel_folder`; a folder that cannot be written
    only means that they are compiled again in the next run."""
    from numba import config

    before = config.CACHE_DIR
    config.CACHE_DIR = str(kernel_folder())
    try:
        yield
    finally:
        config.CACHE_DIR = before


def kernels_ready() -> bool:
    """Whether the kernels can be had without compiling."""
    return (kernel_folder() / "ready").exists()


def mark_ready() -> None:
    """To be called once everything is compiled."""
    with contextlib.suppress(OSError):
        (kernel_folder() / "ready").touch()


def compile_in_background() -> None:
    """Start a process that compiles the kernels, unless one has been started lately; it outlives this one."""
    mark = kernel_folder() / "begun"
    try:
        mark.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            if time.time() - mark.stat().st_mtime > PATIENCE:
                mark.unlink()
        mark.touch(exist_ok=False)
        subprocess.Popen(
            [sys.executable, "-c", _WORKER, json.dumps(sys.path)], start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    except OSError:
        return  # begun by another run, or nowhere to keep the result: numpy it is


class Switch:
    """Which of two twins works on a query: numpy at first, the kernel once numpy has taken long enough to repay the
    import of numba."""

    def __init__(self, suited: bool, after: float) -> None:
        self.suited, self.after = suited, after  # suited: whether the kernel can do it; after: seconds of numpy's work
        self.seconds = 0.0  # to be added to by whoever works
        self.ready = "numba" in sys.modules and kernels_ready()

    def compiled(self, choice: str) -> bool:
        """Whether the next batch goes to the kernel. choice: see `bounds.LinearBoundOptions.kernel`."""
        if choice != "auto" or not self.suited:
            return self.suited and choice == "compiled"
        if not self.ready and self.seconds > self.after:
            self.ready = kernels_ready()
            if not self.ready:
                compile_in_background()
        return self.ready
