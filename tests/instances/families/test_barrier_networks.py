"""The convex barrier: what the best layer-wise relaxation says, what is true, and what does and does not close it."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, product
from pathlib import Path

import layerwise_hulls
import numpy as np
import oracle
import pytest

import hypersplit
from hypersplit.instances.families.barrier_networks import barrier_network, barrier_query
from hypersplit.instances.families.copied_inputs import with_copied_inputs
from hypersplit.instances.network import Array, Network
from hypersplit.instances.onnx.reader import read_network
from hypersplit.instances.onnx.writer import write_network
from hypersplit.instances.property import InputSet, Property
from hypersplit.instances.vnnlib.writer import write_property

ONE = np.ones(1)
SHAPES = [(1.0, 0, 1), (8.0, 2, 1), (1024.0, 1, 1), (0.5, 0, 2), (8.0, 1, 2)]  # factor, identity layers, inputs


@pytest.mark.parametrize(("factor", "identities", "inputs"), [*SHAPES, (2.0**16, 3, 16)])
def test_it_is_the_sum_of_sizes(factor: float, identities: int, inputs: int) -> None:
    """On dyadic inputs y is |x_1| + ... + |x_n|, exactly, whatever the factor and the layers in between."""
    x = np.random.default_rng(inputs).integers(-64, 65, (100, inputs)) / 64.0
    network = barrier_network(factor, identities, inputs)

    np.testing.assert_array_equal(np.abs(x).sum(axis=1), network.evaluate(x)[:, 0])
    assert 2 + identities == sum(layer.kind == "relu" for layer in network.layers)


@pytest.mark.parametrize(("factor", "identities", "inputs"), [(-1.0, 0, 1), (np.inf, 0, 1), (1.0, -1, 1), (1.0, 0, 0)])
def test_senseless_shapes_are_refused(factor: float, identities: int, inputs: int) -> None:
    """Negative or endless factors, a negative number of layers and no inputs are refused."""
    with pytest.raises(ValueError, match="barrier_network"):
        barrier_network(factor, identities, inputs)


@pytest.mark.parametrize(("factor", "identities", "inputs"), SHAPES)
def test_error_exceeds_the_factor(factor: float, identities: int, inputs: int) -> None:
    """The least value is 0, the hulls of whole layers allow -n (factor + n), in rational arithmetic."""
    network = barrier_network(factor, identities, inputs)
    region = barrier_query(network).region
    truth = oracle.minimum(network, region, ONE)
    low, high = layerwise_hulls.output_range(network, region)

    assert truth is not None
    assert (0, -inputs * Fraction(factor + inputs), inputs) == (truth, low, high)
    assert truth - low > factor * inputs  # inputs: the range of y


@pytest.mark.parametrize("window", [2, 3, 4])
def test_identity_layers_blind_relaxations_across_layers(window: int) -> None:
    """With window - 1 identity layers spurious values pass all hulls of so many layers, with one less they fail."""
    assert passes_windows(barrier_network(8.0, window - 1), window)
    assert not passes_windows(barrier_network(8.0, window - 2), window)


def passes_windows(network: Network, window: int) -> bool:
    """Whether the values at a = b = 1/2 are allowed in every run of `window` layers.

    In the first run: as half of the values of x = -1 plus half of those of x = 1, which the hull of the graph holds. In
    later ones: as what these layers make of a point that the layers before allow. The last value is y = 1 - c/2.
    """
    (left, right), middle = corner_runs(network), [np.zeros(1), np.full(2, 0.5)]
    for layer in network.layers[1:]:
        z = layer.weights[0] @ middle[-1] + layer.bias
        middle.append(np.maximum(z, 0.0) if layer.kind == "relu" else z)
    assert middle[-1][0] < -8.0
    first = range(min(window, len(network.layers)) + 1)
    return all(np.array_equal(middle[k], (left[k] + right[k]) / 2) for k in first)


def corner_runs(network: Network) -> tuple[list[Array], list[Array]]:
    """All values for x = -1 and for x = 1."""
    values, _ = network.values(np.array([[-1.0], [1.0]]))
    return [v[0] for v in values], [v[1] for v in values]


@pytest.mark.parametrize(("factor", "identities", "inputs"), SHAPES)
def test_copies_of_the_inputs_are_not_enough(factor: float, identities: int, inputs: int) -> None:
    """Carried along with weight 0 they leave the layer-wise range as it was."""
    network = barrier_network(factor, identities, inputs)
    region = barrier_query(network).region
    copied = with_copied_inputs(network, region)
    x = np.random.default_rng(7).integers(-64, 65, (50, inputs)) / 64.0

    np.testing.assert_array_equal(network.evaluate(x), copied.evaluate(x))
    assert layerwise_hulls.output_range(network, region) == layerwise_hulls.output_range(copied, region)


def test_another_network_of_the_same_function_has_no_error() -> None:
    """|x| = max(x, -x) with the input copied: the layer-wise range is [0, 1], in place of [-9, 1]."""
    barrier = barrier_network(8.0)
    region, x = barrier_query(barrier).region, np.linspace(-1.0, 1.0, 33)[:, None]
    other = with_copied_inputs(layerwise_hulls.max_of_affine(np.array([[1.0], [-1.0]]), np.zeros(2)), region)

    np.testing.assert_array_equal(barrier.evaluate(x), other.evaluate(x))
    assert (-9, 1) == layerwise_hulls.output_range(barrier, region)
    assert (0, 1) == layerwise_hulls.output_range(other, region)


@pytest.mark.parametrize("seed", range(6))
def test_convex_functions_with_copied_inputs_are_exact(seed: int) -> None:
    """The largest of random affine pieces: the layer-wise relaxation has the true range, from both sides."""
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    pieces, n = 2 + seed % 3, 1 + seed % 2
    network = layerwise_hulls.max_of_affine(rng.integers(-8, 9, (pieces, n)) / 4.0, rng.integers(-8, 9, pieces) / 4.0)
    region = InputSet.box(np.full(n, -1.0), np.ones(n))
    low, high = oracle.minimum(network, region, ONE), oracle.minimum(network, region, -ONE)

    assert low is not None and high is not None
    assert (low, -high) == layerwise_hulls.output_range(with_copied_inputs(network, region), region)


@pytest.mark.parametrize("inputs", [1, 2])
def test_orthants_close_it(inputs: int) -> None:
    """On each of the 2^n orthants the layer-wise relaxation is exact."""
    network = barrier_network(8.0, 1, inputs)
    for signs in product((-1.0, 1.0), repeat=inputs):
        corner = np.array(signs)
        region = InputSet.box(np.minimum(corner, 0.0), np.maximum(corner, 0.0))
        assert (0, inputs) == layerwise_hulls.output_range(network, region)


@pytest.mark.parametrize("inputs", [1, 2, 3])
def test_no_part_may_hold_two_corners(inputs: int) -> None:
    """Wherever a convex part holds two corners of the box, hulls of layers allow -factor: 2^n parts are needed."""
    factor = 8.0
    network = barrier_network(factor, 0, inputs)
    values, _ = network.values(np.array(list(product((-1.0, 1.0), repeat=inputs))))
    for i, j in combinations(range(2**inputs), 2):
        middle = (values[1][i] + values[1][j]) / 2  # in every convex set that holds both corners' values
        z = network.layers[1].weights[0] @ middle
        y = network.layers[2].weights[0] @ np.maximum(z, 0.0)
        assert y[0] <= -factor


@pytest.mark.parametrize(
    ("identities", "inputs", "margin", "verdict"),
    [(0, 1, 0.25, "unsat"), (2, 1, 0.25, "unsat"), (1, 3, 0.25, "unsat"), (0, 1, 0.0, "sat"), (1, 2, -0.5, "sat")],
)
def test_search_finds_the_truth(identities: int, inputs: int, margin: float, verdict: str, tmp_path: Path) -> None:
    """Written as ONNX and VNN-LIB and read back, branching decides what relaxations alone cannot."""
    network = barrier_network(64.0, identities, inputs)
    query = barrier_query(network, margin)
    onnx, vnnlib = tmp_path / "barrier.onnx", tmp_path / "barrier.vnnlib"
    write_network(network, onnx)
    write_property(Property((query.case,), inputs, 1), vnnlib)
    x = np.random.default_rng(1).integers(-64, 65, (20, inputs)) / 64.0

    np.testing.assert_array_equal(network.evaluate(x), read_network(onnx).evaluate(x))
    assert verdict == hypersplit.verify(onnx, vnnlib, timeout=60, jobs=1).verdict
