"""A node's boxes, and the list of nogoods."""

from __future__ import annotations

import numpy as np
from milp_problems import bounded
from random_instances import random_query

from hypersplit.encodings.propagation.state import Nogoods, State
from hypersplit.instances.batch import root


def test_boxes_are_the_nodes() -> None:
    """Inputs, values and pre-activations; a copy is its own, infinite and NaN ends are told."""
    for seed in range(10):
        query = random_query(seed)
        node = bounded(query, root(query).node(0))
        if node is None:
            continue
        state, n = State.of(query, node), query.network.input_size
        assert np.array_equal(state.low[:n], node.lower) and np.array_equal(state.z_high, node.pre_upper)
        for i in range(query.neurons):
            ends = node.pre_lower[i], node.pre_upper[i]
            ends = tuple(max(e, 0.0) for e in ends) if query.relu[i] else ends
            assert (state.low[n + i], state.high[n + i]) == ends
        other = state.copy()
        other.low[:] = other.z_low[:] = np.nan
        assert state.finite and not other.finite
        assert not State.of(query, root(query).node(0)).finite


def test_a_phase_only_tightens() -> None:
    """Signs of neurons that have them already change nothing."""
    state = State(np.zeros(1), np.zeros(1), np.array([-1.0, 2.0, -3.0]), np.array([1.0, 5.0, -2.0]))
    for neuron in range(3):
        state.fix(neuron, 1 if neuron != 2 else -1)
    assert state.z_low.tolist() == [0.0, 2.0, -3.0] and state.z_high.tolist() == [1.0, 5.0, -2.0]
    state.fix(1, -1)
    assert state.z_low[1] > state.z_high[1] == 0.0


def test_the_list_forgets_old_long_ones_first() -> None:
    """Against a list of lists: short nogoods stay, and so does the newer half."""
    rng, nogoods, plain = np.random.default_rng(0), Nogoods(), []
    for _ in range(40):
        literals = rng.integers(0, 30, int(rng.integers(1, 8))).tolist()
        nogoods.add(literals)
        plain.append(literals)
    nogoods.reduce(40, 3)
    assert len(nogoods) == 40
    nogoods.reduce(30, 3)
    wanted = [one for i, one in enumerate(plain) if len(one) <= 3 or i >= 20]
    ends = zip(nogoods.starts[:-1], nogoods.starts[1:], strict=True)
    assert [nogoods.literals[a:b].tolist() for a, b in ends] == wanted
