"""Runs that go on where the property has equalities: the tree is about the free inputs alone."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from job_problems import PLAIN

from hypersplit.bab.jobs.run import query_of
from hypersplit.bab.jobs.saved import Decided, load
from hypersplit.bab.parts import export, merge, run_job
from hypersplit.bab.resume import resume
from hypersplit.bab.run.result import Result
from hypersplit.bab.verify import verify
from hypersplit.instances.errors import InputError
from hypersplit.instances.families.random_networks import random_network
from hypersplit.instances.judges.witness import Witness
from hypersplit.instances.network import Network
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property


def problem() -> tuple[Network, Property]:
    """y above what many points with x_3 = x_0 and x_4 = -x_1 reach; it holds. A second input set has no input."""
    network = random_network([5, 20, 20, 1], 5)
    z = np.random.default_rng(0).uniform(-1.0, 1.0, (20000, 3))
    y = network.evaluate(np.concatenate([z, z[:, :1], -z[:, 1:2]], axis=1))[:, 0]
    forbidden = (Polyhedron(-np.ones((1, 1)), np.array([-float(y.max() + 0.01 * np.ptp(y))])),)
    rows = np.array([[1.0, 0.0, 0.0, -1.0, 0.0], [0.0, 1.0, 0.0, 0.0, 1.0]])
    twice = np.concatenate([rows, -rows])
    none = InputSet(-np.ones(5), np.ones(5), twice, np.array([9.0, 0.0, -9.0, 0.0]))
    some = InputSet(-np.ones(5), np.ones(5), twice, np.zeros(4))
    return network, Property((Case(some, forbidden), Case(none, forbidden)), 5, 1)


def test_a_checkpoint_goes_on_with_the_free_inputs(tmp_path: Path) -> None:
    """Stopped after some nodes and gone on with: as many nodes as at one go."""
    network, prop = problem()
    whole = verify(network, prop, **PLAIN)
    first = verify(network, prop, checkpoint=tmp_path / "run.job", nodes=4, **PLAIN)
    assert (whole.verdict, first.verdict) == ("unsat", "unknown"), first
    job = load(tmp_path / "run.job", "checkpoint")[1].jobs[0]
    query = query_of(job.case, network, prop)
    assert query is not None and job.root.lower.shape[1] == query.network.input_size == 3
    last = resume(tmp_path / "run.job", network, prop, nodes=10**6, jobs=1)
    assert last.verdict == "unsat" and last.statistics["nodes"] == whole.statistics["nodes"]
    assert last.evidence == whole.evidence and "empty regions" in last.evidence


def test_parts_are_about_the_free_inputs(tmp_path: Path) -> None:
    """An input set without inputs is closed by the export, or by nobody's part."""
    network, prop = problem()
    assert export(network, prop, tmp_path / "run", 2, **(PLAIN | {"nodes": 4})).verdict == "unknown"
    for path in sorted((tmp_path / "run").glob("part-*.job")):
        assert run_job(path, network, prop, jobs=1).verdict == "unsat"
    assert merge(tmp_path / "run", network, prop).verdict == "unsat"


def test_a_picture_of_such_a_run_is_refused(tmp_path: Path) -> None:
    """A picture draws all inputs; a checkpoint's tree knows the free ones."""
    network, prop = problem()
    with pytest.raises(InputError, match="input sets with equalities cannot be drawn"):
        verify(network, prop, picture=tmp_path / "a.png", checkpoint=tmp_path / "run.job", **PLAIN)


def test_real_points_of_any_length_are_kept() -> None:
    """Fractions beyond what decimal integers may have of digits."""
    real = (Fraction(1, 3), Fraction(-(7**9000), 2**20000))
    witness = Witness(np.zeros(2), np.zeros(1), True, {}, real, 3, 1, "Y_0 <= 0")
    kept = Decided.of(Result("sat", witness)).result.witness
    assert kept is not None and kept.real == real
    assert (kept.case, kept.disjunct, kept.forbidden) == (3, 1, "Y_0 <= 0")
