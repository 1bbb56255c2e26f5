"""How many workers a tree has work for: recorded trees, searched once more on paper by 1 to 4,096 workers.

`record` searches a question with one thread, and writes for every node its parent, its depth and its seconds (of
processor time: those of its batch, divided by the batch), what an errand of n nodes takes to be sealed, sent and opened
again (a + b n seconds, both ways, over a pipe), and how many seconds went by outside the tree. `draw` lets W workers
grow the same tree by the rules of `bab/workers/sharing.py`, with its constants, in a simulation of events: one who
writes the tree, by whom every errand and report has to pass; workers who take a batch at a time off their own stack,
and come back when it is empty, when their slice is over or when they are asked. It prints a
table, and draws the curves.

    python scripts/workers_on_paper.py record NET.onnx PROP.vnnlib tree.npz --seconds 600
    python scripts/workers_on_paper.py draw NAME=tree.npz ... --figure docs/workers.svg

What is not on the paper: that small batches cost more a node than large ones, and that workers share caches. Leaves
that a recording leaves open cost nothing. Runs in a checkout whose package is installed.
"""

from __future__ import annotations

import argparse
import heapq
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import Pipe
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

from hypersplit.bab.jobs.job import Job
from hypersplit.bab.jobs.run import candidates_of, run
from hypersplit.bab.reading import read
from hypersplit.bab.run.limits import Limits
from hypersplit.bab.run.options import Options
from hypersplit.bab.tree import search
from hypersplit.bab.tree.recorder import Recorder
from hypersplit.bab.workers.errands import Errand, opened, sent
from hypersplit.bab.workers.sharing import FIRST, LEAST, LOOK, PARTS, SLICE
from hypersplit.heuristics.splits.splits import Splits
from hypersplit.instances.batch import Batch
from hypersplit.instances.judges.replay import Replay

WORKERS = [2**k for k in range(13)]
USEFUL = 0.5  # efficiency below which more workers are not worth it


class Grown(Recorder):
    """Who is whose child, what a node took, and some nodes as they are."""

    def __init__(self) -> None:
        self.parent, self.depth, self.seconds = [-1], [0], [0.0]
        self.some: list[Batch] = []

    def split(self, parents: Batch, splits: Splits, children: Batch) -> None:
        """See `Recorder`."""
        self.parent += [*parents.number.tolist()] * 2
        self.depth += children.depth.tolist()
        self.seconds += [0.0] * len(children)
        if len(self.some) < 64:
            self.some.append(children)


def record(args: argparse.Namespace) -> int:
    """Search, and write the tree."""
    options = Options(timeout=args.seconds, jobs=1, kernel="compiled")
    limits = Limits(options)
    asked = read(args.network, args.property, options)
    candidates = candidates_of(0, Replay(asked.network, asked.content), asked.property, limits,
                               np.random.default_rng(0))  # fmt: skip
    assert candidates is not None, "no input is left"
    tree, real, rounds = Grown(), search._round, []

    def timed(steps: search.Steps, batch: Batch) -> Any:
        began = time.thread_time()
        found = real(steps, batch)
        spent = time.thread_time() - began
        rounds.append((len(batch), spent))
        for number in batch.number.tolist():
            tree.seconds[number] += spent / len(batch)
        return found

    search._round = timed
    began = time.process_time()
    outcome = run(Job.fresh(0, candidates.query), candidates, listeners=(tree,))
    outside = max(0.0, time.process_time() - began - sum(spent for _, spent in rounds))
    per_errand, per_node, size = journeys(tree.some)
    batch = sum(count**2 for count, _ in rounds) / max(1, sum(count for count, _ in rounds))  # of a node, on average
    known = {"outside": outside, "batch": max(1, int(batch)), "per_errand": per_errand, "per_node": per_node,
             "bytes": size, "holds": outcome.answer.holds, "reason": outcome.answer.reason}  # fmt: skip
    np.savez(args.tree, parent=tree.parent, depth=tree.depth, seconds=tree.seconds, known=json.dumps(known))
    print(f"{len(tree.parent)} nodes, {sum(tree.seconds):.1f} s of them", known)
    return 0


