"""A softmax at the end: its outputs are compared as the logits are, and nothing else is asked of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx_models import assert_agree, model, read, runtime, weight

from hypersplit.bab.verify import verify
from hypersplit.instances.errors import NetworkError, PropertyError
from hypersplit.instances.judges.replay import Replay
from hypersplit.instances.onnx.reader import read_network
from hypersplit.instances.property import Case, InputSet, Polyhedron

node = helper.make_node


@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize(
    ("opset", "axis"), [(13, -1), (13, 0), (13, 1), (11, 1), (11, 2), (11, 0), (11, None), (13, None)]
)
def test_the_files_outputs_follow_from_the_logits(kind: str, opset: int, axis: int | None) -> None:
    """`Readout.of` makes of the network's outputs what onnxruntime computes, for every axis in both operator sets."""
    attributes = {} if axis is None else {"axis": axis}
    nodes = [node("Mul", ["x", "w"], ["z"]), node(kind, ["z"], ["p"], **attributes), node("Flatten", ["p"], ["y"])]
    proto = model(nodes, [2, 3, 2], {"w": weight(2, 3, 2)}, opset=opset)
    network = read(proto)
    x = np.random.default_rng(1).standard_normal((2, 3, 2)).astype(np.float32)
    assert network.readout
    found = network.readout.of(network.evaluate(x.reshape(1, -1).astype(float)))
    np.testing.assert_allclose(found.ravel(), runtime(proto, x).ravel(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("opset", "axis"), [(11, 2), (11, -3), (9, 2), (13, 2)])
def test_an_axis_that_no_runtime_takes_is_refused(opset: int, axis: int) -> None:
    """One behind the last axis, too, which older operator sets speak of and onnxruntime does not run."""
    proto = model([node("Softmax", ["x"], ["y"], axis=axis)], [1, 3], opset=opset)
    with pytest.raises(NetworkError, match=f"axis {axis} of a tensor of shape"):
        read(proto)


def test_a_softmax_inside_is_computed() -> None:
    """What computes with a softmax, takes a part of it or repeats it, has its values and no order to tell."""
    for after in (
        [node("Relu", ["p"], ["y"])], [node("Mul", ["p", "w"], ["y"])], [node("Add", ["p", "p"], ["y"])],
        [node("Gather", ["p", "i"], ["y"], axis=1)], [node("Concat", ["p", "p"], ["y"], axis=1)],
        [node("Add", ["p", "w"], ["y"])], [node("MatMul", ["p", "m"], ["q"]), node("Relu", ["q"], ["y"])],
    ):  # fmt: skip
        for kind in ("Softmax", "LogSoftmax"):
            nodes = [node(kind, ["x"], ["p"], name="soft"), *after]
            weights = {"w": weight(1, 3), "i": np.array([0, 1]), "m": weight(3, 3)}
            assert assert_agree(model(nodes, [1, 3], weights)).readout is None


def classifier(path: Path) -> Path:
    """softmax(x_0 + x_1, x_1 - 1, 0)."""
    weights = {"w": np.array([[1, 0, 0], [1, 1, 0]], np.float32), "b": np.array([0, -1, 0], np.float32)}
    nodes = [node("Gemm", ["x", "w", "b"], ["z"]), node("Softmax", ["z"], ["y"])]
    onnx.save(model(nodes, [1, 2], weights), path)
    return path


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ("(>= Y_1 Y_0)", "sat"), ("(or (and (>= Y_1 Y_0) (>= Y_1 Y_2)) (and (> Y_1 Y_2)))", "sat"),
        ("(and (>= Y_1 Y_0) (>= Y_0 Y_2) (>= Y_2 Y_1))", "sat"), ("(and (>= Y_1 Y_0) (> Y_0 Y_2))", "unsat"),
    ],
)  # fmt: skip
def test_order_of_probabilities_is_decided(rows: str, verdict: str, tmp_path: Path) -> None:
    """On -2 <= x_0 <= 0 and 0 <= x_1 <= 1: Y_1 >= Y_0 means x_0 <= -1, and then Y_0 <= 0 = Y_2."""
    text = "".join(f"(declare-const {v} Real)\n" for v in ("X_0", "X_1", "Y_0", "Y_1", "Y_2"))
    text += "(assert (>= X_0 -2))(assert (<= X_0 0))(assert (>= X_1 0))(assert (<= X_1 1))" + f"(assert {rows})"
    (tmp_path / "p.vnnlib").write_text(text)
    result = verify(classifier(tmp_path / "a.onnx"), tmp_path / "p.vnnlib", timeout=60)
    assert result.verdict == verdict
    if result.witness:
        assert 0.0 < result.witness.output[0] < 1.0  # the file's own outputs are told


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        ("(<= Y_0 0.095)", "sat"), ("(<= Y_0 0.085)", "unsat"), ("(<= (+ Y_0 Y_1) Y_2)", "sat"),
        ("(<= (+ Y_0 Y_1) (* 0.4 Y_2))", "unsat"), ("(<= Y_0 (* 0.1 Y_1))", "unsat"), ("(>= Y_0 (+ Y_1 0.4))", "unsat"),
        ("(>= Y_0 (+ Y_1 0.35))", "sat"),
    ],
)  # fmt: skip
def test_values_of_probabilities_are_decided(row: str, verdict: str, tmp_path: Path) -> None:
    """Of logits x_0 + x_1, x_1 - 1 and 0 on that box, by their extremes there; a network alone tells no values."""
    text = "".join(f"(declare-const {v} Real)\n" for v in ("X_0", "X_1", "Y_0", "Y_1", "Y_2"))
    text += "(assert (>= X_0 -2))(assert (<= X_0 0))(assert (>= X_1 0))(assert (<= X_1 1))" + f"(assert {row})"
    (tmp_path / "p.vnnlib").write_text(text)
    path = classifier(tmp_path / "a.onnx")
    for model_of_it in (path, path.read_bytes()):
        assert verify(model_of_it, tmp_path / "p.vnnlib", timeout=60).verdict == verdict
    with pytest.raises(PropertyError, match="an output of Softmax that was read for its order alone"):
        verify(read_network(path), tmp_path / "p.vnnlib", timeout=60)


