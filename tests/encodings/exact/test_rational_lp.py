"""Rational linear systems against their vertices: feasible, empty by a certificate, touching, badly scaled, strict."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import oracle
import pytest

from hypersplit.encodings.exact.rational_lp import ExactLP, Row, proves_empty
from hypersplit.encodings.exact.starting_basis import begin
from hypersplit.instances.property import InputSet

Box = tuple[list[int], list[int]]
FOREVER = math.inf
ENDS = 2**40  # the box of systems with many inputs is [-1, 1] in these units


def system(seed: int, strict: float = 0.3) -> tuple[Box, list[Row]]:
    """Up to three inputs and six rows of small integers; many of the rows touch each other or the box."""
    rng = np.random.default_rng(seed)
    n, count = int(rng.integers(1, 4)), int(rng.integers(0, 7))
    lower = rng.integers(-4, 3, n)
    upper = lower + rng.integers(0, 5, n) * (rng.random(n) < 0.85)
    normals = rng.integers(-3, 4, (count, n))
    inside = np.round(lower + (upper - lower) * rng.random(n)).astype(int)
    offsets = -normals @ inside + rng.integers(-2, 2, count)
    rows = [
        Row(tuple(g), int(h), bool(s))
        for g, h, s in zip(normals.tolist(), offsets, rng.random(count) < strict, strict=True)
    ]
    return (lower.tolist(), upper.tolist()), rows


def has_solution(box: Box, rows: list[Row], unit: int = 1) -> bool:
    """By the vertices of what the rows leave; strict rows must be positive in the middle of them."""
    lower, upper = (np.array(end, dtype=np.float64) / unit for end in box)
    part = oracle.Polytope.of(InputSet.box(lower, upper))
    for row in rows:
        part = part.cut((*row.normal, row.offset))
    points = part.points()
    if not points:
        return False
    middle = [sum(p[j] for p in points) / len(points) for j in range(len(lower))]
    return all(value(row, middle) > 0 for row in rows if row.strict)


def value(row: Row, x: list[Fraction]) -> Fraction:
    """g'x + h."""
    return sum((g * a for g, a in zip(row.normal, x, strict=True)), Fraction(row.offset))


def solved(box: Box, rows: list[Row], unit: int = 1, start: bool = False) -> bool:
    """Whether there is a solution; whatever is claimed is checked by itself."""
    lp = ExactLP(*box, unit)
    for row in rows:
        lp.add(row)
    if start:
        begin(lp, FOREVER)
    status = lp.solve(FOREVER)
    assert status in ("point", "empty"), status
    if status == "empty":
        assert proves_empty(lp.rows, lp.multipliers, lp.lower, lp.upper, lp.unit)
        return False
    x = lp.point()
    assert all(Fraction(a, unit) <= v <= Fraction(b, unit) for a, v, b in zip(box[0], x, box[1], strict=True))
    assert all(value(row, x) > 0 if row.strict else value(row, x) >= 0 for row in rows)
    return True


@pytest.mark.parametrize("start", [False, True])
def test_small_systems_agree_with_their_vertices(start: bool) -> None:
    """Hundreds of systems, degenerate and touching ones among them, with and without a float start."""
    answers = []
    for seed in range(600 if not start else 200):
        box, rows = system(seed)
        answers.append(solved(box, rows, start=start))
        assert answers[-1] == has_solution(box, rows), seed
    assert 0.2 < np.mean(answers) < 0.8


@pytest.mark.parametrize(("large", "small"), [(10**3, 10**3), (10**8, 10**8), (10**16, 1)])
def test_scales_change_nothing(large: int, small: int) -> None:
    """Rows and inputs of very different sizes: an input in units of 1 / small, rows times large."""
    for seed in range(200):
        (lower, upper), rows = system(1000 + seed)
        truth = solved((lower, upper), rows)
        # the first input counts in steps of 1 / small, odd rows are large
        shrunk = [
            Row((row.normal[0] * small, *row.normal[1:]), row.offset, row.strict) for row in rows
        ]
        grown = [
            Row(tuple(g * large for g in row.normal), row.offset * large, row.strict) if i % 2 else row
            for i, row in enumerate(shrunk)
        ]
        box = ([lower[0], *(a * small for a in lower[1:])], [upper[0], *(b * small for b in upper[1:])])
        assert solved(box, grown, small) == truth, seed


