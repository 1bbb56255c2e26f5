"""Conflict clauses: sets of phases that no counterexample has together, learnt from nodes that a bound closed.

The phases of a closed node are a conflict; usually a part of them is one already. Bounding the root with a part anew
tells (BICCOS, Zhou et al. 2024, who turn conflicts into cuts): every proof starts at the root and is complete in
itself, whatever led to the node. As literals are ordered by what their multipliers were worth, a binary search finds a
short leading part in a few bounds, batched over the nodes of a round.

A clause says for some disjuncts that no x with all its phases is a counterexample. A node that has all of them has
that much less to refute; one that lacks a single phase, and has nothing else to refute, gets the opposite one. For a
MILP with a switch a_i a neuron, the clause of active set A and inactive set I is the row
    sum_A a_i - sum_I a_i <= |A| - 1.

Measured, neither pays: on mnist_fc and eran_mnist clauses save fewer nodes than they take bounds to prove, and on
safenlp implications as rows double the nodes of SCIP.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ...encodings.milp.model import Relu, Terms
from ...encodings.slopes.implications import Implications
from ...encodings.slopes.optimised_bounds import OptimiseOptions
from ...encodings.slopes.phase_bounds import bound_phases, refresh_phases
from ...instances.batch import Batch, Node
from ...instances.network import Array
from ...instances.query import Query

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["Clauses", "Conflicts", "clauses_of", "model_rows", "refuted_by", "switch_rows"]

Row = tuple[Terms, float]  # sum of coefficient * variable <= number

MOST = 4000  # clauses; older ones of the greatest length are dropped
LONGEST = 12  # literals of a clause worth keeping
SHARE = 0.1  # of the search's time for learning
AT_ONCE = 8  # closed nodes of a round that are looked at
ROUNDS = 4  # of propagation
HIDDEN_ASCENT, HIDDEN_RATE = 4, 0.4  # as the search bounds its nodes
ASCENT = 8


@dataclass(eq=False)
class Clauses:
    """C clauses on the phases of a query's neurons."""

    phases: Array  # [C, neurons] int8: +-1 for the literals z >= 0, z <= 0, 0 for others
    duty: Array  # [C, disjuncts] bool: which disjuncts have no counterexample with all these phases

    @staticmethod
    def none(query: Query) -> Clauses:
        """No clause yet."""
        return Clauses(np.zeros((0, query.neurons), dtype=np.int8), np.zeros((0, query.disjuncts), dtype=bool))

    def __len__(self) -> int:
        return len(self.phases)

    def __getitem__(self, index: Array | slice) -> Clauses:
        """Rows `index` (slice, bool mask or int array)."""
        return Clauses(self.phases[index], self.duty[index])

    @property
    def sizes(self) -> Array:
        """[C] numbers of literals."""
        return np.count_nonzero(self.phases, axis=1)

    def with_more(self, more: Clauses) -> Clauses:
        """Both, without clauses that another one implies: fewer phases, at least the same disjuncts."""
        both = Clauses(np.concatenate([self.phases, more.phases]), np.concatenate([self.duty, more.duty]))
        if not len(both):
            return both
        common = both.literals @ both.literals.T  # how many literals two clauses share
        spared = both.duty.astype(np.float32) @ (~both.duty).astype(np.float32).T  # disjuncts of a that b lacks
        sizes = both.sizes
        # b is implied by a: all of a's literals are in b, and all of b's disjuncts in a's
        implied = (common == sizes[:, None]) & (spared.T == 0.0)
        equal = implied & implied.T
        order = np.arange(len(both))
        redundant = (implied & (~equal | (order[:, None] < order[None, :]))).any(axis=0)
        return both[~redundant]

    @property
    def literals(self) -> Array:
        """[C, 2 neurons] float32: 1 for each literal, z >= 0 first."""
        return np.concatenate([self.phases > 0, self.phases < 0], axis=1).astype(np.float32)

    def propagate(self, batch: Batch) -> int:
        """Take refuted duties from the nodes, and give them the phases that follow; returns how many these are.

        A phase counts as a node's own where its bounds decide it. Nodes without duty left are closed. The batch gets
        arrays of its own.
        """
        batch.pre_lower, batch.pre_upper = batch.pre_lower.copy(), batch.pre_upper.copy()
        batch.phases, batch.duty = batch.phases.copy(), batch.duty.copy()
        literals, sizes, followed = self.literals, self.sizes, 0
        for _ in range(ROUNDS if len(self) else 0):
            held = np.concatenate([batch.pre_lower >= 0.0, batch.pre_upper <= 0.0], axis=1)
            missing = sizes[:, None] - literals @ held.astype(np.float32).T  # [C, B]
            for c, b in np.argwhere(missing == 0.0).tolist():
                batch.duty[b] &= ~self.duty[c]
            fresh = 0
            for c, b in np.argwhere(missing == 1.0).tolist():
                if batch.duty[b].any() and not (batch.duty[b] & ~self.duty[c]).any():
                    fresh += _negate_last(batch, b, self.phases[c])
            followed += fresh
            if not fresh:
                break
        return followed


