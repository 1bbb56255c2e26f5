"""The compiled kernel's Python side: a query laid out flat, room for the results, and threads over the batch."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from weakref import WeakKeyDictionary

import numpy as np

from ...instances.batch import Batch
from ...instances.network import Array
from ...instances.query import Query
from ...instances.rounding import gamma
from ..kernels.cache import kernel_cache
from ..kernels.narrow_layout import Net, Out, room_for
from .bounds import Bounds, LinearBoundOptions, MarginFunctions, MeanFunctions
from .prepared_layers import prepared_of, product_terms

with kernel_cache():
    from ..kernels.narrow_nodes import bound_nodes

__all__ = ["bound_narrow"]

TASKS = 4  # parts of a batch per thread: they take unequal time
FEWEST = 8  # nodes of a part

_NETS: WeakKeyDictionary[Query, Net] = WeakKeyDictionary()


def bound_narrow(query: Query, batch: Batch, options: LinearBoundOptions) -> Bounds:
    """`linear_bounds.bound` by the kernel. The network must be dense, its activations ReLU or identity."""
    net = _NETS.get(query) or _NETS.setdefault(query, _flatten(query))
    count, n = len(batch), query.network.input_size
    kept = count if options.means else 0
    out = Out(
        np.empty((count, query.rows)), np.empty((count, query.rows, n)), np.empty((count, query.rows)),
        np.zeros((count, query.rows, query.neurons)), np.zeros(count, dtype=np.bool_),
        np.zeros((kept, query.neurons, n + 1)), np.full((kept, query.neurons), np.inf),
        np.full((count, n), np.nan), np.zeros(count, dtype=np.bool_),
    )  # fmt: skip
    # copies; a NaN is no bound
    pre_lower = np.fmax(np.ascontiguousarray(batch.pre_lower), -np.inf)
    pre_upper = np.fmin(np.ascontiguousarray(batch.pre_upper), np.inf)
    given = (batch.lower, batch.upper, batch.cuts, batch.phases, batch.changed)
    lower, upper, cuts, phases, changed = (np.ascontiguousarray(a) for a in given)

    def part(first: int, last: int) -> None:
        bound_nodes(
            net, first, last, lower, upper, cuts, pre_lower, pre_upper, phases, changed,
            options.hidden, options.slopes == "parallel", options.first_layer, options.conjunctions,
            room_for(net, cuts.shape[1]), out,
        )  # fmt: skip

    step = max(FEWEST, -(-count // (TASKS * options.threads)))
    starts = range(0, count, step)
    if options.threads == 1 or len(starts) <= 1:
        part(0, count)
    else:
        list(_pool(options.threads).map(part, starts, [min(count, s + step) for s in starts]))
    return Bounds(
        pre_lower, pre_upper, out.margins, out.sensitivities, out.infeasible,
        functions=MarginFunctions(out.coefficients, out.constants),
        means=MeanFunctions(out.means, out.spreads) if options.means else None,
        points=out.points if options.conjunctions else None,
        together=out.together if options.conjunctions else None,
    )  # fmt: skip


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)


def _flatten(query: Query) -> Net:
    layers = query.network.layers
    sizes = query.network.sizes
    edges = [(k, s, w) for k, layer in enumerate(layers) for s, w in zip(layer.sources, layer.weights, strict=True)]
    terms = [sum(product_terms(w) for w in layer.weights) + layer.roundings for layer in layers]
    sums = prepared_of(query).sums
    starts = _ends(sizes)
    differing, partner = np.zeros(len(sizes), dtype=np.int64), np.zeros(len(sizes), dtype=np.int64)
    pairs = np.zeros((starts[-1], 2), dtype=np.int64)
    for d in query.network.differences:
        differing[d.second], differing[d.layer], partner[d.second] = d.layer, d.second, d.first
        ends = starts[d.first] + d.left, starts[d.second] + d.right
        pairs[starts[d.layer] : starts[d.layer + 1]] = np.stack(ends, axis=1)
    whole = np.concatenate([np.asarray(w, dtype=np.float64).ravel() for _, _, w in edges])
    return Net(
        starts=starts,
        relu=np.array([False, *(layer.kind == "relu" for layer in layers)]),
        edges=np.concatenate([[0], _ends([len(layer.sources) for layer in layers])]),
        sources=np.array([s for _, s, _ in edges], dtype=np.int64),
        offsets=_ends([w.size for _, _, w in edges])[:-1],
        weights=whole,
        bias=np.concatenate([np.zeros(sizes[0]), *(layer.bias for layer in layers)]),
        interval=np.array([0.0, *(gamma(t + 4) for t in terms)]),
        relative=np.array([0.0, *(gamma(t + sums) for t in terms)]),
        bias_error=np.array([0.0, *(p.layer.bias_error for p in prepared_of(query).layers)]),
        input_relative=gamma(sizes[0] + sums),
        sums=sums,
        disjuncts=np.asarray(query.starts, dtype=np.int64),
        differing=differing,
        partner=partner,
        pairs=pairs,
    )


def _ends(sizes: tuple[int, ...] | list[int]) -> Array:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