@pytest.mark.parametrize("start", [False, True])
@pytest.mark.parametrize("hair", [Fraction(1, 10**16), Fraction(1, 2**80)])
def test_a_hair_decides(hair: Fraction, start: bool) -> None:
    """x + y >= 1 and x + y <= 1 - hair has no solution, with + hair it has; strict at equality it has none."""
    unit = hair.denominator
    box = [0, 0], [1, 1]
    above = Row((1, 1), -1)

    def below(gap: int, strict: bool = False) -> Row:
        return Row((-unit, -unit), unit + gap, strict)

    assert not solved(box, [above, below(-1)], start=start)
    assert solved(box, [above, below(1)], start=start)
    assert solved(box, [above, below(0)], start=start)
    assert not solved(box, [above, below(0, strict=True)], start=start)
    assert solved(box, [above, below(1, strict=True)], start=start)


@pytest.mark.parametrize("gap", [10**20, 1, 0, -1, -(10**20)])
def test_systems_with_more_inputs(gap: int) -> None:
    """Twenty inputs, sixty rows through a known point with room `gap`, one of them reversed: empty where gap < 0."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        inside = rng.integers(-ENDS, ENDS, 20).tolist()
        rows = []
        for g in rng.integers(-(10**9), 10**9, (60, 20)).tolist():
            at = sum(a * b for a, b in zip(g, inside, strict=True))
            rows.append(Row(tuple(c * ENDS for c in g), max(gap, 0) - at))
        opposite = rows[0].reversed(strict=False)
        rows.append(opposite._replace(offset=opposite.offset + 2 * gap))
        assert solved(([-ENDS] * 20, [ENDS] * 20), rows, ENDS, start=True) == (gap >= 0)


def test_a_copy_goes_on_by_itself() -> None:
    """Rows and fixed inputs of a copy leave the original as it was."""
    for seed in range(200):
        (lower, upper), rows = system(2000 + seed)
        lp = ExactLP(lower, upper, 1)
        for row in rows[: len(rows) // 2]:
            lp.add(row)
        before = lp.solve(FOREVER)
        other = lp.copy()
        for row in rows[len(rows) // 2 :]:
            other.add(row)
        assert (other.solve(FOREVER) == "point") == has_solution((lower, upper), rows), seed
        fixed = lp.copy()
        middle = Fraction(lower[0] + upper[0], 2)
        fixed.fix(0, middle)
        if fixed.solve(FOREVER) == "point":
            assert before == "point" and fixed.point()[0] == middle
        assert lp.solve(FOREVER) == before and lp.unit == 1


def test_multipliers_are_checked() -> None:
    """Negative weights, a positive maximum, and equality without a strict row prove nothing."""
    rows = [Row((1,), -2), Row((1,), -1, True), Row((1,), -1)]  # x >= 2, x > 1, x >= 1 for x in [0, 1]
    assert proves_empty(rows, {0: 1}, [0], [1], 1)
    assert proves_empty(rows, {1: 1}, [0], [1], 1)
    assert not proves_empty(rows, {2: 1}, [0], [1], 1)
    assert not proves_empty(rows, {0: 1, 2: -1}, [0], [1], 1)
    assert not proves_empty(rows, {}, [0], [1], 1)


def test_time_is_respected() -> None:
    """Past the deadline no pivot is made."""
    lp = ExactLP([0, 0], [1, 1], 1)
    lp.add(Row((2, 2), -3))
    assert lp.solve(-FOREVER) == "time"
    assert lp.pivots == 0
