"""Products that are one curve, however exporters write them, and those that are squares."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx_models import assert_agree, model, normal, whole

from hypersplit.encodings.linear.linear_bounds import bound
from hypersplit.instances.batch import root
from hypersplit.instances.expressions.affine import Builder
from hypersplit.instances.nonlinear.gates import softsign
from hypersplit.instances.onnx.reader import network_from_bytes
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import queries

node = helper.make_node
NUMBERS = {
    "one": np.float32(1.0), "two": np.float32(2.0), "half": np.float32(0.5), "third": np.float32(1.0 / 3.0),
    "root": np.float32(np.sqrt(2.0)), "inverse": np.float32(np.sqrt(0.5)), "fast": np.float32(1.702),
    "zero": np.float32(0.0), "cube": np.float32(0.044715), "scale": np.float32(0.7978845608), "three": np.float32(3.0),
}  # fmt: skip
ERF = [node("Div", ["z", "root"], ["d"]), node("Erf", ["d"], ["e"]), node("Add", ["e", "one"], ["g"])]
TANH = [
    node("Add", ["z", "a"], ["c"]), node("Mul", ["c", "scale"], ["t"]), node("Tanh", ["t"], ["e"]),
    node("Add", ["e", "one"], ["g"]),
]
FORMS: dict[str, tuple[str, list[Any]]] = {
    "gelu, halved last": ("gelu:1.0", [*ERF, node("Mul", ["z", "g"], ["p"]), node("Mul", ["p", "half"], ["o"])]),
    "gelu, halved first": ("gelu:1.0", [*ERF, node("Mul", ["z", "half"], ["p"]), node("Mul", ["p", "g"], ["o"])]),
    "gelu, halved gate": ("gelu:1.0", [*ERF, node("Mul", ["half", "g"], ["p"]), node("Mul", ["p", "z"], ["o"])]),
    "gelu, sum of halves": ("gelu:1.0", [
        node("Mul", ["inverse", "z"], ["d"]), node("Erf", ["d"], ["e"]), node("Mul", ["e", "half"], ["f"]),
        node("Add", ["half", "f"], ["g"]), node("Mul", ["z", "g"], ["o"]),
    ]),
    "silu": ("silu", [node("Sigmoid", ["z"], ["s"]), node("Mul", ["s", "z"], ["o"])]),
    "fast gelu": ("silu", [
        node("Mul", ["z", "fast"], ["d"]), node("Sigmoid", ["d"], ["s"]), node("Mul", ["z", "s"], ["o"]),
    ]),
    "turned silu": ("silu", [
        node("Neg", ["z"], ["d"]), node("Sigmoid", ["d"], ["s"]), node("Div", ["z", "two"], ["h"]),
        node("Mul", ["h", "s"], ["o"]),
    ]),
    "mish": ("mish", [
        node("Softplus", ["z"], ["s"]), node("Tanh", ["s"], ["t"]), node("Mul", ["z", "t"], ["o"]),
    ]),
    "cubic gate": ("gelu_tanh", [
        node("Mul", ["z", "z"], ["q"]), node("Mul", ["q", "z"], ["u"]), node("Mul", ["u", "cube"], ["a"]),
        *TANH, node("Mul", ["half", "z"], ["h"]), node("Mul", ["h", "g"], ["o"]),
    ]),
    "cubic gate, by a power": ("gelu_tanh", [
        node("Pow", ["z", "three"], ["u"]), node("Mul", ["cube", "u"], ["a"]), *TANH,
        node("Mul", ["z", "g"], ["h"]), node("Mul", ["h", "half"], ["o"]),
    ]),
    "cubic gate, factored": ("gelu_tanh", [
        node("Mul", ["z", "cube"], ["q"]), node("Mul", ["q", "z"], ["u"]), node("Add", ["one", "u"], ["c"]),
        node("Mul", ["z", "scale"], ["a"]), node("Mul", ["a", "c"], ["t"]), node("Tanh", ["t"], ["e"]),
        node("Add", ["e", "one"], ["g"]), node("Mul", ["half", "z"], ["h"]), node("Mul", ["h", "g"], ["o"]),
    ]),
    "softsign": ("softsign", [
        node("Abs", ["z"], ["a"]), node("Add", ["a", "one"], ["c"]), node("Div", ["z", "c"], ["o"]),
    ]),
    "logsigmoid": ("softplus", [node("Sigmoid", ["z"], ["s"]), node("Log", ["s"], ["o"])]),
    "third power": ("power:3", [node("Mul", ["z", "z"], ["q"]), node("Mul", ["q", "z"], ["o"])]),
    "polynomial": ("power:2", [node("Sub", ["one", "z"], ["q"]), node("Mul", ["q", "z"], ["o"])]),
    "chosen": ("relu", [
        node("Greater", ["z", "zero"], ["c"]), node("Cast", ["c"], ["s"], to=onnx.TensorProto.FLOAT),
        node("Mul", ["z", "s"], ["o"]),
    ]),
}  # fmt: skip
SQUARES: dict[str, list[Any]] = {  # nearly the forms above, and none of them
    "another number added": [
        node("Erf", ["z"], ["e"]), node("Add", ["e", "half"], ["g"]), node("Mul", ["z", "g"], ["o"]),
    ],
    "gate of another number": [
        node("Add", ["z", "one"], ["d"]), node("Sigmoid", ["d"], ["s"]), node("Mul", ["z", "s"], ["o"]),
    ],
    "other entries": [
        node("Mul", ["z", "w2"], ["d"]), node("Sigmoid", ["d"], ["s"]), node("Mul", ["z", "s"], ["o"]),
    ],
    "entries in another order": [
        node("Gather", ["z", "order"], ["u"], axis=1), node("Sigmoid", ["z"], ["s"]), node("Mul", ["u", "s"], ["o"]),
    ],
    "softsign of another number": [
        node("Abs", ["z"], ["a"]), node("Add", ["a", "two"], ["c"]), node("Div", ["z", "c"], ["o"]),
    ],
    "softsign of other entries": [
        node("Gather", ["z", "order"], ["u"], axis=1), node("Abs", ["z"], ["a"]), node("Add", ["a", "one"], ["c"]),
        node("Div", ["u", "c"], ["o"]),
    ],
    "a gate of another scale": [
        node("Pow", ["z", "three"], ["u"]), node("Mul", ["third", "u"], ["a"]), *TANH, node("Mul", ["z", "g"], ["o"]),
    ],
    "a cube of other entries": [
        node("Gather", ["z", "order"], ["v0"], axis=1), node("Pow", ["v0", "three"], ["u"]),
        node("Mul", ["cube", "u"], ["a"]), *TANH, node("Mul", ["z", "g"], ["o"]),
    ],
    "mish times its own argument": [
        node("Softplus", ["z"], ["s"]), node("Tanh", ["s"], ["t"]), node("Mul", ["z", "t"], ["m"]),
        node("Mul", ["m", "z"], ["o"]),
    ],
    "one more sigmoid": [
        node("Sigmoid", ["z"], ["r"]), node("Sigmoid", ["r"], ["s"]), node("Mul", ["z", "s"], ["o"]),
    ],
}  # fmt: skip


def built(form: list[Any], opset: int = 14) -> onnx.ModelProto:
    """A layer of three neurons, the form, and a sum with weights."""
    rng = np.random.default_rng(len(form))
    weights = {"w": normal(rng, 2, 3), "b": normal(rng, 3), "v": normal(rng, 3, 1), **NUMBERS}
    weights |= {"w2": normal(rng, 3), "order": whole(2, 0, 1)}
    nodes = [node("Gemm", ["x", "w", "b"], ["z"]), *form, node("MatMul", ["o", "v"], ["y"])]
    return model(nodes, [1, 2], weights, opset=opset)


@pytest.mark.parametrize("form", FORMS)
def test_a_number_times_its_gate_is_one_curve(form: str) -> None:
    """One layer of it and nothing else that bends, with the values that onnxruntime gives."""
    kind, nodes = FORMS[form]
    network = assert_agree(built(nodes))
    assert [_family(layer.kind, kind) for layer in network.layers if layer.kind != "identity"] == [kind]


def _family(kind: str, like: str) -> str:
    """A kind without its parameters where another one has none."""
    return kind if ":" in like else kind.partition(":")[0]


@pytest.mark.parametrize("form", SQUARES)
def test_what_only_looks_like_it_is_not(form: str) -> None:
    """Another sum, other factors, other entries: read as squares, with the same values."""
    network = assert_agree(built(SQUARES[form]))
    assert "power:2" in {layer.kind for layer in network.layers}


@pytest.mark.parametrize(("epsilon", "bent"), [(1e-3, ["power:-0.5"]), (1e-12, ["sqrt", "reciprocal"])])
def test_a_reciprocal_root_is_one_curve_where_it_is_defined(epsilon: float, bent: list[str]) -> None:
    """By Div and by Reciprocal: of x^2 + 1e-3 as a power; of x^2 + 1e-12, where that is too steep, in two steps."""
    for last in ([node("Reciprocal", ["r"], ["y"])], [node("Div", ["one", "r"], ["y"])]):
        nodes = [node("Mul", ["x", "x"], ["q"]), node("Add", ["q", "e"], ["v"]), node("Sqrt", ["v"], ["r"]), *last]
        network = assert_agree(model(nodes, [1, 2], {"e": np.float32(epsilon), "one": np.float32(1.0)}))
        assert [layer.kind for layer in network.layers if layer.kind != "identity"] == ["power:2", *bent]


def test_one_curve_is_bounded_more_tightly_than_a_product() -> None:
    """Of z sigmoid(z) on [-1, 1] the bound is the curve's own; that of squares is below it."""
    least = []
    for argument in ("x", "moved"):  # a shift by 0 through other weights hides that it is the same number
        gate = [node("Sigmoid", [argument], ["s"]), node("Mul", ["x", "s"], ["y"])]
        made = model([node("MatMul", ["x", "eye"], ["moved"]), *gate], [1, 1], {"eye": np.eye(1, dtype=np.float32)})
        network = network_from_bytes(made.SerializeToString())
        case = Case(InputSet.box(-np.ones(1), np.ones(1)), (Polyhedron(np.eye(1), np.zeros(1)),))
        query = queries(network, Property((case,), 1, 1))[0]
        least.append(float(bound(query, root(query)).margins[0, 0]))
    assert least[1] < least[0] <= -0.2689


