"""The big-M MILP of a node on SCIP (Tjeng, Xiao and Tedrake 2019), for closing queries and leaves.

As in `lp`, a pre-activation is split into its halves, z = y - s. A binary per unstable ReLU says which half
may be used,
    0 <= y <= u a,    0 <= s <= -l (1 - a);
stable neurons need none, and neurons that are inactive by their bounds vanish. A disjunct of one row is min
t over m_r <= t. One of several rows is first asked as a mere feasibility problem, m_r <= SCIP_MARGIN: where
rows meet only by equality (sat_relu) every relaxation has t = 0, and an objective only leads astray.
Several disjuncts at once choose one by binaries p_k, m_r <= t + M_r (1 - p_k). Sigmoid and tanh are relaxed
by two lines, so their networks can be refuted but not proved unsafe: the points are mere candidates.

SCIP computes in floats with tolerances. It is asked for t below SCIP_MARGIN, not below 0, so its
"infeasible" excludes near misses as well; still nothing here is rigorous, and a verdict built on it is
`scip-float`. Its solutions are inputs to replay.

SCIP's flow cover and mixed-integer rounding cuts strengthen the big-M rows, as the single-neuron hulls of
Anderson et al. (2020) do. A few rounds win most of the bound; SCIP's default, rounds until the root stalls,
can spend minutes there (mnist_fc 256x4, property 8, eps 0.03, worst disjunct: over 40 s, against 3 s).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ..instances.batch import Node
from ..instances.network import Array, activate
from ..instances.query import Query
from .relaxations import lines

__all__ = ["SCIP_MARGIN", "MilpResult", "close"]

FEASIBILITY = 1e-8  # SCIP's feasibility tolerance; with its default, 1e-6, presolving refuted solvable models
SCIP_MARGIN = 1e-6  # times the margins' scale, a hundred tolerances: t beyond it counts as positive
# rounds of separation, at SCIP's root and below it: measured, see above
ROUNDS = {"minimise": (2, 2), "feasible": (5, 1)}
SNAP = 1e-5  # of a box's width: a coordinate this near to its bound may mean the bound, but for SCIP's noise
INFINITY = 1e20  # SCIP's

Accept = Callable[[Array], bool]


@dataclass(frozen=True, eq=False)
class MilpResult:
    """What SCIP made of a node."""

    status: str  # "refuted": no t <= SCIP_MARGIN; "candidate": some solution has t <= SCIP_MARGIN; "open"
    bound: float  # SCIP's lower bound of t, in floats; -inf when it has none
    points: list[Array]  # candidate inputs inside the box, best first, each solution also snapped
    nodes: int  # of SCIP's tree
    seconds: float
    reason: str = ""  # why it is open, or SCIP's status


def close(
    query: Query, node: Node, disjunct: int | None, time_limit: float, memory_mb: float, threads: int = 1,
    cutoff: float | None = None, start: Array | None = None, seed: int = 0, accept: Accept | None = None,
) -> MilpResult:  # fmt: skip
    """Look for an input of the node whose margins of the disjunct (None: of any) are all <= 0, or refute it.

    time_limit: seconds, building included; memory_mb: SCIP's limit; threads: of SCIP's LP solver; cutoff: t from
    which on SCIP may prune, default SCIP_MARGIN times the scale; start: [inputs], its forward values become
    SCIP's first solution; accept: called with candidate inputs [P, inputs] of every improving solution, True
    stops SCIP; default: some candidate's margins are <= 0 in float64. Several may run in threads: no GIL.

    Raises ValueError when a neuron that matters has no finite bounds; KeyboardInterrupt on Ctrl-C.
    """
    began = time.monotonic()
    if (node.lower > node.upper).any() or (node.pre_lower > node.pre_upper).any():
        return MilpResult("refuted", np.inf, [], 0, 0.0, "empty region")
    disjuncts = list(range(query.disjuncts)) if disjunct is None else [disjunct]
    accept = accept or _Float64Check(query, disjuncts)
    rows = [int(query.starts[k + 1] - query.starts[k]) for k in disjuncts]
    modes = ["feasible", "minimise"] if len(disjuncts) == 1 and rows[0] > 1 else ["minimise"]
    points: list[Array] = []
    nodes, bound, limit, status = 0, -np.inf, 0.0, "timelimit"
    accepted, solved = False, False
    for mode in modes:
        model = _Model(query, node, disjuncts, cutoff)
        limit = model.limit
        model.configure(mode, memory_mb, threads, seed)
        if start is not None:
            model.add_start(start)
        left = time_limit - (time.monotonic() - began)
        if left <= 0.0:
            status = "timelimit"
            break
        status, accepted = model.run(left, accept)
        points = _distinct([*model.points(), *points])
        nodes += int(model.scip.getNTotalNodes())
        bound = model.bound() if mode == "minimise" and not status.startswith("error") else -np.inf
        solved = solved or status == "optimal"  # SCIP also keeps solutions beyond the limit: they do not count
        if accepted or not solved:
            break
    seconds = time.monotonic() - began
    if accepted or solved:
        return MilpResult("candidate", min(bound, limit), points, nodes, seconds, status)
    if status == "infeasible":
        return MilpResult("refuted", limit, points, nodes, seconds, status)
    return MilpResult("open", min(bound, limit), points, nodes, seconds, f"SCIP stopped: {status}")


@dataclass
class _Float64Check:
    """The default for `accept`: the margins of the asked disjuncts, evaluated in float64."""

    query: Query
    disjuncts: list[int]

    def __call__(self, points: Array) -> bool:
        margins = self.query.network.evaluate(points)
        return bool((self.query.per_disjunct(margins)[:, self.disjuncts] <= 0.0).any())


@dataclass(eq=False)
class _Neurons:
    """SCIP variables of a layer: `value[i]` is None where the value is 0."""

    value: list[Any] = field(default_factory=list)
    pre: list[list[tuple[Any, float]]] = field(default_factory=list)  # z_i as terms over variables; or []
    binary: list[Any] = field(default_factory=list)


class _Model:
    """Variables and rows of one node."""

    def __init__(self, query: Query, node: Node, disjuncts: list[int], cutoff: float | None) -> None:
        from pyscipopt import Expr, ExprCons, Model
        from pyscipopt.scip import Term

        self.query, self.node = query, node
        self.expr, self.row, self.term = Expr, ExprCons, Term
        self.disjuncts, self.cutoff = disjuncts, cutoff
        self.scip = Model()
        self.scip.hideOutput()
        self.inputs = [
            self._variable(a, b) for a, b in zip(node.lower.tolist(), node.upper.tolist(), strict=True)
        ]
        self.found: list[Array] = []  # inputs that were accepted and are no solutions of SCIP's
        self.neurons = [_Neurons(value=self.inputs)]
        self.ranges = [(node.lower, node.upper)]
        for cut in node.cuts:
            chosen = np.flatnonzero(cut[:-1])
            self._row([(self.inputs[j], float(cut[j])) for j in chosen.tolist()], -float(cut[-1]), None)
        for k in range(1, len(query.network.layers)):
            self._layer(k)
        self._margins()

    # ---------------------------------------------------------------- variables and rows

    def _variable(self, low: float, high: float, kind: str = "C") -> Any:
        """A new variable, as the term that expressions are made of; `handle[0]` is SCIP's own object."""
        return self.term(self.scip.addVar(lb=low, ub=high, vtype=kind))

    def _row(self, entries: list[tuple[Any, float]], low: float | None, high: float | None) -> None:
        """low <= sum of value * variable <= high; a dictionary of terms is the fastest way into SCIP."""
        if entries:
            self.scip.addCons(self.row(self.expr(dict(entries)), lhs=low, rhs=high))
        elif (low or 0.0) > 0.0 or (high or 0.0) < 0.0:
            impossible = self._variable(0.0, 0.0)
            self._row([(impossible, 1.0)], 1.0, None)

    def _affine(self, k: int, index: NDArray[np.intp]) -> Iterator[list[tuple[Any, float]]]:
        """Per row of `index` of layer k: W x as terms."""
        layer = self.query.network.layers[k - 1]
        blocks = [sp.csr_array(w[index]) for w in layer.weights]
        sources = [self.neurons[s].value for s in layer.sources]
        for i in range(len(index)):
            entries: list[tuple[Any, float]] = []
            for block, values in zip(blocks, sources, strict=True):
                a, b = block.indptr[i], block.indptr[i + 1]
                columns = (values[j] for j in block.indices[a:b].tolist())
                entries += [
                    (v, c) for v, c in zip(columns, block.data[a:b].tolist(), strict=True) if v is not None
                ]
            yield entries

    def _layer(self, k: int) -> None:
        part, layer = self.query.slices[k - 1], self.query.network.layers[k - 1]
        low, high, phases = self.node.pre_lower[part], self.node.pre_upper[part], self.node.phases[part]
        needed = np.ones(layer.size, dtype=bool)
        if layer.kind == "relu":
            needed = (high > 0.0) | (phases != 0)
        index = np.flatnonzero(needed)
        if not (np.isfinite(low[index]).all() and np.isfinite(high[index]).all()):
            raise ValueError(
                f"layer {k} ({layer.name}): big-M needs finite pre-activation bounds; bound the node first"
            )
        mine = _Neurons([None] * layer.size, [[] for _ in range(layer.size)], [None] * layer.size)
        self.neurons.append(mine)
        for i, entries in zip(index.tolist(), self._affine(k, index), strict=True):
            pre = self._neuron(mine, i, layer.kind, float(low[i]), float(high[i]))
            mine.pre[i] = pre
            bias = float(layer.bias[i])
            self._row([*entries, *((v, -c) for v, c in pre)], -bias, -bias)
        self.ranges.append(_value_range(layer.kind, np.where(needed, low, 0.0), np.where(needed, high, 0.0)))

    def _neuron(self, mine: _Neurons, i: int, kind: str, low: float, high: float) -> list[tuple[Any, float]]:
        """Variables of a neuron and what ties them together; returns z as terms."""
        if kind == "relu":
            return self._relu(mine, i, low, high)
        z = mine.value[i] = self._variable(low, high)
        if kind != "identity":
            ends = _value_range(kind, np.array(low), np.array(high))
            value = mine.value[i] = self._variable(float(ends[0]), float(ends[1]))
            line = lines(kind, np.array([low]), np.array([high]))
            self._row([(value, 1.0), (z, -float(line.upper_slope[0]))], None, float(line.upper_intercept[0]))
            self._row([(value, 1.0), (z, -float(line.lower_slope[0]))], float(line.lower_intercept[0]), None)
        return [(z, 1.0)]

    def _relu(self, mine: _Neurons, i: int, low: float, high: float) -> list[tuple[Any, float]]:
        if low >= 0.0:
            mine.value[i] = self._variable(low, high)
            return [(mine.value[i], 1.0)]
        s = self._variable(max(-high, 0.0), -low)
        if high <= 0.0:
            return [(s, -1.0)]
        y = mine.value[i] = self._variable(0.0, high)
        a = mine.binary[i] = self._variable(0.0, 1.0, "B")
        self._row([(y, 1.0), (a, -high)], None, 0.0)
        self._row([(s, 1.0), (a, -low)], None, -low)
        return [(y, 1.0), (s, -1.0)]

    def _margins(self) -> None:
        """min t, m_r <= t + M_r (1 - p_k)."""
        layer, starts = self.query.network.layers[-1], self.query.starts
        blocks = [sp.csr_array(w) for w in layer.weights]
        radius, middle = np.zeros(layer.size), layer.bias.astype(np.float64)
        for s, block in zip(layer.sources, blocks, strict=True):
            low, high = self.ranges[s]
            middle = middle + block @ (0.5 * (low + high))
            radius = radius + abs(block) @ (0.5 * (high - low))
        lowest, highest = middle - radius - 1e-6 * (1.0 + radius), middle + radius + 1e-6 * (1.0 + radius)
        rows = np.concatenate([np.arange(starts[k], starts[k + 1]) for k in self.disjuncts])
        self.scale = max(
            1.0, float(np.abs(layer.bias[rows]).max()), *(float(abs(b[rows]).max()) for b in blocks if b.nnz)
        )
        self.limit = (
            SCIP_MARGIN * self.scale if self.cutoff is None else self.cutoff
        )  # larger t do not matter
        # not above the limit, so that t may always come down to it
        floor = min(self.limit, *(float(lowest[starts[k] : starts[k + 1]].max()) for k in self.disjuncts))
        self.floor = floor
        self.t = self._variable(floor, max(floor, float(highest[rows].max())) + 1.0)
        self.choices: list[Any] = []
        if len(self.disjuncts) > 1:
            self.choices = [self._variable(0.0, 1.0, "B") for _ in self.disjuncts]
            self._row([(p, 1.0) for p in self.choices], 1.0, 1.0)
        for k, choice in zip(self.disjuncts, self.choices or [None], strict=True):
            index = np.arange(starts[k], starts[k + 1])
            for r, entries in zip(
                index.tolist(), self._affine(len(self.query.network.layers), index), strict=True
            ):
                side = -float(layer.bias[r])
                entries = [*entries, (self.t, -1.0)]
                if choice is not None:
                    big = max(float(highest[r]) - floor, 0.0)
                    entries, side = [*entries, (choice, big)], side + big
                self._row(entries, None, side)

    # ---------------------------------------------------------------- solving

    def configure(self, mode: str, memory_mb: float, threads: int, seed: int) -> None:
        """Everything that does not change while SCIP runs. mode: a key of ROUNDS."""
        from pyscipopt import SCIP_PARAMSETTING

        root, below = ROUNDS[mode]
        self.scip.setHeuristics(SCIP_PARAMSETTING.FAST)
        self.scip.setParam("numerics/feastol", FEASIBILITY)
        self.scip.setParam("separating/maxroundsroot", root)
        self.scip.setParam("separating/maxrounds", below)
        self.scip.setParam("limits/memory", max(float(memory_mb), 1.0))
        self.scip.setParam("lp/threads", int(threads))
        self.scip.setParam("randomization/randomseedshift", int(seed) % 2**31)
        if mode == "minimise":
            self.scip.setObjective(self.expr({self.t: 1.0}), "minimize")
            self.scip.setObjlimit(self.limit)
        else:
            self.scip.chgVarUb(self.t[0], self.limit)

    def add_start(self, x: Array) -> None:
        """The network's own values at x as a solution; SCIP drops it if it violates the node's rows."""
        scip, network = self.scip, self.query.network
        solution = scip.createSol()
        values, pre = network.values(np.clip(x, self.node.lower, self.node.upper)[None])
        for variable, value in zip(self.inputs, values[0][0].tolist(), strict=True):
            scip.setSolVal(solution, variable[0], value)
        for k, mine in enumerate(self.neurons[1:], start=1):
            for i, terms in enumerate(mine.pre):
                z = float(pre[k - 1][0, i])
                for variable, sign in terms:
                    scip.setSolVal(solution, variable[0], max(sign * z, 0.0) if len(terms) > 1 else sign * z)
                if mine.binary[i] is not None:
                    scip.setSolVal(solution, mine.binary[i][0], float(z > 0.0))
                elif mine.value[i] is not None:
                    scip.setSolVal(solution, mine.value[i][0], float(values[k][0, i]))
        worst = self.query.per_disjunct(values[-1])[0, self.disjuncts]
        scip.setSolVal(solution, self.t[0], max(float(worst.min()), self.floor))
        if self.choices:
            scip.setSolVal(solution, self.choices[int(np.argmin(worst))][0], 1.0)
        scip.addSol(solution)

    def run(self, seconds: float, accept: Accept) -> tuple[str, bool]:
        """Let SCIP work; returns its status, and whether a candidate was accepted."""
        self.scip.setParam("limits/time", max(seconds, 0.01))
        stopper = _stopper(self, accept)
        self.scip.includeEventhdlr(stopper, "accept", "stops once a solution replays")
        try:
            self.scip.optimizeNogil()
        except Exception as error:  # pyscipopt raises bare Exceptions for SCIP's own; the words become the status
            if stopper.failure is not None:
                raise stopper.failure from error
            return f"error: {error}", stopper.accepted
        status = str(self.scip.getStatus())
        if stopper.failure is not None:
            raise stopper.failure
        if status == "userinterrupt" and not stopper.accepted:
            raise KeyboardInterrupt
        # solutions that SCIP took over or found while it presolved raise no event
        points = [] if stopper.accepted else self.points()
        return status, stopper.accepted or (bool(points) and accept(np.array(points)))

    def bound(self) -> float:
        """SCIP's dual bound of t."""
        value = float(self.scip.getDualbound())
        return value if abs(value) < INFINITY else float(np.copysign(np.inf, value))

    def points(self) -> list[Array]:
        """All solutions as inputs in the box, best first, each also snapped to the box where it is near."""
        return self.found + [p for solution in self.scip.getSols() for p in self.candidates(solution)]

    def candidates(self, solution: Any) -> list[Array]:
        """One solution's input (None: the current LP's), clipped into the box, and the same snapped to near bounds."""
        low, high = self.node.lower, self.node.upper
        x = np.clip(np.array([self.scip.getSolVal(solution, v[0]) for v in self.inputs]), low, high)
        near = SNAP * np.maximum(high - low, 1e-12)
        snapped = np.where(x - low <= near, low, np.where(high - x <= near, high, x))
        return [x] if np.array_equal(x, snapped) else [x, snapped]


