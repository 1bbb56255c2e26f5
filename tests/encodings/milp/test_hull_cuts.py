"""Cuts of the single-neuron hull against all subsets, and at the neuron itself."""

from __future__ import annotations

from itertools import product

import numpy as np

from hypersplit.encodings.milp.hull_cuts import Rows, most_violated


def test_the_most_violated_row_is_the_least_of_all_subsets() -> None:
    """The linear-time choice gives the smallest right-hand side of all 2^n, for weights of both signs."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        weight, bias = rng.standard_normal(5), rng.standard_normal()
        lower = rng.uniform(-1.0, 0.0, 5)
        upper = lower + rng.uniform(0.1, 2.0, 5)
        x, a = rng.uniform(lower, upper), rng.uniform()
        low, high = np.where(weight >= 0.0, (lower, upper), (upper, lower))
        terms = np.array([weight * (x - low * (1.0 - a)), weight * high * a])
        every = [bias * a + terms[list(subset), range(5)].sum() for subset in product((0, 1), repeat=5)]
        rows = Rows(np.zeros(5, np.intp), np.arange(5), weight, np.array([bias]))
        _, rhs = most_violated(rows, x, np.array([a]), lower, upper)

        assert np.isclose(rhs[0], min(every), rtol=1e-12, atol=1e-12)


def test_hull_rows_hold_at_the_neuron_itself() -> None:
    """At integral switches no true (x, y, a) violates any row, wherever it was separated."""
    rng = np.random.default_rng(1)
    count = 6
    weight = rng.standard_normal((3, count))
    row, column = (index.ravel() for index in np.indices((3, count)))
    rows = Rows(row, column, weight.ravel(), rng.standard_normal(3))
    lower, upper = -np.ones(count), np.ones(count)
    for _ in range(300):
        x = rng.uniform(lower, upper)
        z = weight @ x + rows.bias
        chosen, _ = most_violated(rows, rng.uniform(lower, upper), rng.uniform(size=3), lower, upper)
        a = (z > 0.0).astype(float)
        first = np.where(rows.weight >= 0.0, lower[column], upper[column])
        last = np.where(rows.weight >= 0.0, upper[column], lower[column])
        terms = np.where(chosen, rows.weight * (x[column] - first * (1.0 - a[row])), rows.weight * last * a[row])
        assert (np.maximum(z, 0.0) <= np.bincount(row, terms) + rows.bias * a + 1e-12).all()
