"""Supergradient ascent on lower slopes and multipliers of back-substitution, for many (node, row) pairs at a time.

With alpha in [0, 1] the lower slopes of unstable ReLUs, beta >= 0 multipliers of split phases (s z >= 0 with s = +-1
adds -beta s z) and gamma >= 0 multipliers of half-spaces, a row's bound is (alpha-CROWN, Xu et al. 2021; beta-CROWN,
Wang et al. 2021)
    d(alpha, beta, gamma) = min over the box (and the norm ball) of a'x + c,    a, c from back-substitution.
No automatic differentiation: with x* the minimiser and z*_k the pre-activations of x* pushed forward through the lines
that were chosen (lower where the coefficient A_ki of x_ki is positive, upper elsewhere),
    d bound / d alpha_ki = max(A_ki, 0) z*_ki,    d bound / d beta_ki = -s z*_ki,    d bound / d gamma = -(g'x* + h).
Multi-neuron rows have multipliers mu of their own (`row_multipliers`).
An iteration is one walk back and one walk forward of each pair, in float32: nothing here has to be rigorous, since any
alpha in [0, 1] and any beta, gamma >= 0 give a true bound, and `back_substitution` evaluates the best ones with errors.

One number per neuron says it all: alpha where it is unstable, beta where its phase was split.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from ...instances.batch import Batch
from ...instances.network import Array, Matrix
from ...instances.rounding import TINY_32
from ..linear.bounds import middle_and_radius
from ..linear.norm_ball_bounds import split_by_ball
from ..relaxations.kinds import lines
from .row_multipliers import LayerRows, RowPool
from .skeleton import FLOAT, Skeleton

__all__ = ["Ascent", "Pairs", "Single", "Steps"]

FIRST_MOMENT, SECOND_MOMENT = 0.9, 0.99  # Adam's
MULTIPLIERS = FLOAT(2.0)  # a multiplier's step in units of its layer's mean coefficient, relative to a slope's step
SURE = 1e-6  # share of the terms of a float32 value that may be rounding: a value above it should stay positive
CHECK = 5  # iterations between two looks at what still pays


@dataclass(frozen=True)
class Steps:
    """How far and how long to ascend."""

    iterations: int
    rate: float  # first step of a slope; a multiplier's is in units of its layer's mean coefficient
    decay: float  # of the steps, per iteration
    worth: float  # least gain in CHECK iterations, as a share of what is missing to 0; a pair that gains less stops
    deadline: float  # time.monotonic()
    signs: bool = False  # step by the gradient's sign instead of Adam's direction


@dataclass(eq=False)
class Pairs:
    """What is bounded from below: sign * z[row] of one layer on a node, P times."""

    node: Array  # [P] int, row of the batch
    row: Array  # [P] int
    sign: Array  # [P] +-1
    group: Array  # [P] int: once one pair of a group is positive the others are not needed (a disjunct of a node)

    def __getitem__(self, part: slice) -> Pairs:
        """Some of the pairs."""
        group = self.group[part]
        return Pairs(self.node[part], self.row[part], self.sign[part], group - group.min())


@dataclass(eq=False)
class _Lines:
    """Per pair or node and neuron of one layer: the relaxation's lines and which number is free."""

    lower_slope: Array
    lower_intercept: Array | None  # None: 0
    upper_slope: Array
    upper_intercept: Array
    unstable: Array  # bool: the lower slope is free
    split: Array | None  # s = +-1 where a multiplier is free, else 0; None: nowhere

    def __getitem__(self, index: Array) -> _Lines:
        if len(self.lower_slope) == 1:  # all pairs are of one node: one row does for all
            return self
        return _Lines(
            self.lower_slope[index],
            None if self.lower_intercept is None else self.lower_intercept[index],
            self.upper_slope[index],
            self.upper_intercept[index],
            self.unstable[index],
            None if self.split is None else self.split[index],
        )

    def slopes(self, number: Array) -> Array:
        """The lower slopes, where number [P, n] holds them but for the neurons with a multiplier."""
        return number if self.split is None else np.where(self.split != 0.0, self.lower_slope, number)


