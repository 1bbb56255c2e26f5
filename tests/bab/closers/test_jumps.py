"""Parts of an input set that end exactly at a jump: what the value at the jump itself decides."""

from __future__ import annotations

import math

import numpy as np
import pytest

import hypersplit
from hypersplit.bab.closers.exact_closing import ROUNDING, decide_exactly
from hypersplit.bab.closers.exact_step import ExactStep
from hypersplit.bab.closers.jumps import at_jumps, decides_jumps
from hypersplit.bab.tree.evidence import Evidence, State
from hypersplit.encodings.linear.linear_bounds import bound
from hypersplit.instances.batch import root
from hypersplit.instances.network import Array, Layer, Network, sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

KINDS = ("step:0.0", "step:0.5", "step:1.0", "threshold:1.0", "shrink:1.0:0.5", "floor", "round")


def question(kind: str, low: list[float], high: list[float], rows: Array, limits: Array) -> tuple[Network, Property]:
    """y = f(x_1 + ... + x_n) on a box, forbidden where rows y <= limits."""
    layers = (
        Layer((0,), (np.ones((1, len(low))),), np.zeros(1), kind), Layer((1,), (np.ones((1, 1)),), np.zeros(1)),
    )  # fmt: skip
    case = Case(InputSet.box(np.array(low), np.array(high)), (Polyhedron(rows, limits),))
    return Network(len(low), layers), Property((case,), len(low), 1)


@pytest.mark.parametrize(
    ("kind", "low", "high", "least", "most", "verdict"),
    [
        ("step:1.0", [0.0], [1.0], -1.0, 0.5, "unsat"),  # 1 at the jump, and above it
        ("step:0.0", [0.0], [1.0], -1.0, 0.5, "sat"),
        ("step:0.0", [-1.0], [0.0], 0.5, 2.0, "unsat"),  # 0 at the jump, and below it
        ("step:1.0", [-1.0], [0.0], 0.5, 2.0, "sat"),
        ("step:0.5", [0.0], [1.0], 0.6, 0.9, "unsat"),  # between the values that it has
        ("step:0.5", [-1.0], [1.0], 0.6, 0.9, "unsat"),  # the jump inside
        ("floor", [1.0], [1.75], -1.0, 0.5, "unsat"),
        ("floor", [0.25], [1.0], 0.5, 2.0, "sat"),
        ("round", [0.5], [1.25], 1.25, 3.0, "unsat"),  # 0 at 1/2, the even neighbour
        ("round", [1.5], [2.25], 0.5, 1.5, "unsat"),
        ("threshold:1.0", [0.0], [1.0], 0.5, 2.0, "unsat"),
        ("step:1.0", [0.0, 0.0], [1.0, 1.0], -1.0, 0.5, "unsat"),
        ("step:1.0", [0.0, 0.0, 0.0], [1.0, 1.0, 1.0], -1.0, 0.5, "unsat"),
    ],
)
def test_the_value_at_the_jump_decides(
    kind: str, low: list[float], high: list[float], least: float, most: float, verdict: str
) -> None:
    """Forbidden are outputs from `least` to `most`; halving the box alone would never end."""
    network, prop = question(kind, low, high, np.array([[1.0], [-1.0]]), np.array([most, -least]))
    result = hypersplit.verify(network, prop, timeout=600.0, jobs=1, nodes=3000)
    assert result.verdict == verdict, result.reason