def _negate_last(batch: Batch, b: int, phases: Array) -> int:
    """The opposite of the one literal that node b does not fulfil yet; 0 where it holds already."""
    lower, upper = batch.pre_lower[b], batch.pre_upper[b]
    lacking = np.flatnonzero(((phases > 0) & (lower < 0.0)) | ((phases < 0) & (upper > 0.0)))
    if len(lacking) != 1:  # another clause got there first
        return 0
    i = int(lacking[0])
    if (phases[i] > 0 and upper[i] <= 0.0) or (phases[i] < 0 and lower[i] >= 0.0):
        return 0
    apply_phases(batch, np.array([b]), np.array([i]), np.array([-phases[i]]))
    return 1


def apply_phases(batch: Batch, node: Array, neuron: Array, sign: Array) -> None:
    """Demand sign * z[neuron] >= 0 of the nodes; arrays [P], the batch's own are written."""
    up, down = sign > 0, sign < 0
    np.maximum.at(batch.pre_lower, (node[up], neuron[up]), 0.0)
    np.minimum.at(batch.pre_upper, (node[down], neuron[down]), 0.0)
    batch.phases[node, neuron] = sign


def refuted_by(
    query: Query, root: Batch, phases: Array, duty: Array, implied: Implications | None = None,
    deadline: float = np.inf,
) -> Array:  # fmt: skip
    """[M, disjuncts] bool: what the root with these phases refutes, rigorously, of what is asked.

    root: a batch of one with finite bounds; phases: [M, neurons]; duty: [M, disjuncts]. One bound of the hidden neurons
    and one of the margins each.
    """
    batch = root[np.zeros(len(phases), dtype=np.intp)]
    node, neuron = np.nonzero(phases)
    batch.slopes = np.zeros((len(batch), 0, 0), dtype=np.float16)
    apply_phases(batch, node, neuron, phases[node, neuron])
    batch.duty = duty.copy()
    if implied is not None:
        implied.clip(batch)
    options = OptimiseOptions(iterations=HIDDEN_ASCENT, rate=HIDDEN_RATE, signs=True, deadline=deadline)
    empty = np.asarray((batch.pre_lower > batch.pre_upper).any(axis=1))
    some = np.flatnonzero(~empty)
    refuted = duty & empty[:, None]
    if not len(some):
        return refuted
    rest = batch[some]
    fresh = refresh_phases(query, rest, options)
    rest.pre_lower, rest.pre_upper = fresh.pre_lower, fresh.pre_upper
    bounds, _ = bound_phases(query, rest, OptimiseOptions(iterations=ASCENT, deadline=deadline))
    margins = query.per_disjunct(np.fmax(bounds.margins, fresh.margins))
    refuted[some] = duty[some] & ((margins > 0.0) | (fresh.infeasible | bounds.infeasible)[:, None])
    return refuted


