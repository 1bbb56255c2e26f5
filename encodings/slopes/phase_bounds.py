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

from ...instances.batch import Batch
from ...instances.multipliers import Multipliers
from ...instances.network import Array
from ...instances.query import Query
from ..kernels.switch import Switch
from ..linear.bounds import Bounds, LinearBoundOptions, middle_and_radius
from ..linear.inherited_pass import InheritedPass
from ..linear.linear_bounds import bound
from ..linear.prepared_layers import prepared_of
from .disjunct_bounds import DisjunctAscent, DisjunctPass
from .optimised_bounds import PAIR_FLOATS, OptimiseOptions, PairPass
from .row_multipliers import RowPool
from .rows_behind import HalfSpaces
from .skeleton import Skeleton
from .slope_ascent import Ascent, Pairs, Single

__all__ = [
    "bound_phases", "disjunct_functions", "disjunct_minima", "hidden_minima", "largest_magnitudes", "phase_node_mb",
    "refresh_phases", "skeleton_of",
]  # fmt: skip

ASCENT_ARRAYS = 16  # float32 arrays of a pair that an ascent holds: numbers, moments, lines, coefficients and copies
BOUND_ARRAYS = 3  # float64 arrays of a row that a round holds: sensitivities, totals and a copy
KERNEL_AFTER = 0.5  # seconds that numpy spends on a query's hidden neurons before numba's import is worth it


@np.errstate(over="ignore", invalid="ignore")  # what is not finite in the end proves nothing
def bound_phases(
    query: Query, batch: Batch, options: OptimiseOptions | None = None, plain: bool = False,
    pool: RowPool | None = None,
) -> tuple[Bounds, Multipliers]:  # fmt: skip
    """Bounds of what the nodes have to refute (Batch.duty), and the numbers found, in float32.

    pool: multi-neuron rows that hold on all nodes; the numbers have their multipliers, too.

    batch: finite inherited pre-activation bounds. Margins of disjuncts that are no duty of their node are +inf; of the
    others those that refute are rigorous and new, the rest is the node's inherited bound. With `plain`, sensitivities
    of the plain slopes in float32, weighted over a disjunct's rows and put into its first row: for choosing a split.
    `points` are the ascent's minimisers of each node's worst disjunct.
    """
    options = options or OptimiseOptions()
    crossed = np.asarray((batch.pre_lower > batch.pre_upper).any(axis=1))
    bounds = _inherited(query, batch, crossed)
    node, disjunct = np.nonzero(batch.duty & ~crossed[:, None])
    shape = len(batch), query.disjuncts
    numbers = Multipliers.none(shape, query.neurons, query.rows, len(pool) if pool else 0)
    if not len(node):
        return bounds, numbers
    given = None if batch.multipliers is None else batch.multipliers[node, disjunct].single()
    ascent = DisjunctAscent(Single(skeleton_of(query, batch), batch), node, disjunct, given, pool)
    if plain:
        bounds.sensitivities[node, query.starts[disjunct]] = ascent.plain()
    ascent.run(options.steps(warm=given is not None))
    found = ascent.found()
    numbers[node, disjunct] = found
    if pool:
        pool.note(found.mus)
    first = np.lexsort((ascent.best, node))  # the worst pair of each node comes first
    first = first[np.unique(node[first], return_index=True)[1]]
    bounds.points, _ = middle_and_radius(batch.lower, batch.upper)
    bounds.points[node[first]] = np.clip(ascent.points()[first], *_box(batch, node[first]))
    closing = np.flatnonzero(ascent.best > 0.0)
    if len(closing):
        proving = DisjunctPass(query, batch, node[closing], disjunct[closing], found[closing], pool)
        _raise(query, bounds, node[closing], disjunct[closing], proving.minima(len(query.kinds) + 1))
    return bounds, numbers


def phase_node_mb(query: Query) -> float:
    """MB that bounding a node takes at most: the ascent's arrays of each disjunct, and its bounds with their copies."""
    width = query.neurons + query.network.input_size
    return 1e-6 * width * (query.disjuncts * ASCENT_ARRAYS * 4 + query.rows * BOUND_ARRAYS * 8)


