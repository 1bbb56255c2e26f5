"""Random networks with products of numbers that depend on the input, and questions about them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from onnx import ModelProto, helper
from onnx_models import model, normal, read, whole

from hypersplit.instances.network import Array, Network
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

__all__ = ["FORMS", "corners", "exact_values", "question", "random_model", "random_network"]

node = helper.make_node
_AFFINE = [node("Gemm", ["x", "w", "b"], ["p"]), node("Gemm", ["x", "u", "c"], ["q"])]
_MATRIX = [
    node("Reshape", ["x", "shape"], ["t"]), node("MatMul", ["t", "w2"], ["p"]), node("MatMul", ["t", "u2"], ["q"]),
]  # fmt: skip
_HEAD = [node("Reshape", ["o", "flat"], ["r"]), node("MatMul", ["r", "v"], ["y"])]
# what lies between the affine maps p and q of four inputs and the tensor o of four numbers
FORMS: dict[str, list[Any]] = {
    "entries": [*_AFFINE, node("Mul", ["p", "q"], ["o"])],
    "gates": [*_AFFINE, node("Relu", ["p"], ["a"]), node("Sigmoid", ["q"], ["s"]), node("Mul", ["a", "s"], ["o"])],
    "attention": [
        *_MATRIX, node("Transpose", ["q"], ["k"], perm=[0, 2, 1]), node("MatMul", ["p", "k"], ["s"]),
        node("MatMul", ["s", "t"], ["o"]),
    ],
    "gram": [*_MATRIX[:2], node("Einsum", ["p", "p"], ["o"], equation="bij,bkj->bik")],
    "gemm": [
        node("Reshape", ["x", "square"], ["t"]), node("MatMul", ["t", "w2"], ["p"]),
        node("Gemm", ["p", "t"], ["o"], transB=1, alpha=0.5),
    ],
    "three": [
        *_AFFINE, node("Concat", ["p", "q"], ["pq"], axis=1), node("Reshape", ["pq", "four"], ["g"]),
        node("ReduceProd", ["g"], ["o"], axes=[1], keepdims=0),
    ],
}  # fmt: skip


def random_model(form: str, seed: int) -> ModelProto:
    """One of FORMS with random weights and one output, on an input of four numbers."""
    rng = np.random.default_rng(seed)
    weights = {
        "w": normal(rng, 4, 6 if form == "three" else 4), "u": normal(rng, 4, 6 if form == "three" else 4),
        "w2": normal(rng, 2, 2), "u2": normal(rng, 2, 2), "v": normal(rng, 4, 1),
        "shape": whole(1, 2, 2), "square": whole(2, 2), "flat": whole(1, 4), "four": whole(4, 3),
    }  # fmt: skip
    weights |= {name: normal(rng, weights[matrix].shape[1]) for name, matrix in (("b", "w"), ("c", "u"))}
    return model([*FORMS[form], *_HEAD], [1, 4], weights)


def random_network(form: str, seed: int) -> Network:
    """The same as it is read."""
    return read(random_model(form, seed))


def question(network: Network, region: InputSet, least: float = 0.0) -> Query:
    """Is there an input whose first output is at most `least`?"""
    rows = np.zeros((1, network.output_size))
    rows[0, 0] = 1.0
    case = Case(region, (Polyhedron(rows, np.array([least])),))
    return queries(network, Property((case,), region.size, network.output_size))[0]


def corners(region: InputSet, between: int) -> Array:
    """[points, inputs] a grid over the box, ends included."""
    sides = [np.linspace(a, b, between) for a, b in zip(region.lower, region.upper, strict=True)]
    return np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, region.size)


def exact_values(network: Network, x: Array) -> list[list[Fraction]]:
    """x_0, x_1, ... in rationals at one input, for layers of squares, ReLUs and identities."""
    values: list[list[Fraction]] = [[Fraction(float(v)) for v in x]]
    for layer in network.layers:
        z = [Fraction(float(b)) for b in layer.bias]
        for s, w in zip(layer.sources, layer.weights, strict=True):
            dense = w if isinstance(w, np.ndarray) else w.toarray()
            z = [a + _dot(row, values[s]) for a, row in zip(z, dense, strict=True)]
        if layer.kind == "relu":
            z = [max(a, Fraction(0)) for a in z]
        values.append([a * a for a in z] if layer.kind == "power:2" else z)
    return values


def _dot(row: Array, values: Sequence[Fraction]) -> Fraction:
    return sum((Fraction(float(c)) * v for c, v in zip(row, values, strict=True) if c), Fraction(0))
