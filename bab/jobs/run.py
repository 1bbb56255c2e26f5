"""Run a job: from plain data to the ladder of stages, and back.

What is given and what comes back can travel: a job is arrays and numbers, and `Candidates` are made of a network, a
property and limits wherever the work is done. With one worker, and stopped by a limit of nodes, a job that goes on
makes the same nodes as one that was never stopped, but for roundings of ascents (see `tree.search.search`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ...encodings.linear.reduction import reduced
from ...heuristics.policy import FEW_INPUTS
from ...instances.batch import Batch
from ...instances.judges.replay import Replay
from ...instances.network import Array, Network
from ...instances.property import Property
from ...instances.query import Query, queries
from ...instances.rewriting.differences import with_differences
from ...instances.rewriting.reduced import without_equalities
from ..closers.exact_step import ExactStep
from ..run.limits import Limits
from ..stages.answer import Answer, answer
from ..stages.work import Helpers, Work
from ..steps.candidates import Candidates
from ..tree.cold import Cold
from ..tree.evidence import Evidence
from ..tree.recorder import Recorder
from ..tree.tree import Tree
from .job import Job
from .shelf import Shelf

__all__ = ["Outcome", "candidates_of", "job_of", "query_of", "run", "work_of"]


@dataclass(eq=False)
class Outcome:
    """What a run has made of a job."""

    answer: Answer  # the whole job's, earlier runs counted: witness, bound, evidence, statistics, reason
    job: Job | None  # what is left; None where an interruption has lost track of nodes
    ended: tuple[Array, Array]  # [E] numbers of nodes that ended in this run, and [E] their evidence


class _Ends(Recorder):
    """Remembers which nodes have ended."""

    def __init__(self) -> None:
        self.parts: list[tuple[Array, Array]] = []

    def ended(self, numbers: Array, evidence: Array) -> None:
        """See `Recorder`."""
        self.parts.append((numbers, evidence))

    def joined(self) -> tuple[Array, Array]:
        """All of them, as they came."""
        numbers = [np.zeros(0, dtype=np.int64), *(n for n, _ in self.parts)]
        return np.concatenate(numbers), np.concatenate([np.zeros(0, dtype=np.int8), *(k for _, k in self.parts)])


def query_of(case: int, network: Network, prop: Property, whole: bool = False) -> Query | None:
    """The query of one of the property's cases that a job is about: without its equalities; None if no input is left.

    Where the input set itself is going to be split, networks that are nearly one are bounded by their differences, too.
    whole: as it was asked.
    """
    asked = queries(network, replace(prop, cases=(prop.cases[case],)))[0]
    query = asked if whole else without_equalities(asked)
    if whole or query is None or (query.region.upper > query.region.lower).sum() > FEW_INPUTS:
        return query
    return with_differences(query)


def candidates_of(
    case: int, replay: Replay, prop: Property, limits: Limits, rng: np.random.Generator, whole: bool = False
) -> Candidates | None:
    """The query of one of the property's cases, and who looks for counterexamples of it; None as of `query_of`."""
    query = query_of(case, replay.network, prop, whole)
    return None if query is None else Candidates(query, replay, prop.joint, limits, rng)


def run(
    job: Job, candidates: Candidates, report: Callable[[Tree], None] = lambda tree: None,
    listeners: tuple[Recorder, ...] = (), stop: Callable[[Tree], str] = lambda tree: "",
    watch: Callable[[Work], None] = lambda work: None, leaves: bool = False, helpers: Helpers | None = None,
    shelf: Shelf | None = None,
) -> Outcome:  # fmt: skip
    """Go on with a job within the limits of its candidates.

    candidates: see `candidates_of`; stop(tree): a reason to end, "" for none; report(tree): after every round;
    watch(work): before anything is done; leaves: whether to list the nodes that end; helpers: who else works on the
    tree, asked where nobody listens; shelf: where open nodes go when memory gets short, None for the system's folder.

    Raises InputError where the job is none of the query's, and ReplayError as `Candidates` do.
    """
    job.check(candidates.query)
    ends = _Ends()
    work = work_of(job, candidates, report, (*listeners, ends) if leaves else listeners, shelf or Shelf())
    work.stop = stop
    if helpers is not None and not work.tree.listeners:
        work.helpers, work.stop = helpers, lambda tree: helpers.lost or stop(tree)
        helpers.begin(job.case, candidates.query)
    watch(work)
    found = answer(work, candidates.query)
    return Outcome(found, job_of(work, job.case), ends.joined())


def work_of(
    job: Job, candidates: Candidates, report: Callable[[Tree], None] = lambda tree: None,
    listeners: tuple[Recorder, ...] = (), shelf: Shelf | None = None,
) -> Work:  # fmt: skip
    """The job's tree and who works on it. Stuck nodes are open again: there may be more time now.

    shelf: None keeps all nodes in memory.

    candidates: of the query as asked, or of the job's reduced one.
    """
    limits, query = candidates.limits, candidates.query
    again = job.facts is not None
    if again:
        nodes: list[Batch | Cold] = [*job.cold, *(replace(b) for b in (*job.stuck, *job.open))]
        tree = Tree.again(replace(job.root), nodes, job.ended, job.lemmas, job.inner, job.deepest, listeners, shelf)
    else:
        tree = Tree(replace(job.root), listeners, shelf)
    if job.kept is not None and query.neurons == len(job.kept):
        query = reduced(query, job.kept)
        candidates = replace(candidates, query=query)
    return Work(
        query, tree, limits.options, limits, candidates, ExactStep(limits.deadline), report, job.facts, job.kept,
        job.stage, again, implied=job.implied, rows=job.rows, root_seconds=job.root_seconds,
        ascent_seconds=job.ascent_seconds, counts=Counter(job.counts),
    )  # fmt: skip


def job_of(work: Work, case: int) -> Job | None:
    """What is left of a query, nodes in somebody's hands too; None where not every node is there.

    Arrays are shared with the tree, whose steps change none of them.
    """
    tree = work.tree
    if not tree.whole:
        return None
    counts = Counter(work.counts)
    counts.update(work.exact.statistics)
    return Job(
        case, tree.root, [*tree.open.hot, *tree.hands], list(tree.stuck), Counter(tree.ended), _used(tree.lemmas),
        tree.size, tree.inner, tree.deepest, work.kept, work.rows, work.implied, work.facts, work.stage,
        work.root_seconds, work.ascent_seconds, counts, tree.open.cold,
    )  # fmt: skip


def _used(counts: Counter[Evidence]) -> Counter[Evidence]:
    return Counter({kind: count for kind, count in counts.items() if count})
