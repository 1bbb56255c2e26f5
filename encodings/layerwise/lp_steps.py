"""LP-GREEDY, LP-LAST and LP-ALL of Salman et al. (NeurIPS 2019), section 5: how much of a bound is an exact LP.

    LP-GREEDY   hidden bounds and margins by the greedy dual: parallel lines, substituted back
    LP-LAST     the same hidden bounds, a linear program over all triangles for the margins
    LP-ALL      a linear program for either bound of every hidden neuron that is not stable yet, layer by layer, then
                the margins': the optimal layer-wise convex relaxation

A stable neuron's bounds change no program behind it, so LP-ALL does not ask for them. All bounds are the safe ones of
`programs/safe_lp.py`, and each step is at least as good as the one before it, up to the simplex' tolerance.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np

from ...instances.batch import Node
from ...instances.network import Array, curved
from ...instances.query import Query
from ..linear.bounds import LinearBoundOptions
from ..linear.linear_bounds import bound
from ..programs.lp import TriangleLP, tighten

__all__ = ["greedy_node", "lp_all", "lp_all_node", "lp_greedy", "lp_last"]

NO_GAIN = 1e-9  # of a neuron's width: what an LP is not solved for, within the simplex' tolerance


def greedy_node(query: Query, node: Node, slopes: str = "parallel") -> tuple[Node, Array]:
    """(the node with greedy bounds of all neurons, its margins' greedy bounds [rows])."""
    found = bound(query, node.batch, LinearBoundOptions(slopes=slopes, kernel="plain"))
    return replace(node, pre_lower=found.pre_lower[0], pre_upper=found.pre_upper[0]), found.margins[0]


def lp_greedy(query: Query, node: Node) -> Array:
    """[disjuncts] lower bounds of each disjunct's largest margin."""
    return np.asarray(query.per_disjunct(greedy_node(query, node)[1][None])[0])


def lp_last(query: Query, node: Node, seconds: float = math.inf) -> Array:
    """The same, see above; seconds: for each linear program."""
    return _margins(query, greedy_node(query, node)[0], seconds)


def lp_all(query: Query, node: Node, seconds: float = math.inf) -> Array:
    """The same, see above; seconds: for all hidden bounds, and for each disjunct's program. Unless they are given
    nothing is left out."""
    return _margins(query, lp_all_node(query, greedy_node(query, node)[0], seconds), seconds)


def lp_all_node(query: Query, node: Node, seconds: float = math.inf) -> Node:
    """The node, which has bounds, with those of linear programs; crossed ones where its region is empty."""
    open_neurons = (node.pre_lower < 0.0) & (node.pre_upper > 0.0) & query.relu
    for kind, part in zip(query.kinds, query.slices, strict=True):
        if curved(kind):
            open_neurons[part] = True
    deadline = time.monotonic() + seconds
    lower, upper = tighten(query, node, np.flatnonzero(open_neurons), deadline, NO_GAIN)
    return replace(node, pre_lower=lower, pre_upper=upper)


def _margins(query: Query, node: Node, seconds: float) -> Array:
    lp = TriangleLP(query, node)
    return np.array([lp.minimise(k, seconds).bound for k in range(len(query.starts) - 1)])
