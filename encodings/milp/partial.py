"""Partial MILP: only the most important unstable ReLUs get a binary, the rest the triangle (as in the hybrid MILP of
ATVA 2025, arXiv 2507.23197, which scores ReLUs by an LP solution instead).

A relaxation of the node, so what it refutes is refuted, at a fraction of the price; its optimum decides nothing else.
How much a ReLU may matter: with lambda_i the sensitivity of a margin's linear bound to the upper line of neuron i,
    |lambda_i| * (-l_i u_i) / (u_i - l_i),
the triangle's height times its weight (the optimal-partition score). Of several margins the largest counts.
"""

from __future__ import annotations

import numpy as np

from ...instances.batch import Node
from ...instances.network import Array
from ...instances.query import Query
from ..linear.linear_bounds import LinearBoundOptions, bound

__all__ = ["important", "relaxed_by", "row_scores", "triangle_scores", "unstable"]


def relaxed_by(query: Query, node: Node, disjuncts: list[int], binaries: int | Array | None) -> Array | None:
    """[neurons] bool, the ReLUs that go without a binary; None where none does.

    binaries: how many get one, most important first, or a mask [neurons] of those that do; None: all.
    """
    if binaries is None:
        return None
    if isinstance(binaries, (int, np.integer)):
        binaries = important(query, node, disjuncts, int(binaries))
    relaxed = unstable(query, node) & ~np.asarray(binaries, dtype=bool)
    return relaxed if relaxed.any() else None


def unstable(query: Query, node: Node) -> Array:
    """[neurons] bool."""
    return np.asarray((node.pre_lower < 0.0) & (node.pre_upper > 0.0) & query.relu)


def important(query: Query, node: Node, disjuncts: list[int], count: int) -> Array:
    """[neurons] bool: the `count` unstable ReLUs that matter most to the margins of these disjuncts."""
    mask = np.zeros(query.neurons, dtype=bool)
    chosen = np.flatnonzero(unstable(query, node))
    if count < len(chosen):
        scores = triangle_scores(query, node, disjuncts)[chosen]
        chosen = chosen[np.argsort(-scores, kind="stable")[: max(count, 0)]]
    mask[chosen] = True
    return mask


def triangle_scores(query: Query, node: Node, disjuncts: list[int]) -> Array:
    """[neurons] |sensitivity| times the triangle's height, the largest over the disjuncts' margins; 0 if stable."""
    rows = np.concatenate([np.arange(query.starts[k], query.starts[k + 1]) for k in disjuncts])
    return np.asarray(row_scores(query, node)[rows].max(axis=0))


def row_scores(query: Query, node: Node) -> Array:
    """[rows, neurons] the same for every margin."""
    bounds = bound(query, node.batch, LinearBoundOptions(hidden=False))
    low, high, open_ = node.pre_lower, node.pre_upper, unstable(query, node)
    height = np.where(open_, -low * high / np.where(open_, high - low, 1.0), 0.0)
    return np.asarray(np.abs(bounds.sensitivities[0]) * height)
