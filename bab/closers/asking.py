"""SCIP on a node's disjuncts, one after another, and the proof of what it says.

Whoever sends a node to SCIP asks here. SCIP's word is advice: what it refutes the `conflict_search` has to refute, too,
within a time of its own, or it stays open, unless SCIP is trusted. Its solutions are candidates for the replay. With
fewer binaries than unstable ReLUs SCIP gets a relaxation (`encodings.milp.partial`): what it refutes is refuted.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from ...encodings.slopes.group_rows import GroupRows
from ...instances.batch import Node
from ...instances.judges.replay import Witness
from ...instances.memory import room_mb
from ...instances.network import Array
from ...instances.query import Query
from ..run.options import Options
from .conflict_search import Refutation
from .exact_step import ExactStep
from .refutation import refute_apart
from .regions import Check

__all__ = ["Asked", "Asking"]

LOG = logging.getLogger(__name__)


@dataclass(eq=False)
class Asked:
    """What became of a node."""

    refuted: list[int] = field(default_factory=list)  # disjuncts
    left: int = 0  # disjuncts that are open
    trusted: bool = False  # whether one of those refuted rests on SCIP's word alone
    witness: Witness | None = None
    exact: bool = False  # a counterexample of the real-valued network is known, which no replay confirms
    counts: Counter[str] = field(default_factory=Counter)  # of the conflict searches
    why: str = ""  # why the last disjunct that was asked about is open


@dataclass(frozen=True, eq=False)
class Asking:
    """How nodes of one query are asked about."""

    query: Query
    options: Options
    exact: ExactStep
    deadline: float  # time.monotonic() of the run

    def __call__(
        self, node: Node, duties: list[int], check: Check, seconds: float, proof_seconds: float,
        binaries: int | Array | None = None, rows: GroupRows | None = None, anyway: bool = False,
    ) -> Asked:  # fmt: skip
        """Ask about the duties in this order until one of them stays open.

        seconds: of SCIP, for all of them; proof_seconds: of each conflict search, not beyond the run's deadline;
        binaries, rows: see `MilpOptions`; anyway: let the conflict search try what SCIP does not refute, too.
        """
        from ...encodings.milp.close import MilpOptions
        from ...encodings.milp.process import close_apart

        began, asked = time.monotonic(), Asked(left=len(duties))
        how = MilpOptions(seed=self.options.seed, binaries=binaries, rows=rows)
        for k in duties:
            left = max(seconds - (time.monotonic() - began), 0.0)
            answer = close_apart(self.query, node, k, left, self.options.memory_mb / 2, how)
            LOG.info("milp at depth %d, disjunct %d: %s, bound %.6g, %d binaries, %d nodes, %.2f s of %.2f s %s",
                     node.depth, k, answer.status, answer.bound, answer.binaries, answer.nodes, answer.seconds, left,
                     answer.reason)  # fmt: skip
            asked.why = answer.reason
            refuted = answer.status == "refuted"
            if len(answer.points):
                asked.witness = check(np.asarray(answer.points))
            trusted = refuted and self.options.trust_scip
            if not asked.witness and (anyway or refuted) and not trusted:
                refuted = self._proved(node, k, check, proof_seconds, asked)
            if asked.witness or asked.exact or not refuted:
                break
            asked.refuted.append(k)
            asked.trusted |= trusted
        asked.left -= len(asked.refuted)
        return asked

    def _proved(self, node: Node, k: int, check: Check, seconds: float, asked: Asked) -> bool:
        """Whether the conflict search, with half of the memory that is left, refutes the disjunct, too."""
        proof, seconds = Refutation(), min(seconds, max(self.deadline - time.monotonic(), 0.0))
        if self.query.network.piecewise_linear:
            proof = refute_apart(self.query, node, k, seconds, probing=self.options.probing, memory_mb=room_mb() / 2)
        LOG.info("conflict search at depth %d, disjunct %d: %s, %s", node.depth, k, proof.status, dict(proof.counts))
        asked.counts += proof.counts
        asked.why = f"{asked.why}; conflict search: {proof.reason or proof.status}"
        if proof.exact is not None:
            asked.witness = self.exact.take(self.query, proof.exact, check, self.deadline)
            asked.exact = asked.witness is None
        elif proof.points:
            asked.witness = check(np.asarray(proof.points))
        return proof.status == "refuted"
