"""Phases that force each other: bounds of every pre-activation given every phase, closed by logic.

Literal (i, s) says s z_i >= 0, s = +-1. On the root's box every unstable pre-activation lies between two linear
functions of the input (in the first layer they are z itself), so with f <= t z_j and g >= s z_i, wherever s z_i >= 0,
    t z_j >= min over the box of f - beta g,    for every beta >= 0.
That is the one-dimensional search of `halfspaces`, here for all pairs at once: on the box |x - m| <= r the minimum is a
constant less the distance sum_k |f_k - beta g_k| r_k, so every beta tried costs one pass over the inputs a pair.
Where the bound is positive, (i, s) implies (j, t): the dependencies of Venus2 (Botoeva et al. 2020, Kouvaros and
Lomuscio 2021). Bounds that decide no sign tighten all the same, above all in the first layer, which bounding a phase
node anew leaves as it is.

A bound is strict, s z_i >= 0 forces t z_j > 0, so that its contrapositive holds even where a pre-activation is 0. What
bounds have shown is closed by logic: contrapositives (the multipliers tried are few, so that of two opposite questions
one may be answered alone) and chains, (i, s) -> (j, t) -> (k, u), along which bounds are handed back. A literal that
forces its own opposite holds nowhere, which fixes a neuron for good.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from ...instances.batch import Batch
from ...instances.network import Array
from ...instances.query import Query
from ...instances.rounding import FEW_ROUNDINGS_32, LAST_ROUNDINGS, ROUND_UP, TINY_32, UP, gamma, gamma_32
from ..linear.back_substitution import Pass
from ..linear.bounds import LinearBoundOptions, middle_and_radius
from ..linear.prepared_layers import prepared_of

__all__ = ["Implications", "Literal", "implications"]

SHARES = (0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0)  # multipliers tried, in units of |f| / |g|
AT_ONCE = 64  # literals whose gaining partners are looked up together
MOST_NEURONS = 1000  # the table holds 4 numbers a pair of neurons: 32 MB
MOST_ROUNDS = 4  # of propagation: what follows from what follows is mostly there after two
MOST_COMPOSED = 10**8  # numbers of the table read a round of its closure: 0.1 s

Literal = tuple[int, int]  # (flat neuron, +1 for z >= 0 or -1 for z <= 0)


@dataclass(eq=False)
class Implications:
    """What each phase of U neurons, unstable on the root, says about all of them.

    Column or row l of the table is literal (neurons[l], +1) for l < U and (neurons[l - U], -1) from there on.
    """

    neurons: Array  # [U] flat indices
    # [2U, 2U] least[l, m], m = (j, t): lower bound of t z_j where literal l holds; where none is known, the root's
    least: Array

    @property
    def opposite(self) -> Array:
        """[2U] the literal of the other phase."""
        count = len(self.neurons)
        return (np.arange(2 * count) + count) % (2 * count)

    def literal(self, index: int) -> Literal:
        """What column `index` of the table stands for."""
        count = len(self.neurons)
        return int(self.neurons[index % count]), 1 if index < count else -1

    def held(self, pre_lower: Array, pre_upper: Array) -> Array:
        """[B, 2U] bool: the literals that hold by pre-activation bounds [B, neurons]."""
        return np.concatenate([pre_lower[:, self.neurons] >= 0.0, pre_upper[:, self.neurons] <= 0.0], axis=1)

    def clip(self, batch: Batch) -> int:
        """Tighten the nodes' pre-activation bounds by all phases that these decide, until no more follow.

        Crossed bounds (lower > upper) say that a node is empty. The batch gets arrays of its own. Returns how many
        phases followed. Cost: a maximum over the table's rows of each node's phases.
        """
        batch.pre_lower, batch.pre_upper = batch.pre_lower.copy(), batch.pre_upper.copy()
        first = known = fresh = self.held(batch.pre_lower, batch.pre_upper)
        for _ in range(MOST_ROUNDS):
            for b in np.flatnonzero(fresh.any(axis=1)).tolist():
                lower, upper = np.split(self.least[fresh[b]].max(axis=0), 2)
                batch.pre_lower[b, self.neurons] = np.fmax(batch.pre_lower[b, self.neurons], lower)
                batch.pre_upper[b, self.neurons] = np.fmin(batch.pre_upper[b, self.neurons], -upper)
            now = self.held(batch.pre_lower, batch.pre_upper)
            known, fresh = now, now & ~known
            if not fresh.any():
                break
        return int((known & ~first).sum())

    def settle(self, batch: Batch) -> None:
        """Give the nodes the bounds of the phases that are fixed on the whole root, and what follows from these."""
        batch.pre_lower, batch.pre_upper = batch.pre_lower.copy(), batch.pre_upper.copy()
        for neuron, sign in self.fixed:
            end, better = (batch.pre_lower, np.fmax) if sign > 0 else (batch.pre_upper, np.fmin)
            end[:, neuron] = better(end[:, neuron], 0.0)
        if self.fixed:
            self.clip(batch)

    def close(self) -> int:
        """Add what follows by contraposition and along chains; rows of the table only grow.

        Where l forces m, all that m says holds with l. Returns how many entries got a sign. Cost: edges times the
        table's width a round; more than MOST_COMPOSED numbers are left as they are, without their chains.
        """
        before = int((self.least >= 0.0).sum())
        for _ in range(MOST_ROUNDS):
            forces, known = self.edges, self.least.copy()
            np.fmax(self.least, 0.0, out=self.least, where=forces)
            if np.count_nonzero(forces) * len(forces) > MOST_COMPOSED:
                break
            for index in np.flatnonzero(forces.any(axis=1)).tolist():
                self.least[index] = np.fmax(self.least[index], self.least[forces[index]].max(axis=0))
            if (self.least == known).all():
                break
        return int((self.least >= 0.0).sum()) - before

    @property
    def edges(self) -> Array:
        """[2U, 2U] bool: literal l forces literal m strictly, by a bound or the contrapositive of one."""
        forces = self.least > 0.0
        forces |= forces[np.ix_(self.opposite, self.opposite)].T
        np.fill_diagonal(forces, False)
        return forces

    @property
    def fixed(self) -> list[Literal]:
        """Literals that hold on the whole root: those whose opposite forces them."""
        itself = self.least[self.opposite, np.arange(len(self.least))] >= 0.0
        return [self.literal(m) for m in np.flatnonzero(itself).tolist()]


@np.errstate(over="ignore", invalid="ignore")  # what is not finite in the end proves nothing
def implications(query: Query, batch: Batch, layers: int | None = 1, deadline: float = math.inf) -> Implications:
    """The table of one node, a batch of one with finite pre-activation bounds: of a search's root.

    layers: up to which hidden layer neurons take part; None: all. Of more than MOST_NEURONS the widest take part, and
    at the deadline (time.monotonic()) phases of narrow ones may be left without bounds.
    """
    neurons = _unstable(query, batch, layers)
    own = np.concatenate([batch.pre_lower[0, neurons], -batch.pre_upper[0, neurons]])
    least = np.tile(own, (len(own), 1))
    found = Implications(neurons, least)
    if len(neurons):
        functions = _Functions(query, batch, neurons)
        widest = np.argsort(np.tile(np.maximum(*np.split(own, 2)), 2), kind="stable")
        for i in range(0, len(own), AT_ONCE):
            some = widest[i : i + AT_ONCE]
            gaining = functions.gaining(found.opposite[some])
            for a, opposite, columns in zip(some.tolist(), found.opposite[some].tolist(), gaining, strict=True):
                if time.monotonic() > deadline:
                    break
                least[a, columns] = np.fmax(least[a, columns], functions.bounds(opposite, columns))
    index = np.arange(len(own))
    least[index, index] = np.fmax(least[index, index], 0.0)  # a literal says what it says
    found.close()
    # bounds that cross without deciding a sign: the literal never holds, so its opposite may be given any bound
    lower, upper = np.split(least, 2, axis=1)
    never = np.flatnonzero((lower > -upper).any(axis=1))
    least[never, found.opposite[never]] = np.fmax(least[never, found.opposite[never]], -own[never])
    return found


def _unstable(query: Query, batch: Batch, layers: int | None) -> Array:
    lower, upper = batch.pre_lower[0], batch.pre_upper[0]
    unstable = (lower < 0.0) & (upper > 0.0) & np.isfinite(upper - lower) & query.relu
    for part in query.slices[len(query.slices) if layers is None else layers :]:
        unstable[part] = False
    neurons = np.flatnonzero(unstable)
    if len(neurons) > MOST_NEURONS:
        widest = np.argsort(-np.minimum(-lower, upper)[neurons], kind="stable")[:MOST_NEURONS]
        neurons = np.sort(neurons[widest])
    return neurons


class _Functions:
    """Linear functions below every literal's t z_j, in the box's coordinates and of length 1.

    f_m(x) = centre_m + length_m sum_k unit_mk y_k with x = m + r y, |y| <= 1; `error_m` is that of the centre.
    """

    def __init__(self, query: Query, batch: Batch, neurons: Array) -> None:
        coefficients, constants = linear_functions(query, batch, neurons)
        lower, upper = batch.lower[0], batch.upper[0]
        middle, _ = middle_and_radius(lower, upper)
        radius = np.maximum(upper - middle, middle - lower) * ROUND_UP
        inputs = len(lower)
        self.centre = coefficients @ middle + constants
        self.error = gamma(inputs) * (np.abs(coefficients) @ np.abs(middle) + np.abs(constants))
        scaled = coefficients * radius
        self.length = np.linalg.norm(scaled, axis=1)
        self.length[~(self.length > 0.0)] = 1.0
        unit = scaled / self.length[:, None]
        self.single, self.ones = unit.astype(np.float32), np.ones(inputs, dtype=np.float32)
        self.size = np.abs(unit).sum(axis=1)
        self.sum_error = gamma_32(inputs)  # relative, of a float32 sum of so many

    def bounds(self, opposite: int, gaining: Array) -> Array:
        """[T] lower bounds of the t z_j `gaining` where s z_i >= 0; opposite: the literal (i, -s).

        The function below -s z_i, negated, is the g above s z_i. Distances in float32: a sum of absolute values does
        not cancel, see `first_layer_ball`.
        """
        f, length, unit = self.centre[gaining], self.length[gaining], self.single[gaining]
        g, error = -self.centre[opposite], self.error[gaining]
        best = np.full(len(gaining), -np.inf)
        for share in SHARES:
            # any beta >= 0 is valid, so beta := share |f| / |g| is meant without rounding
            beta = share * length / self.length[opposite]
            terms = unit + np.float32(share) * self.single[opposite]
            distance = (np.abs(terms, out=terms) @ self.ones).astype(np.float64) * (1.0 + self.sum_error)
            distance += FEW_ROUNDINGS_32 * (self.size[gaining] + share * self.size[opposite]) + TINY_32
            spread, taken = length * distance, beta * g
            lost = error + beta * self.error[opposite] + LAST_ROUNDINGS * (np.abs(f) + np.abs(taken) + spread)
            np.fmax(best, f - taken - spread - lost * UP, out=best)
        return best

    def gaining(self, opposites: Array) -> list[Array]:
        """Per literal (i, -s) the functions f that gain by a multiplier: g < 0 where f is least on the box.

        Elsewhere the bound, concave in beta, falls from 0 on.
        """
        reach = np.sign(self.single) @ self.single[opposites].T
        return [np.flatnonzero(r < self.centre[o] / self.length[o]) for r, o in zip(reach.T, opposites, strict=True)]


def linear_functions(query: Query, batch: Batch, neurons: Array) -> tuple[Array, Array]:
    """Linear functions below z, then below -z, of some neurons on a batch of one: rigorous for the floats as they are.

    By back-substitution with adaptive slopes from the node's own bounds. neurons: [U] flat indices. Returns
    (coefficients [2U, inputs], constants [2U]).
    """
    from .optimised_bounds import PAIR_FLOATS, PairPass
    from .slope_ascent import Pairs

    count, inputs = len(neurons), query.network.input_size
    coefficients, constants = np.zeros((2 * count, inputs)), np.zeros(2 * count)
    walked = Pass(prepared_of(query), batch, LinearBoundOptions(hidden=False))
    walked.walk()
    plain = np.zeros(query.neurons)
    for line, part in zip(walked.lines, query.slices, strict=True):
        if line is not None:
            plain[part] = line.lower_slope[0]
    step = max(1, PAIR_FLOATS // (query.neurons + inputs))
    for k, part in enumerate(query.slices, start=1):
        mine = np.flatnonzero((neurons >= part.start) & (neurons < part.stop))
        where = np.concatenate([mine, mine + count])
        row, sign = np.tile(neurons[mine] - part.start, 2), np.repeat([1.0, -1.0], len(mine))
        for i in range(0, len(where), step):
            some = slice(i, i + step)
            size = len(row[some])
            pairs = Pairs(np.zeros(size, dtype=np.intp), row[some], sign[some], np.arange(size))
            numbers, weights = np.tile(plain, (size, 1)), np.zeros((size, batch.cuts.shape[1]))
            found = PairPass(walked, pairs, numbers, weights).evaluate(k)
            coefficients[where[some]], constants[where[some]] = found[0], found[1]
    return coefficients, constants
