"""Interval passes against brute force on one row, and unit propagation against a truth table."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from milp_problems import bounded

from hypersplit.encodings.propagation.contraction import ROUNDS, WORTH
from hypersplit.encodings.propagation.interval_passes import contract_plain
from hypersplit.encodings.propagation.rows import rows_of
from hypersplit.encodings.propagation.state import Nogoods, State
from hypersplit.instances.batch import root
from hypersplit.instances.network import Network, sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries


def contracted(
    network: Network, region: InputSet, rhs: float, nogoods: Nogoods | None = None
) -> tuple[bool, State, Query]:
    """The passes on the root; forbidden: output <= rhs."""
    prop = Property((Case(region, (Polyhedron(np.eye(1), np.array([rhs])),)),), network.input_size, 1)
    query = queries(network, prop)[0]
    node = bounded(query, root(query).node(0))
    assert node is not None
    state = State.of(query, node)
    widths = np.ones(network.input_size + query.neurons)
    empty = contract_plain(query, rows_of(query, 0), node.cuts, nogoods or Nogoods(), state, widths, ROUNDS, WORTH)
    return empty, state, query


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_one_row_bounds_its_terms_as_brute_force_does(scale: float) -> None:
    """w'x + b <= rhs over a box: each input's end is where the others are at their best, up to rounding."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        w, b = scale * rng.normal(size=4), scale * rng.normal()
        lower = rng.normal(size=4)
        upper = lower + rng.random(4)
        least = b + np.minimum(w * lower, w * upper).sum()
        rhs = least + 0.3 * (np.abs(w) * (upper - lower)).sum()
        empty, state, _ = contracted(sequential([w[None]], [np.array([b])]), InputSet.box(lower, upper), rhs)
        assert not empty
        for j in range(4):
            others = Fraction(b)
            for i in {0, 1, 2, 3} - {j}:
                others += min(Fraction(w[i]) * Fraction(lower[i]), Fraction(w[i]) * Fraction(upper[i]))
            end = (Fraction(rhs) - others) / Fraction(w[j])
            if w[j] > 0:
                truth, found = min(end, Fraction(upper[j])), Fraction(float(state.high[j]))
                assert truth <= found <= truth + Fraction(1, 10**9), f"seed {seed}"
            else:
                truth, found = max(end, Fraction(lower[j])), Fraction(float(state.low[j]))
                assert truth >= found >= truth - Fraction(1, 10**9), f"seed {seed}"


def test_out_of_reach_is_empty_and_touching_is_not() -> None:
    """A right-hand side below the least value refutes; the least value itself does not."""
    network, box = sequential([np.array([[1.0, -2.0]])], [np.zeros(1)]), InputSet.box(-np.ones(2), np.ones(2))
    assert contracted(network, box, -3.001)[0]
    empty, state, _ = contracted(network, box, -3.0)
    assert not empty and state.low[:2] == pytest.approx([-1.0, 1.0], abs=1e-9)


def test_a_sum_of_relus_at_zero_makes_them_inactive() -> None:
    """What the margin says goes back through the ReLUs to the pre-activations and the inputs."""
    weights = [np.array([[1.0, 0.0], [0.0, -3.0]]), np.ones((1, 2))]
    network = sequential(weights, [np.zeros(2), np.zeros(1)])
    empty, state, _ = contracted(network, InputSet.box(-np.ones(2), np.ones(2)), 0.0)
    assert not empty and (state.z_high[:2] <= 1e-9).all() and state.high[0] <= 1e-9 and state.low[1] >= -1e-9


def test_nogoods_propagate_like_a_truth_table() -> None:
    """What unit propagation fixes holds in every assignment of phases that violates no nogood; conflicts have none."""
    network = sequential([np.eye(3), np.ones((1, 3))], [np.zeros(3), np.zeros(1)])
    box, conflicts, fixed = InputSet.box(-np.ones(3), np.ones(3)), 0, 0
    for seed in range(60):
        rng, nogoods = np.random.default_rng(seed), Nogoods()
        sets = [sorted({int(v) * 2 + int(rng.integers(2)) for v in rng.integers(0, 3, int(rng.integers(1, 3)))})
                for _ in range(4)]  # fmt: skip
        for literals in sets:
            nogoods.add(literals)
        empty, state, _ = contracted(network, box, 5.0, nogoods)
        possible = [a for a in product((0, 1), repeat=3) if not any(all(a[v >> 1] == v & 1 for v in s) for s in sets)]
        conflicts += empty
        assert not (empty and possible), f"seed {seed}"
        for i in range(3):
            if not empty and (state.z_low[i] >= 0.0 or state.z_high[i] <= 0.0):
                fixed += 1
                assert all(a[i] == int(state.z_high[i] <= 0.0) for a in possible), f"seed {seed}"
    assert conflicts > 0 and fixed > 10
