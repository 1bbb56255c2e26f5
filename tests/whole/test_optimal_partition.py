"""Optimal partitions (Anderson, Ma, Li, Sojoudi, CDC 2020), statement by statement, one hidden layer.

f* = max c'ReLU(W x + b) over a polytope X comes from the oracle, the triangle relaxation's f^ from scipy's LP
with exact pre-activation bounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, product

import numpy as np
import oracle
import pytest
from random_instances import Shape, random_region
from scipy.optimize import linprog

from hypersplit.encodings.linear.linear_bounds import bound
from hypersplit.heuristics.splits.hyperplanes import first_layers, optimal_partition_scores
from hypersplit.instances.batch import root
from hypersplit.instances.network import Array, sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import queries

TOLERANCE = 1e-7  # of the LP solver
SEEDS = range(120)


@dataclass(frozen=True, eq=False)
class Problem:
    """max objective'ReLU(weights x + bias) over a region."""

    weights: Array
    bias: Array
    objective: Array
    region: InputSet

    @property
    def network(self):  # type: ignore[no-untyped-def]
        """The hidden layer, ReLU on its output."""
        return sequential([self.weights], [self.bias], last="relu")

    def ranges(self) -> tuple[Array, Array] | None:
        """Exact pre-activation bounds, rounded to the nearest floats; None where the region is empty."""
        found = oracle.pre_activation_ranges(self.network, self.region)
        return None if found is None else tuple(np.array([[float(v) for v in ends] for ends in found[0]]).T)

    def optimum(self) -> float:
        """f*, exact up to one rounding; -inf where the region is empty."""
        low = oracle.minimum(self.network, self.region, -self.objective)
        return -np.inf if low is None else -float(low)

    def relaxation(self) -> tuple[float, Array]:
        """(f^, its optimal x) of the triangle relaxation [2], [5]; f^ = -inf where the region is empty."""
        ends = self.ranges()
        if ends is None:
            return -np.inf, np.zeros(0)
        lower, upper = ends
        n, m = self.region.size, len(self.bias)
        unstable = (lower < 0) & (upper > 0)
        slope = np.where(unstable, upper / np.where(unstable, upper - lower, 1.0), lower >= 0)
        intercept = np.where(unstable, -slope * lower, 0.0)
        rows = [
            np.hstack([-slope[:, None] * self.weights, np.eye(m)]),  # y <= slope z + intercept
            np.hstack([self.weights, -np.eye(m)])[upper > 0],  # y >= z
            np.hstack([-self.region.rows, np.zeros((len(self.region.rows), m))]),
        ]
        rhs = [slope * self.bias + intercept, -self.bias[upper > 0], self.region.offsets]
        bounds = [*zip(self.region.lower, self.region.upper, strict=True), *[(0, None)] * m]
        answer = linprog(
            np.append(np.zeros(n), -self.objective), np.concatenate(rows), np.concatenate(rhs), bounds=bounds
        )
        assert answer.status == 0, answer.message
        return -answer.fun, answer.x[:n]

    def scores(self) -> Array:
        """ReLU(c_i) (-u_i l_i) / (u_i - l_i), the terms of Thm 1; zeros where the region is empty."""
        ends = self.ranges()
        if ends is None:
            return np.zeros(len(self.bias))
        return optimal_partition_scores(np.maximum(self.objective, 0.0), *ends)

    def part(self, signs: dict[int, int]) -> Problem:
        """The part of the region where sign (w_i'x + b_i) >= 0 for the given rows."""
        rows = np.array([s * self.weights[i] for i, s in signs.items()]).reshape(-1, self.region.size)
        offsets = np.array([s * self.bias[i] for i, s in signs.items()])
        region = InputSet(
            self.region.lower, self.region.upper,
            np.concatenate([self.region.rows, rows]), np.concatenate([self.region.offsets, offsets]),
        )  # fmt: skip
        return Problem(self.weights, self.bias, self.objective, region)

    def parts(self, rows: tuple[int, ...]) -> list[Problem]:
        """All 2^len(rows) parts by the hyperplanes of some rows."""
        return [
            self.part(dict(zip(rows, signs, strict=True))) for signs in product((1, -1), repeat=len(rows))
        ]


