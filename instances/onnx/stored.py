"""What an ONNX file stores: tensors and attributes as constants. Floats become float64, which holds them exactly.

The commonest kinds are taken from their messages here; for the others, and for whatever is irregular, onnx's helpers
are asked: their import takes as long as numpy's.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import NetworkError
from ..expressions.affine import check_size
from ..expressions.node import Constant
from ..network import Array

__all__ = ["DAMAGE", "attribute", "constant", "constant_node", "line", "sparse_constant"]

# what numpy, protobuf and onnx raise on shapes, types and bytes that do not fit
DAMAGE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError, MemoryError)
TENSOR, GRAPHS = 4, (5, 10)  # of onnx.AttributeProto
_NUMBERS, _LISTS = {1: "f", 2: "i", 3: "s"}, {6: "floats", 7: "ints", 8: "strings"}  # fields by the attribute's type
_PLAIN: dict[int, tuple[np.dtype[Any], str]] = {  # by their type: the numbers, and the field where they are not raw
    1: (np.dtype(np.float32), "float_data"), 11: (np.dtype(np.float64), "double_data"),
    6: (np.dtype(np.int32), "int32_data"), 7: (np.dtype(np.int64), "int64_data"),
}  # fmt: skip


def constant(tensor: Any, name: str, source: str) -> Constant:
    """A stored tensor (onnx.TensorProto); `source` is the model's path, beside which external data lies."""
    plain = _plain_array(tensor)
    if plain is not None:
        return _from_array(plain, name)
    from onnx import numpy_helper

    try:
        if tensor.data_location == 1:
            array = numpy_helper.to_array(tensor, base_dir=str(Path(source).parent))
        else:
            array = numpy_helper.to_array(tensor)
    except (*DAMAGE, OSError) as error:
        raise NetworkError(f"tensor {name!r} cannot be read ({line(error)})") from error
    except Exception as error:  # onnx's check of external data raises a class derived from Exception alone
        raise NetworkError(f"tensor {name!r}: its external data cannot be read ({line(error)})") from error
    return _from_array(array, name)


def _plain_array(tensor: Any) -> Array | None:
    """The numbers of a tensor of the commonest kinds; None for others, and where size and shape do not agree."""
    if tensor.data_type not in _PLAIN or tensor.data_location == 1 or tensor.HasField("segment"):
        return None
    dtype, field = _PLAIN[tensor.data_type]
    shape, raw = tuple(tensor.dims), tensor.HasField("raw_data")
    size = len(tensor.raw_data) if raw else len(getattr(tensor, field)) * dtype.itemsize
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size or (raw and sys.byteorder == "big"):
        return None
    flat = np.frombuffer(tensor.raw_data, dtype) if raw else np.array(getattr(tensor, field), dtype)
    return flat.reshape(shape)


def sparse_constant(tensor: Any, source: str) -> Constant:
    """A sparse tensor (onnx.SparseTensorProto), filled up with zeros; its indices are flat or one row an entry."""
    name = tensor.values.name
    values, index = constant(tensor.values, name, source), constant(tensor.indices, name, source).array
    shape = [int(n) for n in tensor.dims]
    check_size(float(np.prod(shape, dtype=float)) if min(shape, default=0) >= 0 else -1.0)
    try:
        flat = index if index.ndim == 1 else np.asarray(np.ravel_multi_index(tuple(index.T), shape))
        dense = np.zeros(int(np.prod(shape)), dtype=values.array.dtype)
        if flat.shape != values.shape or len(flat) and int(flat.min()) < 0:
            raise ValueError("as many indices as values are expected, none negative")
        dense[flat] = values.array
    except DAMAGE as error:
        raise NetworkError(f"sparse tensor {name!r} cannot be read ({line(error)})") from error
    return Constant(dense.reshape(shape), 0, name)


def _from_array(array: Any, name: str) -> Constant:
    kind, known = array.dtype.kind, array.dtype.name
    if kind in "iu":
        if kind == "u" and array.size and int(array.max()) >= 2**63:
            raise NetworkError(f"tensor {name!r} holds integers beyond int64")
        return Constant(array.astype(np.int64), 0, name)
    if known in ("int4", "uint4", "int2", "uint2"):
        return Constant(array.astype(np.int64), 0, name)
    if kind == "b":
        return Constant(array, 0, name)
    if kind == "f" or known == "bfloat16":
        return Constant(array.astype(np.float64), 0, name)
    raise NetworkError(f"tensor {name!r} has element type {known}, expected floats, integers or truth values")


def attribute(given: Any, name: str) -> Any:
    """An attribute as a Python value; tensors become constants, graphs stay what they are."""
    if not given.ref_attr_name and given.type in _NUMBERS:
        return getattr(given, _NUMBERS[given.type])
    if not given.ref_attr_name and given.type in _LISTS:
        return list(getattr(given, _LISTS[given.type]))
    if given.type == TENSOR:
        return constant(given.t, name, "")
    if given.type in GRAPHS:
        return given.g if given.type == GRAPHS[0] else list(given.graphs)
    from onnx import helper

    return helper.get_attribute_value(given)


def constant_node(attributes: dict[str, Any]) -> Constant:
    """What a Constant node holds."""
    for key, value in attributes.items():
        if key == "value" and isinstance(value, Constant):
            return value
        if key in ("value_float", "value_floats"):
            return Constant(np.asarray(value, dtype=np.float32).astype(np.float64), 0, key)
        if key in ("value_int", "value_ints"):
            return Constant(np.asarray(value, dtype=np.int64), 0, key)
    raise NetworkError(
        f"a constant given as {', '.join(attributes) or 'nothing'}, expected a tensor or numbers"
    )


def line(error: BaseException) -> str:
    """The first line of an error's text."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
