"""What linear bounds say about a batch of nodes, and how they are asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, Self

import numpy as np

from ...instances.batch import Batch
from ...instances.network import Array
from ...instances.query import Query
from ...instances.rounding import TINY_SQUARE, UP

__all__ = [
    "Bounds", "LinearBoundOptions", "MarginFunctions", "MeanFunctions", "at_least", "at_most", "middle_and_radius",
    "norm", "smallest_margins", "suspicious_rows",
]  # fmt: skip


class LinearBoundOptions(NamedTuple):
    """How linear bounds are computed."""

    slopes: str = "adaptive"  # lower slopes of unstable ReLUs: "adaptive" (CROWN) or "parallel" (Fast-Lin)
    hidden: bool = True  # re-bound hidden neurons; otherwise the inherited bounds are taken as they are
    means: bool = False  # keep every unstable neuron's mean function (Bounds.means)
    conjunctions: bool = False  # test the rows of a disjunct together: see `refute_conjunctions`, `region_lp`
    first_layer: int = 1  # hidden layers before this one keep their inherited bounds
    deadline: float = math.inf  # time.monotonic() after which rows keep their inherited or interval bounds
    threads: int = 1  # of the compiled kernel
    totals: bool = False  # keep total multipliers (Bounds.totals); numpy only
    kernel: str = "auto"  # "auto" (where it pays), "compiled" (for every network that it can take), "plain" (never)


class _Table:
    """A record whose fields are arrays, or such records, with one row a node; or None."""

    def __getitem__(self, index: Array) -> Self:
        """Rows `index` (bool mask or int array); nothing is copied where a mask keeps all of them."""
        if index.dtype == bool and index.all():
            return self
        return type(self)(*(None if a is None else a[index] for a in self._columns()))

    @classmethod
    def concatenate(cls, parts: list[Self]) -> Self:
        """Rows one after another; a field that one of them lacks is lost."""
        if len(parts) == 1:
            return parts[0]
        return cls(*(_joined(column) for column in zip(*(p._columns() for p in parts), strict=True)))

    def _columns(self) -> list[Any]:
        return [getattr(self, f.name) for f in fields(self)]  # type: ignore[arg-type]


def _joined(column: tuple[Any, ...]) -> Any:
    if any(a is None for a in column):
        return None
    first = column[0]
    return type(first).concatenate(list(column)) if isinstance(first, _Table) else np.concatenate(column)


@dataclass(eq=False)
class MarginFunctions(_Table):
    """margin_r(x) >= coefficients @ x + constants on the region.

    Half-spaces are not yet taken in: their multipliers would flatten the function along the cuts and blind the choice
    of the next split.
    """

    coefficients: Array  # [B, rows, inputs]
    constants: Array  # [B, rows] rounding errors already subtracted


@dataclass(eq=False)
class MeanFunctions(_Table):
    """The mean of the linear functions below and above each unstable pre-activation z.

    Rows of neurons not substituted are void, and their spread is infinite.
    """

    functions: Array  # [B, neurons, inputs + 1] (a, c)
    spreads: Array  # [B, neurons] how far z may be from a'x + c on the box

    def keep(self, neurons: Array, asked: Array, batch: Batch, coefficients: Array, constants: Array) -> None:
        """Take in functions of these neurons where they were asked for: lower ones L come first, negated upper ones -U
        behind them. (L + U) / 2 and the maximum over the box of (U - L) / 2."""
        count = len(neurons)
        below, above = coefficients[:, :count], coefficients[:, count:]
        gap = -0.5 * (below + above)
        spread = -0.5 * (constants[:, :count] + constants[:, count:])
        spread += np.matmul(np.maximum(gap, 0.0), batch.upper[:, :, None])[:, :, 0]
        spread += np.matmul(np.minimum(gap, 0.0), batch.lower[:, :, None])[:, :, 0]
        self.spreads[:, neurons] = np.where(asked & np.isfinite(spread), np.maximum(spread, 0.0), np.inf)
        self.functions[:, neurons, :-1] = 0.5 * (below - above)
        self.functions[:, neurons, -1] = 0.5 * (constants[:, :count] - constants[:, count:])


@dataclass(eq=False)
class Bounds(_Table):
    """What was proved about B nodes.

    The first five fields are always there; who fills the others:

        `linear_bounds.bound`                    functions; means, totals, together where the options ask for them,
                                                 points where its compiled twin tests rows together, and in norm balls;
                                                 hopeless by back-substitution
        `optimised_bounds.optimise`, `tighten`   functions, and what they were given
        `phase_bounds.bound_phases`              points; sensitivities are sums over a disjunct's rows
        `phase_bounds.refresh_phases`            totals
    """

    pre_lower: Array  # [B, neurons] pre-activation bounds, at least as good as the inherited ones
    pre_upper: Array  # [B, neurons]
    margins: Array  # [B, rows] lower bounds of the margins
    sensitivities: Array  # [B, rows, neurons] coefficient of each activation act(z) in the bound of each margin
    infeasible: Array  # [B] bool: the region is empty
    functions: MarginFunctions | None = None  # linear functions below the margins
    means: MeanFunctions | None = None  # of hidden neurons
    # [B, inputs] where a counterexample is most suspected: the minimiser of an open disjunct's largest margin bound
    # over the region. NaN where it is not known
    points: Array | None = None
    # [B, rows, neurons] total multipliers: by how much the margin's bound rises when a neuron's upper line sinks by
    # one, ways through the bounds of later neurons included (to first order)
    totals: Array | None = None
    together: Array | None = None  # [B] bool: closed by rows of a disjunct tested together, by no row alone
    certified: Array | None = None  # [B] bool: closed by a certificate of the box; where that was asked for
    # [B] bool: some function is defined nowhere on the region, as far as is known, and so on no part of it
    hopeless: Array | None = None

    @property
    def multipliers(self) -> Array:
        """[B, rows, neurons] weight of each neuron's upper line in the bound of each margin, >= 0."""
        return np.maximum(-self.sensitivities, 0.0)

    @property
    def coefficients(self) -> Array:
        """[B, rows, inputs] of `functions`. Raises ValueError where nobody has filled them."""
        return self._functions.coefficients

    @property
    def constants(self) -> Array:
        """[B, rows] of `functions`. Raises ValueError where nobody has filled them."""
        return self._functions.constants

    @property
    def _functions(self) -> MarginFunctions:
        if self.functions is None:
            raise ValueError("these bounds have no linear functions of the input: expected those of `bound`")
        return self.functions