def _distinct(points: list[Array]) -> list[Array]:
    return list({p.tobytes(): p for p in points}.values())


def _stopper(model: _Model, accept: Accept) -> Any:
    """An event handler that shows improving solutions to `accept` and interrupts SCIP once it is content."""
    from pyscipopt import SCIP_EVENTTYPE, SCIP_STAGE, Eventhdlr

    # SCIP refuses to be interrupted between its stages; then the next node is early enough
    interruptible = (SCIP_STAGE.TRANSFORMED, SCIP_STAGE.PRESOLVING, SCIP_STAGE.PRESOLVED, SCIP_STAGE.SOLVING)
    events = (SCIP_EVENTTYPE.BESTSOLFOUND, SCIP_EVENTTYPE.LPSOLVED, SCIP_EVENTTYPE.NODEFOCUSED)

    class Stopper(Eventhdlr):  # type: ignore[misc]  # pyscipopt is imported late, so the class is made late
        accepted = False
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
                if self.accepted or kind == SCIP_EVENTTYPE.NODEFOCUSED:
                    pass
                elif kind == SCIP_EVENTTYPE.BESTSOLFOUND:
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
            if (self.accepted or self.failure is not None) and self.model.getStage() in interruptible:
                self.model.interruptSolve()

    return Stopper()


def _value_range(kind: str, low: Array, high: Array) -> tuple[Array, Array]:
    """Range of act(z) for z in [low, high], a little wide for sigmoid and tanh."""
    slack = 1e-9 if kind in ("sigmoid", "tanh") else 0.0
    return activate(kind, low) - slack, activate(kind, high) + slack
