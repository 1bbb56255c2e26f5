"""Triangle LPs of threads: one in each, which goes from node to node."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from milp_problems import bounded
from random_instances import Shape, random_query

from hypersplit.encodings.programs.lp import TriangleLP
from hypersplit.encodings.programs.thread_lps import ThreadLPs
from hypersplit.instances.batch import root

SECONDS = 60.0  # far beyond what any of these LPs needs


def test_threads_have_models_of_their_own() -> None:
    """Each knows which node it was left at, and bounds it as a fresh one does."""
    query = random_query(1, Shape(halfspaces=0.0))
    node = bounded(query, root(query).node(0))
    assert node is not None
    half = replace(node, upper=np.append(0.5 * node.lower[0] + 0.5 * node.upper[0], node.upper[1:]))
    models = ThreadLPs(query)
    mine = models.at(node)
    assert models.at(half) is mine and models.last is mine and mine.node is half
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(models.at, node).result()
    assert other is not mine and other.node is node and mine.node is half
    assert mine.minimise(0, SECONDS).bound == pytest.approx(TriangleLP(query, half).minimise(0, SECONDS).bound)
