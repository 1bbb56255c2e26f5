"""Scalers and linear regressors of ai.onnx.ml: read as onnxruntime computes them, or refused with the attribute."""

from __future__ import annotations

from typing import Any

import numpy as np
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
        (model("LinearClassifier", (1, 1), coefficients=[1.0]), "ai.onnx.ml.LinearClassifier is not supported"),
    ]:
        with pytest.raises(NetworkError, match=message):
            network_from_bytes(made.SerializeToString())
