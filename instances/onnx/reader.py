"""ONNX files as networks: walk the graph once, every tensor a constant or an affine expression over layers.

An unknown batch size becomes 1. Only nodes that the output depends on are read, in a topological order. What cannot be
represented is refused with the operator, its node and what is supported; a file that is not a sound model (truncated,
NaN weights, shapes that do not fit, nodes in a circle) with its node or tensor and what was expected.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import NetworkError
from ..expressions.affine import Builder, check_size
from ..expressions.element_types import check_constant, result_type, rounding, type_name
from ..expressions.node import Constant, Node, Tensor
from ..files import read_model_bytes
from ..network import Network
from ..operators.table import run
from .order import needed_in_order, title

__all__ = ["network_from_bytes", "read_network"]

FLOATS = (1, 10, 11)  # float, float16, double in onnx.TensorProto
OLDEST_OPSET = 7  # before, Add and others broadcast by attributes
# what numpy, protobuf and onnx raise on shapes, types and bytes that do not fit
DAMAGE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError, MemoryError)


def read_network(path: str | os.PathLike[str]) -> Network:
    """Read an ONNX file, or `path`.gz where only that exists.

    The network is the file's real-valued one, up to the roundings that its layers declare.

    Raises InputError where there is no such file, NetworkError where it is not a sound model with one float
    input and one output, UnsupportedOperatorError for an operator outside OPERATORS.
    """
    return network_from_bytes(read_model_bytes(Path(path)), str(path))


def network_from_bytes(data: bytes, source: str = "model") -> Network:
    """The network of an ONNX model in memory; `source` names it in messages. Raises as `read_network`."""
    from google.protobuf.message import DecodeError
    from onnx import ModelProto

    try:
        model = ModelProto.FromString(data)
        with np.errstate(all="ignore"):  # what is not finite is found, and named, where it is used
            return _Reader(model, source).network()
    except NetworkError as error:
        raise type(error)(f"{source}: {_printable(str(error))}") from error
    except (DecodeError, *DAMAGE) as error:
        raise NetworkError(
            f"{source}: not an ONNX model, or a truncated one ({_printable(_line(error))})"
        ) from error


class _Reader:
    """One pass over one graph."""

    def __init__(self, model: Any, source: str) -> None:
        self.graph, self.source = model.graph, source
        self.opset = _opset(model)
        if not self.graph.node:
            raise NetworkError("its graph has no nodes; the file may be empty or truncated")
        if self.graph.sparse_initializer:
            raise NetworkError("sparse initializers; expected dense weights")
        if len(self.graph.output) != 1:
            raise NetworkError(f"{_several(self.graph.output)} outputs, expected exactly one")
        self.output = self.graph.output[0].name
        self.stored = {t.name: t for t in self.graph.initializer}
        self.tensors: dict[str, Tensor] = {}
        self.types = {name: int(t.data_type) for name, t in self.stored.items()}  # element types of all tensors

    def network(self) -> Network:
        """The network of the graph."""
        name, shape = self._input()
        self.builder = Builder(int(np.prod(shape)))
        self.tensors[name] = self.builder.value(0, shape)
        for node in needed_in_order(self.graph.node, self.output, {name, *self.stored}):
            self._read(node)
        out = self._tensor(self.output)
        if out is None:
            raise NetworkError(f"its output {self.output!r} is not computed by any node")
        if isinstance(out, Constant):
            raise NetworkError(f"its output {self.output!r} does not depend on its input {name!r}")
        self.builder.name = self.output
        self.builder.close(out)
        operators = Counter(node.op_type for node in self.graph.node)
        return Network(
            self.builder.sizes[0],
            tuple(self.builder.layers),
            shape,
            out.shape,
            name,
            self.output,
            self.source,
            dict(sorted(operators.items())),
            self.builder.unmodelled,
        )

    def _input(self) -> tuple[str, tuple[int, ...]]:
        inputs = [i for i in self.graph.input if i.name not in self.stored]
        if len(inputs) != 1:
            raise NetworkError(f"{_several(inputs)} inputs that are not weights, expected exactly one")
        name, tensor = inputs[0].name, inputs[0].type.tensor_type
        if tensor.elem_type not in FLOATS:
            raise NetworkError(
                f"its input {name!r} has element type {type_name(tensor.elem_type)}, "
                "expected float, double or float16"
            )
        self.types[name] = int(tensor.elem_type)
        dims = [d.dim_value for d in tensor.shape.dim]
        if any(n <= 0 for n in dims[1:]):
            raise NetworkError(
                f"its input {name!r} has shape {_shown(tensor)}; only the batch size may be unknown"
            )
        shape = tuple(n if n > 0 else 1 for n in dims)
        check_size(float(np.prod(shape, dtype=float)))
        return name, shape

    def _read(self, proto: Any) -> None:
        """Read one node: its outputs become tensors."""
        self.builder.name = proto.name or next(iter(proto.output), "")
        try:
            outputs = self._run(proto)
        except NetworkError as error:
            raise type(error)(f"node {title(proto)}: {error}") from error
        except DAMAGE as error:
            shapes = ", ".join(str(t.shape) for t in map(self.tensors.get, proto.input) if t is not None)
            raise NetworkError(
                f"node {title(proto)}: does not fit its inputs "
                f"(shapes {shapes or 'none'}): {_line(error)}"
            ) from error
        self.tensors.update((name, out) for name, out in zip(proto.output, outputs, strict=False) if name)

    def _run(self, proto: Any) -> list[Tensor]:
        inputs = tuple(self._tensor(name) if name else None for name in proto.input)
        for name, given in zip(proto.input, inputs, strict=True):
            if name and given is None:
                raise NetworkError(f"it reads {name!r}, which neither a node nor a weight provides")
        attributes = {a.name: _attribute(a, self.builder.name) for a in proto.attribute}
        kind = proto.op_type if proto.domain in ("", "ai.onnx") else f"{proto.domain}.{proto.op_type}"
        count = sum(1 for name in proto.output if name)
        types = tuple(self.types.get(name, 0) for name in proto.input)
        # constants of another type than the data: a mixture that some tools let pass, computed in the data's type
        data = [t for t, given in zip(types, inputs, strict=True) if not isinstance(given, Constant)]
        source, target = (data or [*types, 0])[0], result_type(kind, proto, [*data, *types])
        if kind == "Constant":
            outputs: list[Tensor] = [_constant_node(attributes)]
        else:
            outputs = run(Node(kind, attributes, inputs, count, self.opset, self.builder, types))
        for out in outputs:
            if isinstance(out, Constant):
                check_constant(out, target)
        self.types.update((name, target) for name in proto.output if name)
        if rounds := rounding(kind, source, target, outputs):
            where = f"node {self.builder.name!r} ({kind}) {rounds}, which is not modelled"
            self.builder.unmodelled = self.builder.unmodelled or where
        return outputs

    def _tensor(self, name: str) -> Tensor | None:
        """A tensor by its name; weights are read when they are first asked for."""
        if name not in self.tensors and name in self.stored:
            self.tensors[name] = _constant(self.stored[name], name, self.source)
        return self.tensors.get(name)


def _opset(model: Any) -> int:
    versions = [o.version for o in model.opset_import if o.domain in ("", "ai.onnx")]
    if not versions:
        raise NetworkError(
            "it names no ONNX operator set; the file may be truncated, or is not an ONNX model"
        )
    if max(versions) < OLDEST_OPSET:
        raise NetworkError(
            f"operator set {max(versions)}, expected {OLDEST_OPSET} or newer; convert the model"
        )
    return int(max(versions))


def _constant(tensor: Any, name: str, source: str) -> Constant:
    """A stored tensor; floats of every kind become float64, which is exact."""
    from onnx import numpy_helper

    try:
        if tensor.data_location == 1:
            array = numpy_helper.to_array(tensor, base_dir=str(Path(source).parent))
        else:
            array = numpy_helper.to_array(tensor)
    except (*DAMAGE, OSError) as error:
        raise NetworkError(f"tensor {name!r} cannot be read ({_line(error)})") from error
    except Exception as error:  # onnx's check of external data raises a class derived from Exception alone
        raise NetworkError(f"tensor {name!r}: its external data cannot be read ({_line(error)})") from error
    return _from_array(array, name)


def _from_array(array: Any, name: str) -> Constant:
    kind = array.dtype.kind
    if kind in "iu":
        if kind == "u" and array.size and int(array.max()) >= 2**63:
            raise NetworkError(f"tensor {name!r} holds integers beyond int64")
        return Constant(array.astype(np.int64), 0, name)
    if kind == "b":
        return Constant(array, 0, name)
    if kind == "f" or array.dtype.name == "bfloat16":
        return Constant(array.astype(np.float64), 0, name)
    raise NetworkError(
        f"tensor {name!r} has element type {array.dtype.name}, expected floats, integers or truth values"
    )


def _attribute(attribute: Any, name: str) -> Any:
    """An attribute as a Python value; tensors become constants."""
    from onnx import helper

    if attribute.type == 4:  # TENSOR
        return _constant(attribute.t, name, "")
    return helper.get_attribute_value(attribute)


def _constant_node(attributes: dict[str, Any]) -> Constant:
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


def _several(values: Any) -> str:
    names = ", ".join(v.name for v in values)
    return f"{len(values)} ({names})" if names else "no"


def _shown(tensor: Any) -> str:
    return "x".join(str(d.dim_value) if d.dim_value > 0 else d.dim_param or "?" for d in tensor.shape.dim)


def _printable(text: str) -> str:
    """One line, whatever bytes a damaged file has for names."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
