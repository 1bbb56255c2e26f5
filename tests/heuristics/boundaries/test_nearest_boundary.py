"""Attacks on a classifier's nearest boundary: in ball and range, of another class, and no nearer than there is one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from hypersplit import Network, sequential, verify
from hypersplit.bab.robustness.question import question, whole_range
from hypersplit.heuristics.attacks.lengths import dual_lengths, lengths, projected, steepest
from hypersplit.heuristics.boundaries.ball_descent import ball_descent, ball_starts
from hypersplit.heuristics.boundaries.class_gaps import ANY, ClassGaps
from hypersplit.heuristics.boundaries.deepfool import OVERSHOOT, deepfool
from hypersplit.heuristics.boundaries.iterative_gradient import iterative_gradient
from hypersplit.heuristics.boundaries.minimal_norm import minimal_norm
from hypersplit.heuristics.boundaries.nearest import closer, nearest
from hypersplit.heuristics.boundaries.plane_steps import least_steps
from hypersplit.heuristics.boundaries.pulling import pulled
from hypersplit.instances.network import Array

NORMS = [1, 2, np.inf]
SLACK = 1e-9  # of float64, relative


def classifier(rng: np.random.Generator, inputs: int = 4, classes: int = 3) -> Network:
    """A random ReLU chain; in the middle of the unit cube all classes are even, so that boundaries run through it."""
    sizes = [inputs, 8, 6, classes]
    weights = [rng.normal(size=(m, n)) / np.sqrt(n) for n, m in zip(sizes, sizes[1:], strict=False)]
    biases = [0.3 * rng.normal(size=m) for m in sizes[1:]]
    even = sequential(weights, biases).evaluate(np.full(inputs, 0.5))
    return sequential(weights, [*biases[:-1], biases[-1] - even])


def unit(size: int) -> tuple[Array, Array]:
    """The range [0, 1] of so many inputs."""
    return np.zeros(size), np.ones(size)


def others_win(network: Network, points: Array, labels: Array) -> Array:
    """Whether some other output is at least the label's, evaluated in float64."""
    y = network.evaluate(points)
    own = y[np.arange(len(y)), labels]
    y[np.arange(len(y)), labels] = -np.inf
    return np.asarray(y.max(axis=1) >= own)


@pytest.mark.parametrize("norm", NORMS)
def test_steepest_directions_have_length_one_and_the_dual_norms_slope(norm: float) -> None:
    """In l1 the slope is that of the largest inputs, shared equally; with so few inputs it is a single one."""
    g = np.random.default_rng(0).normal(size=(50, 6))
    d = steepest(g, norm)
    assert np.allclose(lengths(d, norm), 1.0)
    assert np.allclose((g * d).sum(axis=1), -dual_lengths(g, norm))
    room = np.ones_like(g, dtype=bool)
    room[:, :3] = False
    assert not steepest(g, norm, room)[:, :3].any()
    assert not steepest(np.zeros((2, 6)), norm).any()


@pytest.mark.parametrize("norm", NORMS)
def test_projections_are_the_nearest_points_of_ball_and_box(norm: float) -> None:
    """Inside both, and no point that is in both lies nearer in l2."""
    rng = np.random.default_rng(1)
    low, high = unit(5)
    for _ in range(30):
        centre, point, radius = rng.uniform(size=5), rng.normal(0.5, 1.0, size=5), rng.uniform(0.05, 1.0)
        found = projected(point[None], centre[None], np.array([radius]), norm, low, high)[0]
        assert (found >= low).all() and (found <= high).all()
        assert lengths(found - centre, norm) <= radius * (1.0 + SLACK)
        feasible = np.clip(centre + rng.normal(size=(4000, 5)) * radius, low, high)
        feasible = np.concatenate([feasible, found + 0.05 * radius * rng.normal(size=(4000, 5))]).clip(low, high)
        feasible = feasible[lengths(feasible - centre, norm) <= radius]
        assert len(feasible) and lengths(feasible - point, 2).min() >= lengths(found - point, 2) - 1e-7


@pytest.mark.parametrize("norm", NORMS)
def test_projections_onto_balls_of_every_size_lie_inside(norm: float) -> None:
    """To the last bit, from points at any distance, in ranges without ends too; nothing of the ball is given away."""
    rng = np.random.default_rng(3)
    for _ in range(200):
        size = int(rng.integers(1, 9))
        low = np.where(rng.uniform(size=size) < 0.3, -np.inf, 0.0)
        high = np.where(rng.uniform(size=size) < 0.3, np.inf, 1.0)
        centres = rng.uniform(size=(4, size)).round(int(rng.integers(0, 4)))
        points = centres + rng.normal(size=(4, size)) * 10.0 ** rng.uniform(-3, 3)
        radii = np.append(10.0 ** rng.uniform(-5, 1, size=3), 0.0)
        found = projected(points, centres, radii, norm, low, high)
        assert (found >= low).all() and (found <= high).all()
        reach, inside = lengths(found - centres, norm), lengths(points.clip(low, high) - centres, norm)
        assert (reach <= radii * (1.0 + (SLACK if norm == np.inf else 0.0))).all()
        assert reach == pytest.approx(np.minimum(inside, radii), rel=1e-5, abs=1e-12)
        assert (np.abs(found - centres) <= np.abs(points - centres) + SLACK).all()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("far", [1e3, 1e9, 1e100, np.inf])
