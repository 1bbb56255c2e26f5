"""Linear bounds with optimised lower slopes and multipliers.

alpha-CROWN (Xu et al. 2021) and beta-CROWN (Wang et al. 2021), without automatic differentiation.

Plain back-substitution picks every lower slope by a rule and knows of a split phase only its bound z >= 0 or z <= 0.
Here both are chosen for each row by ascent (`slope_ascent`); with fixed pre-activation bounds the optimum is that of
the triangle LP (Salman et al. 2019), at the price of matrix products. What is reported is evaluated rigorously by
`back_substitution`.

`optimise` raises the margins; rows of disjuncts that are refuted already are left out. All rows of an open disjunct
are raised, not only its best one: any of them may end up refuting it, and `refute_conjunctions` uses them together.
`tighten` does the same for the pre-activations of hidden neurons, layer by layer, at the price of two rows a neuron.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ...instances.batch import Batch
from ...instances.network import Array
from ...instances.query import Query
from ...instances.rounding import UP, gamma
from ..linear.back_substitution import Pass, back_substitute
from ..linear.backward import Backward
from ..linear.bounds import Bounds, LinearBoundOptions, norm
from ..linear.conjunctions import refute_conjunctions
from ..linear.prepared_layers import prepared_of
from ..relaxations.kinds import Lines
from .row_multipliers import LayerRows, RowPool
from .skeleton import Skeleton
from .slope_ascent import Ascent, Pairs, Single, Steps

__all__ = ["OptimiseOptions", "PairPass", "optimise", "optimise_from", "tighten"]

PAIR_FLOATS = 2**19  # (neurons + inputs) x pairs at a time: arrays of 2 (ascent) or 4 MB (evaluation) fit the caches


# coefficients [P, inputs], constants [P], lower bounds [P], sensitivities [P, neurons], as in `Bounds`
Evaluated = tuple[Array, Array, Array, Array]


@dataclass(frozen=True)
class OptimiseOptions:
    """How slopes and multipliers are optimised."""

    iterations: int = 20  # at most; each is a walk back and a walk forward of every row still open
    rate: float = 0.25  # first step of a slope
    warm_rate: float = 0.1  # the same where the parent's slopes are at hand: a long step would only leave them
    decay: float = 0.98  # of the step, per iteration
    worth: float = 1e-3  # a row that gains less than this share of its bound in five iterations is left as it is
    signs: bool = False  # step by the supergradient's sign: cheaper than Adam, as good for a few iterations
    conjunctions: bool = False  # test the rows of a disjunct together in the end
    deadline: float = math.inf  # time.monotonic() after which nothing more is tried

    def steps(self, warm: bool) -> Steps:
        """What the ascent needs to know."""
        rate = self.warm_rate if warm else self.rate
        return Steps(self.iterations, rate, self.decay, self.worth, self.deadline, self.signs)


def optimise(query: Query, batch: Batch, bounds: Bounds, options: OptimiseOptions | None = None) -> Bounds:
    """Better margins than the plain `bounds` of the batch, never worse ones; pre-activation bounds stay.

    Rows that were raised get the coefficients, constants and sensitivities of their new bound. Phases' multipliers are
    in these linear functions, half-spaces' are not.
    """
    return optimise_from(query, batch, bounds, options)[0]


@np.errstate(over="ignore", invalid="ignore")  # what is not finite in the end proves nothing
def optimise_from(
    query: Query, batch: Batch, bounds: Bounds, options: OptimiseOptions | None = None, start: Array | None = None
) -> tuple[Bounds, Array]:
    """`optimise` from the numbers of the nodes' parents, if given; returns also those that were found.

    Numbers are slopes and multipliers of every row, [B, rows, neurons] as `Multipliers.signed`; NaN in rows that were
    never raised, which start from plain slopes.
    """
    options = options or OptimiseOptions()
    out = bounds[np.arange(len(batch))]  # a copy
    values = np.full((len(batch), query.rows, query.neurons), np.nan, dtype=np.float32)
    known = values if start is None else start.astype(np.float32)
    node, row, group = _open_rows(query, bounds)
    if len(node):
        pairs = Pairs(node, row, np.ones(len(node)), group)
        bounded = replace(batch, pre_lower=bounds.pre_lower, pre_upper=bounds.pre_upper)
        given = None if start is None else known[node, row]
        kept = out.coefficients, out.constants, out.margins, out.sensitivities
        for some, found, numbers in _raise(query, bounded, len(query.network.layers), pairs, given, options):
            better = found[2] > out.margins[node[some], row[some]]
            where = node[some][better], row[some][better]
            for old, new in zip(kept, found, strict=True):
                old[where] = new[better]
            known[node[some], row[some]] = numbers
    if options.conjunctions:
        refute_conjunctions(query, batch, out)
    return out, known


def _open_rows(query: Query, bounds: Bounds) -> tuple[Array, Array, Array]:
    """(node, row, group) [P] of all rows of disjuncts still open; a group is one disjunct of one node."""
    known = np.isfinite(bounds.pre_lower).all(axis=1) & np.isfinite(bounds.pre_upper).all(axis=1)
    still_open = ~(query.per_disjunct(bounds.margins) > 0.0) & (known & ~bounds.infeasible)[:, None]
    disjunct = np.repeat(np.arange(query.disjuncts), np.diff(query.starts))
    node, row = np.nonzero(still_open[:, disjunct])
    return node, row, node * query.disjuncts + disjunct[row]


def _raise(
    query: Query, batch: Batch, k: int, pairs: Pairs, start: Array | None, options: OptimiseOptions
) -> Iterator[tuple[slice, Evaluated, Array]]:
    """Ascent of rows of layer k and rigorous evaluation, in parts that fit the memory, until the deadline.

    start: [P, neurons] as `Multipliers.signed`, or None. Yields which pairs, their bounds, and their numbers.
    """
    if time.monotonic() > options.deadline:
        return
    single = Single(Skeleton(query, batch, k), batch)
    walked = Pass(prepared_of(query), batch, LinearBoundOptions(hidden=False))
    walked.walk()
    step = max(1, PAIR_FLOATS // (query.neurons + query.network.input_size))
    for i in range(0, len(pairs.node), step):
        if i and time.monotonic() > options.deadline:
            return
        some = slice(i, i + step)
        ascent = Ascent(single, pairs[some], None if start is None else start[some])
        ascent.run(options.steps(start is not None))
        numbers, weights = ascent.result()
        yield some, PairPass(walked, pairs[some], numbers, weights).evaluate(k), numbers


@np.errstate(over="ignore", invalid="ignore")  # what is not finite in the end proves nothing
def tighten(
    query: Query, batch: Batch, bounds: Bounds, options: OptimiseOptions | None = None, most: int | None = None,
    first_layer: int = 2,
) -> Bounds:  # fmt: skip
    """Better pre-activation bounds of unstable ReLUs, and the plain margins that follow from them.

    most: neurons a layer and node, those that cost the open margins most (None: all); first_layer: layers before keep
    their bounds (those of layer 1 are exact anyway on a box). Layer by layer: each starts from what the layers before
    have won. Returns bounds never worse than the given ones.
    """
    options = options or OptimiseOptions()
    last = len(query.network.layers)
    for k in range(first_layer, last):
        if query.kinds[k - 1] != "relu" or time.monotonic() > options.deadline:
            continue
        bounded = replace(batch, pre_lower=bounds.pre_lower, pre_upper=bounds.pre_upper)
        pairs = _hidden_rows(query, bounds, k, most)
        if not len(pairs.node):
            continue
        values = np.full(len(pairs.node), -np.inf)
        for some, found, _ in _raise(query, bounded, k, pairs, None, options):
            values[some] = found[2]
        _intersect(query, bounds := bounds[np.arange(len(batch))], k, pairs, values)
        changed = np.minimum(batch.changed, k + 1)
        again = replace(batch, pre_lower=bounds.pre_lower, pre_upper=bounds.pre_upper, changed=changed)
        plain = LinearBoundOptions(first_layer=k + 1, deadline=options.deadline, conjunctions=options.conjunctions)
        bounds = _better(bounds, back_substitute(query, again, plain))
    return bounds


def _hidden_rows(query: Query, bounds: Bounds, k: int, most: int | None) -> Pairs:
    """Both signs of layer k's unstable neurons, one after the other."""
    part = query.slices[k - 1]
    lower, upper = bounds.pre_lower[:, part], bounds.pre_upper[:, part]
    unstable = (lower < 0.0) & (upper > 0.0) & np.isfinite(upper - lower) & ~bounds.infeasible[:, None]
    if most is not None:
        weight = np.abs(bounds.sensitivities[:, :, part]) * ~(bounds.margins > 0.0)[:, :, None]
        area = np.where(unstable, upper * -lower / np.where(unstable, upper - lower, 1.0), 0.0)
        score = np.where(unstable, weight.max(axis=1) * area, -1.0)
        rank = np.argsort(np.argsort(-score, axis=1, kind="stable"), axis=1)
        unstable &= rank < most
    node, row = np.nonzero(unstable)
    sign = np.tile([1.0, -1.0], len(node))
    return Pairs(np.repeat(node, 2), np.repeat(row, 2), sign, np.repeat(np.arange(len(node)), 2))


