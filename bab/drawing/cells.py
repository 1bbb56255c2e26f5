"""The cells of a split tree in a plane through the input set.

The plane is origin + s * first + t * second over the unit square; two inputs span it, the others are fixed. A split by
an axis, by a hyperplane or by a ReLU of the first layer is a line a s + b t + c = 0 there, so the cells are convex
polygons: every level of the tree is cut at once, and both children take the same crossing points, so that no area
gets lost. A phase of a deeper ReLU is no half-space; below such a split the cells are found by sampling instead: a
point goes down the tree by the phases that the network itself has there.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ...heuristics.splits.hyperplanes import first_layer_row, first_layers
from ...instances.network import Array
from ...instances.query import Query
from ..tree.evidence import State
from ..tree.trace import SplitTree

__all__ = ["Plane", "areas", "choose_inputs", "inside", "locate", "plane_through", "polygons", "sampled"]

SMALLEST = 1e-14  # share of the plane below which a cell is only rounding
MOST_TRIED = 5  # inputs whose pairs are tried as the plane's
CHUNK = 2e6  # pre-activations held at a time


@dataclass(frozen=True, eq=False)
class Plane:
    """Where the partition is drawn; a second input of -1 adds a direction in which nothing changes."""

    inputs: tuple[int, int]
    origin: Array  # [n]
    directions: Array  # [2, n]

    def points(self, coordinates: Array) -> Array:
        """Inputs [P, n] of plane coordinates (s, t) [P, 2]."""
        return self.origin + coordinates @ self.directions

    def lines(self, rows: Array) -> Array:
        """(a, b, c) [R, 3] of hyperplanes g'x + h = 0 [R, n + 1]."""
        return np.column_stack([rows[:, :-1] @ self.directions.T, rows[:, :-1] @ self.origin + rows[:, -1]])


def choose_inputs(query: Query, tree: SplitTree, centre: Array) -> tuple[int, int]:
    """The two inputs whose plane through `centre` shows most cells, in order; (i, -1) where the network has only one.

    Looked at are the MOST_TRIED inputs that the splits move most: an axis split counts for its input, a half-space for
    every input by its share |g_i| width_i. Ties, as with phases of deep ReLUs alone, go by the margins' slope there.
    """
    n = query.network.input_size
    if n == 1:
        return 0, -1
    width = query.region.upper - query.region.lower
    _, pre = query.network.values(centre[None])
    slope = np.abs(query.network.pullback(pre, np.ones((1, query.rows)))[0]) * width
    _, which, rows = _hyperplanes(query, tree)
    normals = np.abs(rows[:, :-1]) * width
    total = normals.sum(axis=1, keepdims=True)
    moved = np.bincount(tree.axis[tree.axis >= 0], minlength=n).astype(np.float64)
    moved += np.bincount(which, minlength=len(rows)) @ (normals / np.where(total > 0.0, total, 1.0))
    best = np.lexsort((slope, moved, width > 0.0))[::-1]
    tried = best[: max(2, min(MOST_TRIED, int((width > 0.0).sum())))].tolist()
    pairs = [(min(pair), max(pair)) for pair in combinations(tried, 2)]
    return max(pairs, key=lambda pair: len(polygons(query, tree, plane_through(query, centre, pair))[0]))


def plane_through(query: Query, point: Array, inputs: tuple[int, int]) -> Plane:
    """The plane that two inputs span over their whole intervals, the others fixed as in `point` [n]."""
    origin, directions = np.array(point, dtype=np.float64), np.zeros((2, len(point)))
    for direction, i in zip(directions, inputs, strict=True):
        if i >= 0:
            origin[i] = query.region.lower[i]
            direction[i] = query.region.upper[i] - query.region.lower[i]
    return Plane(inputs, origin, directions)


def _hyperplanes(query: Query, tree: SplitTree) -> tuple[Array, Array, Array]:
    """Nodes [R] split by a hyperplane, a first-layer ReLU's included, which [R], and all of those [H, inputs + 1]."""
    n = query.network.input_size
    by_row, by_neuron = np.flatnonzero(tree.row >= 0), np.flatnonzero(tree.neuron >= 0)
    by_neuron = by_neuron[first_layers(query)[tree.neuron[by_neuron]]]
    used, which = np.unique(tree.neuron[by_neuron], return_inverse=True)
    rows = np.array([first_layer_row(query, int(i))[0] for i in used]).reshape(len(used), n + 1)
    index = np.concatenate([tree.row[by_row], len(tree.rows) + which])
    return np.concatenate([by_row, by_neuron]), index, np.concatenate([tree.rows.reshape(-1, n + 1), rows])


def polygons(query: Query, tree: SplitTree, plane: Plane) -> tuple[Array, Array]:
    """Nodes [M] that meet the plane and their convex polygons [M, V, 2] in plane coordinates.

    The nodes are leaves and, where a phase of a deep ReLU was split, the highest node above such a split. Lists of
    corners are filled up with copies of their last one. A plane that lies in a hyperplane counts to the upper side.
    """
    lines = np.full((len(tree), 3), np.nan)
    axis = np.flatnonzero(tree.axis >= 0)
    along = plane.directions[:, tree.axis[axis]]
    lines[axis] = np.column_stack([*along, plane.origin[tree.axis[axis]] - tree.at[axis]])
    nodes, which, rows = _hyperplanes(query, tree)
    lines[nodes] = plane.lines(rows)[which]
    whole = np.isnan(lines[:, 0])  # leaves, and nodes whose split is no line
    corners = np.array([[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]])
    for line in plane.lines(np.column_stack([query.region.rows, query.region.offsets])):
        (_, corners), _ = _cut(corners, np.tile(line, (len(corners), 1)))
    level, found = np.zeros(len(corners), dtype=np.int64), []
    while len(level):
        done = whole[level]
        found.append((level[done], corners[done]))
        level, corners = level[~done], corners[~done]
        (above, upper), (below, lower) = _cut(corners, lines[level])
        level = np.concatenate([tree.children[level[above], 0], tree.children[level[below], 1]])
        corners = _stack([upper, lower])
    if not found:
        return level, corners
    return np.concatenate([numbers for numbers, _ in found]), _stack([part for _, part in found])


