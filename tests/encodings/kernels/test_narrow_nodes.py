"""The compiled kernel and its numpy twin say the same, up to the last bits."""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter

import numpy as np
import pytest
from random_instances import Shape, random_instance, random_nodes

from hypersplit.encodings.linear.linear_bounds import Bounds, LinearBoundOptions, bound
from hypersplit.instances.batch import Batch, root
from hypersplit.instances.families.random_networks import random_network, random_property
from hypersplit.instances.query import Query, queries


def nodes_of(seed: int, query: Query, count: int) -> Batch:
    """The root and nodes below it with its bounds inherited: boxes, half-spaces, phases."""
    rng = np.random.default_rng(seed)
    batch = Batch.concatenate([root(query), random_nodes(rng, query, count)])
    proved = bound(query, root(query), LinearBoundOptions(kernel="plain"))
    batch.pre_lower[1:] = np.maximum(batch.pre_lower[1:], proved.pre_lower)
    batch.pre_upper[1:] = np.minimum(batch.pre_upper[1:], proved.pre_upper)
    return batch


def assert_same(query: Query, batch: Batch, options: LinearBoundOptions, label: str) -> Bounds:
    """Both ways; returns the kernel's."""
    plain = bound(query, batch, replace(options, kernel="plain"))
    fast = bound(query, batch, replace(options, kernel="compiled"))
    np.testing.assert_array_equal(fast.infeasible, plain.infeasible, err_msg=label)
    alive = ~plain.infeasible
    unstable = (plain.pre_lower < 0.0) & (plain.pre_upper > 0.0) & query.relu
    scale = 1.0 + np.abs(plain.margins[alive]).max(initial=0.0)

    def close(name: str, where: np.ndarray) -> None:
        a, b = attrgetter(name)(fast), attrgetter(name)(plain)
        where = where.reshape(where.shape + (1,) * (a.ndim - where.ndim)) & np.ones(a.shape, dtype=bool)
        np.testing.assert_allclose(a[where], b[where], 1e-7, 1e-8 * scale, err_msg=f"{label}: {name}")

    for name in ("pre_lower", "pre_upper", "margins", "coefficients", "constants"):
        close(name, alive)
    close("sensitivities", alive[:, None, None] & unstable[:, None, :].repeat(query.rows, axis=1))
    if options.means:
        assert plain.means is not None and fast.means is not None
        known = alive[:, None] & np.isfinite(plain.means.spreads)
        np.testing.assert_array_equal(np.isfinite(fast.means.spreads) & alive[:, None], known, err_msg=label)
        close("means.functions", known)
        close("means.spreads", known)
    return fast


OPTIONS = (
    LinearBoundOptions(means=True),
    LinearBoundOptions(slopes="parallel", means=True),
    LinearBoundOptions(hidden=False),
    LinearBoundOptions(first_layer=2),
)


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
        two = bound(query, batch, replace(OPTIONS[0], kernel="compiled", threads=2))
        np.testing.assert_array_equal(one.margins, two.margins)


def test_what_the_kernel_cannot_take_goes_to_numpy() -> None:
    """Sigmoids: asked for or not, the twin bounds them."""
    network = random_network((3, 6, 2), seed=1)
    layers = tuple(replace(layer, kind="sigmoid" if layer.kind == "relu" else layer.kind) for layer in network.layers)
    network = replace(network, layers=layers)
    query = queries(network, random_property(network, seed=1))[0]
    plain, fast = (bound(query, root(query), LinearBoundOptions(kernel=k)) for k in ("plain", "compiled"))
    np.testing.assert_array_equal(plain.margins, fast.margins)
