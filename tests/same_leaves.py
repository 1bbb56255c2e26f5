"""One question searched in many ways, and the leaves of each: for tests, and for `scripts/same_leaves.py`.

A leaf is its path from the root, a letter a split (the first or the second child), with the evidence that ended it.
Processes number their nodes by themselves; of them the numbers of nodes by their evidence are compared, and the depth.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from job_problems import PLAIN, problem
from worker_teams import AtOnce, searched

from hypersplit.bab.jobs.job import Job
from hypersplit.bab.jobs.run import Outcome, candidates_of, run
from hypersplit.bab.run.limits import Limits
from hypersplit.bab.run.options import Options
from hypersplit.bab.tree.recorder import Recorder
from hypersplit.bab.workers.gather import options_of_workers
from hypersplit.bab.workers.processes import Processes
from hypersplit.heuristics.splits.splits import Splits
from hypersplit.instances.batch import Batch
from hypersplit.instances.judges.replay import Replay
from hypersplit.instances.network import Array, Network
from hypersplit.instances.property import Property

__all__ = ["WAYS", "Paths", "differences", "question", "ways"]

Leaves = Counter[tuple[str, int]]
WAYS = ("one thread", "two threads", "stopped and gone on with", "eight parts", "two workers")
FEWEST, MOST = 5, 1500  # nodes of a tree that is compared


class Paths(Recorder):
    """Where the nodes of a tree are, by their numbers, and which have ended."""

    def __init__(self, known: dict[int, str]) -> None:
        self.known, self.leaves = dict(known), Leaves()

    def split(self, parents: Batch, splits: Splits, children: Batch) -> None:
        """See `Recorder`."""
        half = len(parents)
        for i, number in enumerate(parents.number.tolist()):
            path = self.known.pop(number)
            for letter, j in (("a", i), ("b", half + i)):
                self.known[int(children.number[j])] = path + letter

    def ended(self, numbers: Array, evidence: Array) -> None:
        """See `Recorder`."""
        self.leaves.update((self.known.pop(n), k) for n, k in zip(numbers.tolist(), evidence.tolist(), strict=True))


def question(seed: int) -> tuple[Network, Property, dict[str, Any]]:
    """A property that holds, and how it is split: by one rule and bounded by one means.

    `auto` goes from one to another by the clock. Slopes are found one node at a time: beside other nodes the sums of a
    product are rounded otherwise, and an ascent makes so much of it that a node may close or not.
    """
    rng = np.random.default_rng(seed)
    network, prop = problem(float(rng.uniform(0.02, 0.15)), seed=seed)
    rule, means = (("axes", "linear"), ("phases", "slopes"))[seed % 2]
    batch = 1 if means == "slopes" else int(rng.integers(1, 9))
    return network, prop, {"rule": rule, "node_bounds": means, "batch": batch, "seed": seed}


def ways(seed: int, real: bool = False, stops: int = 4) -> Iterator[tuple[str, Leaves, Outcome]]:
    """(how, the leaves, what the last run came to) of every way, unless the tree is too large or too small.

    real: two processes in place of a team of two that works in this one. Its leaves are not known by their paths;
    stops: how often a search is stopped and gone on with.
    """
    network, prop, options = question(seed)
    rng = np.random.default_rng(seed)
    alone, found = _searched(network, prop, options, [MOST])
    size = int(found.answer.statistics["nodes"])
    if not found.answer.holds or size < FEWEST:
        return
    yield WAYS[0], alone, found
    yield WAYS[1], *_searched(network, prop, options | {"jobs": 2}, [10 * MOST])
    at = sorted(rng.integers(2, size + 1, stops).tolist())
    yield WAYS[2], *_searched(network, prop, options, [*at, 10 * MOST])
    yield WAYS[3], *_in_parts(network, prop, options, int(rng.integers(2, size + 1)))

    def team(asked: Options) -> Any:
        return Processes(network, prop, options_of_workers(asked, 4000.0), 2) if real else AtOnce(network, prop, asked)

    yield WAYS[4], Leaves(), searched(network, prop, team, **options)


def _searched(
    network: Network, prop: Property, options: dict[str, Any], stops: list[int], job: Job | None = None,
    known: dict[int, str] | None = None,
) -> tuple[Leaves, Outcome]:  # fmt: skip
    """One run after another, stopped at these numbers of nodes; known: paths of the job's nodes."""
    total, known = Leaves(), {0: ""} if known is None else known
    for nodes in stops:
        limits = Limits(Options(**(PLAIN | options | {"nodes": nodes})))
        candidates = candidates_of(0, Replay(network), prop, limits, np.random.default_rng(0))
        assert candidates is not None
        paths = Paths(known)
        outcome = run(job or Job.fresh(0, candidates.query), candidates, listeners=(paths,))
        total, known, job = total + paths.leaves, paths.known, outcome.job
        if outcome.answer.holds:
            break
    return total, outcome


def _in_parts(network: Network, prop: Property, options: dict[str, Any], nodes: int) -> tuple[Leaves, Outcome]:
    """Stopped once, its open nodes dealt out in eight parts, each of which is run by itself."""
    paths: dict[int, str] = {0: ""}
    total, whole = _first(network, prop, options, nodes, paths)
    if whole.answer.holds or whole.job is None:
        return total, whole
    count = len(whole.job.waiting)
    for p in range(min(8, count)):
        which = np.arange(p, count, 8)
        known = {i: paths[n] for i, n in enumerate(whole.job.waiting.number[which].tolist())}
        leaves, outcome = _searched(network, prop, options, [10 * MOST], whole.job.part(which), known)
        assert outcome.answer.holds
        total += leaves
    answer = replace(outcome.answer, evidence=Counter(), statistics=Counter())  # of a part
    return total, replace(outcome, answer=answer)


def _first(
    network: Network, prop: Property, options: dict[str, Any], nodes: int, paths: dict[int, str]
) -> tuple[Leaves, Outcome]:
    limits = Limits(Options(**(PLAIN | options | {"nodes": nodes})))
    candidates = candidates_of(0, Replay(network), prop, limits, np.random.default_rng(0))
    assert candidates is not None
    heard = Paths(paths)
    outcome = run(Job.fresh(0, candidates.query), candidates, listeners=(heard,))
    paths.clear()
    paths.update(heard.known)
    return heard.leaves, outcome


def differences(
    seed: int, real: bool = False, told: Callable[[str], None] = lambda how: None, stops: int = 4
) -> list[str]:  # fmt: skip
    """Ways of a seed whose leaves are not those of one thread; told(how) hears of every way that was gone."""
    wrong: list[str] = []
    first: tuple[Leaves, Outcome] | None = None
    for how, leaves, outcome in ways(seed, real, stops):
        told(how)
        if first is None:
            first = leaves, outcome
            continue
        answer, alone = outcome.answer, first[1].answer
        same = answer.holds and (leaves == first[0] if how != WAYS[4] else True)
        if how != WAYS[3]:
            same &= answer.evidence == alone.evidence
            same &= all(answer.statistics[name] == alone.statistics[name] for name in ("nodes", "depth"))
        wrong += [] if same else [how]
    return wrong