def journeys(some: list[Batch]) -> tuple[float, float, float]:
    """(a, b, bytes a node): a + b n seconds for an errand of n nodes to be sealed, sent over a pipe and opened."""
    nodes = Batch.concatenate(some) if some else None
    if nodes is None:
        return 1e-3, 1e-5, 0.0
    counts, spent, size = (1, min(256, len(nodes))), [], 0
    for count in counts:
        errand = Errand(nodes[:count], 1.0, 1.0, 1.0, 1, 0)
        took = []
        for _ in range(9):
            began = time.process_time()
            data = sent("errand", errand)
            opened("errand", Errand, through_a_pipe(data), "errand")
            took.append(time.process_time() - began)
        spent.append(float(np.median(took)))
        size = len(data)
    slope = max(0.0, (spent[1] - spent[0]) / max(1, counts[1] - counts[0]))
    return spent[0], slope, size / counts[1]


def through_a_pipe(data: bytes) -> bytes:
    """There and not back."""
    here, there = Pipe()
    with here, there:
        thread = Thread(target=here.send_bytes, args=(data,))
        thread.start()
        received = there.recv_bytes()
        thread.join()
    return received


@dataclass
class Tree:
    """A recorded one."""

    name: str
    depth: list[int]
    seconds: list[float]
    children: list[list[int]]
    known: dict[str, Any]

    @staticmethod
    def of(word: str) -> Tree:
        """NAME=FILE."""
        name, _, path = word.partition("=")
        with np.load(path) as data:
            parent, known = data["parent"].tolist(), json.loads(str(data["known"]))
            children: list[list[int]] = [[] for _ in parent]
            for number, above in enumerate(parent[1:], start=1):
                children[above].append(number)
            return Tree(name, data["depth"].tolist(), data["seconds"].tolist(), children, known)

    def longest(self) -> float:
        """Seconds of the longest way from the root to a leaf: no number of workers is faster."""
        below = list(self.seconds)
        for number in range(len(below) - 1, -1, -1):
            below[number] += max((below[c] for c in self.children[number]), default=0.0)
        return below[0]


@dataclass
class Worker:
    """One at work on an errand."""

    stack: list[int]
    began: float
    asked: bool = False


