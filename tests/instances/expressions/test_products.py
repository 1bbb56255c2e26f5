"""Products as pairs of squares: the same numbers as onnxruntime's, no product twice, and refusals that say why."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx_models import assert_agree, kinds, model, read
from product_networks import FORMS, random_model

from hypersplit.instances.errors import NetworkError, UnsupportedOperatorError
from hypersplit.instances.expressions.products import MOST_PRODUCTS
from hypersplit.instances.products import products_of

node = helper.make_node


@pytest.mark.parametrize("form", FORMS)
def test_products_agree_with_onnxruntime(form: str) -> None:
    """Random networks of each form at random inputs, up to float32 roundings."""
    for seed in range(3):
        assert_agree(random_model(form, seed), seed)


@pytest.mark.parametrize(
    ("left", "right"),
    [((3, 4), (4, 2)), ((2, 3, 4), (4, 5)), ((4,), (2, 4, 3)), ((2, 1, 3, 4), (5, 4, 2)), ((4,), (4,)), ((3, 4), (4,))],
)
def test_shapes_are_numpys(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    """MatMul of two parts of the input, vectors and batches that broadcast included."""
    sizes = int(np.prod(left)), int(np.prod(right))
    weights = {"sizes": np.array(sizes), "left": np.array(left), "right": np.array(right)}
    nodes = [
        node("Split", ["x", "sizes"], ["a", "b"], axis=0), node("Reshape", ["a", "left"], ["p"]),
        node("Reshape", ["b", "right"], ["q"]), node("MatMul", ["p", "q"], ["y"]),
    ]  # fmt: skip
    assert_agree(model(nodes, [sum(sizes)], weights))


def test_entries_of_different_shapes_broadcast() -> None:
    """A column times a row, of which each entry is a factor several times."""
    nodes = [
        node("Split", ["x"], ["a", "b"], axis=0), node("Reshape", ["a", "column"], ["p"]),
        node("Mul", ["p", "b"], ["y"]),
    ]  # fmt: skip
    network = assert_agree(model(nodes, [6], {"column": np.array([3, 1])}))
    (found,) = products_of(network).values()
    assert len(found) == 9


def test_a_product_is_made_once() -> None:
    """Of the four products in x x' for two numbers one is there twice, and two are squares of one number."""
    nodes = [
        node("Reshape", ["x", "column"], ["p"]), node("Reshape", ["x", "row"], ["q"]),
        node("MatMul", ["p", "q"], ["y"]),
    ]  # fmt: skip
    network = assert_agree(model(nodes, [2], {"column": np.array([2, 1]), "row": np.array([1, 2])}))
    assert kinds(network) == ["power:2", "identity"] and network.layers[0].size == 4


def test_nothing_is_rounded() -> None:
    """Neither rows of squares nor sums of products declare an error."""
    for form in FORMS:
        for layer in read(random_model(form, 1)).layers:
            assert layer.kind != "power:2" or (layer.roundings == 0 and layer.bias_error == 0.0)


def test_too_many_products_are_told() -> None:
    """How many there would be, and how many there may be, before anything is built."""
    nodes = [node("Reshape", ["x", "column"], ["p"]), node("MatMul", ["p", "x"], ["y"])]
    with pytest.raises(UnsupportedOperatorError, match=f"360000 products .* at most {MOST_PRODUCTS}"):
        read(model(nodes, [1, 600], {"column": np.array([600, 1])}))


def test_shapes_that_do_not_fit_are_told() -> None:
    """As for products with constants."""
    nodes = [node("Reshape", ["x", "column"], ["p"]), node("MatMul", ["p", "p"], ["y"])]
    with pytest.raises(NetworkError, match=r"a product of shapes \(3, 2\) and \(3, 2\)"):
        read(model(nodes, [6], {"column": np.array([3, 2])}))


def test_products_in_half_precision_prove_nothing() -> None:
    """What the file rounds on the way is said, as for any other arithmetic."""
    nodes = [node("MatMul", ["x", "x"], ["y"], name="n")]
    proto = model(nodes, [2, 2], dtype=TensorProto.FLOAT16)
    assert "computes in float16" in read(proto).unmodelled
