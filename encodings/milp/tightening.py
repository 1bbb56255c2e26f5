"""Bounds of hidden neurons by small MILPs with time slices, over the layers before the neuron.

After optimised slopes and LPs what is left of a pre-activation's slack comes from the phases of the neurons before it;
a MILP over these layers (Tjeng, Xiao and Tedrake 2019, section 4), as a rule with only the most important of them
binary (`partial`), wins part of it. Whatever SCIP has proved when its slice ends is a bound:
    z >= SCIP's dual bound of min z - margin,    z <= -(SCIP's dual bound of min -z) + margin.
Slices double from round to round; only neurons that ran out of time and might win come again.

The margin, SCIP_MARGIN times the scale of the neuron's row, covers SCIP's tolerances, but nothing here is rigorous:
no verdict may rest on these bounds, and the search does not use them; `study formulations` measures what they would
bring. "Infeasible" is not believed: it changes nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from threading import Event, Lock

import numpy as np

from ...instances.batch import Node
from ...instances.network import Array
from ...instances.query import Query
from ..linear.linear_bounds import LinearBoundOptions, bound
from ..programs.scip import INFINITY, attempt, dual_bound, failed, optimise
from .big_m import BigM
from .margins import LIE, ROUNDS, SCIP_MARGIN
from .model import NetworkModel
from .partial import row_scores, unstable

__all__ = ["BINARIES", "TighteningOptions", "bound_neuron", "tighten_by_milp"]

LOG = logging.getLogger(__name__)
WORTH = 1e-2  # a bound is tightened only if it may gain more than this part of the neuron's width
PAYS = 0.02  # a round that wins a smaller share of the layer's triangle heights is poor
POOR = 2  # poor rounds in a row that end a layer; the slices of a single one may only have been too short
# binaries a neuron. Measured on mnist_fc 256x4 (property 7, eps 0.05; six neurons of layer 4, where LPs win nothing):
# 8 win 26 % of a neuron's width in 0.36 s of CPU a bound, 24 win 34 % in 0.7 s, all of them 14 % in 0.74 s, cut off
BINARIES = 16
PATIENCE = 12  # bounds in a row that won nothing end a round
LEAST_SLICE = 0.02  # seconds below which SCIP is not asked


@dataclass(frozen=True, eq=False)
class NeuronBound:
    """What SCIP made of one side of a neuron."""

    value: float  # lower bound of sign * z, never worse than what was known
    finished: bool  # more time would win nothing
    points: Array  # [P, inputs] of its solutions
    reason: str  # SCIP's status, or what went wrong


@dataclass(frozen=True, eq=False)
class TighteningOptions:
    """How SCIP is asked for bounds of neurons."""

    # how many unstable ReLUs before a neuron get a binary (those that cost its bound most), or which [neurons] bool;
    # None: all
    binaries: int | Array | None = BINARIES
    slice_seconds: float = 0.5  # of a bound in the first round, doubled from round to round
    jobs: int = 1  # threads
    memory_mb: float = 2000.0  # SCIP's limits together
    seed: int = 0


def bound_neuron(
    query: Query, node: Node, neuron: int, sign: float, seconds: float, options: TighteningOptions | None = None
) -> float:
    """Lower bound of sign * z of one hidden neuron on the node, by a MILP over the layers before it.

    neuron: flat index; sign: +1 for a lower bound of z, -1 for minus an upper one; seconds: building excluded. Never
    worse than the node's own bound, also where SCIP fails. By default every ReLU before it gets a binary.

    Raises ValueError when a neuron that matters has no finite bounds; KeyboardInterrupt on Ctrl-C.
    """
    options = options or TighteningOptions(binaries=None)
    layer, alone = _layer_of(query, neuron), np.array([neuron])
    model = _LayerModel(query, node, layer, alone, options.memory_mb, options.seed)
    binaries = model.binaries(neuron, sign, options.binaries)
    return model.bound(neuron, sign, seconds, binaries, _known(node, neuron, sign)).value


def tighten_by_milp(
    query: Query, node: Node, neurons: Array, deadline: float, options: TighteningOptions | None = None
) -> tuple[Array, Array]:
    """Bounds of pre-activations by small MILPs, layer by layer; by SCIP's floats, see above.

    neurons: flat indices, in each layer the most important first; stable ones are left out; deadline:
    time.monotonic() at which the rest keeps its bounds. Layers share the time evenly, and each starts with linear
    bounds from what the layers before it have won. Returns (pre_lower, pre_upper) [neurons], never worse than the
    node's.

    Raises ValueError and KeyboardInterrupt as `bound_neuron`.
    """
    options = options or TighteningOptions()
    node = replace(node, pre_lower=node.pre_lower.copy(), pre_upper=node.pre_upper.copy())
    # on a box the first layer's bounds are exact
    first = 1 if len(node.cuts) else 2
    layers = [k for k in range(first, len(query.slices) + 1) if len(_of_layer(query, k, neurons))]
    won = False
    for number, k in enumerate(layers):
        if won:
            bounds = bound(query, node.batch, LinearBoundOptions(first_layer=k, deadline=deadline))
            if bounds.infeasible[0]:
                break
            node = replace(node, pre_lower=bounds.pre_lower[0], pre_upper=bounds.pre_upper[0])
        mine = _of_layer(query, k, neurons)
        mine = mine[unstable(query, node)[mine]]
        now = time.monotonic()
        end = now + (deadline - now) / (len(layers) - number)
        if len(mine) and end - now > LEAST_SLICE:
            won = _LayerTightener(query, node, k, mine, end, options).run(options.slice_seconds) or won
    if won:
        plain = LinearBoundOptions(first_layer=layers[0] + 1, deadline=deadline)
        bounds = bound(query, node.batch, plain)
        if not bounds.infeasible[0]:
            return bounds.pre_lower[0], bounds.pre_upper[0]
    return node.pre_lower, node.pre_upper


def _layer_of(query: Query, neuron: int) -> int:
    return next(k for k, part in enumerate(query.slices, start=1) if part.start <= neuron < part.stop)


def _of_layer(query: Query, k: int, neurons: Array) -> Array:
    part = query.slices[k - 1]
    neurons = np.asarray(neurons)
    return neurons[(neurons >= part.start) & (neurons < part.stop)]


def _known(node: Node, neuron: int, sign: float) -> float:
    return float(node.pre_lower[neuron] if sign > 0.0 else -node.pre_upper[neuron])


class _LayerModel:
    """One model of the layers before layer k; only the objective and the binaries change from neuron to neuron.

    Rows of `heads` come in pairs: +z and -z of each of `neurons` [N] flat.
    """

    def __init__(self, query: Query, node: Node, k: int, neurons: Array, memory_mb: float, seed: int) -> None:
        self.heads, self.node = _before(query, node, k, neurons)
        self.rows = {int(n): 2 * i for i, n in enumerate(neurons)}
        self.model = NetworkModel(self.heads, self.node, BigM())
        self.model.configure(ROUNDS["minimise"], memory_mb, 1, seed)
        # a solution of the last objective would come with its old value
        self.model.scip.setParam("misc/transsolsorig", False)
        self.unstable = unstable(self.heads, self.node)
        self.relu = query.kinds[k - 1] == "relu"

    @cached_property
    def scores(self) -> Array:
        """[rows, neurons before] how much each ReLU may cost each row's bound."""
        return row_scores(self.heads, self.node)

    def binaries(self, neuron: int, sign: float, binaries: int | Array | None) -> Array:
        """[neurons before] bool: the unstable ReLUs that get a binary, see `bound_neuron`."""
        if binaries is None:
            return self.unstable
        if not isinstance(binaries, (int, np.integer)):
            return self.unstable & np.asarray(binaries, dtype=bool)[: len(self.unstable)]
        scores = self.scores[self.rows[neuron] + (sign < 0.0)]
        mask = np.zeros(len(scores), dtype=bool)
        mask[np.argsort(-scores, kind="stable")[: int(binaries)]] = True
        return self.unstable & mask

    def bound(
        self, neuron: int, sign: float, seconds: float, binaries: Array, known: float, worth: float = 0.0,
        start: Array | None = None,
    ) -> NeuronBound:  # fmt: skip
        """Bound sign * z from below; known: to be bettered by `worth`; start: [inputs] with a small sign * z."""
        nothing = np.zeros((0, self.heads.network.input_size))
        scip, head = self.model.scip, self.rows[neuron] + (sign < 0.0)
        with attempt() as outcome:
            bias, scale = self._objective(head, known + worth)
            self._choose(binaries)
            if start is not None:
                scip.addSol(self.model.solution(start)[0])
            status = optimise(scip, seconds)
            if failed(status):
                return NeuronBound(known, True, nothing, status)
            proved = dual_bound(scip) + bias
            found = [p for s in scip.getSols() for p in self.model.candidates(s)[:1]]
            scip.freeTransform()
        if outcome.failure:
            return NeuronBound(known, True, nothing, outcome.failure)
        points = np.array(found) if found else nothing
        value = proved - SCIP_MARGIN * scale - self.heads.network.layers[-1].bias_error
        reached = self.heads.network.evaluate(points[self.model.inside(points)])[:, head].min(initial=np.inf)
        if value > reached + LIE * scale:
            reason = f"SCIP's bound {value:.6g} exceeds a known point's value {reached:.6g}"
            return NeuronBound(known, True, points, reason)
        if status == "infeasible" or not np.isfinite(value):
            return NeuronBound(known, status != "timelimit", points, status)
        return NeuronBound(max(known, value), status != "timelimit", points, status)

    def _objective(self, head: int, near: float) -> tuple[float, float]:
        """min +-W x, and where SCIP may stop; returns the bias that the objective lacks, and the row's scale."""
        scip, layer = self.model.scip, self.heads.network.layers[-1]
        (terms,) = self.model.affine(len(self.heads.network.layers), np.array([head]))
        bias = float(layer.bias[head])
        scale = max(1.0, abs(bias), *(abs(c) for _, c in terms)) if terms else max(1.0, abs(bias))
        scip.setObjective(self.model.expr(dict(terms)) if terms else self.model.expr(), "minimize")
        # stable is as good as it gets; where a solution is as low as `near`, there is little to win
        stable = -bias + 2.0 * SCIP_MARGIN * scale
        scip.setParam("limits/dual", min(stable, INFINITY) if self.relu else INFINITY)
        scip.setParam("limits/primal", near - bias if np.isfinite(near) else -INFINITY)
        return bias, scale

    def _choose(self, binaries: Array) -> None:
        """Give exactly these ReLUs a binary; with a continuous switch big-M is the triangle."""
        for relu in self.model.relus:
            flat = self.heads.slices[relu.layer - 1].start + relu.index
            if relu.relaxed == bool(binaries[flat]):
                relu.relaxed = not relu.relaxed
                self.model.scip.chgVarType(relu.switch[0], "C" if relu.relaxed else "B")


