"""Octahedral bounds of groups of neurons: how large a'z can be for a in {-1, 0, 1}^k on a node.

By back-substitution of the combined row a'W of the group's layer, from the node's own pre-activation bounds, rigorous
like every linear bound; optimised slopes (`slope_ascent`) where iterations are asked for. The combination sees what
the neurons' boxes do not: z_1 - z_2 is narrow where both read the same inputs. Cost: a walk through the layers before
a row, M rows a group, twice that for every iteration.
"""

from __future__ import annotations

import math

import numpy as np

from ...instances.batch import Batch
from ...instances.network import Array, Matrix
from ...instances.query import Query
from ...instances.rounding import UP, gamma
from ...instances.sparse import is_sparse, sp
from ..linear.inherited_pass import InheritedPass
from ..linear.prepared_layers import prepared_of
from ..slopes.optimised_bounds import PAIR_FLOATS, OptimiseOptions, PairPass
from ..slopes.phase_bounds import skeleton_of
from ..slopes.row_multipliers import RowPool
from ..slopes.skeleton import FLOAT
from ..slopes.slope_ascent import Ascent, Pairs, Single

__all__ = ["octahedral_bounds"]


def octahedral_bounds(
    query: Query, batch: Batch, k: int, groups: Array, directions: Array, options: OptimiseOptions | None = None,
    pool: RowPool | None = None,
) -> Array:  # fmt: skip
    """[G, M] rigorous upper bounds of directions @ z over the node.

    batch: one node with finite pre-activation bounds; k: the layer; groups: [G, K] rows of it; directions: [M, K] of
    0 and +-1, the first 2K those of single neurons (+, - in turn), whose bounds are the node's own.
    options: of the ascent; None: plain slopes. pool: rows of earlier layers that the ascent may use.
    """
    part = query.slices[k - 1]
    size = groups.shape[1]
    upper = np.full((len(groups), len(directions)), math.inf)
    upper[:, 0 : 2 * size : 2] = batch.pre_upper[0, part][groups]
    upper[:, 1 : 2 * size : 2] = -batch.pre_lower[0, part][groups]
    several = directions[2 * size :]
    if not len(several) or not len(groups):
        return upper
    # the boxes' own bound of each combination
    low, high = batch.pre_lower[0, part][groups], batch.pre_upper[0, part][groups]
    box = np.maximum(several, 0.0) @ high.T + np.minimum(several, 0.0) @ low.T
    scale = np.abs(several) @ np.maximum(np.abs(low), np.abs(high)).T
    upper[:, 2 * size :] = (box + gamma(size) * scale).T
    combined, slot = _combinations(groups, several, part.stop - part.start)
    found = -_minima(query, batch, k, combined, options, pool)
    upper[:, 2 * size :] = np.fmin(upper[:, 2 * size :], found[slot].reshape(len(groups), -1))
    return upper


def _combinations(groups: Array, directions: Array, size: int) -> tuple[Matrix, Array]:
    """(distinct rows a over the layer's neurons, csr [P, size]; [G * M] which one each group's direction is).

    Groups overlap, and pairs of a direction come up again and again.
    """
    count, width = groups.shape
    neurons = np.repeat(groups[:, None, :], len(directions), axis=1).reshape(-1, width)
    signs = np.tile(directions, (count, 1))
    order = np.argsort(np.where(signs != 0.0, neurons, size), axis=1, kind="stable")
    neurons, signs = np.take_along_axis(neurons, order, axis=1), np.take_along_axis(signs, order, axis=1)
    key = np.where(signs != 0.0, (neurons + 1) * signs, 0.0).astype(np.int64)
    key, slot = np.unique(key, axis=0, return_inverse=True)
    row, column = np.nonzero(key)
    value = key[row, column]
    matrix = sp.csr_array((np.sign(value).astype(np.float64), (row, np.abs(value) - 1)), shape=(len(key), size))
    return matrix, slot.ravel()