def _times(x: Array, w: Matrix, transposed: Matrix) -> Array:
    """x [P, m] @ w [m, n]; scipy is fast with the sparse matrix on the left, so it is given transposed, too."""
    return x @ w if isinstance(w, np.ndarray) else np.ascontiguousarray((transposed @ x.T).T)


class Single:
    """A batch of B nodes in float32: a skeleton's layers and the nodes' relaxation of them."""

    def __init__(self, skeleton: Skeleton, batch: Batch) -> None:
        self.query, self.last, self.live, self.layers = skeleton.query, skeleton.last, skeleton.live, skeleton.layers
        self.box = skeleton.box
        ends = (batch.lower, batch.upper) if self.box is None else (batch.lower * 0.0 - 1.0, batch.lower * 0.0 + 1.0)
        self.lower, self.upper = ends[0].astype(FLOAT), ends[1].astype(FLOAT)
        self.used = np.flatnonzero(np.any(batch.cuts != 0.0, axis=(0, 2)))
        self.cuts, self.slots = batch.cuts[:, self.used].astype(FLOAT), batch.cuts.shape[1]
        self.lines = [self._lines(k, batch) for k in range(1, self.last)]

    def _lines(self, k: int, batch: Batch) -> _Lines | None:
        kind, columns = self.query.kinds[k - 1], self.query.slices[k - 1].start + self.live[k]
        if kind == "identity":
            return None
        lower, upper, phases = batch.pre_lower[:, columns], batch.pre_upper[:, columns], batch.phases[:, columns]
        line, relu = lines(kind, lower, upper), kind == "relu"
        return _Lines(
            line.lower_slope.astype(FLOAT),
            None if relu else line.lower_intercept.astype(FLOAT),
            line.upper_slope.astype(FLOAT),
            line.upper_intercept.astype(FLOAT),
            (lower < 0.0) & (upper > 0.0) if relu else np.zeros(lower.shape, dtype=bool),
            phases.astype(FLOAT) if relu and phases.any() else None,
        )


