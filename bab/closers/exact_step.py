"""The exact last resort as a step of the search: what it closed, the counterexample that it found, and why it gave up.

A counterexample of fractions is one of the real-valued network. The floats next to it are replayed, and what short
descents from them find; if none replays, the search may end all the same: `unsat` has become impossible.
"""

from __future__ import annotations

import itertools
import logging
import math
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from ...encodings.linear.bounds import Bounds
from ...heuristics import policy
from ...heuristics.attacks.attacks import projected_gradient
from ...heuristics.efforts import ExactEffort
from ...instances.batch import Batch, Node
from ...instances.judges.replay import Replay, Witness
from ...instances.network import Array
from ...instances.query import Query
from ..tree.evidence import Evidence, State
from ..tree.search import Closing
from .regions import Check, open_disjuncts

__all__ = ["ExactStep", "not_reproduced"]

LOG = logging.getLogger(__name__)
NEARBY = 1e-3  # share of the input set's widths that half of the descents stay within


@dataclass(eq=False)
class ExactStep:
    """Shared by the trees and threads of one query."""

    deadline: float = math.inf  # time.monotonic()
    counterexample: tuple[Fraction, ...] | None = None  # of the real-valued network, no float next to it replays
    left: str = ""  # why the last node that it was asked about stayed open
    statistics: Counter[str] = field(default_factory=Counter)  # "exact_lps"
    lock: threading.Lock = field(default_factory=threading.Lock)
    effort: ExactEffort = field(default_factory=lambda: policy.EFFORTS.exact)

    @property
    def found(self) -> str:
        """Why the search need not go on, "" where it must."""
        return "" if self.counterexample is None else "a counterexample of the real-valued network"

    def take(self, query: Query, point: tuple[Fraction, ...], check: Check, deadline: float) -> Witness | None:
        """The witness at or near a counterexample of the real-valued network; where there is none it is kept."""
        witness = _replayed(query, point, check, deadline, self.effort)
        if witness is None:
            self.counterexample = point
        return witness

    def decide(
        self, query: Query, node: Node, disjuncts: list[int], check: Check, final: bool = True,
        seconds: float = math.inf,
    ) -> tuple[int, Witness | None]:  # fmt: skip
        """Disjuncts on a node: (Evidence.EXACT, State.STUCK where a counterexample is known that does not replay, or
        State.OPEN; a witness or None).

        final: whether nobody will ask again; else a counterexample that does not replay is let go, and the node stays
        open. seconds: at most, of all of them.
        """
        from .exact_closing import decide_exactly

        if self.counterexample is not None:
            return State.STUCK, None
        until = min(self.deadline, time.monotonic() + min(seconds, self.effort.seconds))
        result = int(Evidence.EXACT)
        for k in disjuncts:
            outcome = decide_exactly(query, node, k, until, self.effort, rounding=True)
            LOG.info("exact arithmetic at depth %d, disjunct %d: %s %s, %d linear programs", node.depth, k,
                     outcome.status, outcome.reason, outcome.lps)  # fmt: skip
            with self.lock:
                self.statistics["exact_lps"] += outcome.lps
            if outcome.point is not None:
                if not final:
                    return State.OPEN, _replayed(query, outcome.point, check, until, self.effort)
                witness = self.take(query, outcome.point, check, until)
                return (State.OPEN if witness else State.STUCK), witness
            if outcome.status != "closed":
                self.left, result = outcome.reason, int(State.OPEN)
        return result, None

    def settle(self, query: Query, batch: Batch, bounds: Bounds, check: Check) -> Closing:
        """The last resort for nodes that cannot be split."""
        closing = Closing.nothing(batch)
        for b in range(len(batch)):
            left = open_disjuncts(query, bounds.margins[b], batch.duty[b])
            closing.kinds[b], closing.witness = self.decide(query, batch.node(b), left, check)
            if closing.witness:
                break
        return closing


def not_reproduced(replay: Replay) -> str:
    """The reason of an `unknown` with a counterexample that no replay confirms."""
    kind = "a counterexample of the real-valued network that "
    if replay.model is None:
        return kind + "is no point of float64 numbers"
    return kind + f"{np.dtype(replay.session.dtype).name} evaluation does not reproduce"


def _replayed(
    query: Query, point: tuple[Fraction, ...], check: Check, deadline: float, effort: ExactEffort
) -> Witness | None:
    """A witness at or near the point, searched until the deadline (time.monotonic())."""
    near = _floats_around(point, effort.corners)
    if witness := check(near):
        return witness
    lower, upper = query.region.lower, query.region.upper
    width = NEARBY * (upper - lower)
    for low, high in ((np.maximum(lower, near[0] - width), np.minimum(upper, near[0] + width)), (lower, upper)):
        # rounding may have left the box
        box = np.minimum(low, high), np.maximum(low, high)
        found, _ = projected_gradient(query, near, *box, effort.steps, deadline=deadline)
        if witness := check(found):
            return witness
    return None


def _floats_around(point: tuple[Fraction, ...], most: int) -> Array:
    """The nearest float64 point, then points with each input rounded to float32 downward or upward. [P, inputs]."""
    nearest = np.array([float(x) for x in point])
    with np.errstate(over="ignore"):
        single = nearest.astype(np.float32)
    sides = []
    for x, s in zip(point, single, strict=True):
        value = Fraction(float(s)) if np.isfinite(s) else x
        other = np.nextafter(s, np.float32(np.inf if value < x else -np.inf))
        sides.append((float(s),) if value == x else (float(s), float(other)))
    corners = itertools.islice(itertools.product(*sides), most)
    return np.array([nearest.tolist(), *(list(c) for c in corners)])
