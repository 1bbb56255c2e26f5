"""Linear bounds by back-substitution, for batches of nodes, rigorous in floating point.

Every pre-activation z = w'x_k + b is bounded from below by a linear function of the input: walking back through the
layers, x_k is replaced by its lower line where its coefficient is positive and by its upper line where it is negative
(CROWN, Zhang et al. 2018; DeepPoly, Singh et al. 2019; with parallel lines Fast-Lin, Weng et al. 2018). At the input
the linear function is minimised over box and half-spaces (`halfspaces`) or norm ball (`norm_ball_bounds`). Upper bounds
are lower bounds of -z.

Rounding: with u = 2^-53 a float product A W of n terms is off by at most (n + 8) 2u |A||W| (twice the textbook bound,
which also covers the evaluation of the error term itself). Applied to values of magnitude m it can move the bound by
|A| (|W| m), and |A| e <= ||A||_2 ||e||_2 keeps that cheap. The terms are summed and subtracted at the end.

Cost per node: for each layer k, (rows still unstable) x (weights of all earlier layers). Rows go in blocks
(`row_blocks`): at the deadline what is not walked keeps its inherited or interval bounds.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...instances import memory
from ...instances.batch import Batch
from ...instances.curves.names import curve
from ...instances.network import Array, Difference, curved, value_range
from ...instances.query import Query
from ...instances.rounding import UP, gamma
from ..relaxations.differences import Ends, chords, least, open_pairs
from ..relaxations.kinds import lines
from ..relaxations.mccormick import Box
from ..relaxations.paired_squares import PairedSquares, as_read, factor_box
from .backward import Backward
from .bounds import Bounds, LinearBoundOptions, MarginFunctions, MeanFunctions
from .conjunctions import refute_conjunctions
from .halfspaces import cut_is_empty
from .norm_ball_bounds import misses_ball
from .prepared_layers import Prepared, PreparedLayer, prepared_of
from .row_blocks import blocks_in_time, time_kept_for

__all__ = ["Pass", "back_substitute"]

NODE_CHUNK = 2**18  # float64s of coefficients at a time: 2 MB, nodes of narrow networks
BALL_CHUNK = 2**24  # the same where only reduced layers are walked in float64
ROW_CHUNK = 2**22  # the same for one wide node: rows enough for fast matrix products, 32 MB


def back_substitute(query: Query, batch: Batch, options: LinearBoundOptions) -> Bounds:
    """Linear bounds of all nodes of a batch, in parts that fit the caches."""
    prepared = prepared_of(query)
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite in the end proves nothing
        chunk = BALL_CHUNK if prepared.ball(batch) else NODE_CHUNK
        step = max(1, chunk // (2 * prepared.widest**2))
        parts = [Pass(prepared, batch[i : i + step], options).run() for i in range(0, len(batch), step)]
        bounds = Bounds.concatenate(parts)
        if options.conjunctions and np.isfinite(bounds.constants).all():
            refute_conjunctions(query, batch, bounds)
    return bounds


class Pass(Backward):
    """One forward walk over the layers; each unstable row walks back to the input."""

    def __init__(self, prepared: Prepared, batch: Batch, options: LinearBoundOptions) -> None:
        super().__init__(prepared, None if options.means else prepared.ball(batch))
        self.nodes, self.options = batch, options
        self.lowers: list[Array] = [batch.lower]  # bounds of the values x_0, x_1, ...
        self.uppers: list[Array] = [batch.upper]
        self.read: dict[int, tuple[Array, Array]] = {}  # the same of products, as `as_read` has them
        self.pre_lower, self.pre_upper = np.fmax(batch.pre_lower, -np.inf), np.fmin(batch.pre_upper, np.inf)  # no NaN
        self.infeasible = cut_is_empty(batch.lower, batch.upper, batch.cuts)
        if self.query.region.ball is not None:
            self.infeasible |= misses_ball(self.query.region.ball, batch.lower, batch.upper)
        # nodes with a function that may not be defined on them: nothing is proved there, whatever is behind it
        self.undefined = np.zeros(len(batch), dtype=bool)
        self.hopeless = self.undefined.copy()  # those on all of which it is not
        self.means: MeanFunctions | None = None
        if options.means:
            shape = (len(batch), self.query.neurons, self.query.network.input_size + 1)
            self.means = MeanFunctions(np.zeros(shape), np.full(shape[:2], np.inf))
        self.hidden_rows: list[tuple[Array, Array]] = []  # (neurons, coefficients [B, 2 rows, neurons before])
        margins = len(batch) * self.query.rows * prepared.walks[-1]
        self.hidden_deadline = time_kept_for(margins, options.deadline)  # the margins are walked after them
        self.first_layer = max(options.first_layer, int(batch.changed.min()))

    @property
    def batch(self) -> Batch:
        """The nodes."""
        return self.nodes

    def walk(self) -> Array:
        """Bounds of all layers; returns the margins' interval bounds [B, rows]."""
        for k, prepared in enumerate(self.prepared.layers[:-1], start=1):
            self._bound_layer(k, prepared)
        floor, _, magnitude = self.prepared.layers[-1].interval(self.lowers, self.uppers, self.read)
        self.magnitudes.append(magnitude)
        return floor

    def walk_first(self) -> None:
        """Bounds of the first layer alone."""
        self._bound_layer(1, self.prepared.layers[0])

    def run(self) -> Bounds:
        query, floor = self.query, self.walk()
        shape = len(self.batch), query.rows
        memory.claim(8e-6 * shape[0] * shape[1] * (query.neurons + query.network.input_size))
        sensitivities = np.zeros((*shape, query.neurons))
        # rows that are not walked: the function that is their interval bound everywhere
        margins = np.fmax(floor, -np.inf)
        coefficients, constants = np.zeros((*shape, query.network.input_size)), margins.copy()
        for rows in self._blocks(len(self.prepared.layers), np.arange(query.rows), self.options.deadline):
            part = np.s_[:, rows[0] : rows[-1] + 1]
            found = self._substitute(len(self.prepared.layers), rows, np.ones(1), sensitivities[part])
            coefficients[part], constants[part] = found[:2]
            margins[part] = np.fmax(found[2], margins[part])
        margins[self.undefined] = constants[self.undefined] = -np.inf
        return Bounds(
            self.pre_lower, self.pre_upper, margins, sensitivities, self.infeasible,
            functions=MarginFunctions(coefficients, constants), means=self.means,
            totals=self._totals(sensitivities) if self.options.totals else None, hopeless=self.hopeless,
        )  # fmt: skip

    def _keep_rows(self, k: int, rows: Array) -> Array:
        """Room for the coefficients of these rows, lower ones first."""
        kept = np.zeros((len(self.batch), 2 * len(rows), self.query.slices[k - 1].start), dtype=np.float32)
        self.hidden_rows.append((self.query.slices[k - 1].start + rows, kept))
        return kept

    def _totals(self, sensitivities: Array) -> Array:
        """Total multipliers [B, rows, neurons], see `bounds.Bounds.totals`."""
        totals = np.maximum(-sensitivities, 0.0)
        lower, upper = self.pre_lower, self.pre_upper
        for neurons, kept in reversed(self.hidden_rows):
            low, high = lower[:, neurons], upper[:, neurons]
            unstable = (low < 0.0) & (high > 0.0)
            width = np.where(unstable, high - low, 1.0)
            below, above = np.where(unstable, (high / width) ** 2, 0.0), np.where(unstable, (low / width) ** 2, 0.0)
            own = totals[:, :, neurons]
            weights = np.concatenate([own * below[:, None], own * above[:, None]], axis=2).astype(np.float32)
            totals[:, :, : kept.shape[2]] += np.matmul(weights, np.maximum(-kept, 0.0))
        return totals

    def _bound_layer(self, k: int, prepared: PreparedLayer) -> None:
        """Bounds of z_k: inherited, then interval, then back-substitution for rows that are still unstable."""
        part, kind = self.query.slices[k - 1], prepared.layer.kind
        lower, upper = self.pre_lower[:, part], self.pre_upper[:, part]  # views
        floor, ceiling, magnitude = prepared.interval(self.lowers, self.uppers, self.read)
        pairs = self.prepared.differences.get(k)
        if pairs:
            ends = self._of_pairs(pairs)
            floor, ceiling = np.fmax(floor, least(*ends)), np.fmin(ceiling, -least(*ends[::-1]))
        self.magnitudes.append(magnitude)
        np.fmax(lower, floor, out=lower)
        np.fmin(upper, ceiling, out=upper)
        if (pairs or prepared.bounded.any()) and k >= self.first_layer and self.options.hidden:
            open_rows = self._open_rows(k, prepared, pairs, lower, upper)
            for rows in self._blocks(k, np.flatnonzero(open_rows.any(axis=0)), self.hidden_deadline):
                kept = self._keep_rows(k, rows) if self.options.totals else None
                coefficients, constants, values = self._substitute(k, rows, np.array([1.0, -1.0]), kept)
                asked = open_rows[:, rows]
                if self.means is not None and not pairs:
                    self.means.keep(part.start + rows, asked, self.batch, coefficients, constants)
                lower[:, rows] = np.where(asked, np.fmax(lower[:, rows], values[:, : len(rows)]), lower[:, rows])
                upper[:, rows] = np.where(asked, np.fmin(upper[:, rows], -values[:, len(rows) :]), upper[:, rows])
        crossed = lower > upper
        if crossed.any():
            self.infeasible |= crossed.any(axis=1) & ~self.undefined
            # an empty region: any bounds are true; keep them ordered so that the arithmetic stays finite
            np.minimum(lower, upper, out=lower)
        if curved(kind):
            self._forget_undefined(kind, lower, upper)
        self._append_values(kind, lower, upper)
        if k in self.prepared.products:
            box = self._pair(k)
            self.read[k] = as_read(self.prepared.products[k], box, self.lowers[k], self.uppers[k])
        if pairs:
            self.chords[pairs.second] = pairs, chords(lower, upper, *self._of_pairs(pairs))

    def _open_rows(
        self, k: int, prepared: PreparedLayer, pairs: Difference | None, lower: Array, upper: Array
    ) -> Array:
        """[B, n] which rows of layer k are to be walked back, on which nodes."""
        rows = (lower < 0.0) & (upper > 0.0) if prepared.layer.kind == "relu" else lower < upper
        if pairs:
            rows &= open_pairs(*self._of_pairs(pairs))
        elif prepared.layer.kind != "relu":
            rows &= prepared.bounded
        # a node's bounds must not depend on its neighbours in the batch: each takes only what it asked for
        rows &= (~self.infeasible & (self.batch.changed <= k))[:, None]
        return rows

    def _forget_undefined(self, kind: str, lower: Array, upper: Array) -> None:
        """Where an interval touches a gap of the curve nothing is known of its values, and nothing of such a node."""
        touching = curve(kind).touches(lower, upper)
        if touching.any():
            inside = curve(kind).inside_gap(lower, upper)
            lower[touching], upper[touching] = -np.inf, np.inf
            self.undefined |= touching.any(axis=1)
            self.hopeless |= inside.any(axis=1)

    def _pair(self, k: int) -> Box:
        """Planes of layer k's products by the bounds of their factors, which are returned."""
        products, line = self.prepared.products[k], self.lines[k - 1]
        assert line is not None
        box = factor_box(self.query, products, self.nodes.lower, self.nodes.upper, self.pre_lower, self.pre_upper)
        self.planes[k] = PairedSquares.of(products, box, line)
        return box

    def _of_pairs(self, pairs: Difference) -> Ends:
        """Bounds [B, pairs] of the two pre-activations, as far as they are known."""
        places = (pairs.first, pairs.left), (pairs.second, pairs.right)
        z, w = (self.query.slices[k - 1].start + neurons for k, neurons in places)
        return (self.pre_lower[:, z], self.pre_upper[:, z]), (self.pre_lower[:, w], self.pre_upper[:, w])

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
            low, high = value_range(kind, lower, upper)
            self.lowers.append(low)
            self.uppers.append(high)
        self.lines.append(lines(kind, lower, upper, self.options.slopes))

    def _blocks(self, k: int, rows: Array, deadline: float) -> Iterator[Array]:
        """Rows of layer k, both signs of each, in blocks."""
        count, prepared = 2 * len(self.batch), self.prepared
        most, floats = ROW_CHUNK // (count * prepared.widest), count * prepared.widest
        return blocks_in_time(rows, most, count * prepared.walks[k - 1], floats, deadline)

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
        if self.ball is not None and k > 1 and len(signs) > 1:
            first = self.walk_to_first(k, pending, constants, error, sensitivities)
            return first, constants, self.ball.minimum(first, constants, error * UP)
        return self.concretise(self.walk_back(k, pending, constants, error, sensitivities, rows), constants, error)