class Ascent:
    """The ascent of some pairs.

    start: [P, neurons], slopes (>= 0) and multipliers (negated, <= 0) to start from, NaN for none; or None.
    pool: multi-neuron rows that hold on all nodes; their multipliers mu ascend, too.
    """

    wants_points = False  # keep the minimisers, see `points`

    def __init__(self, single: Single, pairs: Pairs, start: Array | None, pool: RowPool | None = None) -> None:
        self.single, self.pairs, self.layers = single, pairs, single.layers
        node = pairs.node
        self.rows: dict[int, LayerRows] = pool.single(single.live) if pool else {}
        self.mus = np.zeros((len(node), len(pool) if pool else 0), dtype=FLOAT)
        self.best_mus = self.mus.copy()
        self.open = np.arange(len(node))  # pairs still ascending; every array below has a row for each of them
        self.first, self.constants = self._rows()
        self.box = single.lower[node], single.upper[node]
        self.cut = single.cuts[node]
        self.chosen = [None if line is None else line[node] for line in single.lines]
        self.fresh: dict[int, Array] = {}  # layer -> [P, n] bool, phases split since `start`: slopes to be translated
        self.numbers = [self._start(k, line, start) for k, line in enumerate(self.chosen, start=1)]
        self.gammas = np.zeros(self.cut.shape[:2], dtype=FLOAT)
        self.slope_at_input: Array = np.zeros_like(self.box[0])
        self.best, self.sure = np.full(len(node), -np.inf), np.zeros(len(node))  # values; float32's error in them
        self.best_numbers = [None if a is None else a.copy() for a in self.numbers]
        self.best_gammas = self.gammas.copy()
        self.best_points = np.zeros_like(self.box[0] if self.wants_points else self.box[0][:, :0])
        self.slopes: list[Array | None] = []  # in force at the last walk back
        self.moments: dict[int, tuple[Array, Array]] = {}
        self.units: dict[int, Array] = {}

    def _rows(self) -> tuple[dict[int, Array], Array]:
        """What is bounded: coefficients [P, live] of the last layer's sources, and constants [P]."""
        single, pairs = self.single, self.pairs
        layer, first = single.query.network.layers[single.last - 1], {}
        for s, w in zip(layer.sources, layer.weights, strict=True):
            rows = w[pairs.row] if isinstance(w, np.ndarray) else w[pairs.row].toarray()
            first[s] = (pairs.sign[:, None] * rows[:, single.live[s]]).astype(FLOAT)
        return first, pairs.sign * layer.bias[pairs.row]

    def _start(self, k: int, line: _Lines | None, start: Array | None) -> Array | None:
        """The numbers of layer k [P, live neurons], fixed slopes included; None for an identity."""
        if line is None:
            return None
        number = line.lower_slope if line.split is None else np.where(line.split != 0.0, FLOAT(0.0), line.lower_slope)
        if start is None:
            return np.broadcast_to(number, (len(self.open), number.shape[1])).copy()
        given = start[:, self.single.query.slices[k - 1]][:, self.single.live[k]].astype(FLOAT)
        known = ~np.isnan(given)
        number = np.where(line.unstable & known, np.clip(given, 0.0, 1.0), number)
        if line.split is None:
            return number
        split = (line.split != 0.0) & known
        self.fresh[k] = split & ~np.signbit(given)  # a multiplier of 0 is stored as -0.0
        return np.where(self.fresh[k], np.clip(given, 0.0, 1.0), np.where(split, np.maximum(-given, 0.0), number))

    def run(self, steps: Steps) -> int:
        """Ascend; the best values found are in `best`, what gave them in `best_numbers`. Returns the iterations."""
        before, self.signs = self.best.copy(), steps.signs
        for t in range(steps.iterations + 1):
            with np.errstate(all="ignore"):  # an overflow's values are never the best ones
                values, coefficients, x = self._back(self.numbers, self.fresh, self.rows)
                self._keep(values, x)
                if t == 0:
                    self.sure = SURE * (np.abs(self.slope_at_input * x).sum(axis=1) + np.abs(values))
                if t == steps.iterations or time.monotonic() > steps.deadline:
                    return t
                if t % CHECK == 0:
                    keep = self._going(before, steps.worth if t else -np.inf)
                    if not len(keep):
                        return t
                    if len(keep) < len(self.open):
                        self._restrict(keep)
                        coefficients, x = [None if a is None else a[keep] for a in coefficients], x[keep]
                        self.slope_at_input = self.slope_at_input[keep]
                        self.slopes = [None if a is None else a[keep] for a in self.slopes]
                    before = self.best.copy()
                self._ascend(coefficients, x, t + 1, steps.rate * steps.decay**t)
        return steps.iterations

    def _back(
        self, numbers: list[Array | None], fresh: dict[int, Array], rows: dict[int, LayerRows]
    ) -> tuple[Array, list[Array | None], Array]:
        """Values of the bounds [P], coefficients of each layer's values, minimisers x* [P, inputs].

        numbers, fresh, rows: as the attributes of these names; slopes of fresh phases are translated in place.
        """
        pending = dict(self.first)
        constants = self.constants.copy()
        coefficients: list[Array | None] = [None] * len(self.layers)
        self.slopes = [None] * len(self.layers)
        for v in range(len(self.layers), 0, -1):
            a = pending.pop(v, None)
            if a is None:
                continue
            layer, line, number = self.layers[v - 1], self.chosen[v - 1], numbers[v - 1]
            if line is not None and number is not None:
                a = self._above(rows.get(v), a, constants)
                coefficients[v - 1] = a
                constants += np.einsum("pn,pn->p", np.minimum(a, 0.0), line.upper_intercept)
                if line.lower_intercept is not None:
                    constants += np.einsum("pn,pn->p", np.maximum(a, 0.0), line.lower_intercept)
                if line.split is not None and v in fresh:
                    self._translate(number, a, line.split, fresh.pop(v))
                slopes = self.slopes[v - 1] = np.where(a > 0.0, line.slopes(number), line.upper_slope)
                a = a * slopes
                if line.split is not None:
                    a -= line.split * number
                a = self._below(rows.get(v), a)
            constants += a @ layer.bias
            for s, w, transposed in zip(layer.sources, layer.weights, layer.transposed, strict=True):
                product = _times(a, w, transposed)
                pending[s] = pending[s] + product if s in pending else product
        values, x = self._minimum(pending.get(0), constants)
        return values, coefficients, x

    def _minimum(self, given: Array | None, constants: Array) -> tuple[Array, Array]:
        """Values [P] and minimisers [P, inputs] of a'x + constants over the box, half-spaces weighed in; a None: 0."""
        a: Array = np.zeros_like(self.box[0]) if given is None else given
        if self.gammas.size:
            a = a - np.einsum("pk,pkn->pn", self.gammas, self.cut[:, :, :-1])
            constants -= np.einsum("pk,pk->p", self.gammas, self.cut[:, :, -1])
        self.slope_at_input = a
        if self.single.box is not None:
            x = -np.sign(a)
        elif (ball := self.single.query.region.ball) is not None:
            x = split_by_ball(ball, *self.box, a[:, None])[1][:, 0]
        else:
            lower, upper = self.box
            x = np.where(a > 0.0, lower, np.where(a < 0.0, upper, 0.5 * lower + 0.5 * upper))
        return constants + np.einsum("pn,pn->p", a, x), x

    def _translate(self, number: Array, a: Array, split: Array, fresh: Array) -> None:
        """Multipliers that make of the line through the split the parent's lower line, in place.

        Below a ReLU of slope alpha, a > 0, lies a alpha z. With z >= 0, x = z: a z - beta z is that for
        beta = a (1 - alpha); with z <= 0, x = 0: beta z for beta = a alpha.
        """
        multiplier = np.maximum(a, 0.0) * np.where(split > 0.0, 1.0 - number, number)
        number[fresh] = multiplier[fresh]

    def _keep(self, values: Array, x: Array) -> None:
        """Remember what gave the best value of each pair."""
        better = np.flatnonzero(values > self.best[self.open])
        where = self.open[better]
        self.best[where] = values[better]
        for mine, now in zip(self.best_numbers, self.numbers, strict=True):
            if mine is not None and now is not None:
                mine[where] = now[better]
        self.best_mus[where] = self.mus[better]
        if self.gammas.size:
            self.best_gammas[where] = self.gammas[better]
        if self.wants_points:
            self.best_points[where] = x[better]

    def _going(self, before: Array, worth: float) -> Array:
        """Which of the open pairs are still needed and gain enough."""
        best = self.best[self.open]
        top = np.full(int(self.pairs.group.max()) + 1, -np.inf)
        np.maximum.at(top, self.pairs.group, self.best - self.sure)
        going = ~(top[self.pairs.group[self.open]] > 0.0)
        going &= ~(best - before[self.open] < worth * np.abs(best))
        return np.flatnonzero(going)

    def _restrict(self, keep: Array) -> None:
        """Go on with the open pairs `keep` only."""
        self.open = self.open[keep]
        self.first = {s: a[keep] for s, a in self.first.items()}
        self.constants, self.cut, self.gammas = self.constants[keep], self.cut[keep], self.gammas[keep]
        self.mus = self.mus[keep]
        self.box = self.box[0][keep], self.box[1][keep]
        self.chosen = [None if line is None else line[keep] for line in self.chosen]
        self.numbers = [None if a is None else a[keep] for a in self.numbers]
        self.moments = {v: (m[keep], s[keep]) for v, (m, s) in self.moments.items()}
        self.units = {v: unit[keep] for v, unit in self.units.items()}

    def _ascend(self, coefficients: list[Array | None], x: Array, t: int, rate: float) -> None:
        """One forward walk of x*, and one step of Adam on every number."""
        values: list[Array] = [x]
        if self.gammas.size:
            short = np.einsum("pkn,pn->pk", self.cut[:, :, :-1], x) + self.cut[:, :, -1]
            lengths = np.abs(self.cut[:, :, :-1]).mean(axis=2) + TINY_32
            self.units.setdefault(0, MULTIPLIERS * np.abs(self.slope_at_input).mean(axis=1)[:, None] / lengths)
            self.gammas += rate * self.units[0] * self._direction(0, -short, t)
            np.maximum(self.gammas, 0.0, out=self.gammas)
        for v, (layer, line) in enumerate(zip(self.layers, self.chosen, strict=True), start=1):
            z: Array = layer.bias
            for s, w, transposed in zip(layer.sources, layer.weights, layer.transposed, strict=True):
                z = z + _times(values[s], transposed, w)
            a, number = coefficients[v - 1], self.numbers[v - 1]
            if line is None or number is None or a is None:
                values.append(z)
                continue
            slopes = self.slopes[v - 1]
            assert slopes is not None
            value = z * slopes
            intercept = FLOAT(0.0) if line.lower_intercept is None else line.lower_intercept
            value += np.where(a > 0.0, intercept, line.upper_intercept)
            values.append(value)
            self._step(v, a, z, line, number, t, rate)
            self._climb(v, a, z, value, t, rate)
        self._pushed(values, t, rate)

    def _above(self, rows: LayerRows | None, a: Array, constants: Array) -> Array:
        """Coefficients [P, live] of a layer's values with what rows over them take; constants are updated."""
        if rows is None:
            return a
        constants -= self.mus[:, rows.place] @ rows.constants
        return np.asarray(a - rows.above(self.mus))

    def _below(self, rows: LayerRows | None, a: Array) -> Array:
        """The same for its pre-activations."""
        return a if rows is None else np.asarray(a - rows.below(self.mus))

    def _climb(self, v: int, a: Array, z: Array, value: Array, t: int, rate: float) -> None:
        """One step on the multipliers of layer v's rows: those that x* violates gain."""
        if (rows := self.rows.get(v)) is None:
            return
        unit = self.units.setdefault(-v, MULTIPLIERS * np.abs(a).mean(axis=1)[:, None])
        mine = self.mus[:, rows.place] + rate * unit * self._direction(-v, -rows.values(z, value), t)
        self.mus[:, rows.place] = np.maximum(mine, FLOAT(0.0))

    def _pushed(self, values: list[Array], t: int, rate: float) -> None:
        """What else may be ascended, given the values of x* pushed forward; here nothing is."""

    def _step(self, v: int, a: Array, z: Array, line: _Lines, number: Array, t: int, rate: float) -> None:
        gradient = np.where(line.unstable, np.maximum(a, 0.0) * z, 0.0)
        if line.split is None:
            number += rate * self._direction(v, gradient, t)
            np.clip(number, 0.0, 1.0, out=number)
            return
        gradient -= line.split * z
        unit = self.units.setdefault(v, MULTIPLIERS * np.abs(a).mean(axis=1)[:, None])
        number += rate * np.where(line.unstable, FLOAT(1.0), unit) * self._direction(v, gradient, t)
        np.clip(number, 0.0, np.where(line.unstable, 1.0, np.inf), out=number)

    def _direction(self, v: int, gradient: Array, t: int) -> Array:
        """Adam's direction, mean gradient over its root mean square, or the gradient's sign."""
        if self.signs:
            return np.sign(gradient)
        if v not in self.moments:
            self.moments[v] = np.zeros_like(gradient), np.zeros_like(gradient)
        mean, square = self.moments[v]
        mean += (1.0 - FIRST_MOMENT) * (gradient - mean)
        square += (1.0 - SECOND_MOMENT) * (gradient * gradient - square)
        scale = (1.0 - FIRST_MOMENT**t) / np.sqrt(1.0 - SECOND_MOMENT**t)
        return (mean / (FLOAT(scale) * np.sqrt(square) + FLOAT(TINY_32))).astype(FLOAT, copy=False)

    def points(self) -> Array:
        """[P, inputs] the minimisers of the best functions."""
        x = self.best_points.astype(np.float64)
        if self.single.box is None:
            return x
        lower, upper = self.single.box
        middle, radius = middle_and_radius(lower, upper)
        return np.asarray(middle + radius * x)

    def result(self) -> tuple[Array, Array]:
        """[P, neurons] float32: the best slopes, and the best multipliers negated; [P, cuts] those of half-spaces."""
        single = self.single
        out = np.zeros((len(self.best), single.query.neurons), dtype=FLOAT)
        for k, (number, line) in enumerate(zip(self.best_numbers, single.lines, strict=True), start=1):
            if number is None or line is None:
                continue
            split = None if line.split is None else line[self.pairs.node].split
            signed = number if split is None else np.where(split != 0.0, -number, number)
            out[:, single.query.slices[k - 1].start + single.live[k]] = signed
        weights = np.zeros((len(out), single.slots), dtype=FLOAT)
        weights[:, single.used] = self.best_gammas
        return out, weights
