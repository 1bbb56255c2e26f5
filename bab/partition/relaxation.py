"""The LP relaxation of max c'f(x) over a polytope, and over each part of one.

Anderson, Ma, Li and Sojoudi, *Tightened convex relaxations for neural network robustness certification* (CDC 2020):
    f*(X) = max {c'f(x) : x in X}  <=  f^(X) = max {c'x_K : x in X, (x, x_1, ..., x_K) in the triangles},
with the triangle x_k >= 0, x_k >= z_k, x_k <= u (z_k - l) / (u - l) of every ReLU [2, 5]. Bounds l, u are those of the
part: linear bounds, then LPs for every neuron whose sign they leave open, layer by layer, within a thousandth of its
width of the LPs' optima. A part inherits the bounds of what it is part of, so no part has a larger value (Prop. 2).

A part is a `Node`: a box, half-spaces, and phases z >= 0 or z <= 0 of rows. The LP holds the rows z = W x + b
themselves, so that the phase of a first-layer row is the half-space w_i'x + b_i >= 0 of the input, exactly. The phase
of a row of a deeper layer is no half-space of the input; the LP then asks that *its* z has the sign, which is true of a
superset of the part. (Biases stay biases; the paper folds them into the inputs.)

Values are rigorous upper bounds in floating point, those of `encodings.programs.safe_lp`, turned round.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from ...encodings.linear.linear_bounds import LinearBoundOptions, bound
from ...encodings.programs.lp import TriangleLP, tighten
from ...instances.batch import Node, root
from ...instances.checks import finite_array
from ...instances.errors import NetworkError, PropertyError
from ...instances.network import Array, Network
from ...instances.property import Case, InputSet, Polyhedron, Property
from ...instances.query import Query, queries

__all__ = ["Part", "objective_query", "relax", "whole"]

LEAST_SECONDS = 0.01  # for the last LP of a part whose time is over: whatever multipliers it has bound the part


@dataclass(frozen=True, eq=False)
class Part:
    """A part of the input set, and what its LP proves."""

    node: Node  # box, half-spaces, phases; pre_lower and pre_upper are l and u on the part
    value: float  # c'f(x) <= value all over the part, rigorously; -inf where the part is proved empty
    point: Array | None  # [inputs] where the LP attains it; None where the solver has no point


def objective_query(network: Network, region: InputSet, objective: Array, level: float = 0.0) -> Query:
    """The query whose one margin is level - c'f(x): c'f(x) >= level is what is forbidden.

    objective: c, [outputs]. Raises PropertyError where c or the region does not fit, NetworkError where an activation
    is no ReLU.
    """
    if not network.piecewise_linear:
        raise NetworkError("a partition by rows needs ReLUs: another activation is never affine on a part")
    c = finite_array(objective, (network.output_size,), "objective", PropertyError)
    forbidden = Polyhedron(-c[None], np.array([-level]))
    prop = Property((Case(region, (forbidden,)),), network.input_size, network.output_size)
    return queries(network, prop)[0]


def whole(query: Query, seconds: float = 60.0) -> Part:
    """The input set as the one part of itself: f^(X).

    seconds: for its LPs; bounds that they no longer reach stay linear ones.
    """
    batch = root(query)
    found = bound(query, batch, LinearBoundOptions(kernel="plain"))
    node = replace(batch, pre_lower=found.pre_lower, pre_upper=found.pre_upper).node(0)
    return relax(query, node, time.monotonic() + seconds)


def relax(query: Query, node: Node, deadline: float) -> Part:
    """Bounds and value of a node of an `objective_query`. deadline: time.monotonic() at which the LPs stop."""
    crossed = bool((node.pre_lower > node.pre_upper).any())
    if not crossed:
        low, high = tighten(query, node, np.flatnonzero(query.relu), deadline)
        node = replace(node, pre_lower=low, pre_upper=high)
        crossed = bool((low > high).any())
    if crossed or (node.lower > node.upper).any():
        return Part(node, -np.inf, None)
    found = TriangleLP(query, node).minimise(0, max(deadline - time.monotonic(), LEAST_SECONDS))
    return Part(node, -found.bound, found.point)
