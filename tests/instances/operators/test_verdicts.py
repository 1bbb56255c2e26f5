"""Verdicts on tiny networks around operators that are ReLUs inside, held against the exact oracle and the file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx_models import model, normal, whole
from oracle import worst_margin

from hypersplit.bab.verify import verify
from hypersplit.instances.judges.replay import Replay
from hypersplit.instances.onnx.reader import read_network
from hypersplit.instances.operators.table import OPERATORS
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property

node = helper.make_node
FORMS: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("ReduceMax", {"axes": [1]}, ()), ("ReduceMin", {}, ()), ("ReduceL1", {}, ()), ("HardSigmoid", {"alpha": 0.4}, ()),
    ("Shrink", {"bias": 0.25, "lambd": 0.25}, ()), ("ThresholdedRelu", {"alpha": 0.0}, ()), ("Mean", {}, ("m",)),
    ("CumSum", {}, ("one",)), ("Einsum", {"equation": "ij,jk->k"}, ("k",)), ("Trilu", {}, ()), ("Abs", {}, ()),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "attributes", "more"), FORMS, ids=[form[0] for form in FORMS])
def test_verdicts_are_the_oracles(kind: str, attributes: dict[str, Any], more: tuple[str, ...], tmp_path: Path) -> None:
    """Just below the exact maximum `sat`, just above `unsat`; and no input that is run exceeds the maximum."""
    rng = np.random.default_rng(len(kind))
    weights = {
        "w": normal(rng, 2, 4), "b": normal(rng, 4), "shape": whole(2, 2), "flat": whole(1, -1),
        "m": normal(rng, 2, 2), "one": np.array(1), "k": normal(rng, 2, 2),
    }  # fmt: skip
    nodes = [
        node("Gemm", ["x", "w", "b"], ["z"]), node("Reshape", ["z", "shape"], ["s"]),
        node(kind, ["s", *more], ["o"], **attributes), node("Reshape", ["o", "flat"], ["f"]),
        node("ReduceSum", ["f"], ["y"]),
    ]  # fmt: skip
    opset = 16 if kind == "Trilu" else 13
    onnx.save(model(nodes, [1, 2], weights, opset=opset), tmp_path / "a.onnx")
    network = read_network(tmp_path / "a.onnx")
    region = InputSet(-np.ones(2), np.ones(2), np.zeros((0, 2)), np.zeros(0))

    def at_least(t: float) -> Case:
        return Case(region, (Polyhedron(np.array([[-1.0]]), np.array([-t])),))

    found = worst_margin(network, at_least(0.0))
    assert found is not None
    largest = -float(found[0])
    outputs = Replay(network).run(rng.uniform(-1.0, 1.0, (400, 2)))
    assert outputs.max() <= largest + 1e-5
    for t, verdict in ((largest - 1e-3, "sat"), (largest + 1e-3, "unsat")):
        assert verify(tmp_path / "a.onnx", Property((at_least(t),), 2, 1), timeout=60).verdict == verdict


def test_the_page_names_every_operator() -> None:
    """docs/networks.md lists the supported operators, and no others in its table."""
    page = (Path(__file__).resolve().parents[3] / "docs" / "networks.md").read_text(encoding="utf-8")
    table = "\n".join(line for line in page.splitlines() if line.startswith("| "))
    assert set(re.findall(r"`(\w+)`", table)) == {name.split(".")[-1] for name in OPERATORS} | {"If"}
