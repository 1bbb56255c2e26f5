"""Rules for splitting phases that need more than a node's own bounds.

* "phases-fsb", filtered smart branching (De Palma et al. 2021): the best few neurons by two scores, both children of
  each bounded with inherited hidden bounds; the largest smaller gain wins.
* "phases-pseudo", pseudo-costs: the default score times how much the neuron's splits have raised bounds so far, as a
  share of what was missing to 0, against the average of all splits; a neuron without splits counts as average.
* "phases-lp": the optimal-partition score with the multiplier that the upper triangle row has in the node's LP.

Measured (docs/performance.md), none of them pays for what it costs; the default rule needs nothing but the bounds.
"""

from __future__ import annotations

import threading

import numpy as np

from ...encodings.linear.linear_bounds import Bounds, LinearBoundOptions, bound, smallest_margins
from ...encodings.programs.thread_lps import ThreadLPs
from ...heuristics.efforts import BranchingEffort
from ...heuristics.splits.hyperplanes import optimal_partition_scores
from ...heuristics.splits.relus import phase_scores, with_widths
from ...heuristics.splits.splits import Splits, focus_rows
from ...instances.batch import Batch
from ...instances.network import Array
from ...instances.query import Query
from ..tree.branching import children

__all__ = ["EVALUATED", "PhaseBranching"]

EVALUATED = ("phases-fsb", "phases-pseudo", "phases-lp")  # the rules
PRIOR = 2.0  # average splits that every neuron is taken to have had


class PhaseBranching:
    """What one phase search learns about its neurons; its threads share it."""

    def __init__(self, query: Query, rule: str, effort: BranchingEffort | None = None) -> None:
        self.query, self.rule, self.effort = query, rule, effort or BranchingEffort()
        self.gains, self.splits = np.zeros(query.neurons), np.zeros(query.neurons)  # sums of shares, and their number
        self.lock, self.models = threading.Lock(), ThreadLPs(query)

    def scores(self, batch: Batch, bounds: Bounds) -> Array:
        """[B, neurons] scores of unstable ReLUs, 0 elsewhere."""
        own = phase_scores(self.query, bounds, focus_rows(self.query, bounds))
        if self.rule == "phases-fsb":
            return self._filtered(batch, bounds, own)
        if self.rule == "phases-pseudo":
            return own * self._rates()
        if self.rule == "phases-lp":
            return self._by_lp(batch, bounds)
        return own

    def learn(self, batch: Batch, bounds: Bounds) -> None:
        """Take note of what the splits above these nodes have brought. batch: margins are still the parents'."""
        if self.rule != "phases-pseudo":
            return
        won = np.fmax(smallest_margins(self.query, bounds) - batch.margin, 0.0)
        split = np.flatnonzero((batch.last != 0) & (batch.margin < 0.0) & np.isfinite(batch.margin))
        with self.lock:
            neurons = np.abs(batch.last[split]) - 1
            np.add.at(self.gains, neurons, np.fmin(won[split] / -batch.margin[split], 1.0))
            np.add.at(self.splits, neurons, 1.0)

    def _rates(self) -> Array:
        """[neurons] share gained by a split, in units of the average."""
        with self.lock:
            average = max(float(self.gains.sum()), 1e-12) / max(float(self.splits.sum()), 1.0)
            return np.asarray((self.gains / average + PRIOR) / (self.splits + PRIOR))

    def _filtered(self, batch: Batch, bounds: Bounds, own: Array) -> Array:
        """The candidates' smaller gains lift them above all others."""
        focus = focus_rows(self.query, bounds)
        other = phase_scores(self.query, bounds, focus, "phases-babsr")
        scores, worst = own.copy(), smallest_margins(self.query, bounds)
        top = own.max(axis=1)
        for rank in range(min(self.effort.candidates, self.query.neurons)):
            for score in (own, other):
                neuron = np.argsort(-score, axis=1, kind="stable")[:, rank]
                some = np.flatnonzero(score[np.arange(len(batch)), neuron] > 0.0)
                if not len(some):
                    continue
                least = self._children(batch[some], bounds[some], neuron[some])
                # gains are capped where the child closes: nothing is better than that
                gain = np.fmin(least, 0.0) - np.fmin(worst[some], 0.0)
                place = 1.0 + np.fmax(gain, 0.0) / np.fmax(-worst[some], 1e-12)
                scores[some, neuron[some]] = top[some] * (1.0 + place)
        return scores

    def _children(self, batch: Batch, bounds: Bounds, neuron: Array) -> Array:
        """[B] the smaller worst margin of the two children, hidden bounds inherited, plain slopes."""
        batch.pre_lower, batch.pre_upper = bounds.pre_lower, bounds.pre_upper
        splits = Splits.none(len(batch), self.query.network.input_size)
        splits.neuron[:] = neuron
        both = children(self.query, batch, splits, half_spaces=False)
        found = bound(self.query, both, LinearBoundOptions(hidden=False, kernel="plain"))
        worst = np.where(
            found.infeasible, np.inf, np.where(both.duty, self.query.per_disjunct(found.margins), np.inf).min(axis=1)
        )
        return np.minimum(worst[: len(batch)], worst[len(batch) :])

    def _by_lp(self, batch: Batch, bounds: Bounds) -> Array:
        """Duals of the worst disjunct's LP."""
        duals = np.zeros((len(batch), self.query.neurons))
        worst = np.where(batch.duty, self.query.per_disjunct(bounds.margins), np.inf).argmin(axis=1)
        for b in range(len(batch)):
            duals[b] = self.models.at(batch.node(b)).minimise(int(worst[b]), self.effort.lp_seconds).dual_upper
        lower, upper = bounds.pre_lower, bounds.pre_upper
        return with_widths(self.query, optimal_partition_scores(duals, lower, upper), lower, upper)
