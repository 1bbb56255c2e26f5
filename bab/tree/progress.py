"""The bar on long work: nodes bounded, what is open, the best bound. Off when not asked for or not on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .frontier import Frontier

__all__ = ["progress"]

AFTER = 1.0  # seconds before the bar appears: short runs stay quiet
EVERY = 0.2  # seconds between updates


@contextmanager
def progress(wanted: bool) -> Iterator[Callable[[int, Frontier], None]]:
    """A callable (nodes so far, frontier) that draws a tqdm bar on stderr."""
    if not wanted or not sys.stderr.isatty():
        yield lambda nodes, frontier: None
        return
    from tqdm import tqdm

    bar = tqdm(unit=" nodes", delay=AFTER, leave=False, mininterval=EVERY)
    last = time.monotonic()

    def report(nodes: int, frontier: Frontier) -> None:
        nonlocal last
        if time.monotonic() - last < EVERY:
            return
        last = time.monotonic()
        bar.set_postfix_str(f"open {len(frontier)}, bound {frontier.margin:.4g}", refresh=False)
        bar.update(max(0, nodes - bar.n))

    try:
        yield report
    finally:
        bar.close()
