"""RNN, GRU and LSTM layers: read as onnxruntime computes them, decided, or refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

import hypersplit
from hypersplit import Property
from hypersplit.instances.errors import NetworkError
from hypersplit.instances.onnx.reader import network_from_bytes

GATES, STATES = {"RNN": 1, "GRU": 3, "LSTM": 4}, {"RNN": 1, "GRU": 1, "LSTM": 2}
STEPS, BATCH, READ, SIZE = 3, 2, 2, 3


def model(kind: str, given: str = "", output: int = 0, steps: Any = STEPS, **attributes: Any) -> ModelProto:
    """x [steps, batch, read] or batch first, one layer, its output of this number.

    given: of B (biases), h and c (states before the first step), p (peepholes) and l (lengths), those that are there.
    """
    rng, gates = np.random.default_rng(7), GATES[kind]
    ways = 2 if attributes.get("direction") == "bidirectional" else 1
    first = bool(attributes.get("layout"))
    states = (BATCH, ways, SIZE) if first else (ways, BATCH, SIZE)
    shapes = {
        "W": (ways, gates * SIZE, READ), "R": (ways, gates * SIZE, SIZE), "B": (ways, 2 * gates * SIZE),
        "l": (BATCH,), "h": states, "c": states, "p": (ways, 3 * SIZE),
    }  # fmt: skip
    numbers = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    numbers["l"] = np.full(BATCH, steps, dtype=np.int32)
    kept = [name for name in numbers if name in "WR" + given]
    inputs = ["x", *(name if name in kept else "" for name in numbers)]
    while not inputs[-1]:
        inputs.pop()
    attributes.setdefault("hidden_size", SIZE)
    node = helper.make_node(kind, inputs, [*[""] * output, "y"], name="n", **attributes)
    shape = (BATCH, STEPS, READ) if first else (STEPS, BATCH, READ)
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", shape), ("y", None))]
    held = [numpy_helper.from_array(numbers[name], name) for name in kept]
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)


CASES: list[tuple[str, str, int, dict[str, Any]]] = [
    ("RNN", "", 0, {}),
    ("RNN", "Bh", 1, {"activations": ["Relu"], "direction": "reverse"}),
    ("RNN", "Bl", 0, {"direction": "bidirectional", "activations": ["Tanh", "Sigmoid"]}),
    ("GRU", "", 1, {}),
    ("GRU", "Bh", 0, {"direction": "bidirectional"}),
    ("GRU", "Bh", 0, {"linear_before_reset": 1}),
    ("GRU", "B", 0, {"linear_before_reset": 1, "activations": ["Sigmoid", "Relu"], "direction": "reverse"}),
    ("LSTM", "", 0, {}),
    ("LSTM", "Bhc", 1, {}),
    ("LSTM", "Bhc", 2, {"direction": "bidirectional"}),
    ("LSTM", "Bhp", 0, {}),
    ("LSTM", "Bcp", 2, {"direction": "reverse", "activations": ["Sigmoid", "Relu", "Tanh"]}),
]


@pytest.mark.parametrize(("kind", "given", "output", "attributes"), CASES)
def test_they_are_read_as_they_run(kind: str, given: str, output: int, attributes: dict[str, Any]) -> None:
    """The network that is read agrees with onnxruntime at random points."""
    content = model(kind, given, output, **attributes).SerializeToString()
    network = network_from_bytes(content)
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    for x in np.random.default_rng(0).normal(size=(8, STEPS, BATCH, READ)).astype(np.float32):
        expected = np.asarray(session.run(None, {"x": x})[0])
        assert network.output_shape == expected.shape
        np.testing.assert_allclose(network.evaluate(np.float64(x).ravel()), expected.ravel(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("kind", "output"), [(kind, n) for kind in GATES for n in range(STATES[kind] + 1)])
def test_the_batch_may_come_first(kind: str, output: int) -> None:
    """With `layout` 1 every tensor has its axes in another order, and the same numbers (onnxruntime has no layout)."""
    both = {"direction": "bidirectional"}
    usual, first = (
        network_from_bytes(model(kind, "B", output, **both, **more).SerializeToString())
        for more in ({}, {"layout": 1})
    )
    for x in np.random.default_rng(1).normal(size=(4, STEPS, BATCH, READ)):
        expected = usual.evaluate(x.ravel()).reshape(usual.output_shape)
        found = first.evaluate(np.swapaxes(x, 0, 1).ravel()).reshape(first.output_shape)
        axes = (2, 0, 1, 3) if output == 0 else (1, 0, 2)
        np.testing.assert_allclose(found, np.transpose(expected, axes), rtol=1e-12, atol=1e-14)


def test_an_rnn_of_relus_is_exact() -> None:
    """No curves: layers of ReLUs, as its steps written out."""
    network = network_from_bytes(model("RNN", "Bh", 1, activations=["Relu"]).SerializeToString())
    assert network.piecewise_linear


@pytest.mark.parametrize("kind", list(GATES))
def test_their_outputs_are_bounded(kind: str) -> None:
    """That no state is above 1.01 is proved; what is above a value that is reached is found."""
    content = model(kind, "B", 1).SerializeToString()
    network = network_from_bytes(content)
    ends = np.full(network.input_size, 0.1)
    reached = float(network.evaluate(np.zeros(network.input_size)).max())
    verdicts = [
        hypersplit.verify(content, Property.output_range(-np.inf, top, (-ends, ends)), timeout=20.0).verdict
        for top in (1.01, reached)
    ]
    assert verdicts == ["unsat", "sat"]


def test_what_is_not_read_is_refused_by_its_name() -> None:
    """Sequences that end early, clipped sums, other activations, and shapes that do not fit."""
    for made, message in [
        (model("GRU", "l", steps=2), "sequence_lens; supported are sequences of all 3 steps"),
        (model("GRU", clip=0.0), "clip; supported are sums as they are"),
        (model("RNN", activations=["Affine"]), "the activation affine; supported are relu, sigmoid, tanh"),
        (model("RNN", activations=["Tanh", "Tanh"]), "2 activations for 1 directions, expected 1 for each"),
        (model("LSTM", input_forget=1), "input_forget; supported are gates of their own"),
        (model("LSTM", direction="backward"), "the direction 'backward', expected one of forward, reverse"),
        (model("LSTM", hidden_size=4), "hidden_size 4; they do not fit each other"),
    ]:
        with pytest.raises(NetworkError, match=message):
            network_from_bytes(made.SerializeToString())
