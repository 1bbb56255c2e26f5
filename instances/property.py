"""Properties: input sets and forbidden output sets, as VNN-LIB states them, in one normal form.

A VNN-LIB file asks whether some input x and output y = f(x) satisfy its assertions. The normal form is a list of
*cases*, one per input set: x in a box (with optional half-spaces) and y in a union of polyhedra {C y <= d}.
The property holds (`unsat`) when no case has a solution.

Each bound and each row may be *strict*, `<` in the place of `<=`. Searches may take all of them for closed, which
only makes more to refute; what is called a solution satisfies them as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from .checks import finite_array, whole_number
from .declarations import Declared
from .errors import PropertyError
from .network import Array
from .norm_ball import NormBall

__all__ = ["Case", "Equality", "InputSet", "Polyhedron", "Property"]

_CLOSED: Any = None  # default of the masks of strict rows: none is


class Equality(NamedTuple):
    """The hyperplane {sum of coefficient * x_i + constant = 0}; all numbers are exact."""

    terms: tuple[tuple[int, Fraction], ...]  # input, coefficient that is not zero; each input at most once
    constant: Fraction


@dataclass(frozen=True, eq=False)
class InputSet:
    """The polytope {x : lower <= x <= upper, rows @ x + offsets >= 0}, without the faces that are strict.

    With a `ball` it is what of the polytope lies in the ball, exactly; see `around` for balls with their box.
    Its `equal` are equalities that two of the rows each state, up to outward rounding of their offsets; a pair of
    opposite rows without rounding is one, named or not.
    Raises PropertyError where a field is not what is said below; numbers of other types become float64.
    """

    lower: Array  # [n], finite
    upper: Array  # [n], finite, >= lower
    rows: Array  # [g, n] normals of half-spaces; g may be 0
    offsets: Array  # [g]
    strict_lower: Array = field(default=_CLOSED)  # [n] bool: x > lower
    strict_upper: Array = field(default=_CLOSED)  # [n] bool: x < upper
    strict: Array = field(default=_CLOSED)  # [g] bool: rows @ x + offsets > 0
    ball: NormBall | None = None  # of l1 or l2, of n inputs
    equal: tuple[Equality, ...] = ()

    def __post_init__(self) -> None:
        lower = finite_array(self.lower, (None,), "input set: lower", PropertyError)
        upper = finite_array(self.upper, lower.shape, "input set: upper", PropertyError)
        rows = finite_array(self.rows, (None, len(lower)), "input set: rows", PropertyError)
        offsets = finite_array(self.offsets, rows.shape[:1], "input set: offsets", PropertyError)
        crossed = np.flatnonzero(lower > upper)
        if len(crossed):
            i = int(crossed[0])
            raise PropertyError(f"input set: lower {lower[i]} of input {i} exceeds its upper {upper[i]}")
        for name, array in (("lower", lower), ("upper", upper), ("rows", rows), ("offsets", offsets)):
            object.__setattr__(self, name, array)
        for name, count in (("strict_lower", len(lower)), ("strict_upper", len(lower)), ("strict", len(rows))):
            _fill(self, name, count, "input set")
        if self.ball is not None and len(self.ball.centre) != len(lower):
            raise PropertyError(f"input set: a ball of {len(self.ball.centre)} inputs, expected {len(lower)}")

    @staticmethod
    def around(
        centre: Array, radius: float, norm: float = np.inf, lower: float | Array = -np.inf,
        upper: float | Array = np.inf,
    ) -> InputSet:  # fmt: skip
        """All x with ||x - centre||_norm <= radius and lower <= x <= upper.

        centre: [n]; radius: >= 0; norm: 1, 2 or inf; lower, upper: numbers or [n]. The box is rounded outwards.
        Raises PropertyError for other values, and where nothing is left between lower and upper.
        """
        ball = NormBall(centre, radius, 2 if norm == np.inf else norm)  # type: ignore[arg-type]
        low, high = np.nextafter(ball.centre - ball.radius, -np.inf), np.nextafter(ball.centre + ball.radius, np.inf)
        ends = np.maximum(low, lower), np.minimum(high, upper)
        return replace(InputSet.box(*ends), ball=None if norm == np.inf else ball)

    @property
    def searched(self) -> InputSet:
        """The same set as a search wants it: the box no larger than the ball's, rounded outward, and no ball that holds
        all of the box. Where box and ball do not meet nothing is changed."""
        ball = self.ball
        if ball is None:
            return self
        if ball.covers(self.lower, self.upper):
            return replace(self, ball=None)
        low, high = np.nextafter(ball.centre - ball.radius, -np.inf), np.nextafter(ball.centre + ball.radius, np.inf)
        lower, upper = np.maximum(self.lower, low), np.minimum(self.upper, high)
        if not (np.isfinite(lower).all() and np.isfinite(upper).all()) or (lower > upper).any():
            return self
        return replace(
            self, lower=lower, upper=upper, strict_lower=self.strict_lower & (lower == self.lower),
            strict_upper=self.strict_upper & (upper == self.upper),
        )  # fmt: skip

    @staticmethod
    def box(lower: Array, upper: Array) -> InputSet:
        """A box without half-spaces."""
        return InputSet(lower, upper, np.zeros((0, np.size(lower))), np.zeros(0))

    @staticmethod
    def box_of_checked(lower: Array, upper: Array, strict_lower: Array, strict_upper: Array) -> InputSet:
        """The box of arrays that are known to be what the class asks for; nothing is checked."""
        none = np.zeros(0)
        return _of_checked(
            InputSet, lower=lower, upper=upper, rows=none.reshape(0, len(lower)), offsets=none,
            strict_lower=strict_lower, strict_upper=strict_upper, strict=none.astype(bool), ball=None, equal=(),
        )  # fmt: skip

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
            and (self.ball is None or self.ball.contains(x))
        )


@dataclass(frozen=True, eq=False)
class Polyhedron:
    """The set {y : rows @ y <= rhs} of outputs, < in the rows that are strict.

    Raises PropertyError where a field is not what is said below; numbers of other types become float64.
    """

    rows: Array  # [m, outputs], finite
    rhs: Array  # [m], finite
    strict: Array = field(default=_CLOSED)  # [m] bool

    def __post_init__(self) -> None:
        rows = finite_array(self.rows, (None, None), "polyhedron: rows", PropertyError)
        rhs = finite_array(self.rhs, rows.shape[:1], "polyhedron: rhs", PropertyError)
        object.__setattr__(self, "rows", rows)
        object.__setattr__(self, "rhs", rhs)
        _fill(self, "strict", len(rhs), "polyhedron")

    @staticmethod
    def of_checked(rows: Array, rhs: Array, strict: Array) -> Polyhedron:
        """The polyhedron of float64 arrays that are known to be what the class asks for; nothing is checked."""
        return _of_checked(Polyhedron, rows=rows, rhs=rhs, strict=strict)

    def contains(self, y: Array) -> bool:
        """Whether y lies in it, with no tolerance.

        y: float32 or float64 outputs; products and sums are formed in float64, which is exact for the rows of
        all known benchmarks (coefficients +1 and -1 on float32 outputs, at most two terms).
        """
        return bool(np.all(_below(self.rows @ np.asarray(y, dtype=np.float64), self.rhs, self.strict)))


@dataclass(frozen=True, eq=False)
class Case:
    """Some x in `region` with f(x) in one of `forbidden` is a counterexample.

    Raises PropertyError where polyhedra have different numbers of columns.
    """

    region: InputSet
    forbidden: tuple[Polyhedron, ...]  # a union, of none too; a polyhedron without rows forbids every output

    def __post_init__(self) -> None:
        if not isinstance(self.region, InputSet):
            raise PropertyError(f"case: region of type {type(self.region).__name__}, expected an InputSet")
        polyhedra = self.forbidden
        if not isinstance(polyhedra, tuple) or not all(isinstance(p, Polyhedron) for p in polyhedra):
            raise PropertyError("case: forbidden, expected a tuple of Polyhedron")
        widths = sorted({p.rows.shape[1] for p in polyhedra if len(p.rows)})
        if len(widths) > 1:
            raise PropertyError(f"case: polyhedra over {' and '.join(map(str, widths))} outputs, expected one number")


@dataclass(frozen=True, eq=False)
class Property:
    """All cases of a VNN-LIB file. It holds when no case has a counterexample.

    Raises PropertyError where a case does not fit the sizes.
    """

    cases: tuple[Case, ...]  # input sets differ from case to case
    input_size: int
    output_size: int
    source: str = ""  # path of the file, "" when built in memory
    joint: bool = False  # polyhedra are over (y, x): some assertion mixes outputs and inputs; see Query
    text: str = ""  # the VNN-LIB text, whose decimals a witness is written with
    contradiction: str = ""  # why no input satisfies the text, "" where some may; there are no cases then
    networks: tuple[Declared, ...] = ()  # of VNN-LIB 2: what x and y are made of; else one network
    notes: tuple[str, ...] = ()  # what a reader of the verdict must know besides

    def name_of(self, i: int, is_input: bool = True) -> str:
        """Input (or output) i as the text writes it: X_3, or of VNN-LIB 2 X[0,3]."""
        tensors = (t for declared in self.networks for t in declared.tensors if t.is_input == is_input)
        plain = f"{'X' if is_input else 'Y'}_{i}"
        return next((t.element(i - t.first) for t in tensors if 0 <= i - t.first < t.size), plain)

    def __post_init__(self) -> None:
        whole_number(self.input_size, 1, "property: input_size", PropertyError)
        whole_number(self.output_size, 1, "property: output_size", PropertyError)
        if not isinstance(self.cases, tuple) or not all(isinstance(case, Case) for case in self.cases):
            raise PropertyError("property: cases, expected a tuple of Case")
        width = self.output_size + (self.input_size if self.joint else 0)
        for k, case in enumerate(self.cases):
            if case.region.size != self.input_size:
                raise PropertyError(f"case {k}: {case.region.size} inputs, expected {self.input_size}")
            for p in case.forbidden:
                if len(p.rows) and p.rows.shape[1] != width:
                    raise PropertyError(f"case {k}: a polyhedron of {p.rows.shape[1]} columns, expected {width}")


def _of_checked(kind: Any, **values: Any) -> Any:
    """An object of a frozen class without its constructor: there may be a hundred thousand."""
    made = object.__new__(kind)
    made.__dict__.update(values)
    return made


def _below(a: Any, b: Any, strict: Array) -> Any:
    """a <= b, or a < b where strict, elementwise."""
    return np.where(strict, a < b, a <= b)


def _fill(owner: Any, name: str, count: int, what: str) -> None:
    """Give a mask of strict rows its default; PropertyError unless it is `count` truth values."""
    given = getattr(owner, name)
    mask = np.zeros(count, dtype=bool) if given is None else np.asarray(given)
    if mask.shape != (count,) or mask.dtype != bool:
        raise PropertyError(f"{what}: {name} of type {mask.dtype} and shape {mask.shape}, expected bool, {(count,)}")
    object.__setattr__(owner, name, mask)
