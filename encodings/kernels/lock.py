"""Which process does what several want done once: a file that is locked by the process that does it, while it lives.

The operating system takes a lock (`flock`) back from a process that ends, however it ends. No number is compared, so
that holds between containers, in which process numbers mean nothing, and over NFS. Where a file system knows no locks,
a mark beside the file stands in: its holder touches it every BEAT seconds, and when it has not been touched for SILENCE
it is nobody's. (Then two processes may rarely hold it: whatever is done under it must be right if it is done twice.)
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["holding", "is_held"]

BEAT = 1.0  # seconds
SILENCE = 20.0  # seconds: a busy machine delays a beat; not as many
POLL = 0.05  # seconds between two attempts


@contextlib.contextmanager
def holding(path: Path, patience: float = 0.0) -> Iterator[bool]:
    """Hold the lock inside the block; False where another process still holds it after `patience` seconds.

    The file is made where it is missing, and stays. Raises OSError where it cannot be made.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        until = time.monotonic() + patience
        while not (locked := _lock(file, alone=True)) and locked is not None and time.monotonic() < until:
            time.sleep(POLL)
        if locked is None:
            with _marking(_mark_of(path)) as marked:
                yield marked
        else:
            yield locked
    finally:
        os.close(file)


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        free = _lock(file, alone=False)
        return _beats(_mark_of(path)) if free is None else not free
    finally:
        os.close(file)


def _lock(file: int, alone: bool) -> bool | None:
    """Lock an open file, alone or with others that only look; None where there are no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # either may say that another process has it
        return False
    except OSError:
        return None
    return True


def _mark_of(path: Path) -> Path:
    return path.with_suffix(".mark")


def _beats(mark: Path) -> bool:
    try:
        return abs(time.time() - mark.stat().st_mtime) < SILENCE  # clocks differ: a mark of the future is no better
    except OSError:
        return False


@contextlib.contextmanager
def _marking(mark: Path) -> Iterator[bool]:
    """`holding` by a mark that is touched."""
    if _beats(mark):
        yield False
        return
    mark.unlink(missing_ok=True)
    try:
        os.close(os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    except FileExistsError:
        yield False
        return
    done = threading.Event()
    threading.Thread(target=_beat, args=(mark, done), daemon=True).start()
    try:
        yield True
    finally:
        done.set()
        mark.unlink(missing_ok=True)


def _beat(mark: Path, done: threading.Event) -> None:
    with contextlib.suppress(OSError):  # taken away: no longer ours
        while not done.wait(BEAT):
            os.utime(mark)