@dataclass(eq=False)
class Conflicts:
    """What one phase search learns; its threads share it.

    root: the search's, a batch of one with its bounds; share: of the search's time that learning may take.
    """

    query: Query
    root: Batch
    deadline: float = np.inf
    implied: Implications | None = None
    share: float = SHARE
    clock: Callable[[], float] = time.monotonic
    clauses: Clauses = field(init=False)
    lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    seconds: float = field(default=0.0, init=False)  # spent
    bounded: int = field(default=0, init=False)  # parts of conflicts that were bounded
    closed: int = field(default=0, init=False)  # nodes that clauses closed
    followed: int = field(default=0, init=False)  # phases that followed from clauses

    def __post_init__(self) -> None:
        self.clauses, self.started = Clauses.none(self.query), self.clock()

    def propagate(self, batch: Batch) -> int:
        """`Clauses.propagate` on nodes about to be bounded, with what is known so far."""
        with self.lock:
            clauses = self.clauses
        followed = clauses.propagate(batch)
        with self.lock:
            self.followed += followed
            self.closed += int((~batch.duty.any(axis=1)).sum())
        return followed

    def learn(self, batch: Batch, duty: Array, closed: Array) -> None:
        """Clauses from the nodes that their bounds closed. duty: [B, disjuncts] theirs before; closed: [B] bool."""
        began = self.clock()
        if began > self.deadline or self.seconds > self.share * (began - self.started):
            return
        long = np.count_nonzero(batch.phases, axis=1) > 1
        some = np.flatnonzero(closed & long & duty.any(axis=1))
        # shallow nodes' conflicts are the shortest
        some = some[np.argsort(np.count_nonzero(batch.phases[some], axis=1), kind="stable")][:AT_ONCE]
        if len(some):
            found, bounded = self._shortened(batch[some], duty[some])
            with self.lock:
                self.clauses = _best(self.clauses.with_more(found))
                self.bounded += bounded
        with self.lock:
            self.seconds += self.clock() - began

    def graph(self) -> nx.DiGraph:
        """The implications with what clauses of two phases add; edges know for which `disjuncts` they hold.

        An edge of a clause says: a counterexample of these disjuncts with the first phase has the second, strictly.
        """
        import networkx as nx

        graph = nx.DiGraph()
        if (implied := self.implied) is not None:
            edges = np.argwhere(implied.edges).tolist()
            graph.add_edges_from([(implied.literal(a), implied.literal(b)) for a, b in edges])
        every = frozenset(range(self.query.disjuncts))
        for _, _, known in graph.edges(data=True):
            known["disjuncts"] = every
        pairs = self.clauses[self.clauses.sizes == 2]
        for phases, duty in zip(pairs.phases, pairs.duty, strict=True):
            (i, s), (j, t) = ((n, int(phases[n])) for n in np.flatnonzero(phases).tolist())
            for a, b in (((i, s), (j, -t)), ((j, t), (i, -s))):
                known = graph.edges[a, b]["disjuncts"] if graph.has_edge(a, b) else frozenset()
                graph.add_edge(a, b, disjuncts=known | frozenset(np.flatnonzero(duty).tolist()))
        return graph

    def _shortened(self, batch: Batch, duty: Array) -> tuple[Clauses, int]:
        """The shortest leading part of each node's phases that closes the root, by bisection; and bounds made."""
        order = np.argsort(-self.worth(batch), axis=1, kind="stable")
        rank = np.argsort(order, axis=1, kind="stable")  # 0 for the literal to keep longest
        high = np.count_nonzero(batch.phases, axis=1)  # known to close, or not tried yet
        low, total, bounded = np.zeros_like(high), high.copy(), 0
        while (high - low > 1).any():
            trying = np.flatnonzero(high - low > 1)
            middle = (low[trying] + high[trying]) // 2
            parts = np.where(rank[trying] < middle[:, None], batch.phases[trying], 0)
            proved = refuted_by(self.query, self.root, parts, duty[trying], self.implied, self.deadline)
            bounded += len(trying)
            good = ~(duty[trying] & ~proved).any(axis=1)
            high[trying[good]], low[trying[~good]] = middle[good], middle[~good]
        # nodes whose every part stayed open have nothing proved: their bounds came down the tree
        won = np.flatnonzero((high < total) & (high <= LONGEST))
        return Clauses(np.where(rank[won] < high[won, None], batch.phases[won], 0).astype(np.int8), duty[won]), bounded

    def worth(self, batch: Batch) -> Array:
        """[B, neurons] what each phase is worth, > 0, and 0 elsewhere: multiplier times the root's width, and a little
        of the width."""
        width = np.minimum(-self.root.pre_lower, self.root.pre_upper)
        width = np.maximum(width, 0.0) + 1e-30
        worth = 1e-6 * width
        if batch.slopes.size:
            numbers = np.nan_to_num(batch.slopes[:, :, : self.query.neurons].astype(np.float64))
            worth = worth + np.maximum(-numbers, 0.0).max(axis=1) * width
        return np.where(batch.phases != 0, worth, 0.0)


