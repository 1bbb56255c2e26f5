"""Compiled: the LP of `region_lp` for every open disjunct of a node, by a dense simplex of inputs + 1 rows.

    min over the region of max_r (a_r'x + c_r)  =  max  sum lambda_r c_r - sum beta_k h_k + mu'lower - nu'upper
        over lambda, beta, mu, nu >= 0 with  sum lambda_r = 1,  sum lambda_r a_r - sum beta_k g_k - mu + nu = 0.
The right side starts at the row with the best bound, lambda_r = 1, with mu and nu the parts of a_r; every basis is a
valid bound, so the simplex stops as soon as it refutes, or after MOST_PIVOTS. What it returns is evaluated anew, with
rounding errors subtracted. The prices are the minimiser x, where a counterexample is most suspected.

Cost per pivot: (inputs + 2) x (rows + half-spaces + 2 inputs); a dozen pivots are usual.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ...instances.network import Array
from ...instances.rounding import EPS, FEW_ROUNDINGS, UP
from .narrow_layout import PLAIN, Box, Net, Out, Room

__all__ = ["refute_disjuncts"]

MOST_PIVOTS = 60
SMALL = 1e-10  # pivots and reduced costs below this share of the coefficients' size are rounding


@njit(**PLAIN)
def refute_disjuncts(net: Net, room: Room, b: int, box: Box, used: int, out: Out) -> None:
    """Raise the best margin of every disjunct that is open to the LP's bound; the suspected input into out.points."""
    n, lowest = net.starts[1], np.inf
    for d in range(len(net.disjuncts) - 1):
        first, last = net.disjuncts[d], net.disjuncts[d + 1]
        best = first
        for r in range(first, last):
            if out.margins[b, r] > out.margins[b, best]:
                best = r
        if out.margins[b, best] > 0.0:
            continue
        _start(net, room, b, box, used, first, last, best, out)
        _pivot(room, n, last - first + used + 2 * n)
        value = _evaluate(net, room, b, box, used, first, last, out)
        if value > out.margins[b, best]:
            out.margins[b, best] = value
        if out.margins[b, best] < lowest:
            lowest = out.margins[b, best]
            _price(room, box, last - first + used, last - first + used + 2 * n, out.points[b])


@njit(**PLAIN)
def _start(
    net: Net, room: Room, b: int, box: Box, used: int, first: int, last: int, best: int, out: Out
) -> None:  # fmt: skip
    """The tableau of the first basis. Columns: lambda, beta, mu, nu, right-hand side; the last row: reduced costs."""
    n, rows, cuts, tableau = net.starts[1], last - first, room.cuts, room.tableau
    coefficients, constants = out.coefficients[b], out.constants[b]
    columns = rows + used + 2 * n
    width = columns + 1
    for q in range((n + 2) * width):
        tableau[q] = 0.0
    costs = (n + 1) * width
    for r in range(rows):
        tableau[r] = 1.0
        tableau[costs + r] = constants[first + r] - constants[best]
    for k in range(used):
        tableau[costs + rows + k] = -cuts[k, n]
    tableau[columns] = 1.0
    tableau[costs + columns] = -constants[best]
    room.basis[0] = best - first
    for j in range(n):
        row, a = (j + 1) * width, coefficients[best, j]
        sign = -1.0 if a > 0.0 else 1.0
        for r in range(rows):
            tableau[row + r] = sign * (coefficients[first + r, j] - a)
        for k in range(used):
            tableau[row + rows + k] = -sign * cuts[k, j]
        mu, nu = rows + used + j, rows + used + n + j
        tableau[row + mu], tableau[row + nu] = -sign, sign
        tableau[row + columns] = abs(a)
        room.basis[j + 1] = mu if a > 0.0 else nu
        tableau[costs + mu], tableau[costs + nu] = box[0][j], -box[1][j]
        cost = box[0][j] if a > 0.0 else -box[1][j]
        for q in range(width):
            tableau[costs + q] -= cost * tableau[row + q]


