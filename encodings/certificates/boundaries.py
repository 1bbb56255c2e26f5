"""The exact distance of a point from the decision boundary within its own activation region.

There the network is affine, so that the points of another answer are the union over j of the polyhedra
    {x : P x + q >= 0, (C_k - C_j) x + d_k - d_j <= 0},
whose distances are closed forms where the nearest point of the boundary's hyperplane lies in the region, else linear
programs (l1, l-infinity) or least-distance programs (l2). It bounds the distortion from above, and where it is below
the distance of every face, it is the distortion.
"""

from __future__ import annotations

import numpy as np

from ...instances.network import Array, Network
from .affine_pieces import trace
from .polytope_distance import ABOVE, ABSENT, BELOW, Polyhedra, Rows
from .questions import asked
from .walked_regions import made, named

__all__ = ["boundary_distance"]


def boundary_distance(network: Network, points: Array, labels: Array, norm: float = 2) -> tuple[Array, Array]:
    """([B] lower bounds of the distances, [B, n] the points of the boundary that they belong to).

    points: [B, n]; labels: [B]; norm: 1, 2 or inf. The bounds are rigorous, and the distances themselves up to
    rounding; the points are in float64. Where the region holds no other answer, the bound is what its proof reaches,
    beyond all distances that matter or infinite, and the point NaN.

    Raises InputError as `simplex_certificate` does.
    """
    question = asked(network, points, labels, norm)
    phases = trace(question.network, question.points).phases
    lower, found = np.full(len(points), np.inf), np.full(question.points.shape, np.nan)
    for b in range(len(points)):
        one = question[b : b + 1]
        region = made(one, named(one.network, [p[b : b + 1] for p in phases]))
        reach = region.margins.hyperplanes(one.norm) * (region.margins.values > 0.0)
        polyhedra, faces = Polyhedra(Rows.stacked([region.faces, region.margins]), one.norm), len(region.neurons)
        for j in np.argsort(reach, kind="stable"):
            if reach[j] >= lower[b]:
                break
            sides = np.repeat([ABOVE, ABSENT], [faces, len(reach)])
            sides[faces + j] = BELOW
            distance, step = polyhedra.nearest(sides)
            if step is None:
                distance = max(distance, float(reach[j]))
            if distance < lower[b]:
                lower[b] = distance
                found[b] = np.nan if step is None else one.points[0] + step
    return lower, found