def test_projections_of_points_far_away_reach_the_sphere(norm: float, far: float) -> None:
    """However far: none falls back to the centre, and a coordinate that is NaN stays at it."""
    centre, radius = np.array([[0.5, 0.25, 0.7]]), np.array([1e-3])
    points = centre + np.array([[far, 0.3, np.nan]])
    found = projected(points, centre, radius, norm, np.zeros(3), np.ones(3))
    assert lengths(found - centre, norm) == pytest.approx(radius, rel=1e-5)
    assert found[0, 0] > 0.5 and found[0, 2] == 0.7


@pytest.mark.parametrize("norm", [1, np.inf])
def test_least_steps_are_those_of_a_linear_program(norm: float) -> None:
    """Within the box, on the plane, and as short as the exact optimum."""
    rng = np.random.default_rng(2)
    low, high, n = np.full(4, -np.inf), np.ones(4), 4
    for _ in range(30):
        g, x, gap = rng.normal(size=n), rng.uniform(size=n), rng.uniform(0.01, 1.0)
        low = np.where(rng.uniform(size=n) < 0.5, -np.inf, 0.0)
        step = least_steps(np.array([gap]), g[None], x[None], norm, low, high)[0]
        # variables: step, bounds of its sizes (one each for l1, a common one else)
        sizes = np.eye(n) if norm == 1 else np.ones((n, 1))
        rows = np.block([[np.eye(n), -sizes], [-np.eye(n), -sizes], [g[None], np.zeros((1, sizes.shape[1]))]])
        cost = np.concatenate([np.zeros(n), np.ones(sizes.shape[1])])
        ends = [(a, b) for a, b in zip(low - x, high - x, strict=True)] + [(0, None)] * sizes.shape[1]
        best = linprog(cost, rows, np.concatenate([np.zeros(2 * n), [-gap]]), bounds=ends)
        if best.status == 2:  # the box ends before the plane
            assert gap + g @ step > 0.0
            continue
        assert gap + g @ step == pytest.approx(0.0, abs=1e-9)
        assert (x + step >= low - SLACK).all() and (x + step <= high + SLACK).all()
        assert lengths(step, norm) == pytest.approx(best.fun, abs=1e-7)


def test_least_steps_in_l2_are_perpendicular_where_the_box_does_not_matter() -> None:
    """gap / ||g||, along the gradient; with a box they are longer, and no feasible point is nearer."""
    rng = np.random.default_rng(3)
    g, gap = rng.normal(size=(20, 3)), rng.uniform(0.1, 1.0, size=20)
    wide = np.full(3, np.inf)
    step = least_steps(gap, g, np.zeros((20, 3)), 2, -wide, wide)
    assert np.allclose(step, -(gap / (g**2).sum(axis=1))[:, None] * g)
    narrow = np.full(3, 0.6)
    bounded = least_steps(gap, g, np.zeros((20, 3)), 2, -narrow, narrow)
    points = rng.uniform(-0.6, 0.6, size=(100_000, 3))
    for k in range(20):
        beyond = points[points @ g[k] <= -gap[k]]
        if len(beyond):
            assert lengths(bounded[k], 2) <= lengths(beyond, 2).min() + SLACK
            assert gap[k] + g[k] @ bounded[k] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("norm", NORMS)
def test_deepfool_takes_the_exact_distance_of_a_linear_classifier(norm: float) -> None:
    """min_j gap_j / ||g_j||_q, and the overshoot; also when one class alone is aimed at."""
    rng = np.random.default_rng(4)
    network = sequential([rng.normal(size=(4, 6))], [rng.normal(size=4)])
    x = rng.normal(size=6)
    y, w = network.evaluate(x), network.layers[0].weights[0]
    label = int(y.argmax())
    wide = np.full(6, np.inf)
    gaps = ClassGaps(network, x[None], -wide, wide)
    rivals = [j for j in range(4) if j != label]
    exact = {j: (y[label] - y[j]) / float(dual_lengths(w[label] - w[j], norm)) for j in rivals}
    for target, distance in [(ANY, min(exact.values())), *exact.items()]:
        found = deepfool(gaps, x[None], np.array([label]), np.array([target]), norm, 10)[0]
        assert lengths(found - x, norm) == pytest.approx(distance * (1.0 + OVERSHOOT), rel=1e-6)
        assert others_win(network, found[None], np.array([label]))[0]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("seed", range(4))
