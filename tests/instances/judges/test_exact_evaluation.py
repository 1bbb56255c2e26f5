"""Evaluation with a guarantee against Fractions, weight by weight."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import oracle
import pytest
import scipy.sparse as sp
from random_instances import Shape, random_network

from hypersplit.instances.judges import exact_evaluation
from hypersplit.instances.judges.exact_evaluation import enclose, exact_output, scaled
from hypersplit.instances.network import Network, sequential

SHAPES = (Shape(), Shape(rough=True), Shape(scale=1e8, rough=True), Shape(residual=1.0, rough=True))


def sparse_of(network: Network) -> Network:
    """The same network, its weights csr."""
    return replace(
        network, layers=tuple(replace(k, weights=tuple(sp.csr_array(w) for w in k.weights)) for k in network.layers)
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_exact_outputs_are_those_of_fractions(shape: Shape) -> None:
    """Scaled integers say what rationals say; the enclosure holds them, and is no wider than rounding."""
    for seed in range(25):
        rng = np.random.default_rng(seed)
        network = random_network(rng, shape)
        x = rng.normal(size=network.input_size)
        truth = oracle.exact_values(network, [Fraction(float(a)) for a in x])[-1]
        assert exact_output(network, x) == truth == exact_output(sparse_of(network), x), f"seed {seed}"
        for one in (network, sparse_of(network)):
            centre, radius = enclose(one, x)
            for c, r, t in zip(centre, radius, truth, strict=True):
                assert abs(Fraction(float(c)) - t) <= Fraction(float(r)), f"seed {seed}"
        assert shape.scale > 1.0 or (radius < 1e-11 * (1.0 + np.abs(centre))).all(), f"seed {seed}"


@pytest.mark.parametrize("kind", ["sigmoid", "tanh"])
def test_smooth_activations_are_enclosed(kind: str) -> None:
    """Against decimals of 60 digits, arguments from tiny to beyond saturation."""
    rng = np.random.default_rng(0)
    for scale in (1e-8, 1.0, 30.0, 800.0):
        weights, bias = [scale * rng.normal(size=(4, 3)), rng.normal(size=(1, 4))], [rng.normal(size=4), np.zeros(1)]
        network = sequential(weights, bias)
        network = replace(network, layers=(replace(network.layers[0], kind=kind), network.layers[1]))
        x = rng.normal(size=3)
        centre, radius = enclose(network, x)
        with localcontext() as context:
            context.prec = 60
            total = Decimal(0)
            for w, b, v in zip(weights[0], bias[0], weights[1][0], strict=True):
                z = sum((Decimal(float(a)) * Decimal(float(c)) for a, c in zip(w, x, strict=True)), Decimal(float(b)))
                e = (-abs(z) if kind == "sigmoid" else -2 * abs(z)).exp()
                y = (1 if z >= 0 else e) / (1 + e) if kind == "sigmoid" else (1 - e) / (1 + e) * (1 if z >= 0 else -1)
                total += Decimal(float(v)) * y
            assert abs(total - Decimal(float(centre[0]))) <= Decimal(float(radius[0])), f"{kind}, {scale}"
        assert radius[0] < 1e-8


def test_overflow_is_enclosed_by_everything() -> None:
    """Values beyond float64 have an infinite radius or none that is a number, never a wrong one."""
    network = sequential([np.array([[1e200]]), np.array([[1e200]])], [np.zeros(1), np.zeros(1)])
    _, radius = enclose(network, np.ones(1))
    assert not radius[0] < np.inf
    assert exact_output(network, np.ones(1)) == [Fraction(1e200) ** 2]


def test_what_is_out_of_reach_has_no_exact_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folded layers, other activations and too many weights."""
    network = sequential([np.eye(2), np.eye(2)], [np.zeros(2), np.zeros(2)])
    first = network.layers[0]
    for layer in (replace(first, roundings=1), replace(first, bias_error=1e-9), replace(first, kind="tanh")):
        assert exact_output(replace(network, layers=(layer, network.layers[1])), np.ones(2)) is None
    assert exact_output(network, np.ones(2)) == [1, 1]
    monkeypatch.setattr(exact_evaluation, "MAX_EXACT_WEIGHTS", 7)
    assert exact_output(network, np.ones(2)) is None


def test_scaled_integers_are_the_floats() -> None:
    """Subnormal and huge numbers beside each other, zeros of either sign."""
    numbers = np.array([5e-324, -1.5, 0.0, -0.0, 1.7e308, 2.0**-1074 * 3, 1 / 3])
    integers, exponent = scaled(numbers)
    assert [Fraction(int(v)) / Fraction(2) ** exponent for v in integers] == [Fraction(float(v)) for v in numbers]
    assert scaled(np.zeros(3))[0].tolist() == [0, 0, 0]
