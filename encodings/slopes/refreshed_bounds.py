"""The kernel of wide networks from Python: a query laid out flat, room for the results."""

from __future__ import annotations

import threading
import time
from weakref import WeakKeyDictionary

import numpy as np

from ...instances.batch import Batch
from ...instances.network import Array, Matrix
from ...instances.query import Query
from ...instances.rounding import SPARE, UP, gamma
from ...instances.sparse import sp
from ..kernels.cache import kernel_cache
from ..linear.bounds import Bounds, middle_and_radius, norm
from ..linear.first_layer_ball import Ball
from ..linear.prepared_layers import prepared_of
from .rows_behind import HalfSpaces
from .sampled_inputs import sample_of
from .slope_ascent import Steps

with kernel_cache():
    from ..kernels.wide_ascent import AscentRoom, ascent_room
    from ..kernels.wide_evaluation import EvaluationRoom, evaluation_room
    from ..kernels.wide_layout import Wide, WideNode, node_room
    from ..kernels.wide_nodes import HALF, Fresh, Hidden, Sizes, refresh_nodes
    from ..kernels.wide_nodes import Steps as KernelSteps

__all__ = ["refresh_wide"]

_NETS: WeakKeyDictionary[Query, tuple[Ball, Wide]] = WeakKeyDictionary()
_Rows = tuple[Array, Array, Array, Array]  # see `_rows_of`
_ROOMS = threading.local()  # a thread's working memory for the network that it worked on last


def refresh_wide(
    query: Query, batch: Batch, matter: Array, magnitudes: list[Array], steps: Steps, behind: HalfSpaces | None
) -> Bounds:
    """`phase_bounds.refresh_phases` by the kernel.

    The nodes' box must be one that `prepared_layers.Prepared.ball` knows, activations ReLU or identity; matter, behind:
    see there, magnitudes: `phase_bounds.largest_magnitudes`. Nodes that the deadline cuts off keep what they had.
    """
    ball = prepared_of(query).ball(batch)
    assert ball is not None
    net = _wide(query, ball)
    count, rows, neurons = len(batch), query.rows, query.neurons
    low = np.fmax(np.ascontiguousarray(batch.pre_lower), -np.inf)  # copies; a NaN is no bound
    high = np.fmin(np.ascontiguousarray(batch.pre_upper), np.inf)
    out = Fresh(
        np.full((count, rows), -np.inf), np.zeros((count, rows, neurons)), np.zeros((count, rows, neurons)),
        np.zeros(count, dtype=np.bool_),
    )  # fmt: skip
    wanted = np.repeat(batch.duty, np.diff(query.starts), axis=1)
    sizes = Sizes(
        np.concatenate([np.zeros(query.network.input_size), *(m[0] for m in magnitudes)]),
        np.array([0.0, *(float(norm(m[0])) for m in magnitudes)]),
    )
    given, ascent = np.ascontiguousarray(batch.phases), KernelSteps(steps.iterations, steps.rate, steps.decay)
    hidden = _hidden_room(query, low, high)
    for b in range(count):  # a node may take a second: each looks at the clock
        if time.monotonic() > steps.deadline:
            break
        rooms = _rooms(net)
        _place(rooms[0], net, ball, behind, b)
        refresh_nodes(net, b, b + 1, low, high, given, wanted, matter, sizes, ascent, *rooms, hidden, out)
    return Bounds(low, high, out.margins, out.sensitivities, out.infeasible, totals=out.totals)


def _rooms(net: Wide) -> tuple[WideNode, AscentRoom, EvaluationRoom]:
    if getattr(_ROOMS, "net", None) is not net:
        _ROOMS.net = net
        _ROOMS.rooms = node_room(net), ascent_room(net, 2 * HALF), evaluation_room(net, 2 * HALF)
    rooms: tuple[WideNode, AscentRoom, EvaluationRoom] = _ROOMS.rooms
    return rooms


def _place(node: WideNode, net: Wide, ball: Ball, behind: HalfSpaces | None, b: int) -> None:
    """Write node b's half-space in terms of the scaled input, the error of its value in the middle with it."""
    node.normal[:], node.sampled_normal[:], node.behind[:] = 0.0, 0.0, 0.0
    if behind is None or not behind.normals[b].any():
        return
    normal, offset = behind.normals[b], float(behind.offsets[b])
    middle, _ = middle_and_radius(ball.lower, ball.upper)
    error = gamma(ball.inputs + SPARE) * (float(np.abs(normal) @ np.abs(middle)) + abs(offset)) * UP
    node.normal[:] = scaled = (normal * ball.radius)[net.order]
    whole, part = float(np.abs(scaled).sum()), net.factor * float(np.abs(scaled[: net.sample]).sum())
    # near a corner of the box a half-space is what its size says: the sample's is made to be as large
    node.sampled_normal[:] = scaled[: net.sample] * (whole / part if part > 0.0 else 1.0)
    node.behind[:] = float(normal @ middle) + offset, error, whole * UP


