"""The split tree as a drawing: the width of a subtree is its share of the leaves, the height is depth.

Small trees are drawn as nodes and edges, with the splits in words; larger ones as an icicle: a bar a node under the
bar of its parent, and leaves down to the bottom, so that their colours are seen. The largest become an image of that
icicle in which neighbours narrower than a pixel mix their colours.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...instances.network import Array
from ..tree.trace import SplitTree

__all__ = ["SPLIT_COLOURS", "draw_tree", "spans", "split_kinds"]

SPLIT_COLOURS = {"input halved": "#dde3ea", "hyperplane": "#b9c4d0", "ReLU phase": "#8f9dac", "disjuncts": "#c9bfd6"}
FEW, WORDS = 48, 12  # leaves up to which the tree has nodes and edges; inner nodes up to which splits are in words
MANY = 300  # leaves from which the icicle is an image
COLUMNS, SAMPLES = 1200, 8  # of that image, and leaves looked at per column
WIDE = 0.008  # share of the leaves from which a bar of that image has a border


def split_kinds(tree: SplitTree) -> Array:
    """[N] index into SPLIT_COLOURS of every node's split; -1 for a leaf."""
    return np.select([tree.leaf, tree.axis >= 0, tree.row >= 0, tree.disjunct >= 0], [-1, 0, 1, 3], 2)


def spans(tree: SplitTree) -> tuple[Array, Array]:
    """Where each node begins and how many leaves are below it, both [N], counted in leaves from the left."""
    count = tree.leaves
    start = np.zeros(len(tree), dtype=np.int64)
    for level in tree.levels:
        inner = level[~tree.leaf[level]]
        upper, lower = tree.children[inner].T
        start[lower] = start[inner]  # the side below to the left, as on an axis
        start[upper] = start[inner] + count[lower]
    return start, count


def draw_tree(ax: Any, tree: SplitTree, colours: Array, names: list[str]) -> None:
    """Draw into matplotlib axes. colours: [N, 3] of the nodes; names: of the inputs, for splits in words."""
    start, count = spans(tree)
    leaves, deepest = int(count[0]), len(tree.levels) - 1
    ax.set_xlim(0, leaves)
    if leaves <= FEW:
        _draw_graph(ax, tree, colours, names, start + 0.5 * count)
        ax.set_ylim(deepest + 0.6, -0.6)
    elif leaves <= MANY:
        _draw_bars(ax, tree, colours, start, count)
        ax.set_ylim(deepest + 1, 0)
    else:
        image = _image(tree, colours, start, count)
        ax.imshow(image, extent=(0, leaves, deepest + 1, 0), aspect="auto", interpolation="nearest")
    ax.set_xticks([])
    ax.set_xlabel(f"{leaves:,} {'leaf' if leaves == 1 else 'leaves'}")
    ax.set_ylabel("depth")
    ax.set_yticks(range(0, deepest + 1, 1 + deepest // 12))


def _draw_graph(ax: Any, tree: SplitTree, colours: Array, names: list[str], x: Array) -> None:
    from matplotlib.collections import LineCollection

    child = np.arange(1, len(tree))
    ends = [np.column_stack([x[k], tree.depth[k]]) for k in (tree.parent[child], child)]
    ax.add_collection(LineCollection(list(np.stack(ends, axis=1)), colors="#9aa5b1", linewidths=1.0, zorder=1))
    size = float(np.clip(4000.0 / len(tree), 40.0, 260.0))
    ax.scatter(x, tree.depth, s=size, c=colours, edgecolors="#4a5560", linewidths=0.6, zorder=2)
    inner = np.flatnonzero(~tree.leaf)
    for node in inner if len(inner) <= WORDS else ():
        ax.annotate(
            _words(tree, int(node), names), (x[node], tree.depth[node]), xytext=(0, 0.5 * size**0.5 + 3),
            textcoords="offset points", ha="center", va="bottom", fontsize=8, color="#2f3740", zorder=3,
            bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
        )  # fmt: skip


def _words(tree: SplitTree, node: int, names: list[str]) -> str:
    if tree.axis[node] >= 0:
        return f"{names[tree.axis[node]]} at {tree.at[node]:.3g}"
    if tree.disjunct[node] >= 0:
        return f"disjuncts to {tree.disjunct[node]}"
    return f"ReLU {tree.neuron[node]}" if tree.neuron[node] >= 0 else "hyperplane"


def _draw_bars(ax: Any, tree: SplitTree, colours: Array, start: Array, count: Array) -> None:
    from matplotlib.collections import PolyCollection

    x = np.stack([start, start + count, start + count, start], axis=1)
    top = tree.depth
    bottom = np.where(tree.leaf, len(tree.levels), top + 1)
    y = np.stack([top, top, bottom, bottom], axis=1)
    width = float(np.clip(100.0 / len(tree), 0.2, 0.8))
    bars = PolyCollection(list(np.stack([x, y], axis=2)), facecolors=colours, edgecolors="white", linewidths=width)
    ax.add_collection(bars)


def _image(tree: SplitTree, colours: Array, start: Array, count: Array) -> Array:
    """[depths, COLUMNS, 3]: every column's leaf and all above it, averaged over SAMPLES leaves a column."""
    leaves = np.flatnonzero(tree.leaf)
    leaves = leaves[np.argsort(start[leaves], kind="stable")]
    wide = COLUMNS * SAMPLES
    node, column = leaves[((np.arange(wide) + 0.5) / wide * len(leaves)).astype(np.int64)], np.arange(wide)
    image = np.broadcast_to(colours[node], (len(tree.levels), wide, 3)).copy()
    while len(column):
        image[tree.depth[node], column] = colours[node]
        column, node = column[tree.parent[node] >= 0], tree.parent[node][tree.parent[node] >= 0]
    image = image.reshape(len(image), COLUMNS, SAMPLES, 3).mean(axis=2)
    bordered = np.flatnonzero((count >= WIDE * len(leaves)) & (start > 0))
    image[tree.depth[bordered], (start[bordered] / len(leaves) * COLUMNS).astype(np.int64)] = 1.0
    return image
