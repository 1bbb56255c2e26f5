"""Bounds of phase nodes: optimised slopes and multipliers, cheap enough for thousands of nodes a second.

On nodes whose hidden bounds are inherited, for each disjunct that a node has to refute. The rows of a disjunct are
bounded together: with weights w >= 0 of sum 1,
    max over rows r of m_r >= sum_r w_r m_r,
and the weights ascend with the slopes (their supergradient is m(x*) at the minimiser pushed forward). The ascent runs
in float32 for the whole batch and starts from the parent's numbers; only nodes that it closes are evaluated rigorously,
the others keep their parent's bound. A node costs two walks through the weights between alive neurons per iteration.
"""

from __future__ import annotations

import time
from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np

from ..instances.batch import Batch
from ..instances.network import Array, Matrix, activate
from ..instances.query import Query
from .back_substitution import Pass, prepared_of
from .bounds import Bounds, LinearBoundOptions, gamma
from .kernel_cache import Switch
from .linear_bounds import bound
from .optimised_bounds import PAIR_FLOATS, OptimiseOptions, PairPass
from .relaxations import lines
from .skeleton import FLOAT, Skeleton
from .slope_ascent import Ascent, Pairs, Single

__all__ = ["InheritedPass", "bound_phases", "largest_magnitudes", "refresh_phases", "skeleton_of"]

SHARP = FLOAT(4.0)  # step of a weight's logit relative to a slope's
CURVE_SLACK = 2.0**-50  # of numpy's tanh
LARGEST_LOGIT = 30.0  # beyond it a weight is 0 in float32
KERNEL_AFTER = 0.5  # seconds that numpy spends on a query's hidden neurons before numba's import is worth it


def bound_phases(
    query: Query, batch: Batch, options: OptimiseOptions | None = None, plain: bool = False
) -> tuple[Bounds, Array]:
    """Bounds of what the nodes have to refute (Batch.duty), and the numbers found, [B, disjuncts, neurons + rows].

    batch: finite inherited pre-activation bounds. Margins of disjuncts that are no duty of their node are +inf; of the
    others those that refute are rigorous and new, the rest is the node's inherited bound. With `plain`, sensitivities
    of the plain slopes in float32, weighted over a disjunct's rows and put into its first row: for choosing a split.
    `points` are the ascent's minimisers of each node's worst disjunct; coefficients are void.
    """
    options = options or OptimiseOptions()
    crossed = np.asarray((batch.pre_lower > batch.pre_upper).any(axis=1))
    bounds = _inherited(query, batch, crossed)
    node, disjunct = np.nonzero(batch.duty & ~crossed[:, None])
    numbers = np.full((len(batch), query.disjuncts, query.neurons + query.rows), np.nan, dtype=FLOAT)
    if not len(node):
        return bounds, numbers
    given = batch.slopes[node, disjunct].astype(FLOAT) if batch.slopes.size else None
    ascent = _DisjunctAscent(Single(skeleton_of(query, batch), batch), node, disjunct, given)
    if plain:
        bounds.sensitivities[node, query.starts[disjunct]] = ascent.plain()
    ascent.run(options.steps(warm=given is not None))
    slopes, logits = ascent.result()[0], ascent.best_logits
    numbers[node, disjunct] = np.concatenate([slopes, logits], axis=1)
    first = np.lexsort((ascent.best, node))  # the worst pair of each node comes first
    first = first[np.unique(node[first], return_index=True)[1]]
    bounds.points = 0.5 * (batch.lower + batch.upper)
    bounds.points[node[first]] = np.clip(ascent.points()[first], *_box(batch, node[first]))
    closing = np.flatnonzero(ascent.best > 0.0)
    if len(closing):
        proving = _DisjunctPass(query, batch, node[closing], slopes[closing], _shares(query, disjunct, logits)[closing])
        _raise(query, bounds, node[closing], disjunct[closing], proving.minima(len(query.kinds) + 1))
    return bounds, numbers


