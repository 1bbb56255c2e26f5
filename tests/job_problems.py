"""Small problems whose trees have some hundred nodes, for tests of jobs, checkpoints and parts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import small_files

from hypersplit.bab.jobs.job import Job
from hypersplit.bab.jobs.run import Outcome, candidates_of, run
from hypersplit.bab.run.limits import Limits
from hypersplit.bab.run.options import Options
from hypersplit.instances.families.random_networks import random_network
from hypersplit.instances.judges.replay import Replay
from hypersplit.instances.network import Network
from hypersplit.instances.onnx.reader import read_network
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property

__all__ = ["PLAIN", "RULES", "files", "in_steps", "problem"]

PLAIN: dict[str, Any] = {"jobs": 1, "kernel": "plain", "method": "split", "batch": 4, "timeout": 300.0}
RULES = ("auto", "axes", "phases")  # how the tree is split: parts of the input set, or phases


def problem(gap: float = 0.02, sets: int = 1, seed: int = 3) -> tuple[Network, Property]:
    """y_0 <= its least value found less `gap` of its range, on one box or several: the property holds if gap > 0."""
    network = random_network([3, 10, 10, 2], seed)
    values = network.evaluate(np.random.default_rng(0).uniform(-1.0, 1.0, (20000, 3)))[:, 0]
    end = values.min() - gap * np.ptp(values)
    boxes = [InputSet.box(-np.ones(3), np.ones(3) - 0.01 * k) for k in range(sets)]
    cases = tuple(Case(box, (Polyhedron(np.array([[1.0, 0.0]]), np.array([end - 0.001 * k])),)) for k, box in
                  enumerate(boxes))  # fmt: skip
    return network, Property(cases, 3, 2)


def files(folder: Path, gap: float = 0.1, sets: int = 1, wide: int = 10) -> tuple[Path, Path]:
    """The same kind of problem as files, of four inputs and a longer tree; the boxes get smaller and smaller."""
    rng = np.random.default_rng(1)
    sizes = [4, wide, wide, wide, 1]
    layers = [(rng.standard_normal((m, n)).astype(np.float32), rng.standard_normal(m).astype(np.float32))
              for n, m in zip(sizes, sizes[1:], strict=False)]  # fmt: skip
    network = small_files.write_network(folder / "net.onnx", layers)
    points = np.clip(rng.uniform(-1.5, 1.5, (50000, 4)), -1.0, 1.0)  # many on faces and corners
    values = read_network(network).evaluate(points)[:, 0]
    end = float(values.min() - gap * np.ptp(values))
    boxes = [" ".join(f"(>= X_{i} -1.0) (<= X_{i} {1.0 - 0.01 * k})" for i in range(4)) for k in range(sets)]
    told = "".join(f"(declare-const X_{i} Real)" for i in range(4)) + "(declare-const Y_0 Real)\n"
    either = "\n".join(f"(and {box} (<= Y_0 {end - 0.001 * k}))" for k, box in enumerate(boxes))
    prop = folder / "prop.vnnlib"
    prop.write_text(f"{told}(assert (or {either}))\n")
    return network, prop


def in_steps(network: Network, prop: Property, stops: list[int], **options: Any) -> Iterator[Outcome]:
    """Outcomes of one job stopped at these numbers of nodes, one run going on from the other."""
    job: Job | None = None
    for nodes in stops:
        limits = Limits(Options(**(PLAIN | options | {"nodes": nodes})))
        candidates = candidates_of(0, Replay(network), prop, limits, np.random.default_rng(0))
        outcome = run(job or Job.fresh(0, candidates.query), candidates, leaves=True)
        yield outcome
        job = outcome.job
