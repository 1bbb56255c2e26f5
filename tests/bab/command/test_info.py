"""Tests of bab/command/info.py and bab/command/inspection.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hypersplit.bab.command.info import describe
from hypersplit.instances.carried import carried
from hypersplit.instances.errors import InputError
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.vnnlib.writer import write_property

CONV, MLP = carried("digits_conv.onnx"), carried("digits_mlp_24x2.onnx")
DIGIT = carried("digit6_r0.09375.vnnlib")


def test_network_lines() -> None:
    """Operators, shapes, layers and the ReLUs that do something of the convolution net are all named."""
    text = describe(CONV)

    for part in ("Conv x1", "Gemm x2", "[1, 1, 8, 8]", "[1, 10]", "79 ReLU", "64 inputs", "10 outputs"):
        assert part in text, part
    assert "property" not in text
    assert 3 == sum(" from " in line for line in text.splitlines())


def test_property_lines(tmp_path: Path) -> None:
    """Cases, disjuncts, rows, open and fixed inputs, widths and half-spaces are counted."""
    region = InputSet(np.array([0.0, 1.0]), np.array([0.5, 1.0]), np.array([[1.0, 1.0]]), np.array([2.0]))
    forbidden = (Polyhedron(np.array([[1.0]]), np.zeros(1)), Polyhedron(np.array([[-1.0]]), -np.ones(1)))
    write_property(Property((Case(region, forbidden),), 2, 1), tmp_path / "p.vnnlib")
    text = describe(carried("control_2d.onnx"), tmp_path / "p.vnnlib")

    for part in (
        "1 input set,",
        "2 forbidden output polyhedra", "2 rows", "1 open input,",
        "1 fixed", "0.5", "1 half-space"
    ):  # fmt: skip
        assert part in text, part


def test_unstable_neurons_are_shown() -> None:
    """Given the numbers, each ReLU layer carries its own, and the sum is compared with all ReLUs."""
    lines = describe(MLP, DIGIT, [7, 10, 0]).splitlines()

    assert ["7 unstable", "10 unstable"] == [line.rsplit(", ", 1)[1] for line in lines if " unstable" in line]
    assert any("17 of 44 ReLUs" in line for line in lines)
    with pytest.raises(ValueError, match="expected one for each of 3"):
        describe(MLP, DIGIT, [1])


def test_missing_file_is_bad_input(tmp_path: Path) -> None:
    """A network that is not there is an InputError that names it."""
    with pytest.raises(InputError, match="absent"):
        describe(tmp_path / "absent.onnx")
