"""Operators that are curves of one number.

    elu_a, selu(z) = g elu_a(z), celu_a(z) = a elu_1(z / a), swish_a(z) = silu(a z) / a,
    softplus, exp, arctan, softsign, hardswish, erf, gelu, mish, sin, cos, sqrt, log, 1 / z, z^p
"""

from __future__ import annotations

import numpy as np

from ..curves.names import LEAST_POWER, MOST_POWER, curve_name
from ..errors import UnsupportedOperatorError
from ..expressions.affine import Expression
from ..expressions.element_types import DOUBLE
from ..expressions.node import Constant, Node
from ..expressions.products import SQUARE
from .gates import inverse, logarithm

__all__ = ["celu", "curve_layer", "elu", "gelu", "one_power", "selu", "swish"]

KINDS = {
    "Atan": "arctan", "Cos": "cos", "Erf": "erf", "Exp": "exp", "HardSwish": "hardswish", "Mish": "mish",
    "Sin": "sin", "Softplus": "softplus", "Softsign": "softsign", "Sqrt": "sqrt",
}  # fmt: skip
FORMS = {"Log": logarithm, "Reciprocal": inverse}  # of what other nodes made, they may be another curve
BY_NAME = {2.0: SQUARE, 0.5: "sqrt", -1.0: "reciprocal"}
SELU_ALPHA, SELU_GAMMA = 1.67326319217681884765625, 1.05070102214813232421875  # ONNX' defaults, float32 numbers


def curve_layer(node: Node) -> Expression:
    """The operators of KINDS and FORMS: a layer."""
    if node.kind in FORMS:
        return FORMS[node.kind](node.builder, node.expression(0))
    if node.kind == "HardSwish" and node.type(0) == DOUBLE:  # its definition is a HardSigmoid, with attributes
        node.rounds("takes float32's 1 / 6 in double")
    return node.builder.layer(node.expression(0), KINDS[node.kind])


def gelu(node: Node) -> Expression:
    """Gelu, by the error function or by tanh, whose definition as nodes has constants of float32 in every type."""
    kinds, form = {"none": "gelu", "tanh": "gelu_tanh"}, node.text("approximate", "none")
    if form not in kinds:
        raise UnsupportedOperatorError(f"approximate = {form!r}; supported are {' and '.join(kinds)}")
    if form == "tanh" and node.type(0) == DOUBLE:
        node.rounds("takes float32's sqrt(2 / pi) in double")
    return node.builder.layer(node.expression(0), kinds[form])


def swish(node: Node) -> Expression:
    """Swish: z / (1 + e^(-alpha z))."""
    alpha, build = float(node.attributes.get("alpha", 1.0)), node.builder
    if not 0.0 < abs(alpha) < np.inf:
        raise UnsupportedOperatorError(f"alpha = {alpha}; supported are numbers other than 0")
    return build.scale(build.layer(build.scale(node.expression(0), alpha), "silu"), 1.0 / alpha, roundings=1)


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


def one_power(node: Node, x: Expression, exponent: Constant) -> Expression:
    """x to one number for all entries; an exponent that was rounded may be whole, or not, and is refused."""
    given = exponent.array
    p = float(given.reshape(-1)[0]) if given.size else 1.0
    if exponent.roundings or not (bool(np.all(given == p)) and LEAST_POWER <= abs(p) <= MOST_POWER):
        raise UnsupportedOperatorError(
            "a power of what depends on the network's input; supported is one exponent for all entries that is no "
            f"rounded result of arithmetic, from -{MOST_POWER} to {MOST_POWER} and not 0"
        )
    if p == 1.0:
        return x
    return node.builder.layer(x, BY_NAME.get(p) or curve_name("power", int(p) if p == int(p) else p))
