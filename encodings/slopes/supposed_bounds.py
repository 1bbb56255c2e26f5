"""Nodes bounded by supposing a counterexample: the first layer behind what the margins' bounds have not excluded.

A counterexample of a disjunct has margins <= 0, so a linear function a'x + c that was proved to lie below the largest
of them is <= 0 there: all counterexamples of a node lie behind that half-space of the input, or behind one of several
where the node has several disjuncts to refute. The first layer's pre-activations are bounded anew behind it
(`rows_behind`), in the second case by the hull of what each disjunct leaves. Where a proof is nearly done the
half-space is a small corner of the box, in which few ReLUs are unstable. Later layers' bounds gain by the first one's,
and where there is one half-space also by a multiplier of it (`refreshed_bounds`). In networks of one or two hidden
layers that makes bounds much tighter, in deeper ones little, whose functions depend less on the input.

Half-spaces of the output in hidden bounds are INVPROP (Kotha, Brix, Kolter, Dvijotham and Zhang 2023), linear functions
that cut the input Clip-and-Verify (arXiv 2512.11087).
"""

from __future__ import annotations

import math
import time
from weakref import WeakKeyDictionary

import numpy as np

from ...instances.batch import Batch
from ...instances.multipliers import Multipliers
from ...instances.network import Array
from ...instances.query import Query
from ...instances.rounding import UP
from ..kernels.switch import Switch
from ..linear.bounds import middle_and_radius
from .disjunct_bounds import DisjunctPass
from .increasing_neurons import bounds_matter
from .row_multipliers import RowPool
from .rows_behind import HalfSpaces, bounds_behind

__all__ = ["suppose"]

FAR = 0.5  # share of the function's range over the box, below 0, from which on its half-space says next to nothing
CHUNK = 2**20  # weights of rows at a time
KERNEL_AFTER = 0.5  # seconds that numpy spends on a query's rows before numba's import is worth it


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # what is not finite proves nothing
def suppose(
    query: Query, batch: Batch, numbers: Multipliers, pool: RowPool | None = None, kernel: str = "auto",
    deadline: float = math.inf,
) -> tuple[Array, Array, Array, HalfSpaces]:  # fmt: skip
    """Pre-activation bounds of all counterexamples of the nodes' duties, and half-spaces that these lie behind.

    Returns (lower [B, neurons], upper, [B] bool: are new, half-spaces of nodes with one disjunct, near enough).

    numbers: of the nodes' disjuncts, from `phase_bounds.bound_phases`; pool: the rows that these have multipliers of;
    deadline: time.monotonic() at which the other nodes keep their bounds.
    A node whose lower bounds exceed upper ones somewhere has no counterexample.
    """
    lower, upper, new = batch.pre_lower.copy(), batch.pre_upper.copy(), np.zeros(len(batch), dtype=bool)
    behind = HalfSpaces(np.zeros((len(batch), query.network.input_size)), np.zeros(len(batch)))
    node, disjunct = np.nonzero(batch.duty)
    if not len(node):
        return lower, upper, new, behind
    proving = DisjunctPass(query, batch, node, disjunct, numbers[node, disjunct], pool)
    coefficients, constants, least, _ = proving.evaluate(len(query.kinds) + 1)
    _, radius = middle_and_radius(batch.lower[node], batch.upper[node])
    share = -least / (2.0 * np.abs(coefficients) * radius).sum(axis=1)
    near = (share <= FAR) & np.isfinite(constants) & np.isfinite(coefficients).all(axis=1)
    chosen = np.array(batch.duty.any(axis=1))
    chosen[node[~near]] = False
    matter = bounds_matter(query, batch.duty) if pool is None else np.ones(lower.shape, dtype=bool)
    switch = _SWITCHES.get(query) or _SWITCHES.setdefault(query, Switch("wide", True, KERNEL_AFTER))
    for b in np.flatnonzero(chosen).tolist():
        compiled, started = switch.compiled(kernel), time.monotonic()
        if started > deadline:
            break
        own = np.flatnonzero(node == b)
        box = batch.lower[b], batch.upper[b]
        new[b] = _behind(query, box, -coefficients[own], -constants[own], matter[b], lower[b], upper[b], compiled)
        if len(own) == 1:
            behind.normals[b], behind.offsets[b] = -coefficients[own[0]], -constants[own[0]]
        if not compiled:
            switch.seconds += time.monotonic() - started
    return lower, upper, new, behind


_SWITCHES: WeakKeyDictionary[Query, Switch] = WeakKeyDictionary()


def _behind(
    query: Query, box: tuple[Array, Array], normals: Array, offsets: Array, matter: Array, lower: Array, upper: Array,
    compiled: bool,
) -> bool:  # fmt: skip
    """Bound the unstable neurons of a node that read the input alone behind any of these half-spaces, in place.

    normals: [D, inputs]; offsets: [D]; matter: [neurons] bool, those that are to be bounded; lower, upper: [neurons].
    Whether there are such neurons.
    """
    found = False
    for layer, part in zip(query.network.layers[:-1], query.slices, strict=True):
        unstable = np.flatnonzero(matter[part] & (lower[part] < 0.0) & (upper[part] > 0.0))
        if layer.sources != (0,) or layer.kind != "relu":
            continue
        for i in range(0, len(unstable), step := max(1, CHUNK // query.network.input_size)):
            rows, found, w, bias = unstable[i : i + step], True, layer.weights[0], layer.bias
            at = part.start + rows
            if not isinstance(w, np.ndarray) or not w.flags.c_contiguous:
                some = w[rows]
                w = np.ascontiguousarray(some) if isinstance(some, np.ndarray) else some.toarray()
                bias, rows = bias[rows], np.arange(len(rows))
            ends = [
                bounds_behind(w, rows, bias, box, normal, offset, compiled)
                for normal, offset in zip(normals, offsets.tolist(), strict=True)
            ]
            low, high = np.min([end[0] for end in ends], axis=0), np.max([end[1] for end in ends], axis=0)
            error = layer.bias_error * UP
            lower[at], upper[at] = np.fmax(lower[at], low - error), np.fmin(upper[at], high + error)
    return found
