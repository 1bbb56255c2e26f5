"""ONNX files as networks: walk the graph once, every tensor a constant or an affine expression over layers.

An unknown batch size becomes 1. Several inputs, and several outputs, count one after another as the file declares them,
each flat. Only nodes that the outputs depend on are read, in a topological order; functions of the model's own are
written out before, and of an If with a constant condition one branch is read. What cannot be represented is refused
with its node and what is supported, all missing operators at once; a file that is not a sound model (truncated, NaN
weights, shapes that do not fit, nodes in a circle) with its node or tensor and what was expected.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from collections.abc import Sequence as Listed
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import NetworkError, UnsupportedOperatorError
from ..expressions.affine import Builder, Expression
from ..expressions.element_types import check_constant, result_type, rounding
from ..expressions.node import Constant, Node, Sequence, Value, Withheld
from ..files import foreign, read_model_bytes
from ..network import Network, Port
from ..operators.softmax import NotLast, readout_of
from ..operators.table import run
from .messages import model_class
from .missing import check_operators, kind_of
from .one_type import without_functions
from .order import needed_in_order, title
from .ports import chosen_inputs, chosen_outputs
from .stored import DAMAGE, attribute, constant, constant_node, line, sparse_constant
from .twins import without_twins
from .unread import without_unread

__all__ = ["network_from_bytes", "read_network"]

OLDEST_OPSET = 7  # before, Add and others broadcast by attributes


def read_network(
    path: str | os.PathLike[str], inputs: Listed[str] = (), outputs: Listed[str] = (), *, probabilities: bool = False
) -> Network:
    """Read an ONNX file, or `path`.gz where only that exists.

    The network is the file's real-valued one, up to the roundings that its layers declare.
    inputs, outputs: names of those that count, all where none is named. The outputs must not depend on other inputs.
    probabilities: a softmax at the end is computed, too, and not read as the logits, whose order is its own.

    Raises InputError where there is no such file, NetworkError where it is not a sound model of floats or has no input
    or output of such a name, UnsupportedOperatorError for operators outside OPERATORS.
    """
    return network_from_bytes(read_model_bytes(Path(path)), str(path), inputs, outputs, probabilities=probabilities)


def network_from_bytes(
    data: bytes,
    source: str = "model",
    inputs: Listed[str] = (),
    outputs: Listed[str] = (),
    *,
    probabilities: bool = False,
) -> Network:
    """The network of an ONNX model in memory; `source` names it in messages. Raises as `read_network`."""
    from google.protobuf.message import DecodeError

    try:
        with np.errstate(all="ignore"):  # what is not finite is found, and named, where it is used
            model = without_functions(model_class().FromString(data))
            return without_twins(_network(model, source, inputs, outputs, probabilities))
    except NetworkError as error:
        raise type(error)(f"{source}: {_printable(str(error))}") from error
    except (DecodeError, *DAMAGE) as error:
        what = foreign(data) or f"or a truncated one ({_printable(line(error))})"
        raise NetworkError(f"{source}: not an ONNX model, {what}") from error


def _network(model: Any, source: str, inputs: Listed[str], outputs: Listed[str], probabilities: bool) -> Network:
    """The network of a model; what is found to be no last softmax is computed in a pass of its own."""
    inside = frozenset(_names(model.graph) if probabilities else ())
    while True:
        try:
            return _Reader(model, source, inside).network(inputs, outputs)
        except NotLast as found:
            inside |= found.nodes


class _Reader:
    """One pass over one graph."""

    def __init__(self, model: Any, source: str, inside: frozenset[str]) -> None:
        self.graph, self.source, self.inside = model.graph, source, inside
        self.opset = _opset(model)
        if not self.graph.node:
            raise NetworkError("its graph has no nodes; the file may be empty or truncated")
        self.stored: dict[str, Any] = {}
        self.tensors: dict[str, Value] = {}
        self.types: dict[str, int] = {}  # element types of all tensors
        self.left_out: set[str] = set()  # inputs that do not count
        self._store(self.graph)

    def _store(self, graph: Any) -> None:
        """Take in what a graph stores."""
        for tensor in (*graph.initializer, *graph.sparse_initializer):
            values = tensor.values if hasattr(tensor, "values") else tensor
            self.stored[values.name], self.types[values.name] = tensor, int(values.data_type)
            self.tensors.pop(values.name, None)

    def network(self, inputs: Listed[str], outputs: Listed[str]) -> Network:
        """The network of the graph."""
        ports, others = chosen_inputs(self.graph, self.stored, inputs)
        names = chosen_outputs(self.graph, outputs)
        self._take(ports)
        given = {p.name for p in (*ports, *others)} | set(self.stored)
        nodes = needed_in_order(self.graph.node, names, given)
        check_operators(nodes, {p.name for p in (*ports, *others)})
        self.left_out = {p.name for p in others}
        for node in nodes:
            self._read(node)
        return self._finished(self._outputs(names, ports), ports)

    def _take(self, ports: Listed[Port]) -> None:
        """The inputs as parts of x_0."""
        self.builder = Builder(sum(p.size for p in ports), self.inside)
        whole, start = self.builder.value(0, (self.builder.sizes[0],)), 0
        for port in ports:
            self.tensors[port.name] = self.builder.pick(whole, np.arange(start, start + port.size).reshape(port.shape))
            self.types[port.name] = port.element
            start += port.size

    def _outputs(self, names: Listed[str], ports: Listed[Port]) -> list[tuple[str, Expression]]:
        found = []
        for name in names:
            out = self._tensor(name)
            if out is None:
                raise NetworkError(f"its output {name!r} is not computed by any node")
            if isinstance(out, Withheld):
                raise UnsupportedOperatorError(f"its output {name!r} is {out.why}; choose others with --output NAME")
            if isinstance(out, Sequence):
                raise UnsupportedOperatorError(f"its output {name!r} is a sequence; supported are tensors")
            constant = Node("", {}, (out,), 1, self.opset, self.builder)
            found.append((name, constant.expression(0)))
        if not any(e.terms for _, e in found):
            raise NetworkError(
                f"its output {', '.join(map(repr, names))} does not depend on its input "
                f"{', '.join(repr(p.name) for p in ports)}"
            )
        return found

    def _finished(self, outputs: list[tuple[str, Expression]], ports: Listed[Port]) -> Network:
        """The network, with the outputs one after another as its last layer."""
        self.builder.name = outputs[0][0]
        out = outputs[0][1] if len(outputs) == 1 else self.builder.stack([e for _, e in outputs])
        readout = readout_of(self.builder, out)
        self.builder.close(out)
        size = self.builder.sizes[0]
        return Network(
            size,
            without_unread(self.builder.layers),
            ports[0].shape if len(ports) == 1 else (size,),
            out.shape,
            ", ".join(p.name for p in ports),
            ", ".join(name for name, _ in outputs),
            self.source,
            dict(sorted(Counter(node.op_type for node in self.graph.node).items())),
            self.builder.unmodelled,
            tuple(ports),
            tuple(Port(name, e.shape, self.types.get(name, 0)) for name, e in outputs),
            readout,
        )

    def _read(self, proto: Any) -> None:
        """Read one node: its outputs become tensors."""
        self.builder.name = _name(proto)
        try:
            outputs = self._branch(proto) if proto.op_type == "If" else self._run(proto)
        except NetworkError as error:
            raise type(error)(f"node {title(proto)}: {error}") from error
        except DAMAGE as error:
            shapes = ", ".join(str(t.shape) for t in map(self.tensors.get, proto.input) if t is not None)
            raise NetworkError(
                f"node {title(proto)}: does not fit its inputs "
                f"(shapes {shapes or 'none'}): {line(error)}"
            ) from error
        self.tensors.update((name, out) for name, out in zip(proto.output, outputs, strict=False) if name)

    def _inputs(self, proto: Any) -> tuple[Value | None, ...]:
        inputs = tuple(self._tensor(name) if name else None for name in proto.input)
        for name, given in zip(proto.input, inputs, strict=True):
            if name and given is None and name in self.left_out:
                raise NetworkError(f"it reads the input {name!r}, which is not among those that were chosen")
            if name and given is None:
                raise NetworkError(f"it reads {name!r}, which neither a node nor a weight provides")
        return inputs

    def _run(self, proto: Any) -> list[Value]:
        inputs = self._inputs(proto)
        attributes = {a.name: attribute(a, self.builder.name) for a in proto.attribute}
        kind, count = kind_of(proto), sum(1 for name in proto.output if name)
        types = tuple(self.types.get(name, 0) for name in proto.input)
        # constants of another type than the data: a mixture that some tools let pass, computed in the data's type
        data = [t for t, given in zip(types, inputs, strict=True) if not isinstance(given, Constant)]
        source, target = (data or [*types, 0])[0], result_type(kind, proto, types, data)
        if kind == "Constant":
            outputs: list[Value] = [constant_node(attributes)]
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

    def _branch(self, proto: Any) -> list[Value]:
        """The branch of an If that its condition takes."""
        (condition,) = self._inputs(proto)
        if not isinstance(condition, Constant) or condition.array.size != 1 or condition.roundings:
            raise UnsupportedOperatorError("its condition depends on the network's input; supported are constant ones")
        wanted = "then_branch" if bool(condition.array.reshape(-1)[0]) else "else_branch"
        graph = next((a.g for a in proto.attribute if a.name == wanted), None)
        if graph is None:
            raise NetworkError(f"its {wanted} is missing")
        self._store(graph)
        names = [o.name for o in graph.output]
        nodes = needed_in_order(graph.node, names)
        check_operators(nodes, {n for n, t in self.tensors.items() if not isinstance(t, Constant)})
        own = self.builder.name
        for node in nodes:
            self._read(node)
        self.builder.name = own
        found = [self._tensor(name) for name in names]
        if None in found:
            raise NetworkError(f"an output of its {wanted} is not computed by any node")
        self.types.update(zip(proto.output, (self.types.get(name, 0) for name in names), strict=False))
        return [out for out in found if out is not None]

    def _tensor(self, name: str) -> Value | None:
        """A tensor by its name; weights are read when they are first asked for."""
        if name not in self.tensors and name in self.stored:
            tensor = self.stored[name]
            sparse = hasattr(tensor, "values")
            self.tensors[name] = (
                sparse_constant(tensor, self.source) if sparse else constant(tensor, name, self.source)
            )
        return self.tensors.get(name)


def _names(graph: Any) -> Iterator[str]:
    """Of all nodes, those of branches among them."""
    for node in graph.node:
        yield _name(node)
        for part in node.attribute:
            if part.HasField("g"):
                yield from _names(part.g)


def _name(proto: Any) -> str:
    return str(proto.name or next(iter(proto.output), ""))


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


def _printable(text: str) -> str:
    """One line, whatever bytes a damaged file has for names."""
    return "".join(c if c.isprintable() else "?" for c in text)
