"""The one door to SCIP and to SoPlex, its simplex: what all who use them share, and one policy for what goes wrong.

* `library` is the module itself, imported when first needed; for classes of plug-ins and for constants.
* `new_model`, `set_limits`, `optimise`, `dual_bound`: a silent model, its parameters, a run, its bound.
* `Simplex`: a linear program on SoPlex that keeps its basis.
* `attempt`, `excused`: the policy. A SCIP that raises costs its own time only: its own exceptions, and want of memory,
  become a status "error: ...", are logged, and nothing is claimed. Our own mistakes are raised, those in callbacks too,
  which SCIP's C code cannot pass on. Ctrl-C is KeyboardInterrupt. Numbers that are none (NaN) are no bound.

Nothing that is said here is proved: bounds of LPs come from their multipliers (`safe_lp`), and what a MILP says is
advice. Processes of their own, with their limits, are `milp/process.py`.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ...instances.network import Array

__all__ = [
    "AT_LOWER", "AT_UPPER", "BASIC", "FEASIBILITY", "INFINITY", "Attempt", "Simplex", "attempt", "dual_bound",
    "excused", "failed", "is_scip_error", "library", "new_model", "optimise", "root_bound", "set_limits",
]  # fmt: skip

LOG = logging.getLogger(__name__)

INFINITY = 1e20  # SCIP's
FEASIBILITY = 1e-8  # SCIP's feasibility tolerance; with its default, 1e-6, presolving refuted solvable models
LEAST_SECONDS = 0.01  # that a MILP is given; SCIP takes 0 for no time at all
LEAST_LP_SECONDS = 1e-3  # the same of an LP
LEAST_MB = 1.0  # of SCIP's memory limit
SEEDS = 2**31  # SCIP's seeds lie below
SLICE = 0.25  # seconds that SoPlex, which lets no other thread run, works at a time
AT_LOWER, BASIC, AT_UPPER = 0, 1, 2  # SCIP_BASESTAT
_WALL = 2  # SCIP's clock type; the other one counts the processor time of all threads
_ERROR = "error: "

Entries = Sequence[Sequence[tuple[int, float]]]  # of rows: (column, coefficient)


def library() -> Any:
    """The module pyscipopt; its import takes a while, so it is called where it is needed."""
    import pyscipopt

    return pyscipopt


# ---------------------------------------------------------------- what goes wrong


def is_scip_error(error: BaseException) -> bool:
    """Whether an exception is SCIP's own (pyscipopt raises bare Exceptions for them) and not a mistake of ours."""
    return isinstance(error, MemoryError) or (isinstance(error, Exception) and str(error).startswith("SCIP"))


def excused(error: BaseException) -> str:
    """The status that SCIP's own exception becomes; any other one is raised."""
    if not is_scip_error(error):
        raise error
    LOG.info("SCIP failed: %s", error)
    return f"{_ERROR}{error}"


def failed(status: str) -> bool:
    """Whether a status is that of a SCIP which raised."""
    return status.startswith(_ERROR)


@dataclass
class Attempt:
    """What became of the steps of an `attempt`: the words of their failure, or ""."""

    failure: str = ""


@contextmanager
def attempt() -> Iterator[Attempt]:
    """Steps on SCIP, to be left where it raises; see `excused`.

    >>> with attempt() as outcome:
    ...     raise Exception("SCIP: error in LP solver!")
    >>> outcome.failure
    'error: SCIP: error in LP solver!'
    """
    outcome = Attempt()
    try:
        yield outcome
    except Exception as error:
        outcome.failure = excused(error)


# ---------------------------------------------------------------- mixed-integer programs


class Callback(Protocol):
    """A plug-in that keeps what went wrong in it for the caller."""

    failure: BaseException | None


def new_model() -> Any:
    """An empty model that prints nothing."""
    model = library().Model()
    model.hideOutput()
    return model


def set_limits(model: Any, memory_mb: float, threads: int, seed: int) -> None:
    """The parameters that all models share, the time aside. threads: of the LP solver."""
    model.setParam("numerics/feastol", FEASIBILITY)
    model.setParam("limits/memory", max(float(memory_mb), LEAST_MB))
    model.setParam("lp/threads", int(threads))
    model.setParam("randomization/randomseedshift", int(seed) % SEEDS)


def optimise(
    model: Any, seconds: float, callbacks: Iterable[Callback] = (), stopped: Callable[[], bool] = lambda: False
) -> str:
    """Let SCIP work; returns its status, or that of `excused`. Other threads run meanwhile.

    stopped: whether a callback of ours has ended it; asked only where SCIP was interrupted. Raises what a callback has
    kept, and KeyboardInterrupt where somebody else has interrupted it.
    """
    model.setParam("limits/time", max(seconds, LEAST_SECONDS))
    raised: Exception | None = None
    try:
        model.optimizeNogil()
    except Exception as error:
        raised = error
    for callback in callbacks:
        if callback.failure is not None:
            raise callback.failure from raised
    if raised is not None:
        return excused(raised)
    status = str(model.getStatus())
    if status == "userinterrupt" and not stopped():
        raise KeyboardInterrupt
    return status


def dual_bound(model: Any) -> float:
    """SCIP's dual bound; -inf where it never began."""
    return _finite(float(model.getDualbound())) if _begun(model) else -math.inf


def root_bound(model: Any) -> float:
    """The same as it was when the root was left; -inf where it was never reached."""
    return _finite(float(model.getDualboundRoot())) if _begun(model) else -math.inf


def _begun(model: Any) -> bool:
    """Whether there is a transformed problem; asked for bounds without one, SCIP ends the process."""
    return int(model.getStage()) >= int(library().SCIP_STAGE.TRANSFORMED)


