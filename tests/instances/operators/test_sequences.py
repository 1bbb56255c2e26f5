"""Sequences of tensors, quantised constants and other folded constants, against onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx_models import assert_agree, model, read, weight, whole

from hypersplit.instances.errors import NetworkError, UnsupportedOperatorError

node = helper.make_node


def test_sequences_are_lists_of_tensors() -> None:
    """Parts are put together, inserted, erased and joined along an axis and along a new one."""
    nodes = [
        node("SequenceEmpty", [], ["none"]),
        node("SequenceInsert", ["none", "x"], ["one"]),
        node("Relu", ["x"], ["r"]),
        node("SequenceInsert", ["one", "r", "first"], ["two"]),
        node("SequenceConstruct", ["x", "w", "r"], ["three"]),
        node("SequenceErase", ["three", "first"], ["left"]),
        node("SequenceAt", ["left", "last"], ["again"]),
        node("ConcatFromSequence", ["two"], ["joined"], axis=1),
        node("ConcatFromSequence", ["left"], ["stacked"], axis=0, new_axis=1),
        node("SequenceLength", ["three"], ["count"]),
        node("Cast", ["count"], ["number"], to=TensorProto.FLOAT),
        node("Mul", ["again", "number"], ["more"]),
        node("Flatten", ["joined"], ["a"], axis=0),
        node("Flatten", ["stacked"], ["b"], axis=0),
        node("Flatten", ["more"], ["c"], axis=0),
        node("Concat", ["a", "b", "c"], ["y"], axis=1),
    ]
    weights = {"w": weight(2, 3), "first": np.array(0), "last": np.array(-1)}
    assert assert_agree(model(nodes, [2, 3], weights)).output_shape == (1, 30)


@pytest.mark.parametrize(
    ("sizes", "attributes"),
    [(None, {"axis": 1}), (None, {"axis": 1, "keepdims": 0}), (np.array(2), {"axis": 1}), (whole(1, 4), {"axis": -1})],
)
def test_tensors_are_split_into_sequences(sizes: Any, attributes: dict[str, int]) -> None:
    """Single entries with and without their axis, parts of one length, and of given lengths."""
    weights = {"last": np.array(-1)} | ({} if sizes is None else {"sizes": sizes})
    nodes = [
        node("SplitToSequence", ["x"] if sizes is None else ["x", "sizes"], ["s"], **attributes),
        node("SequenceAt", ["s", "last"], ["y"]),
    ]
    assert_agree(model(nodes, [2, 5], weights))


def test_sequences_out_of_place_are_refused() -> None:
    """A sequence where a tensor is expected, a tensor where a sequence is, places that do not exist."""
    made = node("SequenceConstruct", ["x", "x"], ["s"])
    for nodes, message in [
        ([made, node("Relu", ["s"], ["y"], name="r")], "'r' .Relu.: input 0 is a sequence"),
        ([node("SequenceAt", ["x", "i"], ["y"])], "is a tensor, expected a sequence"),
        ([made, node("SequenceAt", ["s", "i"], ["y"])], "position 5 of a sequence of 2"),
        ([made, node("SequenceInsert", ["s", "x", "i"], ["t"]), node("ConcatFromSequence", ["t"], ["y"], axis=0)],
         "position 5"),
        ([made], "'s' is a sequence; supported are tensors"),
    ]:  # fmt: skip
        with pytest.raises(NetworkError, match=message):
            read(model(nodes, [1, 2], {"i": np.array(5)}, opset=13))


@pytest.mark.parametrize(
    ("scale", "zero", "attributes", "opset"),
    [
        (np.float32(0.1), np.int8(3), {}, 13),
        (np.array([0.1, 0.02, 0.3], np.float32), np.array([0, -3, 5], np.int8), {"axis": 1}, 13),
        (np.array([[0.1, 0.2, 0.3], [0.5, 0.25, 1]], np.float32), None, {"axis": 0, "block_size": 2}, 21),
    ],
)
def test_quantised_weights(scale: Any, zero: Any, attributes: dict[str, int], opset: int) -> None:
    """(q - zero) scale per tensor, per axis and in blocks, as the file defines it."""
    weights = {"q": np.random.default_rng(1).integers(-128, 128, (4, 3)).astype(np.int8), "s": scale, "V": weight(1, 1)}
    weights |= {} if zero is None else {"z": zero}
    nodes = [
        node("DequantizeLinear", ["q", "s", "z"] if zero is not None else ["q", "s"], ["w"], **attributes),
        node("Einsum", ["x", "w"], ["y"], equation="bi,ij->bj"),  # which no runtime makes a quantised product of
    ]
    network = assert_agree(model(nodes, [1, 4], weights, opset=opset), tolerance=1e-6)
    spread = scale if np.ndim(scale) != 2 else np.repeat(scale, 2, axis=0)
    exact = (weights["q"].astype(float) - (0 if zero is None else zero)) * spread
    np.testing.assert_allclose(network.layers[0].weights[0], exact.T, rtol=1e-15)


def test_quantised_inputs_are_affine() -> None:
    """An input of bytes that is dequantised inside: an affine map of what the bytes are."""
    nodes = [node("DequantizeLinear", ["x", "s", "z"], ["f"]), node("MatMul", ["f", "w"], ["y"])]
    weights = {"s": np.float32(0.25), "z": np.uint8(7), "w": weight(3, 2)}
    network = read(model(nodes, [1, 3], weights, dtype=TensorProto.UINT8))
    assert network.unmodelled == "" and network.inputs[0].element == TensorProto.UINT8
    x = np.array([0.0, 100.0, 255.0])
    np.testing.assert_allclose(network.evaluate(x), (x - 7.0) * 0.25 @ weights["w"], rtol=1e-6)


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
def test_constants_are_quantised_as_the_runtime_does(kind: Any) -> None:
    """Rounded to the nearest, ties to even, cut off where the type ends."""
    values = np.array([0.0, 0.25, 0.75, -0.25, 1.25, 1000.0, -1000.0, 0.3, 63.6], np.float32)
    nodes = [
        node("QuantizeLinear", ["c", "s", "z"], ["q"]),
        node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        node("Mul", ["x", "d"], ["y"]),
    ]
    assert_agree(model(nodes, [1, 9], {"c": values, "s": np.float32(0.5), "z": kind(3)}), tolerance=1e-6)


def test_quantised_data_is_refused() -> None:
    """What depends on the input is rounded by quantising it: refused by name."""
    nodes = [node("QuantizeLinear", ["x", "s"], ["y"], name="q")]
    with pytest.raises(UnsupportedOperatorError, match=r"'q' \(QuantizeLinear\).*on constants alone \(it jumps"):
        read(model(nodes, [1, 2], {"s": np.float32(0.5)}))


@pytest.mark.parametrize(
    ("made", "weights"),
    [
        ([node("OneHot", ["i", "n", "v"], ["c"], axis=0)], {"i": whole(0, -1, 7), "n": np.array(3), "v": weight(2)}),
        ([node("EyeLike", ["m"], ["c"], k=1)], {"m": weight(3, 3)}),
        ([node("NonZero", ["m"], ["p"]), node("Cast", ["p"], ["c"], to=1)], {"m": np.array([0, 2, 0, 1], np.float32)}),
        ([node("ArgMax", ["m"], ["p"], axis=1), node("Cast", ["p"], ["c"], to=1)], {"m": weight(3, 4)}),
        (
            [node("ArgMin", ["m"], ["p"], axis=0, keepdims=0, select_last_index=1), node("Cast", ["p"], ["c"], to=1)],
            {"m": np.array([[1, 0, 2], [1, 3, 2]], np.float32)},
        ),
        ([node("ReduceMax", ["m"], ["c"], axes=[1])], {"m": weight(3, 4)}),
        ([node("ReduceMin", ["m"], ["c"], keepdims=0)], {"m": weight(3, 4)}),
        ([node("Mean", ["m", "v"], ["c"])], {"m": weight(3, 1), "v": weight(3)}),
    ],
)  # fmt: skip
def test_constants_are_folded(made: list[Any], weights: dict[str, Any]) -> None:
    """Operators on constants give the very constants that onnxruntime computes."""
    assert_agree(model([*made, node("Add", ["x", "c"], ["y"])], [1, 1], weights))
