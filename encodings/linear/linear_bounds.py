"""Linear bounds of batches of nodes: one function, two ways to compute them, and the one place that chooses.

* `back_substitution`: numpy, batched matrix products; every network.
* `narrow_nodes`: compiled by numba, one node at a time; narrow dense ReLU networks. Several times faster there, because
  stable neurons leave the products, but numba takes a while to import (and, once per installation, to compile).
"""

from __future__ import annotations

import time
from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np

from ...instances.batch import Batch
from ...instances.query import Query
from ..kernels.switch import Switch
from .back_substitution import Pass, back_substitute
from .bounds import Bounds, LinearBoundOptions, smallest_margins, suspicious_rows
from .norm_ball_bounds import minimum_in_ball, misses_ball, split_by_ball
from .prepared_layers import prepared_of

__all__ = ["Bounds", "LinearBoundOptions", "bound", "smallest_margins"]

WIDEST = 256  # neurons of a layer up to which nodes one at a time beat batched products
KERNEL_AFTER = 0.3  # seconds that numpy spends on a query before numba's import is worth it


def _switch(query: Query) -> Switch:
    sizes, layers = query.network.sizes, query.network.layers
    dense = all(isinstance(w, np.ndarray) for layer in layers for w in layer.weights)
    kinds = all(layer.kind in ("relu", "identity") for layer in layers)
    return Switch("narrow", dense and kinds and max(sizes) <= WIDEST, KERNEL_AFTER)


_SWITCHES: WeakKeyDictionary[Query, Switch] = WeakKeyDictionary()


def bound(query: Query, batch: Batch, options: LinearBoundOptions | None = None) -> Bounds:
    """Linear bounds of all nodes of a batch, intersected with the inherited ones: never worse than the parent's."""
    options = options or LinearBoundOptions()
    switch = _SWITCHES.get(query) or _SWITCHES.setdefault(query, _switch(query))
    if switch.compiled(options.kernel):
        from .narrow_bounds import bound_narrow

        bounds = bound_narrow(query, _first_layer_in_ball(query, batch, options), options)
        _margins_in_ball(query, batch, bounds)
    else:
        started = time.monotonic()
        bounds = back_substitute(query, batch, options)
        switch.seconds += time.monotonic() - started
    _suspect(query, batch, bounds)
    return bounds


def _first_layer_in_ball(query: Query, batch: Batch, options: LinearBoundOptions) -> Batch:
    """The batch with bounds of the first layer over box and ball: the kernel knows boxes and half-spaces only."""
    if query.region.ball is None or not options.hidden or len(query.network.layers) == 1:
        return batch
    with np.errstate(over="ignore", invalid="ignore"):
        plain = replace(batch, cuts=batch.cuts[:, :0])
        first = Pass(prepared_of(query), plain, LinearBoundOptions(deadline=options.deadline))
        first.walk_first()
    return replace(batch, pre_lower=first.pre_lower, pre_upper=first.pre_upper)


def _margins_in_ball(query: Query, batch: Batch, bounds: Bounds) -> None:
    """The kernel's margins, raised to what its linear functions are over box and ball, in place."""
    if (ball := query.region.ball) is None:
        return
    least = minimum_in_ball(ball, batch.lower, batch.upper, bounds.coefficients, bounds.constants)
    bounds.margins = np.fmax(bounds.margins, least)
    bounds.infeasible |= misses_ball(ball, batch.lower, batch.upper)


def _suspect(query: Query, batch: Batch, bounds: Bounds) -> None:
    """The minimiser over box and ball of each node's most suspicious row, where no other point is known, in place."""
    if (ball := query.region.ball) is None:
        return
    rows = suspicious_rows(query, bounds)[:, :1]
    coefficients = np.take_along_axis(bounds.coefficients, rows[:, :, None], axis=1)
    points = split_by_ball(ball, batch.lower, batch.upper, coefficients)[1][:, 0]
    bounds.points = points if bounds.points is None else np.where(np.isnan(bounds.points), points, bounds.points)
