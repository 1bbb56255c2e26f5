"""The account of a query's tree, held against all who tell of it: for tests, and for `scripts/account.py`."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from changed_efforts import change_efforts
from random_instances import Instance, Shape, random_instance

from hypersplit.bab.drawing.tree_drawing import spans, split_kinds
from hypersplit.bab.jobs import run as running
from hypersplit.bab.jobs.job import Job
from hypersplit.bab.jobs.run import candidates_of, run
from hypersplit.bab.run.limits import Limits
from hypersplit.bab.run.options import METHODS, Options
from hypersplit.bab.stages.answer import Answer
from hypersplit.bab.tree.evidence import Evidence, State
from hypersplit.bab.tree.recorder import Recorder
from hypersplit.bab.tree.trace import SplitTree, Trace
from hypersplit.bab.tree.tree import Tree
from hypersplit.heuristics.splits.splits import RULES, Splits
from hypersplit.instances.batch import Batch
from hypersplit.instances.judges.replay import Replay
from hypersplit.instances.network import Array
from hypersplit.instances.query import Query

__all__ = ["DRAWN", "Ledger", "account", "agree", "asked", "options_of"]

DRAWN = ("near-unsat", "touching", "clear-unsat", "near-unsat", "near-sat")  # kinds by turns: hard ones twice
SHAPES = (
    Shape(), Shape(scale=1e3), Shape(flat=1.0, halfspaces=1.0), Shape(most_inputs=2, most_hidden=5, most_relus=12),
)  # fmt: skip


class Ledger(Recorder):
    """Counts what it hears, and that it is in order."""

    def __init__(self) -> None:
        self.known: set[int] = set()  # open nodes
        self.gone: Counter[str] = Counter()
        self.stuck_ones: set[int] = set()
        self.lemmas: Counter[Evidence] = Counter()

    def planted(self, roots: Batch) -> None:
        """The roots."""
        self.known |= set(roots.number.tolist())

    def ended(self, numbers: Array, evidence: Array) -> None:
        """Each of them was open or stuck."""
        for number, kind in zip(numbers.tolist(), evidence.tolist(), strict=True):
            assert Evidence(kind) and number in self.known | self.stuck_ones, number
            self.known.discard(number)
            self.stuck_ones.discard(number)
            self.gone["ended"] += 1

    def lemma(self, refuted: list[int], evidence: Evidence) -> None:
        """Disjuncts refuted at the root."""
        self.lemmas[evidence] += len(refuted)

    def stuck(self, numbers: Array) -> None:
        """Each of them was open."""
        for number in numbers.tolist():
            self.known.remove(number)
            self.stuck_ones.add(number)

    def split(self, parents: Batch, splits: Splits, children: Batch) -> None:
        """Each of them was open; the children have new numbers."""
        for number in parents.number.tolist():
            self.known.remove(number)
            self.gone["split"] += 1
        new = set(children.number.tolist())
        assert len(new) == 2 * len(parents) and not new & self.known
        self.known |= new


def asked(instance: Instance, options: Options) -> list[tuple[Query, Answer, Ledger, SplitTree, Tree]]:
    """Every query of the instance, with its tree as three of its listeners know it."""
    replay, limits = Replay(instance.network), Limits(options)
    trees: list[Tree] = []
    plant = running.Tree

    def planted(*arguments: object) -> Tree:
        trees.append(plant(*arguments))  # type: ignore[arg-type]
        return trees[-1]

    running.Tree = planted  # type: ignore[assignment,misc]
    try:
        found = []
        for k in range(len(instance.prop.cases)):
            ledger, trace = Ledger(), Trace()
            candidates = candidates_of(k, replay, instance.prop, limits, np.random.default_rng(0))
            query = candidates.query
            outcome = run(Job.fresh(k, query), candidates, listeners=(ledger, trace)).answer
            found.append((query, outcome, ledger, trace.tree(), trees[-1]))
        return found
    finally:
        running.Tree = plant  # type: ignore[misc]


def options_of(seed: int) -> Options:
    """Methods, rules, workers and node limits by turns: runs that end and runs that are stopped."""
    return Options(
        method=METHODS[seed % 3], rule=("auto", *RULES)[seed % (len(RULES) + 1)], jobs=1 + seed % 2,
        nodes=(3, 40, 5000)[seed // 3 % 3], timeout=20.0, batch=(0, 1, 7)[seed // 2 % 3],
        trust_scip=seed % 5 == 0, rows=("auto", "always", "never")[seed // 7 % 3],
    )  # fmt: skip


def account(seed: int, kind: str, slopes_first: bool) -> Counter[str]:
    """Ask the seed's instance of a kind, and hold every query's tree against its listeners; AssertionError names it.

    slopes_first: whether phases' nodes get the quick ascent always, or never. Returns how many queries were decided or
    not, and on what they rest.
    """
    instance, counts = random_instance(seed, kind, SHAPES[seed % len(SHAPES)]), Counter[str]()
    with pytest.MonkeyPatch.context() as patch:
        change_efforts(patch, "phases", quick_ascent=math.inf if slopes_first else -1.0)
        found = asked(instance, options_of(seed))
    for query, outcome, ledger, drawn, tree in found:
        agree(f"{instance}, kind {kind}, slopes first {slopes_first}", query, outcome, ledger, drawn, tree)
        counts.update(kind.words for kind in outcome.evidence)
        counts[("open", "holds", "sat")[2 if outcome.witness else outcome.holds]] += 1
    return counts


def agree(where: str, query: Query, outcome: Answer, ledger: Ledger, drawn: SplitTree, tree: Tree) -> None:
    """Hold a query's tree against its listeners and its statistics; AssertionError names `where`."""
    statistics, leaves = outcome.statistics, drawn.ended[drawn.leaf]
    counted = Counter(leaves.tolist())
    assert statistics["nodes"] == len(drawn) == tree.size, where
    assert tree.ended.total() + tree.inner + tree.count_open + tree.count_stuck == tree.size, where
    assert ledger.lemmas == tree.lemmas, where
    assert ledger.gone["ended"] == tree.ended.total() and ledger.gone["split"] == tree.inner, where
    assert len(ledger.known) == tree.count_open == statistics["open_nodes"] == counted[State.OPEN], where
    assert len(ledger.stuck_ones) == tree.count_stuck == statistics["stuck_nodes"] == counted[State.STUCK], where
    assert {kind: counted[kind] for kind in tree.ended} == dict(tree.ended), where
    assert counted.total() == tree.size - tree.inner, where
    assert sorted(np.concatenate(drawn.levels).tolist()) == list(range(tree.size)), where
    # the picture: its root is as wide as all leaves, and each split has a colour
    assert spans(drawn)[1][0] == counted.total() and len(split_kinds(drawn)[~drawn.leaf]) == tree.inner, where
    assert outcome.holds == (tree.closed and outcome.witness is None), where
    assert not outcome.holds or outcome.evidence.total(), where
    left = [*tree.open, *tree.stuck]
    assert all((b.margin <= 0.0).all() for b in left) or outcome.witness is not None, where
    assert query.disjuncts == tree.root.duty.shape[1], where
