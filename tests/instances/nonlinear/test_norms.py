"""What divides by a norm or a spread: verdicts next to the values that samples reach."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import helper
from onnx_models import model, normal

from hypersplit import Property, load_model
from hypersplit.bab.verify import verify
from hypersplit.instances.errors import NetworkError, UnsupportedOperatorError
from hypersplit.instances.expressions.affine import Builder
from hypersplit.instances.network import Network
from hypersplit.instances.nonlinear.norms import standardised
from hypersplit.instances.onnx.reader import network_from_bytes

node = helper.make_node
FORMS: dict[str, tuple[int, dict[str, Any], dict[str, Any]]] = {  # kind -> opset, attributes, weights
    "LayerNormalization": (17, {}, {"g": np.array([1.0, -0.5, 2.0], np.float32)}),
    "RMSNormalization": (23, {}, {"g": np.array([1.0, -0.5, 2.0], np.float32)}),
    "LpNormalization": (22, {"axis": -1}, {}),
    "ReduceL2": (13, {"axes": [1]}, {}),
    "ReduceLogSumExp": (13, {"axes": [1]}, {}),
}


@pytest.mark.parametrize("kind", FORMS)
def test_verdicts_are_those_of_samples(kind: str) -> None:
    """Beyond the largest of many values and a margin `unsat`, below it `sat`, on a box where no norm is 0."""
    opset, attributes, more = FORMS[kind]
    rng = np.random.default_rng(len(kind))
    width = 1 if kind.startswith("Reduce") else 3
    weights = {"w": normal(rng, 2, 3), "b": np.array([1.5, -1.0, 2.0], np.float32), "v": normal(rng, width, 1), **more}
    nodes = [
        node("Gemm", ["x", "w", "b"], ["z"]), node(kind, ["z", *more], ["o"], **attributes),
        node("MatMul", ["o", "v"], ["y"]),
    ]  # fmt: skip
    proto = model(nodes, [1, 2], weights, opset=opset)
    box = np.full(2, -0.4), np.full(2, 0.4)
    network = network_from_bytes(proto.SerializeToString())
    largest = float(network.evaluate(rng.uniform(*box, (20000, 2))).max())
    for bound, verdict in ((largest + 0.05, "unsat"), (largest - 0.01, "sat")):
        question = Property.reach(np.array([bound]), np.array([np.inf]), box)
        found = verify(load_model(proto.SerializeToString()), question, timeout=300)
        assert found.verdict == verdict, (bound, found.reason)


def test_entries_are_standardised_within_their_groups() -> None:
    """Two groups whose entries stand mixed, to the last digits; of one number it is 0."""
    rng = np.random.default_rng(0)
    for count in (1, 4):
        table, builder = rng.permutation(2 * count).reshape(2, count), Builder(2 * count)
        builder.close(standardised(builder, builder.value(0, (2 * count,)), table, 0.01))
        x = rng.normal(size=2 * count)
        expected = np.empty(2 * count)
        mean, spread = x[table].mean(axis=1, keepdims=True), x[table].var(axis=1, keepdims=True)
        expected[table] = (x[table] - mean) / np.sqrt(spread + 0.01)
        found = Network(2 * count, tuple(builder.layers)).evaluate(x)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (node("LayerNormalization", ["x", "g"], ["y", "mean"]), "its outputs beside the first one"),
        (node("LayerNormalization", ["x", "g"], ["y"], axis=3), "axis 3 of a tensor of shape"),
        (node("LayerNormalization", ["x", "wide"], ["y"]), "its input 1 of shape"),
        (node("LayerNormalization", ["x", "g"], ["y"], epsilon=-1.0), "its attribute epsilon is -1.0"),
        (node("GroupNormalization", ["x", "g", "g"], ["y"], num_groups=2), "2 groups of a tensor"),
        (node("LayerNormalization", ["x", "g"], ["y"], stash_type=7), "its attribute stash_type is int64"),
        (node("InstanceNormalization", ["x", "g", "g"], ["y"]), "expected batch, channels and at least one axis"),
        (node("LpNormalization", ["x"], ["y"], p=3), "p = 3; supported are 1 and 2"),
        (node("LRN", ["x"], ["y"], size=3), "3 channels of a tensor of shape"),
        (node("Pad", ["x", "cut"], ["y"]), "cut more off a tensor"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(made: Any, message: str) -> None:
    """In one line that says what was expected."""
    weights = {"g": np.ones(3, np.float32), "wide": np.ones((2, 2, 3), np.float32), "cut": np.array([0, -2, 0, -2])}
    with pytest.raises((NetworkError, UnsupportedOperatorError), match=message):
        network_from_bytes(model([made], [1, 3], weights, opset=21).SerializeToString())


def test_doubles_normalised_in_float32_prove_nothing() -> None:
    """A layer normalisation of doubles computes its mean in float32 unless its attribute says otherwise."""
    from onnx import TensorProto

    for stash, modelled in ((1, False), (11, True)):
        nodes = [node("LayerNormalization", ["x", "g"], ["y"], stash_type=stash)]
        proto = model(nodes, [1, 3], {"g": np.ones(3)}, opset=17, dtype=TensorProto.DOUBLE)
        assert (network_from_bytes(proto.SerializeToString()).unmodelled == "") is modelled


@pytest.mark.parametrize(
    ("opset", "given", "attributes", "modelled"),
    [
        (18, 11, {}, True), (21, 11, {}, False), (21, 11, {"stash_type": 11}, True), (21, 1, {}, True),
        (21, 1, {"stash_type": 10}, False),
    ],
)  # fmt: skip
def test_groups_normalised_in_a_narrower_type_prove_nothing(
    opset: int, given: int, attributes: dict[str, int], modelled: bool
) -> None:
    """From operator set 21 on a group's mean is computed in float32 or another type, whatever the tensor's is."""
    one = np.ones(2, np.float32 if given == 1 else np.float64)
    nodes = [node("GroupNormalization", ["x", "g", "g"], ["y"], num_groups=2, **attributes)]
    proto = model(nodes, [1, 2, 3], {"g": one}, opset=opset, dtype=given)
    assert (network_from_bytes(proto.SerializeToString()).unmodelled == "") is modelled