def _cut(corners: Array, lines: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Polygons [N, V, 2] on either side of one line each [N, 3]: (which are not empty, what is left of those)."""
    if not len(corners):
        nothing = np.zeros(0, dtype=np.int64), corners
        return nothing, nothing
    distance = np.einsum("nvd,nd->nv", corners, lines[:, :2]) + lines[:, 2:]
    following = np.roll(distance, -1, axis=1)
    crosses = distance * following < 0.0
    share = np.where(crosses, distance, 0.0) / np.where(crosses, distance - following, 1.0)
    crossing = corners + share[:, :, None] * (np.roll(corners, -1, axis=1) - corners)
    candidates = np.stack([corners, crossing], axis=2).reshape(len(corners), -1, 2)

    def side(keep: Array) -> tuple[Array, Array]:
        kept = np.stack([keep, crosses], axis=2).reshape(len(corners), -1)
        count = kept.sum(axis=1)
        order = np.argsort(~kept, axis=1, kind="stable")
        index = np.minimum(np.arange(max(1, count.max(initial=1))), np.maximum(count, 1)[:, None] - 1)
        part = np.take_along_axis(candidates, np.take_along_axis(order, index, axis=1)[:, :, None], axis=1)
        alive = np.flatnonzero((count > 0) & (areas(part) > SMALLEST))
        return alive, part[alive]

    inside = (distance < 0.0).any(axis=1, keepdims=True)
    return side(distance >= 0.0), side((distance <= 0.0) & inside)


def _stack(parts: list[Array]) -> Array:
    most = max(part.shape[1] for part in parts)
    return np.concatenate([np.pad(p, ((0, 0), (0, most - p.shape[1]), (0, 0)), mode="edge") for p in parts])


def areas(corners: Array) -> Array:
    """[M] areas of polygons [M, V, 2]."""
    x, y = corners[:, :, 0] - corners[:, :1, 0], corners[:, :, 1] - corners[:, :1, 1]
    return 0.5 * np.abs((x * np.roll(y, -1, axis=1) - y * np.roll(x, -1, axis=1)).sum(axis=1))


def locate(query: Query, tree: SplitTree, points: Array) -> Array:
    """[P] the leaf that each point [P, n] lies in, by the real network's phases; upper children first on ties.

    Where a node's disjuncts are refuted apart, both children hold all of its points: they go to one with open leaves,
    else to the one with more leaves.
    """
    step = max(1, int(CHUNK / max(1, query.neurons, points.shape[1])))
    parts = [_locate(query, tree, points[i : i + step]) for i in range(0, len(points), step)]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def _locate(query: Query, tree: SplitTree, points: Array) -> Array:
    at, moving = np.zeros(len(points), dtype=np.int64), np.arange(len(points))
    pre, upper = np.zeros((len(points), 0)), _heavier(tree)
    if (tree.neuron >= 0).any():
        pre = np.concatenate(query.network.values(points)[1][:-1], axis=1)
    while len(moving := moving[~tree.leaf[at[moving]]]):
        node = at[moving]
        value = points[moving, tree.axis[node]] - tree.at[node]
        phase, cut = tree.neuron[node] >= 0, tree.row[node] >= 0
        value[phase] = pre[moving[phase], tree.neuron[node[phase]]]
        rows = tree.rows[tree.row[node[cut]]] if cut.any() else np.zeros((0, points.shape[1] + 1))
        value[cut] = np.einsum("pn,pn->p", points[moving[cut]], rows[:, :-1]) + rows[:, -1]
        duty = tree.disjunct[node] >= 0
        value[duty] = np.where(upper[node[duty]], 1.0, -1.0)
        at[moving] = tree.children[node, np.where(value >= 0.0, 0, 1)]
    return at


def _heavier(tree: SplitTree) -> Array:
    """[N] bool: the upper child of a node is the one that stands for both."""
    waiting = (tree.leaf & np.isin(tree.ended, (State.OPEN, State.WITNESS))).astype(np.int64)
    for level in tree.levels[::-1]:
        inner = level[~tree.leaf[level]]
        waiting[inner] = waiting[tree.children[inner]].max(axis=1)
    first, second = tree.children.T  # -1 for a leaf, which is asked about no children
    weight = tree.leaves + len(tree) * waiting
    return np.asarray(weight[first] >= weight[second])


def inside(query: Query, points: Array) -> Array:
    """[P] bool: which points [P, inputs] of the box satisfy the input set's half-spaces and lie in its norm ball."""
    region = query.region
    held = np.asarray((points @ region.rows.T + region.offsets >= 0.0).all(axis=1))
    return held if region.ball is None else held & (region.ball.distances(points) <= region.ball.radius)


def sampled(query: Query, tree: SplitTree, plane: Plane, side: int) -> Array:
    """[side, side] the leaf at the middle of each small square of the plane (first index: t); -1 outside the set."""
    middles = (np.arange(side) + 0.5) / side
    s, t = np.meshgrid(middles, middles)
    points = plane.points(np.stack([s.ravel(), t.ravel()], axis=1))
    leaves = locate(query, tree, points)
    leaves[~inside(query, points)] = -1
    return leaves.reshape(side, side)

