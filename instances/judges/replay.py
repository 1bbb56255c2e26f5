"""Replay: a candidate input is a counterexample only if the ONNX file itself says so, with no tolerance.

The candidate is rounded to the type that the file takes (float32 as a rule) *inside* the box, the
half-spaces and the norm ball are checked exactly, onnxruntime runs the file, and the outputs it gives are put into the
forbidden rows exactly. float64 decides the rows that are clear of its own rounding error, Fractions the
others.

In an input set with equalities the input is the rounding of a real point of the set (`real_points`).

Where an interval of the box holds no float32 at all (an input fixed to 0.1), the float32 nearest to the
interval is taken, as the competition's checkers accept, and the witness is flagged `rounded`.

A network built in memory has no file to run. There the candidate stays float64, and f(x) is the real-valued
network's, enclosed in float64 with a rigorous radius and, where that does not decide, evaluated exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, ReplayError
from ..network import Array, Network
from ..property import Case, InputSet, Polyhedron
from ..rewriting.elimination import solved
from ..rounding import TINY, UNIT, UP
from .exact_evaluation import enclose, exact_output
from .joined import JoinedSession
from .real_points import real_points
from .runtime import Float, Grid, Session
from .witness import Witness

__all__ = ["Replay", "Witness", "round_into"]

FREE = "as it is"  # in place of a type of numbers
# integer types by their numbers in onnx.TensorProto
_INTEGERS: dict[int, Any] = {
    2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16, 6: np.int32, 7: np.int64, 12: np.uint32, 13: np.uint64,
}  # fmt: skip
_Exact = Callable[[], Sequence[float | Fraction] | None]
_Output = Callable[[Array], tuple[Array, Array, _Exact]]


class Replay:
    """Checks candidate inputs of one network.

    model: path of the ONNX file (found as `path` or `path`.gz), its bytes, or None for `network.source`;
    with neither, the network counts as built in memory. Of several networks side by side each has its own file. The
    onnxruntime session starts with the first candidate, one thread, quiet.
    """

    def __init__(self, network: Network, model: str | Path | bytes | None = None) -> None:
        self.network = network
        sources = tuple(part.source for part in network.parts)
        self.model = model if model is not None else sources if all(sources) and sources else network.source or None
        self.name = str(self.model) if isinstance(self.model, (str, Path)) else network.source or "the model"
        self._session: Session | JoinedSession | None = None
        self._failure = ""  # why there is no session

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_session": None}  # sessions cannot travel to another process

    @property
    def session(self) -> Session | JoinedSession:
        """The running model; started when first asked for."""
        if self._session is None:
            if self.model is None:
                raise InputError("the network was built in memory: there is no ONNX file to run")
            if self._failure:
                raise ReplayError(self._failure)
            try:
                self._session = self._start(self.model)
            except ReplayError as error:
                self._failure = str(error)
                raise
        return self._session

    def _start(self, model: str | Path | bytes | tuple[str, ...]) -> Session | JoinedSession:
        if not isinstance(model, tuple):
            return Session(model, self.name, self.network)
        parts = self.network.parts
        sessions = [Session(source, source, part) for source, part in zip(model, parts, strict=True)]
        return JoinedSession(sessions, [part.input_size for part in parts])

    @property
    def note(self) -> str:
        """How what was run differs from the file, "" for not at all, or where nothing was run."""
        return self._session.note if self._session else ""

    def check(self, case: Case, x: Array, joint: bool = False) -> Witness | None:
        """The witness that candidate x [n] float64 rounds to, or None if that is no counterexample.

        joint: the forbidden polyhedra are over (y, x), as Property.joint says.
        Raises ReplayError where the file cannot be loaded or run.
        """
        if self.model is None:
            return self._decided(case, x, joint, np.float64, self._enclosed)
        witness = self._decided(case, x, joint, self.session.grid, self._replayed)
        if witness and self.network.readout and not self._decided(case, witness.input, joint, FREE, self._enclosed):
            return None  # a softmax in floats makes equal what is not
        return witness

    def is_real_counterexample(self, case: Case, x: Array, joint: bool = False) -> bool:
        """Whether the real-valued network sends x [n], rounded to float32, into the forbidden set; nothing is run.

        Inputs that are integers in the file are rounded to integers.
        """
        return self._decided(case, x, joint, self._plain_grid(), self._enclosed) is not None

    def _plain_grid(self) -> Grid:
        """float32 for all inputs but those that are integers."""
        ends = np.cumsum([port.size for port in self.network.inputs]).tolist()
        return tuple(
            (slice(end - port.size, end), _INTEGERS.get(port.element, np.float32))
            for port, end in zip(self.network.inputs, ends, strict=True)
        ) or ((slice(None), np.float32),)

    def _decided(self, case: Case, x: Array, joint: bool, dtype: Any, output: _Output) -> Witness | None:
        """See `check`; output: x -> f(x) in float64, a bound on its error, and a callable that gives it exactly.

        dtype: one type for all inputs, or a grid; FREE takes x, which is a witness's input, as it is.
        """
        region = case.region
        if dtype is FREE:
            return _forbidden(case, x, False, joint, output)
        if solution := solved(region):
            for real, point, rounded in real_points(region, solution, x, dtype):
                if (rounded and self.model is None) or not (region.ball is None or region.ball.contains(point)):
                    continue
                if found := _forbidden(case, point, rounded, joint, output):
                    return replace(found, real=tuple(real)) if rounded else found
            return None
        x, rounded = round_into(region, x, dtype)
        if not np.all(np.isfinite(x)):
            return None
        if np.any((region.lower == region.upper) & (region.strict_lower | region.strict_upper)):
            return None
        if rounded and self.model is None and not region.contains(x):
            return None  # nobody rounds what was built in memory
        halfspaces = Polyhedron(-region.rows, region.offsets, region.strict)
        if not _contains(halfspaces, x, np.zeros(len(x)), x.tolist):
            return None
        if region.ball is not None and not region.ball.contains(x):
            return None
        return _forbidden(case, x, rounded, joint, output)

    def run(self, x: Array) -> Array:
        """Outputs [B, m] of the file for inputs x [B, n], in the model's own types (float32 as a rule).

        Models that take batches get them whole; the last bits can then differ from those of single inputs,
        which are what `check` uses. For a network built in memory: its float64 evaluation.
        """
        return self.network.evaluate(x) if self.model is None else self.session.run(x)

    def _enclosed(self, x: Array) -> tuple[Array, Array, _Exact]:
        """The real-valued network's output, exactly where it can be had."""
        y, radius = enclose(self.network, x)
        return y, radius, cache(lambda: exact_output(self.network, x))

    def _replayed(self, x: Array) -> tuple[Array, Array, _Exact]:
        """The file's own output."""
        y = self.session.single(x).astype(np.float64)
        return y, np.zeros(len(y)), y.tolist