def _intersect(query: Query, bounds: Bounds, k: int, pairs: Pairs, values: Array) -> None:
    """Take the lower bounds of +-z into `bounds`."""
    node, column = pairs.node[::2], query.slices[k - 1].start + pairs.row[::2]
    lower, upper = bounds.pre_lower, bounds.pre_upper
    lower[node, column] = np.fmax(lower[node, column], values[::2])
    upper[node, column] = np.fmin(upper[node, column], -values[1::2])
    crossed = lower > upper
    bounds.infeasible |= crossed.any(axis=1)
    np.minimum(lower, upper, out=lower)


def _better(old: Bounds, new: Bounds) -> Bounds:
    """Row by row the higher margin with what belongs to it; pre-activation bounds are the new ones, the rest stays."""
    keep = old.margins > new.margins
    for name in ("coefficients", "constants", "sensitivities", "margins"):
        getattr(new, name)[keep] = getattr(old, name)[keep]
    new.infeasible |= old.infeasible
    return replace(new, means=old.means, points=old.points)


class PairPass(Backward):
    """Back-substitution of one row a pair, rigorous, from a finished walk's bounds and lines of the pair's own.

    numbers: [P, neurons] as `Multipliers.signed`, clipped to what is valid; weights: [P, cuts] multipliers of
    half-spaces; mus: [P, slots] multipliers of the pool's rows.
    """

    def __init__(
        self, walked: Pass, pairs: Pairs, numbers: Array, weights: Array, mus: Array | None = None,
        pool: RowPool | None = None,
    ) -> None:  # fmt: skip
        super().__init__(walked.prepared, walked.ball)
        self.walked, self.pairs = walked, pairs
        self.weights = np.maximum(weights, 0.0).astype(np.float64)
        self.rows: dict[int, LayerRows] = pool.layers if pool else {}
        self.mus = np.zeros((len(numbers), 0)) if mus is None else np.maximum(mus, 0.0).astype(np.float64)
        self.magnitudes = [a if len(a) == 1 else a[pairs.node] for a in walked.magnitudes]
        self.planes = {k: planes[pairs.node] for k, planes in walked.planes.items()}
        self.multipliers: list[Array | None] = []  # per layer [P, n]: beta s
        for line, kind, part in zip(walked.lines, self.query.kinds, self.query.slices, strict=True):
            self._add_layer(line, kind, part, numbers[:, part].astype(np.float64))

    @cached_property
    def batch(self) -> Batch:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Every pair's node: these arrays are large, and only some walks need them."""
        return self.walked.nodes[self.pairs.node]

    def _add_layer(self, line: Lines | None, kind: str, part: slice, given: Array) -> None:
        node, walked = self.pairs.node, self.walked
        own, phases = None, walked.nodes.phases[:, part]
        if line is not None and kind == "relu":
            unstable = (walked.pre_lower[:, part] < 0.0) & (walked.pre_upper[:, part] > 0.0)
            slope = np.where(unstable[node], np.clip(given, 0.0, 1.0), line.lower_slope[node])
            nothing = np.zeros((1, given.shape[1]))
            own = Lines(slope, nothing, line.upper_slope[node], line.upper_intercept[node])
        elif line is not None:
            own = Lines(*(a[node] for a in line))
        self.lines.append(own)
        used = kind == "relu" and bool(phases.any())
        self.multipliers.append(np.maximum(-given, 0.0) * phases[node] if used else None)

    def evaluate(self, k: int) -> Evaluated:
        """Bounds of the pairs' rows of layer k."""
        pending, constants, error = self.objective(k)
        sensitivities = np.zeros((len(constants), 1, self.query.neurons))
        first = np.zeros(1, dtype=np.intp)
        coefficients = self.walk_back(k, pending, constants, error, sensitivities, first)
        found = self.concretise(coefficients, constants, error)
        return found[0][:, 0], found[1][:, 0], found[2][:, 0], sensitivities[:, 0]

    def minima(self, k: int) -> Array:
        """[P] lower bounds of the pairs' rows of layer k alone: cheaper, by way of the first layer where that works."""
        if self.ball is None or k == 1:
            return self.evaluate(k)[2]
        pending, constants, error = self.objective(k)
        first = self.walk_to_first(k, pending, constants, error, None)
        return self.ball.minimum(first, constants, error * UP)[:, 0]

    def objective(self, k: int) -> tuple[dict[int, Array], Array, Array]:
        """What is bounded: coefficients [P, 1, size] of the values that layer k reads, constants and errors [P, 1]."""
        prepared, pairs, layer = self.prepared.layers[k - 1], self.pairs, self.prepared.layers[k - 1].layer
        pending: dict[int, Array] = {}
        for s, w in zip(layer.sources, layer.weights, strict=True):
            picked = w[pairs.row] if isinstance(w, np.ndarray) else w[pairs.row].toarray()
            pending[s] = (pairs.sign[:, None] * picked)[:, None]
        own = np.take_along_axis(self.magnitudes[k - 1], pairs.row[:, None], axis=1)
        error = gamma(prepared.terms + self.sums) * own + layer.bias_error
        return pending, (pairs.sign * layer.bias[pairs.row])[:, None], error

    def _into_layer(
        self, v: int, coefficients: Array, constants: Array, error: Array, sensitivities: Array | None
    ) -> Array:
        """See Pass; rows over the layer's values take their part before its lines replace them."""
        if (rows := self.rows.get(v)) is not None:
            magnitude = self.magnitudes[v - 1]
            taken, doubt = rows.taken(self.mus, magnitude)
            constants -= taken[:, None]
            error += doubt[:, None] + gamma(4) * norm(coefficients) * norm(magnitude)[:, None]
            coefficients = coefficients - rows.above(self.mus)[:, None]
        return super()._into_layer(v, coefficients, constants, error, sensitivities)

    def add_multipliers(self, v: int, coefficients: Array, error: Array) -> Array:
        """-beta s z for every split phase s z >= 0, and what rows over the pre-activations take."""
        if (rows := self.rows.get(v)) is not None:
            error += gamma(4) * norm(coefficients) * norm(self.magnitudes[v - 1])[:, None]
            coefficients = coefficients - rows.below(self.mus)[:, None]
        multipliers = self.multipliers[v - 1]
        if multipliers is None:
            return coefficients
        # the roundings of the coefficients are relative to them, not to the difference
        error += gamma(2) * norm(coefficients) * norm(self.magnitudes[v - 1])[:, None]
        return np.asarray(coefficients - multipliers[:, None, :])

    def minimum(self, coefficients: Array, constants: Array, error: Array, rounding: Array) -> Array:
        """The better of two starts of the half-spaces' searches: multipliers 0 and those of the ascent."""
        values = super().minimum(coefficients, constants, error, rounding)
        if not self.weights.any():
            return values
        batch, weights = self.batch, self.weights[:, None, :]
        reach = np.append(np.maximum(np.abs(batch.lower), np.abs(batch.upper)), np.ones((len(batch), 1)), axis=1)
        size = np.matmul(np.abs(batch.cuts), reach[:, :, None])  # [P, cuts, 1], largest sum of a half-space's terms
        scale = np.matmul(weights, size)[:, :, 0] + norm(coefficients) * norm(reach)[:, None] + np.abs(constants)
        error = error + gamma(weights.shape[2] + batch.cuts.shape[2]) * scale * UP
        constants = constants - np.matmul(weights, batch.cuts[:, :, -1:])[:, :, 0]
        coefficients = coefficients - np.matmul(weights, batch.cuts[:, :, :-1])
        rounding = gamma(coefficients.shape[2] + self.sums) * scale
        return np.fmax(values, super().minimum(coefficients, constants, error, rounding))