@njit(**PLAIN)
def _pivot(room: Room, n: int, columns: int) -> None:
    """Simplex steps: largest reduced cost, after half of the steps the first one (Bland), which cannot cycle.

    The solution is left in room.weights. A column that nothing limits is a ray of the dual, the region is empty: so
    much of it is added that the objective becomes positive.
    """
    tableau, basis, weights, width = room.tableau, room.basis, room.weights, columns + 1
    costs, scale, step, ray = (n + 1) * width, 0.0, 0.0, -1
    for q in range(columns):
        scale = max(scale, abs(tableau[costs + q]))
    for count in range(MOST_PIVOTS):
        enter, most = -1, SMALL * scale
        for q in range(columns):
            if tableau[costs + q] > most:
                enter, most = q, tableau[costs + q]
                if 2 * count > MOST_PIVOTS:
                    break
        if enter < 0 or -tableau[costs + columns] > SMALL * scale:
            break
        leave, least = -1, np.inf
        for i in range(n + 1):
            pivot = tableau[i * width + enter]
            if pivot > SMALL:
                ratio = tableau[i * width + columns] / pivot
                if ratio < least or (ratio == least and basis[i] < basis[leave]):
                    leave, least = i, ratio
        if leave < 0:
            ray, step = enter, 2.0 * (1.0 + abs(tableau[costs + columns])) / tableau[costs + enter]
            break
        _eliminate(tableau, n, width, leave, enter)
        basis[leave] = enter
    for q in range(columns):
        weights[q] = 0.0
    for i in range(n + 1):
        weights[basis[i]] = tableau[i * width + columns]
        if ray >= 0:
            weights[basis[i]] -= step * tableau[i * width + ray]
    if ray >= 0:
        weights[ray] = step


@njit(**PLAIN)
def _eliminate(tableau: Array, n: int, width: int, leave: int, enter: int) -> None:
    """Gauss-Jordan step on the whole tableau."""
    at = leave * width
    inverse = 1.0 / tableau[at + enter]
    pivot_row = tableau[at : at + width]
    for q in range(width):
        pivot_row[q] *= inverse
    for i in range(n + 2):
        factor = tableau[i * width + enter]
        if i == leave or factor == 0.0:
            continue
        row = tableau[i * width : (i + 1) * width]
        for q in range(width):
            row[q] -= factor * pivot_row[q]


@njit(**PLAIN)
def _evaluate(net: Net, room: Room, b: int, box: Box, used: int, first: int, last: int, out: Out) -> float:
    """A rigorous lower bound of max_r m_r over the region from the weights of rows and half-spaces."""
    n, rows, weights, cuts = net.starts[1], last - first, room.weights, room.cuts
    total = 0.0
    for r in range(rows):
        weights[r] = max(weights[r], 0.0)
        total += weights[r]
    if not total > 0.0:
        return -np.inf
    value = size = 0.0
    for r in range(rows):
        value += weights[r] * out.constants[b, first + r]
        size += weights[r] * abs(out.constants[b, first + r])
    for k in range(used):
        weights[rows + k] = max(weights[rows + k], 0.0)
        value -= weights[rows + k] * cuts[k, n]
        size += weights[rows + k] * abs(cuts[k, n])
    for j in range(n):
        a = terms = 0.0
        for r in range(rows):
            a += weights[r] * out.coefficients[b, first + r, j]
            terms += weights[r] * abs(out.coefficients[b, first + r, j])
        for k in range(used):
            a -= weights[rows + k] * cuts[k, j]
            terms += weights[rows + k] * abs(cuts[k, j])
        value += a * box[0][j] if a > 0.0 else a * box[1][j]
        size += terms * max(abs(box[0][j]), abs(box[1][j]))
    value -= 2.0 * (rows + used + n + 16) * EPS * size * UP
    value /= total
    return value - FEW_ROUNDINGS * abs(value) if np.isfinite(value) else -np.inf


@njit(**PLAIN)
def _price(room: Room, box: Box, first: int, columns: int, point: Array) -> None:
    """The minimiser: input j is its lower end less the reduced cost of mu_j, the column first + j."""
    n = len(point)
    costs = (n + 1) * (columns + 1)
    for j in range(n):
        point[j] = min(max(box[0][j] - room.tableau[costs + first + j], box[0][j]), box[1][j])
