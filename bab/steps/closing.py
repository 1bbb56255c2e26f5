"""The costlier means of a step, one after another, each on the nodes that are still open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ...instances.batch import Batch
from ...instances.network import Array
from ..closers.regions import Check
from ..tree.evidence import State
from ..tree.search import Closing

__all__ = ["Closer", "close_by"]

Closer = Callable[[Batch, Array, Check, Closing], None]  # (nodes, margins, replay, what is told): see `node_lp`


def close_by(closers: list[Closer], batch: Batch, margins: Array, check: Check, closing: Closing) -> None:
    """Hand the open nodes to each closer, with what is left to refute; `closing` is told what became of them.

    margins: [B, rows] lower bounds.
    """
    for closer in closers:
        left = np.flatnonzero(closing.kinds == State.OPEN)
        if closing.witness or not len(left):
            break
        part = Closing(closing.kinds[left], closing.duty[left])
        closer(replace(batch[left], duty=part.duty.copy()), margins[left], check, part)
        closing.kinds[left], closing.duty[left], closing.witness = part.kinds, part.duty, part.witness
