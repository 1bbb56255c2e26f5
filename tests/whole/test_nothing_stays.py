"""What a question needed goes with it: a program that asks thousands of them does not grow."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import hypersplit
from hypersplit.instances.families.random_networks import random_network
from hypersplit.instances.network import Network
from hypersplit.instances.property import InputSet, Property
from hypersplit.instances.query import OfQuery, Query

KINDS = (Network, Query, InputSet, OfQuery)


def robust(network: Network, epsilon: float, **options: Any) -> None:
    """A question about a point, in a ball of `norm`, with a tree where it needs one."""
    x = np.random.default_rng(0).uniform(0.0, 1.0, network.input_size)
    label, norm = int(network.evaluate(x[None])[0].argmax()), options.pop("norm", np.inf)
    prop = Property.robustness(x, epsilon, label, norm).about(network.input_size, network.output_size)
    hypersplit.verify(network, prop, timeout=60, jobs=1, nodes=40, **options)


def certified(network: Network) -> None:
    """Certificates, a walk, and an exact record of a point."""
    x = np.full((1, network.input_size), 0.5)
    labels = network.evaluate(x).argmax(axis=1)
    hypersplit.simplex_certificate(network, x, labels, 2)
    hypersplit.decision_boundary_certificate(network, x, labels, 2)
    hypersplit.region_walk(network, x, labels, 2, seconds=1.0)


WIDE, NARROW = [80, 20, 20, 20, 3], [4, 12, 12, 3]
ASKED: dict[str, Callable[[], None]] = {
    "few inputs": lambda: robust(random_network(NARROW, 7), 0.2),
    "many inputs": lambda: robust(random_network(WIDE, 7), 0.05),
    "inherited bounds": lambda: robust(random_network(WIDE, 3), 0.1, node_bounds="linear"),
    "numpy": lambda: robust(random_network(WIDE, 7), 0.05, kernel="plain"),
    "a ball": lambda: robust(random_network(WIDE, 3), 0.3, norm=2),
    "rows": lambda: robust(random_network(WIDE, 3), 0.1, rows="always"),
    "a MILP": lambda: robust(random_network(NARROW, 4), 0.1, method="milp"),
    "certificates": lambda: certified(random_network(NARROW, 6)),
}


def alive() -> int:
    """How many objects there are that hold a question's arrays."""
    gc.collect()
    return sum(isinstance(o, KINDS) for o in gc.get_objects())


@pytest.mark.parametrize("what", ASKED)
def test_nothing_of_a_question_stays(what: str) -> None:
    """Asked once for what is loaded on the way, and then twice more."""
    ASKED[what]()
    before = alive()
    ASKED[what]()
    ASKED[what]()
    assert alive() <= before