def _forbidden(case: Case, x: Array, rounded: bool, joint: bool, output: _Output) -> Witness | None:
    """The witness that input x [n] is, if its output is forbidden."""
    if not np.all(np.isfinite(x)):
        return None
    y, radius, exact = output(x)
    if not np.all(np.isfinite(y)):
        return None
    point = np.concatenate([y, x]) if joint else y
    if joint:
        radius, exact = np.pad(radius, (0, len(x))), _followed_by(exact, x)
    found = (_contains(polyhedron, point, radius, exact) for polyhedron in case.forbidden)
    hit = next((k for k, inside in enumerate(found) if inside), None)
    return None if hit is None else Witness(x, y, rounded, disjunct=hit)


def round_into(region: InputSet, x: Array, dtype: Float | Grid = np.float32) -> tuple[Array, bool]:
    """x [n] rounded to `dtype` inside the box of `region`, as float64; and whether a coordinate could not be.

    Per coordinate: the value of `dtype` nearest to x among those in [lower, upper], without the ends that are strict.
    Where there is none, the one nearest to the interval; NaN where the type is of integers, which nothing stands for.
    dtype: a float type, or a grid of types of parts of x.
    """
    if isinstance(dtype, tuple) and len(dtype) == 1:
        return _rounded(region, x, dtype[0][1])
    if not isinstance(dtype, tuple):
        return _rounded(region, x, dtype)
    result, any_rounded = np.array(x, dtype=np.float64), False
    for part, kind in dtype:
        size = len(region.lower[part])
        box = InputSet(
            region.lower[part], region.upper[part], np.zeros((0, size)), np.zeros(0),
            strict_lower=region.strict_lower[part], strict_upper=region.strict_upper[part],
        )  # fmt: skip
        result[part], rounded = _rounded(box, x[part], kind)
        any_rounded = any_rounded or rounded
    return result, any_rounded


