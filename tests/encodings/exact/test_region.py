"""Exact affine functions: outputs at rational points, and pre-activations of a region, are those of the oracle."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import oracle
import pytest
from random_instances import random_instance, random_network

from hypersplit.encodings.exact.region import ExactNetwork, inexact
from hypersplit.instances.network import Layer, Network


@pytest.mark.parametrize("seed", range(20))
def test_outputs_at_rational_points_are_exact(seed: int) -> None:
    """Thirds and sevenths, which no float is, and weights of very different exponents."""
    rng = np.random.default_rng(seed)
    network = random_network(rng)
    if seed % 2:
        first = network.layers[0]
        weights = tuple(np.ldexp(w, rng.integers(-60, 60, w.shape)) for w in first.weights)
        network = Network(
            network.input_size, (Layer(first.sources, weights, first.bias, first.kind), *network.layers[1:])
        )
    point = [Fraction(int(v), int(rng.choice([1, 3, 7, 8]))) for v in rng.integers(-9, 10, network.input_size)]
    assert ExactNetwork(network).output(point) == oracle.exact_values(network, point)[-1]


@pytest.mark.parametrize("seed", range(20))
def test_functions_of_a_region_are_the_networks(seed: int) -> None:
    """Gated by the phases at a point, they give all of its pre-activations; fixed inputs are constants."""
    instance = random_instance(seed)
    network, region = instance.network, instance.prop.cases[0].region
    exact = ExactNetwork(network)
    for leaf in list(oracle.leaves(network, region))[:3]:
        points = leaf.polytope.points()
        middle = [sum(c, Fraction(0)) / len(points) for c in zip(*points, strict=True)]
        open_inputs = [v for v, a, b in zip(middle, region.lower, region.upper, strict=True) if a < b]
        truth = oracle.exact_values(network, middle)
        values = [exact.inputs(region.lower, region.upper)]
        for k, layer in enumerate(network.layers):
            z = exact.pre_activations(k, values)
            ours = [
                (sum((int(c) * x for c, x in zip(row[:-1], open_inputs, strict=True)), Fraction(int(row[-1]))))
                / Fraction(2) ** z.exponent
                for row in z.rows
            ]
            after = [max(v, Fraction(0)) for v in ours] if layer.kind == "relu" else ours
            assert after == truth[k + 1]
            active = np.array([v > 0 for v in ours])
            values.append(z.gated(active) if layer.kind == "relu" else z)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"kind": "tanh"}, "is a tanh"), ({"roundings": 1}, "folded with rounding"), ({"bias_error": 1e-9}, "folded")],
)
def test_what_is_not_exact_is_told(change: dict[str, object], said: str) -> None:
    """A layer whose floats are not the file's own numbers, or that is not piecewise linear, is named."""
    layer = Layer((0,), (np.eye(2),), np.zeros(2), **{"kind": "relu", "name": "odd", **change})  # type: ignore[arg-type]
    network = Network(2, (layer, Layer((1,), (np.eye(2),), np.zeros(2))))
    assert said in inexact(network) and "layer 1 (odd)" in inexact(network)
    assert inexact(Network(2, (Layer((0,), (np.eye(2),), np.zeros(2)),))) == ""


def test_affine_layers_that_nobody_reads_may_be_rounded() -> None:
    """Differences of nearly equal neurons are rounded, and the network that holds them besides is exact all the same;
    a ReLU that is rounded is not, nor are margins."""
    first, last = (Layer((k,), (np.eye(2),), np.zeros(2), kind) for k, kind in ((0, "relu"), (2, "identity")))
    second = Layer((0,), (np.eye(2),), np.zeros(2), "relu")
    unread = Layer((0,), (np.eye(2),), np.zeros(2), roundings=1, bias_error=1e-9)
    assert inexact(Network(2, (first, second, unread, last))) == ""
    assert "layer 3" in inexact(Network(2, (first, second, replace(unread, kind="relu"), last)))
    assert "layer 3" in inexact(Network(2, (first, second, unread)))
