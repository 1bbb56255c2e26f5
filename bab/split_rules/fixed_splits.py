"""The bound after 1, 2, ..., n splits by one rule, without a search: what a rule's splits are worth by themselves.

The part with the lowest bound is split, its two halves are bounded and clipped, and so on. After every split the bound
of the whole input set is the lowest of all parts; nothing is attacked, no LP asked for its value. Beside the rules of a
search (`heuristics.splits.rules`) there are four that only a study can afford or want:

    rows-plain   rows of all layers by the optimal-partition score, without asking what the cut leaves of it
    phases-fsb, phases-lp   as in `steps.phase_branching`
    look-ahead   the proposals of LOOKED_AT, both halves of each bounded; the one whose worse half is best
    random       an open axis or an unstable ReLU, all alike

Bounds are those of `linear_bounds`, rigorous; which rule leads to which is a matter of study.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...encodings.linear.bounds import Bounds, smallest_margins
from ...encodings.linear.clipping import clip_batch
from ...encodings.linear.linear_bounds import LinearBoundOptions, bound
from ...heuristics.splits.rules import INPUT_RULES, PHASE_RULES
from ...heuristics.splits.splits import Splits, choose_splits
from ...instances.batch import Batch, root
from ...instances.network import Array
from ...instances.query import Query
from ..steps.phase_branching import EVALUATED, PhaseBranching
from ..tree.branching import children

__all__ = ["LOOKED_AT", "TRIED", "Part", "after_splits", "first_bounds"]

LOOKED_AT = ("longest-edge", "axes", "rows-1", "rows", "phases")
WITHOUT_HISTORY = tuple(rule for rule in PHASE_RULES if rule != "phases-pseudo")  # which learns from a long search
TRIED = (*INPUT_RULES, "rows-plain", *WITHOUT_HISTORY, "look-ahead", "random")


@dataclass(frozen=True, eq=False)
class Part:
    """A part of the input set."""

    node: Batch  # of one node
    bounds: Bounds
    value: float  # lower bound of the worst margin; above 0 where the part is refuted, infinite where it is empty


def first_bounds(query: Query) -> Part:
    """The whole input set."""
    return _parts(query, root(query))[0]


def after_splits(
    query: Query, rule: str, most: int, seed: int = 0, clip: bool = True
) -> tuple[list[float], list[Part]]:
    """(lower bounds of the worst margin after 0, 1, ..., most splits, the parts at the end).

    rule: one of TRIED. Without `clip` the parts cover the whole input set, else what is not clipped off as refuted. A
    bound above 0 refutes the query, and stays. Raises ValueError for another rule.
    """
    if rule not in TRIED:
        raise ValueError(f"rule {rule!r}: expected one of {', '.join(TRIED)}")
    rng, parts = np.random.default_rng(seed), [first_bounds(query)]
    values = [parts[0].value]
    while len(values) <= most:
        worst = min(range(len(parts)), key=lambda i: parts[i].value)
        halves = [] if parts[worst].value > 0.0 else _halves(query, parts[worst], rule, rng, clip)
        if not halves:  # refuted, or the worst part is a point
            values.append(values[-1])
            continue
        parts[worst : worst + 1] = halves
        values.append(max(values[-1], min(part.value for part in parts)))
    return values, parts


def _parts(query: Query, batch: Batch) -> list[Part]:
    """Each node with its bounds; a bound that a rule reads (means, totals) is among them."""
    found = bound(query, batch, LinearBoundOptions(means=True, kernel="plain"))
    least = smallest_margins(query, found)
    batch = replace(batch, pre_lower=found.pre_lower, pre_upper=found.pre_upper)
    numbers = np.arange(len(batch))
    return [Part(batch[numbers == i], found[numbers == i], float(least[i])) for i in numbers]


def _halves(query: Query, part: Part, rule: str, rng: np.random.Generator, clip: bool) -> list[Part]:
    """Both parts of a split by the rule; none where nothing can be split."""
    node, gone = clip_batch(query, part.node, part.bounds) if clip else (part.node, np.zeros(1, dtype=bool))
    if gone.any():
        return [replace(part, value=np.inf)]
    if rule == "look-ahead":
        tried = [_divided(query, part, _chosen(query, node, part.bounds, one, rng), node) for one in LOOKED_AT]
        return max((halves for halves in tried if halves), key=_worse, default=[])
    return _divided(query, part, _chosen(query, node, part.bounds, rule, rng), node)


def _worse(halves: list[Part]) -> float:
    return min(half.value for half in halves)


def _divided(query: Query, part: Part, splits: Splits, node: Batch) -> list[Part]:
    if splits.missing.any():
        return []
    # a half has no lower bound than what it is half of
    return [replace(half, value=max(half.value, part.value)) for half in _parts(query, children(query, node, splits))]


def _chosen(query: Query, node: Batch, bounds: Bounds, rule: str, rng: np.random.Generator) -> Splits:
    """The rule's split of one node."""
    if rule == "random":
        return _random(query, node, bounds, rng)
    if rule == "rows-plain":  # as if a cut left nothing of any neuron's term
        means = bounds.means
        assert means is not None  # asked for
        known = replace(means, spreads=np.where(np.isfinite(means.spreads), 0.0, np.inf))
        return choose_splits(query, node, replace(bounds, means=known), "rows")
    scores = PhaseBranching(query, rule).scores(node, bounds) if rule in EVALUATED else None
    return choose_splits(query, node, bounds, rule, scores)


def _random(query: Query, node: Batch, bounds: Bounds, rng: np.random.Generator) -> Splits:
    """An axis at its middle or the phase of an unstable ReLU."""
    splits = Splits.none(1, query.network.input_size)
    middle: Array = 0.5 * node.lower[0] + 0.5 * node.upper[0]
    axes = np.flatnonzero((middle > node.lower[0]) & (middle < node.upper[0]))
    neurons = np.flatnonzero((bounds.pre_lower[0] < 0.0) & (bounds.pre_upper[0] > 0.0) & query.relu)
    if not len(axes) + len(neurons):
        return splits
    drawn = int(rng.integers(len(axes) + len(neurons)))
    if drawn < len(axes):
        splits.axis[0], splits.at[0] = axes[drawn], middle[axes[drawn]]
    else:
        splits.neuron[0] = neurons[drawn - len(axes)]
    return splits
