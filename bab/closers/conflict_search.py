"""A complete search over phases that learns from its conflicts: rigorous refutations of one disjunct on one node.

Phases are decided one after another; after each, `propagation` contracts all bounds, nogoods included. Where nothing is
left, or the triangle LP's safe bound refutes the disjunct, the decisions conflict. They are thinned out: a decision is
dropped as long as the others contract the root to nothing by themselves. The rest is a *nogood*, checked by that very
contraction, and the search goes back to the level where the nogood forces a phase (conflict-driven clause learning,
Marques-Silva and Sakallah 1999, with decisions in place of implication graphs). An empty nogood refutes the disjunct.

After some conflicts the search begins again at the root (`restarts`), and there, now and then, neurons are probed
(`probing`), with the nogoods of two phases in its graph: what follows is fixed at the root, or becomes a nogood.

Decided first are neurons of recent nogoods (VSIDS, Moskewicz et al. 2001) whose inputs most unsettled rows read (the
degree of dom/wdeg, Boussemart et al. 2004), or, where LPs close most nodes, those that the LP's point violates most.
LPs are solved while they close enough nodes. A node without unstable ReLUs that no float closes goes to
`exact_closing`.

Nothing rests on a solver's word: contraction is rounded outward, the LP counts by its safe dual bound, the rest is
exact.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

from ...encodings.exact.region import inexact
from ...encodings.programs.lp import TriangleLP
from ...encodings.propagation.contraction import Propagation
from ...encodings.propagation.probing import Probing
from ...encodings.propagation.state import Nogoods, State
from ...heuristics import policy
from ...instances.batch import Node
from ...instances.memory import room_mb
from ...instances.network import Array
from ...instances.query import Query
from ...instances.rounding import TINY
from .restarts import Restarts

__all__ = ["ConflictSearch", "Refutation"]

DECAY = 0.95  # of a neuron's activity from conflict to conflict
NARROW = 1e-9  # share of its first width below which an unstable ReLU is not worth a decision


@dataclass(eq=False)
class Refutation:
    """What became of a disjunct on a node."""

    status: str = "open"  # "refuted", "candidate" (see points), "point" (an exact counterexample) or "open"
    reason: str = ""  # why it is open
    unfinished: bool = False  # more time may help
    points: list[Array] = field(default_factory=list)  # inputs whose margins are <= 0 in float64
    exact: tuple[Fraction, ...] | None = None  # a counterexample of the real-valued network
    counts: Counter[str] = field(default_factory=Counter)  # nodes, conflicts, lps and what closed nodes


class ConflictSearch:
    """Refutes disjunct `disjunct` of a query on a node with finite bounds.

    probing: "auto", "never" or "always", see `Options`. Raises ValueError for sigmoid and tanh.
    """

    def __init__(self, query: Query, node: Node, disjunct: int, probing: str = "auto") -> None:
        self.effort = policy.EFFORTS.conflicts
        self.query, self.node = query.only(disjunct), node
        self.propagation = Propagation(self.query, node, 0)
        self.nogoods = Nogoods()
        self.states: list[State] = [State.of(self.query, node)]  # by level; the root first
        self.decisions: list[int] = []  # literals
        self.activity, self.bump = np.zeros(query.neurons), 1.0
        self.spans = np.maximum(node.pre_upper - node.pre_lower, 0.0)
        self.result, self.restarts = Refutation(), Restarts()
        self.probing = probing
        self.state_mb = 1e-6 * sum(a.nbytes for a in vars(self.states[0]).values())
        self.store_mb = self.effort.store * room_mb()
        self.lp: TriangleLP | None = None
        self.tried = self.closed = 0
        self.violated = np.zeros(query.neurons)  # by the last LP's point

    def run(self, deadline: float) -> Refutation:
        """Search until the disjunct is refuted, a candidate is met, or the deadline, time.monotonic(), has come.

        Where the memory does not suffice it stays open, with that reason.
        """
        try:
            self._search(deadline)
        except MemoryError:  # nothing rests on what was about to be made
            self.result.status, self.result.reason = "open", "memory"
        return self.result

    def _search(self, deadline: float) -> None:
        counts = self.result.counts
        conflict = self._probe(deadline) or self._contract()
        while self.result.status == "open":
            if conflict:
                conflict = self._learn(deadline)
                continue
            if time.monotonic() >= deadline:
                self.result.reason, self.result.unfinished = "time", True
                break
            if self._refuted_by_lp(deadline):
                conflict = True
                continue
            neuron = self._choose()
            if neuron < 0:
                conflict = self._exact(deadline)
                if not conflict:
                    break
                continue
            counts["nodes"] += 1
            counts["depth"] = max(counts["depth"], len(self.decisions) + 1)
            conflict = self._decide(neuron)

    # ---------------------------------------------------------------- decisions

    def _unstable(self, state: State) -> Array:
        """[neurons] the smaller side of each unstable ReLU that is wide enough, else 0."""
        side = np.minimum(-state.z_low, state.z_high)
        return np.where(self.query.relu & (side > NARROW * self.spans), side, 0.0)

    def _choose(self) -> int:
        """The next neuron to decide, -1 where none is unstable."""
        side = self._unstable(self.states[-1])
        unstable = side > 0.0
        if not unstable.any():
            rest = self.query.relu & (self.states[-1].z_low < 0.0) & (self.states[-1].z_high > 0.0)
            return int(np.argmax(rest)) if rest.any() else -1
        if self.tried and self.closed * 2 > self.result.counts["conflicts"]:
            return self._by_lp(side)
        degrees = self.propagation.degrees(self.states[-1])
        score = self.activity / max(float(self.activity[unstable].max()), TINY)
        score = score + degrees / max(float(degrees[unstable].max()), TINY)
        worst = float(self.violated[unstable].max())
        if worst > 0.0:
            score = score + self.violated / worst
        return int(np.argmax(np.where(unstable, score, -1.0)))

    def _by_lp(self, side: Array) -> int:
        """The neuron that the last LP's point violates most; the widest where it violates none."""
        return int(np.argmax(np.where(side > 0.0, self.violated + NARROW * side, -1.0)))

    def _decide(self, neuron: int) -> bool:
        """Demand the phase that leaves less, contract; True for a conflict."""
        if room_mb() < self.state_mb:
            raise MemoryError("no room for another state")
        state = self.states[-1].copy()
        sign = 1 if state.z_high[neuron] <= -state.z_low[neuron] else -1
        state.fix(neuron, sign)
        self.decisions.append(2 * neuron + (sign < 0))
        self.states.append(state)
        return self._contract()

    def _contract(self) -> bool:
        return self.propagation.contract(self.states[-1], self.nogoods)

    # ---------------------------------------------------------------- conflicts

    def _learn(self, deadline: float) -> bool:
        """Turn the decisions into a nogood and go back to where it forces a phase; True where that conflicts again."""
        counts = self.result.counts
        counts["conflicts"] += 1
        kept, thin = self._thinned(deadline)
        if not kept:
            self.result.status = "refuted"
            return False
        for literal in kept:
            self.activity[literal >> 1] += self.bump
        self.bump /= DECAY
        if self.bump > 1e100:
            self.activity, self.bump = self.activity / self.bump, 1.0
        levels = sorted(self.decisions.index(literal) + 1 for literal in kept)
        back = levels[-2] if len(levels) > 1 else 0
        del self.states[back + 1 :], self.decisions[back:]
        if len(kept) == 1:
            self.states[0].fix(kept[0] >> 1, 1 if kept[0] & 1 else -1)
        else:
            self._remember(kept)
        if self.restarts.due():
            return self._restart(deadline)
        self.states[-1] = self.states[-1].copy() if back else self.states[0]
        return self._contract()

    def _remember(self, nogood: Sequence[int]) -> None:
        self.nogoods.add(nogood)
        self.nogoods.reduce(self.effort.nogoods, self.effort.short, self.store_mb)

    def _restart(self, deadline: float) -> bool:
        """Back to the root; True where it has no counterexample."""
        self.result.counts["restarts"] += 1
        del self.states[1:], self.decisions[:]
        return (self.restarts.count % self.effort.probe_every == 0 and self._probe(deadline)) or self._contract()

    def _probe(self, deadline: float) -> bool:
        """Probe the root where the policy has it so; True where it has no counterexample."""
        patience = self.effort.probe_patience(self.result.counts["conflicts"], self.probing)
        if not patience:
            return False
        probing = Probing(self.propagation, self.states[0], self.nogoods, self.activity)
        empty = probing.run(deadline, patience)
        self.states[0] = probing.state
        self.result.counts += probing.counts
        for pair in probing.pairs:
            self._remember(pair)
        return empty

    def _thinned(self, deadline: float) -> tuple[list[int], bool]:
        """Decisions that conflict by contraction alone, none of them superfluous, and True; all of them, and False,
        where an LP had to help."""
        if not self._conflict(self.decisions):
            return list(self.decisions), False
        kept = list(self.decisions)
        for literal in self.decisions:
            if time.monotonic() >= deadline:
                break
            fewer = [other for other in kept if other != literal]
            if self._conflict(fewer):
                kept = fewer
        return kept, True

    def _conflict(self, literals: list[int]) -> bool:
        """Whether the root with these phases contracts to nothing."""
        state = self.states[0].copy()
        for literal in literals:
            state.fix(literal >> 1, -1 if literal & 1 else 1)
        return self.propagation.contract(state, self.nogoods)

    # ---------------------------------------------------------------- LPs and leaves

    def _here(self) -> Node:
        """The present state as a node; phases of decisions and of what followed."""
        state, n, before = self.states[-1], self.query.network.input_size, self.node
        unstable = self.query.relu & (before.pre_lower < 0.0) & (before.pre_upper > 0.0)
        phases = np.where(state.z_low >= 0.0, 1, np.where(state.z_high <= 0.0, -1, 0))
        return replace(
            before, lower=state.low[:n], upper=state.high[:n], pre_lower=state.z_low, pre_upper=state.z_high,
            phases=np.where(unstable, phases, before.phases).astype(np.int8), depth=before.depth + len(self.decisions),
            duty=np.ones(1, dtype=bool),
        )  # fmt: skip

    def _refuted_by_lp(self, deadline: float) -> bool:
        """Whether the triangle LP's safe bound refutes the node, where an LP pays."""
        counts, effort = self.result.counts, self.effort
        worth = self.closed > effort.lp_worth * max(self.tried - effort.lp_patience, 0)
        if self.query.neurons > effort.largest_lp or not (worth or counts["nodes"] % effort.lp_every == 0):
            return False
        node = self._here()
        if self.lp is None:
            self.lp = TriangleLP(self.query, replace(self.node, duty=node.duty))
        self.lp.update(node)
        answer = self.lp.minimise(0, min(effort.lp_seconds, max(deadline - time.monotonic(), 0.01)))
        counts["lps"] += 1
        self.tried += 1
        self.violated[:] = 0.0
        if answer.bound > 0.0:
            self.closed += 1
            counts["closed by lp"] += 1
            return True
        if answer.point is not None:
            self._violation()
            self._look(answer.point)
        return False

    def _violation(self) -> None:
        """How far the LP's point is from each ReLU: the smaller of its halves y and s."""
        assert self.lp is not None
        triangles = self.lp.triangles
        values = triangles.lp.point()
        halves = [np.where(column >= 0, values[column], 0.0) for column in (triangles.first, triangles.second)]
        self.violated = np.where(self.query.relu, np.maximum(np.minimum(*halves), 0.0), 0.0)

    def _look(self, point: Array) -> None:
        """Take note of an input whose margins are <= 0 in float64, and in exact arithmetic where the network has it:
        floats that only seem to violate must not end the search."""
        from .exact_closing import is_counterexample

        region = self.query.region
        if region.ball is not None and not region.ball.contains(point):
            point = region.ball.inward(point, region.lower, region.upper)
            if not region.ball.contains(point):
                return
        if not (self.query.network.evaluate(point[None]) <= 0.0).all():
            return
        exact = tuple(Fraction(x) for x in point.tolist())
        known = not inexact(self.query.network)
        if known and not is_counterexample(self.query, exact, 0):
            return
        self.result.points.append(point)
        self.result.status, self.result.exact = ("point", exact) if known else ("candidate", None)

    def _exact(self, deadline: float) -> bool:
        """A node without unstable ReLUs: True where exact arithmetic refutes it; else the result says what is left."""
        from .exact_closing import decide_exactly

        self.result.counts["exact"] += 1
        outcome = decide_exactly(self.query, self._here(), 0, deadline)
        if outcome.status == "closed":
            return True
        self.result.status, self.result.exact = ("point" if outcome.point is not None else "open"), outcome.point
        self.result.reason = outcome.reason
        return False