def problem(seed: int) -> Problem:
    """One hidden layer of 2-5 neurons, 1-4 inputs, a polytope, an objective of both signs."""
    rng = np.random.default_rng(seed)
    inputs, neurons = int(rng.integers(1, 5)), int(rng.integers(2, 6))
    region = random_region(rng, inputs, Shape(fixed=0.05, halfspaces=0.5))
    weights = rng.integers(-8, 9, (neurons, inputs)) / 4.0
    middle = (region.lower + region.upper) / 2
    bias = (
        -np.round(4 * weights @ middle) / 4 + rng.integers(-4, 5, neurons) / 4.0
    )  # most rows cut the region
    return Problem(weights, bias, rng.integers(-4, 9, neurons) / 4.0, region)


def partitioned(parts: list[Problem]) -> float:
    """max over the parts of f^(part)."""
    return max(part.relaxation()[0] for part in parts)


def test_theorem_1_without_a_common_optimum() -> None:
    """f^ - f* <= - sum ReLU(c_i) u_i l_i / (u_i - l_i), also where the optimal x of f^ and f* differ."""
    apart = loose = 0
    for seed in SEEDS:
        p = problem(seed)
        truth, (relaxed, x) = p.optimum(), p.relaxation()
        at_x = float(p.objective @ np.maximum(p.weights @ x + p.bias, 0.0))
        worst_case = p.scores().sum()
        assert truth - TOLERANCE <= relaxed <= truth + worst_case + TOLERANCE, f"seed {seed}"
        assert relaxed - at_x <= worst_case + TOLERANCE, f"seed {seed}: the step that replaces the assumption"
        apart += at_x < truth - 1e-3
        loose += relaxed > truth + 1e-3
    assert apart >= 10 and loose >= 40, (apart, loose)


def test_theorem_1_is_attained() -> None:
    """ReLU(x) - ReLU(x) - ReLU(-x) / 2 on [-1, 1]: f* = 0, f^ = 1/2 at x = 0, and the only term is 1/2."""
    box = InputSet.box(-np.ones(1), np.ones(1))
    p = Problem(np.array([[1.0], [1.0], [-1.0]]), np.zeros(3), np.array([1.0, -1.0, -0.5]), box)
    assert p.optimum() == 0.0 and p.relaxation()[0] == pytest.approx(0.5)
    assert p.scores() == pytest.approx([0.5, 0.0, 0.0])


def test_corollary_1_worst_case_error_scales_with_the_bounds() -> None:
    """Shrinking all pre-activation bounds by alpha shrinks every term by alpha."""
    rng = np.random.default_rng(0)
    lower, upper, weight = -rng.random(50), rng.random(50), rng.random(50)
    whole = optimal_partition_scores(weight, lower, upper)
    for alpha in (0.5, 0.125):
        np.testing.assert_allclose(
            optimal_partition_scores(weight, alpha * lower, alpha * upper), alpha * whole
        )


def test_scores_are_the_formula_and_zero_for_stable_rows() -> None:
    """multiplier (-u l) / (u - l) in rational arithmetic; 0 where l >= 0 or u <= 0; any shape."""
    rng = np.random.default_rng(1)
    weight, lower, upper = rng.random((3, 4)), -rng.random((3, 4)), rng.random((3, 4))
    got = optimal_partition_scores(weight, lower, upper)
    for w, a, b, score in zip(weight.flat, lower.flat, upper.flat, got.flat, strict=True):
        low, high = Fraction(float(a)), Fraction(float(b))
        assert float(Fraction(float(w)) * -high * low / (high - low)) == pytest.approx(score, rel=1e-14)
    stable = np.array([[0.0, 1.0], [-1.0, 0.0], [1.0, 2.0], [-2.0, -1.0], [0.0, 0.0]]).T
    assert not optimal_partition_scores(np.ones(5), *stable).any()


def test_lemma_2_a_split_removes_its_own_term() -> None:
    """On both sides of row i's hyperplane term i is gone, the others have not grown: f^ <= f* + B - term."""
    split = 0
    for seed in SEEDS:
        p = problem(seed)
        truth, scores = p.optimum(), p.scores()
        for i in np.flatnonzero(scores):
            split += 1
            for part in p.parts((int(i),)):
                assert part.scores()[i] == 0.0, f"seed {seed}, row {i}"
                assert np.all(part.scores() <= scores + 1e-12), f"seed {seed}, row {i}"
            assert partitioned(p.parts((int(i),))) <= truth + scores.sum() - scores[i] + TOLERANCE, (
                f"seed {seed}, row {i}"
            )
    assert split >= 100


