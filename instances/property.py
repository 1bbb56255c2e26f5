"""Properties: input sets and forbidden output sets, as VNN-LIB states them, in one normal form.

A VNN-LIB file asks whether some input x and output y = f(x) satisfy its assertions. The normal form is a list of
*cases*, one per input set: x in a box (with optional half-spaces) and y in a union of polyhedra {C y <= d}.
The property holds (`unsat`) when no case has a solution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .network import Array

__all__ = ["Case", "InputSet", "Polyhedron", "Property"]


@dataclass(frozen=True, eq=False)
class InputSet:
    """The polytope {x : lower <= x <= upper, rows @ x + offsets >= 0}."""

    lower: Array  # [n], finite
    upper: Array  # [n], finite, >= lower
    rows: Array  # [g, n] normals of half-spaces; g may be 0
    offsets: Array  # [g]

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
        inside = bool(np.all(x >= self.lower) and np.all(x <= self.upper))
        return inside and bool(np.all(self.rows @ x + self.offsets >= 0.0))


@dataclass(frozen=True, eq=False)
class Polyhedron:
    """The set {y : rows @ y <= rhs} of outputs."""

    rows: Array  # [m, outputs]
    rhs: Array  # [m]

    def contains(self, y: Array) -> bool:
        """Whether y lies in it, with no tolerance.

        y: float32 or float64 outputs; products and sums are formed in float64, which is exact for the rows of
        all known benchmarks (coefficients +1 and -1 on float32 outputs, at most two terms).
        """
        return bool(np.all(self.rows @ np.asarray(y, dtype=np.float64) <= self.rhs))


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
