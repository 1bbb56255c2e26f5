"""The questions of a data set as VNN-LIB files, with the list instances.csv that `bench` and other tools read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...instances.errors import InputError
from ...instances.network import Array, Network
from ...instances.vnnlib.writer import write_property
from .question import Range, question

__all__ = ["LIST", "write_questions"]

LIST = "instances.csv"


def write_questions(
    folder: Path, network: Network, inputs: Array, labels: Array, epsilons: tuple[float, ...], norm: float,
    limits: Range, timeout: float, numbers: Sequence[int] | None = None,
) -> int:  # fmt: skip
    """Write a file for each input [N, n] and distance, and the list; how many there are.

    numbers: of the inputs in the files' names (default: from 0).

    Raises InputError for other norms than the maximum norm: VNN-LIB 1 knows linear constraints alone.
    """
    if norm != np.inf:
        raise InputError("only balls of the maximum norm (--norm inf) can be said in VNN-LIB")
    folder.mkdir(parents=True, exist_ok=True)
    source = os.path.relpath(network.source, folder)
    lines = []
    for i, x, label in zip(numbers or range(len(inputs)), inputs, labels.tolist(), strict=True):
        others = [j for j in range(network.output_size) if j != label]
        for epsilon in epsilons:
            name = f"input{i}_eps{epsilon!r}.vnnlib"
            prop = question(x, epsilon, norm, label, others, network.output_size, limits)
            write_property(prop, folder / name)
            lines.append(f"{source},{name},{timeout:g}\n")
    (folder / LIST).write_text("".join(lines), encoding="utf-8")
    return len(lines)
