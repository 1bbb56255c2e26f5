"""Input sets with norm balls: verdicts by every method and several rules, held against a rational oracle."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ball_oracle import bracket
from random_instances import Shape, random_network, random_region

from hypersplit.bab.command.info import _case
from hypersplit.bab.verify import verify
from hypersplit.encodings.linear.linear_bounds import LinearBoundOptions, bound
from hypersplit.instances.batch import root
from hypersplit.instances.carried import carried
from hypersplit.instances.errors import PropertyError
from hypersplit.instances.judges.replay import Replay
from hypersplit.instances.network import Array, Layer, Network
from hypersplit.instances.norm_ball import NormBall
from hypersplit.instances.onnx.reader import read_network
from hypersplit.instances.onnx.writer import write_network
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import queries
from hypersplit.instances.vnnlib.writer import property_text

WAYS = [
    ("auto", "auto"), ("split", "auto"), ("split", "axes"), ("split", "phases"), ("split", "rows"),
    ("split", "rows-composed"), ("milp", "auto"), ("auto", "longest-edge"), ("auto", "phases-babsr"),
]  # fmt: skip
NEAR = 1e-6  # of the margins' size: what bounds that are nearly exact decide


def _instance(seed: int) -> tuple[Network, Case, str]:
    """A network, a case whose worst margin is clear or near of either sign, and the truth."""
    rng = np.random.default_rng(seed)
    network = random_network(rng, Shape(most_inputs=3, most_relus=8))
    n, norm = network.input_size, int(rng.integers(1, 3))
    region = random_region(rng, n)
    centre = 0.5 * (region.lower + region.upper) + rng.integers(-2, 3, n) / 16.0
    radius = float(rng.integers(1, 20)) / 32.0 * max(0.125, float((region.upper - region.lower).max()))
    region = replace(region, ball=NormBall(centre, radius, norm))
    forbidden = tuple(
        Polyhedron(rng.integers(-4, 5, size=(rows, network.output_size)) / 4.0, np.zeros(rows))
        for rows in rng.integers(1, 3, int(rng.integers(1, 3))).tolist()
    )
    found = bracket(network, Case(region, forbidden), tolerance=1e-8)
    if found is None:
        return network, Case(region, forbidden), "unsat"
    low, high = map(float, found)
    gap = (float(rng.uniform(0.05, 1.0)) if rng.random() < 0.5 else NEAR) * max(1.0, abs(low))
    truth = "sat" if high < 1e6 and rng.random() < 0.5 else "unsat"
    shift = high + gap if truth == "sat" else low - gap
    return network, Case(region, tuple(Polyhedron(p.rows, p.rhs + shift) for p in forbidden)), truth


@pytest.mark.parametrize(("method", "rule"), WAYS)
def test_verdicts_are_the_oracles(method: str, rule: str) -> None:
    """Small networks in l1 and l2, boxes and half-spaces beside the ball: no verdict is wrong, and none is missing."""
    told: Counter[str] = Counter()
    for seed in range(WAYS.index((method, rule)), 200, len(WAYS)):
        network, case, truth = _instance(seed)
        prop = Property((case,), network.input_size, network.output_size)
        result = verify(network, prop, timeout=60, method=method, rule=rule)
        assert result.verdict == truth, (seed, result.reason)
        told[truth] += 1
        if result.witness:
            assert case.region.contains(result.witness.input), seed
    assert min(told["sat"], told["unsat"]) >= 3


def _digit(norm: int, radius: float) -> tuple[Path, Property]:
    """The first image of the carried digits, kept from being read as another one."""
    with carried("digits_nominal.csv").open(newline="", encoding="utf-8") as lines:
        image = np.array([float(v) for v in list(csv.reader(lines))[1][:64]])
    path = Path(str(carried("digits_mlp_24x2.onnx")))
    label = int(read_network(path).evaluate(image[None])[0].argmax())
    rows = [np.eye(10)[label] - np.eye(10)[k] for k in range(10) if k != label]
    forbidden = tuple(Polyhedron(row[None], np.zeros(1)) for row in rows)
    return path, Property((Case(InputSet.around(image, radius, norm, 0.0, 1.0), forbidden),), 64, 10)


@pytest.mark.parametrize(
    ("norm", "radius", "verdict"),
    [(2, 0.3, "unsat"), (2, 0.6, "unsat"), (2, 0.7, "sat"), (1, 1.0, "unsat"), (1, 2.0, "sat")],
)
def test_digits(norm: int, radius: float, verdict: str) -> None:
    """Of 64 inputs the box around the l2 ball of radius 0.6 holds counterexamples, the ball none."""
    path, prop = _digit(norm, radius)
    assert verify(path, prop, timeout=120).verdict == verdict
    if (norm, radius) == (2, 0.6):
        box = replace(prop.cases[0].region, ball=None)
        wider = replace(prop, cases=(replace(prop.cases[0], region=box),))
        assert verify(path, wider, timeout=120).verdict == "sat"


def _small(rows: int = 1) -> Network:
    rng = np.random.default_rng(1)
    hidden = Layer((0,), (rng.normal(size=(5, 2)),), rng.normal(size=5), "relu", "hidden")
    return Network(2, (hidden, Layer((1,), (rng.normal(size=(rows, 5)),), np.zeros(rows), "identity", "last")))


@pytest.mark.parametrize("norm", [1, 2])
def test_empty_intersections_and_points(norm: int) -> None:
    """Where ball and box do not meet everything holds; a ball of radius 0 is its centre."""
    network, anything = _small(), (Polyhedron(np.zeros((1, 1)), np.zeros(1)),)
    far = InputSet(np.full(2, 0.9), np.ones(2), np.zeros((0, 2)), np.zeros(0), ball=NormBall(np.zeros(2), 1.2, norm))
    for method in ("auto", "split", "milp"):
        assert verify(network, Property((Case(far, anything),), 2, 1), timeout=30, method=method).verdict == "unsat"
        centre = np.array([0.25, -0.5])
        value = float(network.evaluate(centre[None])[0, 0])
        for above, verdict in ((0.01, "sat"), (-0.01, "unsat")):
            case = Case(InputSet.around(centre, 0.0, norm), (Polyhedron(np.ones((1, 1)), np.array([value + above])),))
            assert verify(network, Property((case,), 2, 1), timeout=30, method=method).verdict == verdict


def test_rows_over_inputs_and_outputs() -> None:
    """x_0 + x_1 <= -sqrt(2) holds in one point of the unit disc only: just below it nothing is left, just above is."""
    network, disc = _small(), InputSet.around(np.zeros(2), 1.0, 2)
    for side, verdict in ((-np.sqrt(2.0) - 1e-6, "unsat"), (-np.sqrt(2.0) + 1e-6, "sat")):
        case = Case(disc, (Polyhedron(np.array([[0.0, 1.0, 1.0]]), np.array([side])),))
        assert verify(network, Property((case,), 2, 1, joint=True), timeout=30).verdict == verdict


def test_files_take_float32_inside_the_ball(tmp_path: Path) -> None:
    """A witness of a file is a point of float32 numbers that lies in the ball, exactly."""
    network = _small()
    write_network(network, tmp_path / "small.onnx")
    for norm in (1, 2):
        region = InputSet.around(np.array([0.1, 0.2]), 0.3, norm)
        assert region.ball is not None
        spread = np.random.default_rng(0).uniform(region.lower, region.upper, size=(4000, 2))
        least = network.evaluate(region.ball.inward(spread, region.lower, region.upper)).min()
        prop = Property((Case(region, (Polyhedron(np.ones((1, 1)), np.array([least + 1e-4])),)),), 2, 1)
        witness = verify(tmp_path / "small.onnx", prop, timeout=30).witness
        assert witness is not None and region.contains(witness.input)
        assert (witness.input == witness.input.astype(np.float32)).all()


def test_the_replay_tests_membership() -> None:
    """A corner of the box is forbidden, but lies outside the ball."""
    case = Case(InputSet.around(np.zeros(2), 1.0, 2), (Polyhedron(np.zeros((1, 1)), np.zeros(1)),))
    replay = Replay(_small())
    assert replay.check(case, np.array([1.0, 1.0])) is None
    assert replay.check(case, np.array([0.6, 0.8])) is None  # 0.6 and 0.8 as floats lie just outside
    assert replay.check(case, np.array([0.6, 0.79])) is not None


@pytest.mark.parametrize("norm", [1, 2])
def test_bounds_hold_in_the_ball_and_know_of_it(norm: int) -> None:
    """All linear bounds hold at points of the ball, and the margins' are those of the ball, not of its box."""
    network = _small(3)
    case = Case(InputSet.around(np.zeros(2), 0.5, norm), (Polyhedron(np.eye(3), np.zeros(3)),))
    query = queries(network, Property((case,), 2, 3))[0]
    bounds = bound(query, root(query), LinearBoundOptions(kernel="plain"))
    boxed = replace(query, region=replace(query.region, ball=None))
    wider = bound(boxed, root(boxed), LinearBoundOptions(kernel="plain"))
    ball = query.region.ball
    assert ball is not None
    spread = np.random.default_rng(3).uniform(-0.5, 0.5, size=(2000, 2))
    values, pre = query.network.values(ball.inward(spread, query.region.lower, query.region.upper))
    hidden = np.concatenate(pre[:-1], axis=1)
    assert (hidden >= bounds.pre_lower).all() and (hidden <= bounds.pre_upper).all()
    assert (values[-1] >= bounds.margins).all()
    assert (bounds.margins > wider.margins).all()


