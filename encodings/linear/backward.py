"""Back-substitution as such: linear functions of one layer's values become ones of the input, layer by layer.

What is known of each layer, its lines and the magnitudes of its terms, is found by a walk forwards
(`back_substitution.Pass`, and others); here is what any of them does on the way back, rounding included.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from ...instances.batch import Batch
from ...instances.network import Array, Difference
from ...instances.rounding import UP, gamma
from ..relaxations.differences import Chords, take
from ..relaxations.kinds import Lines
from ..relaxations.paired_squares import PairedSquares
from .bounds import at_least, norm
from .first_layer_ball import Ball
from .halfspaces import absorb_cuts
from .norm_ball_bounds import minimum_in_ball
from .prepared_layers import Prepared

__all__ = ["Backward"]


class Backward(ABC):
    """Walks from rows of a layer back to the input, by lines and magnitudes that some forward walk has found."""

    def __init__(self, prepared: Prepared, ball: Ball | None) -> None:
        self.prepared, self.query = prepared, prepared.query
        self.ball = ball  # by which minima come from the first layer, where that works
        self.lines: list[Lines | None] = []  # per layer
        self.magnitudes: list[Array] = []  # per layer [B, n]: |W| m + |b|
        self.planes: dict[int, PairedSquares] = {}  # of layers with products
        self.bent: dict[int, Array] = {}  # layer -> neurons whose lines are not one and the same
        # of differences of two layers, by the second one
        self.chords: dict[int, tuple[Difference, Chords]] = {}
        self.sums = prepared.sums

    @property
    @abstractmethod
    def batch(self) -> Batch:
        """The nodes on which rows are minimised, one for each first index of the rows' coefficients."""

    def walk_to_first(
        self, k: int, pending: dict[int, Array], constants: Array, error: Array, sensitivities: Array | None
    ) -> Array:
        """As `walk_back`, but only down to the first layer's pre-activations: their coefficients."""
        nothing = np.zeros(0, dtype=np.intp)
        for v in range(k - 1, 0, -1):
            coefficients = pending.pop(v, None)
            if coefficients is None:
                continue
            if v == 1:
                first = self._to_pre_activation(1, coefficients, pending, constants, error, sensitivities)
                return np.broadcast_to(first, (len(constants), *first.shape[1:]))
            self._step(v, coefficients, pending, constants, error, sensitivities, nothing)
        return np.zeros((*constants.shape, self.query.network.layers[0].size))

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
        prepared = self.prepared.layers[v - 1]
        coefficients = self._to_pre_activation(v, coefficients, pending, constants, error, sensitivities)
        if prepared.layer.bias.any():
            constants += coefficients @ prepared.layer.bias
        for s, w in zip(prepared.layer.sources, prepared.layer.weights, strict=True):
            flat = coefficients.reshape(-1, coefficients.shape[2])
            product = flat @ w if isinstance(w, np.ndarray) else np.ascontiguousarray((w.T @ flat.T).T)
            product = product.reshape(*coefficients.shape[:2], -1)
            pending[s] = pending[s] + product if s in pending else product

    def _to_pre_activation(
        self, v: int, coefficients: Array, pending: dict[int, Array], constants: Array, error: Array,
        sensitivities: Array | None,
    ) -> Array:  # fmt: skip
        """Replace x_v by its lines over z_v, and by those of differences where it has a partner that waits, too.

        pending[-v] holds what such differences add to the coefficients of z_v.
        """
        if v in self.chords and self.chords[v][0].first in pending:
            coefficients = self._take_differences(v, coefficients, pending, constants, error)
        coefficients = self._into_layer(v, coefficients, constants, error, sensitivities)
        straight = pending.pop(-v, None)
        if straight is None:
            return coefficients
        prepared, magnitude = self.prepared.layers[v - 1], self.magnitudes[v - 1]
        per_unit = gamma(prepared.terms + self.sums) * norm(magnitude)
        error += norm(straight) * (per_unit + prepared.layer.bias_error * magnitude.shape[1])[:, None]
        return np.asarray(coefficients + straight)

    def _take_differences(
        self, v: int, coefficients: Array, pending: dict[int, Array], constants: Array, error: Array
    ) -> Array:
        """What is left of the coefficients of x_v once multiples of differences have gone to z_v and its partner."""
        pairs, line = self.chords[v]
        taken = take(pairs, line, pending[pairs.first], coefficients)
        pending[pairs.first], pending[-pairs.first], pending[-v] = taken.first, taken.straight, taken.straight_second
        constants += taken.constants
        error += gamma(len(pairs.left) + self.sums) * norm(taken.multiples) * norm(line.rise + line.drop)[:, None]
        return taken.second

    def _into_layer(
        self, v: int, coefficients: Array, constants: Array, error: Array, sensitivities: Array | None
    ) -> Array:
        """Replace x_v by its lines over z_v; the rounding of what layer v does to z_v goes into the error."""
        prepared, line, magnitude = self.prepared.layers[v - 1], self.lines[v - 1], self.magnitudes[v - 1]
        if line is not None:
            if sensitivities is not None:
                sensitivities[:, :, self.query.slices[v - 1]] = coefficients
            relaxed = self._relaxed if v not in self.planes else self._relaxed_in_pairs
            coefficients = relaxed(v, coefficients, line, constants, error)
            coefficients = self.add_multipliers(v, coefficients, error)
        size = norm(coefficients)
        per_unit = gamma(prepared.terms + self.sums) * norm(magnitude)
        error += size * (per_unit + prepared.layer.bias_error * magnitude.shape[1])[:, None]
        return coefficients

    def _relaxed_in_pairs(
        self, v: int, coefficients: Array, line: Lines, constants: Array, error: Array
    ) -> Array:
        """The same where products have planes: sums of what squares and products leave round once more."""
        pairs, magnitude = self.planes[v], self.magnitudes[v - 1]
        coefficients, share = pairs.taken(coefficients)
        out = self._relaxed(v, coefficients, line, constants, error)
        plus, minus, added = pairs.moved(share)
        constants += added
        error += gamma(share.shape[2] + self.sums) * norm(share) * norm(pairs.reach)[:, None]
        for neurons, part in ((pairs.products.plus, plus), (pairs.products.minus, minus)):
            rounded = norm(part) + norm(out[:, :, neurons])
            error += gamma(4) * rounded * norm(magnitude[:, neurons])[:, None]
            out[:, :, neurons] += part
        return out

    def _relaxed(self, v: int, coefficients: Array, line: Lines, constants: Array, error: Array) -> Array:
        """Coefficients [B, S, n] of z_v for those of x_v; intercepts go to the constants."""
        relu = self.prepared.layers[v - 1].layer.kind == "relu"
        bent = self._bent(v, line)  # the other lines are both z or both 0
        part = coefficients[:, :, bent]
        below = np.minimum(part, 0.0)
        upper, lower = line.upper_intercept[:, bent], line.lower_intercept[:, bent]
        constants += np.matmul(below, upper[:, :, None])[:, :, 0]
        if not relu:
            constants += np.matmul(np.maximum(part, 0.0), lower[:, :, None])[:, :, 0]
        error += gamma(len(bent) + self.sums) * norm(part) * norm(np.abs(upper) + np.abs(lower))[:, None]
        part = np.where(part > 0.0, line.lower_slope[:, None, bent], line.upper_slope[:, None, bent]) * part
        out = coefficients * line.lower_slope[:, None, :]
        out[:, :, bent] = part
        return np.asarray(out)

    def _bent(self, v: int, line: Lines) -> Array:
        """Neurons of layer v whose two lines differ on some node, or have an intercept."""
        if v not in self.bent:
            differ = (line.lower_slope != line.upper_slope) | (line.upper_intercept != 0.0)
            self.bent[v] = np.flatnonzero((differ | (line.lower_intercept != 0.0)).any(axis=0))
        return self.bent[v]

    def add_multipliers(self, v: int, coefficients: Array, error: Array) -> Array:
        """Coefficients [B, S, n] of z_v with what multipliers of its phases add; here there are none."""
        return coefficients

    def concretise(self, coefficients: Array, constants: Array, error: Array) -> tuple[Array, Array, Array]:
        """Minimum over box, cuts and norm ball of coefficients @ x + constants, minus all rounding errors.

        Returns (coefficients, constants less their error, minima).
        """
        lower, upper = self.batch.lower, self.batch.upper
        reach = norm(np.maximum(np.abs(lower), np.abs(upper)))[:, None]
        relative = gamma(lower.shape[1] + self.sums)
        rounding = relative * (norm(coefficients) * reach + np.abs(constants))
        error = (error + rounding) * UP
        minima = at_least(self.minimum(coefficients, constants, error, rounding))
        return coefficients, at_least(constants - error), minima

    def minimum(self, coefficients: Array, constants: Array, error: Array, rounding: Array) -> Array:
        """Minimum over box and cuts, or box and norm ball where that is larger, [B, S]; `error` and the rounding of the
        minimum itself are subtracted.

        rounding: that of the minimum over the box.
        """
        values = self._over_polytope(coefficients, constants, error, rounding)
        if (ball := self.query.region.ball) is None:
            return values
        curved = minimum_in_ball(ball, self.batch.lower, self.batch.upper, coefficients, constants)
        return np.fmax(values, curved - error - gamma(0) * (np.abs(curved) + error))

    def _over_polytope(self, coefficients: Array, constants: Array, error: Array, rounding: Array) -> Array:
        lower, upper, cuts = self.batch.lower, self.batch.upper, self.batch.cuts
        if not cuts.any():
            return self._over_box(coefficients, constants) - error - rounding * UP
        reach = norm(np.maximum(np.abs(lower), np.abs(upper)))[:, None]
        relative = gamma(lower.shape[1] + self.sums)
        lowered, offset, extra = absorb_cuts(coefficients, constants, lower, upper, cuts)
        extra = (extra + relative * (norm(lowered) * reach + np.abs(offset))) * UP
        return self._over_box(lowered, offset) - error - extra

    def _over_box(self, coefficients: Array, constants: Array) -> Array:
        """Minimum over the box [B, S], without its rounding."""
        lower, upper = self.batch.lower, self.batch.upper
        values = constants + np.matmul(np.maximum(coefficients, 0.0), lower[:, :, None])[:, :, 0]
        values += np.matmul(np.minimum(coefficients, 0.0), upper[:, :, None])[:, :, 0]
        return values
