"""Every operator against onnxruntime, in the forms that the operator sets 7 to 23 give it."""

from __future__ import annotations

import pytest
from onnx_models import assert_agree
from operator_cases import CASES, Case, build

from hypersplit.instances.operators.table import OPERATORS

NAMES = [f"{i}-{case.kind}" for i, case in enumerate(CASES)]


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_operator_agrees_with_onnxruntime(case: Case) -> None:
    """An operator alone, in each of its operator sets, gives what onnxruntime gives."""
    for opset in case.opsets:
        assert_agree(build(case, opset, around=False), seed=opset)


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_operator_between_layers_agrees_with_onnxruntime(case: Case) -> None:
    """An operator behind an affine ReLU layer and before another gives what onnxruntime gives."""
    opset = case.opsets[-1]
    assert_agree(build(case, opset, around=True), seed=opset)


def test_every_operator_is_tested() -> None:
    """The cases above name every supported operator, but those on sequences and integers, and those that are not
    defined everywhere or give truth values, which tests/instances/nonlinear/ asks."""
    elsewhere = {name for name in OPERATORS if "Sequence" in name} - {"ReverseSequence"}
    elsewhere |= {"DequantizeLinear", "LogSoftmax", "Softmax", "ai.onnx.ml.Scaler", "ai.onnx.ml.Normalizer"}
    elsewhere |= {"ai.onnx.ml.LinearClassifier", "ai.onnx.ml.LinearRegressor"}
    elsewhere |= {"And", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Log", "Not", "Or", "Reciprocal", "Sqrt"}
    elsewhere |= {"ReduceLogSum"}
    elsewhere |= {"Swish"}
    assert {case.kind for case in CASES} == set(OPERATORS) - elsewhere
