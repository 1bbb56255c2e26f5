"""A node's layers with the margins of some disjuncts on top: min t over m_r <= t, and the run of SCIP on it.

A disjunct of one row is min t over m_r <= t. One of several rows is first asked as a mere feasibility problem,
m_r <= SCIP_MARGIN: where rows meet only by equality (sat_relu) every relaxation has t = 0, and an objective only
leads astray. Several disjuncts at once choose one by binaries p_k, m_r <= t + M_r (1 - p_k).

SCIP computes in floats with tolerances. It is asked for t below SCIP_MARGIN, not below 0, so its "infeasible" excludes
near misses as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...instances.batch import Node
from ...instances.network import Array
from ...instances.query import Query
from ...instances.sparse import sp
from ..linear.bounds import middle_and_radius
from ..programs.scip import failed, optimise
from .model import Formulation, NetworkModel

__all__ = ["LIE", "ROUNDS", "SCIP_MARGIN", "STRATEGIES", "Accept", "MarginModel"]

SCIP_MARGIN = 1e-6  # times the margins' scale, a hundred tolerances: t beyond it counts as positive
LIE = 1e-5  # times the scale: a bound that exceeds a known point's value by more is false, not merely rounded
RANGE = 1e-6  # of the interval of a margin: wider than SCIP's tolerances, so that no solution is cut off
# Rounds of separation, at SCIP's root and below it. A few rounds win most of the bound; SCIP's default, rounds until
# the root stalls, can spend minutes there (mnist_fc 256x4, property 8, eps 0.03, worst disjunct: over 40 s, not 3 s)
ROUNDS = {"minimise": (2, 2), "feasible": (5, 1)}
# How SCIP's tree is searched. Its best estimates help an optimum, not a refutation: depth first, without heuristics,
# refutes sat_relu's formulas in two thirds of the time and safenlp's questions in 10 to 30 % less
STRATEGIES = ("best-first", "depth-first")

Accept = Callable[[Array], bool]


class MarginModel(NetworkModel):
    """All layers of a query on a node; the margins of `disjuncts` are to be made small.

    cutoff: t from which on SCIP may prune, default SCIP_MARGIN times the scale; the rest as in NetworkModel.
    """

    def __init__(
        self, query: Query, node: Node, disjuncts: list[int], formulation: Formulation, relaxed: Array | None = None,
        cutoff: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(query, node, formulation, relaxed)
        self.disjuncts = disjuncts
        self.found: list[Array] = []  # inputs that were accepted and are no solutions of SCIP's
        self._margins(cutoff)

    def _margins(self, cutoff: float | None) -> None:
        """min t, m_r <= t + M_r (1 - p_k)."""
        layer, starts = self.query.network.layers[-1], self.query.starts
        blocks = [sp.csr_array(w) for w in layer.weights]
        lowest, highest = self._intervals(blocks)
        rows = np.concatenate([np.arange(starts[k], starts[k + 1]) for k in self.disjuncts])
        sizes = [float(np.abs(layer.bias[rows]).max()), *(float(abs(b[rows]).max()) for b in blocks if b.nnz)]
        self.scale = max(1.0, *sizes)
        self.limit = SCIP_MARGIN * self.scale if cutoff is None else cutoff  # larger t do not matter
        # not above the limit, so that t may always come down to it
        floor = min(self.limit, *(float(lowest[starts[k] : starts[k + 1]].max()) for k in self.disjuncts))
        self.floor = floor
        self.t = self.variable(floor, max(floor, float(highest[rows].max())) + 1.0)
        self.choices: list[Any] = []
        if len(self.disjuncts) > 1:
            self.choices = [self.variable(0.0, 1.0, "B") for _ in self.disjuncts]
            self.row([(p, 1.0) for p in self.choices], 1.0, 1.0)
        for k, choice in zip(self.disjuncts, self.choices or [None], strict=True):
            index = np.arange(starts[k], starts[k + 1])
            for r, terms in zip(index.tolist(), self.affine(len(self.query.network.layers), index), strict=True):
                side = -float(layer.bias[r])
                terms = [*terms, (self.t, -1.0)]
                if choice is not None:
                    big = max(float(highest[r]) - floor, 0.0)
                    terms, side = [*terms, (choice, big)], side + big
                self.row(terms, None, side)

    def _intervals(self, blocks: list[Any]) -> tuple[Array, Array]:
        """[rows] what the margins lie between, by the ranges of the values."""
        layer = self.query.network.layers[-1]
        radius, middle = np.zeros(layer.size), layer.bias.astype(np.float64)
        for s, block in zip(layer.sources, blocks, strict=True):
            low, high = self.ranges[s]
            centre, half = middle_and_radius(low, high)
            middle = middle + block @ centre
            radius = radius + abs(block) @ half
        slack = RANGE * (1.0 + radius)
        return middle - radius - slack, middle + radius + slack

    # ---------------------------------------------------------------- solving

    def ask(self, mode: str, memory_mb: float, threads: int, seed: int, strategy: str = "best-first") -> None:
        """Set what does not change while SCIP runs. mode: a key of ROUNDS; strategy: one of STRATEGIES."""
        self.configure(ROUNDS[mode], memory_mb, threads, seed)
        if strategy == "depth-first":
            self.dive()
        if mode == "minimise":
            self.scip.setObjective(self.expr({self.t: 1.0}), "minimize")
            self.scip.setObjlimit(self.limit)
        else:
            self.scip.chgVarUb(self.t[0], self.limit)
        self.formulation.finish(self)

    def add_start(self, x: Array) -> None:
        """The network's own values at x [inputs] as a solution; SCIP drops it if it violates the node's rows."""
        solution, margins = self.solution(x)
        worst = self.query.per_disjunct(margins[None])[0, self.disjuncts]
        self.scip.setSolVal(solution, self.t[0], max(float(worst.min()), self.floor))
        if self.choices:
            self.scip.setSolVal(solution, self.choices[int(np.argmin(worst))][0], 1.0)
        self.scip.addSol(solution)

    def run(self, seconds: float, accept: Accept) -> tuple[str, bool]:
        """Let SCIP work; returns its status, and whether a candidate was accepted.

        The status is "hopeless" where SCIP was stopped, behind its root, because a solution with relaxed ReLUs showed
        that these binaries refute nothing.
        """
        stopper = _stopper(self, accept)
        self.scip.includeEventhdlr(stopper, "accept", "stops once a solution replays")
        callbacks = stopper, self.formulation
        status = optimise(self.scip, seconds, callbacks, lambda: stopper.hopeless or stopper.accepted)
        if failed(status):
            return status, stopper.accepted
        if status == "userinterrupt" and stopper.hopeless:
            status = "hopeless"
        # solutions that SCIP took over or found while it presolved raise no event
        points = [] if stopper.accepted else self.points()
        return status, stopper.accepted or (bool(points) and accept(np.array(points)))

    def beaten(self) -> bool:
        """Whether a solution is below the limit; then SCIP looks for nothing but better ones."""
        best = self.scip.getBestSol() if self.scip.getNSols() else None
        return best is not None and bool(self.scip.getSolObjVal(best) <= self.limit)

    def points(self) -> list[Array]:
        """All solutions as inputs in the box, best first, each also snapped to the box where it is near."""
        return self.found + [p for solution in self.scip.getSols() for p in self.candidates(solution)]


def _stopper(model: MarginModel, accept: Accept) -> Any:
    """An event handler that shows improving solutions to `accept` and interrupts SCIP once it is content."""
    stage, kinds = model.library.SCIP_STAGE, model.library.SCIP_EVENTTYPE
    # SCIP refuses to be interrupted between its stages; then the next node is early enough
    interruptible = (stage.TRANSFORMED, stage.PRESOLVING, stage.PRESOLVED, stage.SOLVING)
    events = (kinds.BESTSOLFOUND, kinds.LPSOLVED, kinds.NODEFOCUSED)
    relaxed = bool(model.relaxed.any())

    class Stopper(model.library.Eventhdlr):  # type: ignore[misc, name-defined]  # made late: so is the import
        accepted = False
        hopeless = False
        failure: BaseException | None = None

        def eventinit(self) -> None:
            for kind in events:
                self.model.catchEvent(kind, self)

        def eventexit(self) -> None:
            for kind in events:
                self.model.dropEvent(kind, self)

        def eventexec(self, event: Any) -> None:
            # SCIP's C code cannot pass exceptions on: keep them for the caller
            try:
                kind = event.getType()
                if self.accepted:
                    pass
                elif kind == kinds.NODEFOCUSED:
                    self.hopeless = relaxed and self.model.getDepth() > 0 and model.beaten()
                elif kind == kinds.BESTSOLFOUND:
                    self.accepted = accept(np.array(model.candidates(self.model.getBestSol())))
                else:
                    # SCIP's heuristics round binaries, which seldom fits the big-M rows; the LP's input with the
                    # network's own values behind it always does
                    found = model.candidates(None)
                    if accept(np.array(found)):
                        self.accepted = True
                        model.found += found
            except BaseException as error:
                self.failure = error
            over = self.accepted or self.hopeless or self.failure is not None
            if over and self.model.getStage() in interruptible:
                self.model.interruptSolve()

    return Stopper()
