"""The worst margin over an input set with a norm ball, for tiny ReLU networks: exact in l1, a bracket in l2.

The l1 ball is a polytope of 2^n facets, and `oracle` enumerates the activation patterns of the input set cut by them.
In l2 each pattern's polytope gets half-spaces that hold the ball, one after another where its minimum lies outside
(Kelley 1960), all in rational arithmetic: minima are lower bounds. Upper bounds are the network's own values at these
points, moved into the ball and checked to lie in the input set, exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import product
from math import isqrt, lcm

import oracle

from hypersplit.instances.network import Network
from hypersplit.instances.norm_ball import NormBall
from hypersplit.instances.property import Case

__all__ = ["bracket"]

Piece = tuple[oracle.Polytope, oracle.Affine]

UNKNOWN = Fraction(10**9)  # an upper bound where no point of the set is known
MOST_CUTS = 60  # half-spaces of one piece
BITS = 40  # of the root in a half-space's side
SHORT = 2**24  # denominators of normals


def bracket(
    network: Network, case: Case, joint: bool = False, tolerance: float = 1e-9
) -> tuple[Fraction, Fraction] | None:
    """(low, high) around the least worst margin of the case; None where the input set is empty.

    They are no further apart than the tolerance, unless cuts are used up; `UNKNOWN` above where no point was met.
    """
    ball = case.region.ball
    assert ball is not None
    plain = replace(case, region=replace(case.region, ball=None))
    polytope = oracle.Polytope.of(plain.region)
    if ball.norm == 1:
        for signs in product((-1, 1), repeat=polytope.dimension):
            polytope = polytope.cut(_integers([*(-s for s in signs), _side(ball, signs, Fraction(1))]))
    pieces = list(_pieces(network, plain, joint, polytope))
    if not pieces:
        return None
    if ball.norm == 1:
        low = min(_least(part, row)[0] for part, row in pieces)
        return low, low
    return _narrowed(network, case, joint, pieces, Fraction(tolerance))


def _pieces(network: Network, case: Case, joint: bool, polytope: oracle.Polytope) -> Iterator[Piece]:
    """(polytope, function) pairs: where one margin is the largest of its disjunct, on one activation pattern."""
    for leaf in oracle.leaves(network, case.region, within=polytope):
        for margins in oracle.margins_of(leaf, case, joint):
            for r, row in enumerate(margins.rows):
                part = leaf.polytope
                for other in margins.rows:
                    part = part.cut(row - other)
                if part.vertices:
                    yield part, oracle.Affine(margins.rows[r : r + 1], margins.exponent)


def _least(part: oracle.Polytope, row: oracle.Affine) -> tuple[Fraction, list[Fraction]]:
    return min(zip(row.at_vertices(part, 0), part.points(), strict=True), key=lambda pair: pair[0])


def _narrowed(
    network: Network, case: Case, joint: bool, pieces: list[Piece], tolerance: Fraction
) -> tuple[Fraction, Fraction] | None:
    ball, lows = case.region.ball, []
    assert ball is not None
    high = UNKNOWN
    for part, row in pieces:
        for _ in range(MOST_CUTS):
            low, x = _least(part, row)
            inner = _inside(ball, x)
            if oracle.contains(case.region, inner):
                high = min(high, oracle.worst_at(network, case, joint, inner))
            if ball.contains_exactly(x) or low >= high - tolerance:
                break
            part = part.cut(_tangent(ball, x))
            if not part.vertices:
                break
        if part.vertices:
            lows.append(low)
    return (min(*lows, high), high) if lows else None


def _inside(ball: NormBall, x: list[Fraction]) -> list[Fraction]:
    """The point, pulled towards the centre until it lies in the ball."""
    if ball.contains_exactly(x):
        return x
    centre = [Fraction(c) for c in ball.centre.tolist()]
    steps = [a - c for a, c in zip(x, centre, strict=True)]
    length = _root_above(sum(s * s for s in steps))
    return [c + s * Fraction(ball.radius) / length for c, s in zip(centre, steps, strict=True)]


def _tangent(ball: NormBall, x: list[Fraction]) -> list[int]:
    """d'y <= d'c + r ||d|| for the step d from the centre, of short numbers."""
    steps = [a - Fraction(c) for a, c in zip(x, ball.centre.tolist(), strict=True)]
    largest = max(map(abs, steps))
    d = [Fraction(round(s / largest * SHORT), SHORT) for s in steps]
    return _integers([*(-v for v in d), _side(ball, d, _root_above(sum(v * v for v in d)))])


def _side(ball: NormBall, d: Sequence[Fraction | int], length: Fraction) -> Fraction:
    products = (Fraction(v) * Fraction(c) for v, c in zip(d, ball.centre.tolist(), strict=True))
    return Fraction(ball.radius) * length + sum(products, Fraction(0))


def _root_above(square: Fraction) -> Fraction:
    """A number at or above the root, off by 2^-BITS of it at most."""
    shift = max(0, BITS - (square.numerator.bit_length() - square.denominator.bit_length()) // 2)
    scaled = -((-square.numerator << 2 * shift) // square.denominator)
    root = isqrt(scaled)
    return Fraction(root + (root * root < scaled), 1 << shift)


def _integers(row: Sequence[Fraction | int]) -> list[int]:
    values = [Fraction(v) for v in row]
    unit = lcm(*(v.denominator for v in values))
    return [int(v * unit) for v in values]
