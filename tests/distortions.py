"""The least distortion of a point, independently: all activation patterns in rational arithmetic, then one LP or one
nonnegative least-squares problem over each pattern's vertices.

For tiny networks (see `oracle`); what lies further away than a given radius, in any input, is not seen.
"""

from __future__ import annotations

import numpy as np
import oracle
from scipy.optimize import linprog, nnls

from hypersplit.instances.network import Array, Network
from hypersplit.instances.property import InputSet

__all__ = ["distortion"]

HEAVY = 1e4  # weight of the condition that shares sum to 1, in the least-squares problem


def distortion(network: Network, point: Array, label: int, norm: float, region: InputSet) -> float:
    """The distance of the nearest x of the region that is not answered `label` alone; inf where there is none."""
    best = np.inf
    for leaf in oracle.leaves(network, region):
        rows = leaf.values[-1].rows
        for j in range(len(rows)):
            part = leaf.polytope.cut(rows[j] - rows[label]) if j != label else None
            if part is not None and part.vertices:
                vertices = np.array([[float(a) for a in p] for p in part.points()])
                best = min(best, _to_hull(vertices - point, norm))
    return best


def _to_hull(vertices: Array, norm: float) -> float:
    """Distance of the origin from the convex hull of [m, n]."""
    m, n = vertices.shape
    if norm == 2:
        shares, _ = nnls(np.vstack([vertices.T, np.full(m, HEAVY)]), np.append(np.zeros(n), HEAVY))
        return float(np.linalg.norm(shares / shares.sum() @ vertices))
    sizes = n if norm == 1 else 1
    reach = -np.eye(n) if norm == 1 else -np.ones((n, 1))
    sides = np.block([[vertices.T, reach], [-vertices.T, reach]])
    found = linprog(
        np.append(np.zeros(m), np.ones(sizes)), A_ub=sides, b_ub=np.zeros(2 * n),
        A_eq=np.append(np.ones(m), np.zeros(sizes))[None], b_eq=[1.0],
    )  # fmt: skip
    return float(found.fun)
