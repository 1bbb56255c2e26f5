"""Composed rows are the network's own affine functions."""

from __future__ import annotations

import numpy as np
from random_instances import random_instance

from hypersplit.heuristics.splits.hyperplanes import composed_rows
from hypersplit.instances.query import queries


def test_a_composed_row_is_the_pre_activation_around_its_point() -> None:
    """At the point and at points of the same activation pattern, residual edges included."""
    compared = 0
    for seed in range(40):
        instance = random_instance(seed)
        query = queries(instance.network, instance.prop)[0]
        if not query.neurons:
            continue
        rng = np.random.default_rng(seed)
        lower, upper = query.region.lower, query.region.upper
        points = lower + rng.uniform(size=(query.neurons, len(lower))) * (upper - lower)
        neurons = np.arange(query.neurons)
        rows = composed_rows(query, neurons, points)
        near = np.clip(points + 1e-5 * rng.normal(size=points.shape) * (upper - lower), lower, upper)
        for x in (points, near):
            here, there = (np.concatenate(query.network.values(p)[1], axis=1) for p in (points, x))
            same = ((here > 0.0) == (there > 0.0)).all(axis=1)
            z = there[neurons, neurons]
            row_value = (rows[:, :-1] * x).sum(axis=1) + rows[:, -1]
            np.testing.assert_allclose(row_value[same], z[same], 1e-9, 1e-9 * (1.0 + np.abs(z).max()))
            compared += int(same.sum())
    assert compared > 200
