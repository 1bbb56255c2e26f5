"""Properties: input sets and forbidden output sets, as VNN-LIB states them, in one normal form.

A VNN-LIB file asks whether some input x and output y = f(x) satisfy its assertions. The normal form is a list of
*cases*, one per input set: x in a box (with optional half-spaces) and y in a union of polyhedra {C y <= d}.
The property holds (`unsat`) when no case has a solution.

Each bound and each row may be *strict*, `<` in the place of `<=`. Searches may take all of them for closed, which
only makes more to refute; what is called a solution satisfies them as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .network import Array

__all__ = ["Case", "InputSet", "Polyhedron", "Property"]

_CLOSED: Any = None  # default of the masks of strict rows: none is


@dataclass(frozen=True, eq=False)
class InputSet:
    """The polytope {x : lower <= x <= upper, rows @ x + offsets >= 0}, without the faces that are strict."""

    lower: Array  # [n], finite
    upper: Array  # [n], finite, >= lower
    rows: Array  # [g, n] normals of half-spaces; g may be 0
    offsets: Array  # [g]
    strict_lower: Array = field(default=_CLOSED)  # [n] bool: x > lower
    strict_upper: Array = field(default=_CLOSED)  # [n] bool: x < upper
    strict: Array = field(default=_CLOSED)  # [g] bool: rows @ x + offsets > 0

    def __post_init__(self) -> None:
        for name, count in (("strict_lower", self.size), ("strict_upper", self.size), ("strict", len(self.rows))):
            _fill(self, name, count)

    @staticmethod
    def box(lower: Array, upper: Array) -> InputSet:
        """A box without half-spaces."""
        lower, upper = np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)
        return InputSet(lower, upper, np.zeros((0, len(lower))), np.zeros(0))

    @property
    def size(self) -> int:
        """Number of inputs."""
        return len(self.lower)

    def contains(self, x: Array) -> bool:
        """Whether x [n] lies in the set, exactly as float64 compares (rows are evaluated in float64)."""
        return bool(
            np.all(_below(self.lower, x, self.strict_lower))
            and np.all(_below(x, self.upper, self.strict_upper))
            and np.all(_below(0.0, self.rows @ x + self.offsets, self.strict))
        )


@dataclass(frozen=True, eq=False)
class Polyhedron:
    """The set {y : rows @ y <= rhs} of outputs, < in the rows that are strict."""

    rows: Array  # [m, outputs]
    rhs: Array  # [m]
    strict: Array = field(default=_CLOSED)  # [m] bool

    def __post_init__(self) -> None:
        _fill(self, "strict", len(self.rhs))

    def contains(self, y: Array) -> bool:
        """Whether y lies in it, with no tolerance.

        y: float32 or float64 outputs; products and sums are formed in float64, which is exact for the rows of
        all known benchmarks (coefficients +1 and -1 on float32 outputs, at most two terms).
        """
        return bool(np.all(_below(self.rows @ np.asarray(y, dtype=np.float64), self.rhs, self.strict)))


@dataclass(frozen=True, eq=False)
class Case:
    """Some x in `region` with f(x) in one of `forbidden` is a counterexample."""

    region: InputSet
    forbidden: tuple[Polyhedron, ...]  # a union; an empty polyhedron (no rows) forbids every output


@dataclass(frozen=True, eq=False)
class Property:
    """All cases of a VNN-LIB file. It holds when no case has a counterexample."""

    cases: tuple[Case, ...]  # input sets differ from case to case
    input_size: int
    output_size: int
    source: str = ""  # path of the file, "" when built in memory
    joint: bool = False  # polyhedra are over (y, x): some assertion mixes outputs and inputs; see Query
    text: str = ""  # the VNN-LIB text, whose decimals a witness is written with


def _below(a: Any, b: Any, strict: Array) -> Any:
    """a <= b, or a < b where strict, elementwise."""
    return np.where(strict, a < b, a <= b)


def _fill(owner: Any, name: str, count: int) -> None:
    """Give a mask of strict rows its default; a frozen dataclass' own way to set a field."""
    given = getattr(owner, name)
    mask = np.zeros(count, dtype=bool) if given is None else np.asarray(given, dtype=bool)
    if mask.shape != (count,):
        raise ValueError(f"{name}: a mask of shape {mask.shape}, expected {(count,)}")
    object.__setattr__(owner, name, mask)