def _whole(region: InputSet, x: Array, kind: Any) -> tuple[Array, bool]:
    """x rounded to integers of a type inside the box, NaN where it holds none."""
    low, high = np.ceil(region.lower), np.floor(region.upper)
    low = np.where(region.strict_lower & (low == region.lower), low + 1.0, low)
    high = np.where(region.strict_upper & (high == region.upper), high - 1.0, high)
    least, most = float(np.iinfo(kind).min), float(np.iinfo(kind).max)
    most = most if most < 2.0**53 else float(np.nextafter(most, 0.0))  # the float of 2**63 - 1 is 2**63
    low, high = np.maximum(low, least), np.minimum(high, most)
    return np.where(low <= high, np.clip(np.rint(x), low, high), np.nan), False


def _rounded(region: InputSet, x: Array, dtype: Any) -> tuple[Array, bool]:
    """`round_into` for one type."""
    if np.dtype(dtype).kind in "iu":
        return _whole(region, x, dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        lower = np.where(region.strict_lower, np.nextafter(region.lower, np.inf), region.lower)
        upper = np.where(region.strict_upper, np.nextafter(region.upper, -np.inf), region.upper)
        none = lower > upper  # not even a float64 lies between
        lower, upper = np.where(none, region.lower, lower), np.where(none, region.upper, upper)
        near: Any = np.clip(x, lower, upper).astype(dtype)
        near = np.where(near < lower, np.nextafter(near, dtype(np.inf)), near)
        near = np.where(near > upper, np.nextafter(near, dtype(-np.inf)), near)
        below = near < lower
        if not below.any():
            return np.asarray(near, dtype=np.float64), bool(none.any())
        above = np.nextafter(near, dtype(np.inf))  # no value lies between: this one is over `upper`
        pick = below & (above.astype(np.float64) - upper < lower - near.astype(np.float64))
        return np.where(pick, above, near).astype(np.float64), True


@np.errstate(over="ignore", invalid="ignore")  # what is not finite is left to the exact numbers
def _contains(polyhedron: Polyhedron, values: Array, radii: Array, exact: _Exact) -> bool:
    """Whether the numbers that `values` [k] stands for, up to `radii` [k], surely lie in the polyhedron.

    A row whose float64 margin exceeds any error of it is decided by that, the others by the exact numbers.
    """
    rows, rhs, strict = polyhedron.rows, polyhedron.rhs, polyhedron.strict
    if not len(rows):
        return True
    absolute = np.abs(rows)
    size = absolute @ (np.abs(values) + radii) + np.abs(rhs)
    # Twice Higham's gamma for a sum of k + 1 terms, and the underflow of its products.
    slack = (2.0 * (rows.shape[1] + 4) * UNIT) * size + absolute @ radii * UP + TINY
    margins = rows @ values - rhs
    if np.any(margins > slack):
        return False
    open_rows = np.flatnonzero(~(margins <= -slack))
    if not len(open_rows):
        return True
    numbers = exact()
    if numbers is None:
        return False
    return all(_row_holds(rows[i], float(rhs[i]), bool(strict[i]), numbers) for i in open_rows)


def _followed_by(exact: _Exact, x: Array) -> _Exact:
    """The numbers of `exact` with x behind them, for rows over (y, x)."""

    def both() -> Sequence[float | Fraction] | None:
        numbers = exact()
        return None if numbers is None else [*numbers, *x.tolist()]

    return both


def _row_holds(row: Array, rhs: float, strict: bool, numbers: Sequence[float | Fraction]) -> bool:
    """row @ numbers <= rhs, < where strict, in rational arithmetic."""
    used = np.flatnonzero(row).tolist()
    value = sum(Fraction(float(row[i])) * Fraction(numbers[i]) for i in used)
    return value < Fraction(rhs) if strict else value <= Fraction(rhs)
