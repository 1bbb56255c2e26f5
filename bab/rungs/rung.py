"""A rung of the ladder of relaxations: something dearer than a node's own bounds, for nodes of any tree.

    linear bounds -> optimised slopes -> triangle LP -> LP with rows of several neurons -> partial MILP -> SCIP's MILP

A rung bounds nodes, whatever split them: boxes, half-spaces and phases are in the node. It returns proved bounds and
points to replay; who asks it, and how often, is the `ladder`'s business. A rung that fails leaves what was proved.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ...instances.batch import Batch
from ...instances.judges.replay import Witness
from ...instances.network import Array
from ...instances.query import Query
from ..closers.regions import Check
from ..tree.evidence import Evidence

__all__ = ["Climb", "Rung", "duties_of"]


@dataclass(eq=False)
class Climb:
    """What a rung found out about B nodes."""

    bounds: Array  # [B, disjuncts] proved lower bounds of each disjunct's largest margin; -inf: nothing, +inf: refuted
    evidence: Array  # [B] int8, the Evidence that a node ends by, should it end
    asked: Array  # [B] bool: nodes for which there was time
    points: list[Array] = field(default_factory=list)  # [inputs] where the relaxation is least
    witness: Witness | None = None

    @staticmethod
    def nothing(batch: Batch, evidence: Evidence) -> Climb:
        """Nothing is known yet."""
        count = len(batch)
        nobody, kinds = np.zeros(count, dtype=bool), np.full(count, evidence, dtype=np.int8)
        return Climb(np.full(batch.duty.shape, -np.inf), kinds, nobody)


class Rung(Protocol):
    """One relaxation of one query. Threads share it."""

    @property
    def name(self) -> str:
        """As the option `node_bounds` calls it."""
        ...

    def climb(self, batch: Batch, margins: Array, check: Check, deadline: float) -> Climb:
        """Bound what the nodes have to refute (Batch.duty), a node's worst disjunct first, until one resists.

        batch: with finite pre-activation bounds, others are left as they are; margins: [B, rows] known lower bounds;
        deadline: time.monotonic() at which the other nodes get nothing.
        """
        ...


def duties_of(query: Query, batch: Batch, b: int, margins: Array) -> list[int]:
    """Disjuncts that node b has to refute, the most suspicious by the margins [B, rows] first."""
    duties = np.flatnonzero(batch.duty[b])
    worst = query.per_disjunct(margins[b : b + 1])[0, duties]
    return [int(k) for k in duties[np.argsort(worst, kind="stable")]]
