"""Probing: both phases of unstable neurons are contracted, and what they agree on holds of every counterexample.

A counterexample has z_i >= 0 or z_i <= 0, or both, so it lies in one of the two contracted boxes:
    one is empty: the other phase is fixed;    both are: there is no counterexample;    none is: in their hull.
What one phase forces, (i, s) -> t z_j >= 0 or > 0, goes into an `implication_graph`, with the known nogoods of two
phases; contraposition and chains make more of it. (Failed literals, Freeman 1995; probing of MILPs, Savelsbergh 1994;
look-ahead in the order of influence, Li and Anbulagan 1997.)

A probe costs two contractions. Neurons are probed in rounds, those of the greatest influence first, and rounds end
where they no longer pay: after some that fix no phase. The graph is made only where it may know more than contraction,
which finds again all that it found, chains included, wherever a search decides the same phase, but not the
contrapositive.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ...instances.network import Array
from ...instances.rounding import TINY
from .contraction import Propagation
from .state import Nogoods, State

if TYPE_CHECKING:
    from .implication_graph import Closure

__all__ = ["Probing"]

ROUND = 16  # neurons
MOST_LITERALS = 2000  # of the graph, whose closure has up to their square of edges; beyond that boxes alone learn


@dataclass(eq=False)
class Forced:
    """Literals that one literal forces, and those of them that then do not hold with equality."""

    weak: frozenset[int]
    strict: frozenset[int]


@dataclass(eq=False)
class Probing:
    """Probes one node for the counterexamples of `propagation`'s disjunct.

    state: the node's boxes, which are tightened; nogoods: what is known besides.
    """

    propagation: Propagation
    state: State
    nogoods: Nogoods = field(default_factory=Nogoods)
    influence: Array | None = None  # [neurons] >= 0; counts as much as how many unsettled rows read a neuron's inputs
    empty: bool = False  # there is no counterexample
    forced: dict[int, Forced] = field(default_factory=dict)  # by literals that were probed
    pairs: list[tuple[int, int]] = field(default_factory=list)  # new nogoods of two literals
    counts: Counter[str] = field(default_factory=Counter)  # "probes", "fixed" phases, "implied" literals, "pairs"

    def run(self, deadline: float = math.inf, patience: float = 1) -> bool:
        """Probe until it no longer pays, or the deadline, time.monotonic(), has come; whether the node is empty.

        patience: rounds one after another that fix no phase, which end it. Bounds that are not finite are left alone.
        """
        self.empty, idle = self._contract(), 0
        while self.state.finite and not self.empty and idle < patience and time.monotonic() < deadline:
            before, neurons = self.counts["fixed"], self._next()
            if not neurons:
                break
            for neuron in neurons:
                self._probe(neuron)
                if self.empty or time.monotonic() >= deadline:
                    break
            self.empty = self.empty or self._contract()
            idle = 0 if self.counts["fixed"] > before else idle + 1
        if not self.empty and self._tells():
            self._conclude()
        return self.empty

    def _contract(self) -> bool:
        return self.propagation.contract(self.state, self.nogoods)

    def _unstable(self) -> Array:
        """[neurons] bool."""
        return self.propagation.query.relu & (self.state.z_low < 0.0) & (self.state.z_high > 0.0)

    def _next(self) -> list[int]:
        """The neurons of a round: unstable, not probed, of the greatest influence, of equal ones the widest."""
        left = self._unstable()
        left[[literal >> 1 for literal in self.forced]] = False
        if not left.any():
            return []
        side = np.minimum(-self.state.z_low, self.state.z_high)
        score = self.propagation.degrees(self.state) + side / self.propagation.widths[self.propagation.rows.inputs :]
        if self.influence is not None:
            score = score / max(float(score[left].max()), TINY)
            score = score + self.influence / max(float(self.influence[left].max()), TINY)
        first = np.argsort(np.where(left, -score, np.inf), kind="stable")[:ROUND]
        return first[left[first]].tolist()

    def _probe(self, neuron: int) -> None:
        """Both phases of a neuron, unless it is decided by now."""
        unstable = self._unstable()
        if not unstable[neuron]:
            return
        self.counts["probes"] += 1
        left = {}
        for literal in (2 * neuron, 2 * neuron + 1):
            state = self.state.copy()
            state.fix(neuron, -1 if literal & 1 else 1)
            if not self.propagation.contract(state, self.nogoods):
                left[literal] = state
        self.empty = not left
        if len(left) == 2:
            for literal, state in left.items():
                self.forced[literal] = _forced(state, unstable, neuron)
                self.counts["implied"] += len(self.forced[literal].weak)
            self._tighten(*left.values())
        for state in left.values() if len(left) == 1 else ():
            self.state = state
        self.counts["fixed"] += int((unstable & ~self._unstable()).sum())

    def _tighten(self, one: State, other: State) -> None:
        """To the hull of two states."""
        state = self.state
        state.low = np.fmax(state.low, np.minimum(one.low, other.low))
        state.high = np.fmin(state.high, np.maximum(one.high, other.high))
        state.z_low = np.fmax(state.z_low, np.minimum(one.z_low, other.z_low))
        state.z_high = np.fmin(state.z_high, np.maximum(one.z_high, other.z_high))

    # ---------------------------------------------------------------- logic

    def closure(self) -> Closure:
        """What follows from all that phases force and from nogoods of two phases."""
        from .implication_graph import ImplicationGraph

        graph = ImplicationGraph()
        for literal, forced in self.forced.items():
            graph.imply(literal, forced.weak, forced.strict)
        for a, b in self.nogoods.pairs():
            graph.imply(a, strict=[b ^ 1])
        return graph.closed()

    def _tells(self) -> bool:
        """Whether logic may add anything: a nogood of two phases, or an edge whose contrapositive nobody has seen."""
        if not 0 < len(self.forced) <= MOST_LITERALS:
            return False
        edges = ((a, b) for a, forced in self.forced.items() for b in forced.weak)
        return bool(self.nogoods.pairs()) or any(not self._sees(b ^ 1, a ^ 1) for a, b in edges)

    def _sees(self, literal: int, other: int) -> bool:
        """Whether contraction finds that `literal` forces `other` strictly."""
        return literal in self.forced and other in self.forced[literal].strict

    def _conclude(self) -> None:
        """Phases that always hold, and pairs that exclude each other of which contraction sees one way at most."""
        closure, unstable, known = self.closure(), self._unstable(), set(self.nogoods.pairs())
        if closure.contradiction:
            self.empty = True
            return
        for literal in closure.facts:
            self.state.fix(literal >> 1, -1 if literal & 1 else 1)
        self.empty = bool(closure.facts) and self._contract()
        for a, b in closure.nogoods():
            if (a, b) not in known and not (self._sees(a, b ^ 1) and self._sees(b, a ^ 1)):
                self.pairs.append((a, b))
        self.counts["pairs"] += len(self.pairs)
        self.counts["fixed"] += int((unstable & ~self._unstable()).sum())


def _forced(state: State, unstable: Array, neuron: int) -> Forced:
    """The phases of unstable neurons, of others than `neuron`, that a contracted state decides."""
    others = unstable.copy()
    others[neuron] = False
    up, down = np.flatnonzero(others & (state.z_low >= 0.0)), np.flatnonzero(others & (state.z_high <= 0.0))
    strict = np.concatenate([2 * up[state.z_low[up] > 0.0], 2 * down[state.z_high[down] < 0.0] + 1])
    return Forced(frozenset(np.concatenate([2 * up, 2 * down + 1]).tolist()), frozenset(strict.tolist()))