def disjunct_minima(query: Query, batch: Batch, options: OptimiseOptions, pool: RowPool | None = None) -> Array:
    """[disjuncts] rigorous lower bounds of all disjuncts' margins on one node, whether they refute or not."""
    return _raised(query, batch, np.arange(query.disjuncts), options, pool).minima(len(query.kinds) + 1)


@np.errstate(over="ignore", invalid="ignore")  # what is not finite in the end proves nothing
def disjunct_functions(
    query: Query, batch: Batch, disjunct: Array, options: OptimiseOptions, pool: RowPool | None = None
) -> tuple[Array, Array, Array]:
    """Linear functions below weighted sums (weights >= 0, not all 0) of the margins of some disjuncts [P] on one node.

    Returns (coefficients [P, inputs], constants [P] less all rounding errors, rigorous lower bounds [P] of the largest
    margins, half-spaces of the node taken in). An input with all margins <= 0 has coefficients @ x + constants <= 0.
    """
    proving = _raised(query, batch, disjunct, options, pool)
    coefficients, constants, least, _ = proving.evaluate(len(query.kinds) + 1)
    return coefficients, constants, proving.shared(least)


@np.errstate(over="ignore", invalid="ignore")  # what is not finite in the end proves nothing
def _raised(
    query: Query, batch: Batch, disjunct: Array, options: OptimiseOptions, pool: RowPool | None
) -> DisjunctPass:
    """The rigorous pass of these disjuncts of one node, with the numbers of an ascent."""
    node = np.zeros_like(disjunct)
    ascent = DisjunctAscent(Single(skeleton_of(query, batch), batch), node, disjunct, None, pool)
    ascent.run(options.steps(warm=False))
    return DisjunctPass(query, batch, node, disjunct, ascent.found(), pool)


@np.errstate(over="ignore", invalid="ignore")  # what is not finite in the end proves nothing
def refresh_phases(
    query: Query, batch: Batch, options: OptimiseOptions, kernel: str = "auto", behind: HalfSpaces | None = None,
    matter: Array | None = None,
) -> Bounds:  # fmt: skip
    """Bounds of the hidden neurons anew, by an ascent that knows the phases, then plain margins and total multipliers.

    A phase is a constraint on the input that a neuron's plain bound does not see; its multiplier brings it in. Deep in
    the tree that is what shows phases of other neurons to follow, and regions to be empty. Total multipliers are those
    of the rows that are the nodes' duty.
    kernel: "auto", or one of the twins: "plain" (numpy) or "compiled", where the nodes have one box of many inputs.
    behind: half-spaces of the input that hold on the nodes; numpy leaves them out: a skeleton is of one box alone.
    matter: [B, neurons] bool, those that are to be bounded anew, see `increasing_neurons`; None: all.
    """
    if matter is None:
        matter = np.ones_like(batch.pre_lower, dtype=bool)
    switch = _SWITCHES.get(query) or _SWITCHES.setdefault(query, _switch(query))
    # splits of axes, where no ReLU is left to split, make boxes of several kinds
    if prepared_of(query).ball(batch) is not None and switch.compiled(kernel):
        from .refreshed_bounds import refresh_wide

        return refresh_wide(query, batch, matter, largest_magnitudes(query, batch), options.steps(warm=False), behind)
    started = time.monotonic()
    bounds = _refresh(query, batch, matter, options)
    switch.seconds += time.monotonic() - started
    return bounds


_SWITCHES: WeakKeyDictionary[Query, Switch] = WeakKeyDictionary()


def _switch(query: Query) -> Switch:
    return Switch("wide", all(kind in ("relu", "identity") for kind in query.kinds), KERNEL_AFTER)


def largest_magnitudes(query: Query, batch: Batch) -> list[Array]:
    """Per layer [1, n]: |W| m + |b| with m the largest size that the sources have on any node of the batch."""
    return InheritedPass(query, batch).magnitudes


