"""Python's collector of circular garbage, paused while a question is read.

Reading makes objects by hundreds of thousands, all of which stay: the collector would look at them again and again and
let go of none.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["paused"]


@contextmanager
def paused() -> Iterator[None]:
    """The collector rests inside this block, and goes on behind it if it was at work before."""
    before = gc.isenabled()
    try:
        gc.disable()  # inside: a limit may interrupt right behind it
        yield
    finally:
        if before:
            gc.enable()
