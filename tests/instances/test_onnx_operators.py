"""Every supported operator against onnxruntime, with its attributes and the forms of its opsets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_graphs import NEWEST, OLDEST, Graph, compare, node, write

from hypersplit.instances.onnx_operators import OPERATORS

RNG = np.random.default_rng(20)
IMAGE = (1, 4, 7, 6)


def normal(*shape: int) -> np.ndarray:
    """A random float32 constant."""
    return RNG.normal(size=shape).astype(np.float32)


def positive(*shape: int) -> np.ndarray:
    """A random float32 constant in [0.5, 1.5]."""
    return RNG.uniform(0.5, 1.5, size=shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    """An int64 constant."""
    return np.array(values, dtype=np.int64)


def scalar(value: float) -> np.ndarray:
    """A float32 constant of shape []."""
    return np.array(value, dtype=np.float32)


W, V = normal(6, 5), normal(5, 6)
U = normal(6, 5)
TWO = [node("MatMul", "X", "W", to="a"), node("MatMul", "X", "U", to="b")]
PAIR = {"W": W, "U": U, "V": V}

MATRICES = {
    "gemm": Graph([node("Gemm", "X", "W", "c")], constants={"W": W, "c": normal(5)}),
    "gemm alpha beta": Graph(
        [node("Gemm", "X", "W", "c", alpha=0.7, beta=-1.3, transB=1)], constants={"W": V, "c": normal(1, 5)}
    ),
    "gemm transA": Graph(
        [node("Gemm", "X", "W", "c", transA=1)], (3, 1), {"W": normal(3, 4), "c": scalar(0.5)}
    ),
    "gemm constant first": Graph(
        [node("Gemm", "W", "X", "c", transB=1)], constants={"W": V, "c": normal(5, 1)}
    ),
    "gemm no c": Graph([node("Gemm", "X", "W", alpha=2.0)], constants={"W": W}, opsets=(11, NEWEST)),
    "gemm c moves": Graph(
        [node("MatMul", "X", "W", to="a"), node("Gemm", "X", "W", "a", beta=0.5)], constants={"W": W}
    ),
    "matmul right": Graph([node("MatMul", "X", "W")], constants={"W": W}),
    "matmul right of a stack": Graph([node("MatMul", "X", "W")], (1, 2, 3, 6), {"W": W}),
    "matmul right by a vector": Graph([node("MatMul", "X", "W")], constants={"W": normal(6)}),
    "matmul right by a stack of one": Graph([node("MatMul", "X", "W")], constants={"W": W[None]}),
    "matmul right of a vector": Graph([node("MatMul", "X", "W")], (6,), {"W": W}),
    "matmul of vectors": Graph([node("MatMul", "X", "W")], (6,), {"W": normal(6)}),
    "matmul of vectors, constant first": Graph([node("MatMul", "W", "X")], (6,), {"W": normal(6)}),
    "matmul left": Graph([node("MatMul", "W", "X")], (6, 1), {"W": V}),
    "matmul left of a stack": Graph([node("MatMul", "W", "X")], (1, 2, 6, 3), {"W": V}),
    "matmul left of a vector": Graph([node("MatMul", "W", "X")], (6,), {"W": V}),
    "matmul left by a vector": Graph([node("MatMul", "W", "X")], (6, 3), {"W": normal(6)}),
}

SUMS = {
    "add broadcasts": Graph([node("Add", "X", "c")], (1, 3, 1, 2), {"c": normal(4, 1)}),
    "add scalar first": Graph([node("Add", "c", "X")], constants={"c": scalar(1.5)}),
    "sub constant": Graph([node("Sub", "X", "c")], constants={"c": normal(6)}),
    "sub from constant": Graph([node("Sub", "c", "X")], constants={"c": normal(1, 6)}),
    "mul broadcasts": Graph([node("Mul", "X", "c")], (1, 3, 2), {"c": normal(3, 1)}),
    "mul constant first": Graph([node("Mul", "c", "X")], constants={"c": scalar(-0.3)}),
    "div": Graph([node("Div", "X", "c")], constants={"c": positive(6)}),
    "neg": Graph([node("Neg", "X")]),
    "add branches": Graph([*TWO, node("Add", "a", "b")], constants=PAIR),
    "sub branches": Graph([*TWO, node("Sub", "a", "b")], constants=PAIR),
    "x + x": Graph([node("Add", "X", "X")]),
    "x - x": Graph([node("Sub", "X", "X")]),
    "residual": Graph(
        [*TWO, node("Relu", "a", to="r"), node("Add", "r", "b", to="s"), node("Relu", "s")], constants=PAIR
    ),
    "residual of the input": Graph(
        [*TWO, node("Relu", "a", to="r"), node("MatMul", "r", "V", to="s"), node("Sub", "X", "s")],
        constants=PAIR,
    ),
    "reduce sum, attribute": Graph([node("ReduceSum", "X", axes=[1, -1])], (1, 3, 2, 2), opsets=(OLDEST, 12)),
    "reduce sum, input": Graph(
        [node("ReduceSum", "X", "a", keepdims=0)], (1, 3, 2), {"a": ints(1)}, opsets=(13, NEWEST)
    ),
    "reduce sum, no axes": Graph([node("ReduceSum", "X")], (1, 3, 2)),
    "reduce sum, no axes means none": Graph(
        [node("ReduceSum", "X", noop_with_empty_axes=1)], (1, 3, 2), opsets=(13, NEWEST)
    ),
    "reduce mean, attribute": Graph(
        [node("ReduceMean", "X", axes=[-1], keepdims=0)], (1, 3, 2), opsets=(7, 13, 17)
    ),
    "reduce mean, input": Graph(
        [node("ReduceMean", "X", "a")], (1, 3, 2), {"a": ints(2, 1)}, opsets=(18, NEWEST)
    ),
}


def conv(shape: tuple[int, ...], weight: np.ndarray, **attributes: object) -> Graph:
    """A convolution with a bias."""
    return Graph([node("Conv", "X", "W", "c", **attributes)], shape, {"W": weight, "c": normal(len(weight))})


def pool(operator: str, shape: tuple[int, ...] = IMAGE, oldest: int = OLDEST, **attributes: object) -> Graph:
    """A pooling node."""
    return Graph([node(operator, "X", **attributes)], shape, opsets=(oldest, max(oldest, 13), NEWEST))


IMAGES = {
    "conv": conv(IMAGE, normal(3, 4, 3, 2)),
    "conv strides and pads": conv(IMAGE, normal(3, 4, 3, 3), strides=[2, 1], pads=[1, 0, 2, 1]),
    "conv dilations": conv(IMAGE, normal(2, 4, 2, 3), dilations=[3, 2]),
    "conv groups": conv(IMAGE, normal(6, 2, 3, 3), group=2, pads=[1, 1, 1, 1]),
    "conv depthwise": conv(IMAGE, normal(4, 1, 2, 2), group=4),
    "conv same upper": conv(IMAGE, normal(2, 4, 4, 2), auto_pad="SAME_UPPER", strides=[2, 2]),
    "conv same lower": conv(IMAGE, normal(2, 4, 4, 2), auto_pad="SAME_LOWER"),
    "conv valid": conv(IMAGE, normal(2, 4, 4, 2), auto_pad="VALID", strides=[3, 1]),
    "conv 1d": conv((1, 2, 9), normal(3, 2, 3), strides=[2], pads=[1, 2], dilations=[2]),
    "conv 3d": conv((1, 2, 3, 4, 3), normal(2, 2, 2, 2, 2), pads=[0, 1, 0, 1, 0, 0]),
    "conv no bias": Graph([node("Conv", "X", "W")], IMAGE, {"W": normal(2, 4, 1, 1)}),
    "batch normalization": Graph(
        [node("BatchNormalization", "X", "s", "b", "m", "v", epsilon=1e-3)],
        IMAGE,
        {"s": normal(4), "b": normal(4), "m": normal(4), "v": positive(4)},
    ),
    "conv and batch normalization": Graph(
        [node("Conv", "X", "W", "c", to="a"), node("BatchNormalization", "a", "s", "b", "m", "v")],
        IMAGE,
        {
            "W": normal(3, 4, 2, 2),
            "c": normal(3),
            "s": normal(3),
            "b": normal(3),
            "m": normal(3),
            "v": positive(3),
        },
    ),
    "average": pool("AveragePool", kernel_shape=[2, 3], strides=[2, 1]),
    "average pads": pool("AveragePool", kernel_shape=[3, 3], pads=[1, 0, 2, 1], strides=[2, 2]),
    "average counts pads": pool("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
    "average ceil": pool("AveragePool", oldest=10, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
    "average ceil counts pads": pool(
        "AveragePool",
        oldest=19,
        kernel_shape=[3, 3],
        strides=[2, 2],
        pads=[1, 1, 1, 1],
        ceil_mode=1,
        count_include_pad=1,
    ),
    "average same": pool("AveragePool", kernel_shape=[2, 3], auto_pad="SAME_UPPER"),
    "average dilations": pool("AveragePool", oldest=19, kernel_shape=[2, 2], dilations=[2, 3]),
    "average 1d": pool("AveragePool", (1, 2, 9), kernel_shape=[4], strides=[3]),
    "global average": pool("GlobalAveragePool"),
    "max": pool("MaxPool", kernel_shape=[2, 2], strides=[2, 2]),
    "max pads": pool("MaxPool", kernel_shape=[3, 2], pads=[1, 1, 0, 1], strides=[2, 1]),
    "max ceil": pool("MaxPool", oldest=10, kernel_shape=[2, 2], strides=[2, 4], ceil_mode=1),
    "max dilations": pool("MaxPool", oldest=10, kernel_shape=[2, 3], dilations=[3, 2]),
    "max same lower": pool("MaxPool", kernel_shape=[2, 2], auto_pad="SAME_LOWER"),
    "max 1d": pool("MaxPool", (1, 2, 9), kernel_shape=[3], strides=[2]),
}

PADS = [0, 0, 1, 2, 0, 0, 2, 1]
SHAPES = {
    "flatten": Graph([node("Flatten", "X")], (1, 2, 3)),
    "flatten axis 2": Graph([node("Flatten", "X", axis=2)], (1, 2, 3)),
    "flatten axis 0": Graph([node("Flatten", "X", axis=0)], (1, 2, 3)),
    "flatten negative axis": Graph([node("Flatten", "X", axis=-1)], (1, 2, 3), opsets=(11, NEWEST)),
    "flatten last axis": Graph([node("Flatten", "X", axis=3)], (1, 2, 3)),
    "reshape 0 and -1": Graph([node("Reshape", "X", "s")], (1, 2, 3, 4), {"s": ints(0, -1, 4)}),
    "reshape": Graph([node("Reshape", "X", "s")], (1, 2, 3), {"s": ints(3, 2)}),
    "reshape by Shape": Graph(
        [
            node("Shape", "X", to="s"),
            node("Gather", "s", "i", to="n"),
            node("Unsqueeze", "n", to="u", axes=[0]),
            node("Concat", "u", "m", to="w", axis=0),
            node("Reshape", "X", "w"),
        ],
        (1, 2, 3),
        {"i": np.array(0), "m": ints(-1)},
        opsets=(7, 11),
    ),
    "reshape by arithmetic": Graph(
        [
            node("Shape", "X", to="s"),
            node("Mul", "s", "two", to="t"),
            node("Div", "t", "two", to="w"),
            node("Reshape", "X", "w"),
        ],
        (1, 2, 3),
        {"two": ints(2)},
    ),
    "shape start and end": Graph(
        [node("Shape", "X", to="s", start=1, end=3), node("Reshape", "X", "s")],
        (1, 2, 3),
        opsets=(15, NEWEST),
    ),
    "transpose": Graph([node("Transpose", "X", perm=[0, 3, 1, 2])], (1, 2, 3, 4)),
    "transpose default": Graph([node("Transpose", "X")], (2, 3, 4)),
    "squeeze, attribute": Graph([node("Squeeze", "X", axes=[0, 2])], (1, 2, 1, 3), opsets=(7, 12)),
    "squeeze, input": Graph([node("Squeeze", "X", "a")], (1, 2, 1, 3), {"a": ints(-2)}, opsets=(13, NEWEST)),
    "squeeze all": Graph([node("Squeeze", "X")], (1, 2, 1, 3)),
    "unsqueeze, attribute": Graph([node("Unsqueeze", "X", axes=[0, 3])], (2, 3), opsets=(7, 12)),
    "unsqueeze, input": Graph([node("Unsqueeze", "X", "a")], (2, 3), {"a": ints(1, -1)}, opsets=(13, NEWEST)),
    "concat": Graph([*TWO, node("Concat", "a", "X", "b", axis=1)], constants=PAIR),
    "concat constants": Graph(
        [node("Concat", "c", "X", "d", axis=-1)],
        (1, 2, 3),
        {"c": normal(1, 2, 1), "d": normal(1, 2, 2)},
        opsets=(11, NEWEST),
    ),
    "concat with itself": Graph([node("Concat", "X", "X", axis=0)]),
    "slice, attribute": Graph(
        [node("Slice", "X", starts=[1, -3], ends=[3, 9], axes=[1, 2])], (1, 4, 5), opsets=(7, 9)
    ),
    "slice, input": Graph(
        [node("Slice", "X", "s", "e")], (2, 5), {"s": ints(0, 1), "e": ints(2, -1)}, opsets=(10, NEWEST)
    ),
    "slice steps": Graph(
        [node("Slice", "X", "s", "e", "a", "t")],
        (1, 7, 6),
        {"s": ints(1, 0), "e": ints(2**62, -1), "a": ints(-2, 2), "t": ints(3, 2)},
        opsets=(10, NEWEST),
    ),
    "slice backwards": Graph(
        [node("Slice", "X", "s", "e", "a", "t")],
        (1, 7, 6),
        {"s": ints(-1, 9), "e": ints(-(2**62), 1), "a": ints(1, 2), "t": ints(-1, -2)},
        opsets=(10, NEWEST),
    ),
    "slice backwards from before the start": Graph(
        [node("Slice", "X", "s", "e", "a", "t")],
        (1, 7),
        {"s": ints(-20), "e": ints(-30), "a": ints(1), "t": ints(-1)},
        opsets=(10, NEWEST),
    ),
    "gather": Graph([node("Gather", "X", "i", axis=2)], (1, 2, 4), {"i": ints(3, 0, 3)}),
    "gather a scalar": Graph([node("Gather", "X", "i", axis=1)], (1, 3, 2), {"i": np.array(1)}),
    "gather from the end": Graph(
        [node("Gather", "X", "i", axis=-1)], (1, 4), {"i": ints(-1, 0).reshape(2, 1)}, opsets=(11, NEWEST)
    ),
    "split, attribute": Graph(
        [node("Split", "X", to=["a", "b"], axis=1, split=[2, 4]), node("Concat", "b", "a", axis=1)],
        opsets=(7, 12),
    ),
    "split, input": Graph(
        [node("Split", "X", "s", to=["a", "b"], axis=-1), node("Concat", "b", "a", axis=1)],
        constants={"s": ints(1, 5)},
        opsets=(13, NEWEST),
    ),
    "split in halves": Graph(
        [node("Split", "X", to=["a", "b"], axis=1), node("Sub", "a", "b")], opsets=(7, 13, 17)
    ),
    "split by number": Graph(
        [node("Split", "X", to=["a", "b"], axis=1, num_outputs=2), node("Concat", "b", "a", axis=1)],
        (1, 5),
        opsets=(18, NEWEST),
    ),
    "expand": Graph([node("Expand", "X", "s")], (1, 3, 1), {"s": ints(2, 1, 4)}, opsets=(8, NEWEST)),
    "pad, attribute": Graph([node("Pad", "X", pads=PADS, value=0.5)], IMAGE, opsets=(7, 10)),
    "pad, input": Graph(
        [node("Pad", "X", "p", "v")], IMAGE, {"p": ints(*PADS), "v": scalar(-1.5)}, opsets=(11, NEWEST)
    ),
    "pad reflect": Graph(
        [node("Pad", "X", "p", mode="reflect")], IMAGE, {"p": ints(*PADS)}, opsets=(11, NEWEST)
    ),
    "pad edge": Graph([node("Pad", "X", "p", mode="edge")], IMAGE, {"p": ints(*PADS)}, opsets=(11, NEWEST)),
    "pad wrap": Graph([node("Pad", "X", "p", mode="wrap")], IMAGE, {"p": ints(*PADS)}, opsets=(19, NEWEST)),
    "pad negative": Graph([node("Pad", "X", "p")], (1, 6), {"p": ints(0, -2, 0, 1)}, opsets=(11, NEWEST)),
    "pad axes": Graph(
        [node("Pad", "X", "p", "", "a")], IMAGE, {"p": ints(1, 2), "a": ints(-1)}, opsets=(18, NEWEST)
    ),
    "pad then conv": Graph(
        [node("Pad", "X", "p", "v", to="a"), node("Conv", "a", "W")],
        IMAGE,
        {"p": ints(*PADS), "v": scalar(2.0), "W": normal(2, 4, 3, 3)},
        opsets=(11, NEWEST),
    ),
    "identity": Graph([node("Identity", "X")]),
    "dropout": Graph([node("Dropout", "X")]),
    "cast": Graph(
        [
            helper.make_node("Cast", ["X"], ["a"], to=TensorProto.DOUBLE),
            helper.make_node("Cast", ["a"], ["Y"], to=TensorProto.FLOAT),
        ]
    ),
    "constant": Graph(
        [
            helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(normal(6))),
            node("Add", "X", "c"),
        ]
    ),
    "constant of shape": Graph(
        [
            helper.make_node("ConstantOfShape", ["s"], ["c"], value=numpy_helper.from_array(normal(1))),
            node("Mul", "c", "X"),
        ],
        constants={"s": ints(1, 6)},
        opsets=(9, NEWEST),
    ),
    "constant float": Graph(
        [node("Constant", to="c", value_float=0.3), node("Add", "X", "c")], opsets=(12, NEWEST)
    ),
}

ACTIVATIONS = {
    "relu": Graph([node("Relu", "X")]),
    "relu last": Graph(
        [node("Gemm", "X", "W", "c", to="a"), node("Relu", "a")], constants={"W": W, "c": normal(5)}
    ),
    "sigmoid": Graph([node("MatMul", "X", "W", to="a"), node("Sigmoid", "a")], constants={"W": W}),
    "tanh": Graph(
        [node("MatMul", "X", "W", to="a"), node("Tanh", "a", to="t"), node("MatMul", "t", "V")],
        constants=PAIR,
    ),
    "leaky": Graph([node("LeakyRelu", "X")]),
    "leaky alpha": Graph(
        [node("MatMul", "X", "W", to="a"), node("LeakyRelu", "a", alpha=0.25)], constants={"W": W}
    ),
    "leaky steep": Graph([node("LeakyRelu", "X", alpha=1.5)]),
    "clip, attributes": Graph([node("Clip", "X", min=-0.5, max=1.0)], opsets=(7, 10)),
    "clip, inputs": Graph(
        [node("Clip", "X", "l", "h")], constants={"l": scalar(-0.5), "h": scalar(1.0)}, opsets=(11, NEWEST)
    ),
    "clip below": Graph([node("Clip", "X", "l")], constants={"l": scalar(0.25)}, opsets=(11, NEWEST)),
    "clip above": Graph([node("Clip", "X", "", "h")], constants={"h": scalar(0.25)}, opsets=(11, NEWEST)),
    "clip nothing": Graph([node("Clip", "X")]),
    "max of branches": Graph([*TWO, node("Max", "a", "b")], constants=PAIR, opsets=(8, 13, NEWEST)),
    "max with constants": Graph(
        [node("Max", "c", "d", "X", "X")],
        constants={"c": normal(6), "d": scalar(0.0)},
        opsets=(8, 13, NEWEST),
    ),
}

GROUPS = {"matrices": MATRICES, "sums": SUMS, "images": IMAGES, "shapes": SHAPES, "activations": ACTIVATIONS}
ALL = [(f"{group}: {name}", graph) for group, graphs in GROUPS.items() for name, graph in graphs.items()]


@pytest.mark.parametrize(
    ("graph", "opset"),
    [
        pytest.param(graph, opset, id=f"{name}, opset {opset}")
        for name, graph in ALL
        for opset in graph.opsets or (OLDEST, 13, NEWEST)
    ],
)
def test_operator_agrees_with_onnxruntime(graph: Graph, opset: int, tmp_path: Path) -> None:
    """The network read from a graph gives what onnxruntime gives, at random points, in the same shape."""
    compare(write(graph, tmp_path / "net.onnx", opset))


def test_every_supported_operator_is_compared() -> None:
    """No operator is supported without a graph above that holds it."""
    assert set(OPERATORS) <= {n.op_type for _, graph in ALL for n in graph.nodes}