def test_many_balls_are_asked_one_by_one() -> None:
    """Sets with balls are no boxes: twenty of them do not become one query, and all are decided."""
    network, rng = _small(), np.random.default_rng(5)
    cases = tuple(
        Case(InputSet.around(rng.normal(size=2), 0.3, 1 + k % 2), (Polyhedron(np.ones((1, 1)), np.array([-99.0])),))
        for k in range(20)
    )
    result = verify(network, Property(cases, 2, 1), timeout=60)
    assert result.verdict == "unsat" and not result.statistics.get("sets_together")


def test_a_ball_around_the_box_is_dropped() -> None:
    """A query keeps the ball only where it cuts something off, and a box no larger than the ball's."""
    network, forbidden = _small(), (Polyhedron(np.ones((1, 1)), np.zeros(1)),)

    def region(radius: float, upper: Array) -> InputSet:
        box = InputSet.box(np.zeros(2), upper)
        case = Case(replace(box, ball=NormBall(np.zeros(2), radius, 2)), forbidden)
        return queries(network, Property((case,), 2, 1))[0].region

    assert region(5.0, np.array([3.0, 4.0])).ball is None
    assert region(np.nextafter(5.0, 0.0), np.array([3.0, 4.0])).ball is not None
    assert region(1.0, np.array([3.0, 4.0])).upper.max() <= np.nextafter(1.0, 2.0)


def test_what_is_written_of_balls() -> None:
    """VNN-LIB cannot say them, `info` does."""
    case = Case(InputSet.around(np.zeros(2), 0.5, 2), (Polyhedron(np.ones((1, 1)), np.zeros(1)),))
    with pytest.raises(PropertyError, match="norm ball"):
        property_text(Property((case,), 2, 1))
    assert "l2 ball of radius 0.5" in _case(case)


def test_pictures_mask_what_the_ball_cuts_off(tmp_path: Path) -> None:
    """The picture of a disc is written, and says that its cells are cut off."""
    network = _small()
    case = Case(InputSet.around(np.zeros(2), 1.0, 2), (Polyhedron(np.ones((1, 1)), np.array([-99.0])),))
    result = verify(network, Property((case,), 2, 1), timeout=30, picture=str(tmp_path / "disc.png"))
    assert result.verdict == "unsat" and (tmp_path / "disc.png").stat().st_size > 10_000