def _best(clauses: Clauses) -> Clauses:
    """At most MOST clauses: the shortest, the latest of equal length."""
    if len(clauses) <= MOST:
        return clauses
    order = np.lexsort((-np.arange(len(clauses)), clauses.sizes))[:MOST]
    return clauses[np.sort(order)]


def switch_rows(clauses: Clauses, disjunct: int) -> tuple[Array, Array]:
    """Rows over the neurons' switches (1 where active): coefficients [R, neurons], right-hand sides [R], c a <= rhs.

    Of the clauses that speak of the disjunct. At a counterexample some phase of a clause fails strictly, so that the
    rows hold whatever the switches of neurons with z = 0 say. They do cut off inputs whose margin is > 0: a bound of
    the margin found with them is one of the counterexamples' only.
    """
    own = clauses.phases[clauses.duty[:, disjunct]]
    return own.astype(np.float64), (own > 0).sum(axis=1) - 1.0


def model_rows(query: Query, node: Node, relus: Sequence[Relu], clauses: Clauses, disjunct: int) -> list[Row]:
    """The same as terms over a MILP's variables, with its right-hand side, for `NetworkModel.row`.

    node: the model's, whose bounds stand for the switches of its stable neurons; relus: its unstable ones. Clauses
    that the node meets by its bounds already, or that speak of a neuron without a binary, are left out.
    """
    switches = {query.slices[r.layer - 1].start + r.index: r.switch for r in relus if not r.relaxed}
    rows: list[Row] = []
    for coefficients, rhs in zip(*switch_rows(clauses, disjunct), strict=True):
        terms: Terms = []
        for i in np.flatnonzero(coefficients).tolist():
            sign = float(coefficients[i])
            if switches.get(i) is not None:
                terms.append((switches[i], sign))
            elif (node.pre_lower[i] if sign > 0 else -node.pre_upper[i]) >= 0.0:
                rhs -= max(sign, 0.0)  # the phase holds
            else:
                break
        else:
            rows.append((terms, float(rhs)))
    return rows


def clauses_of(query: Query, implied: Implications) -> Clauses:
    """The implications as clauses of two phases each, for all disjuncts: a forces b where a and not b is a conflict.

    A contrapositive is the same clause.
    """
    found = set()
    for a, b in np.argwhere(implied.edges).tolist():
        found.add(tuple(sorted((implied.literal(a), implied.literal(int(implied.opposite[b]))))))
    phases = np.zeros((len(found), query.neurons), dtype=np.int8)
    for row, pair in zip(phases, sorted(found), strict=True):
        for neuron, sign in pair:
            row[neuron] = sign
    kept = np.count_nonzero(phases, axis=1) > 0
    return Clauses(phases[kept], np.ones((int(kept.sum()), query.disjuncts), dtype=bool))
