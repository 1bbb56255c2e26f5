"""The compiled kernel and its numpy twin say the same, up to the last bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from compiled_twins import OPTIONS, assert_same, nodes_of
from random_instances import Shape, random_instance

from hypersplit.encodings.linear.linear_bounds import LinearBoundOptions, bound
from hypersplit.instances.batch import root
from hypersplit.instances.families.random_networks import random_network, random_property
from hypersplit.instances.query import queries


@pytest.mark.parametrize("seed", range(0, 120, 30))
def test_small_networks_with_half_spaces_and_residual_edges(seed: int) -> None:
    """Random graphs of layers, boxes that are flat in places, half-spaces, phases."""
    for s in range(seed, seed + 30):
        instance = random_instance(s, shape=Shape(flat=0.2))
        for query in queries(instance.network, instance.prop):
            batch = nodes_of(s, query, 6)
            batch.phases[:] = 0  # the kernel makes half-spaces of phases: tested below
            assert_same(query, batch, OPTIONS[s % len(OPTIONS)], f"{instance}")


@pytest.mark.parametrize("sizes", [(5, 50, 50, 50, 5), (3, 130, 130, 4), (2, 7, 1)])
def test_narrow_networks(sizes: tuple[int, ...]) -> None:
    """Layers of more rows than walk back together, several disjuncts, threads."""
    network = random_network(sizes, seed=3)
    for radius in (0.05, 0.3):
        query = queries(network, random_property(network, seed=5, radius=radius))[0]
        batch = nodes_of(1, query, 40)
        batch.phases[:] = 0
        one = assert_same(query, batch, OPTIONS[0], f"{sizes}, {radius}")
        two = bound(query, batch, OPTIONS[0]._replace(kernel="compiled", threads=2))
        np.testing.assert_array_equal(one.margins, two.margins)


def test_what_the_kernel_cannot_take_goes_to_numpy() -> None:
    """Sigmoids: asked for or not, the twin bounds them."""
    network = random_network((3, 6, 2), seed=1)
    layers = tuple(replace(layer, kind="sigmoid" if layer.kind == "relu" else layer.kind) for layer in network.layers)
    network = replace(network, layers=layers)
    query = queries(network, random_property(network, seed=1))[0]
    plain, fast = (bound(query, root(query), LinearBoundOptions(kernel=k)) for k in ("plain", "compiled"))
    np.testing.assert_array_equal(plain.margins, fast.margins)