def _minima(
    query: Query, batch: Batch, k: int, rows: Matrix, options: OptimiseOptions | None, pool: RowPool | None
) -> Array:
    """[P] lower bounds of -rows @ z_k."""
    if k == 1 and not batch.cuts.any():
        return _minima_on_box(query, batch, rows)
    walked = InheritedPass(query, batch)
    plain = np.concatenate([np.zeros(0), *(
        np.zeros(part.stop - part.start) if line is None else line.lower_slope[0]
        for line, part in zip(walked.lines, query.slices, strict=True)
    )])  # fmt: skip
    found = np.empty(rows.shape[0])
    step = max(1, PAIR_FLOATS // (query.neurons + query.network.input_size))
    single = Single(skeleton_of(query, batch).below(k), batch) if options and k > 1 else None
    for i in range(0, len(found), step):
        some = rows[i : i + step]
        numbers, weights = np.tile(plain, (some.shape[0], 1)), np.zeros((some.shape[0], batch.cuts.shape[1]))
        mus, used = None, pool if single is not None else None
        if single is not None and options is not None:
            ascent = _GroupAscent(single, some, pool)
            ascent.run(options.steps(warm=False))
            (numbers, weights), mus = ascent.result(), ascent.best_mus
        found[i : i + step] = _GroupPass(walked, some, numbers, weights, mus, used).minima(k)
    return found


def _minima_on_box(query: Query, batch: Batch, rows: Matrix) -> Array:
    """The same for the first layer, whose combinations are linear in the input: their minima over the box."""
    prepared, lower, upper = prepared_of(query).layers[0], batch.lower[0], batch.upper[0]
    (w,), bias = prepared.layer.weights, prepared.layer.bias
    product = -(rows @ (sp.csr_array(w) if is_sparse(w) else w))
    if is_sparse(product):
        least = product.maximum(0.0) @ lower + product.minimum(0.0) @ upper
    else:
        least = np.maximum(product, 0.0) @ lower + np.minimum(product, 0.0) @ upper
    terms = int(np.diff(rows.indptr).max(initial=1))
    sizes = np.abs(w) @ np.maximum(np.abs(lower), np.abs(upper)) + np.abs(bias)
    error = gamma(terms * (prepared.terms + 2) + 8) * (abs(rows) @ sizes)
    error = (error + terms * prepared.layer.bias_error) * UP
    return np.asarray(least - rows @ bias - error)


def _alone(count: int) -> Pairs:
    """As many rows of one node, none of which makes another one needless."""
    nothing = np.zeros(count, dtype=np.intp)
    return Pairs(nothing, nothing, np.ones(count), np.arange(count))


class _GroupPass(PairPass):
    """Rigorous evaluation of -rows @ z_k."""

    def __init__(
        self, walked: InheritedPass, rows: Matrix, numbers: Array, weights: Array, mus: Array | None,
        pool: RowPool | None,
    ) -> None:  # fmt: skip
        self.combined = rows
        super().__init__(walked, _alone(rows.shape[0]), numbers, weights, mus, pool)

    def objective(self, k: int) -> tuple[dict[int, Array], Array, Array]:
        """See PairPass; sums of a few entries round once more each."""
        prepared, rows = self.prepared.layers[k - 1], self.combined
        layer, terms = prepared.layer, int(np.diff(rows.indptr).max(initial=1))
        pending = {
            s: -_dense(rows @ sp.csr_array(w) if is_sparse(w) else rows @ w)[:, None]
            for s, w in zip(layer.sources, layer.weights, strict=True)
        }
        own = abs(rows) @ self.walked.magnitudes[k - 1][0]
        error = gamma(prepared.terms + self.sums + 2 * terms) * own + terms * layer.bias_error * UP
        return pending, -(rows @ layer.bias)[:, None], error[:, None]


class _GroupAscent(Ascent):
    """The ascent of -rows @ z_k."""

    def __init__(self, single: Single, rows: Matrix, pool: RowPool | None) -> None:
        self.combined = rows
        super().__init__(single, _alone(rows.shape[0]), None, pool)

    def _rows(self) -> tuple[dict[int, Array], Array]:
        layer, first = self.single.query.network.layers[self.single.last - 1], {}
        for s, w in zip(layer.sources, layer.weights, strict=True):
            product = _dense(self.combined @ sp.csr_array(w) if is_sparse(w) else self.combined @ w)
            first[s] = (-product[:, self.single.live[s]]).astype(FLOAT)
        return first, -(self.combined @ layer.bias)


def _dense(a: Matrix) -> Array:
    return a if isinstance(a, np.ndarray) else np.asarray(a.toarray())
