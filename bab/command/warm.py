"""`hypersplit warm`: compile the kernels ahead, in the foreground."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator

from ...encodings.kernels.cache import Family, kernel_folder, kernels_ready
from ...encodings.kernels.lock import holding
from ...encodings.kernels.switch import POLL, compilation_lock
from ...encodings.slopes.compile_kernels import FAMILIES, compile_family

__all__ = ["warm"]

ABOUT: dict[Family, str] = {
    "narrow": "bounds of networks with few inputs",
    "contraction": "propagation of the conflict-driven search",
    "wide": "bounds of networks with many inputs",
}
PATIENCE = 0.5  # seconds: who has the lock for longer is not only looking


def warm() -> int:
    """Compile what is not ready, or wait for whoever compiles it; says what it does and how long it took. Returns 0.

    Raises OSError where the compiled code cannot be kept.
    """
    started = time.monotonic()
    missing: list[Family] = [family for family in FAMILIES if not kernels_ready(family)]
    if not missing:
        print(f"all kernels are compiled already: {kernel_folder()}")
        return 0
    kernel_folder().mkdir(parents=True, exist_ok=True)
    waiting = False
    while not all(kernels_ready(family) for family in missing):
        with holding(compilation_lock(), PATIENCE) as mine:
            if mine:
                with _mortal():
                    _compile(missing)
                break
        if not waiting:
            print("another process compiles kernels now: waiting for it", flush=True)
        waiting = True
        time.sleep(POLL)
    print(f"kernels ready after {time.monotonic() - started:.1f} s: {kernel_folder()}")
    return 0


def _compile(families: list[Family]) -> None:
    for family in families:
        if kernels_ready(family):  # by whoever had the lock before
            continue
        print(f"compiling kernels: {ABOUT[family]} ... ", end="", flush=True)
        started = time.monotonic()
        compile_family(family)
        print(f"{time.monotonic() - started:.1f} s", flush=True)


@contextlib.contextmanager
def _mortal() -> Iterator[None]:
    """Inside, Ctrl-C and SIGTERM end the process on the spot: what is compiled is kept, and an exception that is raised
    in a callback of the compiler would get lost."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
