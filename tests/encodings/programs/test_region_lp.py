"""The LP over a region against the exact minimum at the region's vertices, in rational arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import oracle
import pytest
from scipy.optimize import linprog

from hypersplit.encodings.programs import region_lp
from hypersplit.encodings.programs.region_lp import minimise_over_region
from hypersplit.instances.network import Array, Layer, Network
from hypersplit.instances.property import Case, InputSet, Polyhedron

SECONDS = 60.0  # far beyond what any of these LPs needs
FEASIBLE = 1e-6  # the solver's tolerance on rows
SEEDS = range(40)


@dataclass(frozen=True, eq=False)
class Problem:
    """min over box and half-spaces of the largest of some affine functions."""

    lower: Array
    upper: Array
    cuts: Array
    coefficients: Array
    constants: Array

    def solve(self) -> tuple[float, Array | None]:
        """What the LP says."""
        return minimise_over_region(self.lower, self.upper, self.cuts, self.coefficients, self.constants, SECONDS)

    def minimum(self) -> Fraction | None:
        """The truth, None where the region is empty."""
        rows = len(self.constants)
        network = Network(len(self.lower), (Layer((0,), (self.coefficients,), self.constants),))
        region = InputSet(self.lower, self.upper, self.cuts[:, :-1], self.cuts[:, -1])
        found = oracle.worst_margin(network, Case(region, (Polyhedron(np.eye(rows), np.zeros(rows)),)))
        return None if found is None else found[0]

    def value(self, x: Array) -> Fraction:
        """The largest function at a point, exactly."""
        return max(exact_value(a, c, x) for a, c in zip(self.coefficients, self.constants, strict=True))

    def violation(self, x: Array) -> float:
        """How far the point is outside the half-spaces."""
        return max([0.0, *(float(-exact_value(cut[:-1], cut[-1], x)) for cut in self.cuts)])


def exact_value(a: Array, c: float, x: Array) -> Fraction:
    """a'x + c."""
    return oracle.exact_dot(a, [Fraction(v) for v in x.tolist()]) + Fraction(float(c))


def problem(seed: int, room: float, scale: float = 1.0, dyadic: bool = False) -> Problem:
    """2 to 5 inputs, up to 3 half-spaces, 1 to 3 functions.

    scale: the size of box and functions; room: how far, in this scale, the half-spaces stay from a common point,
    beyond it where negative; dyadic: multiples of 1/4, so that vertices, ties and degenerate corners are exact.
    """
    rng = np.random.default_rng(seed)
    n, cuts, rows = int(rng.integers(2, 6)), int(rng.integers(0, 4)), int(rng.integers(1, 4))

    def numbers(*shape: int) -> Array:
        return rng.integers(-8, 9, shape) / 4.0 if dyadic else rng.normal(size=shape)

    lower, upper = -rng.integers(1, 9, n) / 8.0, rng.integers(1, 9, n) / 8.0
    inside = np.round(4.0 * rng.uniform(lower, upper)) / 4.0 if dyadic else rng.uniform(lower, upper)
    inside = np.clip(inside, lower, upper)
    normals, coefficients, constants = numbers(cuts, n), numbers(rows, n), numbers(rows)
    offsets = room - normals @ inside
    halfspaces = np.column_stack([normals, scale * offsets])
    return Problem(scale * lower, scale * upper, halfspaces, coefficients, scale * constants)


def below(bound: float, truth: Fraction | None) -> bool:
    """Whether the claim is true; of an empty region every claim is."""
    assert not np.isnan(bound)
    return truth is None or bound == -np.inf or Fraction(bound) <= truth


@pytest.mark.parametrize("dyadic", [False, True])
@pytest.mark.parametrize("scale", [1e-2, 1.0, 1e3, 1e6])
def test_regions_with_room_are_minimised(scale: float, dyadic: bool) -> None:
    """Never above the exact minimum and within 1e-9 of it; the point is in the box and attains it."""
    for seed in SEEDS:
        p = problem(seed, 0.125, scale, dyadic)
        (bound, x), truth = p.solve(), p.minimum()
        assert truth is not None and x is not None, f"seed {seed}"
        assert below(bound, truth) and float(truth - Fraction(bound)) <= 1e-9 * scale, f"seed {seed}"
        assert (x >= p.lower).all() and (x <= p.upper).all(), f"seed {seed}"
        assert p.violation(x) <= FEASIBLE * scale and p.value(x) <= truth + Fraction(FEASIBLE * scale), f"seed {seed}"