def test_probabilities_that_floats_make_equal_are_no_witness(tmp_path: Path) -> None:
    """softmax(1000 x, 0, -1): its last two outputs are both 0 in floats at x = 1, and yet not equal."""
    weights = {"w": np.array([[1000, 0, 0]], np.float32), "b": np.array([0, 0, -1], np.float32)}
    nodes = [node("Gemm", ["x", "w", "b"], ["z"]), node("Softmax", ["z"], ["y"])]
    onnx.save(model(nodes, [1, 1], weights), tmp_path / "a.onnx")
    replay = Replay(read_network(tmp_path / "a.onnx"))
    region = InputSet(np.ones(1), np.ones(1), np.zeros((0, 1)), np.zeros(0))
    at_least = Polyhedron(np.array([[0.0, 1.0, -1.0]]), np.zeros(1))
    assert list(replay.session.single(np.ones(1))[1:]) == [0.0, 0.0]
    assert replay.check(Case(region, (at_least,)), np.ones(1)) is None




def test_many_input_sets_of_a_softmax(tmp_path: Path) -> None:
    """Input sets that are decided in one tree: all hold, and one that does not has a witness."""
    path = classifier(tmp_path / "a.onnx")
    boxes = [(-k / 40.0, -(k - 1) / 40.0) for k in range(1, 41)]  # of x_0; Y_1 >= Y_0 means x_0 <= -1
    for shift, verdict in ((0.0, "unsat"), (0.1, "sat")):
        sets = " ".join(
            f"(and (>= X_0 {a - shift}) (<= X_0 {b - shift}) (>= X_1 0) (<= X_1 1))" for a, b in boxes
        )
        text = "".join(f"(declare-const {v} Real)\n" for v in ("X_0", "X_1", "Y_0", "Y_1", "Y_2"))
        (tmp_path / "p.vnnlib").write_text(f"{text}(assert (or {sets}))(assert (> Y_1 Y_0))")
        assert verify(path, tmp_path / "p.vnnlib", timeout=60).verdict == verdict
