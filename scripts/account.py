"""The tree's account over many random instances: nodes = ended + split + open + stuck, and all who tell of it agree.

Asked are instances of every kind of `tests/random_instances.py` by turns, with the methods, rules, workers and limits
that `tests/tree_account.py` draws for their seeds, and the quick ascent of phases' nodes always or never. An account
that does not hold, and an exception, are printed with their seed; then the script ends with 1.

    python scripts/account.py --count 1000                      1,000 seeds of each kind
    python scripts/account.py --seed 1234 --count 1 --kinds touching

Runs in a checkout whose package is installed.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from random_instances import KINDS  # noqa: E402
from tree_account import account  # noqa: E402


def ask(task: tuple[int, str]) -> tuple[str, Counter[str], str]:
    """The kind, what became of the seed's queries, and what is wrong with their account, or ""."""
    seed, kind = task
    try:
        return kind, account(seed, kind, slopes_first=seed // 4 % 2 == 0), ""
    except Exception:
        return kind, Counter(), f"seed {seed}, kind {kind}\n{traceback.format_exc()}"


def outcomes(tasks: list[tuple[int, str]], jobs: int) -> Iterator[tuple[str, Counter[str], str]]:
    """One after another, in the order of the tasks."""
    if jobs == 1:
        yield from map(ask, tasks)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(ask, tasks, chunksize=10)


def main() -> int:
    """The command line; 1 if any account does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="seeds of each kind")
    parser.add_argument("--seed", type=int, default=100_000, help="the first one")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--kinds", default=",".join(KINDS), help="those to ask")
    args = parser.parse_args()
    kinds = args.kinds.split(",")
    if unknown := set(kinds) - set(KINDS):
        parser.error(f"--kinds: {', '.join(sorted(unknown))}: expected some of {', '.join(KINDS)}")
    tasks, counts, wrong = list(product(range(args.seed, args.seed + args.count), kinds)), Counter[str](), 0
    for number, (kind, found, fault) in enumerate(outcomes(tasks, args.jobs), 1):
        counts.update({name if name not in ("holds", "open", "sat") else f"{kind}: {name}": n
                       for name, n in found.items()})  # fmt: skip
        if fault:
            wrong += 1
            print(f"WRONG {fault}", flush=True)
        if number % 500 == 0:
            print(f"{number} of {len(tasks)} instances, {wrong} wrong", flush=True)
    print("\n".join(f"{n:8} {name}" for name, n in sorted(counts.items())))
    print(f"{len(tasks)} instances, {wrong} wrong")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