def refresh_phases(query: Query, batch: Batch, options: OptimiseOptions, kernel: str = "auto") -> Bounds:
    """Bounds of the hidden neurons anew, by an ascent that knows the phases, then plain margins and total multipliers.

    A phase is a constraint on the input that a neuron's plain bound does not see; its multiplier brings it in. Deep in
    the tree that is what shows phases of other neurons to follow, and regions to be empty. Total multipliers are those
    of the rows that are the nodes' duty.
    kernel: "auto", or one of the twins: "plain" (numpy) or "compiled", which needs a common box of many inputs.
    """
    switch = _SWITCHES.get(query) or _SWITCHES.setdefault(query, _switch(query, batch))
    if switch.compiled(kernel):
        from .refreshed_bounds import refresh_wide

        return refresh_wide(query, batch, largest_magnitudes(query, batch), options.steps(warm=False))
    started = time.monotonic()
    bounds = _refresh(query, batch, options)
    switch.seconds += time.monotonic() - started
    return bounds


_SWITCHES: WeakKeyDictionary[Query, Switch] = WeakKeyDictionary()


def _switch(query: Query, batch: Batch) -> Switch:
    kinds = all(kind in ("relu", "identity") for kind in query.kinds)
    return Switch(kinds and prepared_of(query).ball(batch) is not None, KERNEL_AFTER)


def largest_magnitudes(query: Query, batch: Batch) -> list[Array]:
    """Per layer [1, n]: |W| m + |b| with m the largest size that the sources have on any node of the batch."""
    return InheritedPass(query, batch).magnitudes


def _refresh(query: Query, batch: Batch, options: OptimiseOptions) -> Bounds:
    """`refresh_phases` by numpy: all nodes of the batch layer by layer."""
    crossed = np.zeros(len(batch), dtype=bool)
    batch = replace(batch, pre_lower=batch.pre_lower.copy(), pre_upper=batch.pre_upper.copy())
    for k, (kind, part) in enumerate(zip(query.kinds, query.slices, strict=True), start=1):
        lower, upper = batch.pre_lower[:, part], batch.pre_upper[:, part]  # views
        node, row = np.nonzero((lower < 0.0) & (upper > 0.0))
        if kind != "relu" or k == 1 or not len(node) or time.monotonic() > options.deadline:
            continue
        found = _hidden(query, batch, k, np.repeat(node, 2), np.repeat(row, 2), options)
        lower[node, row] = np.fmax(lower[node, row], found[::2])
        upper[node, row] = np.fmin(upper[node, row], -found[1::2])
        empty = (lower > upper).any(axis=1)
        np.minimum(lower, upper, out=lower)  # an empty region: any bounds are true; the arithmetic stays finite
        crossed |= empty
    batch.changed[:] = 2
    bounds = bound(query, batch, LinearBoundOptions(deadline=options.deadline, kernel="plain", totals=True))
    bounds.infeasible |= crossed
    return bounds


