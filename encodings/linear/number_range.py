"""Whether a query's numbers stay where the error terms of floating point are right.

Error terms are relative: they hold as long as no product or sum overflows and what underflows does not matter. From
    M_0 = max(|lower|, |upper|, 1),    M_k = max(sum_s |W_ks| M_s + |b_k| + its error, 1)
(a curve steeper than 1 makes of M_k the largest of M_k, its values up to there, and M_k times its steepest slope;
planes of products, on a / 2 + b / 2 and a / 2 - b / 2, are no steeper than the squares of these numbers)
one walk bounds everything that linear bounds, linear programs and half-spaces are made of: the value of each layer on
the input set is at most M_k, and so is the sum of the absolute values of all products of weights between any earlier
layer and layer k (times the steepest slopes of curves between them), with which a coefficient, and an error made on
the way, is multiplied. So up to LARGEST squares and products of two such numbers are finite, and all that underflow
loses moves a margin by less than `rounding.UNDERFLOW`:
    2^-1074 (one product)  x  2^30 (products)  x  LARGEST^2 (carried to a margin)  x  2^50 (ways through bounds).
Beyond that nothing is proved. Where curves make it more, their values and slopes are taken on the intervals of their
pre-activations on the whole input set, which those of every node are within, and not on [-M_k, M_k]: next to a gap
halfway to its edge, elsewhere WIDER than they are, since a node's may be off by their own rounding.
"""

from __future__ import annotations

import numpy as np

from ...instances.batch import Node, root
from ...instances.curves.curve import JUMP_SLOPE, Curve
from ...instances.curves.names import curve
from ...instances.network import Array, activate, curved, derivative
from ...instances.query import Query
from ...instances.rounding import CURVE_VALUE

__all__ = ["BEYOND", "LARGEST", "in_range", "largest_number", "outside_domains", "suits_scip"]

LARGEST = 1e75
WIDER = 1e-6  # of intervals that slopes are asked on, relatively: far above their roundings
Ends = tuple[Array, Array]
# SCIP's tolerances are absolute, 1e-9 is 0 to it and 1e20 infinite: what it may be asked about. The largest weight or
# bias of each layer lies between the first two, bounds of inputs and pre-activations below the third
SCIP_LEAST, SCIP_MOST, SCIP_REACH = 1e-6, 1e9, 1e12
BEYOND = "numbers beyond float64's range"  # the reason of an `unknown`


def largest_number(query: Query, intervals: Ends | None = None) -> float:
    """Largest of the M_k and of the terms of the input set's half-spaces and ball; infinite where one is not finite.

    intervals: of all pre-activations on the input set, [neurons] each, on which curves are asked where they are finite.
    """
    region = query.region
    reach = np.maximum(np.maximum(np.abs(region.lower), np.abs(region.upper)), 1.0)
    sizes: list[Array] = [reach]
    with np.errstate(over="ignore", invalid="ignore"):
        rows = np.abs(region.rows) @ reach + np.abs(region.offsets)
        for k, layer in enumerate(query.network.layers):
            size = np.abs(layer.bias) + layer.bias_error
            for s, w in zip(layer.sources, layer.weights, strict=True):
                size = size + abs(w) @ sizes[s]
            ends = None if intervals is None or not curved(layer.kind) else _part(query, k, intervals)
            sizes.append(_behind(layer.kind, np.maximum(size, 1.0), ends))  # NaN stays
        if region.ball is not None:
            sizes.append(np.append(np.abs(region.ball.centre), region.ball.radius))
        most = [float(a.max(initial=1.0)) for a in (*sizes, rows)]
    return max(most) if np.isfinite(most).all() else np.inf


def _part(query: Query, k: int, intervals: Ends) -> Ends:
    return intervals[0][query.slices[k]], intervals[1][query.slices[k]]


def _intervals(query: Query) -> Ends:
    """Intervals of all pre-activations on the input set, by interval arithmetic alone."""
    from .back_substitution import Pass  # few queries need it
    from .bounds import LinearBoundOptions
    from .prepared_layers import prepared_of

    found = Pass(prepared_of(query), root(query), LinearBoundOptions(hidden=False))
    with np.errstate(over="ignore", invalid="ignore"):
        found.walk()
    return found.pre_lower[0], found.pre_upper[0]


