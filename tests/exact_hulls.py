"""Octahedral groups for tests, and their ReLU graphs in rational arithmetic, by trying all bases."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import combinations

import numpy as np
from scipy.optimize import linprog

from hypersplit.encodings.neuron_groups.hull_rows import HullRows
from hypersplit.encodings.neuron_groups.octahedron import octahedral_directions

CLEARLY = 1e-6  # of the bounds' size: a float computation is trusted to tell what is this far outside


def zonotopes(rng: np.random.Generator, groups: int, k: int, inputs: int = 6) -> np.ndarray:
    """[groups, 3^k - 1] exact bounds of random affine functions of `inputs` variables in [-1, 1]."""
    directions = octahedral_directions(k)
    weights, middle = rng.normal(size=(groups, k, inputs)), 0.5 * rng.normal(size=(groups, k))
    return np.abs(np.einsum("mk,gkn->gmn", directions, weights)).sum(axis=2) + middle @ directions.T


def of_points(points: np.ndarray) -> np.ndarray:
    """[3^k - 1] bounds of the smallest octahedral polytope around points [N, k]."""
    return (points @ octahedral_directions(points.shape[1]).T).max(axis=0)


def awkward(rng: np.random.Generator, k: int) -> dict[str, np.ndarray]:
    """Bounds [3^k - 1] of degenerate groups: ties, flat and single-point polytopes, zeros, unlike scales."""
    whole = rng.integers(-3, 4, (k + 3, k)).astype(float)
    line = np.outer(rng.integers(-2, 3, 4), rng.integers(-2, 3, k)).astype(float)
    tilted = np.outer(rng.normal(size=4), rng.normal(size=k))
    box, directions = rng.integers(1, 3, k).astype(float), octahedral_directions(k)
    loose = np.abs(directions) @ box
    cases = {
        "integers": of_points(whole),
        "one neuron active": of_points(np.column_stack([np.abs(whole[:, :1]), whole[:, 1:]])),
        "one neuron inactive": of_points(np.column_stack([whole[:, 1:], -np.abs(whole[:, :1])])),
        "one neuron fixed": of_points(np.column_stack([0.3 + 0.0 * whole[:, :1], whole[:, 1:]])),
        "all active, loose rows": of_points(1.0 + np.abs(whole)) + (np.abs(directions).sum(axis=1) > 1.0),
        "line": of_points(line),
        "tilted line": of_points(tilted),
        "point": of_points(rng.integers(-9, 9, (1, k)) / 4.0),
        "origin": np.zeros(3**k - 1),
        "box": loose,
        "diamond": np.where(np.abs(directions).sum(axis=1) == k, box.max(), loose),
        "unlike": of_points(rng.normal(size=(k + 3, k)) * 10.0 ** rng.integers(-6, 7, k)),
        "small": 1e-12 * of_points(rng.normal(size=(k + 3, k))),
        "large": 1e12 * of_points(rng.normal(size=(k + 3, k))),
        "nearly flat": of_points(np.outer(rng.normal(size=4), np.ones(k)) + 1e-9 * rng.normal(size=(4, k))),
    }
    return cases


def graph_vertices(bounds: np.ndarray, k: int) -> tuple[np.ndarray, int]:
    """Exact vertices of all pieces of {z : directions @ z <= bounds}: the feasible points where k independent planes
    meet, among the rows' and the neurons' own z_i = 0.

    Returns (numerators [V, k] Python integers, their common denominator).
    """
    directions = octahedral_directions(k)
    planes = np.vstack([directions, np.eye(k)])
    sides = np.concatenate([bounds, np.zeros(k)])
    bases = np.array(list(combinations(range(len(planes)), k)))
    determinants = np.linalg.det(planes[bases]).round()  # of small integers
    bases, determinants = bases[determinants != 0.0], determinants[determinants != 0.0]
    points = np.linalg.solve(planes[bases], sides[bases][:, :, None])[:, :, 0]
    near = (points @ directions.T - bounds <= CLEARLY * np.abs(bounds).max()).all(axis=1)
    bases, determinants = bases[near], determinants[near]
    adjoints = (np.linalg.inv(planes[bases]) * determinants[:, None, None]).round()
    common = math.lcm(*determinants.astype(int).tolist())
    exact, scale = integers(sides)
    numerators = (integers(adjoints)[0] * exact[bases][:, None, :]).sum(axis=2)
    numerators = numerators * integers(common / determinants)[0][:, None]
    inside = (numerators @ integers(directions)[0].T <= common * exact[: len(bounds)]).all(axis=1)
    return numerators[inside], common * scale


def integers(values: np.ndarray) -> tuple[np.ndarray, int]:
    """Floats as (Python integers, their common denominator), exactly."""
    ratios = [v.as_integer_ratio() for v in np.ravel(values).tolist()]
    common = max((d for _, d in ratios), default=1)  # powers of two
    return np.array([n * (common // d) for n, d in ratios], dtype=object).reshape(np.shape(values)), common


def least_values(rows: HullRows, vertices: tuple[np.ndarray, int]) -> list[Fraction]:
    """Exact least value of each row over the graph's vertices."""
    z, scale = vertices
    table, unit = integers(np.column_stack([rows.z, rows.y, rows.constants]))
    graph = np.column_stack([z, np.maximum(z, 0), np.full(len(z), scale, dtype=object)])
    return [Fraction(v, scale * unit) for v in (table @ graph.T).min(axis=1).tolist()]


def maximum(objective: np.ndarray, rows: HullRows, bounds: np.ndarray) -> float:
    """Largest objective @ (z, y) under the rows (of one group), the neurons' triangles and the octahedral rows."""
    k = rows.z.shape[1]
    upper, lower, unit = bounds[0 : 2 * k : 2], -bounds[1 : 2 * k : 2], np.eye(k)
    unstable = (lower < 0.0) & (upper > 0.0)
    slope = np.where(unstable, upper / np.where(unstable, upper - lower, 1.0), upper > 0.0)
    caps = np.hstack([-slope[:, None] * unit, unit]), np.where(unstable, -slope * lower, 0.0)
    octahedron = octahedral_directions(k)
    table = [-np.hstack([rows.z, rows.y]), np.hstack([unit, -unit]), caps[0], np.hstack([octahedron, 0.0 * octahedron])]
    sides = np.concatenate([rows.constants, np.zeros(k), caps[1], bounds])
    box = [(None, None)] * k + [(0.0, None)] * k
    return -float(linprog(-objective, A_ub=np.vstack(table), b_ub=sides, bounds=box).fun)
