"""ONNX files as networks: walk the graph once, every tensor an affine expression or a constant.

Symbolic batch sizes become 1. Constants fold, with onnx's own reference evaluation where no small rule
applies. What cannot be represented is refused with the operator, its node and what is supported; a file that is not a
sound model (truncated, NaN weights, shapes that do not fit) with its node and what was expected.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from .affine import Builder, Expression
from .errors import NetworkError, UnsupportedOperatorError
from .files import read_model_bytes
from .network import Network
from .onnx_call import Call
from .onnx_operators import OPERATORS

__all__ = ["read_network"]

FLOAT_TYPES = (1, 10, 11)  # float, float16, double in onnx.TensorProto


def read_network(path: str | os.PathLike[str]) -> Network:
    """Read an ONNX file (or `path` + ".gz").

    Raises NetworkError for files that are not a model of one float input and one output,
    UnsupportedOperatorError for an operator outside OPERATORS, InputError if there is no such file.
    """
    data = read_model_bytes(Path(path))
    return _Reader(str(path), _parse(str(path), data)).read()


def _parse(path: str, data: bytes) -> Any:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_from_string(data)
    except (DecodeError, UnicodeDecodeError, ValueError, TypeError) as error:
        raise NetworkError(
            f"{path}: not an ONNX model, or truncated ({str(error).splitlines()[0]})"
        ) from None
    if not model.graph.node:
        raise NetworkError(f"{path}: the model's graph has no nodes; the file may be truncated")
    return model


class _Reader:
    def __init__(self, path: str, model: Any) -> None:
        self.path, self.model, self.graph = path, model, model.graph
        self.tensors: dict[str, Any] = {"": None}

    def read(self) -> Network:
        """The network of the graph."""
        self._constants()
        name, shape = self._input()
        self.builder = Builder(int(np.prod(shape)))
        self.tensors[name] = self.builder.value(0, shape)
        for node in self.graph.node:
            self._node(node)
        return self._network(name, shape)

    def _fail(self, text: str) -> NetworkError:
        return NetworkError(f"{self.path}: {text}")

    def _constants(self) -> None:
        if self.graph.sparse_initializer:
            raise self._fail("sparse initializers are not supported; store the weights as dense tensors")
        for tensor in self.graph.initializer:
            self.tensors[tensor.name] = self._array(tensor, tensor.name)

    def _array(self, tensor: Any, name: str) -> Any:
        from onnx import numpy_helper

        if tensor.data_location == 1:
            raise self._fail(
                f"tensor {name!r} is stored in another file; save the model with its weights inside"
            )
        try:
            array = numpy_helper.to_array(tensor)
        except (
            ValueError,
            TypeError,
            KeyError,
            IndexError,
            RuntimeError,
            MemoryError,
            OverflowError,
        ) as error:
            raise self._fail(f"tensor {name!r} is damaged ({_line(error)})") from None
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise self._fail(f"tensor {name!r} holds NaN or infinite values; expected finite weights")
        return array

    def _input(self) -> tuple[str, tuple[int, ...]]:
        inputs = [i for i in self.graph.input if i.name not in self.tensors]
        if len(inputs) != 1:
            names = ", ".join(i.name for i in inputs) or "none"
            raise self._fail(f"expected exactly one input that is not a weight, found {len(inputs)}: {names}")
        tensor = inputs[0].type.tensor_type
        if tensor.elem_type not in FLOAT_TYPES:
            raise self._fail(
                f"input {inputs[0].name!r} has element type {tensor.elem_type}, expected a float type"
            )
        dims = [d.dim_value for d in tensor.shape.dim]
        unknown = [k for k, n in enumerate(dims) if n <= 0]
        if not dims or any(k > 0 for k in unknown):
            raise self._fail(
                f"input {inputs[0].name!r} has shape {dims}; only the first, batch, size may be unknown"
            )
        shape = tuple(1 if n <= 0 else n for n in dims)
        if np.prod([float(n) for n in shape]) > 1e8:
            raise self._fail(f"input {inputs[0].name!r} has shape {list(shape)}: more than 1e8 entries")
        return inputs[0].name, shape

    def _node(self, node: Any) -> None:
        name = node.name or next(iter(node.output), "")
        where = f"node {name!r} ({node.op_type})"
        missing = [i for i in node.input if i not in self.tensors]
        if missing:
            raise self._fail(f"{where} reads {missing[0]!r}, which no earlier node or weight provides")
        inputs = [self.tensors[i] for i in node.input]
        try:
            outputs = self._evaluate(node, name, inputs)
        except NetworkError:
            raise
        except MemoryError:
            raise self._fail(f"{where} needs more memory than there is") from None
        except (
            ValueError,
            TypeError,
            KeyError,
            IndexError,
            AttributeError,
            OverflowError,
            ArithmeticError,
        ) as error:
            shapes = ", ".join(
                str(tuple(np.shape(i)) if not isinstance(i, Expression) else i.shape) for i in inputs
            )
            raise self._fail(f"{where} does not fit its inputs of shapes {shapes}: {_line(error)}") from None
        for output, value in zip(node.output, outputs, strict=False):
            self.tensors[output] = value

    def _evaluate(self, node: Any, name: str, inputs: list[Any]) -> list[Any]:
        moving = [i for i in inputs if isinstance(i, Expression)]
        if node.op_type == "Shape" and moving:
            ends = {a.name: a.i for a in node.attribute}
            return [np.array(moving[0].shape[ends.get("start", 0) : ends.get("end")], dtype=np.int64)]
        if not moving:
            return self._fold(node, name, inputs)
        if node.op_type not in OPERATORS or node.domain not in ("", "ai.onnx"):
            supported = ", ".join(sorted(OPERATORS))
            raise UnsupportedOperatorError(
                f"{self.path}: node {name!r} has operator {node.op_type}, which is not supported; "
                f"supported are {supported}, and any operator on constants"
            )
        attributes = {a.name: _attribute(a) for a in node.attribute}
        if node.op_type == "Cast" and attributes.get("to") not in FLOAT_TYPES:
            raise self._fail(
                f"node {name!r} casts a tensor that depends on the input to a type that is not float"
            )
        out = OPERATORS[node.op_type](Call(self.builder, name, attributes, len(node.output)), inputs)
        return out if isinstance(out, list) else [out]

    def _fold(self, node: Any, name: str, inputs: list[Any]) -> list[Any]:
        """Constants: the usual cases directly, everything else by onnx's reference implementation."""
        if node.op_type == "Constant":
            for a in node.attribute:
                if a.name == "value":
                    return [self._array(a.t, name)]
                if a.name in ("value_float", "value_floats", "value_int", "value_ints"):
                    return [np.asarray(_attribute(a), dtype=np.float32 if "float" in a.name else np.int64)]
        if node.op_type == "Identity":
            return [inputs[0]]
        import onnx
        from onnx.reference import ReferenceEvaluator

        graph = onnx.helper.make_graph(
            [node], "constant",
            [onnx.helper.make_tensor_value_info(n, onnx.helper.np_dtype_to_tensor_dtype(np.asarray(v).dtype), None)
             for n, v in dict(zip(node.input, inputs, strict=True)).items() if n],
            [onnx.helper.make_empty_tensor_value_info(n) for n in node.output if n],
        )  # fmt: skip
        model = onnx.helper.make_model(graph, opset_imports=self.model.opset_import)
        feeds = {n: v for n, v in zip(node.input, inputs, strict=True) if n}
        try:
            with np.errstate(all="ignore"):  # what is not finite in the end is refused with the layer that it spoils
                return list(ReferenceEvaluator(model).run(None, feeds))
        except Exception as error:  # the reference implementation raises kinds of its own
            what = f"node {name!r} ({node.op_type}) on constants"
            raise self._fail(f"{what} cannot be evaluated: {_line(error)}") from None

    def _network(self, name: str, shape: tuple[int, ...]) -> Network:
        if len(self.graph.output) != 1:
            names = ", ".join(o.name for o in self.graph.output) or "none"
            raise self._fail(f"expected exactly one output, found {len(self.graph.output)}: {names}")
        target = self.graph.output[0].name
        out = self.tensors.get(target)
        if not isinstance(out, Expression):
            what = "is not computed by any node" if out is None else "does not depend on the input"
            raise self._fail(f"output {target!r} {what}")
        last = len(self.builder.layers)
        if not (last and self.builder.is_plain(out) and set(out.terms) == {last}):
            self.builder.layer(out, "identity", target)
        operators = Counter(n.op_type for n in self.graph.node)
        layers = _reachable(self.builder.layers)
        for layer in layers:
            weights = [w if isinstance(w, np.ndarray) else w.data for w in layer.weights]
            if not all(np.isfinite(a).all() for a in (layer.bias, *weights)):
                raise self._fail(
                    f"node {layer.name!r}: constants are NaN or too large, the folded weights overflow"
                )
        return Network(
            self.builder.sizes[0],
            tuple(layers),
            shape,
            out.shape,
            name,
            target,
            self.path,
            dict(sorted(operators.items())),
        )


def _reachable(layers: list[Any]) -> list[Any]:
    """Layers that the last one depends on, renumbered."""
    from dataclasses import replace

    used, todo = set(), [len(layers)]
    while todo:
        v = todo.pop()
        if v and v not in used:
            used.add(v)
            todo.extend(layers[v - 1].sources)
    number = {0: 0} | {v: k for k, v in enumerate(sorted(used), start=1)}
    return [
        replace(layers[v - 1], sources=tuple(number[s] for s in layers[v - 1].sources)) for v in sorted(used)
    ]


def _attribute(attribute: Any) -> Any:
    from onnx import helper

    value = helper.get_attribute_value(attribute)
    return list(value) if attribute.type in (6, 7, 8) else value  # FLOATS, INTS, STRINGS


def _line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
