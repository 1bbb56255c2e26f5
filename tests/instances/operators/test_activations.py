"""Piecewise linear operators as ReLUs: exact on dyadic numbers, at kinks and far from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import helper
from onnx_models import kinds, model, read

from hypersplit.instances.errors import NetworkError, UnsupportedOperatorError

POINTS = np.array([
    [-4.0, -1.0, -0.5, 0.0, 0.25, 1.0], [3.0, -0.25, 2.0, -2.0, 0.0, 0.5], [1e6, -1e6, 0.0, 0.5, -0.5, 8.0],
])  # fmt: skip


def single(operator: str, *weights: Any, **attributes: Any) -> Any:
    """The network of one operator on six inputs; weights are its further inputs."""
    names = [f"w{i}" for i in range(len(weights))]
    stored = {n: np.asarray(w, dtype=np.float32) for n, w in zip(names, weights, strict=True)}
    return read(model([helper.make_node(operator, ["x", *names], ["y"], **attributes)], (1, 6), stored))


@pytest.mark.parametrize(
    ("operator", "weights", "attributes", "truth"),
    [
        ("Relu", (), {}, lambda x: np.maximum(x, 0.0)),
        ("LeakyRelu", (), {"alpha": 0.25}, lambda x: np.where(x >= 0.0, x, 0.25 * x)),
        ("PRelu", ([0.5, -1.0, 0.0, 2.0, 0.25, 1.0],), {},
         lambda x: np.where(x >= 0.0, x, np.array([0.5, -1.0, 0.0, 2.0, 0.25, 1.0]) * x)),
        ("Abs", (), {}, np.abs),
        ("Clip", (-1.0, 0.5), {}, lambda x: np.clip(x, -1.0, 0.5)),
        ("Clip", (np.finfo(np.float32).min, 0.5), {}, lambda x: np.minimum(x, 0.5)),
        ("Max", ([[0.0, 1.0, -1.0, 0.5, 0.25, -8.0]],), {},
         lambda x: np.maximum(x, np.array([0.0, 1.0, -1.0, 0.5, 0.25, -8.0]))),
        ("Min", ([[0.0, 1.0, -1.0, 0.5, 0.25, -8.0]],), {},
         lambda x: np.minimum(x, np.array([0.0, 1.0, -1.0, 0.5, 0.25, -8.0]))),
    ],
)  # fmt: skip
def test_operators_are_their_formulas(
    operator: str, weights: tuple[Any, ...], attributes: dict[str, Any], truth: Callable[[np.ndarray], np.ndarray]
) -> None:
    """To the bit, for these numbers round nowhere; only ReLU and affine layers are made."""
    network = single(operator, *weights, **attributes)
    assert set(kinds(network)) <= {"relu", "identity"}
    for x in POINTS:
        np.testing.assert_array_equal(network.evaluate(x), truth(x))


def test_pools_are_maxima_of_their_windows() -> None:
    """Against a loop, padding left out of the windows."""
    node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 3], strides=[2, 2], pads=[0, 1, 0, 1])
    network = read(model([node], (1, 1, 4, 5)))
    rng = np.random.default_rng(0)
    for _ in range(5):
        x = rng.integers(-16, 17, (4, 5)) / 4.0
        padded = np.pad(x, ((0, 0), (1, 1)), constant_values=-np.inf)
        truth = [padded[i : i + 2, j : j + 3].max() for i in (0, 2) for j in (0, 2, 4)]
        np.testing.assert_array_equal(network.evaluate(x.ravel()), truth)


def test_what_is_not_supported_is_said() -> None:
    """Crossed bounds of a Clip, and the indices of a pool."""
    with pytest.raises((NetworkError, UnsupportedOperatorError)):
        single("Clip", 1.0, -1.0)
    node = helper.make_node("MaxPool", ["x"], ["y", "indices"], kernel_shape=[2, 2])
    with pytest.raises(UnsupportedOperatorError, match="indices"):
        read(model([node], (1, 1, 4, 4), output="y"))


def test_attributes_that_are_left_out_are_float32() -> None:
    """The slope of a LeakyRelu is the float32 next to 0.01, in files of doubles as well, and epsilon is one, too."""
    assert single("LeakyRelu").evaluate(-np.ones(6)).tolist() == [-float(np.float32(0.01))] * 6
    one, none = np.ones(6), np.zeros(6)
    normed = single("BatchNormalization", one, none, none, none).evaluate(one)
    assert np.allclose(normed, 1.0 / np.sqrt(float(np.float32(1e-5))), rtol=1e-12, atol=0.0)
