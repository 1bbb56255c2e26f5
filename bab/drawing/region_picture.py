"""The activation regions of a network with two inputs, and the ball that grows in them, as a picture of lines.

A window is cut by one neuron after another, layer by layer: on each cell the neuron is affine, since the cells lie
within pieces of the layers before, so its values at the corners tell where its line crosses the edges. Classes cut the
cells once more. The ball grows as the walk over regions goes on: a circle for what is proved after so many regions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...encodings.certificates.affine_pieces import trace
from ...encodings.certificates.region_walk import region_walk
from ...encodings.certificates.simplex import simplex_certificate
from ...encodings.certificates.walked_regions import key_of, named
from ...instances.families.random_networks import random_network
from ...instances.network import Array, Network
from ..pages.figures import new_figure

__all__ = ["cells", "class_parts", "draw_regions"]

SIZES, SEED = (2, 12, 8, 3), 10  # of the network that is drawn
CENTRE = (0.3, -0.2)
WINDOW = 1.5  # least distortions from the centre to the sides
STAGES = (3, 11)  # regions after which the walk's ball is drawn
COLOURS = ("#fde9c9", "#cfe3f5", "#d8efd3")  # of classes
SECONDS = 60.0


def cells(network: Network, corners: Array) -> list[Array]:
    """Convex polygons [k, 2], in order around them: the parts of a convex window [m, 2] with one pattern each."""
    parts = [corners]
    for k, layer in enumerate(network.layers):
        if layer.kind == "relu":
            for i in range(layer.size):
                parts = [half for part in parts for half in _cut(part, _neuron(network, k, i))]
    return parts


def class_parts(network: Network, cell: Array) -> list[tuple[int, Array]]:
    """(class, polygon) for the classes that are answered in a cell."""
    found = []
    for label in range(network.output_size):
        part = cell
        for other in range(network.output_size):
            if other != label and len(part):
                part = _side(part, _difference(network, part, label, other))
        if len(part):
            found.append((label, part))
    return found


def draw_regions() -> tuple[Any, str]:
    """The figure, and a sentence about it."""
    network, x = random_network(SIZES, SEED), np.array(CENTRE)
    label = np.array([int(network.evaluate(x[None])[0].argmax())])
    whole = region_walk(network, x[None], label, seconds=SECONDS)
    radii = {"simplex certificate": float(simplex_certificate(network, x[None], label)[0])}
    for count in STAGES:
        radii[f"after {count + 1} regions"] = float(
            region_walk(network, x[None], label, seconds=SECONDS, regions=count).lower[0]
        )
    radii[f"least distortion, {whole.regions[0]} regions"] = float(whole.lower[0])
    half = WINDOW * float(whole.lower[0])
    figure, (axes,) = new_figure(1)
    figure.set_size_inches(7.0, 7.0)
    _fill(axes, network, x + half * np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]), whole.graphs[0])
    _circles(axes, x, radii)
    axes.plot(*x, "k.", label="input")
    axes.plot(*whole.points[0], "r*", markersize=10, label="nearest input of another class")
    axes.set(xlim=(x[0] - half, x[0] + half), ylim=(x[1] - half, x[1] + half), aspect="equal")
    axes.set(xlabel="input 0", ylabel="input 1")
    axes.legend(loc="upper right", fontsize="small")
    said = ", ".join(f"{name} {radius:.4g}" for name, radius in radii.items())
    return figure, f"A random network {'-'.join(map(str, SIZES))} around ({x[0]:g}, {x[1]:g}): {said}"


def _fill(axes: Any, network: Network, window: Array, graph: Any) -> None:
    """Cells in the colours of their classes; those that the walk visited have darker edges."""
    visited = {name for _, name in graph.nodes(data="phases")}
    for cell in cells(network, window):
        for label, part in class_parts(network, cell):
            axes.fill(*part.T, color=COLOURS[label], linewidth=0)
        seen = key_of(network, named(network, trace(network, cell.mean(axis=0)[None]).phases)) in visited
        edge, width, order = ("#1f2937", 1.4, 3) if seen else ("#9ca3af", 0.5, 2)
        axes.fill(*cell.T, facecolor="none", edgecolor=edge, linewidth=width, zorder=order)


def _circles(axes: Any, x: Array, radii: dict[str, float]) -> None:
    from matplotlib.patches import Circle

    shades = ("#2563eb", "#7c3aed", "#c026d3", "#dc2626")
    for (name, radius), shade in zip(radii.items(), shades, strict=True):
        axes.add_patch(Circle(tuple(x), radius, fill=False, color=shade, linewidth=1.8, zorder=4, label=name))


def _neuron(network: Network, k: int, i: int) -> Callable[[Array], Array]:
    return lambda points: np.asarray(trace(network, points).pre[k][:, i])


def _difference(network: Network, points: Array, label: int, other: int) -> Array:
    y = network.evaluate(points)
    return np.asarray(y[:, label] - y[:, other])


def _cut(part: Array, values: Callable[[Array], Array]) -> list[Array]:
    """The one or two sides of a polygon, by the sign of an affine function."""
    z = values(part)
    return [side for side in (_side(part, z), _side(part, -z)) if len(side)]


def _side(part: Array, z: Array) -> Array:
    """What of a polygon has z >= 0, z [k] being the values at its corners; no corners where that has no area."""
    if not (z > 0.0).any():
        return np.zeros((0, 2))
    following, after = np.roll(part, -1, axis=0), np.roll(z, -1)
    kept = []
    for a, b, u, v in zip(part, following, z, after, strict=True):
        if u >= 0.0:
            kept.append(a)
        if u * v < 0.0:
            kept.append(a + (b - a) * (u / (u - v)))
    return np.array(kept)
