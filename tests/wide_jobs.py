"""Jobs of very many open nodes: a grid of cells of a box, as if its tree had been grown level by level."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import small_files
from job_problems import PLAIN

import hypersplit
from hypersplit.bab.jobs.saved import load, save
from hypersplit.bab.jobs.shelf import Shelf
from hypersplit.bab.run.result import Result
from hypersplit.bab.tree.frontier import Frontier
from hypersplit.instances import memory
from hypersplit.instances.batch import Batch
from hypersplit.instances.onnx.reader import read_network

__all__ = ["grid"]

AT_ONCE = 8192  # nodes of a piece


def grid(folder: Path, path: Path, nodes: int, limit: float) -> Result:
    """Write the checkpoint of a property that holds, with so many open nodes (2^k), under `limit` MB.

    They are pushed on a stack as a search pushes its children; what there is no room for is on the disk.
    """
    rng = np.random.default_rng(5)
    sizes = [2, 8, 8, 1]
    layers = [(rng.standard_normal((m, n)).astype(np.float32), rng.standard_normal(m).astype(np.float32))
              for n, m in zip(sizes, sizes[1:], strict=False)]  # fmt: skip
    network = small_files.write_network(folder / "net.onnx", layers)
    points = np.clip(rng.uniform(-1.5, 1.5, (50000, 2)), -1.0, 1.0)  # many on faces and corners
    least = read_network(network).evaluate(points)[:, 0].min()
    prop = folder / "prop.vnnlib"
    told = "(declare-const X_0 Real)(declare-const X_1 Real)(declare-const Y_0 Real)\n"
    box = "".join(f"(assert (>= X_{i} -1.0))(assert (<= X_{i} 1.0))" for i in range(2))
    prop.write_text(f"{told}{box}(assert (<= Y_0 {float(least) - 0.001}))\n")
    result = hypersplit.verify(network, prop, checkpoint=path, **(PLAIN | {"nodes": 2, "rule": "axes"}))
    _, saved = load(path, "checkpoint")
    (job,) = saved.jobs
    stack = Frontier(shelf=Shelf(folder))
    with memory.ceiling(limit):
        for first in range(0, nodes, AT_ONCE):
            stack.push(_cells(job.root, nodes, first, min(AT_ONCE, nodes - first)))
            stack.cool()
        job = replace(job, open=stack.hot, stuck=[], cold=stack.cold, ended=Counter(), size=2 * nodes - 1,
                      inner=nodes - 1)  # fmt: skip
        save(path, "checkpoint", replace(saved, jobs=[job]))
    return replace(result, statistics={"open_nodes": len(stack), "memory_mb": memory.peak_mb()})


def _cells(root: Batch, nodes: int, first: int, count: int) -> Batch:
    """Nodes first, first + 1, ... of the grid, row by row."""
    batch, cells = root[np.zeros(count, dtype=np.intp)], np.arange(first, first + count)
    depth = nodes.bit_length() - 1
    sides = np.array([2 ** (depth - depth // 2), 2 ** (depth // 2)])
    corner = np.stack([cells // sides[1], cells % sides[1]], axis=1)
    width = (root.upper - root.lower) / sides
    return replace(batch, lower=root.lower + width * corner, upper=root.lower + width * (corner + 1),
                   depth=np.full(count, depth), number=nodes - 1 + cells)  # fmt: skip
