"""ReLUs that are left out while a network is read: the function stays, to the last bit where nothing is added up."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from onnx import helper
from onnx_models import assert_agree, model, normal

from hypersplit.instances.judges.exact_evaluation import exact_output
from hypersplit.instances.network import Layer, Network, sequential
from hypersplit.instances.onnx.twins import without_twins

node = helper.make_node


def relus(network: Network) -> int:
    """Number of ReLUs."""
    return sum(layer.size for layer in network.layers if layer.kind == "relu")


def split_network(rng: np.random.Generator, scales: list[float]) -> Network:
    """Three neurons, each also as its negatives times `scales`, which the next layer puts together again."""
    w, b = normal(rng, 3, 4).astype(float), normal(rng, 3).astype(float)
    rows = [w] + [-s * w for s in scales]
    sides = [b] + [-s * b for s in scales]
    c = normal(rng, 2, 3).astype(float)
    parts = [c] + [-c / s / len(scales) for s in scales]
    return sequential([np.concatenate(rows), np.concatenate(parts, axis=1)], [np.concatenate(sides), np.ones(2)])


@pytest.mark.parametrize("scales", [[1.0], [2.0], [0.25], [1.0, 2.0]])
def test_pairs_become_what_they_stand_for(scales: list[float]) -> None:
    """relu(z) - relu(-s z) / s = z: no ReLU is left, and the outputs are exactly the same."""
    rng = np.random.default_rng(3)
    network = split_network(rng, scales)
    folded = without_twins(network)
    assert relus(network) == 3 * (1 + len(scales)) and relus(folded) == 0
    for x in rng.standard_normal((20, 4)):
        assert exact_output(folded, x) == exact_output(network, x)


def test_random_layers_with_twins_keep_their_function() -> None:
    """Copies, negatives, zeros and unread neurons in random layers: fewer ReLUs, the same exact outputs."""
    fewer = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        w, b = rng.integers(-4, 5, (8, 3)).astype(float), rng.integers(-3, 4, 8).astype(float)
        chosen = rng.integers(0, 4, 8)
        scales = rng.choice([1.0, -1.0, 2.0, -0.5, 0.0], 8)
        w, b = w[chosen] * scales[:, None], b[chosen] * scales + (scales == 0.0) * b
        second = rng.integers(-2, 3, (4, 8)).astype(float) * rng.choice([0.0, 1.0], 8)
        network = sequential([w, second, rng.integers(-2, 3, (2, 4)).astype(float)], [b, np.ones(4), np.zeros(2)])
        folded = without_twins(network)
        fewer += relus(folded) < relus(network)
        for x in rng.integers(-6, 7, (10, 3)) / 4.0:
            assert exact_output(folded, x) == exact_output(network, x), f"seed {seed}"
    assert fewer > 50


def test_sums_that_would_round_are_left() -> None:
    """Weights whose sum is no float64 stay apart: duplicates are not merged."""
    w = np.array([[1.0, 2.0], [1.0, 2.0]])
    network = sequential([w, np.array([[1.0, 2.0**-60]])], [np.zeros(2), np.zeros(1)])
    assert without_twins(network) is network


def test_declared_roundings_are_left() -> None:
    """Rows that are only known up to roundings are no multiples of each other."""
    w = np.array([[1.0, 2.0], [-1.0, -2.0]])
    first = Layer((0,), (w,), np.zeros(2), "relu", roundings=1)
    last = Layer((1,), (np.array([[1.0, -1.0]]),), np.zeros(1))
    network = Network(2, (first, last))
    assert without_twins(network) is network
    rounded = Network(2, (Layer((0,), (w,), np.zeros(2), "relu"), Layer((1,), last.weights, last.bias, roundings=1)))
    assert without_twins(rounded) is rounded


def test_constants_go_into_biases_with_their_error() -> None:
    """Neurons without weights become numbers; the exact bias is within the declared error."""
    w = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    network = sequential([w, np.array([[0.3, 1.0, 5.0]])], [np.array([0.7, 0.0, -1.0]), np.array([0.1])])
    folded = without_twins(network)
    last = folded.layers[-1]
    exact = Fraction(0.3) * Fraction(0.7) + Fraction(0.1)
    assert relus(folded) == 1 and abs(Fraction(float(last.bias[0])) - exact) <= Fraction(last.bias_error)
    assert 0.0 < last.bias_error < 1e-14


def test_biases_with_an_error_are_no_numbers() -> None:
    """A neuron without weights whose bias is only nearly known stays: its readers do not know by how much it errs."""
    w = np.array([[0.0, 0.0], [1.0, 1.0]])
    first = Layer((0,), (w,), np.array([0.75, 0.0]), "relu", bias_error=1e-3)
    network = Network(2, (first, Layer((1,), (np.array([[4.0, 1.0]]),), np.zeros(1))))
    assert without_twins(network) is network


def test_a_network_of_numbers_alone_keeps_a_layer() -> None:
    """Where no neuron depends on the input, the output layer reads nothing but its bias."""
    network = sequential([np.zeros((2, 3)), np.ones((1, 2))], [np.array([1.0, 2.0]), np.zeros(1)])
    folded = without_twins(network)
    assert relus(folded) == 0 and folded.evaluate(np.ones(3))[0] == pytest.approx(3.0)


def test_split_neurons_in_a_file_are_put_together() -> None:
    """A file whose neurons were split at an offset reads with the ReLUs that it had before."""
    rng = np.random.default_rng(5)
    w, b, t = normal(rng, 4, 3), normal(rng, 3), np.float32(0.5)
    weights = {
        "W": np.concatenate([w, -w], axis=1), "b": np.concatenate([b - t, t - b]),
        "M": np.concatenate([np.eye(3), -np.eye(3)]).astype(np.float32), "t": np.full(3, t), "V": normal(rng, 3, 2),
    }  # fmt: skip
    nodes = [
        node("Gemm", ["x", "W", "b"], ["z"]), node("Relu", ["z"], ["p"]),
        node("Gemm", ["p", "M", "t"], ["q"]), node("Relu", ["q"], ["r"]), node("MatMul", ["r", "V"], ["y"]),
    ]  # fmt: skip
    assert relus(assert_agree(model(nodes, [1, 4], weights))) == 3
