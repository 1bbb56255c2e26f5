"""Tests of instances/onnx_writer.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from hypersplit.instances.families import random_network
from hypersplit.instances.network import ACTIVATIONS, Layer, Network
from hypersplit.instances.onnx_reader import read_network
from hypersplit.instances.onnx_writer import OPSET, write_network


def _run(path: Path, x: np.ndarray) -> np.ndarray:
    """Outputs of the file in onnxruntime, one input at a time."""
    import onnxruntime as ort

    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(["Y"], {"X": row[None].astype(np.float32)})[0] for row in x])


def _mixed() -> Network:
    """Every activation, a residual sum of three sources, a sparse weight, a layer without sources."""
    rng = np.random.default_rng(5)

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32).astype(np.float64)

    layers = (
        Layer((0,), (draw(4, 3),), draw(4), "relu"),
        Layer((1,), (sp.csr_array(np.diag(draw(4))),), draw(4), "sigmoid"),
        Layer((0, 1, 2), (draw(5, 3), draw(5, 4), draw(5, 4)), draw(5), "tanh"),
        Layer((), (), draw(2), "relu"),
        Layer((3, 4), (draw(2, 5), draw(2, 2)), draw(2), "identity"),
    )
    return Network(3, layers)


def test_runtime_gives_the_networks_values(tmp_path: Path) -> None:
    """onnxruntime on the written file agrees with the network, for all activations and several sources."""
    network = _mixed()
    assert {layer.kind for layer in network.layers} == set(ACTIVATIONS)
    write_network(network, tmp_path / "net.onnx")
    x = np.random.default_rng(1).normal(size=(20, 3)).astype(np.float32)

    np.testing.assert_allclose(_run(tmp_path / "net.onnx", x), network.evaluate(x), atol=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_reading_back_gives_the_same_function(tmp_path: Path, seed: int) -> None:
    """A float32 network that is written and read has the very same weights."""
    network = random_network([3, 6, 5, 2], seed)
    write_network(network, tmp_path / "net.onnx")
    back = read_network(tmp_path / "net.onnx")

    assert [layer.kind for layer in back.layers] == [layer.kind for layer in network.layers]
    for old, new in zip(network.layers, back.layers, strict=True):
        np.testing.assert_array_equal(new.bias, old.bias)
        np.testing.assert_array_equal(np.asarray(new.weights[0]), old.weights[0])


def test_shapes_and_opset(tmp_path: Path) -> None:
    """The file says input [1, n], output [1, m] and the opset."""
    import onnx

    write_network(random_network([3, 4, 2], 0), tmp_path / "net.onnx")
    model = onnx.load(tmp_path / "net.onnx")
    shapes = [
        [d.dim_value for d in v.type.tensor_type.shape.dim] for v in (*model.graph.input, *model.graph.output)
    ]

    assert [[1, 3], [1, 2]] == shapes
    assert [OPSET] == [entry.version for entry in model.opset_import]


def test_same_network_same_bytes(tmp_path: Path) -> None:
    """Writing twice gives equal files."""
    for name in ("a", "b"):
        write_network(_mixed(), tmp_path / name)

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("weight", [1e39, np.nan])
def test_weights_beyond_float32_are_refused(tmp_path: Path, weight: float) -> None:
    """A weight that float32 cannot hold is an error and leaves no file."""
    network = Network(1, (Layer((0,), (np.array([[weight]]),), np.zeros(1), "identity", "wide"),))
    with pytest.raises(ValueError, match="wide"):
        write_network(network, tmp_path / "net.onnx")

    assert not (tmp_path / "net.onnx").exists()
