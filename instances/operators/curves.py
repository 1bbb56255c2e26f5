"""Operators that are curves of one number.

    elu_a, selu(z) = g elu_a(z), celu_a(z) = a elu_1(z / a), softplus, exp, arctan, softsign, hardswish, z^n

Products of tensors are made of squares: see `expressions/products.py`.
"""

from __future__ import annotations

import numpy as np

from ..curves.names import MOST_POWER, curve_name
from ..errors import UnsupportedOperatorError
from ..expressions.affine import Expression
from ..expressions.node import Constant, Node

__all__ = ["celu", "curve_layer", "elu", "selu", "whole_power"]

KINDS = {"Atan": "arctan", "Exp": "exp", "HardSwish": "hardswish", "Softplus": "softplus", "Softsign": "softsign"}
SELU_ALPHA, SELU_GAMMA = 1.67326319217681884765625, 1.05070102214813232421875  # ONNX' defaults, float32 numbers


def curve_layer(node: Node) -> Expression:
    """Atan, Exp, HardSwish, Softplus, Softsign: a layer."""
    return node.builder.layer(node.expression(0), KINDS[node.kind])


def elu(node: Node) -> Expression:
    """Elu."""
    return node.builder.layer(node.expression(0), _elu(float(node.attributes.get("alpha", 1.0))))


def selu(node: Node) -> Expression:
    """Selu: gamma times an ELU."""
    get, build = node.attributes.get, node.builder
    bent = build.layer(node.expression(0), _elu(float(get("alpha", SELU_ALPHA))))
    return build.scale(bent, float(get("gamma", SELU_GAMMA)))


def celu(node: Node) -> Expression:
    """Celu: an ELU that is as steep on both sides of 0."""
    alpha, build = float(node.attributes.get("alpha", 1.0)), node.builder
    kind = _elu(alpha)
    if alpha == 1.0:
        return build.layer(node.expression(0), kind)
    narrow = build.scale(node.expression(0), 1.0 / alpha, roundings=1)
    return build.scale(build.layer(narrow, _elu(1.0)), alpha)


def _elu(alpha: float) -> str:
    if not 0.0 < alpha < np.inf:
        raise UnsupportedOperatorError(f"alpha = {alpha}; supported are numbers above 0")
    return curve_name("elu", alpha)


def whole_power(node: Node, x: Expression, exponent: Constant) -> Expression:
    """x to one whole number n, 1 <= n <= MOST_POWER, for all entries; one that was rounded may be no whole number."""
    given = exponent.array
    n = float(given.reshape(-1)[0]) if given.size else 1.0
    if exponent.roundings or not (bool(np.all(given == n)) and 1.0 <= n <= MOST_POWER and n == int(n)):
        raise UnsupportedOperatorError(
            "a power of what depends on the network's input; supported is one whole exponent for all entries, "
            f"from 1 to {MOST_POWER}"
        )
    return x if n == 1.0 else node.builder.layer(x, curve_name("power", int(n)))
