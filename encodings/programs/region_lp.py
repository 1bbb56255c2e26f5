"""The worst margin over a region of the input, by one small LP over the margins' linear bounds.

    min t  over x in box, half-spaces G x + h >= 0, with t >= a_r'x + c_r for every row r of a disjunct,
where a_r'x + c_r are proved lower bounds of the margins (Bounds.coefficients and .constants). This is what the
multipliers of `halfspaces` and the test of conjunctions approach one at a time; where every ReLU of the node is stable
the functions are the network's own, and the LP decides the region.

Any weights lambda >= 0 of the rows, not all zero, and beta >= 0 of the half-spaces give
    max_r m_r(x) >= (sum lambda_r (a_r'x + c_r) - sum beta_k (g_k'x + h_k)) / sum lambda_r,
whose minimum over the box is evaluated here, rounding errors subtracted; the solver is believed for its weights only.
"""

from __future__ import annotations

import numpy as np

from ...instances.network import Array
from ...instances.norm_ball import NormBall
from ...instances.rounding import FEW_ROUNDINGS, UNDERFLOW, gamma
from ..linear.bounds import middle_and_radius
from ..linear.norm_ball_bounds import minimum_in_ball, outward, tangents
from .scip import Simplex, failed

__all__ = ["minimise_over_region"]

MOST_TANGENTS = 40  # half-spaces around a ball that an LP is given one after another
SEEN = 1e-8  # of the radius; the simplex' own tolerance is 1e-9 of rows of size 1


@np.errstate(over="ignore", invalid="ignore")  # what is not finite in the end proves nothing
def minimise_over_region(
    lower: Array, upper: Array, cuts: Array, coefficients: Array, constants: Array, seconds: float,
    ball: NormBall | None = None,
) -> tuple[float, Array | None]:  # fmt: skip
    """The region's minimum; with a norm ball by an LP over half-spaces that touch it, more of them where the LP's point
    lies outside.

    Arguments and result: see `_minimise`; with a ball the point is moved into it.
    """
    best, point, n = -np.inf, None, len(lower)
    for _ in range(1 if ball is None else MOST_TANGENTS):
        bound, point = _minimise(lower, upper, cuts, coefficients, constants, seconds, ball)
        best = max(best, bound)
        if ball is None or best > 0.0 or point is None:
            break
        row = tangents(ball, outward(ball, point))
        # half-spaces that the point violates by less than the solver sees would change nothing
        depth = float(row[:n] @ point + row[n])
        point = ball.inward(point, lower, upper)
        if not depth < -SEEN * ball.radius:
            break
        cuts = np.concatenate([cuts, row[None]])
    return best, point


def _minimise(
    lower: Array, upper: Array, cuts: Array, coefficients: Array, constants: Array, seconds: float,
    ball: NormBall | None,
) -> tuple[float, Array | None]:  # fmt: skip
    """lower, upper: [n] box; cuts: [K, n + 1] rows (g, h); coefficients: [R, n]; constants: [R], of one disjunct.

    Returns (b, x): b <= max over the rows of a_r'x + c_r all over the region, -inf where the solver had nothing to
    say; x [n] the minimiser, in the box, None where the region seems empty.
    """
    n, rows = len(lower), len(constants)
    # the solver's tolerances are absolute: it works on x = middle + radius y, |y| <= 1, with rows of size 1
    middle, radius = middle_and_radius(lower, upper)
    margins, size = _unit(coefficients * radius, constants + coefficients @ middle, together=True)
    sides, sizes = _unit(cuts[:, :n] * radius, cuts[:, n] + cuts[:, :n] @ middle)
    best = _best_row(lower, upper, cuts, coefficients, constants)
    if ball is not None:
        alone = minimum_in_ball(ball, lower[None], upper[None], coefficients[None], constants[None])
        best = max(best, float(alone.max()))
    if not (np.isfinite(margins).all() and np.isfinite(sides).all()):
        return best, None
    simplex = Simplex()
    ends = np.append(np.ones(n), np.inf)  # of t, too
    simplex.add_columns(np.append(np.zeros(n), 1.0), -ends, ends)
    entries = [[*enumerate(a), (n, -1.0)] for a in margins[:, :n].tolist()]
    simplex.add_rows(entries, np.full(rows, -np.inf), -margins[:, n])
    if len(cuts):
        simplex.add_rows([list(enumerate(g)) for g in sides[:, :n].tolist()], -sides[:, n], np.full(len(cuts), np.inf))
    status = simplex.solve(seconds)
    optimal = status == "optimal"
    weights = None if failed(status) else simplex.duals() if optimal else simplex.ray()
    if weights is None:
        return best, None
    betas = weights[rows:] * (size / sizes)
    # an empty region: the ray's weights need no row; a little of all keeps the quotient defined
    chosen = -weights[:rows] if optimal else np.full(rows, 1e-6 * np.abs(betas).max(initial=0.0))
    bound = max(best, _safe_bound(lower, upper, cuts, coefficients, constants, chosen, betas))
    if not optimal:
        return bound, None
    return bound, np.clip(middle + radius * simplex.point()[:n], lower, upper)


def _unit(normals: Array, offsets: Array, together: bool = False) -> tuple[Array, Array]:
    """Rows (g, h) divided by their largest entry, all by the same one if `together`; and by what. [K, n + 1], [K]."""
    rows = np.column_stack([normals, offsets])
    size = np.abs(rows).max(axis=1, initial=0.0)
    if together:
        size = np.full(len(rows), size.max(initial=0.0))
    size = np.where(size > 0.0, size, 1.0)
    return rows / size[:, None], size[:1] if together else size


def _best_row(lower: Array, upper: Array, cuts: Array, coefficients: Array, constants: Array) -> float:
    """What one row by itself gives over the box."""
    none = np.zeros(len(cuts))
    single = np.eye(len(constants))
    return max(_safe_bound(lower, upper, cuts, coefficients, constants, weights, none) for weights in single)


def _safe_bound(
    lower: Array, upper: Array, cuts: Array, coefficients: Array, constants: Array, rows: Array, halfspaces: Array
) -> float:
    n = len(lower)
    weights = np.maximum(np.where(np.isfinite(rows), rows, 0.0), 0.0)
    total = float(weights.sum())
    if not total > 0.0:
        return -np.inf
    betas = np.maximum(np.where(np.isfinite(halfspaces), halfspaces, 0.0), 0.0)
    normal = weights @ coefficients - betas @ cuts[:, :n]
    offset = float(weights @ constants - betas @ cuts[:, n])
    reach = np.maximum(np.abs(lower), np.abs(upper))
    size = (weights @ np.abs(coefficients) + betas @ np.abs(cuts[:, :n])) @ reach
    size += weights @ np.abs(constants) + betas @ np.abs(cuts[:, n])
    value = offset + float(np.minimum(normal * lower, normal * upper).sum())
    value -= 2.0 * gamma(n + len(constants) + len(cuts)) * float(size) + UNDERFLOW
    quotient = value / total
    # its own rounding, towards minus infinity; that of the weights' sum is in the second half of 2 gamma
    return quotient - abs(quotient) * FEW_ROUNDINGS if np.isfinite(quotient) else -np.inf
