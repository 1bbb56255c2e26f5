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
from ..linear.bounds import UNDERFLOW, gamma, middle_and_radius

__all__ = ["minimise_over_region"]


@np.errstate(over="ignore", invalid="ignore")  # what is not finite in the end proves nothing
def minimise_over_region(
    lower: Array, upper: Array, cuts: Array, coefficients: Array, constants: Array, seconds: float
) -> tuple[float, Array | None]:
    """lower, upper: [n] box; cuts: [K, n + 1] rows (g, h); coefficients: [R, n]; constants: [R], of one disjunct.

    Returns (b, x): b <= max over the rows of a_r'x + c_r all over the region, -inf where the solver had nothing to
    say; x [n] the minimiser, in the box, None where the region seems empty.
    """
    from pyscipopt import LP, SCIP_LPPARAM

    n, rows = len(lower), len(constants)
    # the solver's tolerances are absolute: it works on x = middle + radius y, |y| <= 1, with rows of size 1
    middle, radius = middle_and_radius(lower, upper)
    margins, size = _unit(coefficients * radius, constants + coefficients @ middle, together=True)
    sides, sizes = _unit(cuts[:, :n] * radius, cuts[:, n] + cuts[:, :n] @ middle)
    best = _best_row(lower, upper, cuts, coefficients, constants)
    if not (np.isfinite(margins).all() and np.isfinite(sides).all()):
        return best, None
    solver = LP()
    infinity = solver.infinity()
    solver.addCols([[]] * (n + 1), [0.0] * n + [1.0], [*[-1.0] * n, -infinity], [*[1.0] * n, infinity])
    entries = [[*enumerate(a), (n, -1.0)] for a in margins[:, :n].tolist()]
    solver.addRows(entries, [-infinity] * rows, (-margins[:, n]).tolist())
    if len(cuts):
        entries = [list(enumerate(g)) for g in sides[:, :n].tolist()]
        solver.addRows(entries, (-sides[:, n]).tolist(), [infinity] * len(cuts))
    solver.setRealParam(SCIP_LPPARAM.LPTILIM, max(seconds, 1e-3))
    try:
        solver.solve(True)
    except Exception:  # noqa: BLE001  pyscipopt raises bare Exceptions: nothing was learnt
        return best, None
    optimal = solver.isOptimal()
    duals = solver.getDual() if optimal else solver.getDualRay()
    if duals is None:
        return best, None
    weights = np.array(duals)
    betas = weights[rows:] * (size / sizes)
    # an empty region: the ray's weights need no row; a little of all keeps the quotient defined
    chosen = -weights[:rows] if optimal else np.full(rows, 1e-6 * np.abs(betas).max(initial=0.0))
    bound = max(best, _safe_bound(lower, upper, cuts, coefficients, constants, chosen, betas))
    if not optimal:
        return bound, None
    return bound, np.clip(middle + radius * np.array(solver.getPrimal()[:n]), lower, upper)


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
    # its own rounding, towards minus infinity
    return quotient - abs(quotient) * 2.0**-50 if np.isfinite(quotient) else -np.inf
