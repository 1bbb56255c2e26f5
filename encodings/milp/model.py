"""Variables and rows of a node's layers as a SCIP model; how an unstable ReLU is said is a formulation's affair.

As in `lp`, a pre-activation is split into its halves, z = y - s with y, s >= 0. Stable neurons need no more than one
half and no binary, and neurons that are inactive by their bounds vanish. An unstable neuron is handed to the
`Formulation`, which ties y, s and z = W x + b together, as a rule by a *switch* a: 1 where the neuron is active. A
relaxed neuron gets the triangle y <= u (z - l) / (u - l) instead, here
    -l y + u s <= -u l.
A curve is what SCIP has an expression for, or relaxed by lines (`curves`); a product is a quadratic row of its factors.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...instances.batch import Node
from ...instances.network import Array, curved, value_range
from ...instances.norm_ball import NormBall
from ...instances.products import products_of
from ...instances.query import Query
from ...instances.sparse import sp
from ..programs.scip import library, new_model, set_limits
from .curves import expression, lines_around

__all__ = ["Formulation", "NetworkModel", "Relu", "Terms"]

SNAP = 1e-5  # of a box's width: a coordinate this near to its bound may mean the bound, but for SCIP's noise
POINT = 1e-12  # a box narrower than this is one point to SCIP
LEAST_RADIUS = 1e-9  # of a norm ball relative to its centre: SCIP sees no smaller one
CURVE_BOX = 1e-9  # times 1 + |v|: what a curve's value v may leave its box by, more than `CURVE_SLACK`: SCIP is coarse

Terms = list[tuple[Any, float]]  # sum of coefficient * variable


@dataclass(eq=False)
class Relu:
    """An unstable ReLU y = max(0, z), s = y - z, with z = inputs + bias in [low, high], low < 0 < high."""

    layer: int  # the value's number, as in Network: 1 is the first layer
    index: int  # in the layer
    inputs: Terms  # W x
    bias: float
    low: float
    high: float
    y: Any
    s: Any
    relaxed: bool  # no binary
    switch: Any = None  # the variable that is 1 where the neuron is active, if the formulation has one


class Formulation(ABC):
    """How a MILP says y = max(0, z) of its unstable ReLUs. One object a model."""

    failure: BaseException | None = None  # what went wrong inside SCIP's callbacks, to be raised behind them

    def add(self, model: NetworkModel, relu: Relu) -> None:
        """Tie y, s and z of an unstable ReLU together."""
        model.define(relu)
        if relu.relaxed:
            model.triangle(relu)
        else:
            self.tie(model, relu)

    @abstractmethod
    def tie(self, model: NetworkModel, relu: Relu) -> None:
        """The same once z = y - s is said and the neuron is not to be relaxed."""

    def finish(self, model: NetworkModel) -> None:  # noqa: B027  most have nothing to add
        """Called once all rows are there and parameters are set: the place for separators."""


@dataclass(eq=False)
class _Values:
    """SCIP variables of a layer: `value[i]` is None where the value is 0."""

    value: list[Any] = field(default_factory=list)
    pre: list[Terms] = field(default_factory=list)  # z_i as terms over variables; or []


@dataclass(frozen=True, eq=False)
class _Derived:
    """A variable of a formulation whose value follows from the others: the terms' value, or 0."""

    variable: Any
    terms: Terms
    switch: Any = None  # None: always; else only where it is `on`
    on: bool = True


