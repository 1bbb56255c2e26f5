"""What an operator sees of a node of an ONNX graph: constants or affine expressions, and attributes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import NetworkError, UnsupportedOperatorError
from ..network import Array
from ..rounding import EPS
from .affine import Builder, Expression, Move, check_size

__all__ = ["Constant", "Node", "Sequence", "Tensor", "Value", "Withheld", "finite", "joined", "moved"]


@dataclass(frozen=True, eq=False)
class Constant:
    """A tensor that does not depend on the network's input; floats are float64, which holds them exactly."""

    array: NDArray[Any]  # float64, int64 or bool
    roundings: int = 0  # each entry's relative error is at most roundings * 2**-53
    name: str = ""  # of the tensor in the file, for messages

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.array.shape

    @property
    def is_float(self) -> bool:
        """Whether it holds floats, rather than integers or truth values."""
        return self.array.dtype.kind == "f"

    @property
    def error(self) -> float:
        """Bound on each entry's absolute error."""
        return self.roundings * EPS * float(np.abs(self.array).max(initial=0.0)) if self.roundings else 0.0


Tensor = Constant | Expression


@dataclass(frozen=True, eq=False)
class Sequence:
    """A list of tensors whose length is known while the graph is read."""

    parts: tuple[Tensor, ...]

    @property
    def shape(self) -> str:
        """What messages say of it."""
        return f"a sequence of {len(self.parts)}"


@dataclass(frozen=True, eq=False)
class Withheld:
    """An output that no network can give; whoever reads it is refused."""

    why: str
    shape: str = "none"  # what messages say of it


Value = Tensor | Sequence | Withheld


def finite(constant: Constant) -> Constant:
    """The constant, whose entries are finite. Raises NetworkError, naming it, where they are not."""
    if constant.is_float and not np.isfinite(constant.array).all():
        raise NetworkError(f"tensor {constant.name!r} holds NaN or infinite values; expected finite weights")
    return constant


@dataclass(frozen=True, eq=False)
class Node:
    """One node of the graph while it is read."""

    kind: str
    attributes: dict[str, Any]
    inputs: tuple[Value | None, ...]  # None: an optional input that is left out
    outputs: int  # number of outputs with a name
    opset: int
    builder: Builder
    types: tuple[int, ...] = ()  # element types of the inputs, numbers of onnx.TensorProto; 0 where not known

    def tensor(self, i: int) -> Tensor:
        """Input i. Raises NetworkError where it is missing."""
        given = self.inputs[i] if i < len(self.inputs) else None
        if given is None:
            raise NetworkError(f"input {i} is missing")
        if isinstance(given, Withheld):
            raise UnsupportedOperatorError(f"it reads {given.why}")
        if isinstance(given, Sequence):
            raise NetworkError(f"input {i} is a sequence, expected a tensor")
        return given

    def sequence(self, i: int) -> Sequence:
        """Input i, which must be a sequence. Raises NetworkError where it is not."""
        given = self.inputs[i] if i < len(self.inputs) else None
        if not isinstance(given, Sequence):
            raise NetworkError(f"input {i} is {'missing' if given is None else 'a tensor'}, expected a sequence")
        return given

    def type(self, i: int) -> int:
        """Element type of input i, 0 where it is not known."""
        return self.types[i] if i < len(self.types) else 0

    def has(self, i: int) -> bool:
        """Whether input i is given."""
        return i < len(self.inputs) and self.inputs[i] is not None

    def expression(self, i: int) -> Expression:
        """Input i as an affine expression, also where it is constant."""
        return self.affine(self.tensor(i))

    def affine(self, tensor: Tensor) -> Expression:
        """A tensor as an affine expression."""
        if isinstance(tensor, Expression):
            return tensor
        array = finite(tensor).array.astype(np.float64)
        check_size(array.size)
        return Expression(array.shape, {}, array.ravel(), tensor.error)

    def constant(self, i: int) -> Constant:
        """Input i, which must be constant. Raises UnsupportedOperatorError where it is not."""
        given = self.tensor(i)
        if isinstance(given, Expression):
            raise UnsupportedOperatorError(
                f"its input {i} depends on the network's input; only a constant is supported"
            )
        return given

    def weights(self, i: int) -> Constant:
        """Input i, constant and finite."""
        return finite(self.constant(i))

    def number(self, name: str, i: int) -> float | None:
        """A number that older opsets give as an attribute, newer ones as input i; None where not given."""
        if self.has(i):
            return float(self.constant(i).array.reshape(-1)[0])
        given = self.attributes.get(name)
        return None if given is None else float(given)

    def integers(self, name: str, i: int) -> list[int] | None:
        """Integers that older opsets give as an attribute, newer ones as input i; None where not given."""
        if self.has(i):
            array = self.constant(i).array
            if array.dtype.kind != "i":
                raise NetworkError(f"input {i} ({name}) holds {array.dtype}, expected integers")
            return [int(v) for v in array.reshape(-1)]
        given = self.attributes.get(name)
        return None if given is None else [int(v) for v in given]

    def flag(self, name: str, default: bool = False) -> bool:
        """An attribute that is 0 or 1; tools differ in what they make of other numbers."""
        given = self.attributes.get(name, int(default))
        if given not in (0, 1):
            raise NetworkError(f"the attribute {name} is {given}, expected 0 or 1")
        return bool(given)

    def text(self, name: str, default: str) -> str:
        """A string attribute."""
        given = self.attributes.get(name, default)
        return given.decode() if isinstance(given, bytes) else str(given)

    def rounds(self, what: str) -> None:
        """Say that the node does this beyond float32's rounding: with such a node nothing is proved."""
        where = f"node {self.builder.name!r} ({self.kind}) {what}, which is not modelled"
        self.builder.unmodelled = self.builder.unmodelled or where

    def broadcast(self, *tensors: Tensor) -> list[Tensor]:
        """The tensors in their common shape."""
        shape = np.broadcast_shapes(*(t.shape for t in tensors))
        check_size(float(np.prod(shape, dtype=float)))
        return [moved(self, t, lambda i: np.broadcast_to(i, shape)) for t in tensors]

    def offset(self, constant: Constant) -> tuple[Array, float]:
        """A constant as an addend: its entries and the bound on their error."""
        return finite(constant).array.astype(np.float64), constant.error


def moved(node: Node, tensor: Tensor, move: Move) -> Tensor:
    """A tensor, constant or not, with its entries moved about."""
    if isinstance(tensor, Expression):
        return node.builder.move(tensor, move)
    array = np.asarray(move(tensor.array))
    check_size(array.size)
    return Constant(array, tensor.roundings, tensor.name)


def joined(node: Node, tensors: list[Tensor], move: Callable[..., Any]) -> Tensor:
    """One tensor of the entries of several: `move` takes as many arrays, of numbers or of indices alike."""
    constants = [t for t in tensors if isinstance(t, Constant)]
    if len(constants) == len(tensors):
        array = np.asarray(move(*(c.array for c in constants)))
        check_size(array.size)
        return Constant(array, max(c.roundings for c in constants), constants[0].name)
    parts = [node.affine(t) for t in tensors]
    starts = np.cumsum([0, *(e.size for e in parts)])
    indices = [s + np.arange(e.size).reshape(e.shape) for s, e in zip(starts, parts, strict=False)]
    return node.builder.move(node.builder.stack(parts), lambda _: move(*indices))
