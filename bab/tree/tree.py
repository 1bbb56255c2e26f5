"""The tree: all that the search knows of one query. Stages are its clients; none of them replaces it.

Every node is open, in somebody's hands, split, stuck, or ended by one `Evidence`, so at any time
    nodes = ended + split + open + stuck,
those in hand counted as open. What is proved of the root holds of every node below it: a *lemma* tightens them all, and
ends those that have nothing left to refute. Steps return what they found; only the tree writes it down.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from ...encodings.linear.reduction import restrict
from ...heuristics.splits.splits import Splits
from ...instances.batch import Batch
from ...instances.judges.replay import Witness
from ...instances.network import Array
from .cold import Cold, Shelf
from .evidence import Evidence
from .frontier import Frontier
from .recorder import Recorder

__all__ = ["Grown", "Round", "Tree"]


@dataclass(eq=False)
class Round:
    """What became of a batch of nodes."""

    witness: Witness | None = None
    ended: list[tuple[Array, Array]] = field(default_factory=list)  # numbers [k], their Evidence [k]
    stuck: list[Batch] = field(default_factory=list)
    split: tuple[Batch, Splits, Batch] | None = None  # parents, their splits, children as `branching.children` orders
    open: list[Batch] = field(default_factory=list)  # not decided, with what was proved of them

    def end(self, batch: Batch, which: Array, evidence: Evidence | Array) -> None:
        """Nodes `which` [B] bool of the batch have ended. evidence: of all of them, or [B]."""
        if which.any():
            kinds = np.broadcast_to(np.asarray(evidence, dtype=np.int8), (len(batch),))
            self.ended.append((batch.number[which], kinds[which]))


@dataclass(eq=False)
class Grown:
    """What a tree of its own, over n roots numbered from 0, has become: nodes = ended + split + open + stuck."""

    size: int  # nodes, the roots included: n + 2 inner
    inner: int
    deepest: int
    ended: Counter[Evidence]
    open: list[Batch]  # as the frontier stacks them
    stuck: list[Batch]


class Tree:
    """Nodes of one query from its roots on.

    roots: a batch of nodes with nothing known, or with what is; listeners: hear of every change; shelf: where open
    nodes go when memory gets short.
    """

    broad = False  # the largest shares of the tree are taken first, and not the deepest nodes: for open nodes to grow

    def __init__(self, roots: Batch, listeners: Iterable[Recorder] = (), shelf: Shelf | None = None) -> None:
        roots.number = np.arange(len(roots))
        self.root = roots  # with all that is proved of them
        self.open = Frontier(replace(roots), shelf=shelf)
        self.stuck: list[Batch] = []
        self.ended: Counter[Evidence] = Counter()  # nodes
        self.lemmas: Counter[Evidence] = Counter()  # disjuncts refuted at the root
        self.size, self.inner, self.deepest = len(roots), 0, 0
        self.hands: list[Batch] = []  # taken and not given back
        self.listeners = tuple(listeners)
        for listener in self.listeners:
            listener.planted(roots)

    @classmethod
    def again(
        cls, root: Batch, nodes: Iterable[Batch | Cold], ended: Counter[Evidence], lemmas: Counter[Evidence],
        inner: int, deepest: int, listeners: Iterable[Recorder] = (), shelf: Shelf | None = None,
    ) -> Tree:  # fmt: skip
        """A tree as it was left: `root` with all that is proved of it, its open nodes as a stack, the topmost last.

        Its size follows from the account. Listeners hear of what comes, not of what was.
        """
        tree = cls.__new__(cls)
        tree.root, tree.open, tree.stuck, tree.hands = root, Frontier.of(nodes, shelf), [], []
        tree.ended, tree.lemmas, tree.inner, tree.deepest = Counter(ended), Counter(lemmas), inner, deepest
        tree.size = inner + tree.ended.total() + len(tree.open)
        tree.listeners = tuple(listeners)
        return tree

    def plant(self, roots: Batch) -> None:
        """More roots, open."""
        roots.number = self.size + np.arange(len(roots))
        self.size += len(roots)
        self.open.push(roots)
        for listener in self.listeners:
            listener.planted(roots)

    @property
    def closed(self) -> bool:
        """Whether every node has ended, or its children have: by what lies there, and by the account.

        An interruption in the middle of a change may lose nodes; the account misses them, and nothing is closed. Nor is
        it where the disk has lost some: one that was interrupted may have ended others twice, and the account is even.
        """
        return self.count_open == 0 and self.whole and not self.count_stuck and not self.open.lost

    @property
    def whole(self) -> bool:
        """Whether every node that is neither split nor ended is there."""
        there = len(self.open) + sum(len(b) for b in self.hands)
        return there == self.count_open

    @property
    def count_open(self) -> int:
        """Nodes that are open, in hand or not, by the account."""
        return self.size - self.inner - self.ended.total() - self.count_stuck

    @property
    def open_share(self) -> float:
        """Share of the tree that is open, in hand or not: a node at depth d is 2^-d of it."""
        return 1.0 - self.open.closed_share + sum(float((0.5**b.depth).sum()) for b in self.hands)

    @property
    def count_stuck(self) -> int:
        """Nodes that nothing could close or split."""
        return sum(len(b) for b in self.stuck)

    @property
    def margin(self) -> float:
        """Proved lower bound of the worst margin where it may be <= 0; +inf where nothing is left."""
        if not self.whole:
            return -np.inf
        left = [*self.hands, *self.stuck]
        return min([self.open.margin, *(float(b.margin.min()) for b in left if len(b))])

    @property
    def evidence(self) -> Counter[Evidence]:
        """What rests on what: nodes ended and disjuncts refuted at the root, by kind."""
        return self.ended + self.lemmas

    def take(self, count: int) -> Batch:
        """Up to `count` open nodes into somebody's hands; they come back by `give` or `put_back`."""
        batch = self.open.pop_largest(count) if self.broad else self.open.pop(count)
        self.hands.append(batch)
        return batch

    def put_back(self, batch: Batch) -> None:
        """Nodes taken of which nothing was learnt."""
        self.open.push(batch)
        self._out_of_hands(batch)

    def recall(self) -> None:
        """Everything that is still in hands is open again; what comes back later must be ignored."""
        for batch in self.hands:
            self.open.push(batch)
        self.hands = []

    def give(self, batch: Batch, found: Round) -> None:
        """Nodes taken, with what became of them."""
        self.deepest = max(self.deepest, int(batch.depth.max(initial=0)))
        for numbers, kinds in found.ended:
            self._end(numbers, kinds)
        for some in filter(len, found.stuck):
            self.stuck.append(some)
            for listener in self.listeners:
                listener.stuck(some.number)
        for some in found.open:
            self.open.push(some)
        if found.split:
            parents, splits, children = found.split
            children.number = self.size + np.arange(len(children))
            self.size, self.inner = self.size + len(children), self.inner + len(parents)
            for listener in self.listeners:
                listener.split(parents, splits, children)
            self.open.push(children)
        self._out_of_hands(batch)

    def adopt(self, batch: Batch, grown: Grown) -> None:
        """Nodes taken, below which a tree of its own has grown elsewhere.

        Node i < n of it is the batch's node i, the others are new. Raises ValueError where its account is wrong, and
        where somebody listens: nobody could tell what happened there.
        """
        new, waiting = grown.size - len(batch), (*grown.open, *grown.stuck)
        left = sum(map(len, waiting))
        if new != 2 * grown.inner or grown.size != grown.inner + grown.ended.total() + left or self.listeners:
            raise ValueError(f"{len(batch)} nodes became {grown.size}, {grown.inner} split, {left} left")
        numbers = np.concatenate([batch.number, self.size + np.arange(new)])
        opened, stuck = ([replace(b, number=numbers[b.number]) for b in part] for part in (grown.open, grown.stuck))
        self.size, self.inner = self.size + new, self.inner + grown.inner
        self.deepest = max(self.deepest, grown.deepest)
        for some in opened:
            self.open.push(some)
        self.stuck.extend(filter(len, stuck))
        self.ended.update(grown.ended)
        self._out_of_hands(batch)

    def take_shares(self, count: int) -> Batch:
        """The same as `take`, of the largest shares of the tree: nodes to be worked on elsewhere."""
        batch = self.open.pop_largest(count)
        self.hands.append(batch)
        return batch

    def learn(
        self, evidence: Evidence, refuted: Iterable[int] = (), lower: Array | None = None, upper: Array | None = None
    ) -> None:
        """Take in what was proved of a single root: `refuted` disjuncts, pre-activation bounds [neurons].

        Nodes that have nothing left to refute, or that these bounds leave empty, end by this evidence.
        """
        refuted = list(refuted)
        for listener in self.listeners:
            listener.lemma(refuted, evidence)
        self.lemmas[evidence] += len(refuted)
        self.root = self._told(self.root, refuted, lower, upper)

        def kept(batch: Batch) -> Batch:
            return self._kept(batch, evidence, refuted, lower, upper)

        self.open = self.open.changed(kept)
        self.stuck = [left for left in map(kept, self.stuck) if len(left)]

    def resolve(self, place: int, kinds: Array, duty: Array) -> None:
        """What became of the stuck nodes `stuck[place]` after all: those with an `Evidence` in kinds [B] have ended.

        duty: [B, disjuncts] bool, what is left to refute of the others.
        """
        batch = replace(self.stuck[place], duty=duty)
        done = kinds >= min(Evidence)
        self._end(batch.number[done], kinds[done])
        self.stuck[place] = batch[~done]

    def lift(self, margin: Array) -> None:
        """Take in a proved lower bound [1] of the root's worst margin."""
        self.root = replace(self.root, margin=np.fmax(self.root.margin, margin))

    def rename(self, kept: Array, cuts: int) -> None:
        """The nodes go on without some neurons, and with the first `cuts` half-spaces of their lists only.

        kept: [neurons] bool, see `encodings.linear.reduction`.
        """

        def without(batch: Batch) -> Batch:
            return restrict(replace(batch, cuts=batch.cuts[:, :cuts]), kept)

        self.root = without(self.root)
        self.open = self.open.changed(without)
        self.stuck = [without(b) for b in self.stuck]
        for listener in self.listeners:
            listener.renamed(np.flatnonzero(kept))

    def _kept(
        self, batch: Batch, evidence: Evidence, refuted: list[int], lower: Array | None, upper: Array | None
    ) -> Batch:
        """What is left of a batch when this is known; the others end."""
        batch = self._told(batch, refuted, lower, upper)
        done = np.asarray(~batch.duty.any(axis=1) | (batch.pre_lower > batch.pre_upper).any(axis=1))
        if not done.any():
            return batch
        self._end(batch.number[done], np.full(int(done.sum()), evidence, dtype=np.int8))
        return batch[~done]

    @staticmethod
    def _told(batch: Batch, refuted: list[int], lower: Array | None, upper: Array | None) -> Batch:
        duty = batch.duty.copy()
        duty[:, refuted] = False
        return replace(
            batch, duty=duty,
            pre_lower=batch.pre_lower if lower is None else np.fmax(batch.pre_lower, lower),
            pre_upper=batch.pre_upper if upper is None else np.fmin(batch.pre_upper, upper),
        )  # fmt: skip

    def _end(self, numbers: Array, kinds: Array) -> None:
        for kind, count in zip(*np.unique(kinds, return_counts=True), strict=True):
            self.ended[Evidence(kind)] += int(count)
        for listener in self.listeners:
            listener.ended(numbers, kinds)

    def _out_of_hands(self, batch: Batch) -> None:
        self.hands = [other for other in self.hands if other is not batch]
