"""What a framework exported, and the framework's own function beside it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["Case", "Export", "NotExported", "installed"]


@dataclass(frozen=True, eq=False)
class Export:
    """An ONNX model in memory and the function that it was made of."""

    content: bytes
    run: Callable[[np.ndarray], np.ndarray]  # one flat input [n] float64 -> flat outputs [m], by the framework
    outputs: tuple[str, ...] = ()  # those that count, all where none is named


@dataclass(frozen=True, eq=False)
class Case:
    """A network that people export. `make` raises NotExported where the framework cannot export it."""

    exporter: str  # a column of the page
    layer: str  # what it is made around, a row of the page
    make: Callable[[], Export]
    refused: str = ""  # part of the line that refuses it; "" where it is to be read

    @property
    def name(self) -> str:
        """Of both, as messages have it."""
        return f"{self.exporter}: {self.layer}"


class NotExported(Exception):
    """The framework has no export of it; why, in a line."""


def installed(*names: str) -> bool:
    """Whether these packages are there; none is imported to find out."""
    return all(importlib.util.find_spec(name) is not None for name in names)
