"""Operators of the domain ai.onnx.ml that are affine, as exporters of estimators write them.

    Scaler            (x - offset) * scale, along the last axis; one number stands for all
    LinearRegressor   x coefficients^T + intercepts, [N, C] -> [N, targets]
    LinearClassifier  labels and scores, [N, C] -> [N], [N, classes]: scores as above, of two classes with one row of
                      coefficients (1 - z, z), or (logistic(-z), logistic(z)); the label is the greatest one's
    Normalizer        x / sum |x|, x / sqrt(sum x^2) along the last axis

Scores may go through a logistic function, or a softmax at the end of the network. Labels jump, and are withheld.
Their numbers are float32 attributes, and so is what they compute: doubles, which they round, are refused.
"""

from __future__ import annotations

import numpy as np

from ..errors import NetworkError, UnsupportedOperatorError
from ..expressions.affine import Expression
from ..expressions.element_types import FLOAT, type_name
from ..expressions.node import Constant, Node, Value, Withheld
from ..network import Array
from ..nonlinear.norms import scaled_to_one
from .linear import grouped, product
from .softmax import softened

__all__ = ["linear_classifier", "linear_regressor", "normalizer", "scaler"]


def scaler(node: Node) -> Expression:
    """Scaler."""
    x = _input(node)
    width = x.shape[-1] if x.shape else 1
    centred = node.builder.shift(x, -_numbers(node, "offset", (1, width), 0.0))
    return node.builder.scale(centred, _numbers(node, "scale", (1, width), 1.0))


def linear_regressor(node: Node) -> Expression:
    """LinearRegressor without a transformation behind it."""
    x, targets = _input(node), int(node.attributes.get("targets", 1))
    if len(x.shape) != 2 or targets < 1:
        raise NetworkError(f"{targets} targets of an input of shape {x.shape}, expected one or more of a matrix")
    if (behind := node.text("post_transform", "NONE")) != "NONE":
        raise UnsupportedOperatorError(f"the transformation {behind} behind it; supported is NONE")
    weights = _numbers(node, "coefficients", (targets * x.shape[1],), None).reshape(targets, x.shape[1])
    out = product(node, x, Constant(np.ascontiguousarray(weights.T), name="coefficients"))
    return node.builder.shift(out, _numbers(node, "intercepts", (targets,), 0.0))


def linear_classifier(node: Node) -> list[Value]:
    """LinearClassifier: the label, which nobody may read, and the scores."""
    x, count = _input(node), len(node.attributes.get("intercepts", ()))
    names = next((node.attributes[n] for n in ("classlabels_ints", "classlabels_strings") if n in node.attributes), ())
    if len(x.shape) != 2 or not count:
        raise NetworkError(f"{count} intercepts, and an input of shape {x.shape}; expected one or more, and a matrix")
    weights = _numbers(node, "coefficients", (count * x.shape[1],), None).reshape(count, x.shape[1])
    scores = product(node, x, Constant(np.ascontiguousarray(weights.T), name="coefficients"))
    scores = node.builder.shift(scores, _numbers(node, "intercepts", (count,), 0.0))
    behind = node.text("post_transform", "NONE")
    if behind not in ("NONE", "LOGISTIC", "SOFTMAX"):
        raise UnsupportedOperatorError(f"the transformation {behind} behind it; supported are NONE, LOGISTIC, SOFTMAX")
    if count == 1 and len(names) == 2:
        scores = _of_two(node, scores, behind)
    elif behind == "SOFTMAX":
        scores = softened(node.builder, scores, "Softmax", np.repeat(np.arange(scores.shape[0]), count))
    if behind == "LOGISTIC":
        scores = node.builder.layer(scores, "sigmoid")
    return [Withheld(f"the label of {node.builder.name!r} (LinearClassifier), which jumps"), scores]


def _of_two(node: Node, score: Expression, behind: str) -> Expression:
    """Scores [N, 2] of two classes from that of the second one [N, 1]."""
    if behind == "SOFTMAX":
        raise UnsupportedOperatorError("a softmax of one score for two classes; supported are NONE and LOGISTIC")
    other = node.builder.scale(score, -1.0)
    if behind == "NONE":
        other = node.builder.shift(other, np.ones(1))
    size = score.shape[0]
    both = node.builder.stack([other, score])
    return node.builder.move(both, lambda _: np.stack([np.arange(size), size + np.arange(size)], axis=1))


def normalizer(node: Node) -> Expression:
    """Normalizer by the sum of absolute values or of squares; what a last softmax gives is as it is."""
    x, norm = _input(node), node.text("norm", "MAX")
    kind, _, vectors = node.builder.order_only.get(node.builder.is_value(x) or 0, ("", "", np.zeros(0)))
    rows = np.repeat(np.arange(x.shape[0]), x.shape[1]) if len(x.shape) == 2 else None
    if (norm, kind) == ("L1", "Softmax") and rows is not None and np.array_equal(vectors, rows):
        return x
    if norm not in ("L1", "L2") or not x.shape:
        raise UnsupportedOperatorError(f"the norm {norm}; supported are L1 and L2, of one axis or more")
    return scaled_to_one(node.builder, x, grouped(x.shape, [-1], True)[1], squares=norm == "L2")


def _input(node: Node) -> Expression:
    kind = node.type(0)
    if kind != FLOAT:
        raise UnsupportedOperatorError(f"it makes float32 of {type_name(kind)}; supported are inputs of float32")
    return node.expression(0)


def _numbers(node: Node, name: str, sizes: tuple[int, ...], default: float | None) -> Array:
    """An attribute of floats, as many as one of the sizes says. Raises NetworkError where it is none."""
    given = node.attributes.get(name)
    if given is None and default is not None:
        return np.array([default])
    array = np.asarray([] if given is None else given, dtype=np.float64).reshape(-1)
    if len(array) not in sizes:
        wanted = " or ".join(str(n) for n in dict.fromkeys(sizes))
        raise NetworkError(f"the attribute {name} has {len(array)} numbers, expected {wanted}")
    if not np.isfinite(array).all():
        raise NetworkError(f"the attribute {name} holds NaN or infinite numbers; expected finite ones")
    return array
