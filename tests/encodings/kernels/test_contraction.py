"""The compiled contraction does what its numpy twin does, pass by pass."""

from __future__ import annotations

import numpy as np
import pytest
from milp_problems import bounded
from random_instances import Shape, random_query

from hypersplit.encodings.propagation.contraction import WORTH, Propagation
from hypersplit.encodings.propagation.state import Nogoods, State
from hypersplit.instances.batch import root


@pytest.mark.parametrize("shape", [Shape(), Shape(scale=1e4, rough=True), Shape(residual=1.0, halfspaces=1.0)])
def test_the_twins_end_at_the_same_boxes(shape: Shape) -> None:
    """Emptiness alike; ends differ by what another pass would have won, as rows of a layer go one by one or at once."""
    empties, kept = 0, 0
    for seed in range(25):
        query, rng = random_query(seed, shape), np.random.default_rng(seed)
        node = bounded(query, root(query).node(0))
        if node is None or not query.relu.any():
            continue
        nogoods = Nogoods()
        for _ in range(int(rng.integers(0, 3))):
            relus = rng.choice(np.flatnonzero(query.relu), 2)
            nogoods.add(sorted({int(2 * i + rng.integers(2)) for i in relus}))
        for k in range(query.disjuncts):
            found = []
            for kernel in ("plain", "compiled"):
                state = State.of(query, node)
                found.append((Propagation(query, node, k, kernel).contract(state, nogoods), state))
            (plain, one), (compiled, other) = found
            assert plain == compiled, f"seed {seed}, disjunct {k}"
            empties += plain
            kept += not plain
            for name in ("low", "high", "z_low", "z_high") if not plain else ():
                a, b = getattr(one, name), getattr(other, name)
                given = State.of(query, node)
                width = getattr(given, name.replace("low", "high")) - getattr(given, name.replace("high", "low"))
                assert (np.abs(a - b) <= 4.0 * WORTH * width + 1e-9 * (1.0 + np.abs(a))).all(), f"seed {seed}, {name}"
    assert empties > 2 and kept > 2
