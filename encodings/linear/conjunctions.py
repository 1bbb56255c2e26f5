"""Disjuncts of several rows: refuting them together where no single row does it."""

from __future__ import annotations

import numpy as np

from ...instances.batch import Batch
from ...instances.query import Query
from ...instances.rounding import UP, gamma
from .bounds import Bounds, at_least, norm, smallest_margins
from .halfspaces import absorb_cuts

__all__ = ["refute_conjunctions"]


def refute_conjunctions(query: Query, batch: Batch, bounds: Bounds) -> None:
    """Raise `bounds.margins` of disjuncts with several rows by testing the rows together, in place.

    A point of the disjunct has all its margins <= 0, so each row is minimised with the other rows' linear bounds as
    half-spaces. A raised margin holds on that part of the region only: it refutes the disjunct, and says no more.
    `bounds.together` tells which nodes are closed by that.
    """
    open_before = ~(smallest_margins(query, bounds) > 0.0)
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
            values -= (error + gamma(lower.shape[1]) * (norm(lowered) * reach + np.abs(offset))) * UP
            row = query.starts[k] + r
            bounds.margins[open_nodes, row] = np.fmax(bounds.margins[open_nodes, row], at_least(values[:, 0]))
    bounds.together = open_before & (smallest_margins(query, bounds) > 0.0)
