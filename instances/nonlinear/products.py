"""Products of two tensors that depend on the input, and quotients.

One of a number with its own gate is one curve, as exporters write it in several nodes:

    z Sigmoid(z) = silu(z),    z (1 + Erf(z)) = 2 gelu_1(z),    z Tanh(Softplus(z)) = mish(z),    z step(z) = relu(z)

where the two factors may be multiples of z and of the gate, as in x (1 + Erf(x / sqrt 2)) / 2. Any other one is made of
squares (`expressions/products.py`), and a / b = a (1 / b).
"""

from __future__ import annotations

from fractions import Fraction

from ..curves.names import curve_name
from ..expressions.affine import Builder, Expression
from ..expressions.node import Constant, Node, Tensor, finite
from ..expressions.origins import Origin
from ..expressions.products import SQUARE
from ..expressions.products import product as squares
from ..rounding import LEAST_PRODUCT, MOST_PRODUCT

__all__ = ["product", "quotient"]

MISH_GATE = "tanh of softplus"  # no layer's kind: mish(z) itself is no gate
# (kind of the gate, what is added to it) -> (the curve z times that sum is a multiple of, and which)
GATES: dict[tuple[str, float], tuple[str, float]] = {
    ("sigmoid", 0.0): ("silu", 1.0),
    ("erf", 1.0): (curve_name("gelu", 1.0), 2.0),
    (MISH_GATE, 0.0): ("mish", 1.0),
    **{(curve_name("step", at_jump), 0.0): ("relu", 1.0) for at_jump in (0.0, 0.5, 1.0)},
}


def product(node: Node, a: Expression, b: Expression) -> Expression:
    """The product entry by entry, in the shape that both broadcast to."""
    build = node.builder
    if a is b:
        return build.layer(a, SQUARE)
    if a.shape == b.shape:
        found = _gated(build, a, b) or _gated(build, b, a)
        if found is not None:
            return found
    return squares(build, a, b)


def quotient(node: Node, a: Tensor, b: Expression) -> Expression:
    """a / b, in the common shape."""
    inverse: Tensor = node.builder.layer(b, "reciprocal")
    a, inverse = node.broadcast(a, inverse)
    if isinstance(a, Constant):
        return node.builder.scale(node.affine(inverse), finite(a).array, a.roundings)
    return product(node, a, node.affine(inverse))


def _gated(build: Builder, gate: Expression, other: Expression) -> Expression | None:
    """The product as one curve where the first is a gate of what the second is a multiple of, else None."""
    outer = build.origins.of(gate)
    made = build.origins.layer(outer.base)
    if made is None:
        return None
    argument, kind = made
    if kind == "tanh" and (inner := build.origins.layer(argument)) is not None and inner[1] == "softplus":
        argument, kind = inner[0], MISH_GATE
    if (kind, outer.ratio) not in GATES:
        return None
    within, beside = build.origins.of(argument), build.origins.of(other)
    if within.base is not beside.base or within.ratio or beside.ratio:
        return None
    curve, times = GATES[kind, outer.ratio]
    factor, roundings = _ratio(times, outer, beside, within)
    if not LEAST_PRODUCT <= abs(factor) <= MOST_PRODUCT:
        return None
    return build.scale(build.layer(argument, curve), factor, roundings)


def _ratio(times: float, outer: Origin, beside: Origin, within: Origin) -> tuple[float, int]:
    """(outer beside / within, how often it is rounded): the gate's factor, and by how much its argument differs."""
    factor = times * outer.factor * beside.factor / within.factor
    exact = Fraction(times) * Fraction(outer.factor) * Fraction(beside.factor) / Fraction(within.factor)
    given = outer.roundings + beside.roundings + within.roundings
    # the last one is for products of these errors
    return factor, given + 3 if given else 0 if exact == Fraction(factor) else 2
