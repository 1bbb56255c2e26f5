"""LP-GREEDY, LP-LAST and LP-ALL of Salman et al. (NeurIPS 2019), section 5: how much of a bound is an exact LP.

    LP-GREEDY   hidden bounds and margins by the greedy dual: parallel lines, substituted back
    LP-LAST     the same hidden bounds, a linear program over all triangles (`programs.lp.TriangleLP`) for the margins
    LP-ALL      a linear program for either bound of every hidden neuron that is not stable yet, layer by layer, then
                the margins': the optimal layer-wise convex relaxation

A stable neuron's bounds change no program behind it, so LP-ALL does not ask for them. All bounds are the safe ones of
`programs/safe_lp.py`, and each step is at least as good as the one before it, up to the simplex' tolerance.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

import numpy as np

from ...instances.batch import Node
from ...instances.network import curved
from ...instances.query import Query
from ..linear.bounds import Bounds, LinearBoundOptions
from ..linear.linear_bounds import bound
from ..programs.lp import tighten

__all__ = ["LayerTime", "greedy_node", "lp_all_node"]

NO_GAIN = 1e-9  # of a neuron's width: what an LP is not solved for, within the simplex' tolerance


@dataclass(frozen=True)
class LayerTime:
    """What the LPs of one layer took."""

    layer: int  # from 1
    neurons: int  # open ones, two LPs each unless a point seen before shows that one wins nothing
    seconds: float  # of the processor


def greedy_node(query: Query, node: Node, slopes: str = "parallel") -> tuple[Node, Bounds]:
    """(the node with greedy bounds of all neurons, these bounds with the margins')."""
    found = bound(query, node.batch, LinearBoundOptions(slopes=slopes, kernel="plain"))
    return replace(node, pre_lower=found.pre_lower[0], pre_upper=found.pre_upper[0]), found


def lp_all_node(
    query: Query, node: Node, deadline: float = math.inf, worth: float = NO_GAIN
) -> tuple[Node, list[LayerTime]]:
    """The node with bounds of linear programs, crossed where they prove it empty, and the times of finished layers.

    node: with finite bounds, which are exact for layers that read a box alone: those get no LPs, nor do identities;
    deadline: time.monotonic() at which the rest keeps its bounds; worth: share of a neuron's width that an LP must be
    able to win. Each layer starts with linear bounds from what the layers before it have won.
    """
    times: list[LayerTime] = []
    for k, (layer, part) in enumerate(zip(query.network.layers[:-1], query.slices, strict=True), start=1):
        if layer.kind == "identity" or (layer.sources == (0,) and not len(node.cuts)):
            continue
        if time.monotonic() >= deadline or not (node.pre_lower <= node.pre_upper).all():
            break
        found = bound(query, node.batch, LinearBoundOptions(first_layer=k, kernel="plain", deadline=deadline))
        if not found.infeasible[0]:  # where it is, these bounds say so no more, and an LP will
            node = replace(node, pre_lower=found.pre_lower[0], pre_upper=found.pre_upper[0])
        low, high = node.pre_lower[part], node.pre_upper[part]
        chosen = np.flatnonzero(low < high if curved(layer.kind) else (low < 0.0) & (high > 0.0)) + part.start
        began = time.process_time()
        lower, upper = tighten(query, node, chosen, deadline, worth)
        node = replace(node, pre_lower=lower, pre_upper=upper)
        if time.monotonic() >= deadline:
            break
        times.append(LayerTime(k, len(chosen), time.process_time() - began))
    return node, times
