"""Bounds of disjuncts: weighted sums of their rows, the weights ascended with slopes and multipliers.

With weights w >= 0 of sum 1,
    max over rows r of m_r >= sum_r w_r m_r,
and m(x*) at the minimiser pushed forward is a supergradient in the weights.
"""

from __future__ import annotations

import numpy as np

from ...instances.batch import Batch
from ...instances.multipliers import Multipliers
from ...instances.network import Array, Matrix
from ...instances.query import Query
from ...instances.rounding import TINY, gamma
from ..linear.bounds import at_least
from ..linear.inherited_pass import InheritedPass
from .optimised_bounds import PairPass
from .row_multipliers import LayerRows, RowPool
from .skeleton import FLOAT
from .slope_ascent import Ascent, Pairs, Single

__all__ = ["DisjunctAscent", "DisjunctPass", "shares_of"]

SHARP = FLOAT(4.0)  # step of a weight's logit relative to a slope's
LARGEST_LOGIT = 30.0  # beyond it a weight is 0 in float32


def shares_of(query: Query, disjunct: Array, logits: Array) -> Array:
    """[P, rows] weights >= 0 of sum 1 over the rows of each pair's disjunct, 0 elsewhere."""
    owner = np.repeat(np.arange(query.disjuncts), np.diff(query.starts))
    masked = np.where(owner[None, :] == disjunct[:, None], logits, -np.inf)
    a = np.exp(masked - masked.max(axis=1, keepdims=True))
    return np.asarray(a / a.sum(axis=1, keepdims=True))


class DisjunctAscent(Ascent):
    """The ascent of pairs (node, disjunct): of one weighted sum of the disjunct's rows.

    start: numbers of the pairs in float32, or None.
    """

    wants_points = True

    def __init__(
        self, single: Single, node: Array, disjunct: Array, start: Multipliers | None, pool: RowPool | None = None
    ) -> None:
        query, count = single.query, len(node)
        layer = query.network.layers[-1]
        self.matrix = {
            s: np.ascontiguousarray((w if isinstance(w, np.ndarray) else w.toarray())[:, single.live[s]], dtype=FLOAT)
            for s, w in zip(layer.sources, layer.weights, strict=True)
        }
        self.bias, self.disjunct = layer.bias.astype(FLOAT), disjunct
        self.mixed = query.rows > query.disjuncts  # else there is nothing to weigh
        self.logits = np.zeros((count, query.rows), dtype=FLOAT) if start is None else np.nan_to_num(start.logits)
        self.best_logits = self.logits.copy()
        nothing = np.zeros(count, dtype=np.intp)
        pairs = Pairs(node, nothing, np.ones(count), np.arange(count))
        super().__init__(single, pairs, None if start is None else start.signed, pool)
        if start is not None and start.mus.size:
            self.mus = np.maximum(np.nan_to_num(start.mus), FLOAT(0.0))

    def found(self) -> Multipliers:
        """The best numbers of the pairs."""
        return Multipliers(self.result()[0], self.best_logits, self.best_mus)

    def plain(self) -> Array:
        """Sensitivities [P, neurons] of the plain slopes, at the weights at hand."""
        numbers = [self._start(k, line, None) for k, line in enumerate(self.chosen, start=1)]
        _, coefficients, _ = self._back(numbers, {}, {})
        query, live = self.single.query, self.single.live
        out = np.zeros((len(self.open), query.neurons))
        for k, a in enumerate(coefficients, start=1):
            if a is not None:
                out[:, query.slices[k - 1].start + live[k]] = a
        return out

    def _rows(self) -> tuple[dict[int, Array], Array]:
        shares = self._shares()
        return {s: shares @ c for s, c in self.matrix.items()}, (shares @ self.bias).astype(np.float64)

    def _shares(self) -> Array:
        return shares_of(self.single.query, self.disjunct, self.logits).astype(FLOAT)

    def _back(
        self, numbers: list[Array | None], fresh: dict[int, Array], rows: dict[int, LayerRows]
    ) -> tuple[Array, list[Array | None], Array]:
        if self.mixed:
            self.first, self.constants = self._rows()
        return super()._back(numbers, fresh, rows)

    def _keep(self, values: Array, x: Array) -> None:
        better = np.flatnonzero(values > self.best[self.open])
        self.best_logits[self.open[better]] = self.logits[better]
        super()._keep(values, x)

    def _restrict(self, keep: Array) -> None:
        super()._restrict(keep)
        self.logits, self.disjunct = self.logits[keep], self.disjunct[keep]

    def _pushed(self, values: list[Array], t: int, rate: float) -> None:
        """One step on the logits v of the weights w: d bound / d v_r = w_r (m_r - sum_q w_q m_q)."""
        if not self.mixed:
            return
        margins = sum((values[s] @ c.T for s, c in self.matrix.items()), self.bias)
        shares = self._shares()
        gradient = shares * (margins - (shares * margins).sum(axis=1, keepdims=True))
        self.logits += SHARP * rate * self._direction(len(self.layers) + 1, gradient, t)
        np.clip(self.logits, -LARGEST_LOGIT, LARGEST_LOGIT, out=self.logits)


class DisjunctPass(PairPass):
    """Rigorous evaluation of a weighted sum of the margins, one a node, from inherited bounds.

    node, disjunct: [P]; numbers: of these pairs.
    """

    def __init__(
        self, query: Query, batch: Batch, node: Array, disjunct: Array, numbers: Multipliers,
        pool: RowPool | None = None,
    ) -> None:  # fmt: skip
        count = len(node)
        self.shares = shares_of(query, disjunct, numbers.logits).astype(np.float64)
        pairs = Pairs(node, np.zeros(count, dtype=np.intp), np.ones(count), np.arange(count))
        cuts = np.zeros((count, batch.cuts.shape[1]))
        super().__init__(InheritedPass(query, batch), pairs, numbers.signed, cuts, numbers.mus, pool)

    def minima(self, k: int) -> Array:
        """[P] lower bounds of the largest margin."""
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite proves nothing
            return self.shared(super().minima(k))

    def shared(self, least: Array) -> Array:
        """[P] the same, from bounds of the weighted sums: a sum is at most (sum of w) times the largest margin.

        The weights are rounded, so their sum S is 1 up to that; what was bounded is divided by it, rounded down.
        """
        total, rows = self.shares.sum(axis=1), self.shares.shape[1]
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # what is not finite proves nothing
            share = least / total
            return at_least(share - gamma(rows + 2) * np.abs(share) - TINY)

    def objective(self, k: int) -> tuple[dict[int, Array], Array, Array]:
        """See PairPass; the shares are exact as they stand, only the sums over rows round."""
        prepared, shares = self.prepared.layers[k - 1], self.shares
        layer, rows = prepared.layer, self.shares.shape[1]
        pending = {
            s: np.ascontiguousarray(_times(shares, w))[:, None]
            for s, w in zip(layer.sources, layer.weights, strict=True)
        }
        own = shares @ self.magnitudes[k - 1].T
        error = gamma(prepared.terms + self.sums + 2 * rows) * own + 2.0 * layer.bias_error
        return pending, shares @ layer.bias[:, None], error


def _times(x: Array, w: Matrix) -> Array:
    """x [P, m] @ w [m, n]."""
    return np.asarray(x @ w) if isinstance(w, np.ndarray) else (w.T @ x.T).T
