"""Casts, half precision and integers: exact on constants; elsewhere said to be not modelled, or refused."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx_models import assert_agree, model, read, runtime, weight, whole

from hypersplit.instances.errors import NetworkError, UnsupportedOperatorError
from hypersplit.instances.expressions.element_types import narrows

node = helper.make_node
FLOAT, DOUBLE, HALF, BRAIN = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16


@pytest.mark.parametrize(
    ("source", "target", "rounds"),
    [
        (FLOAT, HALF, True), (FLOAT, BRAIN, True), (DOUBLE, FLOAT, True), (BRAIN, HALF, True), (HALF, BRAIN, True),
        (FLOAT, FLOAT, False), (FLOAT, DOUBLE, False), (HALF, FLOAT, False), (BRAIN, FLOAT, False),
        (TensorProto.INT64, FLOAT, True), (TensorProto.INT32, DOUBLE, False), (TensorProto.BOOL, HALF, False),
    ],
)  # fmt: skip
def test_casts_that_may_round_are_known(source: int, target: int, rounds: bool) -> None:
    """A cast rounds where the target has fewer digits or a smaller range, and only there."""
    assert narrows(source, target) == rounds


@pytest.mark.parametrize(("dtype", "through"), [(FLOAT, HALF), (FLOAT, BRAIN), (DOUBLE, FLOAT)])
def test_a_cast_there_and_back_is_not_modelled(dtype: int, through: int) -> None:
    """A network that rounds its data by a Cast says so, with the node and both types."""
    nodes = [
        node("Cast", ["x"], ["h"], to=through, name="narrow"),
        node("Cast", ["h"], ["f"], to=dtype),
        node("Sub", ["f", "x"], ["y"]),
    ]
    said = read(model(nodes, [1, 1], dtype=dtype)).unmodelled
    assert "'narrow' (Cast) rounds from" in said and "not modelled" in said


def test_widening_casts_are_exact() -> None:
    """Float data cast to double and float weights cast on the way are modelled as they are."""
    nodes = [
        node("Cast", ["x"], ["d"], to=DOUBLE),
        node("Cast", ["w"], ["v"], to=DOUBLE),
        node("MatMul", ["d", "v"], ["y"]),
    ]
    assert read(model(nodes, [1, 4], {"w": weight(4, 2)})).unmodelled == ""


@pytest.mark.parametrize(
    ("kind", "rounds"),
    [("Sigmoid", True), ("Add", True), ("Relu", False), ("Identity", False), ("Neg", False)],
)
def test_arithmetic_in_half_precision_is_not_modelled(kind: str, rounds: bool) -> None:
    """In a float16 network the nodes that round are told from those that hand numbers on."""
    proto = model([node(kind, ["x"] * (1 + (kind == "Add")), ["y"], name="n")], [1, 3], dtype=HALF)
    assert ("'n'" in read(proto).unmodelled and "float16" in read(proto).unmodelled) == rounds


def test_half_weights_in_a_float_network_are_exact() -> None:
    """Weights stored in float16 and cast to float on the way are what the file computes with."""
    weights = {"w": weight(4, 2).astype(np.float16)}
    nodes = [node("Cast", ["w"], ["v"], to=FLOAT), node("MatMul", ["x", "v"], ["y"])]
    assert assert_agree(model(nodes, [1, 4], weights)).unmodelled == ""


@pytest.mark.parametrize(
    "value",
    [np.array([2**24 + 1, 2**31 - 1, -(2**53) - 1], np.int64), np.array([0.1, 1 / 3, 1e-45, 7e4], np.float64)],
)
@pytest.mark.parametrize("target", [FLOAT, DOUBLE])
def test_casts_of_constants_round_as_the_runtime_does(value: np.ndarray, target: int) -> None:
    """A constant that is cast has the very value that onnxruntime gives it."""
    nodes = [
        node("Cast", ["c"], ["r"], to=target),
        node("Cast", ["r"], ["d"], to=DOUBLE),
        node("Mul", ["x", "d"], ["y"]),
    ]
    proto = model(nodes, [1, len(value)], {"c": value}, dtype=DOUBLE)
    one = np.ones((1, len(value)))
    np.testing.assert_array_equal(read(proto).evaluate(one[0]), runtime(proto, one)[0])


def test_a_cast_of_rounded_constants_is_decided_or_refused() -> None:
    """The product of two constants is cast to float16 where its own rounding does not matter, else refused."""
    def proto(a: float, b: float) -> object:
        nodes = [
            node("Mul", ["a", "b"], ["p"]),
            node("Cast", ["p"], ["h"], to=HALF),
            node("Cast", ["h"], ["w"], to=FLOAT),
            node("Mul", ["x", "w"], ["y"]),
        ]
        return model(nodes, [1, 1], {"a": np.array([a], np.float32), "b": np.array([b], np.float32)})

    assert read(proto(0.1, 3.0)).evaluate(np.ones(1)) == float(np.float16(0.3))
    with pytest.raises(UnsupportedOperatorError, match="either way"):
        read(proto(1.0 + 2.0**-11, 1.0))  # half way between two float16


@pytest.mark.parametrize("kind", [TensorProto.INT32, TensorProto.INT64])
def test_integer_arithmetic_beyond_its_type_is_refused(kind: int) -> None:
    """Integers that would wrap around are refused; within the type they are exact."""
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    big = np.array([np.iinfo(dtype).max], dtype)
    nodes = [
        node("Add", ["a", "b"], ["s"]),
        node("Cast", ["s"], ["w"], to=FLOAT),
        node("Mul", ["x", "w"], ["y"]),
    ]
    with pytest.raises(NetworkError, match="beyond int"):
        read(model(nodes, [1, 1], {"a": big, "b": np.array([1], dtype)}))
    assert read(model(nodes, [1, 1], {"a": big - 3, "b": np.array([-4], dtype)})).layers


@pytest.mark.parametrize(("a", "b"), [(7, -2), (-7, 2), (-7, -2), (6, 3)])
@pytest.mark.parametrize(("kind", "attributes"), [("Div", {}), ("Mod", {}), ("Mod", {"fmod": 1})])
def test_integer_quotients_of_constants_are_the_runtimes(a: int, b: int, kind: str, attributes: dict[str, int]) -> None:
    """Quotients are truncated and remainders have the sign that the attribute says."""
    nodes = [
        node(kind, ["a", "b"], ["q"], **attributes),
        node("Cast", ["q"], ["w"], to=FLOAT),
        node("Mul", ["x", "w"], ["y"]),
    ]
    assert_agree(model(nodes, [1, 1], {"a": whole(a), "b": whole(b)}))


def test_means_of_integers_are_refused() -> None:
    """A mean of integers is truncated by the file and refused by name."""
    nodes = [
        node("ReduceMean", ["c"], ["m"], name="mean", axes=[0], keepdims=0),
        node("Cast", ["m"], ["w"], to=FLOAT),
        node("Mul", ["x", "w"], ["y"]),
    ]
    with pytest.raises(UnsupportedOperatorError, match=r"'mean' \(ReduceMean\): it computes in int64"):
        read(model(nodes, [1, 1], {"c": whole(1, 2)}))


def test_a_double_clip_at_large_numbers_is_kept() -> None:
    """In float64 a bound of 1e39 is a bound, in float32 there is nothing beyond it."""
    nodes = [node("Clip", ["x", "low", "high"], ["y"])]
    bounds = {"low": np.array(-1.0), "high": np.array(1e39)}
    assert read(model(nodes, [1, 1], bounds, dtype=DOUBLE)).evaluate(np.array([1e60])) < 1e50