def test_the_minimum_agrees_with_another_solver() -> None:
    """SciPy's LP of the same problem, which shares neither oracle nor solver with it."""
    for seed in SEEDS:
        p = problem(seed, 0.125)
        n, rows = len(p.lower), len(p.constants)
        answer = linprog(
            np.append(np.zeros(n), 1.0),
            np.concatenate([
                np.column_stack([p.coefficients, -np.ones(rows)]),
                np.column_stack([-p.cuts[:, :-1], np.zeros(len(p.cuts))]),
            ]),
            np.concatenate([-p.constants, p.cuts[:, -1]]),
            bounds=[*zip(p.lower, p.upper, strict=True), (None, None)],
        )  # fmt: skip
        assert p.solve()[0] == pytest.approx(answer.fun, abs=1e-7), f"seed {seed}"


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e-9, 1e-6, 1e9, 1e15, 1e30])
def test_no_scale_makes_a_false_claim(scale: float) -> None:
    """Far outside the solver's tolerances the bound may be weak, but it is true and the point is in the box."""
    for seed in SEEDS:
        for room in (0.125, 0.0, -0.25):
            p = problem(seed, room, scale)
            (bound, x), truth = p.solve(), p.minimum()
            assert below(bound, truth), f"seed {seed}, room {room}"
            if room > 0.0:
                assert x is not None and (x >= p.lower).all() and (x <= p.upper).all(), f"seed {seed}"


@pytest.mark.parametrize("room", [0.0, -1e-12, -1e-9, -1e-7])
def test_regions_that_touch_or_just_miss(room: float) -> None:
    """Half-spaces through one point of the region, or past it by about the solver's tolerance: no claim is false."""
    for seed in SEEDS:
        for dyadic in (False, True):
            p = problem(seed, room, dyadic=dyadic)
            bound, _ = p.solve()
            assert below(bound, p.minimum()), f"seed {seed}, dyadic {dyadic}"


@pytest.mark.parametrize("dyadic", [False, True])
def test_empty_regions_are_told_by_the_missing_point(dyadic: bool) -> None:
    """Regions that are empty by far give no point and a bound that says so; of the others the bounds are true."""
    empty = 0
    for seed in range(150):
        p = problem(seed, -0.5, dyadic=dyadic)
        (bound, x), truth = p.solve(), p.minimum()
        assert below(bound, truth) and (x is None) == (truth is None), f"seed {seed}"
        if truth is None:
            empty += 1
            assert bound > 100.0, f"seed {seed}: larger than any of the functions"
    assert empty > 15


def test_a_corner_that_is_touched_exactly() -> None:
    """x + y >= 2 leaves one corner of the unit box: its value is the bound, and no more is claimed."""
    p = Problem(np.zeros(2), np.ones(2), np.array([[1.0, 1.0, -2.0]]), np.array([[-3.0, 0.5]]), np.array([1.0]))
    bound, x = p.solve()
    assert p.minimum() == Fraction(-3, 2) and -1.5 - 1e-9 <= bound <= -1.5
    assert x is not None and x.tolist() == pytest.approx([1.0, 1.0], abs=1e-6)


def test_rows_of_a_disjunct_help_each_other() -> None:
    """max(x, -x) + 1/4 on [-1, 1]: each row alone falls to -3/4, together they stay above 1/4."""
    p = Problem(-np.ones(1), np.ones(1), np.zeros((0, 2)), np.array([[1.0], [-1.0]]), np.full(2, 0.25))
    bound, x = p.solve()
    assert 0.25 - 1e-12 < bound <= 0.25 and x is not None and abs(x[0]) < 1e-9


