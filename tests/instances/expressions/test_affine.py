"""What is folded while reading stays within the errors that the layers declare, measured in rationals."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
from onnx import ModelProto, helper
from onnx_models import kinds, model, normal, read

from hypersplit.instances.judges.exact_evaluation import enclose

node = helper.make_node


def test_folded_weights_are_within_their_declared_roundings() -> None:
    """A chain folded into one layer: weights and biases against rationals, within the declared errors."""
    for seed in range(25):
        proto, exact = folded_chain(np.random.default_rng(seed))
        network = read(proto)
        assert kinds(network) == ["identity"]
        (layer,) = network.layers
        bias = exact([Fraction(0)] * 6)
        for b, truth in zip(layer.bias, bias, strict=True):
            assert abs(Fraction(float(b)) - truth) <= Fraction(layer.bias_error), f"seed {seed}"
        assert 0.0 < layer.bias_error <= 1e-10 * np.abs(layer.bias).max() and 0 < layer.roundings < 20
        for j in range(6):
            column = exact([Fraction(int(i == j)) for i in range(6)])
            for w, b, top in zip(layer.weights[0][:, j], bias, column, strict=True):
                allowed = layer.roundings * Fraction(1, 2**53) * abs(top - b)
                assert abs(Fraction(float(w)) - (top - b)) <= allowed, f"seed {seed}"


def test_folding_encloses_the_exact_network() -> None:
    """The rigorous evaluation of a network that was read encloses the file's own output, in rationals."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        proto, exact = folded_chain(rng, head=True)
        network = read(proto)
        x = normal(rng, 6).astype(np.float64)
        centre, radius = enclose(network, x)
        for c, r, truth in zip(centre, radius, exact([Fraction(v) for v in x]), strict=True):
            assert abs(Fraction(float(c)) - truth) <= Fraction(float(r)), f"seed {seed}"
        assert np.all(radius <= 1e-9 * (1.0 + np.abs(centre))), f"seed {seed}: {radius} is no useful bound"


def folded_chain(rng: np.random.Generator, head: bool = False) -> tuple[ModelProto, Any]:
    """(x - m) / s, permuted, times w plus b2, scaled, normalised; with a head relu(.) v2; and in rationals."""
    m, s, a, b2, v, w2 = (normal(rng, 6) for _ in range(6))
    w, v2 = normal(rng, 6, 6), normal(rng, 6, 2)
    variance, order = normal(rng, 6) ** 2, rng.permutation(6).astype(np.int64)
    alpha, epsilon = 0.3, 1e-3
    nodes = [
        node("Sub", ["x", "m"], ["t1"]),
        node("Div", ["t1", "s"], ["t2"]),
        node("Gather", ["t2", "order"], ["t3"], axis=1),
        node("Gemm", ["t3", "w", "b2"], ["t4"], alpha=alpha, beta=0.7),
        node("Mul", ["t4", "a"], ["t5"]),
        node("BatchNormalization", ["t5", "w2", "v", "m", "variance"], ["t6"], epsilon=epsilon),
    ]
    if head:
        nodes += [node("Relu", ["t6"], ["t7"]), node("MatMul", ["t7", "v2"], ["y"])]
    weights = {
        "m": m,
        "s": s,
        "order": order,
        "w": w,
        "b2": b2,
        "a": a,
        "w2": w2,
        "v": v,
        "variance": variance,
        "v2": v2,
    }
    attributes = {n.op_type: {t.name: t.f for t in n.attribute} for n in nodes}  # rounded to float32, as stored

    def rational(values: np.ndarray) -> Any:
        return np.array([Fraction(float(x)) for x in values.reshape(-1)], dtype=object).reshape(values.shape)

    def exact(x: list[Fraction]) -> list[Fraction]:
        t = (np.array(x, dtype=object) - rational(m)) / rational(s)
        gemm = {k: Fraction(value) for k, value in attributes["Gemm"].items()}
        t = (t[order] @ rational(w) * gemm["alpha"] + rational(b2) * gemm["beta"]) * rational(a)
        spread = rational(variance) + Fraction(attributes["BatchNormalization"]["epsilon"])
        t = (t - rational(m)) / np.array([root(q) for q in spread], dtype=object) * rational(w2) + rational(v)
        return list(np.maximum(t, Fraction(0)) @ rational(v2) if head else t)

    return model(nodes, [1, 6], weights), exact


def root(q: Fraction) -> Fraction:
    """The square root, to 60 digits."""
    with localcontext() as context:
        context.prec = 60
        return Fraction((Decimal(q.numerator) / Decimal(q.denominator)).sqrt())


def test_tiny_products_do_not_lose_their_relative_error() -> None:
    """Factors whose product underflows float64 are kept in layers of their own."""
    tiny = np.full((1, 3), 1e-40, dtype=np.float32)
    nodes = [node("Mul", ["x" if k == 0 else f"t{k}", "tiny"], [f"t{k + 1}"]) for k in range(9)]
    network = read(model(nodes, [1, 3], {"tiny": tiny}))
    used = [abs(w).max() for layer in network.layers for w in layer.weights]
    assert min(used) > 0.0 and min(used) >= 2.0**-1000
    assert np.isclose(np.sum(np.log10(used)), -360.0, atol=1.0)