def _finite(value: float) -> float:
    """SCIP's infinity is infinite, and what is no number is no bound."""
    if math.isnan(value):
        return -math.inf
    return value if abs(value) < INFINITY else math.copysign(math.inf, value)


# ---------------------------------------------------------------- linear programs


class Simplex:
    """min c'v on SoPlex; it goes on from the last basis. A free end is infinite.

    A change that SoPlex fails at leaves a program that nobody knows: from then on `solve` says so, `failure` why.
    """

    def __init__(self) -> None:
        self.parameters = library().SCIP_LPPARAM
        self.lp = library().LP()
        self.lp.setIntParam(self.parameters.TIMING, _WALL)
        self.huge = float(self.lp.infinity())
        self.columns = self.rows = 0
        self.failure = ""

    def add_columns(self, costs: Array, lower: Array, upper: Array) -> None:
        """Append columns."""
        ends = np.maximum(lower, -self.huge).tolist(), np.minimum(upper, self.huge).tolist()
        self._change(lambda: self.lp.addCols([[]] * len(costs), costs.tolist(), *ends))
        self.columns += len(costs)

    def add_rows(self, entries: Entries, low: Array, high: Array) -> None:
        """Append rows low <= entries <= high."""
        ends = np.maximum(low, -self.huge).tolist(), np.minimum(high, self.huge).tolist()
        self._change(lambda: self.lp.addRows(entries, *ends))
        self.rows += len(entries)

    def change_bounds(self, index: Array, lower: Array, upper: Array) -> None:
        """New ends of the columns `index`."""
        ends = np.maximum(lower, -self.huge).tolist(), np.minimum(upper, self.huge).tolist()
        self._change_each(self.lp.chgBound, index, *ends)

    def change_sides(self, index: Array, low: Array, high: Array) -> None:
        """New sides of the rows `index`."""
        ends = np.maximum(low, -self.huge).tolist(), np.minimum(high, self.huge).tolist()
        self._change_each(self.lp.chgSide, index, *ends)

    def change_costs(self, index: Array, costs: Array) -> None:
        """New objective of the columns `index`."""
        self._change_each(self.lp.chgObj, index, costs.tolist())

    def change_coefficients(self, rows: Array, columns: Array, values: Array) -> None:
        """New entries."""
        self._change_each(self.lp.chgCoef, rows, columns.tolist(), values.tolist())

    def solve(self, seconds: float, dual: bool = True) -> str:
        """Solve by the dual or primal simplex: "optimal", "infeasible", "stopped" or an error's words.

        In slices that go on from each other's basis, so that other threads hear of it when the time is over. Where one
        simplex breaks down over its basis the other one is asked once.
        """
        if self.failure:
            return self.failure
        began = time.monotonic()
        status, broken = self._solved(seconds, dual)
        left = seconds - (time.monotonic() - began)
        return self._solved(left, not dual)[0] if broken and left > 0.0 else status

    def _solved(self, seconds: float, dual: bool) -> tuple[str, bool]:
        """(see `solve`, whether the solver broke down)."""
        status = "stopped"
        with attempt() as outcome:
            self._run(seconds, dual)
            if self.lp.isOptimal():
                status = "optimal"
            elif self.lp.isDualFeasible() or self.lp.getDualRay() is not None:
                status = "infeasible"
        return outcome.failure or status, bool(outcome.failure)

    def _run(self, seconds: float, dual: bool) -> None:
        end, length, setup = time.monotonic() + seconds, SLICE, 0.0
        while True:
            began = time.monotonic()
            self.lp.setRealParam(self.parameters.LPTILIM, max(min(length, end - began), LEAST_LP_SECONDS))
            self.lp.solve(dual)
            now = time.monotonic()
            if self.lp.isOptimal() or now - began < length:
                break
            if not self.lp.getNIterations():  # the slice went into setting up, which looks at no clock
                setup = now - began
                length = 2.0 * max(length, setup)
            if now + setup >= end:  # another one would end too late
                break

    def duals(self) -> Array:
        """[rows] the last solve's multipliers; 0, of which nothing follows, where there are none."""
        found = self._ask(self.lp.getDual)
        return np.zeros(self.rows) if found is None else found

    def ray(self) -> Array | None:
        """[rows] multipliers that prove infeasibility, if it has some."""
        return self._ask(self.lp.getDualRay)

    def point(self) -> Array:
        """[columns] the last solve's values; 0 where there are none."""
        found = self._ask(self.lp.getPrimal)
        return np.zeros(self.columns) if found is None else found

    def reduced_costs(self) -> Array:
        """[columns] of the last solve; 0 where there are none."""
        found = self._ask(self.lp.getRedcost)
        return np.zeros(self.columns) if found is None else found

    def iterations(self) -> int:
        """Simplex steps of the last solve."""
        with attempt():
            return int(self.lp.getNIterations())
        return 0

    def basis(self) -> tuple[list[int], list[int]] | None:
        """Statuses of columns and rows, AT_LOWER and BASIC among them; None where there are none."""
        with attempt():
            columns, rows = self.lp.getBase()
            return columns, rows
        return None

    def set_basis(self, columns: list[int], rows: list[int]) -> None:
        """Where the next solve begins."""
        self._change(lambda: self.lp.setBase(columns, rows))

    def _ask(self, getter: Callable[[], Any]) -> Array | None:
        with attempt():
            found = getter()
            return None if found is None else np.array(found)
        return None

    def _change_each(self, setter: Callable[..., None], index: Array, *values: list[Any]) -> None:
        def change() -> None:
            for one in zip(index.tolist(), *values, strict=True):
                setter(*one)

        self._change(change)

    def _change(self, change: Callable[[], None]) -> None:
        if self.failure:
            return
        with attempt() as outcome:
            change()
        self.failure = outcome.failure
