"""The carried inputs as arrays, and questions of robustness about them, for tests of bab/robustness/."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from hypersplit import PropertyError, sequential, verify
from hypersplit.bab.robustness.question import question, whole_range
from hypersplit.instances.carried import carried
from hypersplit.instances.network import Array

__all__ = ["DIGITS", "IRIS", "digits", "flowers", "needs_balls"]

DIGITS, IRIS = str(carried("digits_mlp_24x2.onnx")), str(carried("iris_2layer.onnx"))


def digits() -> tuple[Array, Array]:
    """Ten images [10, 64] in [0, 1] that the carried networks get right, and their digits."""
    return _table(carried("digits_nominal.csv"))


def flowers() -> tuple[Array, Array]:
    """Ten flowers [10, 4] that the carried networks get right, and their species."""
    return _table(carried("iris_nominal.csv"))


def _table(path: Path) -> tuple[Array, Array]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = np.array([[float(v) for v in row] for row in list(csv.reader(file))[1:]])
    return rows[:, :-1], rows[:, -1].astype(np.int64)


def _balls_are_searched() -> bool:
    network = sequential([np.eye(2)], [np.array([1.0, 0.0])])
    try:
        verify(network, question(np.zeros(2), 0.1, 2, 0, [1], 2, whole_range(2)), jobs=1)
    except PropertyError as error:
        assert "input sets with a norm ball cannot be searched" in str(error)
        return False
    return True


needs_balls = pytest.mark.skipif(
    not _balls_are_searched(), reason="input sets with a norm ball cannot be searched"
)
