"""Network -> plain ONNX file: MatMul, Add and activations, which every ONNX tool can run.

Layer k becomes one MatMul per source, the Adds that sum them, an Add of the bias, and its activation. The
graph takes `X` of shape [1, inputs] and gives `Y` of shape [1, outputs], whatever shapes the network was
read with. Weights are rounded to float32, which keeps those of a float32 ONNX file exactly, but for folded
constants; float64 keeps all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..network import Layer, Matrix, Network
from .written import LATER, activation

__all__ = ["write_network"]

OPSET = 13


def write_network(network: Network, path: str | Path, double: bool = False) -> None:
    """Write a network as ONNX in float32 or (double) float64, of the first operator set from 13 on that has its
    activations.

    The same network gives the same bytes.

    Raises ValueError for a weight or bias that the type cannot hold (too large, or NaN), and for a step whose value at
    0 is none of 0, a half and 1, and in float64 for an activation with an attribute that is no float32 number.
    """
    import onnx
    from onnx import TensorProto, helper

    nodes: list[Any] = []
    tensors: list[Any] = []
    dtype, kind = (np.float64, TensorProto.DOUBLE) if double else (np.float32, TensorProto.FLOAT)
    for k, layer in enumerate(network.layers, start=1):
        output = "Y" if k == len(network.layers) else f"x{k}"
        _append(k, layer, network.input_size, output, nodes, tensors, dtype)
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("X", kind, [1, network.input_size])],
        [helper.make_tensor_value_info("Y", kind, [1, network.output_size])],
        tensors,
    )
    opset = max(LATER.get(layer.kind, OPSET) for layer in network.layers)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], producer_name="hypersplit"
    )
    model.ir_version = 8 if opset < 19 else 9  # as old as the operator set: readable by old runtimes too
    onnx.checker.check_model(model)
    Path(path).write_bytes(model.SerializeToString(deterministic=True))


def _append(
    k: int, layer: Layer, inputs: int, output: str, nodes: list[Any], tensors: list[Any], dtype: type[Any]
) -> None:  # fmt: skip
    """Nodes and weights of layer k, which writes the tensor `output`."""
    from onnx import helper, numpy_helper

    reads = list(zip(layer.sources, layer.weights, strict=True))
    total = ""
    for source, weight in reads or [(0, np.zeros((layer.size, inputs)))]:
        name, product = f"W{k}_{source}", f"p{k}_{source}"
        tensors.append(numpy_helper.from_array(_dense(weight, layer, dtype).T.copy(), name))
        value = f"x{source}" if source else "X"
        nodes.append(helper.make_node("MatMul", [value, name], [product], name=f"matmul{k}_{source}"))
        if total:
            added = f"s{k}_{source}"
            nodes.append(helper.make_node("Add", [total, product], [added], name=f"sum{k}_{source}"))
            product = added
        total = product
    tensors.append(numpy_helper.from_array(_dense(layer.bias, layer, dtype), f"b{k}"))
    plain = layer.kind == "identity"
    biased = output if plain else f"z{k}"
    nodes.append(helper.make_node("Add", [total, f"b{k}"], [biased], name=f"bias{k}"))
    if not plain:
        nodes += activation(k, layer.kind, biased, output, tensors, dtype)


def _dense(values: Matrix, layer: Layer, dtype: type[Any]) -> Any:
    """Dense, each entry rounded to nearest."""
    dense = values if isinstance(values, np.ndarray) else values.toarray()
    with np.errstate(over="ignore"):
        rounded = dense.astype(dtype)
    if not np.isfinite(rounded).all():
        raise ValueError(f"layer {layer.name!r}: a weight is too large for {np.dtype(dtype)}")
    return rounded
