"""Properties with equalities among inputs, from text or memory to verdict."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import oracle
import pytest
import small_files

from hypersplit.bab.verify import verify
from hypersplit.instances.families.random_networks import random_network
from hypersplit.instances.judges.real_points import inside
from hypersplit.instances.network import sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.vnnlib.reader import parse_property

TWINS = np.array([[1.0, 0.0, -1.0, 0.0], [0.0, 1.0, 0.0, 1.0]])  # x_0 = x_2, x_1 = -x_3


def asked(seed: int, twins: bool) -> tuple[object, Property]:
    """A small ReLU network and a forbidden set whose threshold is near values on the set."""
    rng = np.random.default_rng(seed)
    weights = [rng.integers(-3, 4, (5, 4)).astype(float), rng.integers(-2, 3, (1, 5)).astype(float)]
    network = sequential(weights, [rng.integers(-2, 3, 5) / 2.0, np.zeros(1)])
    system = TWINS if twins else rng.integers(-2, 3, (2, 4)).astype(float)
    rows = np.concatenate([system, -system])
    region = InputSet(-np.ones(4), np.ones(4), rows, np.zeros(len(rows)))
    threshold = float(rng.integers(-12, 6)) / 2.0
    case = Case(region, (Polyhedron(np.ones((1, 1)), np.array([threshold])),))
    return network, Property((case,), 4, 1)


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("twins", [True, False])
def test_verdicts_are_those_of_exact_arithmetic(seed: int, twins: bool) -> None:
    """No verdict is wrong, and twins are always decided; points of thirds may be no floats."""
    network, prop = asked(seed, twins)
    truth, _ = oracle.decide(network, prop.cases[0])
    result = verify(network, prop, timeout=60, jobs=1)
    assert result.verdict in ((truth,) if twins else (truth, "unknown")), (result.reason, truth)
    if result.witness:
        point = [Fraction(v) for v in result.witness.input.tolist()]
        assert inside(prop.cases[0].region, point)
    if result.real_counterexample:
        assert inside(prop.cases[0].region, list(result.real_counterexample))
        assert truth == "sat"


def text_with(assertions: str, least: float) -> str:
    names = [f"X_{i}" for i in range(4)]
    declared = "".join(f"(declare-const {name} Real)" for name in (*names, "Y_0"))
    boxes = "".join(f"(assert (<= 0.0 {name} 1.0))" for name in names)
    return f"{declared}{boxes}{assertions}(assert (>= Y_0 {least}))"


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """y = 0.3 x_0 + 0.7 x_1 - x_2 + relu(x_3), in float32."""
    first = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=np.float32)
    last = np.array([[0.3, 0.7, -1.0, 1.0]], dtype=np.float32)
    return small_files.write_network(tmp_path / "net.onnx", [(first, None), (last, None)])


@pytest.mark.parametrize(
    ("assertions", "least", "verdict"),
    [
        ("(assert (= (+ (* 0.3 X_0) (* 0.7 X_1)) X_2))(assert (= X_3 0.25))", 0.26, "unsat"),
        ("(assert (= (+ (* 0.3 X_0) (* 0.7 X_1)) X_2))(assert (= X_3 0.25))", 0.24, "sat"),
        ("(assert (= X_0 0.1))(assert (= (+ X_0 X_1) 1.0))(assert (= X_2 X_3))", 0.7, "unsat"),
        ("(assert (= X_0 0.1))(assert (= (+ X_0 X_1) 1.0))(assert (= X_2 X_3))", 0.6, "sat"),
        ("(assert (= (+ X_0 X_1 X_2 X_3) 4.5))", -9.0, "unsat"),
        ("(assert (= (+ X_0 X_1) 0.5))(assert (= (+ X_0 X_1) 0.75))", -9.0, "unsat"),
        ("(assert (or (= X_0 X_1 X_2 X_3) (= (+ X_0 X_1) 2.5)))", 1.1, "unsat"),
        ("(assert (or (= X_0 X_1 X_2 X_3) (= (+ X_0 X_1) 2.5)))", 0.9, "sat"),
    ],
)  # fmt: skip
def test_files_with_equalities(assertions: str, least: float, verdict: str, network: Path, tmp_path: Path) -> None:
    """Equalities that floats satisfy, and such that they do not, are decided; contradictions are `unsat`."""
    path = tmp_path / "p.vnnlib"
    path.write_text(text_with(assertions, least))
    result = verify(network, path, timeout=60, jobs=1)
    assert result.verdict == verdict, result.reason


def test_twins_split_no_more_than_one_copy() -> None:
    """Two copies of a network with equal inputs take as many nodes as the difference over one input vector."""
    network = random_network([3, 8, 8, 1], seed=5)
    (w0, w1, w2), biases = [x.weights[0] for x in network.layers], [x.bias for x in network.layers]
    zero = np.zeros_like
    shifted = biases[0] + 0.05
    both = sequential(
        [np.block([[w0, zero(w0)], [zero(w0), w0]]), np.block([[w1, zero(w1)], [zero(w1), w1]]), np.hstack([w2, -w2])],
        [np.concatenate([biases[0], shifted]), np.concatenate([biases[1]] * 2), np.zeros(1)],
    )
    merged = sequential(
        [np.vstack([w0, w0]), *(layer.weights[0] for layer in both.layers[1:])], [x.bias for x in both.layers]
    )
    tie = np.hstack([np.eye(3), -np.eye(3)])
    twins = InputSet(-np.ones(6), np.ones(6), np.vstack([tie, -tie]), np.zeros(6))
    one = InputSet.box(-np.ones(3), np.ones(3))
    nodes = []
    for net, region in ((both, twins), (merged, one)):
        case = Case(region, (Polyhedron(-np.ones((1, 1)), np.array([-2.0])),))
        result = verify(net, Property((case,), region.size, 1), timeout=60, jobs=1)
        assert result.verdict == "unsat"
        nodes.append(result.statistics["nodes"])
    assert nodes[0] == nodes[1]


DECLARED = """(declare-const X_0 Real) (declare-const X_1 Real) (declare-const Y_0 Real)
(assert (>= X_0 0)) (assert (<= X_0 1)) (assert (>= X_1 0)) (assert (<= X_1 2)) (assert (>= Y_0 -5))
"""
SUM, DIFFERENCE = sequential([np.ones((1, 2))], [np.zeros(1)]), "(assert (= (- X_0 X_1) 0.1)) (assert (= X_1 0.2))"


@pytest.mark.parametrize(
    "asserted",
    [
        "(assert (= (+ (* 0.1 X_0) (* 0.2 X_1)) 0.3)) (assert (= (+ (* 0.3 X_0) (* 0.6 X_1)) 0.9))",
        "(assert (= (+ (* 0.1 X_0) (* 0.2 X_1)) 0.3)) (assert (<= (* 0.3 X_0) (- 0.9 (* 0.6 X_1))))",
        "(assert (= (* 3 X_0) 0.3)) (assert (= X_0 0.1))",
        "(assert (<= (* 3 X_0) 0.3)) (assert (>= (* 7 X_0) 0.7))",
        "(assert (= X_0 0.1)) (assert (= X_1 0.2)) (assert (= (+ X_0 X_1) 0.3))",
        f"{DIFFERENCE} (assert (<= X_0 0.3)) (assert (>= X_0 0.3))",
    ],
)
def test_decimals_that_agree_are_no_contradiction(asserted: str) -> None:
    """As float64s the numbers of these texts contradict each other; as they are written they do not."""
    result = verify(SUM, parse_property(DECLARED + asserted), timeout=2, jobs=1)
    assert result.verdict != "unsat", result.reason


def test_decimals_that_disagree_are_a_contradiction() -> None:
    """A thousandth is no rounding."""
    for asserted in ("(assert (= (* 3 X_0) 0.3)) (assert (= X_0 0.101))", f"{DIFFERENCE} (assert (>= X_0 0.301))"):
        assert verify(SUM, parse_property(DECLARED + asserted), timeout=10, jobs=1).verdict == "unsat", asserted


@pytest.mark.parametrize("seed", range(20))
def test_systems_of_decimals_with_a_solution_are_not_empty(seed: int) -> None:
    """Dependent equalities with decimal coefficients through a decimal point, everything forbidden."""
    rng = np.random.default_rng(seed)
    point = [Fraction(int(v), 10) for v in rng.integers(1, 10, 3)]
    rows = [[Fraction(int(c), 10) for c in rng.integers(-30, 31, 3)] for _ in range(2)]
    factor = int(rng.integers(2, 8))
    rows.append([factor * a + 3 * b for a, b in zip(*rows, strict=True)])
    asserted = []
    for row in rows:
        terms = " ".join(f"(* {float(c)} X_{i})" for i, c in enumerate(row))
        value = sum((c * x for c, x in zip(row, point, strict=True)), Fraction(0))
        asserted.append(f"(assert (= (+ {terms}) {float(value)}))")
    ends = "".join(f"(assert (>= X_{i} 0.1)) (assert (<= X_{i} 0.9))" for i in range(3))
    names = "".join(f"(declare-const {n} Real)" for n in ("X_0", "X_1", "X_2", "Y_0"))
    text = f"{names}{ends}{''.join(asserted)}(assert (>= Y_0 -100))"
    result = verify(sequential([np.ones((1, 3))], [np.zeros(1)]), parse_property(text), timeout=0.5, jobs=1)
    assert result.verdict != "unsat", (result.verdict, result.reason, text)