def test_boxes_that_are_flat() -> None:
    """Some or all inputs fixed: the minimum over what is left; a point off a half-space is an empty region."""
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        p = problem(seed, 0.125)
        fixed = rng.random(len(p.lower)) < rng.choice([0.3, 1.0])
        p.upper[fixed] = p.lower[fixed] = rng.uniform(p.lower, p.upper)[fixed]
        (bound, x), truth = p.solve(), p.minimum()
        assert below(bound, truth), f"seed {seed}"
        if truth is not None:
            assert x is not None and (x[fixed] == p.lower[fixed]).all(), f"seed {seed}"
            assert float(truth - Fraction(bound)) <= 1e-7, f"seed {seed}"
        if len(p.cuts) == 0 and fixed.all():
            assert float(abs(p.value(p.lower) - Fraction(bound))) <= 1e-13, f"seed {seed}"


def test_zero_rows_change_nothing() -> None:
    """Half-spaces that are all zero, copies of half-spaces and of functions, and a function that is constant."""
    for seed in SEEDS[:30]:
        p = problem(seed, 0.125)
        cuts = np.concatenate([np.zeros((1, p.cuts.shape[1])), p.cuts, p.cuts, np.zeros((2, p.cuts.shape[1]))])
        coefficients = np.concatenate([p.coefficients, p.coefficients])
        padded = Problem(p.lower, p.upper, cuts, coefficients, np.tile(p.constants, 2))
        truth = p.minimum()
        assert truth is not None and below(padded.solve()[0], truth), f"seed {seed}"
        assert float(truth) - padded.solve()[0] <= 1e-9, f"seed {seed}"
    flat = Problem(-np.ones(2), np.ones(2), np.zeros((1, 3)), np.zeros((2, 2)), np.array([-0.5, 0.25]))
    assert 0.25 - 1e-12 < flat.solve()[0] <= 0.25


def test_a_half_space_that_nothing_satisfies() -> None:
    """0'x - 1 >= 0 alone empties the region; 0'x + 1 >= 0 is nothing."""
    box = np.zeros(2), np.ones(2)
    function = np.ones((1, 2)), np.zeros(1)
    bound, x = Problem(*box, np.array([[0.0, 0.0, -1.0]]), *function).solve()
    assert x is None and bound > 0.0
    bound, x = Problem(*box, np.array([[0.0, 0.0, 1.0]]), *function).solve()
    assert x is not None and -1e-12 < bound <= 0.0


def test_coefficients_of_very_different_sizes() -> None:
    """Functions and half-spaces multiplied by powers of ten from 1e-9 to 1e9, one by one: true, never NaN."""
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        p = problem(seed, 0.125)
        cuts = p.cuts * 10.0 ** rng.integers(-9, 10, (len(p.cuts), 1))
        factors = 10.0 ** rng.integers(-9, 10, len(p.constants))
        q = Problem(p.lower, p.upper, cuts, p.coefficients * factors[:, None], p.constants * factors)
        assert below(q.solve()[0], q.minimum()), f"seed {seed}"


class Liar:
    """A solver that answers with weights of the test's choosing."""

    def __init__(self, weights: list[float], optimal: bool, inputs: int) -> None:
        self.weights, self.optimal, self.inputs = weights, optimal, inputs

    def __call__(self) -> Liar:
        return self

    def infinity(self) -> float:
        """The largest number."""
        return 1e20

    def addCols(self, *_: object) -> None:
        """Nothing is kept."""

    addRows = setIntParam = setRealParam = solve = addCols

    def isOptimal(self) -> bool:
        """Whether an optimum is claimed."""
        return self.optimal

    def isDualFeasible(self) -> bool:
        """Never by a basis."""
        return False

    def getDual(self) -> list[float]:
        """The weights."""
        return self.weights

    getDualRay = getDual

    def getPrimal(self) -> list[float]:
        """A point far outside every box."""
        return [1e6] * (self.inputs + 1)


