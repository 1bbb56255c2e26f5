"""Softmax inside a network: its values for vectors of every length, and verdicts around it on small and huge boxes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import helper
from onnx_models import model, normal, runtime, whole

from hypersplit import Property, load_model
from hypersplit.bab.verify import verify
from hypersplit.instances.expressions.affine import Builder
from hypersplit.instances.network import Network
from hypersplit.instances.nonlinear.shares import log_sum_exp, shares
from hypersplit.instances.onnx.reader import network_from_bytes

node = helper.make_node


def built(make: Any, size: int) -> Network:
    """The network of one function of a builder and an expression of `size` entries."""
    builder = Builder(size)
    builder.close(make(builder, builder.value(0, (size,))))
    return Network(size, tuple(builder.layers))


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 7, 8, 13])
@pytest.mark.parametrize("logarithms", [False, True])
def test_values_are_those_of_a_softmax(length: int, logarithms: bool) -> None:
    """Of two vectors whose entries stand mixed, small and large ones, to the last digits."""
    rng = np.random.default_rng(length)
    table = rng.permutation(2 * length).reshape(2, length)
    network = built(lambda build, z: shares(build, z, table, logarithms), 2 * length)
    for scale in (1.0, 30.0):
        z = scale * rng.normal(size=2 * length)
        shifted = z[table] - z[table].max(axis=1, keepdims=True)
        expected = np.empty(2 * length)
        logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        expected[table] = logs if logarithms else np.exp(logs)
        np.testing.assert_allclose(network.evaluate(z), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("length", [1, 2, 3, 6])
def test_values_are_those_of_a_sum_of_exponentials(length: int) -> None:
    """Its logarithm, of three groups, where exponentials themselves would overflow too."""
    rng = np.random.default_rng(length)
    table = rng.permutation(3 * length).reshape(3, length)
    network = built(lambda build, z: log_sum_exp(build, z, table, (3,)), 3 * length)
    for scale in (1.0, 2000.0):
        z = scale * rng.normal(size=3 * length)
        np.testing.assert_allclose(network.evaluate(z), np.logaddexp.reduce(z[table], axis=1), rtol=1e-12)


@pytest.mark.parametrize("length", [2, 3, 5])
@pytest.mark.parametrize("radius", [0.5, 1000.0])
def test_verdicts_hold_of_all_inputs(length: int, radius: float) -> None:
    """Beyond what a weighted sum of shares can reach `unsat`, below a value that an input has `sat`."""
    rng = np.random.default_rng(length)
    weights = {"w": normal(rng, 2, length), "v": normal(rng, length, 1)}
    nodes = [node("MatMul", ["x", "w"], ["z"]), node("Softmax", ["z"], ["p"], axis=-1)]
    nodes.append(node("MatMul", ["p", "v"], ["y"]))
    proto = model(nodes, [1, 2], weights)
    box = np.full(2, -radius), np.full(2, radius)
    points = rng.uniform(*box, (500, 2)).astype(np.float32)
    largest = max(float(runtime(proto, x[None])[0, 0]) for x in points)
    most = float(weights["v"].max())  # shares add up to one
    for bound, verdict in ((most + 0.5, "unsat"), (largest - 0.01, "sat")):
        question = Property.reach(np.array([bound]), np.array([np.inf]), box)
        assert verify(load_model(proto.SerializeToString()), question, timeout=120).verdict == verdict


def test_attention_is_bounded() -> None:
    """Of a head of two tokens nothing beyond its samples' range and a margin, by splits of the input."""
    rng = np.random.default_rng(3)
    weights = {"shape": whole(2, 2), **{name: normal(rng, 2, 2) for name in "qkv"}, "o": normal(rng, 4, 1)}
    nodes = [
        node("Reshape", ["x", "shape"], ["s"]), *(node("MatMul", ["s", name], [f"s{name}"]) for name in "qkv"),
        node("Transpose", ["sk"], ["t"], perm=[1, 0]), node("MatMul", ["sq", "t"], ["scores"]),
        node("Softmax", ["scores"], ["p"], axis=-1), node("MatMul", ["p", "sv"], ["a"]),
        node("Flatten", ["a"], ["f"], axis=0), node("MatMul", ["f", "o"], ["y"]),
    ]  # fmt: skip
    proto = model(nodes, [1, 4], weights)
    network = network_from_bytes(proto.SerializeToString())
    box = np.full(4, -0.2), np.full(4, 0.2)
    largest = float(network.evaluate(rng.uniform(*box, (5000, 4))).max())
    for bound, verdict in ((largest + 0.1, "unsat"), (largest - 0.02, "sat")):
        question = Property.reach(np.array([bound]), np.array([np.inf]), box)
        assert verify(load_model(proto.SerializeToString()), question, timeout=300).verdict == verdict
