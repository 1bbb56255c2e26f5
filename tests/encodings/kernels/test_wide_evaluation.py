"""Whatever slopes are given, what the evaluation says is a true bound: against exact minima of the oracle."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import oracle
import pytest
from random_instances import Shape
from wide_nets import laid_out

from hypersplit.encodings.kernels.wide_ascent import plain_numbers
from hypersplit.encodings.kernels.wide_evaluation import evaluate, evaluation_room
from hypersplit.encodings.linear.bounds import LinearBoundOptions, norm
from hypersplit.encodings.linear.linear_bounds import bound
from hypersplit.encodings.slopes.phase_bounds import largest_magnitudes


@pytest.mark.parametrize("kind", ["plain", "random", "void"])
@pytest.mark.parametrize("shape", [Shape(halfspaces=0.0), Shape(halfspaces=0.0, rough=True, scale=1e3)])
def test_margins_are_below_their_exact_minima(shape: Shape, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain slopes, random ones, NaN and numbers out of range; with plain ones the numpy twin's bounds are met."""
    checked = 0
    for seed in range(15):
        made = laid_out(monkeypatch, seed, shape)
        if made is None:
            continue
        query, batch, net, node = made
        last, rows = len(net.relu) - 1, np.arange(query.rows)
        magnitudes = largest_magnitudes(query, batch)
        sizes = np.concatenate([np.zeros(query.network.input_size), *(m[0] for m in magnitudes)])
        norms = np.array([0.0, *(float(norm(m[0])) for m in magnitudes)])
        rng, count = np.random.default_rng(seed), int(net.starts[-1]) * query.rows
        numbers = np.zeros(count, np.float32)
        if kind == "plain":
            plain_numbers(net, node, last, numbers, query.rows)
        else:
            numbers[:] = rng.random(count) if kind == "random" else rng.choice([np.nan, -7.0, 1e30, 2.0], count)
        room, sensitivities = evaluation_room(net, query.rows), np.zeros((query.rows, query.neurons))
        evaluate(net, node, room, last, rows, False, numbers, sizes, norms, sensitivities)
        leaves = list(oracle.leaves(query.network, query.region))
        twin = bound(query, batch, LinearBoundOptions(hidden=False, kernel="plain"))
        for r in range(query.rows):
            exact = min(leaf.pre[-1].range(leaf.polytope, r)[0] for leaf in leaves)
            value = room.values[r]
            assert not np.isfinite(value) or Fraction(float(value)) <= exact, f"seed {seed}, row {r}"
            if kind == "plain":
                scale = 1.0 + np.abs(sizes).max()
                assert value <= twin.margins[0, r] + 1e-3 * scale, f"seed {seed}, row {r}"
                assert np.isfinite(value), f"seed {seed}, row {r}"
            checked += 1
    assert checked > 15