@pytest.mark.parametrize("optimal", [True, False])
def test_the_solver_is_believed_for_nothing(monkeypatch: pytest.MonkeyPatch, optimal: bool) -> None:
    """Whatever weights it gives, NaN and infinity among them, the bound is true and the point is in the box."""
    import pyscipopt

    informative = 0
    for seed in SEEDS:
        p = problem(seed, 0.125)
        rng = np.random.default_rng(seed)
        weights = 10.0 ** rng.uniform(-3, 3) * rng.normal(size=len(p.constants) + len(p.cuts))
        weights[rng.random(len(weights)) < 0.1] = rng.choice([np.nan, np.inf, -np.inf])
        with monkeypatch.context() as patch:
            patch.setattr(pyscipopt, "LP", Liar(weights.tolist(), optimal, len(p.lower)))
            bound, x = p.solve()
        assert below(bound, p.minimum()), f"seed {seed}"
        assert (x is not None) == optimal and (x is None or (x == p.upper).all()), f"seed {seed}"
        informative += np.isfinite(bound)
    assert informative > 20


def test_a_solver_that_fails_leaves_nothing_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception, and an end without optimum or ray: what one row says over the box, and no point."""
    import pyscipopt

    class Broken(Liar):
        def solve(self, *_: object) -> None:
            raise Exception("SCIP: error in LP solver!")

    class Stopped(Liar):
        def getDualRay(self) -> None:  # type: ignore[override]
            return None

    p = problem(3, 0.125)
    for kind in (Broken, Stopped):
        monkeypatch.setattr(pyscipopt, "LP", kind([1.0] * 6, False, len(p.lower)))
        single = max(
            c + np.minimum(a * p.lower, a * p.upper).sum() for a, c in zip(p.coefficients, p.constants, strict=True)
        )
        bound, point = p.solve()
        assert point is None and bound == pytest.approx(single, rel=1e-9, abs=1e-9), kind.__name__
        assert bound < single


def test_the_bound_of_given_weights_is_their_formula() -> None:
    """Within its rounding error below (sum lambda (a'x + c) - sum beta (g'x + h)) / sum lambda over the box."""
    for seed in SEEDS:
        p = problem(seed, 0.125)
        rng = np.random.default_rng(seed)
        lambdas, betas = rng.uniform(0.1, 1.0, len(p.constants)), rng.uniform(0.0, 1.0, len(p.cuts))
        normal, offset = [Fraction(0)] * len(p.lower), Fraction(0)
        for weight, row in zip(
            [*lambdas, *-betas], [*np.column_stack([p.coefficients, p.constants]), *p.cuts], strict=True
        ):
            normal = [a + Fraction(weight) * Fraction(v) for a, v in zip(normal, row[:-1], strict=True)]
            offset += Fraction(weight) * Fraction(row[-1])
        ends = zip(normal, p.lower, p.upper, strict=True)
        low = sum((min(a * Fraction(low), a * Fraction(high)) for a, low, high in ends), offset)
        truth = low / sum((Fraction(w) for w in lambdas), Fraction(0))
        bound = region_lp._safe_bound(p.lower, p.upper, p.cuts, p.coefficients, p.constants, lambdas, betas)
        assert 0 <= truth - Fraction(bound) <= Fraction(1e-11), f"seed {seed}"


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf, -1.0])
def test_one_broken_weight_does_not_spoil_the_others(broken: float) -> None:
    """Weights that are not finite or negative count as zero, of functions as of half-spaces."""
    p = problem(0, 0.125)
    p = Problem(p.lower, p.upper, np.ones((2, len(p.lower) + 1)), np.ones((2, len(p.lower))), np.array([0.5, 3.0]))
    given = p.lower, p.upper, p.cuts, p.coefficients, p.constants
    bound = region_lp._safe_bound(*given, np.array([1.0, broken]), np.array([broken, 0.25]))
    assert np.isfinite(bound) and bound == region_lp._safe_bound(*given, np.array([1.0, 0.0]), np.array([0.0, 0.25]))
    assert region_lp._safe_bound(*given, np.full(2, broken), np.ones(2)) == -np.inf, "no weight left to divide by"
