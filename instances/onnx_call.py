"""One node of an ONNX graph, as the functions that read operators see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .affine import Builder

__all__ = ["Call", "Operand", "Operator", "axes_of"]


@dataclass(frozen=True, eq=False)
class Call:
    """One node of the graph."""

    builder: Builder
    name: str  # for messages and layers
    attributes: dict[str, Any]
    outputs: int  # how many outputs the node has


Operand = Any  # Expression or numpy array
Operator = Callable[[Call, list[Operand]], Any]


def axes_of(call: Call, inputs: list[Operand], position: int = 1) -> list[int] | None:
    """The `axes` of a node, an attribute in old opsets and an input in new ones."""
    if "axes" in call.attributes:
        return [int(a) for a in call.attributes["axes"]]
    if len(inputs) > position and inputs[position] is not None:
        return [int(a) for a in np.asarray(inputs[position]).ravel()]
    return None
