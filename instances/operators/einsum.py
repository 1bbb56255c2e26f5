"""Sums along axes: Einsum of at most two factors, and CumSum.

Einsum: every point of the grid of all labels is one product; it reads one entry of either factor and adds to one entry
of the result. Where one factor is constant, the sums are a matrix: as long as no two points share both data and result,
each weight is an entry of the constant, and nothing is rounded. Where both depend on the input, they are sums of
squares (`expressions/products.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from string import ascii_letters

import numpy as np

from ..errors import NetworkError, UnsupportedOperatorError
from ..expressions.affine import Expression
from ..expressions.node import Constant, Node, Tensor, finite
from ..expressions.products import check_count, sums_of_products
from ..sparse import sp
from .linear import check_products

__all__ = ["cumulative_sum", "einsum"]


def einsum(node: Node) -> Tensor:
    """Einsum of one tensor or of two."""
    tensors = [node.tensor(i) for i in range(len(node.inputs))]
    if len(tensors) > 2:
        raise UnsupportedOperatorError(f"{len(tensors)} factors; supported are two")
    terms, result = _labels(node.text("equation", ""), [t.shape for t in tensors])
    sizes: dict[str, int] = {}
    for term, tensor in zip(terms, tensors, strict=True):
        for label, n in zip(term, tensor.shape, strict=True):
            if sizes.setdefault(label, n) != n:
                raise NetworkError(f"the label {label} stands for axes of {sizes[label]} and of {n} entries")
    if len(data := [t for t in tensors if isinstance(t, Expression)]) > 1:
        return _of_data(node, data, terms, result, sizes)
    k = int(not isinstance(tensors[0], Expression) and bool(data))
    x = node.affine(tensors[k])
    other = finite(node.constant(1 - k)) if len(tensors) == 2 else Constant(np.ones(()))
    check_products(math.prod(sizes.values()) * float(math.prod(x.shape) > 0))
    shape = tuple(sizes[label] for label in result)
    columns = _positions(terms[k], sizes)
    rows, weights = _positions(result, sizes), other.array.astype(np.float64).reshape(-1)
    data_of = weights[_positions(terms[1 - k], sizes) if len(tensors) == 2 else np.zeros_like(rows)]
    if len(np.unique(rows * max(x.size, 1) + columns)) < len(rows):
        raise UnsupportedOperatorError("an equation that adds entries of the constant; add them beforehand")
    matrix = sp.csr_array(sp.coo_array((data_of, (rows, columns)), shape=(math.prod(shape), x.size)))
    return node.builder.apply(matrix, x, shape, other.roundings)


def _of_data(node: Node, data: Sequence[Expression], terms: list[str], result: str, sizes: dict[str, int]) -> Tensor:
    """Both factors depend on the input."""
    check_count(float(math.prod(sizes.values())))
    left, right, out = (_positions(labels, sizes) for labels in (*terms, result))
    shape = tuple(sizes[label] for label in result)
    return sums_of_products(node.builder, data[0], data[1], (out, left, right), shape)


def _labels(equation: str, shapes: Sequence[tuple[int, ...]]) -> tuple[list[str], str]:
    """One letter an axis for each term and for the result, with dots written out as unused letters."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    free = [c for c in ascii_letters if c not in equation]
    lengths = [len(shape) - len(t.replace("...", "")) for t, shape in zip(terms, shapes, strict=False)]
    fits = all(n == 0 or ("..." in t and n > 0) for t, n in zip(terms, lengths, strict=False))
    if len(terms) != len(shapes) or not fits or max(lengths, default=0) > len(free):
        raise NetworkError(f"the equation {equation!r} for tensors of shapes {', '.join(map(str, shapes))}")
    if "..." in left and len({n for t, n in zip(terms, lengths, strict=True) if "..." in t}) > 1:
        raise UnsupportedOperatorError(f"the equation {equation!r}, whose dots stand for axes of different number")
    dots = "".join(free[: max(lengths, default=0)])
    terms = [t.replace("...", dots) for t in terms]
    joint = "".join(terms)
    if not arrow:
        right = ("..." if dots else "") + "".join(sorted(c for c in set(joint) - set(dots) if joint.count(c) == 1))
    right = right.replace("...", dots)
    if not set(right) <= set(joint) or len(set(right)) < len(right) or not joint.isalpha() and joint:
        raise NetworkError(f"the equation {equation!r}: the result has labels of its own, or one twice")
    return terms, right


def _positions(labels: str, sizes: dict[str, int]) -> np.ndarray:
    """Flat position in a tensor with these labels, for every point of the grid of all labels."""
    total = np.zeros((1,) * len(sizes), dtype=np.int64)
    stride = 1
    for label in reversed(labels):
        axis = list(sizes).index(label)
        total = total + stride * np.arange(sizes[label]).reshape([-1 if d == axis else 1 for d in range(len(sizes))])
        stride *= sizes[label]
    return np.broadcast_to(total, tuple(sizes.values())).reshape(-1)


def cumulative_sum(node: Node) -> Tensor:
    """CumSum along a constant axis, forwards or backwards, with or without the entry itself."""
    x, dims = node.expression(0), len(node.tensor(0).shape)
    axis = int(node.constant(1).array.reshape(-1)[0])
    if not -dims <= axis < dims:
        raise NetworkError(f"axis {axis} of a tensor of shape {x.shape}")
    axis %= dims
    n = x.shape[axis]
    check_products(float(x.size) * n)
    order = np.arange(n)
    earlier = order[:, None] - order if not node.flag("reverse") else order - order[:, None]
    one = (earlier > 0) if node.flag("exclusive") else (earlier >= 0)
    outer, inner = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
    matrix = sp.kron(sp.kron(sp.eye_array(outer), sp.csr_array(one.astype(np.float64))), sp.eye_array(inner))
    return node.builder.apply(sp.csr_array(matrix), x, x.shape)
