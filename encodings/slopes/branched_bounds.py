"""Bounds of hidden neurons by branching over the phases of the layers before them, all neurons of a layer at once.

kPoly (Singh, Ganvir, Pueschel and Vechev 2019) refines the neurons of the second ReLU layer by a MILP, whose binaries
are the phases of the first. Here either end of every neuron has a tree of its own:

    min z >= min over the leaves of the leaf's bound,

at any moment, whichever leaves there are. The leaf with the least bound is split next, along the ReLU whose upper line
costs its bound most, |a| (-l u) / (u - l) with a < 0 its coefficient in back-substitution. Leaves are bounded by
ascents that begin with their parent's slopes and multipliers (`slope_ascent`), those of all trees in one batch: a round
is one batch, of two children a tree. An end is done where the network's own value at an input of the node comes near
its bound, where its neuron is proved stable, or where it has as many leaves as it may; all are where memory is short.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...instances import memory
from ...instances.batch import Batch
from ...instances.network import Array
from ...instances.query import Query
from ..linear.inherited_pass import InheritedPass
from .optimised_bounds import PAIR_FLOATS, OptimiseOptions, PairPass
from .phase_bounds import skeleton_of
from .row_multipliers import RowPool
from .slope_ascent import Ascent, Pairs, Single

__all__ = ["LEAF", "Branching", "branch_layer", "tighten_by_branching"]

WORTH = 0.01  # share of a neuron's width that must be left to win
LEAF_BYTES = 2 * (4 + 1)  # per neuron before: a float32 number and a phase, and a copy of both while leaves are joined
LEAF = OptimiseOptions(iterations=10, worth=0.0)  # 5 win nearly what 10 win, and 40 hardly more
Index = NDArray[np.intp]


@dataclass(frozen=True)
class Branching:
    """Which layers' bounds are refined so, and how far."""

    second: int = 0  # leaves of either end's tree in the second ReLU layer, as kPoly does by its MILP; 0: none
    later: int = 0  # in those behind it
    options: OptimiseOptions = LEAF

    def of_layer(self, query: Query, k: int) -> int:
        """Leaves of the trees of layer k's neurons."""
        depth = query.kinds[:k].count("relu")
        return 0 if depth < 2 or query.kinds[k - 1] != "relu" else self.second if depth == 2 else self.later


def branch_layer(
    query: Query, batch: Batch, k: int, branching: Branching, deadline: float, pool: RowPool | None = None
) -> None:
    """Bound layer k's unstable neurons by branching, in the batch's own arrays; they cross where it holds no input.

    batch, pool: as in `tighten_by_branching`; deadline: time.monotonic().
    """
    lower, upper = (ends[0, query.slices[k - 1]] for ends in (batch.pre_lower, batch.pre_upper))  # views
    unstable, leaves = np.flatnonzero((lower < 0.0) & (upper > 0.0)), branching.of_layer(query, k)
    if leaves > 1 and len(unstable):
        options = replace(branching.options, deadline=deadline)
        lower[unstable], upper[unstable] = tighten_by_branching(query, batch, k, unstable, leaves, options, pool)


class _Ascent(Ascent):
    """One that keeps its minimisers."""

    wants_points = True


@np.errstate(over="ignore", invalid="ignore")  # what is not finite in the end proves nothing
def tighten_by_branching(
    query: Query, batch: Batch, k: int, index: Index, leaves: int, options: OptimiseOptions = LEAF,
    pool: RowPool | None = None, worth: float = WORTH,
) -> tuple[Array, Array]:  # fmt: skip
    """(lower, upper) [len(index)] bounds of the pre-activations `index` of layer k, never worse than the node's.

    batch: one node with finite bounds; leaves: of the tree of either end of a neuron at most, >= 1, 1 being an ascent
    without splits; options: of a leaf's ascent, and the deadline from which on the bounds stay what they are then;
    pool: multi-neuron rows of the layers before; worth: share of a neuron's width that must be left to win.
    Where memory is short there are fewer leaves.
    """
    part = query.slices[k - 1]
    lower, upper = batch.pre_lower[0, part][index].copy(), batch.pre_upper[0, part][index].copy()
    trees = _Trees(query, batch, k, index, options, pool, worth * (upper - lower))
    for _ in range(leaves):
        if time.monotonic() >= options.deadline or not trees.grow():
            break
    ends = trees.ends()
    # a region without inputs has crossed bounds, and finite ones
    return np.fmax(lower, np.fmin(ends[::2], upper + 1.0)), np.fmin(upper, np.fmax(-ends[1::2], lower - 1.0))