def _before(query: Query, node: Node, k: int, neurons: Array) -> tuple[Query, Node]:
    """The layers before layer k with +z and -z of `neurons` (flat, of layer k) as margins, and the node on them."""
    part, layer = query.slices[k - 1], query.network.layers[k - 1]
    rows = np.repeat(np.asarray(neurons) - part.start, 2)
    signs = np.tile([1.0, -1.0], len(neurons))
    dense = [w[rows] if isinstance(w, np.ndarray) else w[rows].toarray() for w in layer.weights]
    weights = tuple(w * signs[:, None] for w in dense)
    heads = replace(layer, weights=weights, bias=layer.bias[rows] * signs, kind="identity")
    layers = *query.network.layers[: k - 1], heads
    network = replace(query.network, layers=layers, output_shape=(len(rows),), differences=())
    before = slice(0, part.start)
    shorter = replace(
        node, pre_lower=node.pre_lower[before], pre_upper=node.pre_upper[before], phases=node.phases[before],
        duty=np.ones(len(rows), dtype=bool),
    )  # fmt: skip
    return Query(network, query.region, np.arange(len(rows) + 1), query.case), shorter


class _LayerTightener:
    """Rounds of growing slices over the neurons of one layer; the node's bounds change in place."""

    def __init__(
        self, query: Query, node: Node, k: int, neurons: Array, end: float, options: TighteningOptions
    ) -> None:
        self.node, self.neurons, self.end, self.jobs = node, neurons, end, options.jobs
        self.wanted, self.part, self.network = options.binaries, query.slices[k - 1], query.network
        self.k = k

        def make() -> _LayerModel:
            return _LayerModel(query, node, k, neurons, options.memory_mb / options.jobs, options.seed)

        self.make: Callable[[], _LayerModel] = make
        self.idle: list[_LayerModel] = []
        # smallest +z and -z known [2, neurons], and the points [2, neurons, inputs] where they are attained
        self.reached = np.full((2, len(neurons)), np.inf)
        self.where = np.zeros((2, len(neurons), query.network.input_size))
        self.lock, self.stop = Lock(), Event()
        self.barren = 0  # bounds in a row that won nothing

    def run(self, slice_seconds: float) -> bool:
        """Go on until the time is over or it no longer pays; returns whether any bound was won."""
        poor, start, last = 0, self._heights(), self._heights()
        tasks = [(i, sign) for i in range(len(self.neurons)) for sign in self._nearer(i)]
        with ThreadPoolExecutor(self.jobs) as pool:
            while tasks and time.monotonic() + LEAST_SLICE < self.end:
                self.barren = 0
                seconds = [slice_seconds] * len(tasks)
                try:
                    again = list(pool.map(self._one, *zip(*tasks, strict=True), seconds))
                except BaseException:
                    self.stop.set()
                    raise
                now = self._heights()
                LOG.info("milp bounds of layer %d: %d asked, %.2f s each, triangle heights %.4g -> %.4g",
                         self.k, len(tasks), slice_seconds, last, now)  # fmt: skip
                poor = poor + 1 if last - now < PAYS * start else 0
                if poor == POOR:
                    break
                tasks = [task for task, more in zip(tasks, again, strict=True) if more and self._worth(*task)]
                last, slice_seconds = now, 2.0 * slice_seconds
        return self._heights() < start

    def _nearer(self, i: int) -> tuple[float, float]:
        """Signs of neuron i, the side that is nearer to 0, and so to stability, first."""
        n = self.neurons[i]
        return (1.0, -1.0) if -self.node.pre_lower[n] < self.node.pre_upper[n] else (-1.0, 1.0)

    def _heights(self) -> float:
        """Sum of the triangles' heights."""
        low, high = self.node.pre_lower[self.neurons], self.node.pre_upper[self.neurons]
        open_ = (low < 0.0) & (high > 0.0)
        return float(np.sum(np.where(open_, -low * high / np.where(open_, high - low, 1.0), 0.0)))

    def _worth(self, i: int, sign: float) -> bool:
        """Whether the neuron is still unstable and no known point comes near its bound."""
        n = int(self.neurons[i])
        low, high = float(self.node.pre_lower[n]), float(self.node.pre_upper[n])
        hope = self.reached[0 if sign > 0.0 else 1, i] - _known(self.node, n, sign)
        return low < 0.0 < high and hope > WORTH * (high - low)

    def _one(self, i: int, sign: float, seconds: float) -> bool:
        """Ask about one side of one neuron; returns whether more time might win more."""
        with self.lock:
            seconds = min(seconds, self.end - time.monotonic())
            if self.stop.is_set() or seconds < LEAST_SLICE or self.barren >= PATIENCE or not self._worth(i, sign):
                return True
            model = self.idle.pop() if self.idle else None
            row = 0 if sign > 0.0 else 1
            start = self.where[row, i].copy() if np.isfinite(self.reached[row, i]) else None
        model = model or self.make()
        n = int(self.neurons[i])
        known, worth = _known(self.node, n, sign), WORTH * float(self.node.pre_upper[n] - self.node.pre_lower[n])
        got = model.bound(n, sign, seconds, model.binaries(n, sign, self.wanted), known, worth, start)
        with self.lock:
            if failed(got.reason):
                LOG.warning("milp bound of neuron %d: %s", n, got.reason)
            else:
                self.idle.append(model)
            self._take(n, sign, got, known)
        return not got.finished

    def _take(self, n: int, sign: float, got: NeuronBound, known: float) -> None:
        low, high = self.node.pre_lower, self.node.pre_upper
        self.barren = 0 if got.value > known + WORTH * (high[n] - low[n]) else self.barren + 1
        if sign > 0.0:
            low[n] = min(max(low[n], got.value), high[n])
        else:
            high[n] = max(min(high[n], -got.value), low[n])
        if len(got.points):
            pre = self.network.values(got.points)[1][self.k - 1][:, self.neurons - self.part.start]
            for row, values in enumerate((pre, -pre)):
                best = values.argmin(axis=0)
                reached = values[best, np.arange(len(best))]
                better = reached < self.reached[row]
                self.reached[row, better] = reached[better]
                self.where[row, better] = got.points[best[better]]
