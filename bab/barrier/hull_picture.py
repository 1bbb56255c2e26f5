"""The convex hulls of nonlinearities on their bounds: what a relaxation of a single layer can be at best.

After Salman, Yang, Zhang, Hsieh and Zhang (2019), Figure 2. Of a function f on [l, u] the hull of its graph lies
between its convex envelope and its concave one, here those of a dense grid of its points (exact at corners, and where f
is piecewise linear); where f jumps, both ends count. The envelopes of max(x, y) on a box: from below max itself, which
is convex; from above the greater one of the two functions that meet it at the four corners and are affine on both sides
of one of the box's diagonals, for the concave envelope of a convex function is decided at corners.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...instances.network import Array
from ..studies.frame import new_figure

__all__ = ["CURVES", "draw_hulls", "envelope", "max_ceiling"]

CURVES: dict[str, tuple[Callable[[Array], Array], float, float]] = {
    "ReLU": (lambda z: np.maximum(z, 0.0), -1.0, 1.5),
    "tanh": (np.tanh, -1.5, 3.0),
    "sigmoid": (lambda z: 1.0 / (1.0 + np.exp(-z)), -4.0, 3.0),
    "step": (lambda z: (z > 0.0).astype(np.float64), -1.0, 1.5),
}
JUMPS = {"step": ((0.0, 0.0), (0.0, 1.0))}  # points of the graph's closure where the function jumps
POINTS = 801  # of a curve
BOX = ((-1.0, 1.5), (-1.2, 1.0))  # of the maximum's arguments
GRID = 41


def envelope(points: Array, sign: float) -> Array:
    """[k, 2] the corners of the convex envelope (sign 1) or the concave one (sign -1) of points [N, 2], by their x.

    Andrew's monotone chain (1979).
    """
    order = np.lexsort((sign * points[:, 1], points[:, 0]))
    chain: list[Array] = []
    for p in points[order]:
        if chain and p[0] == chain[-1][0]:  # the one before is the lower one
            continue
        while len(chain) > 1 and sign * _turn(chain[-2], chain[-1], p) <= 0.0:
            chain.pop()
        chain.append(p)
    return np.array(chain)


def _turn(a: Array, b: Array, c: Array) -> float:
    """Positive where a, b, c turn to the left."""
    return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))


def max_ceiling(x: Array, y: Array, box: tuple[tuple[float, float], tuple[float, float]]) -> Array:
    """The concave envelope of max(x, y) on a box, at points of it; any equal shapes."""
    (lx, ux), (ly, uy) = box
    s, t = (x - lx) / (ux - lx), (y - ly) / (uy - ly)
    low, right, top, high = max(lx, ly), max(ux, ly), max(lx, uy), max(ux, uy)
    falling = low + s * (right - low) + t * (top - low), high + (1 - s) * (top - high) + (1 - t) * (right - high)
    rising = low + s * (right - low) + t * (high - right), low + t * (top - low) + s * (high - top)
    pairs = np.where(s + t <= 1.0, *falling), np.where(s >= t, *rising)
    return np.maximum(*pairs)


def draw_hulls() -> Any:
    """A figure of the curves with their hulls, and of the maximum's two envelopes."""
    figure, panels = new_figure(len(CURVES) + 1)
    figure.set_size_inches(14.0, 3.2)
    for axes, (name, (f, low, high)) in zip(panels, CURVES.items(), strict=False):
        z = np.linspace(low, high, POINTS)
        graph = np.concatenate([np.stack([z, f(z)], axis=1), np.reshape(JUMPS.get(name, ()), (-1, 2))])
        below, above = envelope(graph, 1.0), envelope(graph, -1.0)
        axes.fill(*np.concatenate([below, above[::-1]]).T, alpha=0.25)
        axes.plot(z, f(z), linewidth=1.8)
        axes.plot(*below.T, "C3--", linewidth=0.9)
        axes.plot(*above.T, "C3--", linewidth=0.9)
        axes.set(title=name, xlabel="z")
    panels[-1].remove()
    axes = figure.add_subplot(1, len(CURVES) + 1, len(CURVES) + 1, projection="3d")
    x, y = np.meshgrid(*(np.linspace(*ends, GRID) for ends in BOX))
    axes.plot_surface(x, y, np.maximum(x, y), alpha=0.7, rasterized=True)
    axes.plot_surface(x, y, max_ceiling(x, y, BOX), alpha=0.35, rasterized=True)
    axes.set(title="max(x, y)", xlabel="x", ylabel="y")
    axes.view_init(18.0, -60.0)
    return figure
