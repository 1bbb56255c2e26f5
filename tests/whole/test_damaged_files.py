"""Files that are no network are refused in one line that names the node or the tensor."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper
from onnx_models import model, random_graph, read, weight, whole

from hypersplit.instances.errors import InputError, NetworkError, UnsupportedOperatorError
from hypersplit.instances.onnx.reader import network_from_bytes, read_network

node = helper.make_node


def relu_model(**changes: Any) -> ModelProto:
    """x W then ReLU."""
    return model(
        [node("MatMul", ["x", "W"], ["z"], name="product"), node("Relu", ["z"], ["y"])],
        [1, 3],
        {"W": weight(3, 2)},
        **changes,
    )


def no_input() -> ModelProto:
    """A model whose only input has a value."""
    proto = relu_model()
    del proto.graph.input[:]
    return proto


def no_output() -> ModelProto:
    """A model without outputs."""
    proto = relu_model()
    del proto.graph.output[:]
    return proto


def damaged_tensor() -> ModelProto:
    """A model whose weight has too few bytes."""
    proto = relu_model()
    proto.graph.initializer[0].raw_data = proto.graph.initializer[0].raw_data[:-3]
    return proto


NAN = np.array([[1, np.nan]], dtype=np.float32)
BAD: dict[str, tuple[Any, str]] = {
    "no input": (no_input, "no inputs that are not weights"),
    "no output": (no_output, "no outputs, expected at least one"),
    "truth values": (lambda: relu_model(dtype=TensorProto.BOOL), "'x' has element type bool, expected float"),
    "integers": (lambda: relu_model(dtype=TensorProto.INT64), r"'product' \(MatMul\): it computes in int64"),
    "flags": (
        lambda: model([node("ReduceSum", ["x"], ["y"], name="n", keepdims=2)], [1, 3]),
        r"'n' \(ReduceSum\): the attribute keepdims is 2, expected 0 or 1",
    ),
    "unknown size": (lambda: model([node("Relu", ["x"], ["y"])], [1, "n", 3]), "1xnx3; only the batch size"),
    "old opset": (lambda: relu_model(opset=6), "operator set 6, expected 7"),
    "damaged tensor": (damaged_tensor, "tensor 'W' cannot be read"),
    "NaN": (
        lambda: model([node("Mul", ["x", "w"], ["y"], name="n")], [1, 2], {"w": NAN}),
        r"'n' \(Mul\): tensor 'w' holds NaN",
    ),
    "shapes": (
        lambda: model([node("MatMul", ["x", "w"], ["y"], name="n")], [1, 4], {"w": weight(3, 2)}),
        r"'n' \(MatMul\): a product of shapes \(1, 4\) and \(3, 2\)",
    ),
    "broadcast": (
        lambda: model([node("Add", ["x", "w"], ["y"], name="n")], [1, 4], {"w": weight(3)}),
        r"'n' \(Add\): does not fit its inputs \(shapes \(1, 4\), \(3,\)\)",
    ),
    "missing weight": (lambda: model([node("Add", ["x", "w"], ["y"])], [1, 4]), "reads 'w', which neither"),
    "missing output": (
        lambda: model([node("Relu", ["x"], ["y"])], [1, 4], output="q"), "output 'q' is not computed"
    ),
    "constant output": (
        lambda: model([node("Relu", ["x"], ["r"]), node("Neg", ["w"], ["y"])], [1, 4], {"w": weight(3)}),
        "'y' does not depend on its input 'x'",
    ),
    "division by zero": (
        lambda: model([node("Div", ["x", "w"], ["y"])], [1, 2], {"w": np.zeros(2, np.float32)}),
        "division by zero",
    ),
    "empty graph": (lambda: helper.make_model(helper.make_graph([], "g", [], [])), "no nodes"),
    "huge tensor": (
        lambda: model([node("Expand", ["x", "s"], ["y"])], [1, 1], {"s": whole(10**9, 10**9)}), "expected at most"
    ),
    "huge padding": (
        lambda: model([node("Pad", ["x"], ["y"], pads=[0, 0, 0, 10**12])], [1, 2], opset=9), "expected at most"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_models_are_refused_in_one_line(name: str) -> None:
    """Models that are no network are refused with the node or tensor, and what was expected."""
    make, message = BAD[name]
    with pytest.raises(NetworkError, match=message) as caught:
        network_from_bytes(make().SerializeToString(), "net.onnx")
    assert str(caught.value).startswith("net.onnx: ") and "\n" not in str(caught.value)


def test_unsupported_operators_are_named() -> None:
    """An operator outside the supported set is named with its node and what is supported."""
    for nodes, message in [
        (
            [node("Tan", ["x"], ["y"], name="wave")],
            "node 'wave' .Tan.: the operator Tan is not supported .no relaxation of .*; supported are Abs, Add",
        ),
        ([node("ArgMax", ["x"], ["y"])], "ArgMax is supported on constants alone .it jumps"),
        ([node("Equal", ["x", "half"], ["y"])], "what holds at single numbers only"),
        ([node("Shrink", ["x"], ["y"], lambd=-1.0)], "lambd = -1.0; supported are numbers from 0 on"),
        ([node("Gelu", ["x"], ["y"], approximate="none of them")], "supported are none and tanh"),
        ([node("Pow", ["x", "none"], ["y"])], "supported is one exponent for all entries"),
        ([node("Elu", ["x"], ["y"], alpha=-1.0)], "supported are numbers above 0"),
        ([node("Einsum", ["x", "x", "x"], ["y"], equation="ijk,ijk,ijk->i")], "3 factors; supported are two"),
        ([node("Loop", ["", "t", "x"], ["y"])], "loops are not followed"),
        ([node("Cast", ["x"], ["y"], to=TensorProto.INT64)], "becomes other than a float"),
        ([node("Relu", ["x"], ["y"], domain="com.example")], "com.example.Relu is not supported"),
        ([node("MaxPool", ["x"], ["p", "y"], kernel_shape=[1])], "second output"),
    ]:
        with pytest.raises(UnsupportedOperatorError, match=message):
            weights = {"half": np.float32(0.5), "none": np.float32(0.0), "t": np.array(True)}
            read(model(nodes, [2, 2, 2], weights, opset=17))


def test_all_missing_operators_are_named_at_once() -> None:
    """One message has every operator that cannot be read, with its nodes; those on constants are no obstacle."""
    nodes = [
        node("ArgMax", ["w"], ["c"]),
        node("Add", ["x", "c"], ["a"]),
        node("Asinh", ["a"], ["e"], name="e1"),
        *(node("ArgMax", [f"{'e' if k == 0 else f's{k - 1}'}"], [f"s{k}"], name=f"root{k}") for k in range(5)),
        node("Custom", ["s4"], ["y"], name="own", domain="com.example"),
    ]
    with pytest.raises(UnsupportedOperatorError) as caught:
        read(model(nodes, [1, 2], {"w": weight(2) ** 2}))
    said = str(caught.value)
    assert "node 'e1' (Asinh): the operator Asinh is not supported" in said
    assert "the operator ArgMax (nodes 'root0', 'root1', 'root2' and 2 more) is supported on constants alone" in said
    assert "the operator com.example.Custom (node 'own') is not supported;" in said


def test_missing_files_are_named(tmp_path: Path) -> None:
    """A file that does not exist is an InputError with its path."""
    with pytest.raises(InputError, match="absent.onnx"):
        read_network(tmp_path / "absent.onnx")


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """The bytes with some flipped, cut out or cut off."""
    if rng.random() < 0.3:
        return data[: int(rng.integers(len(data)))]
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        changed[int(rng.integers(len(changed)))] = int(rng.integers(256))
    if rng.random() < 0.3:
        start = int(rng.integers(len(changed)))
        del changed[start : start + int(rng.integers(1, 9))]
    return bytes(changed)


def test_damaged_files_raise_nothing_but_network_errors() -> None:
    """Whatever bytes are changed, the reader gives a network or a NetworkError."""
    outcomes = Counter()
    for seed in range(400):
        rng = np.random.default_rng(seed)
        data = damaged(random_graph(rng).SerializeToString(), rng)
        try:
            network_from_bytes(data)
        except NetworkError:
            outcomes["refused"] += 1
        except Exception as error:
            raise AssertionError(f"seed {seed}: {type(error).__name__} {error}") from error
        else:
            outcomes["read"] += 1
    assert min(outcomes["refused"], outcomes["read"]) > 20, outcomes
