"""Linear bounds by back-substitution, for batches of nodes, rigorous in floating point.

Every pre-activation z = w'x_k + b is bounded from below by a linear function of the input: walking back through the
layers, x_k is replaced by its lower line where its coefficient is positive and by its upper line where it is negative
(CROWN, Zhang et al. 2018; DeepPoly, Singh et al. 2019; with parallel lines Fast-Lin, Weng et al. 2018). At the input
the linear function is minimised over box and half-spaces (`halfspaces`). Upper bounds are lower bounds of -z.

Rounding: with u = 2^-53 a float product A W of n terms is off by at most (n + 8) 2u |A||W| (twice the textbook bound,
which also covers the evaluation of the error term itself). Applied to values of magnitude m it can move the bound by
|A| (|W| m), and |A| e <= ||A||_2 ||e||_2 keeps that cheap. The terms are summed and subtracted at the end.

Cost per node: for each layer k, (rows still unstable) x (weights of all earlier layers).
"""

from __future__ import annotations

import time
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np
import scipy.sparse as sp

from ..instances.batch import Batch
from ..instances.network import Array, Layer, Matrix, activate
from ..instances.query import Query
from .bounds import Bounds, LinearBoundOptions, gamma
from .halfspaces import absorb_cuts, cut_is_empty
from .relaxations import Lines, lines

__all__ = ["Pass", "back_substitute", "norm", "prepared_of", "product_terms", "refute_conjunctions"]

NODE_CHUNK = 2**17  # float64s of coefficients at a time: fits the second-level cache, nodes of narrow networks
ROW_CHUNK = 2**22  # the same for one wide node: rows enough for fast matrix products, 32 MB