def _refresh(query: Query, batch: Batch, matter: Array, options: OptimiseOptions) -> Bounds:
    """`refresh_phases` by numpy: all nodes of the batch layer by layer."""
    crossed = np.zeros(len(batch), dtype=bool)
    batch = replace(batch, pre_lower=batch.pre_lower.copy(), pre_upper=batch.pre_upper.copy())
    for k, (kind, part) in enumerate(zip(query.kinds, query.slices, strict=True), start=1):
        lower, upper = batch.pre_lower[:, part], batch.pre_upper[:, part]  # views
        node, row = np.nonzero(matter[:, part] & (lower < 0.0) & (upper > 0.0))
        if kind != "relu" or k == 1 or not len(node) or time.monotonic() > options.deadline:
            continue
        found = hidden_minima(query, batch, k, np.repeat(node, 2), np.repeat(row, 2), options)
        lower[node, row] = np.fmax(lower[node, row], found[::2])
        upper[node, row] = np.fmin(upper[node, row], -found[1::2])
        empty = (lower > upper).any(axis=1)
        np.minimum(lower, upper, out=lower)  # an empty region: any bounds are true; the arithmetic stays finite
        crossed |= empty
    batch.changed[:] = 2
    bounds = bound(query, batch, LinearBoundOptions(deadline=options.deadline, kernel="plain", totals=True))
    bounds.infeasible |= crossed
    return bounds


@np.errstate(over="ignore", invalid="ignore")  # what is not finite in the end proves nothing
def hidden_minima(
    query: Query, batch: Batch, k: int, node: Array, row: Array, options: OptimiseOptions, pool: RowPool | None = None
) -> Array:
    """[P] lower bounds of z and of -z, in turn, for neurons of layer k that are listed twice, as (node, row) [P].

    pool: multi-neuron rows of the layers before, which hold on all nodes.
    """
    single = Single(skeleton_of(query, batch).below(k), batch)
    found = np.full(len(node), -np.inf)
    walked = InheritedPass(query, batch)
    columns = query.slices[k - 1].start + row
    stable = (batch.pre_lower[node, columns] >= 0.0) | (batch.pre_upper[node, columns] <= 0.0)
    step = max(2, PAIR_FLOATS // (query.neurons + query.network.input_size) // 2 * 2)
    for i in range(0, len(node), step):
        part = slice(i, i + step)
        count = len(node[part])
        sign, slot = np.tile([1.0, -1.0], count // 2), np.arange(count)
        # an unstable neuron that turns out to be active needs no upper bound; one that is stable wants both
        pairs = Pairs(node[part], row[part], sign, np.where(stable[part], count + slot, slot // 2))
        ascent = Ascent(single, pairs, None, pool)
        ascent.run(options.steps(warm=False))
        numbers, weights = ascent.result()
        found[part] = PairPass(walked, pairs, numbers, weights, ascent.best_mus, pool).minima(k)
    return found


def _box(batch: Batch, node: Array) -> tuple[Array, Array]:
    return batch.lower[node], batch.upper[node]


def _inherited(query: Query, batch: Batch, crossed: Array) -> Bounds:
    """Nothing new: the node's bound in all rows that are its duty."""
    duty = np.repeat(batch.duty, np.diff(query.starts), axis=1)
    return Bounds(
        batch.pre_lower, batch.pre_upper, np.where(duty, batch.margin[:, None], np.inf),
        np.zeros((len(batch), query.rows, query.neurons)), crossed,
    )  # fmt: skip


def _raise(query: Query, bounds: Bounds, node: Array, disjunct: Array, proved: Array) -> None:
    """A disjunct's bound, the largest of its rows', becomes at least `proved`."""
    for k in np.unique(disjunct):
        mine, rows = disjunct == k, slice(query.starts[k], query.starts[k + 1])
        bounds.margins[node[mine], rows] = np.fmax(bounds.margins[node[mine], rows], proved[mine, None])


_SKELETONS: WeakKeyDictionary[Query, Skeleton] = WeakKeyDictionary()


def skeleton_of(query: Query, batch: Batch) -> Skeleton:
    """The query's skeleton, made anew where some node needs neurons that it lacks."""
    known = _SKELETONS.get(query)
    if known is None or not known.covers(batch) or not _boxed(known, batch):
        known = Skeleton(query, batch, len(query.network.layers))
        boxed = query.region.ball is None and not batch.cuts.any() and _one_box(batch)
        if prepared_of(query).chained and boxed:
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
