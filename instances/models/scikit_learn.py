"""scikit-learn's multi-layer perceptrons, and pipelines of scalers before them, as ONNX models in double precision.

Nothing of scikit-learn is needed: fitted estimators carry their numbers. Each step becomes the operators that it
computes with, in its order and in float64, so that onnxruntime rounds as scikit-learn does, up to the order of sums:

    StandardScaler   (x - mean_) / scale_           MinMaxScaler    x * scale_ + min_, clipped where `clip`
    MaxAbsScaler     x / scale_                     MLP             a <- act(a @ coefs_[k] + intercepts_[k])

A classifier's outputs are the scores whose softmax is its `predict_proba`: the last affine map's for three classes or
more, and (0, z) for two, of which scikit-learn keeps the one number z.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import NetworkError
from ..network import Array

__all__ = ["onnx_of_estimator"]

OPSET, IR = 13, 8
SCALERS = ("StandardScaler", "MinMaxScaler", "MaxAbsScaler")
PERCEPTRONS = ("MLPClassifier", "MLPRegressor")
ACTIVATIONS = {"identity": "", "relu": "Relu", "logistic": "Sigmoid", "tanh": "Tanh"}


def onnx_of_estimator(model: Any) -> bytes:
    """A fitted MLPClassifier, MLPRegressor, or Pipeline of scalers before one, as an ONNX model: [1, n] -> [1, m].

    Raises NetworkError, naming the step, for one that is not fitted or of another class.
    """
    steps = _steps(model)
    for name, step in steps[:-1]:
        if _kind(step) not in SCALERS:
            raise NetworkError(f"{name}: {type(step).__name__} before the network, expected one of {SCALERS}")
    name, network = steps[-1]
    if _kind(network) not in PERCEPTRONS:
        raise NetworkError(f"{name}: {type(network).__name__}, expected one of {PERCEPTRONS}, or a Pipeline with one")
    graph = _Graph()
    for name, step in steps[:-1]:
        _fitted(step, "n_features_in_", name)
        graph.scale(_kind(step), step)
    _fitted(network, "coefs_", name)
    graph.perceive(network, name)
    return graph.model(int(steps[0][1].n_features_in_))


def _steps(model: Any) -> list[tuple[str, Any]]:
    """(name, estimator) of all steps, pipelines in pipelines taken apart, without those that pass through."""
    if _kind(model) != "Pipeline":
        return [(type(model).__name__, model)]
    named = [(name, step) for name, step in model.steps if step is not None and step != "passthrough"]
    found = [inner for name, step in named for inner in ([(name, step)] if _kind(step) != "Pipeline" else _steps(step))]
    if not found:
        raise NetworkError("the Pipeline has no steps, expected one of " + ", ".join(PERCEPTRONS) + " at its end")
    return found


def _kind(step: Any) -> str:
    """The class of scikit-learn's that it is, or derives from."""
    known = (*SCALERS, *PERCEPTRONS, "Pipeline")
    names = (kind.__name__ for kind in type(step).__mro__ if kind.__module__.split(".")[0] == "sklearn")
    return next((name for name in names if name in known), "")


def _fitted(step: Any, field: str, name: str) -> None:
    if not hasattr(step, field):
        raise NetworkError(f"{name}: {type(step).__name__} is not fitted; call fit first")


class _Graph:
    """A chain of operators on one value, each with at most two constants."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.tensors: list[Any] = []
        self.value, self.size = "X", 0

    def step(self, operator: str, *constants: Any) -> None:
        """Apply an operator to the value and constants, which become float64."""
        from onnx import helper, numpy_helper

        names = [f"{operator.lower()}_{len(self.nodes)}_{k}" for k in range(len(constants))]
        arrays = [np.asarray(c, dtype=np.float64) for c in constants]
        self.tensors += [numpy_helper.from_array(a, name) for name, a in zip(names, arrays, strict=True)]
        output = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, [self.value, *names], [output], name=f"{operator}_{output}"))
        self.value = output

    def scale(self, kind: str, step: Any) -> None:
        """One scaler."""
        if kind == "MinMaxScaler":
            self.step("Mul", step.scale_)
            self.step("Add", step.min_)
            if step.clip:
                self.step("Clip", *step.feature_range)
            return
        if kind == "StandardScaler" and step.with_mean:
            self.step("Sub", step.mean_)
        if kind == "MaxAbsScaler" or step.with_std:
            self.step("Div", step.scale_)
        if kind == "MaxAbsScaler" and getattr(step, "clip", False):
            self.step("Clip", -1.0, 1.0)

    def perceive(self, network: Any, name: str) -> None:
        """All layers of the perceptron, without what comes behind the last affine map."""
        if network.out_activation_ not in ("identity", "softmax", "logistic"):
            raise NetworkError(
                f"{name}: output activation {network.out_activation_!r}, expected identity, softmax or logistic"
            )
        if network.activation not in ACTIVATIONS:
            raise NetworkError(f"{name}: activation {network.activation!r}, expected one of {list(ACTIVATIONS)}")
        layers = list(zip(network.coefs_, network.intercepts_, strict=True))
        if _kind(network) == "MLPClassifier" and len(network.classes_) == 2 and network.n_outputs_ == 1:
            weights, biases = layers[-1]
            layers[-1] = _zero_before(weights), _zero_before(biases)
        for k, (weights, biases) in enumerate(layers):
            self.step("MatMul", weights)
            self.step("Add", biases)
            if k < len(layers) - 1 and ACTIVATIONS[network.activation]:
                self.step(ACTIVATIONS[network.activation])
        self.size = len(layers[-1][1])

    def model(self, inputs: int) -> bytes:
        """The whole graph."""
        from onnx import TensorProto, helper

        self.nodes[-1].output[0] = "Y"
        ends = [
            helper.make_tensor_value_info(name, TensorProto.DOUBLE, [1, size])
            for name, size in (("X", inputs), ("Y", self.size))
        ]
        graph = helper.make_graph(self.nodes, "estimator", ends[:1], ends[1:], self.tensors)
        versions = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=versions, ir_version=IR).SerializeToString(deterministic=True)


def _zero_before(array: Array) -> Array:
    """The last axis, of length 1, with a zero before its number."""
    return np.concatenate([np.zeros_like(array), array], axis=-1)
