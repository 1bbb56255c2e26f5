"""Witnesses in input sets with equalities: roundings of real points, written with decimals that satisfy the text."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import small_files
from vnnlib_formulas import exact_literals, satisfied

from hypersplit.instances.judges.equal_decimals import written_equal
from hypersplit.instances.judges.replay import Replay
from hypersplit.instances.onnx.reader import read_network
from hypersplit.instances.vnnlib.reader import parse_property


def text_of(assertions: str, inputs: int, ends: str = "0.0 {} 1.0") -> str:
    names = [f"X_{i}" for i in range(inputs)]
    boxes = "".join(f"(assert (<= {ends.format(name)}))" for name in names)
    return "".join(f"(declare-const {name} Real)" for name in (*names, "Y_0")) + boxes + assertions


def summing(path: Path, inputs: int) -> Replay:
    """y = the sum of the inputs, as a float32 file."""
    return Replay(read_network(small_files.write_network(path, [(np.ones((1, inputs), dtype=np.float32), None)])))


@pytest.mark.parametrize(
    ("assertions", "inputs", "x"),
    [
        ("(assert (= (+ (* 0.3 X_0) (* 0.7 X_1)) 0.5))", 2, [0.4, 0.0]),
        ("(assert (= (+ (* 0.3 X_0) (* 0.7 X_1)) 0.5))", 2, [1.0, 0.0]),
        ("(assert (= X_0 0.1))(assert (= (+ X_0 X_1) 1.0))", 2, [0.1, 0.0]),
        ("(assert (= (* 3 X_2) (+ X_0 X_1 0.1)))", 3, [0.3, 0.7, 0.0]),
        ("(assert (= X_0 (- 1 X_1)))(assert (= (* 7 X_2) (* 2 X_0)))", 3, [0.3, 0.7, 0.0]),
        ("(assert (or (= X_0 X_1) (= X_0 (+ X_1 0.1))))(assert (> X_0 X_1))", 2, [0.7, 0.6]),
    ],
)  # fmt: skip
def test_decimals_satisfy_the_text_and_are_read_as_what_was_replayed(
    assertions: str, inputs: int, x: list[float], tmp_path: Path
) -> None:
    """Equalities that no float32 satisfies have a witness whose decimals do, as fractions of their digits."""
    prop = parse_property(text_of(assertions + "(assert (>= Y_0 0.0))", inputs), inputs, 1)
    replay = summing(tmp_path / "net.onnx", inputs)
    case = prop.cases[-1]
    witness = replay.check(case, np.array(x))
    assert witness is not None and witness.rounded and witness.real is not None
    assert np.array_equal(witness.input, witness.input.astype(np.float32))
    written = written_equal(witness, prop, np.float32)
    decimals = [written.decimal(i) for i in range(inputs)]
    assert [np.float32(d) for d in decimals] == witness.input.tolist()
    assert satisfied_as_written(prop.text, [Fraction(d) for d in decimals])


def satisfied_as_written(text: str, x: list[Fraction]) -> bool:
    """The inputs' assertions with every literal the number that its digits are."""
    with exact_literals():
        return satisfied(text.replace("(assert (>= Y_0 0.0))", ""), x, [Fraction(0)])


def test_twins_are_exact(tmp_path: Path) -> None:
    """Equal inputs are equal float32s: nothing is rounded."""
    prop = parse_property(text_of("(assert (= X_0 X_1))(assert (>= Y_0 1.0))", 2), 2, 1)
    witness = summing(tmp_path / "net.onnx", 2).check(prop.cases[0], np.array([0.7, 0.1]))
    assert witness is not None and not witness.rounded and witness.input[0] == witness.input[1]


def test_points_outside_are_no_witnesses(tmp_path: Path) -> None:
    """Where the equalities lead out of the box, or onto a strict bound, there is no witness."""
    replay = summing(tmp_path / "net.onnx", 2)
    prop = parse_property(text_of("(assert (= (+ X_0 X_1) 1.5))(assert (>= Y_0 0.0))", 2), 2, 1)
    assert replay.check(prop.cases[0], np.array([0.4, 0.4])) is None
    assert replay.check(prop.cases[0], np.array([0.5, 0.5])) is not None
    ends = "0.0 {0} 1.0))(assert (< {0} 1.0"
    strict = parse_property(text_of("(assert (= (+ X_0 X_1) 1.5))(assert (>= Y_0 0.0))", 2, ends))
    assert replay.check(strict.cases[0], np.array([0.5, 0.5])) is None


def test_memory_takes_no_roundings() -> None:
    """A network without a file is asked at the real point itself, or not at all."""
    from hypersplit.instances.network import sequential

    replay = Replay(sequential([np.ones((1, 2))], [np.zeros(1)]))
    thirds = parse_property(text_of("(assert (= X_1 (/ (- 1 X_0) 3)))(assert (>= Y_0 0.0))", 2), 2, 1)
    assert replay.check(thirds.cases[0], np.array([0.5, 0.0])) is None
    assert replay.check(thirds.cases[0], np.array([0.25, 0.0])) is not None


def test_witnesses_without_text_keep_their_numbers(tmp_path: Path) -> None:
    """A property built in memory has no decimals to satisfy."""
    prop = parse_property(text_of("(assert (= (+ X_0 X_1) 1.1))(assert (>= Y_0 0.0))", 2), 2, 1)
    witness = summing(tmp_path / "net.onnx", 2).check(prop.cases[0], np.array([0.5, 0.5]))
    assert witness is not None
    assert written_equal(witness, replace(prop, text=""), np.float32).written == {}
