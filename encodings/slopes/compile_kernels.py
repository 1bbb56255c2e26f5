"""Compiling all kernels, ahead of the runs that want them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ...instances.batch import Batch, root
from ...instances.families.random_networks import random_network, random_property
from ...instances.query import Query, queries
from ..kernels.cache import Family, kernels_ready, mark_ready
from ..kernels.lock import holding
from ..kernels.switch import compilation_lock
from ..linear.bounds import LinearBoundOptions
from ..linear.linear_bounds import bound
from ..linear.narrow_bounds import bound_narrow
from ..linear.prepared_layers import BALL
from ..propagation.contraction import Propagation, contraction_kernel
from ..propagation.state import Nogoods, State
from .phase_bounds import largest_magnitudes
from .refreshed_bounds import refresh_wide
from .rows_behind import bounds_behind
from .slope_ascent import Steps

__all__ = ["FAMILIES", "compile_family", "compile_kernels"]

PATIENCE = 2.0  # seconds: who only looks at the lock has it for less, who has it for longer compiles


def compile_kernels(first: Family) -> None:
    """Compile what is not ready yet, one family before the others, unless another process is about it."""
    with holding(compilation_lock(), PATIENCE) as mine:
        for family in sorted(FAMILIES, key=lambda f: f != first) if mine else ():
            if not kernels_ready(family):
                compile_family(family)


def compile_family(family: Family) -> None:
    """Compile what is not in the cache yet. Raises OSError where nothing can be kept."""
    FAMILIES[family]()
    mark_ready(family)


def _narrow() -> None:
    query = _query((2, 3, 3, 2))
    bound_narrow(query, root(query), LinearBoundOptions(means=True, conjunctions=True))


def _contraction() -> None:
    query = _query((2, 3, 3, 2))
    node = _bounded(query).node(0)
    propagation = Propagation(query, node, 0)
    propagation.kernel_of = contraction_kernel()
    propagation.contract(State.of(query, node), Nogoods())


def _wide() -> None:
    query = _query((BALL, 3, 3, 2))
    batch = _bounded(query)
    batch.duty = np.ones((1, query.disjuncts), dtype=bool)
    matter, steps = np.ones((1, query.neurons), dtype=bool), Steps(1, 0.5, 1.0, 0.0, math.inf)
    refresh_wide(query, batch, matter, largest_magnitudes(query, batch), steps, None)
    layer, box = query.network.layers[0], (batch.lower[0], batch.upper[0])
    w, rows = np.asarray(layer.weights[0]), np.arange(layer.size)
    bounds_behind(w, rows, layer.bias, box, np.ones(query.network.input_size), 0.0, compiled=True)


# what is wanted most, and compiles in least time, first
FAMILIES: dict[Family, Callable[[], None]] = {"narrow": _narrow, "contraction": _contraction, "wide": _wide}


def _bounded(query: Query) -> Batch:
    """The root with its linear bounds."""
    batch = root(query)
    bounds = bound(query, batch, LinearBoundOptions(kernel="plain"))
    batch.pre_lower, batch.pre_upper = bounds.pre_lower, bounds.pre_upper
    return batch


def _query(sizes: tuple[int, ...]) -> Query:
    network = random_network(sizes, seed=0)
    return queries(network, random_property(network, seed=0))[0]
