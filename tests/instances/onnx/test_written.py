"""Every activation that is written: onnxruntime gives its values, and reading gives the layer back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto
from onnx_models import runtime

from hypersplit.instances.curves.names import CURVES, JUMPING, PARTIAL
from hypersplit.instances.network import Layer, Network
from hypersplit.instances.onnx.reader import read_network
from hypersplit.instances.onnx.writer import write_network

SCALE, CUBE = (float(np.float32(number)) for number in (0.7978845608, 0.044715))
FAMILIES = (
    "elu:0.5", "gelu:1.25", "power:3", "power:-2", "power:0.75", "step:0.0", "step:0.5", "step:1.0", "threshold:0.5",
    "threshold:-1.0", f"gelu_tanh:{SCALE}:{SCALE * CUBE}", "shrink:0.5:0.25", "shrink:0.0:1.0",
)  # fmt: skip


def network_of(kind: str, bias: float) -> Network:
    """Three neurons of the kind and two sums of them."""
    rng = np.random.default_rng(len(kind))
    weights = [rng.normal(size=shape).astype(np.float32).astype(np.float64) for shape in ((3, 2), (2, 3))]
    bent = Layer((0,), (weights[0],), np.full(3, bias), kind)
    return Network(2, (bent, Layer((1,), (weights[1],), np.zeros(2))))


@pytest.mark.parametrize("kind", [*CURVES, *PARTIAL, *JUMPING, *FAMILIES])
def test_what_is_written_is_run_and_read(kind: str, tmp_path: Path) -> None:
    """Up to float32's rounding; partial functions are asked inside their domains."""
    partial = kind in PARTIAL or kind in ("power:-2", "power:0.75")
    network = network_of(kind, 8.0 if partial else 0.0)
    write_network(network, tmp_path / "a.onnx")
    proto = ModelProto.FromString((tmp_path / "a.onnx").read_bytes())
    again = read_network(tmp_path / "a.onnx")
    x = np.random.default_rng(1).normal(size=(20, 2)).astype(np.float32)
    for point in x:
        expected = network.evaluate(point.astype(np.float64))
        assert np.allclose(runtime(proto, point[None]), expected, rtol=1e-4, atol=1e-4)
        assert np.allclose(again.evaluate(point.astype(np.float64)), expected, rtol=1e-6, atol=1e-6)
    bent = [layer.kind for layer in again.layers if layer.kind != "identity"]
    assert bent == ["gelu:1.0" if kind == "gelu:1.25" else kind]


def test_what_onnx_does_not_hold_is_refused(tmp_path: Path) -> None:
    """A step with another value at 0, and attributes in double that float32 does not hold."""
    with pytest.raises(ValueError, match="no operator for step:0.25"):
        write_network(network_of("step:0.25", 0.0), tmp_path / "a.onnx")
    with pytest.raises(ValueError, match="float32 does not hold 0.8"):
        write_network(network_of("gelu_tanh:0.8:0.0357", 0.0), tmp_path / "a.onnx")
    for kind in ("threshold:0.1", "shrink:0.5:0.1", "elu:0.1"):
        with pytest.raises(ValueError, match="in float32, which does not hold it"):
            write_network(network_of(kind, 0.0), tmp_path / "a.onnx", double=True)
