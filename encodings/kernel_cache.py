"""Where compiled kernels are kept between runs.

numba keeps compiled code beside the source file and discards it when that file changes. The kernels call each other
across files, so code of an old version could survive there; and an installation may not be writable. They are kept in
the user's cache folder instead, under a name that is the digest of all their sources.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["kernel_cache", "kernel_folder"]


def kernel_folder() -> Path:
    """The folder of this version's compiled kernels; NUMBA_CACHE_DIR, then XDG_CACHE_HOME move it."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("kernel*.py")):
        digest.update(path.read_bytes())
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    base = os.environ.get("NUMBA_CACHE_DIR") or Path(home) / "hypersplit"
    return Path(base) / f"kernels-{digest.hexdigest()[:16]}"


@contextmanager
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
