"""Decimals of witnesses lie inside the intervals as written and are read as the input that was replayed."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from small_files import absolute

from hypersplit.bab.bench.witness_check import check_witness
from hypersplit.bab.command.report import json_text, result_file_text, summary
from hypersplit.bab.verify import verify
from hypersplit.instances.judges.decimals import written_inside
from hypersplit.instances.judges.replay import round_into
from hypersplit.instances.judges.witness import Witness, read_witness, witness_text
from hypersplit.instances.vnnlib.reader import parse_property

F32 = np.float32
JUST_BELOW = "0.1000000014901161193847656249"  # below float32(0.1) = 0.100000001490116119384765625, in float64 equal


def prop_text(low: str, high: str, forms: tuple[str, str] = ("(>= X_0 {})", "(<= X_0 {})")) -> str:
    """x between two decimals, in given spellings; any y is forbidden."""
    bounds = "".join(f"(assert {f.format(d)})\n" for f, d in zip(forms, (low, high), strict=True))
    return "(declare-const X_0 Real)\n(declare-const Y_0 Real)\n" + bounds


@pytest.mark.parametrize(
    ("low", "high", "forms"),
    [
        ("0.1", "0.1", ("(>= X_0 {})", "(<= X_0 {})")),
        ("0.1", "0.1", ("(<= {} X_0)", "(>= {} X_0)")),
        ("0.7", "0.7000000001", ("(>= X_0 {})", "(<= X_0 {})")),
        ("0.7", "0.7000000001", ("(> X_0 {})", "(< X_0 {})")),
        ("1", "1.00000000000001", ("(> X_0 {})", "(< X_0 {})")),
        ("0.05", JUST_BELOW, ("(>= X_0 {})", "(<= X_0 {})")),
        (JUST_BELOW + "1", "0.5", ("(>= X_0 {})", "(<= X_0 {})")),
        ("-1e-50", "-1e-60", ("(>= X_0 {})", "(<= X_0 {})")),
        ("-0.3", "-.3", ("(>= X_0 {})", "(<= X_0 {})")),
    ],
)
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_decimals_are_inside_as_written(low: str, high: str, forms: tuple[str, str], share: float) -> None:
    """The decimal is within the written ends, not at strict ones, and gives the replayed float32 either way."""
    text = prop_text(low, high, forms)
    region = parse_property(text).cases[0].region
    x, rounded = round_into(region, region.lower + share * (region.upper - region.lower))
    witness = written_inside(Witness(x, np.zeros(1), rounded), region, parse_property(text), F32)
    assert witness.input is x
    decimal = witness.decimal(0)
    if ">=" in "".join(forms):
        assert Fraction(low) <= Fraction(decimal) <= Fraction(high)
    else:
        assert Fraction(low) < Fraction(decimal) < Fraction(high)
    assert float(F32(float(decimal))) == x[0] == float(F32(decimal))
    back = read_witness(witness_text(witness)).input
    assert F32(back[0]) == F32(x[0])


def test_inputs_inside_keep_their_repr() -> None:
    """Strictly inside, or where no decimal will do, the replayed number itself is written."""
    text = prop_text("0.1", "0.9")
    region = parse_property(text).cases[0].region
    inside = written_inside(Witness(np.array([0.5]), np.zeros(1)), region, parse_property(text), F32)
    far = written_inside(Witness(np.array([7.0]), np.zeros(1)), region, parse_property(text), F32)
    assert inside.written == far.written == {} and far.decimal(0) == "7.0"


def test_literals_of_any_exponent_cost_nothing() -> None:
    """A bound of 1e-999999999 is the float64 0 here too."""
    text = prop_text("1e-999999999", "1")
    region = parse_property(text).cases[0].region
    assert written_inside(Witness(np.zeros(1), np.zeros(1)), region, parse_property(text), F32).decimal(0) == "0.0"


def test_fixed_inputs_are_printed_as_the_property_has_them(tmp_path: Path) -> None:
    """All that is printed says 0.1, the result keeps the float32, and the second opinion accepts it."""
    network, prop, file = absolute(tmp_path / "a.onnx"), tmp_path / "p.vnnlib", tmp_path / "result.txt"
    bounds = "".join(f"(assert (>= X_{i} {v}))(assert (<= X_{i} {v}))\n" for i, v in enumerate((0.1, 0.7)))
    declared = "".join(f"(declare-const {v} Real)\n" for v in ("X_0", "X_1", "Y_0"))
    prop.write_text(declared + bounds + "(assert (>= Y_0 0.5))\n")
    result = verify(network, prop, timeout=60)
    assert result.verdict == "sat" and result.witness is not None
    np.testing.assert_array_equal(result.witness.input, np.array([0.1, 0.7], F32).astype(np.float64))
    file.write_text(result_file_text(result))
    assert "(X_0 0.1)\n(X_1 0.7)\n" in file.read_text() and check_witness(network, prop, file) == "valid"
    assert any(line.startswith("input:  0.1 0.7 ") for line in summary(result))
    assert '"written": {"0": "0.1", "1": "0.7"}' in json_text(result)
