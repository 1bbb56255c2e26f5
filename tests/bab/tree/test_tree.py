"""The tree's account: nodes = ended + split + open + stuck, in every kind of run, and all who tell of it agree."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from changed_efforts import change_efforts
from random_instances import Instance, Shape, random_instance

from hypersplit.bab.jobs import run as running
from hypersplit.bab.jobs.job import Job
from hypersplit.bab.jobs.run import candidates_of, run
from hypersplit.bab.run.limits import Limits
from hypersplit.bab.run.options import METHODS, Options
from hypersplit.bab.stages.answer import Answer
from hypersplit.bab.tree.evidence import Evidence, State, told
from hypersplit.bab.tree.recorder import Recorder
from hypersplit.bab.tree.trace import SplitTree, Trace
from hypersplit.bab.tree.tree import Round, Tree
from hypersplit.heuristics.splits.splits import RULES, Splits
from hypersplit.instances.batch import Batch, root
from hypersplit.instances.judges.replay import Replay
from hypersplit.instances.network import Array
from hypersplit.instances.query import Query, queries

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


@pytest.mark.parametrize("block", range(8))
def test_the_account_is_whole_and_all_agree(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes = ended + split + open + stuck; each leaf that has ended has evidence; listeners, trace, statistics and
    tree tell the same; nothing is unreachable from the root; `unsat` is said exactly when nothing is left."""
    change_efforts(monkeypatch, "phases", quick_ascent=(math.inf, -1.0)[block % 2])
    kinds: Counter[str] = Counter()
    for seed in range(1000 * block, 1000 * block + 40):
        kind = ("near-unsat", "touching", "clear-unsat", "near-unsat", "near-sat")[seed % 5]
        instance = random_instance(seed, kind, SHAPES[seed % 4])
        for query, outcome, ledger, drawn, tree in asked(instance, options_of(seed)):
            where, statistics = f"{instance}, seed {seed}", outcome.statistics
            leaves = drawn.ended[drawn.leaf]
            counted = Counter(leaves.tolist())
            assert statistics["nodes"] == len(drawn) == tree.size, where
            assert tree.ended.total() + tree.inner + tree.count_open + tree.count_stuck == tree.size, where
            assert ledger.lemmas == tree.lemmas, where
            assert ledger.gone["ended"] == tree.ended.total() and ledger.gone["split"] == tree.inner, where
            assert len(ledger.known) == tree.count_open == statistics["open_nodes"] == counted[State.OPEN], where
            assert len(ledger.stuck_ones) == tree.count_stuck == counted[State.STUCK], where
            assert {kind: counted[kind] for kind in tree.ended} == dict(tree.ended), where
            reached = np.concatenate(drawn.levels)
            assert sorted(reached.tolist()) == list(range(tree.size)), where
            assert outcome.holds == (tree.closed and outcome.witness is None), where
            assert not outcome.holds or outcome.evidence.total(), where
            batch = [*tree.open, *tree.stuck]
            assert all((b.margin <= 0.0).all() for b in batch) or outcome.witness is not None, where
            assert query.disjuncts == tree.root.duty.shape[1], where
            kinds.update(kind.words for kind in outcome.evidence)
            kinds.update([("open", "holds", "sat")[2 if outcome.witness else outcome.holds]])
    assert min(kinds["holds"], kinds["sat"]) > 0, kinds


def some_tree() -> tuple[Tree, Ledger, Batch]:
    """A tree of two disjuncts whose root is split into two open nodes, one of them stuck."""
    instance = random_instance(3, "clear-unsat")
    query = queries(instance.network, instance.prop)[0]
    batch = root(query)
    two = replace(batch, duty=np.ones((1, 2), dtype=bool), pre_lower=-1.0 + 0.0 * batch.depth[:, None],
                  pre_upper=1.0 + 0.0 * batch.depth[:, None], phases=np.zeros((1, 1), dtype=np.int8))  # fmt: skip
    ledger = Ledger()
    tree = Tree(two, (ledger,))
    taken = tree.take(1)
    splits = Splits.none(1, query.network.input_size)
    splits.axis[0] = 0
    tree.give(taken, Round(split=(taken, splits, Batch.concatenate([taken, taken]))))
    taken = tree.take(1)
    tree.give(taken, Round(stuck=[taken]))
    return tree, ledger, two


def test_a_lemma_ends_what_it_leaves_nothing_to_refute() -> None:
    """Open nodes and stuck ones alike, once their last disjunct is refuted; until then they know what is."""
    tree, ledger, _ = some_tree()
    tree.learn(Evidence.GROUPS, [1])
    assert (tree.count_open, tree.count_stuck, tree.ended.total()) == (1, 1, 0)
    assert tree.root.duty.tolist() == [[True, False]] and not any(b.duty[:, 1].any() for b in tree.open)
    tree.learn(Evidence.CONFLICTS, [0])
    assert tree.closed and tree.ended == {Evidence.CONFLICTS: 2} and not ledger.known and not ledger.stuck_ones
    assert tree.evidence == {Evidence.CONFLICTS: 3, Evidence.GROUPS: 1}


def test_a_lemma_of_bounds_reaches_every_node_and_ends_empty_ones() -> None:
    """Tighter bounds of the root are bounds of all nodes; where they contradict a node's own it holds no input."""
    tree, _, _ = some_tree()
    tree.learn(Evidence.SLOPES, lower=np.array([-0.5]), upper=np.array([0.5]))
    assert [b.pre_lower.tolist() for b in (tree.root, *tree.open, *tree.stuck)] == [[[-0.5]]] * 3
    tree.learn(Evidence.SLOPES, lower=np.array([0.75]))
    assert tree.closed and tree.ended == {Evidence.SLOPES: 2}


def test_nodes_in_hand_are_open_and_come_back() -> None:
    """What was taken counts as open; recalled it is there again, put back too."""
    tree, ledger, _ = some_tree()
    batch = tree.take(5)
    assert len(tree.open) == 0 and tree.count_open == 1 and not tree.closed
    tree.put_back(batch)
    tree.take(5)
    tree.recall()
    assert len(tree.open) == 1 and not tree.hands and len(ledger.known) == 1


def test_what_is_not_rigorous_is_told_first() -> None:
    """Then the kinds by how many nodes rest on them; kinds that nothing rests on are not told."""
    assert told(Counter({Evidence.LINEAR: 5, Evidence.CLIPPED: 6, Evidence.LP: 0})) == "clipping, linear bounds"
    assert told(Counter({Evidence.LINEAR: 5, Evidence.SCIP: 1})) == "scip-float, linear bounds"
    assert [kind for kind in Evidence if not kind.rigorous] == [Evidence.SCIP]
    assert max(State) < min(Evidence)