@pytest.mark.parametrize("count", [1, 2])
def test_theorem_2_the_largest_scores_minimise_the_worst_case(count: int) -> None:
    """Of all choices of n_p rows the largest scores leave the smallest worst-case bound; the LPs obey it."""
    compared = 0
    for seed in SEEDS:
        p = problem(seed)
        scores = p.scores()
        chosen = tuple(int(i) for i in np.argsort(-scores, kind="stable")[:count])
        left = {
            rows: sum(scores[i] for i in range(len(scores)) if i not in rows)
            for rows in combinations(range(len(scores)), count)
        }
        best = left[tuple(sorted(chosen))]
        assert best <= min(left.values()) + 1e-12, f"seed {seed}"
        compared += best < max(left.values()) - 1e-9
        assert partitioned(p.parts(chosen)) <= p.optimum() + best + TOLERANCE, f"seed {seed}, rows {chosen}"
    assert compared >= 60


def test_theorem_2_is_about_the_worst_case_only() -> None:
    """The largest score gains nothing where the relaxation's optimum is at its end; a smaller one gains all.

    2 ReLU(x1) is relaxed without error at x1 = 1; all error comes from x2 (`test_theorem_1_is_attained`).
    """
    rows = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, -1.0]])
    p = Problem(rows, np.zeros(4), np.array([2.0, 1.0, -1.0, -0.5]), InputSet.box(-np.ones(2), np.ones(2)))
    assert p.scores() == pytest.approx([1.0, 0.5, 0.0, 0.0])
    assert p.optimum() == 2.0 and p.relaxation()[0] == pytest.approx(2.5)
    assert partitioned(p.parts((0,))) == pytest.approx(2.5)
    assert partitioned(p.parts((1,))) == pytest.approx(2.0)


def test_proposition_4_all_sign_patterns_are_exact() -> None:
    """The partition into all 2^n sign patterns of the rows leaves no relaxation error at all."""
    for seed in range(40):
        p = problem(seed)
        exact = partitioned(p.parts(tuple(range(len(p.bias)))))
        assert exact == pytest.approx(p.optimum(), abs=TOLERANCE), f"seed {seed}"


def test_propositions_1_and_2_a_partition_bounds_and_never_loosens() -> None:
    """Any partition by hyperplanes, nested ones too: f* <= max over the parts of f^(part) <= f^."""
    tighter = 0
    for seed in SEEDS:
        p, rng = problem(seed), np.random.default_rng(seed)
        rows = tuple(int(i) for i in rng.permutation(len(p.bias))[: rng.integers(1, 4)])
        truth, relaxed, split = p.optimum(), p.relaxation()[0], partitioned(p.parts(rows))
        assert truth - TOLERANCE <= split <= relaxed + TOLERANCE, f"seed {seed}, rows {rows}"
        tighter += split < relaxed - 1e-3
    assert tighter >= 30


def test_the_search_scores_rows_as_the_paper_does() -> None:
    """For one hidden layer back-substitution's multipliers are ReLU(c_i): the search's scores are Thm 2's."""
    for seed in SEEDS:
        p = problem(seed)
        network = sequential([p.weights, p.objective[None]], [p.bias, np.zeros(1)])
        case = Case(
            p.region, (Polyhedron(-np.ones((1, 1)), np.zeros(1)),)
        )  # margin -c'y: forbidden is c'f(x) >= 0
        query = queries(network, Property((case,), p.region.size, 1))[0]
        bounds = bound(query, root(query))
        hidden, ends = first_layers(query), p.ranges()
        assert ends is not None
        unstable = (ends[0] < 0) & (ends[1] > 0)
        got = bounds.multipliers[0, 0, hidden]
        assert got[unstable] == pytest.approx(np.maximum(p.objective, 0.0)[unstable]), f"seed {seed}"
        if not len(p.region.rows):  # otherwise the bounds need not be exact
            scores = optimal_partition_scores(got, bounds.pre_lower[0, hidden], bounds.pre_upper[0, hidden])
            assert scores == pytest.approx(p.scores(), abs=1e-9), f"seed {seed}"
