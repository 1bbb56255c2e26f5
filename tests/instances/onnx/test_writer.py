"""Networks written as ONNX: onnxruntime runs them, and reading them back gives the same network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from onnx import ModelProto
from onnx_models import runtime

from hypersplit.instances.network import Layer, Network, sequential
from hypersplit.instances.onnx.reader import read_network
from hypersplit.instances.onnx.writer import write_network


def single(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Float64 numbers that float32 holds."""
    return rng.standard_normal(shape).astype(np.float32).astype(np.float64)


KINDS = (
    "identity", "relu", "sigmoid", "tanh", "arctan", "softsign", "softplus", "hardswish", "elu:0.5", "power:2",
)  # fmt: skip


def random_network(rng: np.random.Generator) -> Network:
    """Layers of every kind, dense and sparse, with one to three sources."""
    sizes, layers = [int(rng.integers(2, 5))], []
    for k in range(1, int(rng.integers(3, 7))):
        size = int(rng.integers(2, 6))
        count = int(rng.integers(1, min(k, 3) + 1))
        sources = tuple(sorted(rng.choice(k, count, replace=False).tolist()))
        weights = [single(rng, size, sizes[s]) for s in sources]
        if rng.random() < 0.3:
            weights[0] = sp.csr_array(weights[0])
        kind = str(rng.choice(KINDS))
        layers.append(Layer(sources, tuple(weights), single(rng, size), kind, f"layer_{k}"))
        sizes.append(size)
    return Network(sizes[0], tuple(layers))


def test_onnxruntime_runs_what_is_written(tmp_path: Path) -> None:
    """A written network, run by onnxruntime, gives the network's own values up to float32 roundings."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        network = random_network(rng)
        write_network(network, tmp_path / "net.onnx")
        proto = ModelProto.FromString((tmp_path / "net.onnx").read_bytes())
        for _ in range(3):
            x = single(rng, 1, network.input_size)
            y = runtime(proto, x.astype(np.float32))
            expected = network.evaluate(x)
            assert y.shape == expected.shape, f"seed {seed}"
            assert np.allclose(y, expected, rtol=1e-4, atol=1e-4), f"seed {seed}"


def test_reading_back_gives_the_same_values(tmp_path: Path) -> None:
    """Written and read again, a network of float32 weights has the same values."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        network = random_network(rng)
        write_network(network, tmp_path / "net.onnx")
        again = read_network(tmp_path / "net.onnx")
        x = single(rng, 5, network.input_size)
        assert np.allclose(again.evaluate(x), network.evaluate(x), rtol=1e-12, atol=1e-12), f"seed {seed}"
        assert (again.input_shape, again.output_shape) == ((1, network.input_size), (1, network.output_size))


def test_a_chain_comes_back_weight_by_weight(tmp_path: Path) -> None:
    """A chain of ReLU layers comes back with exactly its layers, and with no roundings."""
    rng = np.random.default_rng(3)
    sizes = (3, 5, 4, 2)
    network = sequential(
        [single(rng, m, n) for n, m in zip(sizes, sizes[1:], strict=False)],
        [single(rng, n) for n in sizes[1:]],
    )
    write_network(network, tmp_path / "net.onnx")
    again = read_network(tmp_path / "net.onnx")
    assert len(again.layers) == len(network.layers)
    for old, new in zip(network.layers, again.layers, strict=True):
        assert (old.kind, old.sources) == (new.kind, new.sources)
        assert np.array_equal(old.weights[0], new.weights[0]) and np.array_equal(old.bias, new.bias)
        assert (new.roundings, new.bias_error) == (0, 0.0)


def test_the_same_network_gives_the_same_bytes(tmp_path: Path) -> None:
    """Writing is deterministic."""
    network = random_network(np.random.default_rng(1))
    for name in "ab":
        write_network(network, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_weights_beyond_float32_are_refused(tmp_path: Path) -> None:
    """A weight that float32 cannot hold is an error, and no file is written."""
    network = sequential([np.array([[1e39]])], [np.zeros(1)])
    with pytest.raises(ValueError, match="layer_1"):
        write_network(network, tmp_path / "net.onnx")
    assert not (tmp_path / "net.onnx").exists()


def test_float64_keeps_every_bit(tmp_path: Path) -> None:
    """A network written in float64 comes back with the weights that it had, and float64 inputs."""
    weights = [np.array([[0.1, 1e-300], [1e200, -1.0 / 3.0]]), np.array([[1.0, 0.7]])]
    network = sequential(weights, [np.array([0.3, 1e-3]), np.array([-0.1])])
    write_network(network, tmp_path / "net.onnx", double=True)
    back = read_network(tmp_path / "net.onnx")
    for before, after in zip(network.layers, back.layers, strict=True):
        assert np.array_equal(before.weights[0], after.weights[0])
        assert np.array_equal(before.bias, after.bias)


def test_an_alpha_that_is_no_float32_is_refused_in_float64(tmp_path: Path) -> None:
    """ONNX keeps attributes in float32: 0.5 is written, 0.1 in float64 is refused, with the layer."""
    for alpha, refused in (("0.5", False), ("0.1", True)):
        network = Network(1, (Layer((0,), (np.ones((1, 1)),), np.zeros(1), f"elu:{alpha}"),))
        write_network(network, tmp_path / "net.onnx")
        if refused:
            with pytest.raises(ValueError, match="layer 1: .*alpha = 0.1"):
                write_network(network, tmp_path / "net.onnx", double=True)
        else:
            write_network(network, tmp_path / "net.onnx", double=True)
