"""Activation regions of inputs: their patterns, half-spaces and functions are the network's own."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import oracle
import pytest
from random_instances import Shape, random_network

from hypersplit.encodings.certificates.activation_regions import activation_region, essential_faces
from hypersplit.instances.errors import InputError
from hypersplit.instances.families.random_networks import random_network as normal_network
from hypersplit.instances.network import sequential


@pytest.mark.parametrize("seed", range(12))
def test_regions_have_the_networks_functions(seed: int) -> None:
    """Points of a region have its pattern and outputs, others have not, and the errors told are tiny."""
    rng = np.random.default_rng(seed)
    network = random_network(rng, Shape(rough=True, residual=0.5))
    x = rng.normal(size=(4, network.input_size))
    regions = activation_region(network, x)
    relus = [k for k, layer in enumerate(network.layers) if layer.kind == "relu"]
    others = np.concatenate([x + 0.3 * rng.normal(size=x.shape) for _ in range(50)] + [x])
    pre = network.values(others)[1]
    signs = np.concatenate([np.zeros((len(others), 0)), *(pre[k] for k in relus)], axis=1)
    inside = 0
    for b in range(len(x)):
        exact = [Fraction(float(v)) for v in x[b]]
        assert regions.contains(b, x[b])
        values = oracle.exact_values(network, exact)[-1]
        near = regions.coefficients[b] @ x[b] + regions.constants[b]
        assert np.allclose(near, [float(v) for v in values], atol=1e-9)
        same = ((signs >= 0.0) == regions.phases[b]).all(axis=1)
        assert np.array_equal(regions.contains(b, others), same)
        inside += int(same.sum())
        y = others[same] @ regions.coefficients[b].T + regions.constants[b]
        assert np.allclose(y, network.evaluate(others[same]), atol=1e-9)
        assert (regions.normal_errors[b] < 1e-9).all() and (regions.offset_errors[b] < 1e-9).all()
    assert inside >= len(x)


def test_redundant_faces_are_dropped() -> None:
    """Of a square, a row further out, a copy and a row without inputs, only the square's faces are left."""
    rows = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1], [1, 1], [1, 0], [0, 0]])
    network = sequential([rows, np.ones((1, 7))], [np.array([1.0, 1, 1, 1, 5, 1, 1]), np.zeros(1)])
    kept = essential_faces(activation_region(network, np.zeros((1, 2))), 0, np.zeros(2))
    assert kept[1:4].all() and kept[0] != kept[5] and not kept[4] and not kept[6]


def test_what_is_dropped_is_implied() -> None:
    """Points that satisfy the essential faces satisfy all of them."""
    network = normal_network([3, 12, 8, 2], 1)
    x = np.random.default_rng(1).normal(size=(5, 3))
    regions = activation_region(network, x)
    for b in range(5):
        kept = essential_faces(regions, b, x[b])
        assert 0 < kept.sum() < len(kept)
        points = x[b] + np.random.default_rng(2).normal(size=(3000, 3)) * np.logspace(-3, 0, 3000)[:, None]
        values = points @ regions.normals[b].T + regions.offsets[b]
        held = (values[:, kept] >= 0.0).all(axis=1)
        assert held.any() and not held.all() and (values[held] >= -1e-7).all()


def test_bad_points_are_refused() -> None:
    """Points of another size, that are not finite, or of a network with tanh, are said in one line."""
    with pytest.raises(InputError):
        activation_region(normal_network([3, 4, 2], 0), np.zeros((1, 2)))
    with pytest.raises(InputError):
        activation_region(normal_network([3, 4, 2], 0), np.full((1, 3), np.inf))
    with pytest.raises(InputError):
        activation_region(normal_network([3, 4, 2], 0, "tanh"), np.zeros((1, 3)))
