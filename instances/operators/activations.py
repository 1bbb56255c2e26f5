"""Activations, and the piecewise linear operators that ReLUs express exactly:

    leaky(z) = a z + (1 - a) relu(z), |z| = 2 relu(z) - z, clip(z) = lo + relu(z - lo) - relu(z - hi),
    hard_sigmoid(z) = clip(a z + b, 0, 1),

so LeakyRelu, PRelu, Abs, Clip and HardSigmoid need no layer kinds of their own.
"""

from __future__ import annotations

import math

import numpy as np

from ..errors import NetworkError, UnsupportedOperatorError
from ..expressions.affine import Expression
from ..expressions.element_types import DOUBLE
from ..expressions.node import Node
from ..network import Array
from ..nonlinear import norms

__all__ = ["absolute", "activation", "clip", "hard_sigmoid", "leaky_relu", "parametric_relu"]

KINDS = {"Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh"}
NO_BOUND = 3.4e38  # exporters write "unbounded" as float32's largest number
_FIFTH, _HUNDREDTH = float(np.float32(0.2)), float(np.float32(0.01))  # attributes are float32
NO_DOUBLE = 1.79e308  # the same of float64, where 3.4e38 is a bound like any other


def activation(node: Node) -> Expression:
    """Relu, Sigmoid, Tanh: a layer."""
    return node.builder.layer(node.expression(0), KINDS[node.kind])


def leaky_relu(node: Node) -> Expression:
    """LeakyRelu."""
    return _leaky(node, np.asarray(float(node.attributes.get("alpha", _HUNDREDTH))))


def parametric_relu(node: Node) -> Expression:
    """PRelu with constant slopes."""
    slope = node.weights(1)
    if slope.roundings:
        raise UnsupportedOperatorError("slopes that are rounded results of arithmetic on constants")
    return _leaky(node, slope.array)


def _leaky(node: Node, slope: Array) -> Expression:
    z, build = node.expression(0), node.builder
    positive = build.layer(z, "relu")
    return build.add(build.scale(z, slope), build.scale(positive, 1.0 - slope, roundings=1))


def absolute(node: Node) -> Expression:
    """|z| = 2 relu(z) - z."""
    return norms.absolute(node.builder, node.expression(0))


def clip(node: Node) -> Expression:
    """Clip with constant bounds, one of which may be missing."""
    z, build = node.expression(0), node.builder
    low, high = (_bound(node, name, i) for i, name in enumerate(("min", "max"), start=1))
    if low is not None and high is not None and low > high:
        raise NetworkError(f"its lower bound {low} is above its upper bound {high}")
    if low is None:
        if high is None:
            return z
        above = build.layer(build.shift(z, -high), "relu")
        return build.subtract(z, above)
    out = build.shift(build.layer(build.shift(z, -low), "relu"), low)
    return out if high is None else build.subtract(out, build.layer(build.shift(z, -high), "relu"))


def hard_sigmoid(node: Node) -> Expression:
    """HardSigmoid: alpha z + beta, cut off at 0 and 1."""
    get, build = node.attributes.get, node.builder
    line = build.shift(build.scale(node.expression(0), float(get("alpha", _FIFTH))), float(get("beta", 0.5)))
    return build.subtract(build.layer(line, "relu"), build.layer(build.shift(line, -1.0), "relu"))


def _bound(node: Node, name: str, i: int) -> float | None:
    value, none = node.number(name, i), NO_DOUBLE if node.type(0) == DOUBLE else NO_BOUND
    if value is None or (value <= -none if name == "min" else value >= none):
        return None
    if not math.isfinite(value):
        raise NetworkError(f"its bound {name} is {value}")
    if node.has(i) and node.constant(i).roundings:
        raise UnsupportedOperatorError(f"its bound {name} is a rounded result of arithmetic on constants")
    return value
