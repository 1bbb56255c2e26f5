"""The bench's own judgement of witnesses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import small_files

from hypersplit.bab.bench.witness_check import check_witness
from hypersplit.instances.judges.witness import Witness, witness_text


@pytest.mark.parametrize(
    ("x", "complaint"),
    [
        ([1.0, 1.0], "valid"),
        ([-1.0, 0.5], "valid"),
        ([0.5, 0.5], "not forbidden"),
        ([1.0 + 2.0**-20, 1.0], "X_0 = 1.00000095367431"),
        ([1.0, -1e-6], "X_1"),
        ([1.0, 1.0, 1.0], "3 inputs"),
    ],
)
def test_witnesses_are_judged_without_tolerance(
    x: list[float], complaint: str, family: Path, tmp_path: Path
) -> None:
    """A witness must lie in the box and violate the property exactly; outputs that it claims are ignored."""
    result = tmp_path / "result.txt"
    result.write_text("sat\n" + witness_text(Witness(np.array(x), np.array([9.0]))) + "\n")
    assert complaint in check_witness(family / "net.onnx", family / "violated.vnnlib", result)


def test_an_interval_without_a_float32_takes_its_neighbours(tmp_path: Path) -> None:
    """An input fixed to 0.1 may be either float32 beside it, and no other."""
    network = small_files.absolute(tmp_path / "net.onnx")
    prop = small_files.property_of(tmp_path / "p.vnnlib", "(>= Y_0 0.0)", ((0.1, 0.1), (0.0, 1.0)))
    result = tmp_path / "result.txt"
    nearest = np.float32(0.1)
    below = np.nextafter(nearest, np.float32(0.0))
    assert float(below) < 0.1 < float(nearest)
    beside = {float(nearest): True, float(below): True, float(np.nextafter(below, np.float32(0.0))): False}
    for x, valid in beside.items():
        result.write_text("sat\n" + witness_text(Witness(np.array([x, 1.0]), np.array([0.0]))))
        assert (check_witness(network, prop, result) == "valid") == valid
