"""Operators that jump: signs, comparisons and what is chosen by them, whole numbers, thresholds.

    sign(z) = 2 step_(1/2)(z) - 1,    a > b: step_0(a - b),    a >= b: step_1(a - b),    ceil(z) = -floor(-z)

A truth value is the number 0 or 1, so that a and b: relu(a + b - 1), a or b: 1 - relu(1 - a - b), not a: 1 - a, and
Where(t, a, b) = b + t (a - b). Shrink is shrink(z) = relu(z - l) - relu(-z - l) where it is continuous, ThresholdedRelu
a ReLU.
"""

from __future__ import annotations

import numpy as np

from ..curves.names import curve_name
from ..errors import NetworkError, UnsupportedOperatorError
from ..expressions.affine import Expression
from ..expressions.constants import added, negated
from ..expressions.element_types import DOUBLE
from ..expressions.node import Constant, Node, Tensor
from .products import product

__all__ = ["chosen", "compare", "logic", "shrink", "sign", "thresholded", "whole"]

COMPARISONS = {  # operator -> (the value at equality, whether the second is to be the larger one)
    "Greater": (0.0, False), "GreaterOrEqual": (1.0, False), "Less": (0.0, True), "LessOrEqual": (1.0, True),
}  # fmt: skip


def sign(node: Node) -> Expression:
    """Sign, which is 0 at 0."""
    build = node.builder
    return build.shift(build.scale(build.layer(node.expression(0), curve_name("step", 0.5)), 2.0), -1.0)


def whole(node: Node) -> Expression:
    """Floor, Ceil, Round."""
    z, build = node.expression(0), node.builder
    if node.kind == "Ceil":
        return build.scale(build.layer(build.scale(z, -1.0), "floor"), -1.0)
    return build.layer(z, "floor" if node.kind == "Floor" else "round")


def compare(node: Node) -> Expression:
    """Greater, GreaterOrEqual, Less, LessOrEqual: 0 or 1."""
    at_jump, turned = COMPARISONS[node.kind]
    a, b = node.tensor(int(turned)), node.tensor(1 - int(turned))
    return node.builder.layer(_difference(node, a, b), curve_name("step", at_jump))


def logic(node: Node) -> Expression:
    """And, Or, Not of truth values that are 0 or 1."""
    build = node.builder
    if node.kind == "Not":
        return build.shift(build.scale(node.expression(0), -1.0), 1.0)
    a, b = (node.affine(t) for t in node.broadcast(node.tensor(0), node.tensor(1)))
    excess = build.shift(build.add(a, b), -1.0)
    if node.kind == "And":
        return build.layer(excess, "relu")
    return build.shift(build.scale(build.layer(build.scale(excess, -1.0), "relu"), -1.0), 1.0)


def chosen(node: Node) -> Expression:
    """Where, by a condition that depends on the input."""
    truth, a, b = node.broadcast(node.tensor(0), node.tensor(1), node.tensor(2))
    build, condition = node.builder, node.affine(truth)
    if isinstance(a, Constant) and isinstance(b, Constant):
        if not (a.is_float and b.is_float):
            chosen_from = "integers or truth values chosen by the network's input"
            raise UnsupportedOperatorError(f"{chosen_from}; supported are floats")
        step = added(a, negated(b))
        return build.shift(build.scale(condition, step.array, step.roundings), *node.offset(b))
    return build.add(product(node, condition, _difference(node, a, b)), node.affine(b))


def thresholded(node: Node) -> Expression:
    """ThresholdedRelu: z above alpha, else 0."""
    alpha = _finite(node, "alpha", 1.0)
    return node.builder.layer(node.expression(0), curve_name("threshold", alpha) if alpha else "relu")


def shrink(node: Node) -> Expression:
    """Shrink: 0 within [-lambd, lambd], moved by the bias towards 0 outside; two ReLUs where it does not jump."""
    z, build = node.expression(0), node.builder
    bias, limit = _finite(node, "bias", 0.0), _finite(node, "lambd", 0.5)
    if limit < 0.0:
        raise UnsupportedOperatorError(f"lambd = {limit}; supported are numbers from 0 on")
    if node.type(0) == DOUBLE:
        node.rounds("rounds from double to float in onnxruntime")
    if bias != limit:
        return build.layer(z, curve_name("shrink", limit, bias))
    low = build.layer(build.shift(build.scale(z, -1.0), -limit), "relu")
    return build.subtract(build.layer(build.shift(z, -limit), "relu"), low)


def _finite(node: Node, name: str, default: float) -> float:
    number = float(node.attributes.get(name, default))
    if not np.isfinite(number):
        raise NetworkError(f"its attribute {name} is {number}")
    return number


def _difference(node: Node, a: Tensor, b: Tensor) -> Expression:
    """a - b in their common shape, once for each two: so what is compared and what is chosen by it are one number."""
    a, b = node.broadcast(a, b)
    known, build = node.builder.differences, node.builder
    key = _identity(a), _identity(b)
    if key not in known:
        if key[::-1] in known:
            made = build.scale(known[key[::-1]][0], -1.0)
        elif isinstance(b, Constant):
            number, error = node.offset(b)
            made = build.shift(node.affine(a), -number, error)
        elif isinstance(a, Constant):
            made = build.shift(build.scale(b, -1.0), *node.offset(a))
        else:
            made = build.subtract(a, b)
        known[key] = made, a, b  # holding them keeps their ids their own
    return known[key][0]


def _identity(tensor: Tensor) -> object:
    """What two tensors have in common that are the same for certain."""
    if isinstance(tensor, Constant):
        return tensor.shape, tensor.roundings, tensor.array.dtype.str, tensor.array.tobytes()
    return id(tensor)
