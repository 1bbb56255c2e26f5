"""Nodes that resist at a jump, decided in exact arithmetic as long as they can still be split.

Relaxations take the graph of a function that jumps for closed. So a part of the input set that ends where an argument
is exactly at the jump stays open, however small it becomes, if the property turns on the value that the function has
there: halving it never ends. Exact arithmetic goes through the function's pieces, each with the ends that belong to it
(`instances.curves.pieces`). It is asked about nodes that were split a few times for each neuron at a jump, with a share
of the time. A counterexample that the file does not reproduce is no reason to end: another one may be elsewhere.

Arguments at the jump itself are where rounding may decide otherwise, so it closes what holds in float32 as well
(`exact_closing`), and the corners of the node where arguments of the first layer are least and largest are run in the
file first.
"""

from __future__ import annotations

import time

import numpy as np

from ...encodings.exact.region import inexact
from ...heuristics.efforts import JumpEffort
from ...instances.batch import Batch, Node
from ...instances.curves.names import curve
from ...instances.curves.pieces import has_pieces
from ...instances.network import Array
from ...instances.query import Query
from ...instances.sparse import is_sparse
from ..tree.evidence import Evidence
from ..tree.search import Closing
from .exact_step import ExactStep
from .regions import Check, open_disjuncts

__all__ = ["JumpCloser", "at_jumps", "decides_jumps"]


def decides_jumps(query: Query) -> bool:
    """Whether the network jumps, and exact arithmetic can follow it."""
    return any(has_pieces(kind) for kind in query.kinds) and not inexact(query.network)


def at_jumps(query: Query, batch: Batch) -> Array:
    """[B, neurons] bool: neurons whose bounds hold a jump of theirs, inside or at an end."""
    found = np.zeros(batch.pre_lower.shape, dtype=bool)
    for kind, part in zip(query.kinds, query.slices, strict=True):
        if has_pieces(kind):
            found[:, part] = curve(kind).holds_jump(batch.pre_lower[:, part], batch.pre_upper[:, part])
    return found


class JumpCloser:
    """Of one search; its threads share it. See `steps.closing.Closer` for `close`."""

    def __init__(self, query: Query, exact: ExactStep, effort: JumpEffort | None = None) -> None:
        self.query, self.exact, self.effort = query, exact, effort or JumpEffort()
        self.started, self.seconds = time.monotonic(), 0.0

    def close(self, batch: Batch, margins: Array, check: Check, closing: Closing) -> None:
        """Nodes that resist, as long as there is time for them; `closing` is told what they refute."""
        jumping = at_jumps(self.query, batch)
        unstable = ((batch.pre_lower < 0.0) & (batch.pre_upper > 0.0) & self.query.relu).sum(axis=1)
        count = jumping.sum(axis=1) + unstable
        due = jumping.any(axis=1) & (count <= self.effort.few) & (batch.depth >= self.effort.patience * count)
        for b in np.flatnonzero(due).tolist():
            if closing.witness or not self._has_time():
                return
            began, node = time.monotonic(), batch.node(b)
            left = open_disjuncts(self.query, margins[b], closing.duty[b])
            kind, closing.witness = self.exact.decide(self.query, node, left, check, False, self.effort.seconds)
            if closing.witness is None and kind == Evidence.EXACT:
                closing.witness = check(_corners(self.query, node, jumping[b]))
                closing.kinds[b] = closing.kinds[b] if closing.witness else kind
            self.seconds += time.monotonic() - began

    def _has_time(self) -> bool:
        spent = time.monotonic() - self.started
        return self.seconds <= self.effort.seconds + self.effort.share * spent


def _corners(query: Query, node: Node, jumping: Array) -> Array:
    """[P, inputs] corners of the node where arguments at jumps that read the input alone are least and largest."""
    found = [0.5 * node.lower + 0.5 * node.upper]
    for layer, part in zip(query.network.layers, query.slices, strict=False):
        if layer.sources != (0,):
            continue
        for i in np.flatnonzero(jumping[part]).tolist():
            w = layer.weights[0]
            row = w[[i]].toarray()[0] if is_sparse(w) else w[i]
            found += [np.where(row > 0.0, node.lower, node.upper), np.where(row > 0.0, node.upper, node.lower)]
    return np.stack(found)
