"""Operators that jump: their values at the jump and elsewhere, and verdicts on networks around them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx_models import assert_agree, model, normal, runtime, weight

from hypersplit.bab.verify import verify
from hypersplit.instances.errors import NetworkError, UnsupportedOperatorError
from hypersplit.instances.onnx.reader import network_from_bytes, read_network
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property

node = helper.make_node
NUMBERS = {
    "level": np.float32(0.25), "other": np.float32(-0.5), "high": np.float32(2.0), "truth": np.array(True),
    "row": weight(3),
}  # fmt: skip


def cast(name: str) -> Any:
    """A truth value as a float, which is the form's output."""
    return node("Cast", [name], ["o"], to=TensorProto.FLOAT)


FORMS: dict[str, list[Any]] = {
    "Sign": [node("Sign", ["z"], ["o"])], "Floor": [node("Floor", ["z"], ["o"])], "Ceil": [node("Ceil", ["z"], ["o"])],
    "Round": [node("Round", ["z"], ["o"])], "ThresholdedRelu": [node("ThresholdedRelu", ["z"], ["o"], alpha=0.5)],
    "ThresholdedRelu below 0": [node("ThresholdedRelu", ["z"], ["o"], alpha=-0.5)],
    "Shrink": [node("Shrink", ["z"], ["o"], lambd=0.5, bias=0.25)], "hard Shrink": [node("Shrink", ["z"], ["o"])],
    "Greater": [node("Greater", ["z", "level"], ["c"]), cast("c")],
    "GreaterOrEqual": [node("GreaterOrEqual", ["level", "z"], ["c"]), cast("c")],
    "Less": [node("Less", ["z", "row"], ["c"]), cast("c")],
    "LessOrEqual": [node("Tanh", ["z"], ["t"]), node("LessOrEqual", ["t", "z"], ["c"]), cast("c")],
    "and": [
        node("Greater", ["z", "other"], ["c"]), node("Less", ["z", "level"], ["d"]), node("And", ["c", "d"], ["e"]),
        cast("e"),
    ],
    "or not": [
        node("Greater", ["z", "level"], ["c"]), node("Less", ["z", "other"], ["d"]), node("Or", ["c", "d"], ["e"]),
        node("Not", ["e"], ["f"]), node("And", ["truth", "f"], ["g"]), cast("g"),
    ],
    "numbers chosen": [node("Greater", ["z", "level"], ["c"]), node("Where", ["c", "high", "row"], ["o"])],
    "tensors chosen": [
        node("Greater", ["z", "level"], ["c"]), node("Tanh", ["z"], ["t"]), node("Where", ["c", "z", "t"], ["o"]),
    ],
    "one of them a number": [node("Less", ["z", "level"], ["c"]), node("Where", ["c", "z", "other"], ["o"])],
}  # fmt: skip


def built(form: str, seed: int = 0) -> onnx.ModelProto:
    """Three neurons, the form, and a sum with weights."""
    rng = np.random.default_rng(seed)
    weights = {"w": normal(rng, 2, 3), "b": normal(rng, 3), "v": normal(rng, 3, 1), **NUMBERS}
    nodes = [node("Gemm", ["x", "w", "b"], ["z"]), *FORMS[form], node("MatMul", ["o", "v"], ["y"])]
    return model(nodes, [1, 2], weights, opset=16)


@pytest.mark.parametrize("form", FORMS)
def test_values_are_the_files(form: str) -> None:
    """Of random inputs, in onnxruntime."""
    assert_agree(built(form), scales=(0.5, 1.0, 4.0))


CHOICES = {  # a choice between two numbers by which is the larger one: a ReLU and no jump
    "larger": [node("Greater", ["z", "u"], ["c"]), node("Where", ["c", "z", "u"], ["o"])],
    "smaller": [node("Greater", ["z", "u"], ["c"]), node("Where", ["c", "u", "z"], ["o"])],
    "larger, turned": [node("LessOrEqual", ["z", "u"], ["c"]), node("Where", ["c", "u", "z"], ["o"])],
    "not below a number": [node("GreaterOrEqual", ["z", "level"], ["c"]), node("Where", ["c", "z", "level"], ["o"])],
    "not below numbers": [node("Less", ["row", "z"], ["c"]), node("Where", ["c", "z", "row"], ["o"])],
    "leaky": [
        node("Greater", ["z", "zero"], ["c"]), node("Mul", ["z", "level"], ["s"]),
        node("Where", ["c", "z", "s"], ["o"]),
    ],
}  # fmt: skip


@pytest.mark.parametrize("form", CHOICES)
def test_a_choice_of_the_larger_one_does_not_jump(form: str) -> None:
    """Of two tensors, of one and numbers, and of a slope below 0: values are the file's, layers ReLUs alone."""
    rng = np.random.default_rng(len(form))
    weights = {"w": normal(rng, 2, 3), "w2": normal(rng, 2, 3), "v": normal(rng, 3, 1), **NUMBERS}
    weights["zero"] = np.float32(0.0)
    nodes = [node("MatMul", ["x", "w"], ["z"]), node("MatMul", ["x", "w2"], ["u"]), *CHOICES[form]]
    network = assert_agree(model([*nodes, node("MatMul", ["o", "v"], ["y"])], [1, 2], weights, opset=16))
    assert {layer.kind for layer in network.layers} <= {"relu", "identity"}


