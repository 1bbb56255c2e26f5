"""What a VNN-LIB 2 text declares: networks with named, typed and shaped inputs and outputs.

The inputs of all networks, in order, are one vector x, and the outputs of all networks one vector y; an element
X[i, j] of a tensor is one number of its vector, row-major.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["FLOATS", "Declared", "Tensor"]

FLOATS = ("float16", "float32", "float64")  # element types that are read as reals


@dataclass(frozen=True)
class Tensor:
    """One input or output of a network."""

    name: str
    kind: str  # "real" or one of FLOATS
    shape: tuple[int, ...]  # () for a single number
    first: int  # where its numbers begin, in x or in y
    is_input: bool
    spelled_kind: str  # as the text writes it

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    @property
    def dimensions(self) -> str:
        """The shape as VNN-LIB writes it."""
        return f"[{','.join(map(str, self.shape))}]"

    def element(self, number: int) -> str:
        """Name of its element `number`, row-major: X[0,3]."""
        indices = []
        for size in reversed(self.shape):
            number, index = divmod(number, size)
            indices.append(index)
        return f"{self.name}[{','.join(map(str, reversed(indices)))}]" if self.shape else self.name


@dataclass(frozen=True)
class Declared:
    """One network."""

    name: str
    tensors: tuple[Tensor, ...]  # in the order in which they are declared: inputs, then outputs
    equal_to: str = ""  # another network that is the same, weights included; it has no file of its own
    isomorphic_to: str = ""  # another network of the same structure

    def sizes(self) -> tuple[int, int]:
        """Numbers of inputs and of outputs."""
        inputs = sum(t.size for t in self.tensors if t.is_input)
        return inputs, sum(t.size for t in self.tensors) - inputs
