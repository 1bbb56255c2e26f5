"""Where compiled kernels are kept between runs.

numba keeps compiled code beside the source file and discards it when that file changes. The kernels call each other
across files, so code of an old version could survive there; and an installation may not be writable. They are kept in
the user's cache folder instead, under a name that is the digest of all their sources (the constants of `rounding`
included) and of what they are compiled by and for. numba writes a function there as soon as it is compiled, so a
compiler that is killed loses one function; a family of kernels whose functions are all there is marked as ready.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Literal

from ...instances import rounding

__all__ = ["Family", "kernel_cache", "kernel_folder", "kernels_ready", "mark_ready"]

SHARED = (Path(rounding.__file__),)  # files elsewhere whose constants are compiled in
Family = Literal["narrow", "contraction", "wide"]  # what is compiled, and wanted, together


@cache
def kernel_folder() -> Path:
    """The folder of this version's compiled kernels; NUMBA_CACHE_DIR, then XDG_CACHE_HOME move it."""
    from importlib.metadata import version

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
    import platform

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


def kernels_ready(family: Family) -> bool:
    """Whether the kernels of a family can be had without compiling; numba does not read where it cannot write."""
    return _mark(family).exists() and os.access(kernel_folder(), os.W_OK)


def mark_ready(family: Family) -> None:
    """To be called once every function of a family is compiled. Raises OSError where nothing can be kept."""
    _mark(family).touch()


def _mark(family: Family) -> Path:
    return kernel_folder() / f"{family}.ready"
