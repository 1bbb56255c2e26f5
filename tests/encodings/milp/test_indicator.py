"""Indicator and SOS1 constraints: exact, and no weaker than the triangle in SCIP's linear relaxation."""

from __future__ import annotations

import numpy as np
import pytest
from single_relus import extreme, neuron

from hypersplit.encodings.milp.indicator import Indicator, Sos1
from hypersplit.encodings.milp.model import Formulation, NetworkModel

KINDS = [Indicator, Sos1]


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_relu(kind: type[Formulation]) -> None:
    """Least and largest y are both max(0, z); a relaxed neuron has the triangle's top."""
    rng = np.random.default_rng(2)
    query, node = neuron(rng.normal(size=3), -0.1, -np.ones(3), np.ones(3))
    low, high = node.pre_lower[0], node.pre_upper[0]
    for share in (0.1, 0.5, 0.9):
        z = low + share * (high - low)
        for sign in (1.0, -1.0):
            assert extreme(query, node, kind(), z, sign) == pytest.approx(max(z, 0.0), abs=1e-5)
        top = high * (z - low) / (high - low)
        assert extreme(query, node, kind(), z, -1.0, relaxed=True) == pytest.approx(top, abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_networks_values_are_a_solution(kind: type[Formulation]) -> None:
    """The slack variables that SCIP adds get their values, too."""
    rng = np.random.default_rng(3)
    query, node = neuron(rng.normal(size=3), 0.2, -np.ones(3), np.ones(3))
    for x in rng.uniform(-1.0, 1.0, (6, 3)):
        model = NetworkModel(query, node, kind())
        solution, _ = model.solution(x)
        assert model.scip.checkSol(solution, original=True), x


def test_only_the_indicator_has_a_binary() -> None:
    """SOS1 branches on the halves themselves."""
    query, node = neuron(np.array([1.0, -1.0]), 0.0, -np.ones(2), np.ones(2))
    models = [NetworkModel(query, node, kind()) for kind in KINDS]  # which must outlive their variables
    binaries = [sum(v.vtype() == "BINARY" for v in model.scip.getVars()) for model in models]
    assert binaries[0] >= 1 and binaries[1] == 0