def jumping(seed: int) -> Query:
    """A network of two layers that jump, with small whole weights, on a box whose ends are where they do."""
    rng = np.random.default_rng(seed)
    kinds = rng.choice(KINDS, 2)
    weights = [rng.integers(-2, 3, shape).astype(float) for shape in ((3, 2), (2, 3), (1, 2))]
    biases = [rng.integers(-1, 2, n) / 2.0 for n in (3, 2, 1)]
    plain = zip(sequential(weights, biases).layers, [*kinds, "identity"], strict=True)
    layers = [Layer(layer.sources, layer.weights, layer.bias, kind) for layer, kind in plain]
    low = rng.integers(-2, 1, 2) / 2.0
    box = InputSet.box(low, low + rng.integers(1, 4, 2) / 2.0)
    threshold = float(rng.integers(-4, 3)) + rng.choice([0.0, 0.25])
    case = Case(box, (Polyhedron(np.ones((1, 1)), np.array([threshold])),))
    return queries(Network(2, tuple(layers)), Property((case,), 2, 1))[0]


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_exact_arithmetic_agrees_with_every_point_of_a_grid(first: int) -> None:
    """Closed: no eighth of the box is a counterexample, jumps included; a point: it is one by the network itself."""
    closed = 0
    for seed in range(first, first + 50):
        query = jumping(seed)
        batch = root(query)
        known = bound(query, batch)
        batch.pre_lower, batch.pre_upper = known.pre_lower, known.pre_upper
        assert decides_jumps(query)
        outcome = decide_exactly(query, batch.node(0), 0, math.inf)
        ends = zip(query.region.lower, query.region.upper, strict=True)
        axes = [np.arange(a, b + 0.0625, 0.125) for a, b in ends]
        grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
        worst = query.per_disjunct(query.network.evaluate(grid))[:, 0]
        if outcome.status == "closed":
            closed += 1
            assert (worst > 0.0).all(), f"seed {seed}"
        else:
            assert outcome.status == "point" and outcome.point is not None, f"seed {seed}: {outcome}"
            point = np.array([[float(x) for x in outcome.point]])
            assert all(float(x) == x for x in outcome.point), f"seed {seed}"
            assert query.per_disjunct(query.network.evaluate(point))[0, 0] <= 0.0, f"seed {seed}"
    assert 5 <= closed <= 45


def test_neurons_at_a_jump_are_told_by_their_bounds() -> None:
    """Inside, at either end, and not beside it."""
    network, prop = question("step:0.5", [-1.0], [1.0], np.ones((1, 1)), np.zeros(1))
    batch = root(queries(network, prop)[0])[np.zeros(4, dtype=np.intp)]
    batch.pre_lower = np.array([[-1.0], [0.0], [-1.0], [1e-9]])
    batch.pre_upper = np.array([[1.0], [1.0], [0.0], [1.0]])
    assert at_jumps(queries(network, prop)[0], batch)[:, 0].tolist() == [True, True, True, False]


def sum_of_steps(first: Array, second: Array, bias: float) -> Query:
    """step_0(first x - bias) + step_1(second x + bias) <= 1/2 on a box that the line x_1 + x_2 = 1 goes through."""
    layers = (
        Layer((0,), (first[None],), np.array([-bias]), "step:0.0"),
        Layer((0,), (second[None],), np.array([bias]), "step:1.0"),
        Layer((1, 2), (np.ones((1, 1)), np.ones((1, 1))), np.zeros(1)),
    )  # fmt: skip
    case = Case(InputSet.box(np.full(2, 0.2), np.full(2, 0.9)), (Polyhedron(np.ones((1, 1)), np.array([0.5])),))
    return queries(Network(2, layers), Property((case,), 2, 1))[0]


@pytest.mark.parametrize(
    ("row", "bias", "closed"),
    [((1.0, 1.0), 1.0, False), ((1.0, 0.0), 0.5, True), ((2.0, 0.0), 0.75, True), ((3.0, 0.0), 1.5, False)],
)
def test_nothing_is_closed_where_rounding_decides(row: tuple[float, float], bias: float, closed: bool) -> None:
    """Both steps cannot be 0 in real numbers; in float32 they can where x_1 + x_2 rounds to 1, but no sign of x_1."""
    query = sum_of_steps(np.array(row), -np.array(row), bias)
    batch = root(query)
    known = bound(query, batch)
    batch.pre_lower, batch.pre_upper = known.pre_lower, known.pre_upper
    assert decide_exactly(query, batch.node(0), 0, math.inf).status == "closed"
    rounded = decide_exactly(query, batch.node(0), 0, math.inf, rounding=True)
    assert (rounded.status, rounded.reason) == (("closed", "") if closed else ("open", ROUNDING))
    kind, _ = ExactStep().decide(query, batch.node(0), [0], lambda points: None)
    assert kind == (Evidence.EXACT if closed else State.OPEN)
    x = np.array([0.75, 0.25 + 2.0**-25], dtype=np.float32)
    evaluated = [x[0] + x[1] - np.float32(1.0) > 0.0, np.float32(1.0) - x[0] - x[1] >= 0.0]
    assert not any(evaluated)  # as a file may compute them
