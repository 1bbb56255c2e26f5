"""Scalers, linear models and classifiers of ai.onnx.ml: read as onnxruntime computes them, or refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import ModelProto, TensorProto, helper

from hypersplit.instances.errors import NetworkError
from hypersplit.instances.onnx.reader import network_from_bytes

FLOAT, DOUBLE = TensorProto.FLOAT, TensorProto.DOUBLE


def model(kind: str, shape: tuple[int, ...], element: int = FLOAT, **attributes: Any) -> ModelProto:
    """x, one operator of ai.onnx.ml, a ReLU."""
    nodes = [
        helper.make_node(kind, ["x"], ["a"], name="n", domain="ai.onnx.ml", **attributes),
        helper.make_node("Relu", ["a"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(n, e, s) for n, e, s in (("x", element, shape), ("y", FLOAT, None))]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:])
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("ai.onnx.ml", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


CASES: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
    ("Scaler", (1, 3), {"offset": [0.5, -1.0, 2.0], "scale": [2.0, 0.1, -1.0]}),
    ("Scaler", (1, 3), {"offset": [0.3], "scale": [0.7]}),
    ("LinearRegressor", (1, 3), {"coefficients": [0.1, -2.0, 0.7], "intercepts": [0.25]}),
    ("LinearRegressor", (2, 2), {"coefficients": [1.0, 2.0, -0.3, 0.4, 0.0, 1.0], "targets": 3,
                                 "intercepts": [0.1, 0.2, -0.3]}),
    ("LinearRegressor", (1, 2), {"coefficients": [0.1, -2.0], "targets": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "shape", "attributes"), CASES)
def test_they_are_read_as_they_run(kind: str, shape: tuple[int, ...], attributes: dict[str, Any]) -> None:
    """The network that is read agrees with onnxruntime at random points."""
    content = model(kind, shape, **attributes).SerializeToString()
    network = network_from_bytes(content)
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    for x in np.random.default_rng(0).normal(size=(8, *shape)).astype(np.float32):
        expected = np.asarray(session.run(None, {"x": x})[0])
        assert network.output_shape == expected.shape
        np.testing.assert_allclose(network.evaluate(np.float64(x).ravel()), expected.ravel(), rtol=1e-5, atol=1e-6)


def test_what_does_not_fit_is_refused() -> None:
    """Attributes of other lengths or not finite, doubles, and transformations behind are refused by their names."""
    for made, message in [
        (model("Scaler", (1, 3), offset=[1.0, 2.0], scale=[1.0]), "offset has 2 numbers, expected 1 or 3"),
        (model("Scaler", (1, 3), offset=[1.0], scale=[np.nan]), "scale holds NaN"),
        (model("Scaler", (1, 3), DOUBLE, offset=[1.0], scale=[1.0]), "makes float32 of double"),
        (model("LinearRegressor", (1, 3), intercepts=[1.0]), "coefficients has 0 numbers, expected 3"),
        (model("LinearRegressor", (3,), coefficients=[1.0, 1.0, 1.0]), "expected one or more of a matrix"),
        (
            model("LinearRegressor", (1, 1), coefficients=[1.0], post_transform="PROBIT"),
            "PROBIT behind it; supported is NONE",
        ),
        (model("Normalizer", (1, 2), norm="MAX"), "the norm MAX; supported are L1 and L2"),
        (model("TreeEnsembleRegressor", (1, 2)), "TreeEnsembleRegressor is not supported .trees are steps"),
    ]:
        with pytest.raises(NetworkError, match=message):
            network_from_bytes(made.SerializeToString())


def classifier(shape: tuple[int, ...], labels: int, outputs: tuple[str, ...] = ("s",), **attributes: Any) -> bytes:
    """x and a LinearClassifier with its label l and its scores s."""
    given = {"classlabels_ints": list(range(labels)), **attributes}
    node = helper.make_node("LinearClassifier", ["x"], ["l", "s"], name="n", domain="ai.onnx.ml", **given)
    kinds = {"l": TensorProto.INT64, "s": FLOAT}
    ends = [helper.make_tensor_value_info("x", FLOAT, shape)]
    graph = helper.make_graph([node], "g", ends, [helper.make_tensor_value_info(n, kinds[n], None) for n in outputs])
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("ai.onnx.ml", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


THREE = {"coefficients": [0.1, -2.0, 0.7, 1.0, 0.5, -0.25], "intercepts": [0.25, -0.5, 0.125]}
ONE = {"coefficients": [0.1, -2.0], "intercepts": [0.25]}


@pytest.mark.parametrize("behind", ["NONE", "LOGISTIC", "SOFTMAX"])
@pytest.mark.parametrize(("labels", "numbers"), [(3, THREE), (2, ONE)])
def test_scores_of_classifiers_are_read_as_they_run(labels: int, numbers: dict[str, Any], behind: str) -> None:
    """Of three classes, and of two with one score; a softmax at the end is read as what it orders."""
    content = classifier((2, 2), labels, post_transform=behind, **numbers)
    if behind == "SOFTMAX" and labels == 2:
        with pytest.raises(NetworkError, match="softmax of one score"):
            network_from_bytes(content)
        return
    network = network_from_bytes(content)
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    for x in np.random.default_rng(0).normal(size=(8, 2, 2)).astype(np.float32):
        expected = np.asarray(session.run(["s"], {"x": x})[0])
        found = network.evaluate(np.float64(x).ravel()).reshape(expected.shape)
        if behind == "SOFTMAX":
            assert network.readout is not None
            found = np.exp(found) / np.exp(found).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_labels_are_withheld() -> None:
    """A label among the outputs is refused with what to do; one that nobody asks for is no obstacle."""
    both = classifier((1, 2), 3, ("l", "s"), **THREE)
    with pytest.raises(NetworkError, match="'l' is the label of 'n' .LinearClassifier., which jumps; choose others"):
        network_from_bytes(both)
    assert network_from_bytes(both, outputs=("s",)).output_size == 3
    node = helper.make_node("Cast", ["l"], ["y"], to=FLOAT)
    reads = onnx.ModelProto.FromString(both)
    reads.graph.node.append(node)
    del reads.graph.output[:]
    reads.graph.output.append(helper.make_tensor_value_info("y", FLOAT, None))
    with pytest.raises(NetworkError, match="it reads the label of 'n'"):
        network_from_bytes(reads.SerializeToString())


def test_classifiers_that_do_not_fit_are_refused() -> None:
    """Other numbers of coefficients, no intercepts, and transformations that are not known."""
    for made, message in [
        (classifier((1, 2), 3, coefficients=[1.0] * 5, intercepts=[0.0] * 3), "coefficients has 5 numbers, expected 6"),
        (classifier((1, 2), 3, coefficients=[1.0] * 6), "0 intercepts"),
        (classifier((1, 2), 3, post_transform="PROBIT", **THREE), "PROBIT behind it; supported are NONE, LOGISTIC"),
    ]:
        with pytest.raises(NetworkError, match=message):
            network_from_bytes(made)


def test_a_softmax_that_is_normalised_is_what_it_was() -> None:
    """As logistic regressions of several classes are exported; another norm of it takes the softmax itself."""
    read = onnx.ModelProto.FromString(classifier((1, 2), 3, post_transform="SOFTMAX", **THREE))
    plain = network_from_bytes(read.SerializeToString())
    for norm in ("L1", "L2"):
        made = onnx.ModelProto.FromString(read.SerializeToString())
        made.graph.node.append(helper.make_node("Normalizer", ["s"], ["y"], domain="ai.onnx.ml", norm=norm))
        made.graph.output[0].name = "y"
        network = network_from_bytes(made.SerializeToString())
        x = np.random.default_rng(0).normal(size=2)
        if norm == "L2":
            assert plain.readout is not None and network.readout is None
            scores = plain.readout.of(plain.evaluate(x)[None])[0]
            np.testing.assert_allclose(network.evaluate(x), scores / np.linalg.norm(scores), rtol=1e-12)
            continue
        np.testing.assert_array_equal(network.evaluate(x), plain.evaluate(x))
        assert network.readout is not None