def test_the_gelu_of_a_file_has_the_files_own_divisor() -> None:
    """The float32 next to the root of two is not that root: values are those of the former, to the last digits."""
    network = network_from_bytes(built(FORMS["gelu, halved last"][1]).SerializeToString())
    x = np.random.default_rng(0).normal(size=(50, 2))
    stored = built(FORMS["gelu, halved last"][1]).graph.initializer
    weights = {t.name: numpy_helper.to_array(t).astype(np.float64) for t in stored}
    z = x @ weights["w"] + weights["b"]
    gate = np.vectorize(math.erf)(z / weights["root"])
    assert np.allclose(network.evaluate(x), (0.5 * z * (1.0 + gate)) @ weights["v"], rtol=1e-13, atol=1e-13)


def test_a_rounded_multiple_is_no_absolute_value() -> None:
    """2 relu(z) - x is |x| where z is x and 2 is 2, and not where one of them is so up to roundings."""
    for of_argument, of_two in ((0, 0), (1, 0), (0, 1)):
        build = Builder(2)
        x = build.value(0, (2,))
        twice = build.scale(build.layer(build.scale(x, 1.0, of_argument), "relu"), 2.0, of_two)
        below = build.shift(build.subtract(twice, x), 1.0)
        assert (softsign(build, x, below) is not None) is (of_argument + of_two == 0)
