"""Verdicts on tiny networks around curves and products, held against dense grids and the file itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx_models import model, normal

from hypersplit.bab.verify import verify
from hypersplit.instances.errors import UnsupportedOperatorError
from hypersplit.instances.judges.exact_evaluation import enclose
from hypersplit.instances.judges.replay import Replay
from hypersplit.instances.onnx.reader import network_from_bytes, read_network
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property

node = helper.make_node
SQUARED = [node("Mul", ["z", "z"], ["q"]), node("Add", ["q", "half"], ["p"])]  # at least a half
FORMS: dict[str, list[Any]] = {
    "Elu": [node("Elu", ["z"], ["o"], alpha=1.5)], "Selu": [node("Selu", ["z"], ["o"])],
    "Softplus": [node("Softplus", ["z"], ["o"])], "Softsign": [node("Softsign", ["z"], ["o"])],
    "Atan": [node("Atan", ["z"], ["o"])], "Exp": [node("Exp", ["z"], ["o"])],
    "HardSwish": [node("HardSwish", ["z"], ["o"])], "Pow": [node("Pow", ["z", "three"], ["o"])],
    "square": [node("Mul", ["z", "z"], ["o"])],
    "swish": [node("Sigmoid", ["z"], ["s"]), node("Mul", ["z", "s"], ["o"])],
    "Erf": [node("Erf", ["z"], ["o"])], "Gelu": [node("Gelu", ["z"], ["o"])], "Mish": [node("Mish", ["z"], ["o"])],
    "Gelu by tanh": [node("Gelu", ["z"], ["o"], approximate="tanh")], "Sin": [node("Sin", ["z"], ["o"])],
    "Cos": [node("Cos", ["z"], ["o"])], "product": [node("Tanh", ["z"], ["t"]), node("Mul", ["z", "t"], ["o"])],
    **{kind: [*SQUARED, node(kind, ["p"], ["o"])] for kind in ("Sqrt", "Log", "Reciprocal")},
    "ReduceLogSum": [*SQUARED, node("ReduceLogSum", ["p"], ["l"]), node("Mul", ["p", "l"], ["o"])],
    "power": [*SQUARED, node("Pow", ["p", "exponent"], ["o"])],
    "one over": [*SQUARED, node("Div", ["three", "p"], ["o"])], "quotient": [*SQUARED, node("Div", ["z", "p"], ["o"])],
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_verdicts_are_those_of_a_grid(form: str, tmp_path: Path) -> None:
    """Beyond what lies between grid points `unsat`, just below the grid's largest value `sat`; values are enclosed."""
    rng = np.random.default_rng(len(form))
    weights = {"w": normal(rng, 2, 3), "b": normal(rng, 3), "v": normal(rng, 3, 1), "three": np.float32(3.0)}
    weights |= {"half": np.float32(0.5), "exponent": np.float32(-1.5)}
    nodes = [node("Gemm", ["x", "w", "b"], ["z"]), *FORMS[form], node("MatMul", ["o", "v"], ["y"])]
    onnx.save(model(nodes, [1, 2], weights, opset=20), tmp_path / "a.onnx")
    network, region = read_network(tmp_path / "a.onnx"), InputSet.box(-np.ones(2), np.ones(2))
    side = np.linspace(-1.0, 1.0, 201)
    points = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    values = network.evaluate(points)[:, 0]
    outputs = Replay(network).run(points[::37]).reshape(-1)
    assert np.allclose(outputs, values[::37], rtol=1e-4, atol=1e-5)
    for x, value in zip(points[::4001], values[::4001], strict=True):
        centre, radius = enclose(network, x)
        assert abs(centre[0] - value) <= radius[0] + 1e-12 < 1e-9
    slack = 0.02 * (1.0 + float(np.abs(values).max()))  # a grid's gap is 0.01, and the largest value lies next to it
    largest = float(values.max())
    for t, verdict in ((largest - slack, "sat"), (largest + slack, "unsat")):
        case = Case(region, (Polyhedron(np.array([[-1.0]]), np.array([-t])),))
        assert verify(tmp_path / "a.onnx", Property((case,), 2, 1), timeout=60).verdict == verdict, t


def test_a_rounded_exponent_is_refused() -> None:
    """10 times the double next to a fifth is 2 only as doubles round; 6 / 3 is 2."""
    weights = {"fifth": np.float64(0.2), "ten": np.float64(10.0), "six": np.float64(6.0), "three": np.float64(3.0)}

    def read(operator: str, *factors: str) -> None:
        nodes = [node(operator, [*factors], ["n"]), node("Pow", ["x", "n"], ["y"])]
        network_from_bytes(model(nodes, [1, 2], weights, dtype=onnx.TensorProto.DOUBLE).SerializeToString())

    read("Div", "six", "three")
    with pytest.raises(UnsupportedOperatorError, match="one exponent for all entries"):
        read("Mul", "fifth", "ten")


@pytest.mark.parametrize("alpha", [1.0, 1.702, -0.5])
def test_swish_is_the_number_times_its_logistic_function(alpha: float) -> None:
    """Of alpha times the number, as operator set 24 has it, for both signs of alpha."""
    made = model([node("Swish", ["x"], ["y"], alpha=alpha)], [1, 5], opset=24)
    network = network_from_bytes(made.SerializeToString())
    x, held = np.linspace(-4.0, 4.0, 5), float(np.float32(alpha))
    assert np.allclose(network.evaluate(x), x / (1.0 + np.exp(-held * x)), rtol=1e-14, atol=1e-15)
    assert [layer.kind for layer in network.layers if layer.kind != "identity"] == ["silu"]


def test_gelu_by_tanh_in_double_is_only_attacked() -> None:
    """Its constants are those of float32 there, and values are not the formula's: nothing is proved of them."""
    gelu = node("Gelu", ["x"], ["y"], approximate="tanh")
    proto = model([gelu], [1, 1], opset=20, dtype=onnx.TensorProto.DOUBLE).SerializeToString()
    for least, verdict in ((1.0, "sat"), (2.0, "unknown")):
        case = Case(InputSet.box(-np.ones(1), np.full(1, 1.9)), (Polyhedron(-np.eye(1), np.full(1, -least)),))
        found = verify(proto, Property((case,), 1, 1), timeout=60)
        assert found.verdict == verdict, found


def test_hardswish_in_double_proves_nothing() -> None:
    """It is defined by a HardSigmoid whose attribute is the float32 next to 1 / 6."""
    for dtype, modelled in ((onnx.TensorProto.DOUBLE, False), (onnx.TensorProto.FLOAT, True)):
        proto = model([node("HardSwish", ["x"], ["y"])], [1, 1], opset=18, dtype=dtype)
        assert (network_from_bytes(proto.SerializeToString()).unmodelled == "") is modelled