class NetworkModel:
    """The hidden layers of a query on a node, without objective.

    relaxed: [neurons] bool, unstable ReLUs that get the triangle instead of the formulation; None: none.

    Raises ValueError when a neuron that matters has no finite bounds.
    """

    def __init__(
        self, query: Query, node: Node, formulation: Formulation, relaxed: Array | None = None
    ) -> None:
        self.query, self.node, self.formulation = query, node, formulation
        self.relaxed = np.zeros(query.neurons, dtype=bool) if relaxed is None else relaxed
        self.library = library()
        self.expr, self.expr_cons, self.term = self.library.Expr, self.library.ExprCons, self.library.scip.Term
        self.scip = new_model()
        self.least, self.most = 1.0, 1.0  # sizes of the rows' coefficients
        self.inputs = [self.variable(a, b) for a, b in zip(node.lower.tolist(), node.upper.tolist(), strict=True)]
        self.neurons = [_Values(value=self.inputs)]
        self.ranges = [(node.lower, node.upper)]  # of every layer's values
        self.relus: list[Relu] = []
        self.derived: list[_Derived] = []
        for cut in node.cuts:
            chosen = np.flatnonzero(cut[:-1])
            self.row([(self.inputs[j], float(cut[j])) for j in chosen.tolist()], -float(cut[-1]), None)
        self.steps: tuple[list[Any], float] | None = None  # variables of the input set's ball, and its radius
        if query.region.ball is not None:
            self._ball(query.region.ball)
        for k in range(1, len(query.network.layers)):
            self._layer(k)

    # ---------------------------------------------------------------- variables and rows

    def variable(self, low: float, high: float, kind: str = "C") -> Any:
        """A new variable, as the term that expressions are made of; `variable[0]` is SCIP's own object."""
        lower, upper = (None if math.isinf(x) else x for x in (low, high))
        return self.term(self.scip.addVar(lb=lower, ub=upper, vtype=kind))

    def switch(self, relu: Relu) -> Any:
        """A new variable that says whether the neuron is active, binary unless the neuron is relaxed."""
        relu.switch = self.variable(0.0, 1.0, "C" if relu.relaxed else "B")
        return relu.switch

    def derive(self, variable: Any, terms: Terms, switch: Any = None, on: bool = True) -> None:
        """Remember how a start's value of a formulation's own variable follows from the other variables."""
        self.derived.append(_Derived(variable, terms, switch, on))

    def constraint(self, terms: Terms, low: float | None, high: float | None) -> Any:
        """low <= sum of coefficient * variable <= high; a dictionary of terms is the fastest way into SCIP.

        The row is divided by the power of two below its largest coefficient, so that SCIP's absolute tolerances mean
        the same in all rows.
        """
        sizes = [abs(c) for _, c in terms if c != 0.0]
        unit = math.ldexp(1.0, 1 - math.frexp(max(sizes, default=1.0))[1])
        self.least = min([self.least, *(unit * c for c in sizes)])
        self.most = max([self.most, *(unit * c for c in sizes)])
        low, high = (None if side is None else side * unit for side in (low, high))
        return self.expr_cons(self.expr({v: c * unit for v, c in terms}), lhs=low, rhs=high)

    def row(self, terms: Terms, low: float | None, high: float | None) -> None:
        """Demand it."""
        if terms:
            self.scip.addCons(self.constraint(terms, low, high))
        elif (low or 0.0) > 0.0 or (high or 0.0) < 0.0:
            impossible = self.variable(0.0, 0.0)
            self.row([(impossible, 1.0)], 1.0, None)

    def define(self, relu: Relu) -> None:
        """z = y - s."""
        self.row([*relu.inputs, (relu.y, -1.0), (relu.s, 1.0)], -relu.bias, -relu.bias)

    def triangle(self, relu: Relu) -> None:
        """-l y + u s <= -u l."""
        self.row([(relu.y, -relu.low), (relu.s, relu.high)], None, -relu.low * relu.high)

    def affine(self, k: int, index: NDArray[np.intp]) -> Iterator[Terms]:
        """Per row of `index` of layer k: W x as terms."""
        layer = self.query.network.layers[k - 1]
        blocks = [sp.csr_array(w[index]) for w in layer.weights]
        sources = [self.neurons[s].value for s in layer.sources]
        for i in range(len(index)):
            terms: Terms = []
            for block, values in zip(blocks, sources, strict=True):
                a, b = block.indptr[i], block.indptr[i + 1]
                columns = (values[j] for j in block.indices[a:b].tolist())
                terms += [(v, c) for v, c in zip(columns, block.data[a:b].tolist(), strict=True) if v is not None]
            yield terms

    def _ball(self, ball: NormBall) -> None:
        """Steps s = (x - c) / r: in l2 their squares sum to at most 1; in l1 sizes t >= s, t >= -s do."""
        radius = max(ball.radius, LEAST_RADIUS * float(1.0 + np.abs(ball.centre).max(initial=0.0)))
        steps = [self.variable(0.0 if ball.norm == 1 else -1.0, 1.0) for _ in self.inputs]
        for step, x, c in zip(steps, self.inputs, ball.centre.tolist(), strict=True):
            if ball.norm == 1:
                self.row([(x, 1.0), (step, -radius)], None, c)
                self.row([(x, 1.0), (step, radius)], c, None)
            else:
                self.row([(x, 1.0), (step, -radius)], c, c)
        if ball.norm == 1:
            self.row([(step, 1.0) for step in steps], None, 1.0)
        else:
            squares = self.expr({self.term(step[0], step[0]): 1.0 for step in steps})
            self.scip.addCons(self.expr_cons(squares, rhs=1.0))
        self.steps = steps, radius

    def _set_steps(self, solution: Any, x: Array) -> None:
        """The ball's variables of a solution with input x."""
        if self.steps is None or (ball := self.query.region.ball) is None:
            return
        variables, radius = self.steps
        values = (x - ball.centre) / radius
        for variable, value in zip(variables, (np.abs(values) if ball.norm == 1 else values).tolist(), strict=True):
            self.scip.setSolVal(solution, variable[0], value)

    # ---------------------------------------------------------------- layers

    def _layer(self, k: int) -> None:
        part, layer = self.query.slices[k - 1], self.query.network.layers[k - 1]
        low, high, phases = self.node.pre_lower[part], self.node.pre_upper[part], self.node.phases[part]
        needed = np.ones(layer.size, dtype=bool)
        if layer.kind == "relu":
            needed = (high > 0.0) | (phases != 0)
        index = np.flatnonzero(needed)
        if not (np.isfinite(low[index]).all() and np.isfinite(high[index]).all()):
            needs = "a MILP needs finite pre-activation bounds; bound the node first"
            raise ValueError(f"layer {k} ({layer.name}): {needs}")
        mine = _Values([None] * layer.size, [[] for _ in range(layer.size)])
        self.neurons.append(mine)
        multiplied = self._multiplied(k)
        for i, terms in zip(index.tolist(), self.affine(k, index), strict=True):
            ends = float(low[i]), float(high[i])
            if layer.kind == "relu" and ends[0] < 0.0 < ends[1]:
                self._unstable(mine, k, i, terms)
                continue
            mine.pre[i] = self._stable_relu(mine, i, *ends) if layer.kind == "relu" else self._other(mine, i, k, *ends)
            if curved(layer.kind):
                self._curve(layer.kind, mine, i, *ends, exactly=i not in multiplied)
            bias = float(layer.bias[i])
            self.row([*terms, *((v, -c) for v, c in mine.pre[i])], -bias, -bias)
        self._products(k, mine)
        self.ranges.append(wide_range(layer.kind, np.where(needed, low, 0.0), np.where(needed, high, 0.0)))

    def _unstable(self, mine: _Values, k: int, i: int, terms: Terms) -> None:
        flat = self.query.slices[k - 1].start + i
        low, high = float(self.node.pre_lower[flat]), float(self.node.pre_upper[flat])
        y, s = self.variable(0.0, high), self.variable(0.0, -low)
        mine.value[i], mine.pre[i] = y, [(y, 1.0), (s, -1.0)]
        bias = float(self.query.network.layers[k - 1].bias[i])
        relu = Relu(k, i, terms, bias, low, high, y, s, bool(self.relaxed[flat]))
        self.relus.append(relu)
        self.formulation.add(self, relu)

    def _stable_relu(self, mine: _Values, i: int, low: float, high: float) -> Terms:
        """The one half that is left of z."""
        if low >= 0.0:
            mine.value[i] = self.variable(low, high)
            return [(mine.value[i], 1.0)]
        return [(self.variable(max(-high, 0.0), -low), -1.0)]

    def _other(self, mine: _Values, i: int, k: int, low: float, high: float) -> Terms:
        """Identity, or the argument and the value of a curve."""
        kind = self.query.network.layers[k - 1].kind
        z = mine.value[i] = self.variable(low, high)
        if curved(kind):
            ends = wide_range(kind, np.array(low), np.array(high))
            mine.value[i] = self.variable(float(ends[0]), float(ends[1]))
        return [(z, 1.0)]

    def _curve(self, kind: str, mine: _Values, i: int, low: float, high: float, exactly: bool) -> None:
        """Lines around the curve of neuron i, and itself where SCIP has it and that is asked for."""
        (z, _), value = mine.pre[i][0], mine.value[i]
        said = expression(self.library, kind, z[0], low, high)
        for slope, least, most in lines_around(kind, low, high, said is None):
            self.row([(value, 1.0), (z, -slope)], least, most)
        if said is not None and exactly:
            self.scip.addCons(value[0] == said)

    def _multiplied(self, k: int) -> set[int]:
        """Neurons of layer k that count only as the two squares of a product."""
        products = products_of(self.query.network).get(k)
        if products is None:
            return set()
        return {*products.plus[products.opposite].tolist(), *products.minus[products.opposite].tolist()}

    def _products(self, k: int, mine: _Values) -> None:
        """y_s - y_d = a b."""
        if (products := products_of(self.query.network).get(k)) is None:
            return
        for q in range(len(products)):
            plus, minus = (mine.value[int(side[q])] for side in (products.plus, products.minus))
            factors = [self.neurons[int(v[q])].value[int(i[q])] for v, i in (products.left, products.right)]
            terms = {plus: 1.0, minus: -1.0}
            if None not in factors:
                terms[self.term(factors[0][0], factors[1][0])] = -1.0
            self.scip.addCons(self.expr_cons(self.expr(terms), lhs=0.0, rhs=0.0))

    # ---------------------------------------------------------------- solutions

    def solution(self, x: Array) -> tuple[Any, Array]:
        """The network's own values at x [inputs] as a new solution of SCIP's; also the margins there, [rows]."""
        scip, network = self.scip, self.query.network
        solution = scip.createSol()
        values, pre = network.values(np.clip(x, self.node.lower, self.node.upper)[None])
        for variable, value in zip(self.inputs, values[0][0].tolist(), strict=True):
            scip.setSolVal(solution, variable[0], value)
        self._set_steps(solution, values[0][0])
        for k, mine in enumerate(self.neurons[1:], start=1):
            for i, terms in enumerate(mine.pre):
                z = float(pre[k - 1][0, i])
                if mine.value[i] is not None:
                    scip.setSolVal(solution, mine.value[i][0], float(values[k][0, i]))
                for variable, sign in terms:
                    scip.setSolVal(solution, variable[0], max(sign * z, 0.0) if len(terms) > 1 else sign * z)
        self._complete(solution, pre)
        return solution, values[-1][0]

    def _complete(self, solution: Any, pre: list[Array]) -> None:
        """Switches and the formulation's own variables."""
        for relu in self.relus:
            if relu.switch is not None:
                on = pre[relu.layer - 1][0, relu.index] > 0.0
                self.scip.setSolVal(solution, relu.switch[0], float(on))
        for one in self.derived:
            used = one.switch is None or (self.scip.getSolVal(solution, one.switch[0]) > 0.5) == one.on
            value = sum(c * self.scip.getSolVal(solution, v[0]) for v, c in one.terms) if used else 0.0
            self.scip.setSolVal(solution, one.variable[0], value)

    def candidates(self, solution: Any) -> list[Array]:
        """One solution's input (None: the current LP's), clipped into the box, and the same snapped to near bounds."""
        low, high = self.node.lower, self.node.upper
        x = np.clip(np.array([self.scip.getSolVal(solution, v[0]) for v in self.inputs]), low, high)
        near = SNAP * np.maximum(high - low, POINT)
        snapped = np.where(x - low <= near, low, np.where(high - x <= near, high, x))
        return [x] if np.array_equal(x, snapped) else [x, snapped]

    def inside(self, points: Array) -> Array:
        """[P] bool: which points [P, inputs] satisfy the node's half-spaces and phases, and lie in the ball, in
        float64, boxes aside."""
        node = self.node
        held = np.asarray((points @ node.cuts[:, :-1].T + node.cuts[:, -1] >= 0.0).all(axis=1))
        if (ball := self.query.region.ball) is not None:
            held &= ball.distances(points) <= ball.radius
        if node.phases.any():
            pre = np.concatenate(self.query.network.values(points)[1][:-1], axis=1)
            held &= (pre * node.phases >= 0.0).all(axis=1)
        return held

    # ---------------------------------------------------------------- solving

    def configure(self, rounds: tuple[int, int], memory_mb: float, threads: int, seed: int) -> None:
        """Everything that does not change while SCIP runs. rounds: of separation, at the root and below."""
        set_limits(self.scip, memory_mb, threads, seed)
        self.scip.setHeuristics(self.library.SCIP_PARAMSETTING.FAST)
        self.scip.setParam("separating/maxroundsroot", rounds[0])
        self.scip.setParam("separating/maxrounds", rounds[1])

    def dive(self) -> None:
        """Search depth first, without heuristics: our callbacks look at every LP's input themselves."""
        self.scip.setHeuristics(self.library.SCIP_PARAMSETTING.OFF)
        self.scip.setParam("nodeselection/dfs/stdpriority", 1_000_000)


def wide_range(kind: str, low: Array, high: Array) -> tuple[Array, Array]:
    """Range of act(z) for z in [low, high], a little wide for curves."""
    ends = value_range(kind, low, high)
    if not curved(kind):
        return ends
    return ends[0] - CURVE_BOX * (1.0 + np.abs(ends[0])), ends[1] + CURVE_BOX * (1.0 + np.abs(ends[1]))
