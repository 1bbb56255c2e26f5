"""Networks: values and gradients against rationals and differences, and what the graph of a network tells."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import oracle
import pytest
from random_instances import random_network

from hypersplit.instances.curves.names import CURVES
from hypersplit.instances.network import Layer, Network, sequential


@pytest.mark.parametrize("seed", range(20))
def test_values_are_those_of_rational_arithmetic(seed: int) -> None:
    """Every layer's values, one input or many, up to rounding."""
    rng = np.random.default_rng(seed)
    network = random_network(rng)
    points = rng.integers(-16, 17, (5, network.input_size)) / 8.0
    values, pre = network.values(points)
    for row, x in enumerate(points):
        exact = oracle.exact_values(network, [Fraction(v) for v in x.tolist()])
        for ours, theirs in zip(values, exact, strict=True):
            np.testing.assert_allclose(ours[row], [float(v) for v in theirs], rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(network.evaluate(x), values[-1][row])
    for z, x, layer in zip(pre, values[1:], network.layers, strict=True):
        np.testing.assert_array_equal(np.maximum(z, 0.0) if layer.kind == "relu" else z, x)


@pytest.mark.parametrize("kind", ["relu", *CURVES, "elu:1.5", "power:3"])
def test_gradients_are_slopes(kind: str) -> None:
    """Against central differences, through a residual edge too."""
    rng = np.random.default_rng(3)
    first = Layer((0,), (rng.normal(size=(6, 3)),), rng.normal(size=6), kind)
    second = Layer((0, 1), (rng.normal(size=(4, 3)), rng.normal(size=(4, 6))), rng.normal(size=4), kind)
    last = Layer((1, 2), (rng.normal(size=(2, 6)), rng.normal(size=(2, 4))), np.zeros(2))
    network = Network(3, (first, second, last))
    x, cotangent, step = rng.normal(size=(5, 3)), rng.normal(size=(5, 2)), 1e-6
    found = network.pullback(network.values(x)[1], cotangent)
    for j, unit in enumerate(step * np.eye(3)):
        slope = (cotangent * (network.evaluate(x + unit) - network.evaluate(x - unit))).sum(axis=1) / (2.0 * step)
        np.testing.assert_allclose(found[:, j], slope, rtol=1e-6, atol=1e-6)


def test_a_chain_has_no_shortcut() -> None:
    """Its depth is the number of its layers."""
    chain = sequential([np.eye(2)] * 4, [np.zeros(2)] * 4)
    assert chain.shortcuts == [] and chain.depth == 4


def test_shortcuts_and_depth_of_a_residual_network() -> None:
    """An edge past a longer path is one; parallel branches of equal right are none, and add nothing to the depth."""
    eye, zero = np.eye(2), np.zeros(2)
    layers = (
        Layer((0,), (eye,), zero, "relu"),  # 1
        Layer((1,), (eye,), zero, "relu"),  # 2
        Layer((1,), (eye,), zero, "relu"),  # 3, beside 2
        Layer((2, 3), (eye, eye), zero, "relu"),  # 4
        Layer((1, 4), (eye, eye), zero),  # 5, with a residual edge from 1
    )
    network = Network(2, layers)
    assert network.shortcuts == [(1, 5)]
    assert network.depth == 4
    assert {k: network.graph.nodes[k]["kind"] for k in (0, 1, 5)} == {0: "input", 1: "relu", 5: "identity"}


def test_shortcuts_are_those_of_the_transitive_reduction() -> None:
    """Random graphs: the edges that networkx' transitive reduction leaves out."""
    import networkx as nx

    for seed in range(30):
        rng = np.random.default_rng(seed)
        layers = []
        for k in range(1, 9):
            sources = tuple(sorted({k - 1, *rng.integers(0, k, int(rng.integers(0, 3))).tolist()}))
            layers.append(Layer(sources, tuple(np.eye(1) for _ in sources), np.zeros(1)))
        network = Network(1, tuple(layers))
        left_out = set(network.graph.edges) - set(nx.transitive_reduction(network.graph).edges)
        assert network.shortcuts == sorted(left_out), f"seed {seed}"
