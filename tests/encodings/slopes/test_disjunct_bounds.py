"""Weighted sums of a disjunct's rows: whatever the weights, slopes and multipliers, a true bound of the largest."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from milp_problems import bounded, exact_minimum
from random_instances import Shape, random_phases, random_query

from hypersplit.encodings.slopes.disjunct_bounds import DisjunctAscent, DisjunctPass, shares_of
from hypersplit.encodings.slopes.optimised_bounds import OptimiseOptions
from hypersplit.encodings.slopes.phase_bounds import skeleton_of
from hypersplit.encodings.slopes.slope_ascent import Single
from hypersplit.instances.batch import root
from hypersplit.instances.multipliers import Multipliers


def test_shares_are_a_softmax_over_the_disjuncts_rows() -> None:
    """>= 0, of sum 1, 0 elsewhere; logits of any size make no NaN."""
    query = next(q for s in range(99) if (q := random_query(s)).disjuncts > 1 and q.rows > q.disjuncts)
    rng = np.random.default_rng(0)
    disjunct = rng.integers(0, query.disjuncts, 30)
    logits = rng.normal(size=(30, query.rows)) * 10.0 ** rng.integers(-3, 4, (30, 1))
    found = shares_of(query, disjunct, logits)
    for p, k in enumerate(disjunct):
        own = slice(query.starts[k], query.starts[k + 1])
        e = np.exp(logits[p, own] - logits[p, own].max())
        np.testing.assert_allclose(found[p, own], e / e.sum(), rtol=1e-12)
        assert found[p].sum() == pytest.approx(1.0) and np.count_nonzero(np.delete(found[p], np.r_[own])) == 0


@pytest.mark.parametrize("numbers", ["random", "void", "ascended"])
@pytest.mark.parametrize("shape", [Shape(halfspaces=0.0), Shape(halfspaces=0.0, scale=1e4, rough=True)])
def test_bounds_are_below_the_exact_minimum(shape: Shape, numbers: str) -> None:
    """Random numbers, NaN and numbers out of range, and those of an ascent, on roots and on nodes with phases."""
    checked = 0
    for seed in range(15):
        query, rng = random_query(seed, shape), np.random.default_rng(seed)
        start = root(query)
        start.cuts = start.cuts[:, :0]
        phases = random_phases(rng, query.network, query.region)[: query.neurons]
        start.phases = phases[None] if seed % 2 else start.phases
        start.pre_lower[start.phases > 0], start.pre_upper[start.phases < 0] = 0.0, 0.0
        node = bounded(query, start.node(0))
        if node is None or (node.pre_lower > node.pre_upper).any():
            continue
        batch, count = node.batch, query.disjuncts
        pairs, each = np.zeros(count, dtype=np.intp), np.arange(count)
        given = Multipliers.none((count,), query.neurons, query.rows, 0)
        if numbers == "random":
            given.signed[:] = rng.uniform(-2.0, 1.0, given.signed.shape)
            given.logits[:] = rng.normal(size=given.logits.shape)
        elif numbers == "void":
            given.signed[:], given.logits[:] = rng.choice([-1e30, 7.0, 1e30], given.signed.shape), 0.0
        else:
            ascent = DisjunctAscent(Single(skeleton_of(query, batch), batch), pairs, each, None)
            ascent.run(OptimiseOptions(iterations=8).steps(warm=False))
            given = ascent.found()
            assert ((ascent.points() >= batch.lower) & (ascent.points() <= batch.upper + 1e-6)).all()
        walk = DisjunctPass(query, batch, pairs, each, given)
        values = walk.minima(len(query.network.layers))
        for k in range(count):
            truth = exact_minimum(query, node, [k])
            # weights are exact as they stand; in float32 their sum is 1 up to rounding, which changes no sign
            weight = sum((Fraction(float(w)) for w in walk.shares[k]), Fraction(0))
            assert abs(weight - 1) < Fraction(1, 10**6)
            assert truth is None or Fraction(float(values[k])) <= weight * truth, f"seed {seed}, disjunct {k}"
            assert truth is None or not (values[k] > 0.0 and truth <= 0), f"seed {seed}, disjunct {k}"
            checked += truth is not None
    assert checked > 12