def _widened(told: Curve, lower: Array, upper: Array) -> Ends:
    """[lower, upper] with room for what nodes' intervals may be off, and still in no gap."""
    room = WIDER * (1.0 + np.maximum(np.abs(lower), np.abs(upper)))
    low, high = lower - room, upper + room
    for start, end in told.gaps:
        low = np.where(lower > end, np.maximum(low, 0.5 * lower + 0.5 * end), low)
        high = np.where(upper < start, np.minimum(high, 0.5 * upper + 0.5 * start), high)
    return low, high


def _behind(kind: str, size: Array, ends: Ends | None = None) -> Array:
    """What a layer of pre-activations up to `size` may give, and make of an error or a coefficient of that size.

    ends: intervals of the pre-activations; those that are not finite, and touch a gap, are not known.
    """
    if kind in ("identity", "relu", "sigmoid", "tanh"):
        return size
    told = curve(kind)
    edges = [*told.bends, *(edge for gap in told.gaps for edge in gap if np.isfinite(edge))]
    beside = [np.nextafter(edge, side) for edge in edges for side in (-np.inf, np.inf)]  # a kink has two slopes
    low, high = -size, size
    if ends is not None:
        known = np.isfinite(ends[0]) & np.isfinite(ends[1]) & ~told.touches(*ends)
        low, high = (np.where(known, near, far) for near, far in zip(_widened(told, *ends), (low, high), strict=True))
    places = [high, low, *(np.clip(z, low, high) for z in (*beside, *told.turns))]
    steepest = np.full_like(size, JUMP_SLOPE if told.steps else 0.0)
    largest = np.full_like(size, max((abs(limit) for _, *limits in told.jumps for limit in limits), default=0.0))
    for z in places:
        known = told.claimed(z)
        steepest = np.maximum(steepest, np.where(known, np.abs(derivative(kind, z)), 0.0))
        largest = np.maximum(largest, np.where(known, np.abs(activate(kind, z)), 0.0))
    return np.maximum.reduce([size, steepest * size, largest + CURVE_VALUE * (1.0 + largest)])


def in_range(query: Query) -> bool:
    """Whether bounds of this query, or of any part of its input set, may be believed."""
    if largest_number(query) <= LARGEST:
        return True
    bent = any(curved(layer.kind) for layer in query.network.layers)
    return bent and largest_number(query, _intervals(query)) <= LARGEST


def suits_scip(query: Query, node: Node) -> bool:
    """Whether the numbers of a node are of sizes that SCIP can tell from 0 and from infinity."""
    ends = (node.lower, node.upper, node.pre_lower, node.pre_upper)
    if any((np.abs(a[np.isfinite(a)]) > SCIP_REACH).any() for a in ends):
        return False
    for layer in query.network.layers:
        parts = (*(w if isinstance(w, np.ndarray) else w.data for w in layer.weights), layer.bias)
        most = max(float(np.abs(a).max(initial=0.0)) for a in parts)
        if most > SCIP_MOST or 0.0 < most < SCIP_LEAST:
            return False
    return True


def outside_domains(query: Query, node: Node) -> str:
    """Where a neuron has no bounds because its interval touches what its function is not defined on, "" for nowhere."""
    for kind, part, layer in zip(query.kinds, query.slices, query.network.layers, strict=False):
        gaps = curve(kind).gaps if curved(kind) else ()
        found = np.flatnonzero(np.isneginf(node.pre_lower[part]) & np.isposinf(node.pre_upper[part]))
        if gaps and len(found):
            low, high = gaps[0]
            where = f"z <= {high:.3g}" if np.isinf(low) else f"{low:.3g} <= z <= {high:.3g}"
            neuron = f"neuron {int(found[0])} of {layer.name!r}"
            return f"the interval of {neuron} touches {where}, where nothing is known of {kind}"
    return ""
