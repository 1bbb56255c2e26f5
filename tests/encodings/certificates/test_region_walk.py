"""Walks over activation regions: to their end they find the least distortion, earlier they bound it from below."""

from __future__ import annotations

import numpy as np
import pytest
from distortions import distortion
from random_instances import Shape, random_network

from hypersplit.encodings.certificates.decision_boundary import decision_boundary_certificate, lipschitz_certificate
from hypersplit.encodings.certificates.region_walk import region_walk
from hypersplit.encodings.certificates.simplex import simplex_certificate
from hypersplit.instances.errors import InputError
from hypersplit.instances.families.random_networks import random_network as normal_network
from hypersplit.instances.network import Array, Layer, Network, sequential
from hypersplit.instances.property import InputSet

NORMS = (1, 2, np.inf)
PATIENCE = 600.0  # seconds: no walk of these tests may end by its time
WIDE = 2.0  # of the box around each point in which the oracle looks
ABOUT = 1e-5  # what the oracle's own solvers may be off by


def label_of(network: Network, x: Array) -> int:
    """The class answered at x."""
    return int(np.argmax(network.evaluate(x)))


def compare(network: Network, x: Array, norm: float, box: bool) -> bool:
    """Hold everything against the oracle; whether there was anything to hold against."""
    label, region = label_of(network, x), InputSet.box(x - WIDE, x + WIDE)
    truth = distortion(network, x, label, norm, region)
    ends = (region.lower, region.upper) if box else (-np.inf, np.inf)
    walk = region_walk(network, x[None], np.array([label]), norm, *ends, seconds=PATIENCE)
    lower, upper = float(walk.lower[0]), float(walk.upper[0])
    assert lower <= upper
    if walk.exact[0] and upper < np.inf:
        found = walk.points[0]
        assert np.linalg.norm(found - x, norm) <= upper <= max(lower * (1 + 1e-6), 1e-12)
        others = np.delete(network.evaluate(found), label)
        assert others.max() >= network.evaluate(found)[label] - 1e-12
    if not box and truth > WIDE:
        assert lower <= truth * (1 + ABOUT) and (not walk.exact[0] or lower >= WIDE * (1 - ABOUT))
        return False
    if truth == np.inf:
        assert upper == np.inf
        return False
    assert lower <= truth * (1 + ABOUT) + 1e-9 and upper >= truth * (1 - ABOUT) - 1e-9
    if walk.exact[0]:
        assert lower >= truth * (1 - ABOUT) - 1e-9
    for certificate in (simplex_certificate, decision_boundary_certificate, lipschitz_certificate):
        assert certificate(network, x[None], np.array([label]), norm)[0] <= truth * (1 + ABOUT) + 1e-12
    return bool(walk.exact[0])


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("kind", ["touching", "rough", "scaled"])
def test_walks_end_at_the_least_distortion(kind: str, norm: float) -> None:
    """On random networks, residual ones among them, the oracle's distance lies between the bounds, which meet."""
    shape = {
        "touching": Shape(most_inputs=3, most_relus=8, identity=0.2),
        "rough": Shape(most_inputs=3, most_relus=8, rough=True),
        "scaled": Shape(most_inputs=3, most_relus=8, rough=True, scale=1e4),
    }[kind]
    exact = compared = 0
    seed = 0
    while compared < 16:
        seed += 1
        rng = np.random.default_rng(seed)
        network = random_network(rng, shape)
        if network.output_size < 2:
            continue
        print(kind, norm, seed)
        x = rng.integers(-8, 9, network.input_size) / 8.0
        exact += compare(network, x, norm, box=bool(seed % 2))
        compared += 1
    assert exact > 0
