"""Valid models of every operator, changed at random, and what becomes of them: refused, or read as they run."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from typing import Any

import numpy as np
import onnxruntime as ort
from onnx import AttributeProto, ModelProto, TensorProto, numpy_helper
from onnx_models import random_graph
from operator_cases import CASES, build

from hypersplit.instances.errors import InputError
from hypersplit.instances.network import Layer
from hypersplit.instances.onnx.reader import network_from_bytes

LARGE = 1e9
CHANGED = 3  # models that are made of one
TYPES = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64, TensorProto.INT32, TensorProto.FLOAT16, 99)


def drawn(seed: int) -> tuple[bytes, np.random.Generator]:
    """The changed model of a seed, of operator after operator, and the generator that goes on."""
    rng = np.random.default_rng(seed)
    return mutated(_base(seed // CHANGED), rng), rng


@lru_cache(maxsize=1)
def _base(seed: int) -> ModelProto:
    """A random graph, or the case of an operator in one of its operator sets."""
    rng = np.random.default_rng(seed)
    if seed % 7 == 0:
        return random_graph(rng)
    case = CASES[seed % len(CASES)]
    return build(case, case.opsets[int(rng.integers(len(case.opsets)))], around=bool(rng.random() < 0.5))


def mutated(proto: ModelProto, rng: np.random.Generator) -> bytes:
    """The model with one to three changes: attributes, shapes, numbers, types, names, operators or bytes."""
    proto = ModelProto.FromString(proto.SerializeToString())
    for _ in range(int(rng.integers(1, 4))):
        with suppress(ValueError, KeyError):  # weights that an earlier change has made unreadable
            CHANGES[int(rng.integers(len(CHANGES)))](proto, rng)
    data = proto.SerializeToString()
    if rng.random() < 0.1:
        data = data[: int(rng.integers(len(data)))]
    elif rng.random() < 0.05:
        changed = bytearray(data)
        for _ in range(int(rng.integers(1, 5))):
            changed[int(rng.integers(len(changed)))] = int(rng.integers(256))
        data = bytes(changed)
    return data


def _attribute(proto: ModelProto, rng: np.random.Generator) -> None:
    found = [a for n in proto.graph.node for a in n.attribute]
    if not found:
        return
    a = found[int(rng.integers(len(found)))]
    if a.type == AttributeProto.INT:
        a.i = int(rng.integers(-3, 5))
    elif a.type == AttributeProto.FLOAT:
        a.f = float(rng.normal())
    elif a.type == AttributeProto.INTS and a.ints:
        a.ints[int(rng.integers(len(a.ints)))] = int(rng.integers(-2, 5))
    elif a.type == AttributeProto.STRING:
        a.s = bytes(rng.choice([b"", b"SAME_UPPER", b"linear", b"floor", b"asymmetric", b"add", b"x"]))
    if rng.random() < 0.2 and a.type == AttributeProto.INTS and a.ints:
        del a.ints[-1]


def _drop_attribute(proto: ModelProto, rng: np.random.Generator) -> None:
    nodes = [n for n in proto.graph.node if n.attribute]
    if nodes:
        node = nodes[int(rng.integers(len(nodes)))]
        del node.attribute[int(rng.integers(len(node.attribute)))]


def _number(proto: ModelProto, rng: np.random.Generator) -> None:
    if not proto.graph.initializer:
        return
    t = proto.graph.initializer[int(rng.integers(len(proto.graph.initializer)))]
    array = np.array(numpy_helper.to_array(t))
    if not array.size:
        return
    place = int(rng.integers(array.size))
    value: Any = rng.integers(-4, 5) if array.dtype.kind in "iu" else rng.choice([0.0, -1.5, 1e30, 1e-30, np.nan, 2.0])
    array.reshape(-1)[place] = value
    t.CopyFrom(numpy_helper.from_array(array, t.name))


def _shape(proto: ModelProto, rng: np.random.Generator) -> None:
    if rng.random() < 0.5 and proto.graph.initializer:
        dims = proto.graph.initializer[int(rng.integers(len(proto.graph.initializer)))].dims
        if dims:
            dims[int(rng.integers(len(dims)))] = int(rng.integers(0, 5))
        return
    axes = proto.graph.input[0].type.tensor_type.shape.dim
    if axes:
        axes[int(rng.integers(len(axes)))].dim_value = int(rng.integers(0, 7))


def _transposed(proto: ModelProto, rng: np.random.Generator) -> None:
    if proto.graph.initializer:
        t = proto.graph.initializer[int(rng.integers(len(proto.graph.initializer)))]
        t.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(numpy_helper.to_array(t).T), t.name))


def _type(proto: ModelProto, rng: np.random.Generator) -> None:
    kind = int(rng.choice(TYPES))
    if rng.random() < 0.5 and proto.graph.initializer:
        proto.graph.initializer[int(rng.integers(len(proto.graph.initializer)))].data_type = kind
    else:
        proto.graph.input[0].type.tensor_type.elem_type = kind


def _operator(proto: ModelProto, rng: np.random.Generator) -> None:
    node = proto.graph.node[int(rng.integers(len(proto.graph.node)))]
    node.op_type = CASES[int(rng.integers(len(CASES)))].kind


def _inputs(proto: ModelProto, rng: np.random.Generator) -> None:
    node = proto.graph.node[int(rng.integers(len(proto.graph.node)))]
    if rng.random() < 0.5 and node.input:
        del node.input[-1]
    elif len(node.input) > 1:
        node.input[0], node.input[1] = node.input[1], node.input[0]


def _opset(proto: ModelProto, rng: np.random.Generator) -> None:
    proto.opset_import[0].version = int(rng.integers(7, 22))


CHANGES = [
    _attribute, _attribute, _attribute, _drop_attribute, _number, _shape, _transposed, _type, _operator, _inputs,
    _opset,
]  # fmt: skip


def _numbers(layer: Layer) -> list[np.ndarray]:
    return [w if isinstance(w, np.ndarray) else w.data for w in layer.weights]


def outcome(data: bytes, rng: np.random.Generator) -> str:
    """What becomes of a model; raises AssertionError where the network is not the file's."""
    try:
        network = network_from_bytes(data)
    except InputError as error:
        assert "\n" not in str(error)
        return "refused"
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    x = rng.normal(size=network.input_size)
    (port,) = network.inputs
    dtype = {1: np.float32, 11: np.float64, 10: np.float16}.get(port.element, np.int64)
    x = x.astype(dtype)
    try:
        session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        expected = np.asarray(session.run(None, {port.name: x.reshape(network.input_shape)})[0], dtype=np.float64)
    except Exception:  # of onnxruntime's own kinds
        return "read alone"
    if network.unmodelled:
        return "rounds"
    if any(np.abs(a).max(initial=0.0) > LARGE for layer in network.layers for a in (layer.bias, *_numbers(layer))):
        return "not comparable"  # differences of such numbers lose all digits of what the other one computes
    assert np.prod(network.output_shape) == expected.size, (network.output_shape, expected.shape)
    actual = network.evaluate(x.astype(np.float64))
    if network.readout:
        actual = network.readout.of(actual[None])[0]
    size = max(1.0, float(np.abs(expected).max(initial=0.0)))
    error = float(np.abs(actual - expected.reshape(-1)).max(initial=0.0)) / size
    assert not np.isfinite(expected).all() or error < 1e-3, f"off by {error:.2e}"
    return "the same"
