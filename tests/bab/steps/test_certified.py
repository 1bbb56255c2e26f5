"""Nodes that are certified before they are bounded: the same tree, and evidence of its own."""

from __future__ import annotations

import numpy as np
import pytest
from random_instances import Shape, random_instance, random_nodes

from hypersplit.bab.run.options import Options
from hypersplit.bab.steps.certified import bound_uncertified
from hypersplit.bab.tree.evidence import Evidence
from hypersplit.bab.verify import verify
from hypersplit.encodings.certificates.node_boxes import certified_boxes
from hypersplit.encodings.linear.linear_bounds import LinearBoundOptions, bound
from hypersplit.instances.batch import Batch, root
from hypersplit.instances.carried import carried
from hypersplit.instances.query import queries


def test_certified_boxes_have_no_counterexample() -> None:
    """Sampled margins of certified nodes are above what is certified, and linear bounds close these nodes as well."""
    certified_nodes = 0
    for seed in range(120):
        rng = np.random.default_rng(seed)
        instance = random_instance(seed, "clear-unsat", Shape(rough=bool(seed % 2), halfspaces=0.0))
        query = queries(instance.network, instance.prop)[0]
        batch = Batch.concatenate([root(query), random_nodes(rng, query, 6)])
        certified, margins = certified_boxes(query, batch)
        merged = bound_uncertified(query, batch, LinearBoundOptions(kernel="plain"))
        plain = bound(query, batch, LinearBoundOptions(kernel="plain"))
        refuted = (query.worst(plain.margins) > 0.0) | plain.infeasible
        assert not (certified & ~refuted).any(), seed
        assert np.array_equal(merged.margins[~certified], plain.margins[~certified])
        assert ((query.worst(merged.margins) > 0.0) | merged.infeasible)[certified].all()
        for b in np.flatnonzero(certified):
            certified_nodes += 1
            share = np.round(rng.random((200, query.network.input_size)) * 1.2 - 0.1, 1).clip(0.0, 1.0)
            points = batch.lower[b] + (batch.upper[b] - batch.lower[b]) * share
            assert (query.network.evaluate(points) >= margins[b] - 1e-9).all(), seed
    assert certified_nodes > 20


@pytest.mark.parametrize("name", ["control_force_1.2", "control_brake"])
def test_certificates_close_nodes_of_a_search(name: str) -> None:
    """Always certifying gives the verdict and as many ended nodes as never doing so, and says what closed them."""
    files = carried("control_2d.onnx"), carried(f"{name}.vnnlib")
    plain = verify(*files, Options(timeout=600.0, jobs=1, kernel="plain"))
    certified = verify(*files, Options(timeout=600.0, jobs=1, kernel="plain", certificates="always"))
    assert plain.verdict == certified.verdict == "unsat"
    assert sum(plain.evidence.values()) == sum(certified.evidence.values())
    assert (Evidence.CERTIFICATE.words in certified.reason) == (name == "control_force_1.2")
