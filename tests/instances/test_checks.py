"""Networks and properties built in memory: what is no finite number of the right shape is refused in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from hypersplit.bab.verify import verify
from hypersplit.instances.errors import InputError, NetworkError, PropertyError
from hypersplit.instances.network import Layer, Network, sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import queries

EYE, ZEROS, ONES = np.eye(2), np.zeros(2), np.ones(2)
BOX = InputSet.box(ZEROS, ONES)
HALF = Polyhedron(np.ones((1, 2)), np.zeros(1))
NONE = np.zeros((0, 2)), np.zeros(0)

WRONG: list[tuple[Callable[[], Any], type[InputError], str]] = [
    (lambda: Layer((0,), (np.full((2, 2), np.nan),), ZEROS), NetworkError, r"weights of source 0: nan at \[0, 0\]"),
    (lambda: Layer((0,), (sparse.csr_array(np.diag([1.0, np.inf])),), ZEROS), NetworkError, "stored entries: inf"),
    (lambda: Layer((0,), (EYE,), np.array([0.0, np.inf])), NetworkError, r"bias: inf at \[1\]"),
    (lambda: Layer((0,), (EYE,), np.zeros((2, 1))), NetworkError, r"bias: shape \(2, 1\), expected \(any,\)"),
    (lambda: Layer((0,), (EYE,), np.zeros(3)), NetworkError, r"shape \(2, 2\), expected \(3, any\)"),
    (lambda: Layer((0,), (np.array([["a", "b"]] * 2),), ZEROS), NetworkError, "entries of type <U1"),
    (lambda: Layer((0,), (EYE.astype(complex),), ZEROS), NetworkError, "complex128"),
    (lambda: Layer((0,), (EYE, EYE), ZEROS), NetworkError, "2 weights for 1 sources"),
    (lambda: Layer((0,), ([[1.0], [1.0, 2.0]],), ZEROS), NetworkError, "different lengths"),
    (lambda: Layer((0,), (EYE,), ZEROS, "softmax"), NetworkError, "activation 'softmax'"),
    (lambda: Layer((0,), (EYE,), ZEROS, bias_error=-1.0), NetworkError, "bias_error -1.0"),
    (lambda: Layer((0,), (EYE,), ZEROS, bias_error=np.nan), NetworkError, "bias_error: nan"),
    (lambda: Layer((0,), (EYE,), ZEROS, roundings=-1), NetworkError, "roundings: -1"),
    (lambda: Layer((0.5,), (EYE,), ZEROS), NetworkError, "source: 0.5"),  # type: ignore[arg-type]
    (lambda: Network(3, (Layer((0,), (EYE,), ZEROS),)), NetworkError, r"weight \(2, 2\), expected \(2, 3\)"),
    (lambda: Network(2, (Layer((1,), (EYE,), ZEROS),)), NetworkError, "sources"),
    (lambda: Network(2, ()), NetworkError, "at least one layer"),
    (lambda: Network(0, ()), NetworkError, "input_size: 0"),
    (lambda: InputSet.box(np.array([0.0, -np.inf]), ONES), PropertyError, r"lower: -inf at \[1\]"),
    (lambda: InputSet.box(ZEROS, np.array([np.nan, 1.0])), PropertyError, r"upper: nan at \[0\]"),
    (lambda: InputSet.box(ONES, ZEROS), PropertyError, "lower 1.0 of input 0 exceeds its upper 0.0"),
    (lambda: InputSet.box(ZEROS, np.ones(3)), PropertyError, r"upper: shape \(3,\), expected \(2,\)"),
    (lambda: InputSet.box(EYE, EYE), PropertyError, r"lower: shape \(2, 2\)"),
    (lambda: InputSet(ZEROS, ONES, np.ones((1, 3)), np.zeros(1)), PropertyError, "rows: shape"),
    (lambda: InputSet(ZEROS, ONES, np.ones((1, 2)), np.zeros(2)), PropertyError, "offsets: shape"),
    (lambda: InputSet(ZEROS, ONES, np.full((1, 2), np.inf), np.zeros(1)), PropertyError, "rows: inf"),
    (lambda: Polyhedron(np.ones(2), np.zeros(1)), PropertyError, "rows: shape"),
    (lambda: Polyhedron(np.ones((1, 2)), np.zeros(2)), PropertyError, "rhs: shape"),
    (lambda: Polyhedron(np.ones((1, 2)), np.array([np.nan])), PropertyError, r"rhs: nan at \[0\]"),
    (lambda: Polyhedron(np.full((1, 2), np.nan), np.zeros(1)), PropertyError, "rows: nan"),
    (lambda: Case(BOX, [HALF]), PropertyError, "forbidden"),  # type: ignore[arg-type]
    (lambda: Case(BOX, (HALF, Polyhedron(np.ones((1, 3)), np.zeros(1)))), PropertyError, "2 and 3 outputs"),
    (lambda: Property((Case(BOX, (HALF,)),), 3, 2), PropertyError, "case 0: 2 inputs, expected 3"),
    (lambda: Property((Case(BOX, (HALF,)),), 2, 1), PropertyError, "2 columns, expected 1"),
    (lambda: Property((Case(BOX, (HALF,)),), 2, 2, joint=True), PropertyError, "2 columns, expected 4"),
]


@pytest.mark.parametrize(("build", "error", "message"), WRONG, ids=[w[2] for w in WRONG])
def test_what_is_wrong_is_said_at_once(build: Callable[[], Any], error: type[InputError], message: str) -> None:
    """One ValueError that names the field and what was expected."""
    with pytest.raises(error, match=message) as caught:
        build()
    assert isinstance(caught.value, ValueError) and "\n" not in str(caught.value)


def test_other_kinds_of_numbers_become_float64() -> None:
    """Integers, float32 and lists are numbers, too; float64 arrays are kept without a copy."""
    weights = np.array([[1, -1]])
    layer = Layer((0,), (weights,), np.zeros(1, dtype=np.float32))
    assert layer.weights[0].dtype == layer.bias.dtype == np.float64
    region = InputSet.box([0, 0], [1, 1])  # type: ignore[arg-type]
    prop = Property((Case(region, (Polyhedron(np.array([[-1]]), np.array([-2])),)),), 2, 1)
    assert verify(Network(2, (layer,)), prop, jobs=1).verdict == "unsat"
    kept = np.ones((2, 2))
    assert Layer((0,), (kept,), ZEROS).weights[0] is kept
    matrix = sparse.csr_array(EYE)
    assert Layer((0,), (matrix,), ZEROS).weights[0] is matrix
    with pytest.raises(NetworkError, match="integers that float64 does not hold"):
        Layer((0,), (np.array([[2**53 + 1]]),), np.zeros(1))


def test_a_case_that_forbids_nothing_is_no_question() -> None:
    """A union of no polyhedra has no counterexample."""
    network = sequential([EYE], [ZEROS])
    prop = Property((Case(BOX, ()), Case(BOX, (Polyhedron(*NONE),))), 2, 2)
    assert len(queries(network, prop)) == 1
    assert verify(network, Property((Case(BOX, ()),), 2, 2), jobs=1).verdict == "unsat"