def back_substitute(query: Query, batch: Batch, options: LinearBoundOptions) -> Bounds:
    """Linear bounds of all nodes of a batch, in parts that fit the caches."""
    prepared = prepared_of(query)
    step = max(1, NODE_CHUNK // (2 * prepared.widest**2))
    parts = [Pass(prepared, batch[i : i + step], options).run() for i in range(0, len(batch), step)]
    bounds = Bounds.concatenate(parts)
    if options.conjunctions:
        refute_conjunctions(query, batch, bounds)
    return bounds


class Prepared:
    """What back-substitution needs of a query, computed once."""

    def __init__(self, query: Query) -> None:
        self.query = query
        self.layers = tuple(_PreparedLayer(layer) for layer in query.network.layers)
        self.widest = max(query.network.sizes)


class _PreparedLayer:
    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.absolute = [abs(w) for w in layer.weights]
        self.terms = sum(product_terms(w) for w in layer.weights) + layer.roundings

    @cached_property
    def transposed(self) -> list[Matrix | None]:
        """Sparse weights transposed, for products from the left; None for dense ones."""
        return [sp.csr_array(w.T) if sp.issparse(w) else None for w in self.layer.weights]

    def interval(self, lowers: list[Array], uppers: list[Array]) -> tuple[Array, Array, Array]:
        """Interval bounds of z [B, n] from those of the sources, and the magnitude |W| m + |b| of its terms."""
        layer = self.layer
        middle = layer.bias[None, :].repeat(len(lowers[0]), axis=0)
        radius, magnitude = np.zeros_like(middle), np.abs(middle)
        for s, w, wa in zip(layer.sources, layer.weights, self.absolute, strict=True):
            lo, up = lowers[s], uppers[s]
            middle += _times(0.5 * (lo + up), w)
            radius += _times(0.5 * (up - lo), wa)
            magnitude += _times(np.maximum(np.abs(lo), np.abs(up)), wa)
        error = gamma(self.terms + 4) * 2.0 * magnitude + layer.bias_error
        return middle - radius - error, middle + radius + error, magnitude


def product_terms(w: Matrix) -> int:
    """Largest number of terms that a product with w sums, from either side."""
    if isinstance(w, np.ndarray):
        return int(max(w.shape))
    columns = np.bincount(w.indices, minlength=1)
    return int(max(np.diff(w.indptr).max(initial=0), columns.max(initial=0)))


def _times(x: Array, w: Matrix) -> Array:
    """x [B, n] -> x @ w.T [B, m]."""
    return x @ w.T if isinstance(w, np.ndarray) else np.ascontiguousarray((w @ x.T).T)


_CACHE: WeakKeyDictionary[Query, Prepared] = WeakKeyDictionary()


def prepared_of(query: Query) -> Prepared:
    if query not in _CACHE:
        _CACHE[query] = Prepared(query)
    return _CACHE[query]


class Pass:
    """One forward walk over the layers; each unstable row walks back to the input."""

    def __init__(self, prepared: Prepared, batch: Batch, options: LinearBoundOptions) -> None:
        self.prepared, self.batch, self.options = prepared, batch, options
        self.query = prepared.query
        self.lowers: list[Array] = [batch.lower]  # bounds of the values x_0, x_1, ...
        self.uppers: list[Array] = [batch.upper]
        self.lines: list[Lines | None] = []  # per layer
        self.magnitudes: list[Array] = []  # per layer [B, n]: |W| m + |b|
        self.pre_lower, self.pre_upper = batch.pre_lower.copy(), batch.pre_upper.copy()
        self.infeasible = cut_is_empty(batch.lower, batch.upper, batch.cuts)
        shape = (len(batch), self.query.neurons, self.query.network.input_size + 1)
        self.means = np.zeros(shape) if options.means else None
        self.spreads = np.full(shape[:2], np.inf) if options.means else None
        self.first_layer = max(options.first_layer, int(batch.changed.min()))
        self.sums = 2 * len(prepared.layers)  # additions that a constant or a coefficient goes through on its way

    def walk(self) -> Array:
        """Bounds of all layers; returns the margins' interval bounds [B, rows]."""
        for k, prepared in enumerate(self.prepared.layers[:-1], start=1):
            self._bound_layer(k, prepared)
        floor, _, magnitude = self.prepared.layers[-1].interval(self.lowers, self.uppers)
        self.magnitudes.append(magnitude)
        return floor

    def run(self) -> Bounds:
        query, floor = self.query, self.walk()
        sensitivities = np.zeros((len(self.batch), query.rows, query.neurons))
        parts = [
            self._substitute(len(self.prepared.layers), rows, np.ones(1), sensitivities)
            for rows in self._row_chunks(np.arange(query.rows))
        ]
        coefficients, constants = (np.concatenate([p[i] for p in parts], axis=1) for i in (0, 1))
        margins = np.fmax(np.concatenate([p[2] for p in parts], axis=1), floor)
        return Bounds(
            self.pre_lower, self.pre_upper, margins, coefficients, constants, sensitivities, self.infeasible,
            self.means, self.spreads,
        )  # fmt: skip

    def _bound_layer(self, k: int, prepared: _PreparedLayer) -> None:
        """Bounds of z_k: inherited, then interval, then back-substitution for rows that are still unstable."""
        part, kind = self.query.slices[k - 1], prepared.layer.kind
        lower, upper = self.pre_lower[:, part], self.pre_upper[:, part]  # views
        floor, ceiling, magnitude = prepared.interval(self.lowers, self.uppers)
        self.magnitudes.append(magnitude)
        # fmax and fmin: an overflow's NaN proves nothing and must not replace a bound
        np.fmax(lower, floor, out=lower)
        np.fmin(upper, ceiling, out=upper)
        if kind != "identity" and k >= self.first_layer and self.options.hidden:
            open_rows = (lower < 0.0) & (upper > 0.0) if kind == "relu" else lower < upper
            # a node's bounds must not depend on its neighbours in the batch: each takes only what it asked for
            open_rows &= (~self.infeasible & (self.batch.changed <= k))[:, None]
            for rows in self._row_chunks(np.flatnonzero(open_rows.any(axis=0))):
                if time.monotonic() > self.options.deadline:
                    break
                coefficients, constants, values = self._substitute(k, rows, np.array([1.0, -1.0]), None)
                asked = open_rows[:, rows]
                if self.means is not None:
                    self._keep_means(part.start + rows, asked, coefficients, constants)
                lower[:, rows] = np.where(asked, np.fmax(lower[:, rows], values[:, : len(rows)]), lower[:, rows])
                upper[:, rows] = np.where(asked, np.fmin(upper[:, rows], -values[:, len(rows) :]), upper[:, rows])
        crossed = lower > upper
        if crossed.any():
            self.infeasible |= crossed.any(axis=1)
            # an empty region: any bounds are true; keep them ordered so that the arithmetic stays finite
            np.minimum(lower, upper, out=lower)
        self._append_values(kind, lower, upper)

    def _keep_means(self, neurons: Array, asked: Array, coefficients: Array, constants: Array) -> None:
        """Lower functions L come first, negated upper ones -U behind them: (L + U) / 2 and max over the box of
        (U - L) / 2."""
        assert self.means is not None and self.spreads is not None
        count = len(neurons)
        below, above, batch = coefficients[:, :count], coefficients[:, count:], self.batch
        gap = -0.5 * (below + above)
        spread = -0.5 * (constants[:, :count] + constants[:, count:])
        spread += np.matmul(np.maximum(gap, 0.0), batch.upper[:, :, None])[:, :, 0]
        spread += np.matmul(np.minimum(gap, 0.0), batch.lower[:, :, None])[:, :, 0]
        self.spreads[:, neurons] = np.where(asked, np.maximum(spread, 0.0), np.inf)
        self.means[:, neurons, :-1] = 0.5 * (below - above)
        self.means[:, neurons, -1] = 0.5 * (constants[:, :count] - constants[:, count:])

    def _append_values(self, kind: str, lower: Array, upper: Array) -> None:
        """Bounds of x_k and its lines from the bounds of z_k."""
        if kind == "identity":
            self.lines.append(None)
            self.lowers.append(lower)
            self.uppers.append(upper)
            return
        if kind == "relu":
            self.lowers.append(np.maximum(lower, 0.0))
            self.uppers.append(np.maximum(upper, 0.0))
        else:
            slack = 2.0**-50  # tanh and the sigmoid made of it are good to a few ulp of 1
            self.lowers.append(activate(kind, lower) - slack)
            self.uppers.append(activate(kind, upper) + slack)
        self.lines.append(lines(kind, lower, upper, self.options.slopes))

    def _row_chunks(self, rows: Array) -> list[Array]:
        size = max(1, ROW_CHUNK // (2 * len(self.batch) * self.prepared.widest))
        return [rows[i : i + size] for i in range(0, len(rows), size)]

    def _substitute(
        self, k: int, rows: Array, signs: Array, sensitivities: Array | None
    ) -> tuple[Array, Array, Array]:
        """Walk sign * z_k[rows] back to the input.

        signs: [1] or [2]; the rows come once per sign. Returns (coefficients [B, S, inputs], constants [B, S] with the
        rounding error subtracted, lower bounds [B, S]) with S = len(signs) * len(rows).
        """
        prepared = self.prepared.layers[k - 1]
        count = len(self.batch)
        pending: dict[int, Array] = {}
        for s, w in zip(prepared.layer.sources, prepared.layer.weights, strict=True):
            picked = w[rows] if isinstance(w, np.ndarray) else w[rows].toarray()
            pending[s] = np.concatenate([sign * picked for sign in signs])[None]
        constants = np.concatenate([sign * prepared.layer.bias[rows] for sign in signs])[None].repeat(count, axis=0)
        own = self.magnitudes[k - 1][:, rows]
        error = np.tile(gamma(prepared.terms + self.sums) * own + prepared.layer.bias_error, (1, len(signs)))
        return self.concretise(self.walk_back(k, pending, constants, error, sensitivities, rows), constants, error)

    def walk_back(
        self, k: int, pending: dict[int, Array], constants: Array, error: Array, sensitivities: Array | None,
        rows: Array,
    ) -> Array:  # fmt: skip
        """Coefficients of the input once all values before layer k are replaced; constants and error are updated."""
        count = len(constants)
        for v in range(k - 1, 0, -1):
            coefficients = pending.pop(v, None)
            if coefficients is not None:
                self._step(v, coefficients, pending, constants, error, sensitivities, rows)
        coefficients = pending.pop(0, None)
        if coefficients is None:
            coefficients = np.zeros((1, constants.shape[1], self.query.network.input_size))
        if len(coefficients) != count:
            coefficients = np.broadcast_to(coefficients, (count, *coefficients.shape[1:]))
        return coefficients

    def _step(
        self, v: int, coefficients: Array, pending: dict[int, Array], constants: Array, error: Array,
        sensitivities: Array | None, rows: Array,
    ) -> None:  # fmt: skip
        """Replace the value x_v by its lines and then by the sources of layer v; constants and error are updated."""
        prepared, line = self.prepared.layers[v - 1], self.lines[v - 1]
        magnitude = self.magnitudes[v - 1]
        if line is not None:
            below = np.minimum(coefficients, 0.0)
            constants += np.matmul(below, line.upper_intercept[:, :, None])[:, :, 0]
            if sensitivities is not None:
                sensitivities[:, rows, self.query.slices[v - 1]] = coefficients
            if prepared.layer.kind != "relu":
                above = np.maximum(coefficients, 0.0)
                constants += np.matmul(above, line.lower_intercept[:, :, None])[:, :, 0]
            spread = np.abs(line.upper_intercept) + np.abs(line.lower_intercept)
            error += gamma(spread.shape[1] + self.sums) * norm(coefficients) * norm(spread)[:, None]
            coefficients = coefficients * np.where(
                coefficients > 0.0, line.lower_slope[:, None, :], line.upper_slope[:, None, :]
            )
            coefficients = self.add_multipliers(v, coefficients, error)
        size = norm(coefficients)
        per_unit = gamma(prepared.terms + self.sums) * norm(magnitude)
        error += size * (per_unit + prepared.layer.bias_error * magnitude.shape[1])[:, None]
        if prepared.layer.bias.any():
            constants += coefficients @ prepared.layer.bias
        for s, w, transposed in zip(
            prepared.layer.sources, prepared.layer.weights, prepared.transposed, strict=True
        ):
            flat = coefficients.reshape(-1, coefficients.shape[2])
            product = flat @ w if transposed is None else np.ascontiguousarray((transposed @ flat.T).T)
            product = product.reshape(*coefficients.shape[:2], -1)
            pending[s] = pending[s] + product if s in pending else product

    def add_multipliers(self, v: int, coefficients: Array, error: Array) -> Array:
        """Coefficients [B, S, n] of z_v with what multipliers of its phases add; here there are none."""
        return coefficients

    def concretise(self, coefficients: Array, constants: Array, error: Array) -> tuple[Array, Array, Array]:
        """Minimum over box and cuts of coefficients @ x + constants, minus all rounding errors.

        Returns (coefficients, constants less their error, minima).
        """
        lower, upper = self.batch.lower, self.batch.upper
        reach = norm(np.maximum(np.abs(lower), np.abs(upper)))[:, None]
        relative = gamma(lower.shape[1] + self.sums)
        error = (error + relative * (norm(coefficients) * reach + np.abs(constants))) * (1.0 + 2.0**-40)
        return coefficients, constants - error, self.minimum(coefficients, constants, error)

    def minimum(self, coefficients: Array, constants: Array, error: Array) -> Array:
        """Minimum over box and cuts [B, S], `error` and the rounding of the minimum itself subtracted."""
        lower, upper, cuts = self.batch.lower, self.batch.upper, self.batch.cuts
        reach = norm(np.maximum(np.abs(lower), np.abs(upper)))[:, None]
        relative = gamma(lower.shape[1] + self.sums)
        lowered, offset, extra = absorb_cuts(coefficients, constants, lower, upper, cuts)
        extra = (extra + relative * (norm(lowered) * reach + np.abs(offset))) * (1.0 + 2.0**-40)
        values = offset - error - extra
        values += np.matmul(np.maximum(lowered, 0.0), lower[:, :, None])[:, :, 0]
        values += np.matmul(np.minimum(lowered, 0.0), upper[:, :, None])[:, :, 0]
        return values


def norm(a: Array) -> Array:
    """Euclidean norm along the last axis, rounded up well past its own error."""
    return np.sqrt(np.einsum("...n,...n->...", a, a)) * (1.0 + 2.0**-40)


def refute_conjunctions(query: Query, batch: Batch, bounds: Bounds) -> None:
    """Raise `bounds.margins` of disjuncts with several rows by testing the rows together, in place.

    A point of the disjunct has all its margins <= 0, so each row is minimised with the other rows' linear bounds as
    half-spaces. A raised margin holds on that part of the region only: it refutes the disjunct, and says no more.
    """
    for k in range(query.disjuncts):
        part = slice(query.starts[k], query.starts[k + 1])
        rows = part.stop - part.start
        open_nodes = np.flatnonzero(~(bounds.margins[:, part].max(axis=1) > 0.0) & ~bounds.infeasible)
        if rows < 2 or not len(open_nodes):
            continue
        coefficients, constants = bounds.coefficients[open_nodes, part], bounds.constants[open_nodes, part]
        lower, upper = batch.lower[open_nodes], batch.upper[open_nodes]
        reach = norm(np.maximum(np.abs(lower), np.abs(upper)))[:, None]
        for r in range(rows):
            others = np.delete(np.arange(rows), r)
            cuts = np.concatenate([-coefficients[:, others], -constants[:, others, None]], axis=2)
            cuts = np.concatenate([batch.cuts[open_nodes], cuts], axis=1)
            lowered, offset, error = absorb_cuts(coefficients[:, [r]], constants[:, [r]], lower, upper, cuts)
            values = np.matmul(np.maximum(lowered, 0.0), lower[:, :, None])[:, :, 0] + offset
            values += np.matmul(np.minimum(lowered, 0.0), upper[:, :, None])[:, :, 0]
            values -= (error + gamma(lower.shape[1]) * (norm(lowered) * reach + np.abs(offset))) * (1.0 + 2.0**-40)
            row = query.starts[k] + r
            bounds.margins[open_nodes, row] = np.fmax(bounds.margins[open_nodes, row], values[:, 0])
