"""Largest proved distances: in order, on the grid, and below the radius that is attacked."""

from __future__ import annotations

import numpy as np
import pytest
from barrier_pack import pack_images, pack_network

import hypersplit
from hypersplit.bab.barrier.distances import Distances
from hypersplit.bab.barrier.relaxations import RELAXATIONS, Relaxations
from hypersplit.bab.robustness.question import whole_range


@pytest.mark.parametrize("bounds", [(-np.inf, np.inf), (0.0, 1.0)])
def test_distances_are_proved_and_in_order(bounds: tuple[float, float]) -> None:
    """Each relaxation proves its distance and not the next step's, the next one goes on there, none beats the truth."""
    network, x = pack_network("DEEP"), pack_images()[0].reshape(-1) / 255.0
    label = int(network.evaluate(x[None])[0].argmax())
    distances = Distances(network, x, label, whole_range(len(x), *bounds))
    low, high = bounds
    truth = hypersplit.radius(network, x, low=low, high=high, tolerance=0.01, timeout=600, jobs=1, kernel="plain")
    before = 0.0
    for name in RELAXATIONS:
        found = distances.largest(name, np.inf)
        assert before <= found["epsilon"] <= truth.attacked
        assert found["questions"] > 0 and not found["stopped"]
        assert found["grid"] <= found["epsilon"] < found["grid"] + 0.05 * distances.greedy
        steps = (found["grid"] / distances.greedy - 1.0) / 0.05
        assert steps == pytest.approx(round(steps))
        query, _ = distances.at(found["epsilon"])
        assert name != "LP-GREEDY" or Relaxations(query).proves(name)
        beyond, _ = distances.at(found["epsilon"] + 0.0125 * distances.greedy + 1e-5)
        assert not Relaxations(beyond).proves(name)
        before = found["epsilon"]


def test_no_time_is_no_step() -> None:
    """After the deadline a distance stays what it was, and that is told."""
    network, x = pack_network("SHALLOW"), pack_images()[1].reshape(-1) / 255.0
    label = int(network.evaluate(x[None])[0].argmax())
    distances = Distances(network, x, label, whole_range(len(x)))
    first = distances.largest("LP-GREEDY", np.inf)
    then = distances.largest("LP-LAST", -np.inf)
    assert (then["epsilon"], then["questions"], then["stopped"]) == (first["epsilon"], 0, 1)
