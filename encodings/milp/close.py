"""Closing queries and leaves by a MILP on SCIP (Tjeng, Xiao and Tedrake 2019), one entry for all formulations.

`model` has the layers, `margins` the margins and the run; how an unstable ReLU is said is the formulation's:
    big-m            `big_m`            one binary, two rows
    hull, hull-tree  `hull_cuts`        big-M and cuts of the single-neuron hulls, at the root or in the tree too
    partition-N      `partition`   N groups of inputs a neuron, extended formulation
    indicator, sos1  `indicator`        SCIP's own constraint types
With `binaries` only some ReLUs get a binary, the others the triangle (`partial`): a relaxation, which may refute
but whose optimum proves nothing. The same holds for curves that SCIP has no expression for: the points are mere
candidates.

Nothing here is rigorous: SCIP computes in floats, and what it refutes is advice, see `bab.milp_tree`. Its solutions are
inputs to replay. What it says is held against known points; a SCIP that fails or contradicts them leaves the node open
and says so in the `reason`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ...instances.batch import Node
from ...instances.network import Array
from ...instances.query import Query
from ..linear.number_range import suits_scip
from ..programs.scip import attempt, dual_bound, failed, root_bound
from ..slopes.group_rows import GroupRows
from .big_m import BigM
from .hull_cuts import HullCuts
from .indicator import Indicator, Sos1
from .margins import LIE, SCIP_MARGIN, STRATEGIES, Accept, MarginModel
from .model import Formulation
from .partial import relaxed_by
from .partition import Partition
from .rows import add_rows

__all__ = ["FORMULATIONS", "SCIP_MARGIN", "Float64Check", "MilpOptions", "MilpResult", "close"]

HULL_ROUNDS = 10  # of hull cuts at the root

FORMULATIONS: dict[str, Callable[[], Formulation]] = {
    "big-m": BigM,
    "hull": lambda: HullCuts(HULL_ROUNDS),
    "hull-tree": lambda: HullCuts(HULL_ROUNDS, tree=True),
    "partition-2": lambda: Partition(2),
    "partition-4": lambda: Partition(4),
    "indicator": Indicator,
    "sos1": Sos1,
}


@dataclass(frozen=True, eq=False)
class MilpResult:
    """What SCIP made of a node."""

    status: str  # "refuted": no t <= SCIP_MARGIN; "candidate": some solution has t <= SCIP_MARGIN; "open"
    bound: float  # SCIP's lower bound of t, in floats; -inf when it has none
    points: list[Array]  # candidate inputs inside the box, best first, each solution also snapped
    nodes: int  # of SCIP's tree
    seconds: float
    reason: str = ""  # why it is open, or SCIP's status; what SCIP said that cannot be
    root_bound: float = -np.inf  # the same as `bound` when SCIP left its root; -inf where t was not minimised
    binaries: int = 0  # unstable ReLUs that were not relaxed
    coefficients: tuple[float, float] = (1.0, 1.0)  # smallest and largest size in the rows that SCIP was given


@dataclass(frozen=True, eq=False)
class MilpOptions:
    """How SCIP is asked. Raises ValueError for an unknown formulation."""

    threads: int = 1  # of SCIP's LP solver
    cutoff: float | None = None  # t from which on SCIP may prune; None: SCIP_MARGIN times the scale
    start: Array | None = None  # [inputs], whose forward values become SCIP's first solution
    seed: int = 0
    # called with candidate inputs [P, inputs] of every improving solution, True stops SCIP; None: some candidate's
    # margins are <= 0 in float64
    accept: Accept | None = None
    formulation: str = "big-m"  # a key of FORMULATIONS
    # how many unstable ReLUs get one, most important first, or which [neurons] bool; None: all. With fewer than all
    # the status is never "candidate" unless `accept` was content
    binaries: int | Array | None = None
    rows: GroupRows | None = None  # multi-neuron rows that hold on the node
    strategy: str = STRATEGIES[0]  # one of margins.STRATEGIES

    def __post_init__(self) -> None:
        if self.formulation not in FORMULATIONS:
            raise ValueError(f"formulation {self.formulation!r}: expected one of {', '.join(FORMULATIONS)}")


def close(
    query: Query, node: Node, disjunct: int | None, time_limit: float, memory_mb: float,
    options: MilpOptions | None = None,
) -> MilpResult:  # fmt: skip
    """Look for an input of the node whose margins of the disjunct (None: of any) are all <= 0, or refute it.

    time_limit: seconds, building included; memory_mb: SCIP's limit. Several may run in threads: no GIL.
    Raises ValueError when a neuron that matters has no finite bounds; KeyboardInterrupt on Ctrl-C.
    """
    began, options = time.monotonic(), options or MilpOptions()
    if (node.lower > node.upper).any() or (node.pre_lower > node.pre_upper).any():
        return MilpResult("refuted", np.inf, [], 0, 0.0, "empty region")
    if not suits_scip(query, node):
        return MilpResult("open", -np.inf, [], 0, 0.0, "numbers of sizes that SCIP's tolerances are not made for")
    disjuncts = list(range(query.disjuncts)) if disjunct is None else [disjunct]
    accept = options.accept or Float64Check(query, disjuncts)
    relaxed = relaxed_by(query, node, disjuncts, options.binaries)
    lone = len(disjuncts) == 1 and query.starts[disjuncts[0] + 1] - query.starts[disjuncts[0]] > 1
    run = _Run(query, disjuncts, [] if options.start is None else [options.start])
    for mode in ("feasible", "minimise") if lone else ("minimise",):
        with attempt() as outcome:
            formulation = FORMULATIONS[options.formulation]()
            model = MarginModel(query, node, disjuncts, formulation, relaxed, options.cutoff)
            if options.rows is not None:
                add_rows(model, options.rows)
            model.ask(mode, memory_mb, options.threads, options.seed, options.strategy)
            if options.start is not None:
                model.add_start(options.start)
            run.take(model, mode, began + time_limit, accept)
        if outcome.failure:
            run.status, run.bound, run.root_bound = outcome.failure, -np.inf, -np.inf
            run.accepted = run.accepted and bool(run.points)  # what was accepted may be lost
            break
        if run.accepted or not run.solved or relaxed is not None:
            break
    return run.result(time.monotonic() - began)


@dataclass
class Float64Check:
    """The default for `accept`: the margins of the asked disjuncts, evaluated in float64."""

    query: Query
    disjuncts: list[int]

    def __call__(self, points: Array) -> bool:
        margins = self.query.network.evaluate(points)
        return bool((self.query.per_disjunct(margins)[:, self.disjuncts] <= 0.0).any())


@dataclass(eq=False)
class _Run:
    """What one call of `close` has learnt so far."""

    query: Query
    disjuncts: list[int]
    known: list[Array]  # inputs to hold SCIP's word against
    points: list[Array] = field(default_factory=list)
    status: str = "timelimit"  # SCIP's last
    bound: float = -np.inf
    root_bound: float = -np.inf
    limit: float = 0.0
    nodes: int = 0
    binaries: int = 0
    partial: bool = False
    accepted: bool = False
    solved: bool = False  # SCIP also keeps solutions beyond the limit: they do not count
    doubt: str = ""  # what SCIP said that cannot be
    coefficients: tuple[float, float] = (1.0, 1.0)

    def take(self, model: MarginModel, mode: str, end: float, accept: Accept) -> None:
        """Let SCIP run on the model until `end` and keep what comes out."""
        self.limit, self.partial = model.limit, bool(model.relaxed.any())
        self.binaries = sum(not relu.relaxed for relu in model.relus)
        self.coefficients = model.least, model.most
        left = end - time.monotonic()
        if left <= 0.0:
            self.status = "timelimit"
            return
        self.status, self.accepted = model.run(left, accept)
        self.points = _distinct([*model.points(), *self.points])
        self.nodes += 0 if failed(self.status) else int(model.scip.getNTotalNodes())
        minimised = mode == "minimise" and not failed(self.status)
        self.bound = dual_bound(model.scip) if minimised else -np.inf
        self.root_bound = root_bound(model.scip) if minimised else -np.inf
        self.solved = self.solved or self.status == "optimal"
        self._doubt(model)

    def _doubt(self, model: MarginModel) -> None:
        """Hold SCIP's bound, or its word that there is nothing, against the network's own values at known inputs."""
        slack, claimed = LIE * model.scale, self.limit if self.status == "infeasible" else min(self.bound, self.limit)
        if self.known or self.points:
            points = np.clip(np.array([*self.known, *self.points]), model.node.lower, model.node.upper)
            held = points[model.inside(points)]
            worst = self.query.per_disjunct(self.query.network.evaluate(held))[:, self.disjuncts].min(initial=np.inf)
            if worst < claimed - slack or (self.status == "infeasible" and worst <= 0.0):
                self.doubt = f"SCIP's bound {claimed:.6g} exceeds a known point's value {worst:.6g}"
                self.bound = self.root_bound = -np.inf
        if self.solved and not self.partial and not self.accepted and self.query.network.piecewise_linear:
            best = self.query.per_disjunct(self.query.network.evaluate(np.array(self.points)))[:, self.disjuncts]
            if not best.min(initial=np.inf) <= self.limit + slack:
                self.doubt = "SCIP's solution does not replay in the network"

    def result(self, seconds: float) -> MilpResult:
        """The answer."""
        status, reason = "open", f"SCIP stopped: {self.status}"
        bound = min(self.bound, self.limit)
        if self.accepted or (self.solved and not self.partial):
            status, reason = "candidate", self.status
        elif self.doubt:
            pass
        elif self.status == "infeasible":
            status, reason, bound = "refuted", self.status, self.limit
        elif self.solved or self.status == "hopeless":
            reason = f"{self.binaries} binaries are too few: the relaxation has a solution"
        reason = "; ".join(filter(None, (reason, self.doubt)))
        return MilpResult(
            status, bound, self.points, self.nodes, seconds, reason, self.root_bound, self.binaries, self.coefficients
        )


def _distinct(points: list[Array]) -> list[Array]:
    return list({p.tobytes(): p for p in points}.values())
