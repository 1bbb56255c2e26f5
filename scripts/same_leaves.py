"""The same leaves in every way: random questions, each searched by one thread, by two, by a team of two workers, in
eight parts, and stopped at random numbers of nodes and gone on with (`tests/same_leaves.py`).

    python scripts/same_leaves.py --count 200
    python scripts/same_leaves.py --count 20 --processes         processes of their own in place of the team

A way whose leaves, evidence or numbers of nodes are others than those of one thread is printed with its seed; then the
script ends with 1. With `--processes` nodes that slopes bound may end otherwise by roundings (`tree.search.search`),
from which workers that are processes are not kept. Runs in a checkout whose package is installed.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from same_leaves import differences  # noqa: E402
from worker_teams import steady  # noqa: E402


def main() -> int:
    """The command line; 1 if any way has other leaves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="seeds")
    parser.add_argument("--seed", type=int, default=1000, help="the first one")
    parser.add_argument("--processes", action="store_true", help="start processes for the team's two workers")
    args = parser.parse_args()
    counts, wrong = Counter[str](), 0
    with pytest.MonkeyPatch.context() as patch:
        steady(patch)
        for seed in range(args.seed, args.seed + args.count):
            for how in differences(seed, args.processes, lambda way: counts.update([way])):
                wrong += 1
                print(f"seed {seed}: other leaves, {how}", flush=True)
    print(f"{args.count} seeds:", ", ".join(f"{how} {n}" for how, n in counts.items()), f"; wrong {wrong}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
