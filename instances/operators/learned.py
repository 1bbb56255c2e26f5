"""Operators of the domain ai.onnx.ml that are affine, as exporters of estimators write them.

    Scaler            (x - offset) * scale, along the last axis; one number stands for all
    LinearRegressor   x coefficients^T + intercepts, [N, C] -> [N, targets]

Their numbers are float32 attributes, and so is what they compute: doubles, which they round, are refused.
"""

from __future__ import annotations

import numpy as np

from ..errors import NetworkError, UnsupportedOperatorError
from ..expressions.affine import Expression
from ..expressions.element_types import FLOAT, type_name
from ..expressions.node import Constant, Node
from ..network import Array
from .linear import product

__all__ = ["linear_regressor", "scaler"]


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
