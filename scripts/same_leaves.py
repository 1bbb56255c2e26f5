"""The same leaves in every way: questions that are searched by one thread, by two, by a team of two workers, in eight
parts, and stopped at random numbers of nodes and gone on with.

    python scripts/same_leaves.py --count 200                    random questions (`tests/same_leaves.py`)
    python scripts/same_leaves.py --count 20 --processes         processes of their own in place of the team
    python scripts/same_leaves.py --files NET.onnx PROP.vnnlib --rule axes       a question of files that holds
    python scripts/same_leaves.py --files NET.onnx PROP.vnnlib --rule phases --bounds slopes --batch 1 \\
        --kernel compiled

Of random questions the leaves are compared by their paths, of files the numbers of nodes by their evidence, all nodes,
and the depth; these are searched by two processes and by two Dask workers, too. A way that comes to others than one
thread does is printed, and the script ends with 1. Where slopes bound nodes `--batch 1` and a `--kernel` other than
`auto` belong to it: sums are rounded otherwise beside other nodes, and by the other twin, and an ascent makes so much
of that that a node may close or not. Every question is told when it is done: what is cut off has not been in vain.
Runs in a checkout whose package is installed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hypersplit
from hypersplit.bab.parts import export, merge, run_job
from hypersplit.bab.run.result import Result

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from same_leaves import differences  # noqa: E402
from worker_teams import steady  # noqa: E402

LONG = 1e6  # seconds that nothing here takes
PARTS = 8


def random_questions(args: argparse.Namespace) -> int:
    """How many ways have other leaves."""
    counts, wrong = Counter[str](), 0
    for seed in range(args.seed, args.seed + args.count):
        for how in differences(seed, args.processes, lambda way: counts.update([way]), args.stops):
            wrong += 1
            print(f"seed {seed}: other leaves, {how}", flush=True)
        done = seed + 1 - args.seed
        print(f"{done} seeds:", ", ".join(f"{how} {n}" for how, n in counts.items()), f"; wrong {wrong}", flush=True)
    return wrong


def question_of_files(args: argparse.Namespace) -> int:
    """The same for one question."""
    wrong, first = 0, None
    with tempfile.TemporaryDirectory(prefix="hypersplit-leaves-") as folder:
        for how, result, seconds in ways(args, Path(folder)):
            leaves = {"verdict": result.verdict, **result.evidence,
                      **{name: result.statistics.get(name) for name in ("nodes", "depth")}}  # fmt: skip
            first = first or leaves
            wrong += leaves != first
            print("" if leaves == first else "OTHER LEAVES:", how, leaves, f"{seconds:.0f} s", flush=True)
    return wrong


def ways(args: argparse.Namespace, folder: Path) -> Iterator[tuple[str, Result, float]]:
    """(how, what came of it, processor seconds of this process), one thread first."""
    options: dict[str, Any] = {
        "method": "split", "rule": args.rule, "node_bounds": args.bounds, "batch": args.batch, "closing": "never",
        "timeout": LONG, "kernel": args.kernel, "jobs": 1,
    }  # fmt: skip
    asked = tuple(args.files)
    began = time.process_time()

    def spent() -> float:
        nonlocal began
        before, began = began, time.process_time()
        return began - before

    alone = hypersplit.verify(*asked, **options)
    yield "one thread", alone, spent()
    yield "two threads", hypersplit.verify(*asked, **options | {"jobs": 2}), spent()
    yield "two processes", hypersplit.verify(*asked, **options | {"jobs": 2, "workers": "processes"}), spent()
    exported = export(*asked, folder / "parts", PARTS, **options)
    for part in sorted((folder / "parts").glob("part-*.job")):
        run_job(part)
    together = merge(folder / "parts") if exported.verdict == "unknown" else exported  # a small tree has no parts
    yield f"{PARTS} parts", together, spent()
    nodes, rng, path = int(alone.statistics["nodes"]), np.random.default_rng(args.seed), folder / "run.job"
    first, *others = sorted(rng.integers(2, nodes + 1, args.stops).tolist())
    hypersplit.verify(*asked, **options | {"nodes": first, "checkpoint": path})
    for stop in others:
        hypersplit.resume(path, nodes=stop, timeout=LONG)
    yield f"{args.stops} stops", hypersplit.resume(path, nodes=10**12, timeout=LONG), spent()
    yield "two Dask workers", hypersplit.verify(*asked, **options | {"cluster": "local:2"}), spent()


def main() -> int:
    """The command line; 1 if any way has other leaves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="seeds")
    parser.add_argument("--seed", type=int, default=1000, help="the first one; of the stops")
    parser.add_argument("--stops", type=int, default=20, help="random numbers of nodes to stop at")
    parser.add_argument("--processes", action="store_true", help="start processes for the team's two workers")
    parser.add_argument("--files", nargs=2, metavar=("NET", "PROP"), help="in place of random questions")
    parser.add_argument("--rule", default="axes", help="how nodes are split, of files")
    parser.add_argument("--bounds", default="linear", help="what nodes are bounded by, of files")
    parser.add_argument("--batch", type=int, default=0, help="nodes at a time, of files; 0: as usual")
    parser.add_argument("--kernel", default="auto", help="which twin works, of files")
    args = parser.parse_args()
    with pytest.MonkeyPatch.context() as patch:
        steady(patch)
        return int((question_of_files if args.files else random_questions)(args) > 0)


if __name__ == "__main__":
    sys.exit(main())
