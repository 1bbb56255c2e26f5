"""Tiny networks and properties as files, for tests of the command line.

`absolute`: y = |x_0| + x_1 from two ReLUs. On the box [-1, 1] x [0, 1] its output is in [0, 2].
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BOX = ((-1.0, 1.0), (0.0, 1.0))


def absolute(path: Path) -> Path:
    """Write the network; returns its path."""
    first = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    return write_network(
        path, [(first, np.zeros(3, dtype=np.float32)), (np.ones((1, 3), dtype=np.float32), None)]
    )


def write_network(
    path: Path, layers: list[tuple[np.ndarray, np.ndarray | None]], operator: str = "Relu"
) -> Path:
    """Write Gemm, `operator`, Gemm, ... ; weights [out, in]; returns the path."""
    nodes, constants, value = [], [], "X"
    for k, (weight, bias) in enumerate(layers):
        if k:
            nodes.append(helper.make_node(operator, [value], [f"a{k}"], name=f"activation_{k}"))
            value = f"a{k}"
        names = [value, f"W{k}"] + ([f"b{k}"] if bias is not None else [])
        constants.append(numpy_helper.from_array(weight, f"W{k}"))
        constants += [numpy_helper.from_array(bias, f"b{k}")] if bias is not None else []
        output = "Y" if k == len(layers) - 1 else f"z{k}"
        nodes.append(helper.make_node("Gemm", names, [output], name=f"gemm_{k}", transB=1))
        value = output
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size])
        for name, size in (("X", layers[0][0].shape[1]), ("Y", layers[-1][0].shape[0]))
    ]
    graph = helper.make_graph(nodes, "small", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return path


def property_of(path: Path, output: str, box: tuple[tuple[float, float], ...] = BOX) -> Path:
    """Write the property: x in the box, and assertion `output` on Y_0; returns the path."""
    lines = [f"(declare-const X_{i} Real)" for i in range(len(box))] + ["(declare-const Y_0 Real)"]
    for i, (low, high) in enumerate(box):
        lines += [f"(assert (>= X_{i} {low}))", f"(assert (<= X_{i} {high}))"]
    path.write_text("\n".join([*lines, f"(assert {output})"]) + "\n")
    return path


def holds(path: Path) -> Path:
    """A property of `absolute` that holds: y <= -0.5 is impossible."""
    return property_of(path, "(<= Y_0 -0.5)")


def violated(path: Path) -> Path:
    """A property of `absolute` that is violated: y >= 1.5 is possible."""
    return property_of(path, "(>= Y_0 1.5)")
