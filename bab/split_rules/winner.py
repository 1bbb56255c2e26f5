"""Which facts of a network predict the rule that wins: a small tree of thresholds, made of some instances for others.

A tree asks at most two questions one after another, "is the fact below t?", and names a rule at each leaf. Of all such
trees the one with the least sum of log costs on the training instances is taken, every fact, threshold and rule tried;
a question has to earn its keep by LEAST_GAIN on every instance's average, so that noise makes no leaves. How deep a
tree is trusted is found out among the training families themselves, a fifth of which is left out in turns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...heuristics.splits.hyperplanes import first_layers, optimal_partition_scores
from ...instances.network import Array
from ...instances.query import Query
from ...instances.sparse import is_sparse
from .fixed_splits import Part

__all__ = ["FACTS", "Tree", "facts", "grown", "held_out", "trusted_depth"]

FACTS = ("inputs", "hidden layers", "neurons", "unstable share", "aligned rows", "first-layer share")
LEAST_GAIN = 0.02  # of the mean log cost, for every question
FEWEST = 3  # training instances at a leaf
MOST_DEPTH = 2  # questions one after another
FOLDS = 5  # of the families that a depth is chosen by


@dataclass(frozen=True)
class Tree:
    """A leaf, where `fact` is empty, or a question."""

    rule: str  # of a leaf
    fact: str = ""
    threshold: float = 0.0
    below: Tree | None = None
    above: Tree | None = None

    def choose(self, known: Mapping[str, float]) -> str:
        """The rule for a network with these facts."""
        if self.below is None or self.above is None:
            return self.rule
        return (self.below if known[self.fact] < self.threshold else self.above).choose(known)

    def words(self) -> str:
        """The tree as a sentence."""
        if self.below is None or self.above is None:
            return self.rule
        return f"({self.below.words()} where {self.fact} < {self.threshold:.3g}, else {self.above.words()})"


def facts(query: Query, start: Part) -> dict[str, float]:
    """FACTS of a query and its root's bounds.

    unstable share: of ReLUs. aligned rows: mean over the unstable rows w of the first layer of max_i |w_i| d_i /
    sum_i |w_i| d_i, d the box's edges: 1 where every row is an axis, 1/n where none prefers any. first-layer share: of
    the optimal-partition scores of all rows. NaN becomes 1: without unstable rows in the first layer nothing but axes
    is there to be cut.
    """
    low, high = start.bounds.pre_lower[0], start.bounds.pre_upper[0]
    relu, first = query.relu, first_layers(query)
    unstable = (low < 0.0) & (high > 0.0) & relu
    scores = optimal_partition_scores(start.bounds.multipliers[0].max(axis=0), low, high)
    total = float(scores[relu].sum())
    values = (
        float(query.network.input_size), float(sum(kind == "relu" for kind in query.kinds)), float(relu.sum()),
        float(unstable.sum() / max(1, relu.sum())), _aligned(query, unstable & first),
        float(scores[first].sum()) / total if total > 0.0 else 1.0,
    )  # fmt: skip
    return dict(zip(FACTS, values, strict=True))


def _aligned(query: Query, rows: Array) -> float:
    width, found = query.region.upper - query.region.lower, []
    for layer, part in zip(query.network.layers, query.slices, strict=False):
        if layer.sources == (0,) and rows[part].any():
            chosen = layer.weights[0][np.flatnonzero(rows[part])]
            sizes = np.abs(chosen.toarray() if is_sparse(chosen) else chosen) * width
            totals = sizes.sum(axis=1)
            found += list((sizes.max(axis=1) / np.where(totals > 0.0, totals, 1.0))[totals > 0.0])
    return float(np.mean(found)) if found else 1.0


def grown(known: Sequence[Mapping[str, float]], costs: Array, rules: Sequence[str], depth: int = MOST_DEPTH) -> Tree:
    """The best tree for instances with these facts; costs: [instances, rules] > 0."""
    table = np.array([[one[fact] for fact in FACTS] for one in known])
    return _grown(table, np.log(costs), rules, depth, LEAST_GAIN * len(costs))[0]


def _grown(table: Array, logs: Array, rules: Sequence[str], depth: int, gain: float) -> tuple[Tree, float]:
    """(best tree, its sum of log costs). table: [instances, FACTS]; gain: what a question has to bring."""
    totals = logs.sum(axis=0)
    best, least = Tree(rules[int(totals.argmin())]), float(totals.min())
    for k, threshold in _questions(table, logs, least - gain, depth) if depth else ():
        left = table[:, k] < threshold
        (below, one), (above, other) = (_grown(table[m], logs[m], rules, depth - 1, gain) for m in (left, ~left))
        if one + other < least - gain:
            best, least = Tree("", FACTS[k], threshold, below, above), one + other + gain
    return best, least


def _questions(table: Array, logs: Array, most: float, depth: int) -> Iterator[tuple[int, float]]:
    """(fact, threshold) of the questions worth asking: at the last one, those whose leaves cost less than `most`."""
    for k in range(table.shape[1]):
        order = np.argsort(table[:, k], kind="stable")
        values, sums = table[order, k], np.cumsum(logs[order], axis=0)
        ends = np.flatnonzero(values[1:] > values[:-1])  # the last place left of each threshold
        ends = ends[(ends + 1 >= FEWEST) & (len(values) - ends - 1 >= FEWEST)]
        if depth == 1 and len(ends):
            costs = sums[ends].min(axis=1) + (sums[-1] - sums[ends]).min(axis=1)
            ends = ends[[costs.argmin()]] if costs.min() < most else ends[:0]
        yield from ((k, float(0.5 * values[i] + 0.5 * values[i + 1])) for i in ends)


def trusted_depth(
    known: Sequence[Mapping[str, float]], costs: Array, rules: Sequence[str], groups: Sequence[str]
) -> int:
    """The least depth that costs no more than a standard error above the best one, on families left out in turns.

    A fifth of the families is left out at a time; the error is that of the mean difference between the two depths'
    log costs, instance by instance (the rule of Breiman, Friedman, Olshen and Stone 1984, on pairs).
    """
    names, losses = list(dict.fromkeys(groups)), np.zeros((MOST_DEPTH + 1, len(known)))
    fold = np.array([names.index(group) % FOLDS for group in groups])
    for left in range(min(FOLDS, len(names))):
        train, test = np.flatnonzero(fold != left), np.flatnonzero(fold == left)
        for depth in range(MOST_DEPTH + 1) if len(train) else ():
            tree = grown([known[i] for i in train.tolist()], costs[train], rules, depth)
            losses[depth, test] = [np.log(costs[i, rules.index(tree.choose(known[i]))]) for i in test.tolist()]
    more = losses - losses[int(losses.sum(axis=1).argmin())]
    return int((more.mean(axis=1) <= more.std(axis=1) / np.sqrt(len(known))).argmax())


def held_out(
    known: Sequence[Mapping[str, float]], costs: Array, rules: Sequence[str], groups: Sequence[str]
) -> tuple[list[str], list[str]]:
    """(rule that a tree names, best single rule) for each instance, both made of the other groups' instances only."""
    named, single = [""] * len(known), [""] * len(known)
    for group in dict.fromkeys(groups):
        train = [i for i, other in enumerate(groups) if other != group] or list(range(len(groups)))
        some, mine = [known[i] for i in train], [groups[i] for i in train]
        tree = grown(some, costs[train], rules, trusted_depth(some, costs[train], rules, mine))
        best = rules[int(np.log(costs[train]).sum(axis=0).argmin())]
        for i in (i for i, other in enumerate(groups) if other == group):
            named[i], single[i] = tree.choose(known[i]), best
    return named, single
