"""Where errands are done: a worker's network and property, the frame of the stage at work, and a small tree an errand.

The errand's nodes become a tree that the stage's own steps grow until nothing is open, its slice of time is over, or
somebody else has nothing to do and asks for a part.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ...encodings.linear.reduction import reduced
from ...heuristics.policy import plan
from ...instances import memory
from ...instances.errors import InputError
from ...instances.judges.replay import Replay
from ...instances.network import Network
from ...instances.property import Property
from ..jobs.job import Job
from ..jobs.run import candidates_of, job_of, work_of
from ..run.budget import Budget
from ..run.limits import Limits
from ..run.options import Options
from ..stages.answer import stage_of
from ..stages.habits import Habits
from ..stages.work import Work
from ..steps.candidates import Candidates
from ..tree.tree import Tree
from .errands import Errand, Report, digest_of, opened, sent, with_nodes

__all__ = ["Desk"]

OVER = "the slice is over"  # why an errand ends that may go on elsewhere
MEMORY = "memory"


class Desk:
    """One worker's place; one errand at a time."""

    def __init__(self, network: Network, prop: Property, options: dict[str, Any]) -> None:
        """options: by their names, as `sharing.options_of_workers` tells them."""
        self.replay, self.property, self.options = Replay(network), prop, Options(**options)
        self.short = False  # of memory, after the last errand
        self._digest = ""  # of the frame
        self._frame: Job | None = None
        self._habits = Habits()  # of the frame's errands
        self._candidates: tuple[Candidates, Candidates] | None = None  # of the query as asked, and of the reduced one

    def do(
        self, frame: bytes, errand: bytes, stop: Callable[[], bool] = lambda: False,
        alive: Callable[[float], None] = lambda share: None,
    ) -> bytes:  # fmt: skip
        """The report of an errand. stop(): whether to come back; alive(share of the tree that is open): every round.

        Raises InputError where frame or errand are damaged, or none of this property.
        """
        began = time.monotonic()
        told = opened("errand", Errand, errand, "errand")
        limits = Limits(replace(self.options, timeout=told.seconds, nodes=max(1, told.most)), start=began)
        job = with_nodes(self._framed(frame, limits), told.nodes)
        asked, narrow = self._for(limits, told.seed)
        job.check(asked.query)
        work = work_of(job, narrow, lambda tree: alive(1.0 - tree.open.closed_share))
        end = began + told.slice

        def over(tree: Tree) -> str:
            return OVER if (tree.inner or tree.ended) and (stop() or time.monotonic() >= end) else ""

        work.stop, work.habits = over, self._habits
        self._habits = Habits()  # should this errand fail, whatever it leaves is not gone on with
        with memory.ceiling(self.options.memory_mb):
            _grow(work, Budget(limits, began + told.stage_seconds))
        self.short = work.stopped == MEMORY
        if not self.short:
            self._habits = work.habits
        return sent("report", _report(work, job, digest_of(errand), time.monotonic() - began))

    def _framed(self, frame: bytes, limits: Limits) -> Job:
        """The frame, unpacked once."""
        if self._frame is None or digest_of(frame) != self._digest:
            job = opened("frame", Job, frame, "frame")
            if not 0 <= job.case < len(self.property.cases) or job.facts is None:
                raise InputError("frame: of no input set")
            full = candidates_of(job.case, self.replay, self.property, limits, np.random.default_rng(0))
            if full is None:
                raise InputError("frame: of an input set that is empty")
            query = full.query if job.kept is None else reduced(full.query, job.kept)
            self._candidates = full, replace(full, query=query)
            self._digest, self._frame, self._habits = digest_of(frame), job, Habits()
        return self._frame

    def _for(self, limits: Limits, seed: int) -> tuple[Candidates, Candidates]:
        assert self._candidates is not None
        rng = np.random.default_rng(seed)
        full, narrow = (replace(some, limits=limits, rng=rng) for some in self._candidates)
        return full, narrow


def _grow(work: Work, budget: Budget) -> None:
    """The frame's stage, on the errand's tree."""
    options, known = work.options, work.facts
    assert known is not None
    stages = plan(known, options.method, options.rule, options.rows)
    if not work.stage < len(stages) or stages[work.stage].name != "split":
        raise InputError(f"frame: stage {work.stage} splits nothing")
    stage = replace(stages[work.stage], trial=0)  # how the whole tree gets on is not to be seen from a part of it
    try:
        stage_of(stage, known)(work, stage, budget)
    except MemoryError:
        work.stopped = MEMORY
        work.tree.recall()


def _report(work: Work, job: Job, errand: str, seconds: float) -> Report:
    left = job_of(work, job.case)
    if left is None or left.lemmas:
        raise RuntimeError("nodes were lost, or lemmas were learnt")
    exact = work.exact
    return Report(
        errand, left.open, left.stuck, left.ended, left.size, left.inner, left.deepest,
        left.counts - job.counts, work.stopped, work.witness.input if work.witness else None,
        [str(x) for x in exact.counterexample or ()], exact.left, seconds,
    )  # fmt: skip
