"""Products of two tensors that depend on the input, and quotients.

One of a number with its own gate, or with its own power, is one curve (`gates.py`). Any other one is made of squares
(`expressions/products.py`), and a / b = a (1 / b).
"""

from __future__ import annotations

from ..expressions.affine import Expression
from ..expressions.node import Constant, Node, Tensor, finite
from ..expressions.products import SQUARE
from ..expressions.products import product as squares
from .gates import inverse, one_curve, softsign

__all__ = ["product", "quotient"]


def product(node: Node, a: Expression, b: Expression) -> Expression:
    """The product entry by entry, in the shape that both broadcast to."""
    build = node.builder
    if a is b:
        return build.layer(a, SQUARE)
    if a.shape == b.shape:
        found = one_curve(build, a, b)
        if found is not None:
            return found
    return squares(build, a, b)


def quotient(node: Node, a: Tensor, b: Expression) -> Expression:
    """a / b, in the common shape."""
    if not isinstance(a, Constant) and (found := softsign(node.builder, a, b)) is not None:
        return found
    below: Tensor = inverse(node.builder, b)
    a, below = node.broadcast(a, below)
    if isinstance(a, Constant):
        return node.builder.scale(node.affine(below), finite(a).array, a.roundings)
    return product(node, a, node.affine(below))
