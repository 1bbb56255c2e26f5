"""What linear bounds say about a batch of nodes, and how they are asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...instances.network import Array
from ...instances.query import Query
from ...instances.rounding import TINY_SQUARE, UP

__all__ = [
    "Bounds", "LinearBoundOptions", "at_least", "at_most", "middle_and_radius", "norm", "smallest_margins",
]  # fmt: skip


@dataclass(frozen=True)
class LinearBoundOptions:
    """How linear bounds are computed."""

    slopes: str = "adaptive"  # lower slopes of unstable ReLUs: "adaptive" (CROWN) or "parallel" (Fast-Lin)
    hidden: bool = True  # re-bound hidden neurons; otherwise the inherited bounds are taken as they are
    means: bool = False  # keep every unstable neuron's mean function (Bounds.means and Bounds.spreads)
    conjunctions: bool = False  # test the rows of a disjunct together: see `refute_conjunctions`, `region_lp`
    first_layer: int = 1  # hidden layers before this one keep their inherited bounds
    deadline: float = math.inf  # time.monotonic() after which rows keep their inherited or interval bounds
    threads: int = 1  # of the compiled kernel
    totals: bool = False  # keep total multipliers (Bounds.totals); numpy only
    kernel: str = "auto"  # "auto" (where it pays), "compiled" (for every network that it can take), "plain" (never)


@dataclass(eq=False)
class Bounds:
    """What was proved about B nodes."""

    pre_lower: Array  # [B, neurons] pre-activation bounds, at least as good as the inherited ones
    pre_upper: Array  # [B, neurons]
    margins: Array  # [B, rows] lower bounds of the margins
    # margin_r(x) >= coefficients @ x + constants on the region; half-spaces not yet taken in, as the multipliers
    # would flatten the function along the cuts and blind the choice of the next split
    coefficients: Array  # [B, rows, inputs]
    constants: Array  # [B, rows] rounding errors already subtracted
    sensitivities: Array  # [B, rows, neurons] coefficient of each activation act(z) in the bound of each margin
    infeasible: Array  # [B] bool: the region is empty
    # [B, neurons, inputs + 1] mean (a, c) of the linear functions below and above each unstable pre-activation, and
    # [B, neurons] how far z may be from a'x + c on the box; rows of neurons not substituted are void, their spread is
    # infinite. Only where asked for
    means: Array | None = None
    spreads: Array | None = None
    # [B, inputs] where a counterexample is most suspected: the minimiser of an open disjunct's largest margin bound
    # over the region. NaN where it is not known; only where rows were tested together by LP
    points: Array | None = None
    # [B, rows, neurons] total multipliers: by how much the margin's bound rises when a neuron's upper line sinks by
    # one, ways through the bounds of later neurons included (to first order); only where asked for
    totals: Array | None = None
    together: Array | None = None  # [B] bool: closed by rows of a disjunct tested together, by no row alone
    certified: Array | None = None  # [B] bool: closed by a certificate of the box; where that was asked for

    @property
    def multipliers(self) -> Array:
        """[B, rows, neurons] weight of each neuron's upper line in the bound of each margin, >= 0."""
        return np.maximum(-self.sensitivities, 0.0)

    def __getitem__(self, index: Array) -> Bounds:
        """Rows `index` (bool mask or int array); nothing is copied where a mask keeps all of them."""
        if index.dtype == bool and index.all():
            return self
        arrays: list[Any] = [getattr(self, name) for name in Bounds.__dataclass_fields__]
        picked: list[Any] = [None if a is None else a[index] for a in arrays]
        return Bounds(*picked)

    @staticmethod
    def concatenate(parts: list[Bounds]) -> Bounds:
        """Rows one after another."""
        if len(parts) == 1:
            return parts[0]
        columns: list[list[Any]] = [[getattr(p, name) for p in parts] for name in Bounds.__dataclass_fields__]
        joined: list[Any] = [None if any(a is None for a in column) else np.concatenate(column) for column in columns]
        return Bounds(*joined)


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
