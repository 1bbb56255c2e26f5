"""Strict bounds and rows are strict: read, written, compared and replayed as `<`."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import oracle
import pytest
from random_instances import random_instance
from small_files import absolute, property_of

from hypersplit.bab.bench.witness_check import check_witness
from hypersplit.bab.verify import verify
from hypersplit.instances.errors import PropertyError
from hypersplit.instances.judges.replay import Replay, round_into
from hypersplit.instances.network import sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.vnnlib.reader import parse_property
from hypersplit.instances.vnnlib.writer import property_text

DECLARED = "(declare-const X_0 Real)\n(declare-const X_1 Real)\n(declare-const Y_0 Real)\n"
BOX = "(assert (>= X_0 0))(assert (< X_0 1))(assert (> X_1 0))(assert (<= X_1 1))\n"
TEXT = DECLARED + BOX + "(assert (> (+ X_0 X_1) 0.5))(assert (or (> Y_0 1) (and (<= Y_0 0) (< X_0 Y_0))))"


def line(rhs: float, strict: bool, low: float = 0.0, high: float = 1.0, **masks: np.ndarray) -> Case:
    """x in [low, high], forbidden y >= rhs or, if strict, y > rhs."""
    forbidden = Polyhedron(np.array([[-1.0]]), np.array([-rhs]), np.array([strict]))
    region = InputSet(np.array([low]), np.array([high]), np.zeros((0, 1)), np.zeros(0), **masks)
    return Case(region, (forbidden,))


def test_strictness_is_read_and_written() -> None:
    """Bounds, half-spaces and output rows keep their `<` and `>` through reading and writing."""
    prop = parse_property(TEXT)
    region = prop.cases[0].region
    assert (region.strict_lower.tolist(), region.strict_upper.tolist()) == ([False, True], [True, False])
    assert region.strict.tolist() == [True]
    assert [p.strict.tolist() for p in prop.cases[0].forbidden] == [[True], [False, True]]
    again = parse_property(property_text(prop))
    assert property_text(again) == property_text(prop)


def test_the_tighter_of_two_bounds_decides_and_strictness_where_they_are_equal() -> None:
    """x < 1 and x <= 1 is x < 1; x < 2 and x <= 1 is x <= 1, wherever the bounds stand."""
    for first, second, strict in [("(< X_0 1)", "(<= X_0 1)", True), ("(< X_0 2)", "(<= X_0 1)", False)]:
        for formula in (f"(assert {first})(assert {second})", f"(assert (and {second} {first}))"):
            text = DECLARED + "(assert (>= X_0 0))(assert (>= X_1 0))(assert (<= X_1 1))" + formula
            region = parse_property(text).cases[0].region
            assert (region.upper[0], region.strict_upper[0]) == (1.0, strict)


def test_an_open_interval_without_length_is_empty() -> None:
    """x >= 1 and x < 1 contradict each other; a comparison of a variable with itself is decided."""
    with pytest.raises(PropertyError, match="at the upper bound 1.0"):
        parse_property(DECLARED + "(assert (>= X_0 1))(assert (< X_0 1))(assert (>= X_1 0))(assert (<= X_1 1))")
    assert parse_property(DECLARED + BOX + "(assert (< Y_0 Y_0))").cases == ()
    assert parse_property(DECLARED + BOX + "(assert (< 1 1))").cases == ()


def test_numbers_rounded_outward_are_not_attained() -> None:
    """x <= 1/3 admits no float64 above a third, though the bound is rounded up."""
    text = DECLARED + "(assert (>= X_0 0))(assert (<= (* 3 X_0) 1))(assert (>= X_1 0))(assert (<= X_1 1))"
    region = parse_property(text).cases[0].region
    assert region.strict_upper[0] and Fraction(float(region.upper[0])) > Fraction(1, 3)
    assert not region.contains(np.array([region.upper[0], 0.5]))
    assert region.contains(np.array([np.nextafter(region.upper[0], 0), 0.5]))


def test_sets_contain_what_is_strictly_inside() -> None:
    """`contains` of both kinds of sets leaves strict faces out."""
    strict = np.array([True])
    assert not Polyhedron(np.eye(1), np.ones(1), strict).contains(np.ones(1))
    assert Polyhedron(np.eye(1), np.ones(1)).contains(np.ones(1))
    assert not line(0.0, False, strict_lower=strict).region.contains(np.zeros(1))
    assert not InputSet(np.zeros(1), np.ones(1), np.eye(1), -np.ones(1), strict=strict).contains(np.ones(1))


def test_replays_compare_strictly() -> None:
    """At y = 1 the row y > 1 is not satisfied, y >= 1 is; just above it both are."""
    identity = Replay(sequential([np.eye(1)], [np.zeros(1)]))
    assert identity.check(line(1.0, True), np.ones(1)) is None
    assert identity.check(line(1.0, False), np.ones(1)) is not None
    assert identity.check(line(1.0, True, high=2.0), np.array([np.nextafter(1.0, 2)])) is not None


def test_rounding_avoids_strict_ends() -> None:
    """The float32 that is replayed lies inside an open interval; an interval without floats gives no witness."""
    open_end = {"strict_upper": np.array([True])}
    (x,), rounded = round_into(line(0.0, False, **open_end).region, np.ones(1))
    assert x == float(np.nextafter(np.float32(1), np.float32(0))) and not rounded
    both = {"strict_lower": np.array([True]), **open_end}
    identity = Replay(sequential([np.eye(1)], [np.zeros(1)]))
    assert identity.check(line(0.0, False, 1.0, 1.0, **both), np.ones(1)) is None
    assert identity.check(line(0.0, False, 1.0, float(np.nextafter(1, 2)), **both), np.ones(1)) is None


def test_the_oracle_decides_strict_rows() -> None:
    """max of x on [0, 1] is 1: y > 1 is impossible, y >= 1 is not, and neither is y >= 1 without the end."""
    network = sequential([np.eye(1)], [np.zeros(1)])
    assert oracle.decide(network, line(1.0, True))[0] == "unsat"
    assert oracle.decide(network, line(1.0, False)) == ("sat", [Fraction(1)])
    assert oracle.decide(network, line(1.0, False, strict_upper=np.array([True])))[0] == "unsat"
    assert oracle.decide(network, line(0.5, True, strict_upper=np.array([True])))[0] == "sat"


@pytest.mark.parametrize(("output", "verdict"), [("(> Y_0 2)", "unsat"), ("(>= Y_0 2)", "sat")])
def test_a_maximum_that_is_touched_is_no_witness_of_a_strict_row(tmp_path: Path, output: str, verdict: str) -> None:
    """|x_0| + x_1 is at most 2 on its box: `> 2` is refuted, by exact arithmetic, and `>= 2` has a witness."""
    result = verify(absolute(tmp_path / "a.onnx"), property_of(tmp_path / "p.vnnlib", output), nodes=200, timeout=60)
    assert result.verdict == verdict
    assert verdict == "sat" or result.reason.endswith("exact arithmetic")


@pytest.mark.parametrize("kind", ["touching", "near-sat", "clear-sat"])
def test_verdicts_on_random_strict_rows_are_right(kind: str) -> None:
    """With some rows of random instances strict, the search agrees with the oracle or stays undecided."""
    said = set()
    for seed in range(25):
        instance, rng = random_instance(seed, kind), np.random.default_rng(seed)
        cases = tuple(
            Case(c.region, tuple(Polyhedron(p.rows, p.rhs, rng.random(len(p.rhs)) < 0.7) for p in c.forbidden))
            for c in instance.prop.cases
        )
        prop = Property(cases, instance.prop.input_size, instance.prop.output_size, joint=instance.prop.joint)
        truths = [oracle.decide(instance.network, case, prop.joint)[0] for case in cases]
        truth = "sat" if "sat" in truths else "unsat"
        verdict = verify(instance.network, prop, jobs=1, batch=64, nodes=100, seed=seed, timeout=60).verdict
        assert verdict in (truth, "unknown"), f"seed {seed}: said {verdict}, {instance}"
        said.add(verdict)
    assert "sat" in said


def test_the_second_opinion_is_strict(tmp_path: Path) -> None:
    """A witness at y = 2 is valid for `>= 2` and not for `> 2`, one at a strict end of the box for neither."""
    network, result = absolute(tmp_path / "a.onnx"), tmp_path / "result.txt"
    result.write_text("sat\n((X_0 1.0)\n(X_1 1.0)\n(Y_0 2.0))\n")
    said = [check_witness(network, property_of(tmp_path / "p", f"({op} Y_0 2)"), result) for op in (">=", ">")]
    assert said == ["valid", "the output is not forbidden"]
    prop = property_of(tmp_path / "p", "(>= Y_0 2)")
    prop.write_text(prop.read_text() + "(assert (< X_0 1))\n")
    assert "X_0 = 1.0 is outside [-1.0, 1.0)" in check_witness(network, prop, result)