def _hidden_room(query: Query, low: Array, high: Array) -> Hidden:
    """Room for the coefficients of every unstable row of any of these nodes."""
    unstable = (low < 0.0) & (high > 0.0)
    floats = np.zeros(len(low), dtype=np.int64)
    for part in query.slices[1:]:
        floats += 2 * unstable[:, part].sum(axis=1) * part.start
    blocks = query.neurons // HALF + len(query.slices) + 1
    return Hidden(
        np.empty(int(floats.max()), np.float32), np.empty(query.neurons, np.int64), np.zeros((blocks, 4), np.int64)
    )


def _wide(query: Query, ball: Ball) -> Wide:
    """The query laid out flat; made anew for another box."""
    known = _NETS.get(query)
    if known is None or known[0] is not ball:
        known = _NETS[query] = ball, _flatten(query, ball)
    return known[1]


def _flatten(query: Query, ball: Ball) -> Wide:
    layers, sizes, prepared = query.network.layers, query.network.sizes, prepared_of(query)
    edges = [(k, s, w) for k, layer in enumerate(layers) for s, w in zip(layer.sources, layer.weights, strict=True)]
    sample = sample_of(ball)
    offsets, weights, sparse = _weights([(k, w) for k, _, w in edges], ball, sample.order)
    ends, columns, entries, single_entries = _joined(sparse)
    bias = np.concatenate([np.zeros(sizes[0]), *(layer.bias for layer in layers)])
    single_bias = bias.astype(np.float32)
    single_bias[sizes[0] : sizes[0] + sizes[1]] = ball.middle
    sums = 2 * len(layers)
    return Wide(
        starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        relu=np.array([False, *(layer.kind == "relu" for layer in layers)]),
        edges=np.concatenate([[0, 0], np.cumsum([len(layer.sources) for layer in layers])]).astype(np.int64),
        sources=np.array([s for _, s, _ in edges], dtype=np.int64),
        dense=np.array([isinstance(w, np.ndarray) or (k == 0 and isinstance(ball.scaled, np.ndarray))
                        for k, _, w in edges]),
        offsets=np.array(offsets, dtype=np.int64),
        weights=np.ascontiguousarray(weights[:, 0]),
        single=weights[:, 1].astype(np.float32),
        ends=ends, columns=columns, entries=entries, single_entries=single_entries,
        bias=bias,
        single_bias=single_bias,
        interval=np.array([0.0, *(gamma(p.terms + 4) for p in prepared.layers)]),
        relative=np.array([0.0, *(gamma(p.terms + sums) for p in prepared.layers)]),
        bias_error=np.array([0.0, *(p.layer.bias_error for p in prepared.layers)]),
        sums=sums,
        middle=ball.middle,
        rounding=ball.rounding,
        spread_error=ball.spread_error,
        underflow=ball.underflow,
        order=sample.order, sample=sample.taken, factor=sample.factor,
    )  # fmt: skip


def _weights(
    edges: list[tuple[int, Matrix]], ball: Ball, order: Array
) -> tuple[list[int], Array, list[_Rows]]:
    """(where each edge's weights begin, dense ones with those of the scaled input beside them [N, 2], sparse ones).

    edges: (layer from 0, weights); order: of the scaled input's columns, where they are dense.
    """
    dense, sparse, offsets = [np.zeros((0, 2))], [_rows_of(sp.csr_array((0, 1)), None)], []
    numbers = rows = 0
    for k, w in edges:
        scaled = ball.scaled if k == 0 else None
        if isinstance(w, np.ndarray) or isinstance(scaled, np.ndarray):
            scaled = scaled[:, order] if isinstance(scaled, np.ndarray) else None
            w = w if isinstance(w, np.ndarray) else w.toarray()
            dense.append(np.stack([w.ravel(), (w if scaled is None else scaled).ravel()], axis=1))
            offsets.append(numbers)
            numbers += w.size
        else:
            sparse.append(_rows_of(w, ball.radius if k == 0 else None))
            offsets.append(rows)
            rows += w.shape[0] + 1
    return offsets, np.concatenate(dense), sparse


def _rows_of(w: Matrix, radius: Array | None) -> _Rows:
    """Compressed rows: (ends, columns, entries, float32 entries, of the scaled input where a radius is given)."""
    w = sp.csr_array(w)
    single = w.data if radius is None else w.data * radius[w.indices]
    return w.indptr.astype(np.int64), w.indices.astype(np.int64), w.data.astype(np.float64), single.astype(np.float32)


def _joined(parts: list[_Rows]) -> _Rows:
    """Matrices one after another; a matrix has one more end than rows."""
    before = np.cumsum([0, *(len(p[1]) for p in parts[:-1])])
    ends = np.concatenate([p[0] + b for p, b in zip(parts[1:], before[1:], strict=True)] or [np.zeros(0, np.int64)])
    columns, entries, single = (np.concatenate([p[i] for p in parts]) for i in (1, 2, 3))
    return ends, columns, entries, single
