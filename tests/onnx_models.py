"""Small ONNX models for tests, and the comparison of the network that is read with onnxruntime's answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from hypersplit.instances.network import Network
from hypersplit.instances.onnx.reader import network_from_bytes

IR_VERSION = 8


def model(
    nodes: Sequence[NodeProto],
    shape: Sequence[int | str | None],
    weights: Mapping[str, Any] = {},
    opset: int = 13,
    output: str | None = None,
    dtype: int = TensorProto.FLOAT,
    listed: bool = False,
) -> ModelProto:
    """A model with the input "x"; weights are initializers, listed as graph inputs too on demand."""
    inputs = [helper.make_tensor_value_info("x", dtype, shape)]
    stored = [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    if listed:
        inputs += [helper.make_tensor_value_info(t.name, t.data_type, list(t.dims)) for t in stored]
    outputs = [helper.make_tensor_value_info(output or nodes[-1].output[0], dtype, None)]
    graph = helper.make_graph(list(nodes), "graph", inputs, outputs, stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=IR_VERSION)


def runtime(proto: ModelProto, x: np.ndarray) -> np.ndarray:
    """onnxruntime's output, flat, for an input of the model's own shape."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: x})[0])


def assert_agree(
    proto: ModelProto, seed: int = 0, tolerance: float = 2e-5, scales: Sequence[float] = (1.0, 4.0)
) -> Network:
    """The network that is read agrees with onnxruntime at random points, up to float32 roundings."""
    network = network_from_bytes(proto.SerializeToString())
    rng = np.random.default_rng(seed)
    dtype = helper.tensor_dtype_to_np_dtype(proto.graph.input[0].type.tensor_type.elem_type)
    for scale in scales:
        x = (scale * rng.standard_normal(network.input_shape)).astype(dtype)
        expected = runtime(proto, x)
        actual = network.evaluate(x.reshape(-1).astype(np.float64))
        assert network.output_shape == expected.shape, f"shape {network.output_shape}, onnxruntime {expected.shape}"
        error = np.abs(actual - expected.reshape(-1)).max() / max(1.0, np.abs(expected).max())
        assert error <= tolerance, f"seed {seed}, scale {scale}: off by {error:.2e}"
    return network


def random_graph(rng: np.random.Generator) -> ModelProto:
    """A random image network: convolutions, activations, pools and joins, then a head."""
    nodes, weights, tensors = [], {}, [("x", 2)]
    for k in range(int(rng.integers(3, 8))):
        name, channels = tensors[int(rng.integers(max(0, len(tensors) - 3), len(tensors)))]
        same = [t for t, c in tensors if c == channels]
        kind = rng.choice(
            [
                "Conv",
                "Relu",
                "LeakyRelu",
                "Clip",
                "MaxPool",
                "AveragePool",
                "Add",
                "Sub",
                "Concat",
                "Mul",
                "BN",
            ]
        )
        out, width = f"t{k}", channels
        if kind == "Conv":
            width = int(rng.integers(1, 4))
            weights |= {f"W{k}": normal(rng, width, channels, 3, 3) / 3, f"b{k}": normal(rng, width)}
            nodes.append(helper.make_node("Conv", [name, f"W{k}", f"b{k}"], [out], pads=[1, 1, 1, 1]))
        elif kind in ("MaxPool", "AveragePool"):
            nodes.append(helper.make_node(kind, [name], [out], kernel_shape=[2, 2], pads=[1, 0, 0, 1]))
        elif kind in ("Add", "Sub"):
            nodes.append(helper.make_node(kind, [name, str(rng.choice(same))], [out]))
        elif kind == "Concat":
            other, more = tensors[int(rng.integers(len(tensors)))]
            width = channels + more
            nodes.append(helper.make_node("Concat", [name, other], [out], axis=1))
        elif kind == "Mul":
            weights[f"s{k}"] = normal(rng, channels, 1, 1)
            nodes.append(helper.make_node("Mul", [name, f"s{k}"], [out]))
        elif kind == "BN":
            given = {f"{letter}{k}": normal(rng, channels) for letter in "gbm"} | {
                f"v{k}": normal(rng, channels) ** 2 + 1
            }
            weights |= given
            nodes.append(helper.make_node("BatchNormalization", [name, *given], [out]))
        elif kind == "Clip":
            nodes.append(helper.make_node("Clip", [name], [out], min=-0.5, max=0.8))
        else:
            nodes.append(helper.make_node(kind, [name], [out]))
        tensors.append((out, width))
    last, channels = tensors[-1]
    weights["head"] = normal(rng, channels * 16, 3)
    nodes += [
        helper.make_node("Flatten", [last], ["flat"]),
        helper.make_node("MatMul", ["flat", "head"], ["y"]),
    ]
    return model(nodes, [1, 2, 4, 4], weights, opset=9)


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Float32 normal numbers."""
    return rng.standard_normal(shape).astype(np.float32)


def read(proto: ModelProto) -> Network:
    """The network of a model."""
    return network_from_bytes(proto.SerializeToString())


def kinds(network: Network) -> list[str]:
    """Kinds of the layers."""
    return [layer.kind for layer in network.layers]


_RNG = np.random.default_rng(20260)


def weight(*shape: int) -> np.ndarray:
    """Random float32 weights."""
    return normal(_RNG, *shape)


def whole(*values: int) -> np.ndarray:
    """An int64 tensor."""
    return np.array(values, dtype=np.int64)
