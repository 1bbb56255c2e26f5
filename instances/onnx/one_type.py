"""Copies of ONNX models whose floats all have one element type.

Some exporters leave double weights in a float model. Other tools read such files, onnxruntime refuses them. A
copy in double computes what the file says with the roundings of float64; casts among floats become idle there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError, NetworkError

__all__ = ["DOUBLE", "FLOAT", "float_types", "in_one_type", "takes_floats", "without_functions"]

FLOAT, DOUBLE = 1, 11  # of onnx.TensorProto
FLOATS = (1, 10, 11, 16)  # with float16 and bfloat16
_DTYPES = {FLOAT: np.float32, DOUBLE: np.float64}


def without_functions(model: Any) -> Any:
    """A ModelProto with its own functions written out where they are called.

    Raises NetworkError where onnx cannot do that.
    """
    if not model.functions:
        return model
    from onnx import inliner

    try:
        return inliner.inline_local_functions(model)
    except Exception as error:  # of classes of the compiled checker
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise NetworkError(f"its functions cannot be written out where they are called ({line})") from error


def float_types(model: Any) -> set[int]:
    """Element types of the floats that a ModelProto stores, takes and gives."""
    kinds: set[int] = set()
    for graph in _graphs(model.graph):
        kinds |= {t.data_type for t in _tensors(graph)}
        kinds |= {v.type.tensor_type.elem_type for v in (*graph.input, *graph.output)}
    return {int(k) for k in kinds if k in FLOATS}


def takes_floats(model: Any) -> bool:
    """Whether a ModelProto's input is of type float, so that double copies are to be given float32s."""
    stored = {t.name for t in model.graph.initializer}
    return any(v.type.tensor_type.elem_type == FLOAT for v in model.graph.input if v.name not in stored)


def in_one_type(model: Any, kind: int) -> Any:
    """A copy of a ModelProto with every float tensor, input and output of type `kind`, FLOAT or DOUBLE.

    Raises InputError for models with functions of their own, whose types are not followed.
    """
    from onnx import ModelProto

    copy = ModelProto()
    copy.CopyFrom(model)
    if copy.functions:
        raise InputError("functions, whose element types are not followed")
    for graph in _graphs(copy.graph):
        _change(graph, kind)
    return copy


def _graphs(graph: Any) -> list[Any]:
    """A graph and those inside its nodes."""
    inner = [
        g for node in graph.node for a in node.attribute for g in (*([a.g] if a.HasField("g") else []), *a.graphs)
    ]
    return [graph, *(below for g in inner for below in _graphs(g))]


def _change(graph: Any, kind: int) -> None:
    """Make all floats of one graph, without those inside it, of type `kind`."""
    from onnx import numpy_helper

    for value in (*graph.input, *graph.output, *graph.value_info):
        if value.type.tensor_type.elem_type in FLOATS:
            value.type.tensor_type.elem_type = kind
    for node in graph.node:
        for a in node.attribute:
            if node.op_type == "Cast" and a.name == "to" and a.i in FLOATS:
                a.i = kind
        _plain_constant(node)
    for tensor in _tensors(graph):
        if tensor.data_type in FLOATS:
            array = numpy_helper.to_array(tensor).astype(_DTYPES[kind])
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def _tensors(graph: Any) -> list[Any]:
    """All stored tensors: initializers and those of attributes."""
    return [*graph.initializer, *(a.t for node in graph.node for a in node.attribute if a.HasField("t"))]


def _plain_constant(node: Any) -> None:
    """A Constant that is given as bare floats gets a tensor, whose type can be changed."""
    from onnx import helper, numpy_helper

    if node.op_type not in ("Constant", "ConstantOfShape"):
        return
    given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    bare = given.get("value_float", given.get("value_floats"))
    if node.op_type == "ConstantOfShape" and not given:
        bare = [0.0]
    if bare is not None:
        del node.attribute[:]
        tensor = numpy_helper.from_array(np.asarray(bare, dtype=np.float32), "")
        node.attribute.append(helper.make_attribute("value", tensor))
