"""The last resort: a node's question decided in rational arithmetic, where floats decide it neither way.

Layer by layer the phases are fixed that the node's bounds leave open; what is fixed makes the next layer's
pre-activations affine functions of the input with exact coefficients, each phase a half-space z >= 0 or z < 0, and an
exact LP (`encodings.exact_lp`) ends the branches without an input. Functions that jump have pieces in place of phases,
each with the ends that belong to it. Where all phases are known the margins are affine, and one more exact LP finds a
counterexample or proves that there is none.

A norm ball enters by half-spaces around it, more of them where a point is found that satisfies all but lies outside:
they refute, and what they leave counts only where it lies in the ball.

At a jump the smallest rounding decides between two values, so that a float32 evaluation of the file may have a
counterexample where real numbers have none. With `rounding` nothing is closed unless it holds as well on pieces that
are wider by what arguments may be off by (`encodings.exact.argument_errors`).

Either answer is a proof about the real-valued network. A counterexample is a point of fractions; whether the ONNX file
reproduces it in its own arithmetic is for the replay to say.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from ...encodings.exact.argument_errors import ArgumentErrors, argument_errors
from ...encodings.exact.rational_lp import ExactLP, Row
from ...encodings.exact.region import Affine, ExactNetwork, inexact
from ...encodings.exact.tangent import exact_tangent
from ...heuristics.efforts import ExactEffort
from ...instances.batch import Node
from ...instances.curves.pieces import MOST_PIECES, Piece, has_pieces, pieces
from ...instances.judges.exact_evaluation import scaled
from ...instances.network import Array
from ...instances.query import Query

__all__ = ["ROUNDING", "ExactOutcome", "decide_exactly", "is_counterexample"]

ROUNDING = "real numbers have no counterexample, but rounding may decide between two values at a jump"
SHORT = (2.0**10, 2.0**20)  # fractions that a counterexample's inputs are moved to where it stays one


@dataclass(frozen=True)
class ExactOutcome:
    """What exact arithmetic says about one disjunct on one node."""

    status: str  # "closed": the node holds no counterexample of it; "point": one was found; "open"
    point: tuple[Fraction, ...] | None = None  # [inputs] for "point": in the input set, all margins <= 0 (< 0)
    reason: str = ""  # for "open": what was too large, not exact, or took too long
    lps: int = 0  # exact LPs solved


class _Left(Exception):
    """The question is given up for a reason."""


def decide_exactly(
    query: Query, node: Node, disjunct: int, deadline: float, effort: ExactEffort | None = None, rounding: bool = False
) -> ExactOutcome:
    """Does the node hold a counterexample of the disjunct, for the real-valued network?

    rounding: whether what float32 may make of arguments at jumps counts, too, before it is said to be closed.

    The node's bounds, half-spaces and phases are taken for what they are: proofs about the counterexamples in it.
    Strict margins, half-spaces and ends of the property's box are strict. deadline: of time.monotonic().
    """
    if (node.lower > node.upper).any():
        return ExactOutcome("closed")
    effort = effort or ExactEffort()
    if reason := _too_large(query, node, effort):
        return ExactOutcome("open", reason=reason)
    outcome = _decided(query, node, disjunct, deadline, effort)
    if outcome.status != "closed" or not rounding or query.network.piecewise_linear:
        return outcome
    off = argument_errors(query, node)
    if not off.size[_jumping(query)].any():
        return outcome
    rounded = _decided(query, node, disjunct, deadline, effort, off)
    lps = outcome.lps + rounded.lps
    if rounded.status == "closed":
        return ExactOutcome("closed", lps=lps)
    return ExactOutcome("open", reason=rounded.reason or ROUNDING, lps=lps)


def _jumping(query: Query) -> Array:
    """[neurons] bool: those with functions that jump."""
    found = np.zeros(query.neurons, dtype=bool)
    for kind, part in zip(query.kinds, query.slices, strict=True):
        found[part] = has_pieces(kind)
    return found


def _decided(
    query: Query, node: Node, disjunct: int, deadline: float, effort: ExactEffort, off: ArgumentErrors | None = None
) -> ExactOutcome:
    """The same by real numbers, or, with errors `off` of arguments at jumps, on wider pieces."""
    ball, lps = query.region.ball, 0
    for _ in range(1 if ball is None else effort.tangents):
        walk = _Walk(query, node, disjunct, deadline, effort, off)
        try:
            point = walk.run()
        except _Left as left:
            return ExactOutcome("open", reason=str(left), lps=lps + walk.lps)
        lps += walk.lps
        if point is None:
            return ExactOutcome("closed", lps=lps)
        for candidate in _inward(query, point):
            if is_counterexample(query, candidate, disjunct):
                return ExactOutcome("point", tuple(candidate), lps=lps)
        if ball is None or ball.contains_exactly(point):
            why = ROUNDING if off is not None else "the point found is no counterexample of the network"
            return ExactOutcome("open", reason=why, lps=lps)
        node = replace(node, cuts=np.concatenate([node.cuts, exact_tangent(ball, point)[None]]))
    return ExactOutcome("open", reason="points outside the norm ball, too near for half-spaces around it", lps=lps)


def _inward(query: Query, point: list[Fraction]) -> list[list[Fraction]]:
    """The point; where it lies outside the norm ball, floats next to it that are meant to lie in it."""
    region = query.region
    if region.ball is None or region.ball.contains_exactly(point):
        return [point]
    near = region.ball.inward(np.array([float(x) for x in point]), region.lower, region.upper)
    return [[Fraction(x) for x in near.tolist()]]


def is_counterexample(query: Query, point: Sequence[Fraction], disjunct: int) -> bool:
    """Whether the network itself, evaluated exactly, makes the point [inputs] a counterexample of the disjunct."""
    region, margins = query.region, ExactNetwork(query.network).output(point)
    room: list[Fraction] = []  # each >= 0, > 0 where strict
    for x, low, high in zip(point, region.lower.tolist(), region.upper.tolist(), strict=True):
        room += [x - Fraction(low), Fraction(high) - x]
    one = [*point, Fraction(1)]
    for row in np.column_stack([region.rows, region.offsets]).tolist():
        room.append(sum((Fraction(g) * x for g, x in zip(row, one, strict=True)), Fraction(0)))
    rows = slice(int(query.starts[disjunct]), int(query.starts[disjunct + 1]))
    room += [-margin for margin in margins[rows]]
    ends = np.column_stack([region.strict_lower, region.strict_upper]).ravel()
    strict = np.concatenate([ends, region.strict, query.strict[rows]]).tolist()
    held = all(value > 0 if s else value >= 0 for value, s in zip(room, strict, strict=True))
    return held and (region.ball is None or region.ball.contains_exactly(list(point)))


def _too_large(query: Query, node: Node, effort: ExactEffort) -> str:
    """Why the question is not asked at all, "" if it is."""
    if not (np.isfinite(node.lower).all() and np.isfinite(node.upper).all()):
        return "not exact: the node's box is not finite"
    inputs = int((node.lower < node.upper).sum())
    if inputs > effort.inputs:
        return f"too large for exact arithmetic: {inputs} open inputs, at most {effort.inputs}"
    if reason := inexact(query.network):
        return reason
    weights = sum(w.shape[0] * w.shape[1] for layer in query.network.layers for w in layer.weights)
    if weights * (inputs + 1) > effort.products:
        products = f"{weights} weights of functions of {inputs} open inputs, at most {effort.products} products"
        return f"too large for exact arithmetic: {products}"
    unstable = int(((node.pre_lower < 0.0) & (node.pre_upper > 0.0) & query.relu).sum())
    if unstable > effort.unstable:
        return f"too large for exact arithmetic: {unstable} unstable ReLUs, at most {effort.unstable}"
    return ""


class _Walk:
    """Depth first through the activation patterns that the node's exact region has."""

    def __init__(
        self, query: Query, node: Node, disjunct: int, deadline: float, effort: ExactEffort,
        off: ArgumentErrors | None = None,
    ) -> None:  # fmt: skip
        self.query, self.node, self.deadline, self.effort, self.off = query, node, deadline, effort, off
        self.network = ExactNetwork(query.network)
        self.margins = range(int(query.starts[disjunct]), int(query.starts[disjunct + 1]))
        self.open_inputs = np.flatnonzero(node.lower < node.upper)
        self.lps = 0

    def run(self) -> list[Fraction] | None:
        """A counterexample, or None where there is none. Raises _Left where that cannot be told."""
        from ...encodings.exact.starting_basis import begin

        ends, exponent = scaled(np.stack([self.node.lower, self.node.upper])[:, self.open_inputs])
        unit = 1 << max(exponent, 0)
        lower, upper = (ends << max(-exponent, 0)).tolist()
        lp, inputs = ExactLP(lower, upper, unit), self.network.inputs(self.node.lower, self.node.upper)
        # half-spaces of the node that overflowed say nothing; those of the property are among the others
        known = self.node.cuts[np.isfinite(self.node.cuts).all(axis=1)]
        region = self.query.region
        cuts = np.concatenate([np.column_stack([region.rows, region.offsets]), known])
        half_spaces = self.network.half_spaces(cuts, inputs)
        for i in range(len(cuts)):
            strict = i < len(region.strict) and bool(region.strict[i])
            lp.add(half_spaces.row(i)._replace(strict=strict))
        if not self._keep_off_ends(lp):
            return None
        begin(lp, self.deadline)
        return self._layer(lp, [inputs]) if self._some(lp) else None

    def _keep_off_ends(self, lp: ExactLP) -> bool:
        """Demand that inputs keep off strict ends of the property's box; False where one is fixed there."""
        region, lower, upper = self.query.region, self.node.lower, self.node.upper
        above, below = region.strict_lower & (lower <= region.lower), region.strict_upper & (upper >= region.upper)
        if ((above | below) & (lower == upper)).any():
            return False
        for j, i in enumerate(self.open_inputs.tolist()):
            for end, strict, side in ((region.lower[i], above[i], 1), (region.upper[i], below[i], -1)):
                if strict:
                    whole, part = float(end).as_integer_ratio()
                    normal = tuple(side * part * (c == j) for c in range(len(self.open_inputs)))
                    lp.add(Row(normal, -side * whole, strict=True))
        return True

    def _some(self, lp: ExactLP) -> bool:
        """Whether the system has a solution."""
        self.lps += 1
        if self.lps > self.effort.lps:
            raise _Left(f"too large for exact arithmetic: more than {self.effort.lps} linear programs")
        status = lp.solve(self.deadline)
        if status not in ("point", "empty"):
            raise _Left("time" if status == "time" else f"exact linear program: {status}")
        return status == "point"

    def _layer(self, lp: ExactLP, values: list[Affine]) -> list[Fraction] | None:
        """Go on with the layer behind x_0, ..., x_k, whose functions are known on the region of the lp."""
        k = len(values) - 1
        if time.monotonic() > self.deadline:
            raise _Left("time")
        z = self.network.pre_activations(k, values)
        if k == len(self.query.network.layers) - 1:
            return self._margins(lp, z)
        if self.query.kinds[k] == "identity":
            return self._layer(lp, [*values, z])
        if self.query.kinds[k] != "relu":
            return self._pieces(lp, values, z)
        part = self.query.slices[k]
        active, inactive = self.node.pre_lower[part] >= 0.0, self.node.pre_upper[part] <= 0.0
        free = []
        lp = lp.copy()
        for i in range(z.rows.shape[0]):
            row = z.row(i)
            if active[i]:
                lp.add(row)
            if inactive[i]:
                lp.add(row.reversed(strict=False))
            if not (active[i] or inactive[i]):
                low, high = row.range(lp.lower, lp.upper, lp.unit)
                active[i] = low >= 0
                if low < 0 < high:
                    free.append((i, row))
        if not self._some(lp):
            return None
        return self._phases(lp, values, z, active, free)

    def _phases(
        self, lp: ExactLP, values: list[Affine], z: Affine, active: Array, free: list[tuple[int, Row]]
    ) -> list[Fraction] | None:
        """Both phases of the first of the free neurons of a layer, that of the lp's own point first."""
        if not free:
            return self._layer(lp, [*values, z.gated(active)])
        (i, row), rest = free[0], free[1:]
        here = lp.sign(row) >= 0
        for phase in (here, not here):
            half = lp.copy()
            half.add(row if phase else row.reversed(strict=True))
            if self._some(half):
                chosen = active.copy()
                chosen[i] = phase
                if (point := self._phases(half, values, z, chosen, rest)) is not None:
                    return point
        return None

    def _pieces(self, lp: ExactLP, values: list[Affine], z: Affine) -> list[Fraction] | None:
        """Go on behind a function that jumps: neurons on a single piece stay there, the others try all of theirs."""
        k, lp, scale = len(values) - 1, lp.copy(), Fraction(2) ** z.exponent * lp.unit
        chosen: list[Piece] = []
        free: list[tuple[int, list[Piece]]] = []
        known = self.node.pre_lower[self.query.slices[k]], self.node.pre_upper[self.query.slices[k]]
        for i in range(z.rows.shape[0]):
            low, high = (Fraction(end) / scale for end in z.row(i).range(lp.lower, lp.upper, lp.unit))
            low, high = _within(low, high, float(known[0][i]), float(known[1][i]))
            found = self._pieces_of(k, i, low, high) if low <= high else []
            if not found:  # what the node knows leaves nothing on the box
                return None
            if len(found) > MOST_PIECES:
                raise _Left(f"too large for exact arithmetic: more than {MOST_PIECES} steps of a neuron")
            chosen.append(found[0])
            if len(found) > 1:
                free.append((i, found))
            else:
                for row in _ends(z, i, found[0]):
                    lp.add(row)
        if len(free) > self.effort.unstable:
            raise _Left(f"too large for exact arithmetic: {len(free)} neurons of a layer at jumps")
        return self._choose(lp, values, z, chosen, free)

    def _pieces_of(self, k: int, i: int, low: Fraction, high: Fraction) -> list[Piece]:
        """The pieces that neuron i of layer k + 1 may be on with its argument in [low, high]."""
        kind = self.query.kinds[k]
        if self.off is None:
            return pieces(kind, low, high)
        size, least, most = (float(ends[self.query.slices[k]][i]) for ends in self.off)
        if not size < np.inf:
            raise _Left(ROUNDING)
        by = Fraction(size)
        return [piece.wider(by) for piece in pieces(kind, *_within(low - by, high + by, least, most))]

    def _choose(
        self, lp: ExactLP, values: list[Affine], z: Affine, chosen: list[Piece], free: list[tuple[int, list[Piece]]]
    ) -> list[Fraction] | None:
        """All pieces of the first of the free neurons, as far as they hold an input."""
        if not free:
            return self._layer(lp, [*values, z.on_pieces(chosen)])
        (i, found), rest = free[0], free[1:]
        for piece in found:
            part = lp.copy()
            for row in _ends(z, i, piece):
                part.add(row)
            if self._some(part):
                taken = [*chosen[:i], piece, *chosen[i + 1 :]]
                if (point := self._choose(part, values, z, taken, rest)) is not None:
                    return point
        return None

    def _margins(self, lp: ExactLP, z: Affine) -> list[Fraction] | None:
        """A point of an activation region whose margins are all <= 0."""
        from ...encodings.exact.starting_basis import begin

        fresh = ExactLP(lp.lower, lp.upper, lp.unit)
        for row in lp.rows:
            fresh.add(row)
        for r in self.margins:
            fresh.add(z.row(r).reversed(strict=bool(self.query.strict[r])))
        begin(fresh, self.deadline)
        if not self._some(fresh):
            return None
        forward = range(len(self.open_inputs))
        points = [self._short(fresh, order) for order in (forward, forward[::-1])]
        return self._whole(min(points, key=lambda point: sum(Fraction(float(x)) != x for x in point)))

    def _short(self, lp: ExactLP, order: range) -> list[Fraction]:
        """A solution with inputs fixed at short fractions, one after another in this order, where one is left."""
        for j in order:
            value = lp.point()[j]
            for candidate in dict.fromkeys(_near(value)):
                if not Fraction(lp.lower[j], lp.unit) <= candidate <= Fraction(lp.upper[j], lp.unit):
                    continue
                fixed = lp.copy()
                fixed.fix(j, candidate)
                self.lps += 1
                if fixed.solve(self.deadline) == "point":
                    lp = fixed
                    break
        return lp.point()

    def _whole(self, open_values: list[Fraction]) -> list[Fraction]:
        """All inputs, those with it that the box fixes."""
        point = [Fraction(float(low)) for low in self.node.lower]
        for j, value in zip(self.open_inputs.tolist(), open_values, strict=True):
            point[j] = value
        return point


def _within(low: Fraction, high: Fraction, least: float, most: float) -> tuple[Fraction, Fraction]:
    """[low, high] cut by [least, most], whose ends may be infinite."""
    low = max(low, Fraction(least)) if np.isfinite(least) else low
    return low, min(high, Fraction(most)) if np.isfinite(most) else high


def _ends(z: Affine, i: int, piece: Piece) -> list[Row]:
    """What it says that function i is on a piece."""
    rows = []
    if piece.low is not None:
        rows.append(z.beyond(i, piece.low, piece.low_open))
    if piece.high is not None:
        rows.append(z.beyond(i, piece.high, False).reversed(strict=piece.high_open))
    return rows


def _near(value: Fraction) -> list[Fraction]:
    """Numbers near a value that floats hold, shortest first."""
    short = [Fraction(round(value * int(size)), int(size)) for size in SHORT]
    with np.errstate(over="ignore"):
        single = float(np.float32(float(value)))
    return [*short, Fraction(single if np.isfinite(single) else float(value)), Fraction(float(value))]
