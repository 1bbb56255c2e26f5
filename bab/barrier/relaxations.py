"""What relaxations of single layers prove, from the cheapest to the tightest, and one step beyond them.

After Salman, Yang, Zhang, Hsieh and Zhang (2019), section 5. All of them pass the triangle of each ReLU,
    ReLU(z) >= 0,   ReLU(z) >= z,   ReLU(z) <= u (z - l) / (u - l)   where l < 0 < u,
from layer to layer; they differ in where the bounds l, u come from and in how the margins are minimised:

    LP-GREEDY  both by back-substitution of two parallel lines a neuron (Wong and Kolter 2018, Algorithm 1; Fast-Lin)
    LP-LAST    l, u from there, the margins by LPs over all triangles
    LP-ALL     every l, u of an unstable neuron by LPs over the layers before it, then as LP-LAST: the optimal one
    rows       l, u from LP-ALL, the margins by LPs that have rows of two and three neurons of a layer, too: this is
               no relaxation of single neurons any more (Singh, Ganvir, Pueschel and Vechev 2019)

Each proves what the one before it proves, up to rounding, so it is asked only for what that one leaves open. The
bounds are rigorous ones of `programs.safe_lp`; a bound of a neuron is not improved by less than 0.001 of its width.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from ...encodings.layerwise.lp_steps import greedy_node, lp_all_node
from ...encodings.linear.bounds import Bounds
from ...encodings.neuron_groups.group_lp import GroupLP, group_rows
from ...encodings.programs.lp import TriangleLP
from ...heuristics.efforts import GroupEffort
from ...heuristics.neuron_groups import Grouping, groups_of_layer
from ...instances.batch import Node, root
from ...instances.network import Array
from ...instances.query import Query
from ..steps.ascents import ascent

__all__ = ["GAIN", "RELAXATIONS", "Relaxations"]

RELAXATIONS = ("LP-GREEDY", "LP-LAST", "LP-ALL", "rows")
GAIN = 1e-3  # of a neuron's width: what an LP of LP-ALL must be able to win
SIZES, GROUPS = (2, 3), 60  # neurons of a group; groups of a layer and size
ASCENT = ascent(GroupEffort().ascent)  # behind octahedral bounds of groups


@dataclass(eq=False)
class Relaxations:
    """The relaxations of one query. deadline: time.monotonic() at which what is not proved stays open."""

    query: Query
    deadline: float = np.inf
    _greedy: tuple[Node, Bounds] | None = field(default=None, init=False)
    _tight: Node | None = field(default=None, init=False)

    def margins(self, name: str, stop: bool = True) -> Array:
        """[disjuncts] lower bounds of the largest margin of each disjunct.

        A relaxation is asked for the disjuncts that the one before it leaves open, the others keep their bounds; with
        `stop` it ends at the first one that it leaves open itself, and says -inf of those behind that.
        Raises ValueError for a name that is none of RELAXATIONS.
        """
        if name not in RELAXATIONS:
            raise ValueError(f"relaxation {name!r}: expected one of {', '.join(RELAXATIONS)}")
        found = self.query.per_disjunct(self.greedy.margins)[0].copy()
        if name == "LP-GREEDY" or bool((found > 0.0).all()):
            return found
        lp = self._program(name)
        left = np.flatnonzero(~(found > 0.0))
        found[left] = -np.inf
        for d in left:
            if isinstance(lp, GroupLP):
                found[d] = lp.minimise(int(d), self.deadline).bound
            else:
                found[d] = lp.minimise(int(d), max(0.0, self.deadline - time.monotonic())).bound
            if stop and not found[d] > 0.0:
                break
        return found

    def proves(self, name: str) -> bool:
        """Whether every margin is positive."""
        return bool((self.margins(name) > 0.0).all())

    @property
    def greedy(self) -> Bounds:
        """Bounds by parallel lines."""
        return self._bounded()[1]

    @property
    def node(self) -> Node:
        """The input set with LP-GREEDY's hidden bounds."""
        return self._bounded()[0]

    @property
    def tight(self) -> Node:
        """The input set with LP-ALL's hidden bounds."""
        if self._tight is None:
            self._tight = lp_all_node(self.query, self.node, self.deadline, GAIN)[0]
        return self._tight

    def _bounded(self) -> tuple[Node, Bounds]:
        if self._greedy is None:
            self._greedy = greedy_node(self.query, root(self.query).node(0))
        return self._greedy

    def _program(self, name: str) -> TriangleLP | GroupLP:
        if name == "LP-LAST":
            return TriangleLP(self.query, self.node)
        if name == "LP-ALL":
            return TriangleLP(self.query, self.tight)
        node, weights = self.tight, self.greedy.multipliers[0].max(axis=0)

        def groups(k: int) -> list[Array]:
            return [groups_of_layer(self.query, node, k, Grouping(size, GROUPS), weights) for size in SIZES]

        return GroupLP(self.query, node, group_rows(self.query, node, groups, ASCENT, deadline=self.deadline))
