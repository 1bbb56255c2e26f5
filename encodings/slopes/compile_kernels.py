"""Compiling all kernels, ahead of the runs that want them."""

from __future__ import annotations

import math

import numpy as np

from ...instances.batch import root
from ...instances.families.random_networks import random_network, random_property
from ...instances.query import Query, queries
from ..kernels.cache import mark_ready
from ..linear.bounds import LinearBoundOptions
from ..linear.linear_bounds import bound
from ..linear.narrow_bounds import bound_narrow
from ..linear.prepared_layers import BALL
from ..propagation.contraction import Propagation
from ..propagation.state import Nogoods, State
from .phase_bounds import largest_magnitudes
from .refreshed_bounds import refresh_wide
from .slope_ascent import Steps

__all__ = ["compile_kernels"]


def compile_kernels() -> None:
    """Compile what is not in the cache yet, by bounding the roots of tiny networks."""
    narrow = _query((2, 3, 3, 2))
    bound_narrow(narrow, root(narrow), LinearBoundOptions(means=True, conjunctions=True))
    tiny = root(narrow)
    bounds = bound(narrow, tiny)
    tiny.pre_lower, tiny.pre_upper = bounds.pre_lower, bounds.pre_upper
    wide = _query((BALL, 3, 3, 2))
    batch = root(wide)
    bounds = bound(wide, batch)
    batch.pre_lower, batch.pre_upper = bounds.pre_lower, bounds.pre_upper
    batch.duty = np.ones((1, wide.disjuncts), dtype=bool)
    refresh_wide(wide, batch, largest_magnitudes(wide, batch), Steps(1, 0.5, 1.0, 0.0, math.inf))
    Propagation(narrow, tiny.node(0), 0, "compiled").contract(State.of(narrow, tiny.node(0)), Nogoods())
    mark_ready()


def _query(sizes: tuple[int, ...]) -> Query:
    network = random_network(sizes, seed=0)
    return queries(network, random_property(network, seed=0))[0]
