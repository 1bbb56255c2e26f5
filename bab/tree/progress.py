"""The bar on long work: nodes bounded, what is open, the best bound. Off when not asked for or not on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .tree import Tree

__all__ = ["progress"]

AFTER = 1.0  # seconds before the bar appears: short runs stay quiet
EVERY = 0.2  # seconds between updates


@contextmanager
def progress(wanted: bool) -> Iterator[Callable[[Tree], None]]:
    """A callable (tree) that draws a tqdm bar on stderr."""
    if not wanted or not sys.stderr.isatty():
        yield lambda tree: None
        return
    from tqdm import tqdm

    bar = tqdm(unit=" nodes", delay=AFTER, leave=False, mininterval=EVERY)
    last = time.monotonic()

    def report(tree: Tree) -> None:
        nonlocal last
        if time.monotonic() - last < EVERY:
            return
        last = time.monotonic()
        bar.set_postfix_str(f"open {tree.count_open}, bound {tree.margin:.4g}", refresh=False)
        bar.update(max(0, tree.size - bar.n))

    try:
        yield report
    finally:
        bar.close()