def suspicious_rows(query: Query, bounds: Bounds) -> Array:
    """[B, rows] the rows in the order in which counterexamples are expected: disjuncts with the smallest largest margin
    first, and of each the row that has it."""
    owner = np.repeat(np.arange(query.disjuncts), np.diff(query.starts))
    worst = query.per_disjunct(bounds.margins)[:, owner]
    return np.lexsort((-bounds.margins, worst), axis=1)


def norm(a: Array) -> Array:
    """Euclidean norm along the last axis, rounded up well past its own error: for error terms."""
    return np.sqrt(np.einsum("...n,...n->...", a, a) + TINY_SQUARE) * UP


def middle_and_radius(lower: Array, upper: Array) -> tuple[Array, Array]:
    """Middle and half the width of intervals; ends of any size do not overflow."""
    low, high = 0.5 * lower, 0.5 * upper
    return low + high, high - low


def at_least(values: Array) -> Array:
    """Lower bounds as they may be used: an overflow's +inf or NaN proves nothing and becomes -inf."""
    return np.where(values < np.inf, values, -np.inf)


def at_most(values: Array) -> Array:
    """The same for upper bounds."""
    return np.where(values > -np.inf, values, np.inf)


def smallest_margins(query: Query, bounds: Bounds) -> Array:
    """[B] lower bound of the worst margin of each node; +inf where the region is empty."""
    return np.where(bounds.infeasible, np.inf, query.worst(bounds.margins))
