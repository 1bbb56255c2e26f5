"""Stored tensors and attributes are what onnx's own helpers make of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from hypersplit.instances.errors import NetworkError
from hypersplit.instances.onnx.stored import attribute, constant

KINDS = [np.float32, np.float64, np.int32, np.int64, np.int8, np.uint16, np.float16, np.bool_]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3), (1,)])
def test_tensors_are_those_of_onnx(kind: Any, shape: tuple[int, ...]) -> None:
    """Of raw bytes and of typed fields, of every shape, the plain kinds and the others."""
    values = np.random.default_rng(1).integers(0, 2, shape).astype(kind)
    raw = numpy_helper.from_array(values, "t")
    listed = helper.make_tensor("t", raw.data_type, shape, values.ravel().tolist())
    for tensor in (raw, listed):
        found = constant(tensor, "t", "").array
        assert found.shape == shape and np.array_equal(found, numpy_helper.to_array(tensor).astype(found.dtype))


def test_what_does_not_fit_is_refused() -> None:
    """A tensor with too few numbers, of bytes or of fields, with a segment, or of no type."""
    short = numpy_helper.from_array(np.ones(3, np.float32), "t")
    short.dims[:] = [4]
    listed = TensorProto(name="t", data_type=TensorProto.FLOAT, dims=[3], float_data=[1.0])
    segment = numpy_helper.from_array(np.ones(3, np.float32), "t")
    segment.segment.begin = 1
    for tensor in (short, listed, segment, TensorProto(name="t", dims=[1], float_data=[1.0])):
        with pytest.raises(NetworkError, match="tensor 't'"):
            constant(tensor, "t", "")


@pytest.mark.parametrize("value", [1.5, 3, b"word", [1.5, 2.5], [1, 2, 3], [b"a", b"b"]])
def test_attributes_are_those_of_onnx(value: Any) -> None:
    """Numbers, texts and lists of them."""
    given = helper.make_attribute("a", value)
    assert attribute(given, "node") == helper.get_attribute_value(given)


def test_an_attribute_that_refers_to_another_is_refused() -> None:
    """A reference, which only functions may hold, has no value."""
    given = helper.make_attribute("a", 3)
    given.ref_attr_name = "b"
    with pytest.raises(ValueError, match="reference"):
        attribute(given, "node")
