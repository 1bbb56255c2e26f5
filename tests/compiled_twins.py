"""Linear bounds by the compiled kernel and by its numpy twin, side by side."""

from __future__ import annotations

from operator import attrgetter

import numpy as np
from random_instances import random_nodes

from hypersplit.encodings.linear.linear_bounds import Bounds, LinearBoundOptions, bound
from hypersplit.instances.batch import Batch, root
from hypersplit.instances.query import Query

__all__ = ["OPTIONS", "assert_same", "nodes_of"]


def nodes_of(seed: int, query: Query, count: int) -> Batch:
    """The root and nodes below it with its bounds inherited: boxes, half-spaces, phases."""
    rng = np.random.default_rng(seed)
    batch = Batch.concatenate([root(query), random_nodes(rng, query, count)])
    proved = bound(query, root(query), LinearBoundOptions(kernel="plain"))
    batch.pre_lower[1:] = np.maximum(batch.pre_lower[1:], proved.pre_lower)
    batch.pre_upper[1:] = np.minimum(batch.pre_upper[1:], proved.pre_upper)
    return batch


def assert_same(query: Query, batch: Batch, options: LinearBoundOptions, label: str) -> Bounds:
    """Both ways; returns the kernel's."""
    plain = bound(query, batch, options._replace(kernel="plain"))
    fast = bound(query, batch, options._replace(kernel="compiled"))
    np.testing.assert_array_equal(fast.infeasible, plain.infeasible, err_msg=label)
    alive = ~plain.infeasible
    unstable = (plain.pre_lower < 0.0) & (plain.pre_upper > 0.0) & query.relu
    scale = 1.0 + np.abs(plain.margins[alive]).max(initial=0.0)

    def close(name: str, where: np.ndarray) -> None:
        a, b = attrgetter(name)(fast), attrgetter(name)(plain)
        where = where.reshape(where.shape + (1,) * (a.ndim - where.ndim)) & np.ones(a.shape, dtype=bool)
        np.testing.assert_allclose(a[where], b[where], 1e-7, 1e-8 * scale, err_msg=f"{label}: {name}")

    for name in ("pre_lower", "pre_upper", "margins", "coefficients", "constants"):
        close(name, alive)
    close("sensitivities", alive[:, None, None] & unstable[:, None, :].repeat(query.rows, axis=1))
    if options.means:
        assert plain.means is not None and fast.means is not None
        known = alive[:, None] & np.isfinite(plain.means.spreads)
        np.testing.assert_array_equal(np.isfinite(fast.means.spreads) & alive[:, None], known, err_msg=label)
        close("means.functions", known)
        close("means.spreads", known)
    return fast


OPTIONS = (
    LinearBoundOptions(means=True),
    LinearBoundOptions(slopes="parallel", means=True),
    LinearBoundOptions(hidden=False),
    LinearBoundOptions(first_layer=2),
)