class _Trees:
    """A tree for z and one for -z, in turn, of every neuron: its leaves, and how low the network itself goes."""

    def __init__(
        self, query: Query, batch: Batch, k: int, index: Index, options: OptimiseOptions, pool: RowPool | None,
        worth: Array,
    ) -> None:  # fmt: skip
        self.query, self.batch, self.k, self.options, self.pool = query, batch, k, options, pool
        self.before = query.slices[k - 1].start
        self.row, self.sign = np.repeat(index, 2), np.tile([1.0, -1.0], len(index))
        self.worth = np.repeat(worth, 2)
        self.reached = np.full(len(self.row), np.inf)  # least sign * z at the leaves' minimisers
        # per leaf: its tree, bound, the next split (-1: none), phases of the neurons before and numbers of its ascent
        self.tree = np.arange(len(self.row))
        part = query.slices[k - 1]
        known = np.stack([batch.pre_lower[0, part][index], -batch.pre_upper[0, part][index]], axis=1).ravel()
        self.bound = np.full(len(self.row), -np.inf)
        self.phases = np.broadcast_to(batch.phases[:, : self.before], (len(self.row), self.before))
        self.split = np.full(len(self.row), -1)
        self.numbers = np.broadcast_to(np.float32(np.nan), self.phases.shape)
        self.known = known

    def ends(self) -> Array:
        """[trees] lower bounds of sign * z."""
        least = np.full(len(self.row), np.inf)
        np.minimum.at(least, self.tree, self.bound)
        return np.fmax(least, self.known)

    def grow(self) -> bool:
        """Bound the first leaves, or split the worst leaf of every tree that is not done; False where all are."""
        if np.isneginf(self.bound).all():
            if not self._fits(len(self.row)):
                return False
            made = self._bounded(np.arange(len(self.row)), self.phases, self.numbers, self.known)
            self.bound, self.split, self.numbers = made
            return True
        worst = self._worst()
        if not len(worst) or not self._fits(2 * len(worst)):
            return False
        twice = np.repeat(worst, 2)
        phases = self.phases[twice]
        phases[np.arange(len(twice)), self.split[twice]] = np.tile([-1, 1], len(worst))
        bound, split, numbers = self._bounded(self.tree[twice], phases, self.numbers[twice], self.bound[twice])
        keep = np.ones(len(self.tree), dtype=bool)
        keep[worst] = False
        self.tree = np.concatenate([self.tree[keep], self.tree[twice]])
        self.bound = np.concatenate([self.bound[keep], bound])
        self.phases = np.concatenate([self.phases[keep], phases])
        self.split = np.concatenate([self.split[keep], split])
        self.numbers = np.concatenate([self.numbers[keep], numbers])
        return True

    def _fits(self, more: int) -> bool:
        """Whether there is room for so many leaves more: without them bounds are what they are, and the run goes on."""
        return 1e-6 * LEAF_BYTES * self.before * (len(self.tree) + more) < memory.room_mb()

    def _worst(self) -> Index:
        """The leaf with the least bound of every tree that may win by its split."""
        ends = self.ends()
        stable = (ends >= 0.0).reshape(-1, 2).any(axis=1)
        done = np.repeat(stable, 2) | (self.reached - ends <= self.worth)
        order = np.lexsort((self.bound, self.tree))
        first = order[np.unique(self.tree[order], return_index=True)[1]]
        return first[~done[self.tree[first]] & (self.split[first] >= 0)]

    def _bounded(self, tree: Index, phases: Array, numbers: Array, known: Array) -> tuple[Array, Index, Array]:
        """(bound, next split, numbers) of leaves, no bound below what is known of it."""
        bound, split = known.copy(), np.full(len(tree), -1)
        numbers = numbers.copy()
        step = max(1, PAIR_FLOATS // (self.query.neurons + self.query.network.input_size))
        for i in range(0, len(tree), step):
            part = slice(i, i + step)
            if time.monotonic() < self.options.deadline:
                found = self._ascended(tree[part], phases[part], numbers[part])
                bound[part], (split[part], numbers[part]) = np.fmax(bound[part], found[0]), found[1:]
        return bound, split, numbers

    def _ascended(self, tree: Index, phases: Array, numbers: Array) -> tuple[Array, Index, Array]:
        """The same for a few of them, by one ascent; inputs on the way are evaluated."""
        query, count = self.query, len(tree)
        leaf = self.batch[np.zeros(count, dtype=np.intp)]
        before = slice(0, self.before)
        lower, upper, full = leaf.pre_lower.copy(), leaf.pre_upper.copy(), leaf.phases.copy()
        lower[:, before] = np.where(phases > 0, np.fmax(lower[:, before], 0.0), lower[:, before])
        upper[:, before] = np.where(phases < 0, np.fmin(upper[:, before], 0.0), upper[:, before])
        full[:, before] = phases
        leaf = replace(leaf, pre_lower=lower, pre_upper=upper, phases=full)
        pairs = Pairs(np.arange(count), self.row[tree], self.sign[tree], np.arange(count))
        given = None
        if not np.isnan(numbers).all():
            given = np.full((count, query.neurons), np.nan, dtype=np.float32)
            given[:, before] = numbers
        ascent = _Ascent(Single(skeleton_of(query, leaf).below(self.k), leaf), pairs, given, self.pool)
        ascent.run(self.options.steps(warm=given is not None))
        self._note(np.clip(ascent.points(), leaf.lower, leaf.upper))
        found, weights = ascent.result()
        proving = PairPass(InheritedPass(query, leaf), pairs, found, weights, ascent.best_mus, self.pool)
        _, _, least, coefficients = proving.evaluate(self.k)
        low, high, a = lower[:, before], upper[:, before], coefficients[:, before]
        open_ = (low < 0.0) & (high > 0.0) & query.relu[None, before]
        score = np.where(open_, np.fmax(-a, 0.0) * -low * high / np.where(open_, high - low, 1.0), 0.0)
        split = np.where(score.max(axis=1, initial=0.0) > 0.0, score.argmax(axis=1), -1)
        return least, split, found[:, before]

    def _note(self, points: Array) -> None:
        """Values of all neurons at those of the inputs [P, n] that satisfy the node's half-spaces and phases."""
        values, cuts = self.query.network.values(points)[1], self.batch.cuts[0]
        before = np.concatenate(values[: self.k - 1], axis=1)
        inside = (points @ cuts[:, :-1].T + cuts[:, -1] >= 0.0).all(axis=1)
        inside &= ~(before * self.batch.phases[:, : self.before] < 0.0).any(axis=1)
        z = values[self.k - 1][inside][:, self.row] * self.sign
        self.reached = np.fmin(self.reached, z.min(axis=0, initial=np.inf))
