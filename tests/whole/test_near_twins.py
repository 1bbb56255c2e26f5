"""Two networks that are nearly one, from the question how far their outputs are apart to its verdict."""

from __future__ import annotations

from fractions import Fraction

import oracle
import pytest
from near_twins import near_pair, property_of_difference

from hypersplit.bab.jobs.run import query_of
from hypersplit.bab.verify import verify


@pytest.mark.parametrize("kernel", ["plain", "compiled"])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("seed", range(8))
def test_verdicts_are_those_of_exact_arithmetic(seed: int, shared: bool, kernel: str) -> None:
    """The largest difference of two outputs, a little less and a little more than it: sat and unsat."""
    network = near_pair(seed, (2, 3, 2, 1))
    asked = property_of_difference(network, 0.0, shared)
    found = oracle.worst_margin(network, asked.cases[0])
    assert found is not None
    largest = -found[0]
    for step in (-(2.0**-16), 2.0**-16):
        prop = property_of_difference(network, float(largest) + step, shared)
        query = query_of(0, network, prop)
        assert query is not None and query.network.differences
        result = verify(network, prop, timeout=900, jobs=1, kernel=kernel)
        truth = "sat" if Fraction(float(largest) + step) <= largest else "unsat"
        assert result.verdict == truth, (seed, step, result.reason)
