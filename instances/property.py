"""Properties: input sets and forbidden output sets, as VNN-LIB states them, in one normal form.

A VNN-LIB file asks whether some input x and output y = f(x) satisfy its assertions. The normal form is a list of
*cases*, one per input set: x in a box (with optional half-spaces) and y in a union of polyhedra {C y <= d}.
The property holds (`unsat`) when no case has a solution.

Each bound and each row may be *strict*, `<` in the place of `<=`. Searches may take all of them for closed, which
only makes more to refute; what is called a solution satisfies them as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from .checks import finite_array, plain, whole_number
from .declarations import Declared
from .errors import PropertyError
from .network import Array
from .norm_ball import NormBall

__all__ = ["Case", "Equality", "InputSet", "Polyhedron", "Property", "Question"]

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

    @staticmethod
    def of_checked(region: InputSet, forbidden: tuple[Polyhedron, ...]) -> Case:
        """The case of polyhedra that are known to have as many columns; nothing is checked."""
        case: Case = _of_checked(Case, region=region, forbidden=forbidden)
        return case


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

    @staticmethod
    def robustness(
        x: Any, epsilon: float, label: int, norm: float = np.inf, lower: Any = -np.inf, upper: Any = np.inf
    ) -> Question:
        """Output `label` is the only largest one for all inputs around x: forbidden are y_j >= y_label, j != label.

        x: an input of any shape, read in C order; epsilon: radius of the ball in `norm` (1, 2 or inf); lower, upper:
        of valid inputs, numbers or shaped like x. Raises PropertyError for other values, and as `InputSet.around`;
        where a network has no output `label`, or only one output, when it is asked.
        """
        centre = _numbers(x, "robustness: x")
        ends = [_shaped_like(end, centre, f"robustness: {name}") for name, end in (("lower", lower), ("upper", upper))]
        region = InputSet.around(centre.ravel(), epsilon, norm, *ends)
        label = plain(label)
        whole_number(label, 0, "robustness: label", PropertyError)

        def forbidden(outputs: int) -> tuple[Polyhedron, ...]:
            if not label < outputs or outputs < 2:
                raise PropertyError(f"robustness of output {label}: the network has {outputs}, counted from 0")
            rows = np.eye(outputs)[label] - np.delete(np.eye(outputs), label, axis=0)
            return tuple(Polyhedron(row[None], np.zeros(1)) for row in rows)

        return Question(region, forbidden, centre.shape)

    @staticmethod
    def output_range(lower: Any, upper: Any, inputs: Any) -> Question:
        """All outputs lie in [lower, upper]: forbidden are y_i < lower_i and y_i > upper_i.

        lower, upper: numbers, or one for each output; infinities where there is no bound. inputs: InputSet, or a pair
        of lower and upper ends of any shape. Raises PropertyError for other values.
        """
        region, shape = _inputs(inputs, "output_range: inputs")

        def forbidden(outputs: int) -> tuple[Polyhedron, ...]:
            rows, rhs = _sides(lower, upper, outputs, "output_range")
            strict = np.ones(1, dtype=bool)
            return tuple(Polyhedron(-r[None], -d, strict) for r, d in zip(rows, rhs[:, None], strict=True))

        return Question(region, forbidden, shape)

    @staticmethod
    def reach(lower: Any, upper: Any, inputs: Any) -> Question:
        """No output lies in the box [lower, upper] (ends included), which is forbidden: `sat` is an input that does.

        lower, upper, inputs: as for `output_range`. Raises PropertyError as that does.
        """
        region, shape = _inputs(inputs, "reach: inputs")
        return Question(region, lambda outputs: (Polyhedron(*_sides(lower, upper, outputs, "reach")),), shape)


@dataclass(frozen=True, eq=False)
class Question:
    """A property of networks with any number of outputs: what `Property.robustness` and its like return."""

    region: InputSet
    forbidden: Callable[[int], tuple[Polyhedron, ...]]  # number of outputs -> what is forbidden
    input_shape: tuple[int, ...]  # in which the inputs were given

    def about(self, input_size: int, output_size: int) -> Property:
        """The property for a network of these sizes. Raises PropertyError where they do not fit."""
        if self.region.size != input_size:
            given = f"inputs of shape {self.input_shape}" if self.input_shape else f"{self.region.size} inputs"
            raise PropertyError(f"property: {given}, but the network has {input_size} inputs")
        return Property((Case(self.region, self.forbidden(output_size)),), input_size, output_size)


def _inputs(given: Any, name: str) -> tuple[InputSet, tuple[int, ...]]:
    """An input set, or the box of a pair; and the shape of its ends."""
    if isinstance(given, InputSet):
        return given, (given.size,)
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise PropertyError(f"{name}: expected an InputSet or a pair (lower, upper)")
    lower, upper = (_numbers(end, f"{name}, {side}") for end, side in zip(given, ("lower", "upper"), strict=True))
    if lower.shape != upper.shape:
        raise PropertyError(f"{name}: lower of shape {lower.shape}, upper of shape {upper.shape}")
    return InputSet.box(lower.ravel(), upper.ravel()), lower.shape


def _sides(lower: Any, upper: Any, outputs: int, name: str) -> tuple[Array, Array]:
    """Rows and right-hand sides of lower <= y <= upper, infinite ends left out: [m, outputs], [m]."""
    like, eye = np.zeros(outputs), np.eye(outputs)
    low, high = _shaped_like(lower, like, f"{name}: lower"), _shaped_like(upper, like, f"{name}: upper")
    if np.any(low > high) or np.any(low == np.inf) or np.any(high == -np.inf):
        raise PropertyError(f"{name}: lower {lower} exceeds upper {upper}, or an end is beyond all numbers")
    rows = np.concatenate([-eye[np.isfinite(low)], eye[np.isfinite(high)]])
    return rows, np.concatenate([-low[np.isfinite(low)], high[np.isfinite(high)]])


def _shaped_like(value: Any, like: Array, name: str) -> Array:
    """A number, or numbers in the shape of `like`, as a flat array; infinities pass, NaN does not."""
    given = _array(value, name)
    if given.shape not in ((), like.shape):
        raise PropertyError(f"{name}: shape {given.shape}, expected a number or shape {like.shape}")
    if np.isnan(given).any():
        raise PropertyError(f"{name}: NaN, expected numbers")
    return np.broadcast_to(given, like.shape).ravel()


def _numbers(value: Any, name: str) -> Array:
    """Finite numbers of any shape but none, as float64."""
    given = _array(value, name)
    return np.asarray(finite_array(given, (None,) * max(given.ndim, 1), name, PropertyError))


def _array(value: Any, name: str) -> Array:
    try:
        array = np.asarray(plain(value))
    except ValueError:  # lists of different lengths
        raise PropertyError(f"{name}: expected numbers, its rows are of different lengths") from None
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        raise PropertyError(f"{name}: entries of type {array.dtype}, expected numbers that float64 holds")
    return array.astype(np.float64)


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
