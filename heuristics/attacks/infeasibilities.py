"""Descent on the sum of infeasibilities of ReLU phases (Wu, Zeljic, Katz and Barrett, TACAS 2022), a primal heuristic.

In the triangle LP every unstable ReLU has two columns, y = ReLU(z) and s = ReLU(-z), of which one must be 0. A *phase
pattern* says which one; what the LP's point has left in these columns is the sum of infeasibilities
    f(v) = sum over active neurons of s_i + sum over inactive ones of y_i.
With the forbidden rows as constraints, a pattern whose least f is 0 gives a counterexample. Two steps look for one:

* descend: minimise f for the pattern, give every neuron the phase of its smaller column, and repeat; f never rises, and
  after a few LPs the pattern stays what it is;
* walk: in such a local minimum flip one neuron, in proportion to how fast f would fall by the LP's reduced costs, and
  go on from there if f fell, or with probability exp(-f's relative rise / TEMPERATURE), else go back (Metropolis).

Every LP's input is a candidate: the network itself may send it into the forbidden set long before f is 0; where f is 0,
one more LP pushes the worst margin below 0 within the pattern. Nothing here is a proof: also an infeasible LP is only
the solver's word.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ...instances.batch import Node
from ...instances.network import Array
from ...instances.query import Query
from ...instances.rounding import TINY

if TYPE_CHECKING:
    from ...encodings.programs.lp import TriangleLP

__all__ = ["Infeasibilities", "InfeasibilityOutcome", "phase_pattern"]

TEMPERATURE = 0.05  # relative rise of f that is accepted with probability 1/e
ZERO = 1e-9  # infeasibility, as a share of the columns' sizes, that is only the solver's tolerance
MOST_REPEATS = 20  # LPs of one descent; it takes two to five


@dataclass(frozen=True)
class InfeasibilityOutcome:
    """What a search found."""

    found: Any  # what `check` made of a candidate, or None
    least: float  # least sum of infeasibilities met; inf where no LP was solved
    solves: int  # LPs
    status: str  # "found", "feasible" (f is 0, but no candidate passed), "infeasible", "stopped", an error's words


@dataclass(eq=False)
class _Minimum:
    """The least f of a pattern."""

    status: str
    found: Any
    active: Array  # [unstable] bool, the pattern
    total: float = np.inf  # f
    better: Array = field(default_factory=lambda: np.zeros(0, dtype=bool))  # phases of the smaller columns
    gains: Array = field(default_factory=lambda: np.zeros(0))  # how fast f falls with each neuron flipped


class Infeasibilities:
    """The search in one node, for one disjunct, on a triangle LP that is at hand.

    model: set to this node, and by `minimise` to the disjunct; it is given back as it was. node: for its bounds.
    """

    def __init__(self, query: Query, model: TriangleLP, node: Node, rng: np.random.Generator) -> None:
        self.query, self.model, self.rng = query, model, rng
        self.lp = model.triangles.lp
        unstable = (node.pre_lower < 0.0) & (node.pre_upper > 0.0) & query.relu
        self.neurons = np.flatnonzero(unstable & (model.triangles.second >= 0))
        self.on, self.off = model.triangles.first[self.neurons], model.triangles.second[self.neurons]
        self.size = float(np.sum(np.minimum(node.pre_upper, -node.pre_lower)[self.neurons])) + 1.0
        self.solves, self.least = 0, np.inf

    def search(
        self, pattern: Array, check: Callable[[Array], Any], flips: int, seconds: float
    ) -> InfeasibilityOutcome:
        """Descend from a pattern, then walk over `flips` flips at most.

        pattern: [neurons] > 0 where a ReLU is to be active, see `phase_pattern`; check: gets candidates [1, inputs] and
        ends the search with what it returns, if that is not None.
        """
        self.check, self.deadline = check, time.monotonic() + seconds
        objective, upper = self.lp.objective.copy(), self.lp.upper.copy()
        try:
            self.lp.set_bounds(self.lp.lower.copy(), np.where(np.arange(len(upper)) == self.model.t, 0.0, upper))
            return self._search(np.asarray(pattern)[self.neurons] > 0.0, flips)
        finally:
            self.lp.set_bounds(self.lp.lower.copy(), upper)
            self.lp.set_objective(objective)

    def _search(self, active: Array, flips: int) -> InfeasibilityOutcome:
        here = self._descend(active)
        for _ in range(flips):
            if here.status != "optimal" or not here.gains.any():
                break
            flipped = self.rng.choice(len(here.active), p=here.gains / here.gains.sum())
            there = self._descend(here.active ^ (np.arange(len(here.active)) == flipped), held=int(flipped))
            rise = (there.total - here.total) / max(here.total, TINY)
            if there.status != "optimal" or self.rng.uniform() < np.exp(min(0.0, -rise / TEMPERATURE)):
                here = there
            else:
                here.gains[flipped] = 0.0  # not this one again
        status = "stopped" if here.status == "optimal" else here.status
        return InfeasibilityOutcome(here.found, self.least, self.solves, status)

    def _descend(self, active: Array, held: int = -1) -> _Minimum:
        """The local minimum below a pattern. held: a neuron whose flip the first step does not undo."""
        minimum = self._minimise(active)
        for number in range(MOST_REPEATS):
            if minimum.status != "optimal":
                break
            better = minimum.better.copy()
            if number == 0 and held >= 0:
                better[held] = active[held]
            if (better == minimum.active).all():
                break
            minimum = self._minimise(better)
        return minimum

    def _minimise(self, active: Array) -> _Minimum:
        """The least f of one pattern; its input is checked."""
        infeasible = np.where(active, self.off, self.on)  # columns that should be 0
        objective = np.zeros(self.lp.columns)
        objective[infeasible] = 1.0
        status, found, values = self._solve(objective)
        if found is not None or status != "optimal":
            return _Minimum(status, found, active)
        left, other = values[infeasible], values[np.where(active, self.on, self.off)]
        total = float(left.sum())
        self.least = min(self.least, total)
        if total <= ZERO * self.size:
            return self._press(active, infeasible)
        # a flip frees its column of its cost: f falls at the rate 1 - reduced cost, where z is 0 at once
        rates = np.maximum(1.0 - self.lp.simplex.reduced_costs()[infeasible], 0.0)
        gains = np.where((left > ZERO * self.size) | (other <= ZERO * self.size), rates, 0.0)
        return _Minimum(status, None, active, total, np.where(left == other, active, active ^ (left > other)), gains)

    def _press(self, active: Array, infeasible: Array) -> _Minimum:
        """The pattern is the network's own: within it, push the worst margin as far below 0 as it goes."""
        upper = self.lp.upper.copy()
        fixed = upper.copy()
        fixed[infeasible] = 0.0
        self.lp.set_bounds(self.lp.lower.copy(), fixed)
        _, found, _ = self._solve((np.arange(self.lp.columns) == self.model.t).astype(np.float64))
        self.lp.set_bounds(self.lp.lower.copy(), upper)
        return _Minimum("feasible" if found is None else "found", found, active, 0.0)

    def _solve(self, objective: Array) -> tuple[str, Any, Array]:
        """Minimise, and have the input checked: (status, found, columns)."""
        self.lp.set_objective(objective)
        left = self.deadline - time.monotonic()
        if left <= 0.0:
            return "stopped", None, np.zeros(0)
        # only costs change from LP to LP, so the last basis is primal feasible and the primal simplex goes on from it
        status = self.lp.solve(left, dual=self.solves == 0)
        self.solves += 1
        if status != "optimal":
            return status, None, np.zeros(0)
        values, n = self.lp.point(), self.query.network.input_size
        found = self.check(np.clip(values[:n], self.lp.lower[:n], self.lp.upper[:n])[None])
        return "optimal" if found is None else "found", found, values


def phase_pattern(query: Query, point: Array) -> Array:
    """[neurons] the phases, +1 and -1, that the network itself has at a point [inputs]: where to begin."""
    pre = query.network.values(np.asarray(point)[None])[1][:-1]
    return np.where(np.concatenate([z[0] for z in pre]) > 0.0, 1, -1) if pre else np.zeros(0, dtype=np.int64)