def test_attacks_find_other_classes_within_norm_and_range(norm: float, seed: int) -> None:
    """What the attacks call candidates is in ball and range and of another class; without a candidate, they say so."""
    rng = np.random.default_rng(seed)
    network = classifier(rng)
    low, high = unit(4)
    points = rng.uniform(size=(12, 4))
    labels = network.evaluate(points).argmax(axis=1)
    targets = np.full(12, ANY)
    gaps = ClassGaps(network, points, low, high)
    radii = np.full(12, {1: 0.8, 2: 0.5, np.inf: 0.3}[norm])
    starts = np.concatenate([ball_starts(x, radii[0], norm, low, high, 1, rng) for x in points])
    met = 0
    for found, gap in (
        iterative_gradient(gaps, points, radii, labels, norm, 20),
        ball_descent(gaps, points, radii, labels, targets, norm, starts, 40),
    ):
        assert (found >= low).all() and (found <= high).all()
        assert (lengths(found - points, norm) <= radii * (1.0 + SLACK)).all()
        assert (others_win(network, found, labels) == (gap <= 0.0)).all()
        met += int((gap <= 0.0).sum())
    found, distance = minimal_norm(gaps, points, labels, targets, norm, points, 60)
    hit = np.isfinite(distance)
    assert (others_win(network, found[hit], labels[hit])).all()
    assert np.allclose(distance[hit], lengths(found[hit] - points[hit], norm))
    assert (found >= low).all() and (found <= high).all()
    assert met and hit.any(), f"seed {seed}: nothing was attacked"


@pytest.mark.parametrize("norm", NORMS)
def test_pulled_points_stay_candidates_and_come_no_farther(norm: float) -> None:
    """And where the start is none, it stays where it is."""
    rng = np.random.default_rng(5)
    network = classifier(rng)
    low, high = unit(4)
    centres, points = rng.uniform(size=(2, 200, 4))
    labels, targets = network.evaluate(centres).argmax(axis=1), np.full(200, ANY)
    gaps = ClassGaps(network, centres, low, high)
    before = others_win(network, points, labels)
    assert before.any() and not before.all()
    near = pulled(gaps, centres, points, labels, targets, norm)
    assert (others_win(network, near, labels) == before).all()
    assert (lengths(near - centres, norm) <= lengths(points - centres, norm) * (1.0 + SLACK)).all()
    assert (near[~before] == points[~before]).all()
    assert lengths(near - centres, norm)[before].mean() < 0.9 * lengths(points - centres, norm)[before].mean()


@pytest.mark.parametrize("seed", range(5))
def test_no_attack_comes_nearer_than_the_exact_distortion(seed: int) -> None:
    """Bisection with the complete search says how near the nearest counterexample is; the attack ends near it."""
    rng = np.random.default_rng(100 + seed)
    network = classifier(rng)
    low, high = unit(4)
    x = rng.uniform(size=4)
    label = int(network.evaluate(x).argmax())
    others, limits = [j for j in range(3) if j != label], whole_range(4, 0.0, 1.0)
    safe, unsafe = 0.0, 1.0
    while unsafe - safe > 1e-3:
        middle = 0.5 * (safe + unsafe)
        verdict = verify(network, question(x, middle, np.inf, label, others, 3, limits), jobs=1).verdict
        assert verdict in ("sat", "unsat")
        safe, unsafe = (middle, unsafe) if verdict == "unsat" else (safe, middle)
    gaps = ClassGaps(network, x[None], low, high)
    points, distances = nearest(gaps, x, label, np.array([ANY, *others]), np.inf)
    if unsafe == 1.0:
        assert not np.isfinite(distances).any(), f"seed {seed}"
        return
    near = closer(gaps, x, label, ANY, np.inf, points[distances.argmin()], rng)
    assert (distances > safe).all() and lengths(near - x, np.inf) > safe
    assert lengths(near - x, np.inf) < 1.1 * unsafe + 0.01, f"seed {seed}"
    for norm in (1, 2):  # their balls lie in that of the maximum norm
        assert (nearest(gaps, x, label, np.array([ANY, *others]), norm)[1] > safe).all()


def test_soft_gaps_of_a_label_that_is_far_ahead_do_not_overflow() -> None:
    """The label's output is 1e4 above the others': the gradient is their difference, and nothing is warned of."""
    network = sequential([np.array([[1e4, 0.0], [-1e4, 0.0], [0.0, 1.0]])], [np.zeros(3)])
    point = np.array([[1.0, 0.5]])
    gap, gradient = ClassGaps(network, point, *unit(2)).soft(point, np.array([0]))
    assert np.allclose(gap, 1e4 - 0.5) and np.allclose(gradient, [[1e4, -1.0]])
