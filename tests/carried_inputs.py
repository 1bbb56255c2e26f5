"""The carried inputs as arrays, and questions of robustness about them, for tests of bab/robustness/."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from hypersplit.instances.carried import carried
from hypersplit.instances.network import Array

__all__ = ["DIGITS", "IRIS", "digits", "flowers"]

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