@dataclass
class Paper:
    """The search of a tree by so many workers; times are seconds."""

    tree: Tree
    count: int
    now: float = 0.0
    busy_until: float = 0.0  # the one who writes the tree
    written: float = 0.0  # seconds that this took
    idle: int = 0
    most: int = 1  # nodes that a slice has time for
    open: list[tuple[int, int]] = field(default_factory=list)  # heap of (depth, node)
    workers: dict[int, Worker] = field(default_factory=dict)
    events: list[tuple[float, int, str, int]] = field(default_factory=list)
    keys: int = 0
    returned: dict[int, list[int]] = field(default_factory=dict)

    def run(self) -> float:
        """Seconds until nothing is open."""
        self.most = max(1, int(SLICE * len(self.tree.seconds) / max(sum(self.tree.seconds), 1e-9)))
        stack = self._alone()
        if not stack:
            return self.now
        self.open, self.idle = [(self.tree.depth[n], n) for n in stack], self.count
        heapq.heapify(self.open)
        self.busy_until = self.now
        self._at(self.now, "look", 0)
        while self.open or self.workers or self.returned:
            self.now, _, what, key = heapq.heappop(self.events)
            getattr(self, f"_{what}")(key)
        return max(self.now, self.busy_until)

    def _alone(self) -> list[int]:
        """One searches until there are nodes enough for all; the stack then."""
        stack = [0]
        while stack and len(stack) < PARTS * min(self.count, FIRST):
            self.now += self._batch(stack)
        return stack

    def _batch(self, stack: list[int]) -> float:
        """A batch off the stack, its children upon it; what it takes."""
        taken = [stack.pop() for _ in range(min(self.tree.known["batch"], len(stack)))]
        for node in taken:
            stack += self.tree.children[node]
        return sum(self.tree.seconds[node] for node in taken)

    def _at(self, when: float, what: str, key: int) -> None:
        self.keys += 1
        heapq.heappush(self.events, (when, self.keys, what, key))

    def _passes(self, nodes: int) -> float:
        """When an errand or a report of so many nodes has passed the one who writes the tree."""
        took = self.tree.known["per_errand"] + self.tree.known["per_node"] * nodes
        self.busy_until = max(self.busy_until, self.now) + took
        self.written += took
        return self.busy_until

    def _look(self, _: int) -> None:
        """Now and then: give, and ask the largest shares to come back for those who have nothing."""
        self._give()
        asked = sum(w.asked for w in self.workers.values())
        if self.idle > asked:
            busy = [(sum(0.5 ** self.tree.depth[n] for n in w.stack), key) for key, w in self.workers.items()
                    if not w.asked and self.now > w.began + LEAST]  # fmt: skip
            for _, key in heapq.nlargest(self.idle - asked, busy):
                self.workers[key].asked = True
        self._at(max(self.busy_until, self.now + LOOK), "look", 0)

    def _give(self) -> None:
        """Even parts of what is open to those who are free, the largest shares first."""
        while self.idle and self.open:
            fair = min(-(-len(self.open) // max(self.idle, PARTS * self.count)), self.most)
            nodes = [heapq.heappop(self.open)[1] for _ in range(fair)]
            self.keys += 1
            key, self.idle = self.keys, self.idle - 1
            self.workers[key] = Worker(nodes, self._passes(len(nodes)))
            self._at(self.workers[key].began, "round", key)

    def _round(self, key: int) -> None:
        worker = self.workers[key]
        over = worker.asked or self.now >= worker.began + SLICE
        if not worker.stack or (over and self.now > worker.began):
            del self.workers[key]
            self.returned[key] = worker.stack
            self._at(self._passes(len(worker.stack)), "back", key)
            return
        self._at(self.now + self._batch(worker.stack), "round", key)

    def _back(self, key: int) -> None:
        for node in self.returned.pop(key):
            heapq.heappush(self.open, (self.tree.depth[node], node))
        self.idle += 1
        self._give()


def draw(args: argparse.Namespace) -> int:
    """The table and the figure."""
    trees = [Tree.of(word) for word in args.trees]
    curves = {}
    print("| tree | nodes | seconds | outside | longest way | speed-up at 16, 256, 4096 | useful workers | limit |")
    print("|" + "---|" * 8)
    for tree in trees:
        total, outside, speed, why = sum(tree.seconds), tree.known["outside"], [], ""
        for count in WORKERS:
            paper = Paper(tree, count)
            seconds = paper.run()
            speed.append(total / seconds)
            why = _limit(tree, paper, seconds) if speed[-1] < USEFUL * count and not why else why
        curves[tree.name] = speed
        useful = max(w for w, s in zip(WORKERS, speed, strict=True) if s >= USEFUL * w)
        at = ", ".join(f"{speed[WORKERS.index(w)]:.1f}" for w in (16, 256, 4096))
        told = (tree.name, f"{len(tree.depth):,}", f"{total:.1f}", f"{outside:.1f}", f"{tree.longest():.2f}", at)
        print("|", " | ".join((*told, str(useful), why)), "|")
    if args.figure:
        _figure(curves, args.figure)
    return 0


def _limit(tree: Tree, paper: Paper, seconds: float) -> str:
    """What fills most of the time."""
    shares = {"the longest way": tree.longest(), "the one who writes the tree": paper.written,
              "the beginning, alone": _began(tree, paper.count)}  # fmt: skip
    name = max(shares, key=lambda name: shares[name])
    return f"{name}: {shares[name] / seconds:.0%} of the time at {paper.count}"


def _began(tree: Tree, count: int) -> float:
    paper = Paper(tree, count)
    paper._alone()
    return paper.now


def _figure(curves: dict[str, list[float]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "hypersplit"
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for name, speed in curves.items():
        left.loglog(WORKERS, speed, marker="o", markersize=3, base=2, label=name)
        right.semilogx(WORKERS, [s / w for s, w in zip(speed, WORKERS, strict=True)], marker="o", markersize=3, base=2)
    left.loglog(WORKERS, WORKERS, color="0.7", linewidth=0.8, base=2)
    right.axhline(USEFUL, color="0.7", linewidth=0.8)
    left.set(xlabel="workers", ylabel="speed-up of the tree")
    right.set(xlabel="workers", ylabel="efficiency", ylim=(0.0, 1.05))
    left.legend(frameon=False, fontsize=8)
    figure.savefig(path, metadata={"Date": None})


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words = parser.add_subparsers(required=True)
    one = words.add_parser("record")
    for name in ("network", "property", "tree"):
        one.add_argument(name)
    one.add_argument("--seconds", type=float, default=300.0)
    two = words.add_parser("draw")
    two.add_argument("trees", nargs="+", metavar="NAME=FILE")
    two.add_argument("--figure", type=Path)
    chosen: dict[argparse.ArgumentParser, Callable[[argparse.Namespace], int]] = {one: record, two: draw}
    for command, function in chosen.items():
        command.set_defaults(run=function)
    args = parser.parse_args()
    code: int = args.run(args)
    return code


if __name__ == "__main__":
    sys.exit(main())
