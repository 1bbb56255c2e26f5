"""Small ONNX graphs from `X` to `Y`, and the comparison of our reader with onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from hypersplit.instances.network import Network
from hypersplit.instances.onnx_reader import read_network

OLDEST = 7
TOLERANCE = 2e-5  # of onnxruntime's float32, relative to the largest output


@dataclass(frozen=True)
class Graph:
    """Nodes, the shape of the input, constants by name, and the opsets that the graph is valid in."""

    nodes: Sequence[Any]
    shape: Sequence[int] = (1, 6)
    constants: Mapping[str, Any] = field(default_factory=dict)
    opsets: Sequence[int] = ()  # empty: valid in all


def node(operator: str, *inputs: str, to: Sequence[str] | str = "Y", **attributes: Any) -> Any:
    """A node that reads `inputs` and writes `to`; its name is n_ and the first output's."""
    outputs = [to] if isinstance(to, str) else list(to)
    return helper.make_node(operator, list(inputs), outputs, name=f"n_{outputs[0]}", **attributes)


def model_of(graph: Graph, opset: int, element: int = TensorProto.FLOAT) -> Any:
    """The graph as a model; the shape of `Y` is left open."""
    proto = helper.make_graph(
        list(graph.nodes),
        "graph",
        [helper.make_tensor_value_info("X", element, list(graph.shape))],
        [helper.make_tensor_value_info("Y", element, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in graph.constants.items()],
    )
    return helper.make_model(proto, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def _newest() -> int:
    """The newest opset that both onnx and onnxruntime know."""
    for opset in range(onnx.defs.onnx_opset_version(), OLDEST, -1):
        model = model_of(Graph([node("Relu", "X")]), opset).SerializeToString()
        try:
            ort.InferenceSession(model, providers=["CPUExecutionProvider"])
        except Exception:  # onnxruntime's exceptions share no base class of their own
            continue
        return opset
    raise RuntimeError("onnx and onnxruntime share no opset")


def write(graph: Graph, path: Path, opset: int = 13) -> Path:
    """Write the graph's model; returns the path."""
    path.write_bytes(model_of(graph, opset).SerializeToString())
    return path


def compare(path: Path, points: int = 6, seed: int = 0, scale: float = 2.0) -> Network:
    """Check that `read_network` and onnxruntime agree at random points; returns the network.

    Points are normal with standard deviation `scale`; the shape of the output is compared too.
    """
    network = read_network(path)
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    session = ort.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    shape = [d if isinstance(d, int) else 1 for d in entry.shape]
    rng = np.random.default_rng(seed)
    for _ in range(points):
        x = (scale * rng.normal(size=shape)).astype(np.float32)
        (y,) = session.run(None, {entry.name: x})
        assert network.output_shape == y.shape
        ours = network.evaluate(x.astype(np.float64).ravel())
        room = TOLERANCE * max(1.0, float(np.abs(y).max(initial=0.0)))
        np.testing.assert_allclose(ours, y.ravel(), rtol=0.0, atol=room, err_msg=f"{path}, seed {seed}")
    return network


NEWEST = _newest()