JUMPS = {
    "Sign": [node("Sign", ["x"], ["y"])], "Floor": [node("Floor", ["x"], ["y"])], "Ceil": [node("Ceil", ["x"], ["y"])],
    "Round": [node("Round", ["x"], ["y"])], "ThresholdedRelu": [node("ThresholdedRelu", ["x"], ["y"], alpha=0.5)],
    "Shrink": [node("Shrink", ["x"], ["y"], lambd=0.5, bias=0.25)],
    **{
        kind: [node(kind, ["x", "zero"], ["c"]), node("Cast", ["c"], ["y"], to=TensorProto.FLOAT)]
        for kind in ("Greater", "GreaterOrEqual", "Less", "LessOrEqual")
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", JUMPS)
def test_values_at_jumps_are_as_onnx_defines_them(kind: str) -> None:
    """Whole and half numbers, where arithmetic is exact, 0 of both signs included."""
    x = np.array([[-2.5, -2.0, -1.5, -0.5, -0.0, 0.0, 0.5, 1.0, 1.5, 2.5]], dtype=np.float32)
    proto = model(JUMPS[kind], [1, 10], {"zero": np.float32(0.0)}, opset=16)
    network = network_from_bytes(proto.SerializeToString())
    assert network.evaluate(x[0].astype(np.float64)).tolist() == runtime(proto, x)[0].tolist()


@pytest.mark.parametrize("form", FORMS)
def test_verdicts_are_those_of_a_grid(form: str, tmp_path: Path) -> None:
    """Above the largest value of a grid and its neighbours `unsat`, below it `sat` with a witness that replays."""
    onnx.save(built(form, len(form)), tmp_path / "a.onnx")
    network, region = read_network(tmp_path / "a.onnx"), InputSet.box(-np.ones(2), np.ones(2))
    side = np.linspace(-1.0, 1.0, 401)
    values = network.evaluate(np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2))[:, 0]
    largest, steps = float(values.max()), np.unique(np.round(values, 9))
    slack = 0.02 * (1.0 + float(np.abs(values).max()))
    told = len(steps) < 100  # finitely many values: then a gap between them can be told from a grid's
    for t, verdict in ((largest - (1e-3 if told else slack), "sat"), (largest + (1e-3 if told else slack), "unsat")):
        case = Case(region, (Polyhedron(np.array([[-1.0]]), np.array([-t])),))
        found = verify(tmp_path / "a.onnx", Property((case,), 2, 1), timeout=60)
        assert found.verdict == verdict, (t, found.reason)


def test_what_touches_a_jump_is_decided_exactly() -> None:
    """sign(x) >= 1/2 at x = 0 alone: relaxations take the graph for closed there, exact arithmetic has sign(0) = 0."""
    proto = model([node("Sign", ["x"], ["y"])], [1, 1])
    network = network_from_bytes(proto.SerializeToString())
    for low, high, verdict in ((0.0, 0.0, "unsat"), (0.1, 1.0, "sat"), (-1.0, -0.1, "unsat")):
        region = InputSet.box(np.array([low]), np.array([high]))
        case = Case(region, (Polyhedron(np.array([[-1.0]]), np.array([-0.5])),))
        found = verify(proto.SerializeToString(), Property((case,), 1, 1), timeout=30)
        assert found.verdict == verdict, (low, high, found.reason)
    assert network.evaluate(np.zeros(1))[0] == 0.0


def test_many_jumps_are_no_trouble() -> None:
    """The largest round-off error of Round on [-20, 20] is a half."""
    proto = model([node("Round", ["x"], ["r"]), node("Sub", ["x", "r"], ["y"])], [1, 1])
    region = InputSet.box(np.array([-20.0]), np.array([20.0]))
    for t, verdict in ((0.49, "sat"), (0.51, "unsat")):
        case = Case(region, (Polyhedron(np.array([[-1.0]]), np.array([-t])),))
        assert verify(proto.SerializeToString(), Property((case,), 1, 1), timeout=60).verdict == verdict


@pytest.mark.parametrize(
    ("nodes", "error", "said"),
    [
        ([node("ThresholdedRelu", ["x"], ["y"], alpha=float("nan"))], NetworkError, "attribute alpha is nan"),
        ([node("Greater", ["x", "level"], ["c"]), node("Cast", ["c"], ["y"], to=TensorProto.INT64)],
         UnsupportedOperatorError, "becomes other than a float"),
        ([node("Greater", ["x", "level"], ["c"]), node("Where", ["c", "truth", "truth"], ["y"])],
         UnsupportedOperatorError, "integers or truth values chosen"),
        ([node("Greater", ["x", "infinite"], ["c"]), cast("c")], NetworkError, "NaN or infinite"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_step_is_refused(nodes: list[Any], error: type[Exception], said: str) -> None:
    """By name, with what is supported."""
    weights = NUMBERS | {"infinite": np.float32(np.inf)}
    with pytest.raises(error, match=said):
        network_from_bytes(model(nodes, [1, 3], weights, opset=16).SerializeToString())


def test_doubles_that_shrink_prove_nothing() -> None:
    """onnxruntime computes Shrink in float32, of doubles, too; Sign is exact."""
    for kind, modelled in (("Shrink", False), ("Sign", True)):
        proto = model([node(kind, ["x"], ["y"])], [1, 3], opset=13, dtype=TensorProto.DOUBLE)
        assert (network_from_bytes(proto.SerializeToString()).unmodelled == "") is modelled
