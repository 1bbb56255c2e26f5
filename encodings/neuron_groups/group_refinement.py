"""Layer-wise multi-neuron relaxation: hidden bounds, octahedral bounds and rows of each layer by LPs over those before.

Layer by layer, with all rows found so far in the LP: bounds of the unstable neurons, then how far each group reaches in
every octahedral direction, then the rows of its hull, as kPoly does (Singh, Ganvir, Pueschel and Vechev 2019). A group
may hold inputs that go past the layer, as pre-activations that no ReLU changes: for max(a, b) = b + ReLU(a - b) the
group {a - b, b} makes the relaxation exact, and so it is for maxima nested to any depth (Mao, Zhang and Vechev 2024),
which no relaxation of single neurons is. The price is an LP for every direction of every group: a tool for small
networks and for study. Where it is asked for, hulls of whole maxima (`windows`) join them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from ...instances.batch import Node
from ...instances.network import Array
from ...instances.query import Query
from ...instances.rounding import UP, gamma
from ...instances.sparse import sp
from ..programs.lp import tighten_layer
from ..programs.scip import failed
from ..programs.triangles import Triangles
from ..slopes.branched_bounds import Branching, branch_layer
from ..slopes.group_rows import GroupRows
from ..slopes.optimised_bounds import OptimiseOptions
from .group_lp import (
    EXACT,
    add_group_rows,
    directions_for,
    member_columns,
    rows_of_bounds,
    rows_of_groups,
)
from .windows import window_bounds, window_rows

__all__ = ["refine_by_groups"]

Members = Callable[[int, Node], Iterable[Array]]  # of a layer: arrays [G, K] of flat neurons and neurons + input


def refine_by_groups(
    query: Query, node: Node, members: Members, deadline: float = np.inf, exact: int = EXACT,
    options: OptimiseOptions | None = None, windows: bool = False, leaves: int = 0,
) -> tuple[Node, GroupRows]:  # fmt: skip
    """The node with tighter pre-activation bounds, and the rows of all groups.

    members(k, node): for layer k, given the bounds found so far; flat neurons of that layer, and query.neurons + i for
    input i. deadline: time.monotonic() from which on the rest keeps its bounds and gets no rows. options: octahedral
    bounds by back-substitution with such an ascent instead of LPs; for groups without inputs. windows: with the bounds
    and rows of maxima over their entries' boxes. leaves: of the trees of LPs that refine the second ReLU layer's bounds
    (`branched_bounds`), as kPoly does by a MILP; 0: LPs alone, as for every other layer.
    """
    node = replace(node, pre_lower=node.pre_lower.copy(), pre_upper=node.pre_upper.copy())
    triangles, parts = Triangles(query, node), [GroupRows.none()]
    for k, (kind, part) in enumerate(zip(query.kinds, query.slices, strict=True), start=1):
        if windows:
            node = window_bounds(query, node)
        triangles.set_node(node)
        unstable = np.flatnonzero((node.pre_lower[part] < 0.0) & (node.pre_upper[part] > 0.0))
        if kind == "relu" and k > 1 and len(unstable) and time.monotonic() < deadline:
            tighten_layer(triangles, k, unstable, node, deadline)
            branch_layer(query, node.batch, k, Branching(leaves), deadline)
        if (node.pre_lower > node.pre_upper).any():
            break
        chosen = [_alive(query, node, groups) for groups in members(k, node)] if kind == "relu" else []
        chosen = [groups for groups in chosen if len(groups)]
        if k > 1 and chosen and time.monotonic() < deadline:
            # how far a stable member reaches is a direction of its group, too; some have become stable just now
            unstable = unstable[(node.pre_lower[part][unstable] < 0.0) & (node.pre_upper[part][unstable] > 0.0)]
            inside = np.unique(np.concatenate([groups.ravel() for groups in chosen])) - part.start
            stable = np.setdiff1d(inside[inside < part.stop - part.start], unstable)
            tighten_layer(triangles, k, stable, node, deadline, stable_too=True)
        mine = []
        for groups in chosen:
            if time.monotonic() < deadline:
                quick = options is not None and not (groups >= query.neurons).any()
                mine.append(
                    _quick_rows(query, node, k, groups, options, exact) if quick
                    else _rows(query, node, triangles, k, groups, deadline, exact)
                )  # fmt: skip
        triangles.add_neurons(k, np.ones(part.stop - part.start, dtype=bool), node)
        triangles.set_node(node)
        if windows:
            mine.append(window_rows(query, node, (k,)))
        columns = member_columns(query, triangles)
        for rows in mine:
            add_group_rows(triangles, node, columns, rows)
        parts += mine
    return node, GroupRows.concatenate(parts)


def _alive(query: Query, node: Node, groups: Array) -> Array:
    """The groups [G, K] without a neuron that is inactive: its output is 0, not its z, which rows of hulls rest on."""
    known = np.append(node.pre_upper, np.full(query.network.input_size, np.inf))
    return groups[(known[groups] > 0.0).all(axis=1)]


def _quick_rows(
    query: Query, node: Node, k: int, groups: Array, options: OptimiseOptions | None, exact: int
) -> GroupRows:
    """Rows of groups [G, K] of layer k, from back-substitution."""
    found = rows_of_groups(query, node, k, groups - query.slices[k - 1].start, options, exact)
    return GroupRows(groups[found.group], found.z, found.y, found.constants)


def _rows(
    query: Query, node: Node, triangles: Triangles, k: int, groups: Array, deadline: float, exact: int
) -> GroupRows:
    """Rows of groups [G, K] of layer k, from LPs over what the LP has so far."""
    directions = directions_for(groups.shape[1])
    shift = np.where(groups >= query.neurons, node.lower[np.maximum(groups - query.neurons, 0)], 0.0)
    bounds = np.stack([
        _reach(query, node, triangles, k, group, directions, offset, deadline)
        for group, offset in zip(groups, shift, strict=True)
    ])  # fmt: skip
    found = rows_of_bounds(bounds, directions, exact)
    return _unshifted(query, GroupRows(groups[found.group], found.z, found.y, found.constants), shift[found.group])


def _reach(
    query: Query, node: Node, triangles: Triangles, k: int, group: Array, directions: Array, shift: Array,
    deadline: float,
) -> Array:  # fmt: skip
    """[M] upper bounds of directions @ (z - shift), an input's shift its lower end: so it is a stable neuron."""
    part, lp, layer = query.slices[k - 1], triangles.lp, query.network.layers[k - 1]
    inputs = group >= query.neurons
    rows = np.where(inputs, 0, group - part.start)
    z = sp.csr_array(triangles.affine(k, rows)).toarray()
    z[inputs] = 0.0
    z[inputs, group[inputs] - query.neurons] = 1.0
    bias = np.where(inputs, -shift, layer.bias[rows])
    low = np.where(inputs, 0.0, node.pre_lower[np.where(inputs, part.start, group)])
    high = np.where(inputs, node.upper[np.where(inputs, group - query.neurons, 0)] - shift,
                    node.pre_upper[np.where(inputs, part.start, group)])  # fmt: skip
    high = np.where(inputs, np.nextafter(high, np.inf), high)
    size = len(group)
    upper = np.empty(len(directions))
    upper[0 : 2 * size : 2], upper[1 : 2 * size : 2] = high, -low
    scale = np.abs(z).sum(axis=0) @ np.maximum(np.abs(lp.lower), np.abs(lp.upper)) + np.abs(bias).sum()
    for m in range(2 * size, len(directions)):
        a = directions[m]
        box = float(np.maximum(a, 0.0) @ high + np.minimum(a, 0.0) @ low)
        upper[m] = box + gamma(size) * float(np.abs(a) @ np.maximum(np.abs(low), np.abs(high)))
        left = deadline - time.monotonic()
        if left <= 0.0:
            continue
        lp.set_objective(-(a @ z))
        if failed(lp.solve(left, dual=False)):
            continue
        # sums of a few rows round once more each
        least = lp.lower_bound(lp.multipliers(), -(a @ z), float(-(a @ bias)))
        error = size * layer.bias_error + gamma(size) * float(scale)
        upper[m] = min(upper[m], float(np.nextafter(error * UP - least, np.inf)))
    return upper


def _unshifted(query: Query, rows: GroupRows, shift: Array) -> GroupRows:
    """Rows over inputs as they are, with z alone: (A + B)(x - l) is what a row of a stable neuron says."""
    inputs = rows.neurons >= query.neurons
    total = np.where(inputs, rows.z + rows.y, 0.0)
    z, y = np.where(inputs, total, rows.z), np.where(inputs, 0.0, rows.y)
    moved = (total * shift).sum(axis=1)
    size = rows.neurons.shape[1]
    # A + B, the products and the sum are rounded: x and l are at most `reach` apart from 0
    reach = np.maximum(np.abs(shift), 0.0) + np.where(inputs, _largest(query), 0.0)
    slack = gamma(2 * size) * ((np.abs(total) * reach).sum(axis=1) + np.abs(rows.constants))
    return GroupRows(rows.neurons, z, y, np.nextafter(rows.constants - moved + slack, np.inf))


def _largest(query: Query) -> float:
    """Largest size of an input."""
    return float(np.maximum(np.abs(query.region.lower), np.abs(query.region.upper)).max(initial=0.0))
