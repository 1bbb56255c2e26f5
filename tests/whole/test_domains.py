"""Functions that are not defined everywhere: proofs inside their domains, and nothing but a reason where these end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import helper
from onnx_models import model

from hypersplit.bab.verify import verify
from hypersplit.encodings.linear.linear_bounds import bound
from hypersplit.encodings.linear.number_range import in_range, outside_domains
from hypersplit.instances.batch import root
from hypersplit.instances.network import Layer, Network
from hypersplit.instances.onnx.reader import network_from_bytes
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import queries

node = helper.make_node


def at_least(t: float, low: float, high: float, inputs: int = 1) -> Property:
    """Is some output at least t on the box?"""
    region = InputSet.box(np.full(inputs, low), np.full(inputs, high))
    return Property((Case(region, (Polyhedron(np.array([[-1.0]]), np.array([-t])),)),), inputs, 1)


@pytest.mark.parametrize(
    ("kind", "low", "most"),
    [("Sqrt", 0.25, 2.0), ("Log", 0.5, float(np.log(4.0))), ("Reciprocal", 0.5, 2.0), ("Reciprocal", -4.0, -0.25)],
)  # fmt: skip
def test_inside_a_domain_all_is_decided(kind: str, low: float, most: float) -> None:
    """On both sides of the largest value."""
    proto = model([node(kind, ["x"], ["y"])], [1, 1]).SerializeToString()
    high = 4.0 if low > 0.0 else -0.25
    assert verify(proto, at_least(most - 1e-3, low, high), timeout=60).verdict == "sat"
    assert verify(proto, at_least(most + 1e-3, low, high), timeout=60).verdict == "unsat"


@pytest.mark.parametrize(
    ("kind", "low", "said"),
    [("Sqrt", -1.0, "where nothing is known of sqrt"), ("Sqrt", 0.0, "z <= 2.07e-25"), ("Log", 0.0, "of log"),
     ("Reciprocal", -1.0, "-9.54e-07 <= z <= 9.54e-07")],
)  # fmt: skip
def test_at_the_edge_of_a_domain_nothing_is_proved(kind: str, low: float, said: str) -> None:
    """Not even what holds of every number that the function behind it gives; the reason names the neuron."""
    proto = model([node(kind, ["x"], ["h"], name="bent"), node("Tanh", ["h"], ["y"])], [1, 1]).SerializeToString()
    found = verify(proto, at_least(2.0, low, 1.0), timeout=60)
    assert found.verdict == "unknown" and "numerics" in found.reason
    assert "the interval of neuron 0 of 'bent' touches" in found.reason and said in found.reason


@pytest.mark.parametrize(
    "options",
    [{"method": "split"}, {"method": "milp"}, {"rule": "phases-lp"},
     *({"node_bounds": name, "closing": "always"} for name in ("linear", "slopes", "lp", "rows", "partial-milp"))],
)  # fmt: skip
def test_no_way_of_bounding_proves_anything_there(options: Any) -> None:
    """What lies behind a square root is not refuted where the root may have a negative argument."""
    rng = np.random.default_rng(0)
    shapes = {"W": (2, 4), "V": (4, 4), "U": (4, 1)}
    weights = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    nodes = [
        node("MatMul", ["x", "W"], ["a"]), node("Sqrt", ["a"], ["b"]), node("Tanh", ["b"], ["c"]),
        node("MatMul", ["c", "V"], ["d"]), node("Relu", ["d"], ["e"]), node("MatMul", ["e", "U"], ["y"]),
    ]  # fmt: skip
    proto = model(nodes, [1, 2], weights).SerializeToString()
    assert verify(proto, at_least(1000.0, -1.0, 1.0, 2), timeout=2, **options).verdict in ("unknown", "timeout")


def test_witnesses_are_found_beside_the_edge() -> None:
    """1 / x is large next to 0, and the file says so."""
    proto = model([node("Reciprocal", ["x"], ["y"])], [1, 1]).SerializeToString()
    found = verify(proto, at_least(50.0, -1.0, 1.0), timeout=60)
    assert found.verdict == "sat" and found.witness is not None and found.witness.output[0] >= 50.0


def test_splitting_leads_away_from_an_edge() -> None:
    """Intervals touch 0 on the whole box, x y + 1/2 does on none of its parts: what is proved is proved there."""
    nodes: list[Any] = [
        node("Slice", ["x"], ["a"], name="first"), node("Slice", ["x"], ["b"], name="second"),
        node("Mul", ["a", "b"], ["p"]), node("Add", ["p", "half"], ["q"]), node("Log", ["q"], ["y"]),
    ]  # fmt: skip
    nodes[0].input.extend(["zero", "one", "one"])
    nodes[1].input.extend(["one", "two", "one"])
    weights = {
        "zero": np.array([0]), "one": np.array([1]), "two": np.array([2]), "half": np.float32(0.5),
    }  # fmt: skip
    proto = model(nodes, [1, 2], weights).SerializeToString()
    assert verify(proto, at_least(float(np.log(0.75)) + 1e-2, -0.5, 0.5, 2), timeout=60).verdict == "unsat"
    assert verify(proto, at_least(float(np.log(0.75)) - 1e-2, -0.5, 0.5, 2), timeout=60).verdict == "sat"


def test_values_that_are_not_known_close_nothing() -> None:
    """Whatever is behind them, weights of 0 and flat functions too; neurons beside them keep their bounds."""
    bent = Layer((0,), (np.array([[1.0], [1.0]]),), np.array([0.0, 3.0]), "sqrt", "roots")
    flat = Layer((1,), (np.array([[1.0, 0.0], [0.0, 1.0]]),), np.zeros(2), "step:0.0", "steps")
    network = Network(1, (bent, flat, Layer((2,), (np.array([[0.0, 1.0]]),), np.zeros(1))))
    query = queries(network, at_least(2.0, -1.0, 1.0))[0]
    bounds = bound(query, root(query))
    assert np.isneginf(bounds.pre_lower[0, 0]) and np.isposinf(bounds.pre_upper[0, 0])
    assert 1.9 < bounds.pre_lower[0, 1] <= 2.0 and not bounds.infeasible.any()
    assert in_range(query)
    node_of = root(query).node(0)
    node_of.pre_lower[:], node_of.pre_upper[:] = bounds.pre_lower[0], bounds.pre_upper[0]
    assert "neuron 0 of 'roots'" in outside_domains(query, node_of)


def test_a_step_that_would_be_certain_is_not_beside_a_gap() -> None:
    """sqrt(x) < 0 is true of no number and of no value that the function has: still nothing is said of x < 0."""
    proto = model(
        [node("Sqrt", ["x"], ["h"]), node("Less", ["h", "zero"], ["c"]), node("Cast", ["c"], ["y"], to=1)], [1, 1],
        {"zero": np.float32(0.0)},
    ).SerializeToString()
    assert network_from_bytes(proto).layers[1].kind == "step:0.0"
    assert verify(proto, at_least(0.5, -1.0, -0.5), timeout=10).verdict in ("unknown", "timeout")
    assert verify(proto, at_least(0.5, 0.5, 1.0), timeout=30).verdict == "unsat"