def _hidden(query: Query, batch: Batch, k: int, node: Array, row: Array, options: OptimiseOptions) -> Array:
    """Lower bounds of z and of -z, in turn, for neurons listed twice."""
    single = Single(skeleton_of(query, batch).below(k), batch)
    found = np.full(len(node), -np.inf)
    walked = InheritedPass(query, batch)
    step = max(2, PAIR_FLOATS // (query.neurons + query.network.input_size) // 2 * 2)
    for i in range(0, len(node), step):
        part = slice(i, i + step)
        count = len(node[part])
        sign = np.tile([1.0, -1.0], count // 2)
        pairs = Pairs(node[part], row[part], sign, np.repeat(np.arange(count // 2), 2))
        ascent = Ascent(single, pairs, None)
        ascent.run(options.steps(warm=False))
        numbers, weights = ascent.result()
        found[part] = PairPass(walked, pairs, numbers, weights).minima(k)
    return found


def _box(batch: Batch, node: Array) -> tuple[Array, Array]:
    return batch.lower[node], batch.upper[node]


def _inherited(query: Query, batch: Batch, crossed: Array) -> Bounds:
    """Nothing new: the node's bound in all rows that are its duty."""
    count, rows = len(batch), query.rows
    duty = np.repeat(batch.duty, np.diff(query.starts), axis=1)
    return Bounds(
        batch.pre_lower, batch.pre_upper, np.where(duty, batch.margin[:, None], np.inf),
        np.zeros((count, rows, query.network.input_size)), np.full((count, rows), -np.inf),
        np.zeros((count, rows, query.neurons)), crossed,
    )  # fmt: skip


def _raise(query: Query, bounds: Bounds, node: Array, disjunct: Array, proved: Array) -> None:
    """A disjunct's bound, the largest of its rows', becomes at least `proved`."""
    for k in np.unique(disjunct):
        mine, rows = disjunct == k, slice(query.starts[k], query.starts[k + 1])
        bounds.margins[node[mine], rows] = np.fmax(bounds.margins[node[mine], rows], proved[mine, None])


def _shares(query: Query, disjunct: Array, logits: Array) -> Array:
    """[P, rows] weights >= 0 of sum 1 over the rows of each pair's disjunct, 0 elsewhere."""
    owner = np.repeat(np.arange(query.disjuncts), np.diff(query.starts))
    masked = np.where(owner[None, :] == disjunct[:, None], logits, -np.inf)
    a = np.exp(masked - masked.max(axis=1, keepdims=True))
    return np.asarray(a / a.sum(axis=1, keepdims=True))


_SKELETONS: WeakKeyDictionary[Query, Skeleton] = WeakKeyDictionary()


def skeleton_of(query: Query, batch: Batch) -> Skeleton:
    """The query's skeleton, made anew where some node needs neurons that it lacks."""
    known = _SKELETONS.get(query)
    if known is None or not known.covers(batch) or not _boxed(known, batch):
        known = Skeleton(query, batch, len(query.network.layers))
        if prepared_of(query).chained and not batch.cuts.any() and _one_box(batch):
            known = known.centred(batch.lower[0], batch.upper[0])
        _SKELETONS[query] = known
    return known


def _boxed(known: Skeleton, batch: Batch) -> bool:
    """Whether the nodes have the box that the skeleton was centred on, if it was."""
    if known.box is None:
        return True
    lower, upper = known.box
    return not batch.cuts.any() and bool((batch.lower == lower).all() and (batch.upper == upper).all())


def _one_box(batch: Batch) -> bool:
    return bool((batch.lower == batch.lower[0]).all() and (batch.upper == batch.upper[0]).all())


class _DisjunctAscent(Ascent):
    """The ascent of pairs (node, disjunct): of one weighted sum of the disjunct's rows.

    start: [P, neurons + rows] slopes, multipliers and logits of the weights, or None.
    """

    wants_points = True

    def __init__(self, single: Single, node: Array, disjunct: Array, start: Array | None) -> None:
        query, count = single.query, len(node)
        layer, neurons = query.network.layers[-1], query.neurons
        self.matrix = {
            s: np.ascontiguousarray((w if isinstance(w, np.ndarray) else w.toarray())[:, single.live[s]], dtype=FLOAT)
            for s, w in zip(layer.sources, layer.weights, strict=True)
        }
        self.bias, self.disjunct = layer.bias.astype(FLOAT), disjunct
        self.mixed = query.rows > query.disjuncts  # else there is nothing to weigh
        self.logits = np.zeros((count, query.rows), dtype=FLOAT)
        if start is not None:
            self.logits = np.where(np.isnan(start[:, neurons:]), FLOAT(0.0), start[:, neurons:])
        self.best_logits = self.logits.copy()
        nothing = np.zeros(count, dtype=np.intp)
        pairs = Pairs(node, nothing, np.ones(count), np.arange(count))
        super().__init__(single, pairs, None if start is None else start[:, :neurons])

    def plain(self) -> Array:
        """Sensitivities [P, neurons] of the plain slopes, at the weights at hand."""
        numbers, fresh = self.numbers, self.fresh
        self.numbers, self.fresh = [self._start(k, line, None) for k, line in enumerate(self.chosen, start=1)], {}
        _, coefficients, _ = self._back()
        self.numbers, self.fresh = numbers, fresh
        query, live = self.single.query, self.single.live
        out = np.zeros((len(self.open), query.neurons))
        for k, a in enumerate(coefficients, start=1):
            if a is not None:
                out[:, query.slices[k - 1].start + live[k]] = a
        return out

    def _rows(self) -> tuple[dict[int, Array], Array]:
        weights = self._weights()
        return {s: weights @ c for s, c in self.matrix.items()}, (weights @ self.bias).astype(np.float64)

    def _weights(self) -> Array:
        return _shares(self.single.query, self.disjunct, self.logits).astype(FLOAT)

    def _back(self) -> tuple[Array, list[Array | None], Array]:
        if self.mixed:
            self.first, self.constants = self._rows()
        return super()._back()

    def _keep(self, values: Array, x: Array) -> None:
        better = np.flatnonzero(values > self.best[self.open])
        self.best_logits[self.open[better]] = self.logits[better]
        super()._keep(values, x)

    def _restrict(self, keep: Array) -> None:
        super()._restrict(keep)
        self.logits, self.disjunct = self.logits[keep], self.disjunct[keep]

    def _pushed(self, values: list[Array], t: int, rate: float) -> None:
        """One step on the logits v of the weights w: d bound / d v_r = w_r (m_r - sum_q w_q m_q)."""
        if not self.mixed:
            return
        margins = sum((values[s] @ c.T for s, c in self.matrix.items()), self.bias)
        weights = self._weights()
        gradient = weights * (margins - (weights * margins).sum(axis=1, keepdims=True))
        self.logits += SHARP * rate * self._direction(len(self.layers) + 1, gradient, t)
        np.clip(self.logits, -LARGEST_LOGIT, LARGEST_LOGIT, out=self.logits)


class InheritedPass(Pass):
    """Lines from inherited bounds. Magnitudes, which only errors depend on, are those of all nodes at once, [1, n]."""

    def __init__(self, query: Query, batch: Batch) -> None:
        super().__init__(prepared_of(query), batch, LinearBoundOptions(hidden=False))
        lower, upper = batch.lower.min(axis=0, keepdims=True), batch.upper.max(axis=0, keepdims=True)
        reaches = [np.maximum(np.abs(lower), np.abs(upper))]
        for k, prepared in enumerate(self.prepared.layers, start=1):
            sizes = [np.abs(prepared.layer.bias)[None]]
            for s, w in zip(prepared.layer.sources, prepared.absolute, strict=True):
                sizes.append(reaches[s] @ w.T if isinstance(w, np.ndarray) else (w @ reaches[s].T).T)
            self.magnitudes.append(np.asarray(sum(sizes)))
            if k > len(query.kinds):
                break
            kind, part = query.kinds[k - 1], query.slices[k - 1]
            low, high = batch.pre_lower[:, part], batch.pre_upper[:, part]
            self.lines.append(None if kind == "identity" else lines(kind, low, high))
            ends = low.min(axis=0, keepdims=True), high.max(axis=0, keepdims=True)
            if kind != "identity":
                ends = activate(kind, ends[0]), activate(kind, ends[1])
            reaches.append(np.maximum(np.abs(ends[0]), np.abs(ends[1])) + CURVE_SLACK)


class _DisjunctPass(PairPass):
    """Rigorous evaluation of a weighted sum of the margins, one a node, from inherited bounds."""

    def __init__(self, query: Query, batch: Batch, node: Array, slopes: Array, shares: Array) -> None:
        count = len(node)
        self.shares = shares.astype(np.float64)
        pairs = Pairs(node, np.zeros(count, dtype=np.intp), np.ones(count), np.arange(count))
        super().__init__(InheritedPass(query, batch), pairs, slopes, np.zeros((count, batch.cuts.shape[1])))

    def objective(self, k: int) -> tuple[dict[int, Array], Array, Array]:
        """See PairPass; the shares are exact as they stand, only the sums over rows round."""
        prepared, shares = self.prepared.layers[k - 1], self.shares
        layer, rows = prepared.layer, self.shares.shape[1]
        pending = {
            s: np.ascontiguousarray(_times(shares, w))[:, None]
            for s, w in zip(layer.sources, layer.weights, strict=True)
        }
        own = shares @ self.magnitudes[k - 1].T
        error = gamma(prepared.terms + self.sums + 2 * rows) * own + 2.0 * layer.bias_error
        return pending, shares @ layer.bias[:, None], error


def _times(x: Array, w: Matrix) -> Array:
    """x [P, m] @ w [m, n]."""
    return np.asarray(x @ w) if isinstance(w, np.ndarray) else (w.T @ x.T).T
