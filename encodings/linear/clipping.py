"""Clipping: a node's own linear bounds and half-spaces shrink its box (Clip-and-Verify, arXiv 2512.11087).

A counterexample of disjunct k needs a_r'x + c_r <= 0 for each of its rows, with a_r'x + c_r the proved lower bound of
margin r. Like any half-space g'x + h >= 0 this bounds one input by the extremes of the others:
    g_j x_j >= -h - sum_{i != j} max over the box of g_i x_i.
With several open disjuncts the box becomes the hull of what each of them leaves. All divisions are rounded outward.
A norm ball shrinks the box like its half-spaces do, and gives the node some that touch it where the margins' bounds are
least: with these the box is a polytope around the part of the ball that matters.
A half-space with a number that is not finite, or a limit that is not, says nothing; NaN leaves a disjunct open.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...instances.batch import Batch
from ...instances.network import Array
from ...instances.query import Query
from ...instances.rounding import FEW_ROUNDINGS, TINY, gamma
from .bounds import Bounds, suspicious_rows
from .norm_ball_bounds import shrink_to_ball, split_by_ball, tangents

__all__ = ["clip_batch", "shrink_box"]


def shrink_box(lower: Array, upper: Array, normals: Array, offsets: Array) -> tuple[Array, Array]:
    """The box with all half-spaces normals @ x + offsets >= 0 taken into account, each by itself.

    lower, upper: [B, n]; normals: [B, K, n]; offsets: [B, K]. A box that comes back with lower > upper is empty.
    """
    if normals.shape[1] == 0:
        return lower, upper
    n = lower.shape[1]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        tops = np.maximum(normals * lower[:, None, :], normals * upper[:, None, :])
        reach = np.maximum(np.abs(lower), np.abs(upper))[:, None, :]
        error = 2.0 * gamma(n) * ((np.abs(normals) * reach).sum(axis=2) + np.abs(offsets)) + TINY
        # g_j x_j >= need_j
        need = -(offsets + error)[:, :, None] - (tops.sum(axis=2)[:, :, None] - tops)
        limit = need / normals
        slack = np.abs(limit) * FEW_ROUNDINGS + TINY
        known = np.isfinite(limit) & np.isfinite(need)
        least = np.where(known & (normals > 0.0), limit - slack, -np.inf).max(axis=1)
        most = np.where(known & (normals < 0.0), limit + slack, np.inf).min(axis=1)
    return np.fmax(lower, least), np.fmin(upper, most)


def clip_batch(query: Query, batch: Batch, bounds: Bounds) -> tuple[Batch, Array]:
    """Shrink the boxes of a batch in place of its old ones.

    Returns (batch with smaller boxes and without redundant half-spaces, [B] bool: nothing is left of the node).
    """
    n, ball = query.network.input_size, query.region.ball
    if ball is not None:
        batch = _around_ball(query, batch, bounds)
    lower, upper = shrink_box(batch.lower, batch.upper, batch.cuts[:, :, :n], batch.cuts[:, :, n])
    if ball is not None:
        lower, upper = shrink_to_ball(ball, lower, upper)
    hull_lower, hull_upper = np.full_like(lower, np.inf), np.full_like(upper, -np.inf)
    for k in range(query.disjuncts):
        part = slice(query.starts[k], query.starts[k + 1])
        low, high = shrink_box(lower, upper, -bounds.coefficients[:, part], -bounds.constants[:, part])
        alive = ~(bounds.margins[:, part].max(axis=1) > 0.0) & ~(low > high).any(axis=1)
        hull_lower[alive] = np.minimum(hull_lower[alive], low[alive])
        hull_upper[alive] = np.maximum(hull_upper[alive], high[alive])
    if query.disjuncts == 1:
        # a counterexample lies where every margin's bound is <= 0: half-spaces for the children's bounds
        own = slice(query.reserved - query.rows, query.reserved)
        batch.cuts = batch.cuts.copy()
        rows = -np.concatenate([bounds.coefficients, bounds.constants[:, :, None]], axis=2)
        batch.cuts[:, own] = np.where(np.isfinite(rows).all(axis=2, keepdims=True), rows, 0.0)
    empty: Array = np.any(hull_lower > hull_upper, axis=1)
    batch.lower, batch.upper = np.where(empty[:, None], lower, hull_lower), np.where(empty[:, None], upper, hull_upper)
    batch.cuts = _without_redundant(batch)
    return batch, empty


def _around_ball(query: Query, batch: Batch, bounds: Bounds) -> Batch:
    """The nodes with half-spaces that touch the ball below the minimisers of their most suspicious rows."""
    ball = query.region.ball
    assert ball is not None
    rows = suspicious_rows(query, bounds)[:, : query.tangents]
    coefficients = np.take_along_axis(bounds.coefficients, rows[:, :, None], axis=1)
    part, _ = split_by_ball(ball, batch.lower, batch.upper, coefficients)
    cuts, first = batch.cuts.copy(), len(query.region.rows)
    cuts[:, first : first + query.tangents] = tangents(ball, part)
    return replace(batch, cuts=cuts)


def _without_redundant(batch: Batch) -> Array:
    """Cuts with those zeroed that hold all over the box, rounding included."""
    if batch.cuts.shape[1] == 0:
        return batch.cuts
    n = batch.lower.shape[1]
    normals, offsets = batch.cuts[:, :, :n], batch.cuts[:, :, n]
    with np.errstate(invalid="ignore", over="ignore"):
        floor = np.minimum(normals * batch.lower[:, None, :], normals * batch.upper[:, None, :]).sum(axis=2) + offsets
        reach = np.maximum(np.abs(batch.lower), np.abs(batch.upper))[:, None, :]
        error = 2.0 * gamma(n) * ((np.abs(normals) * reach).sum(axis=2) + np.abs(offsets)) + TINY
    return np.where((floor > error)[:, :, None], 0.0, batch.cuts)
