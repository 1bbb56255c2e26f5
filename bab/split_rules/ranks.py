"""Rules over many instances: average ranks, whether they differ at all, and which pairs do.

Demsar, *Statistical comparisons of classifiers over multiple data sets* (JMLR 2006): on each of N instances the k rules
are ranked (1 the best, ties shared). Friedman's test asks whether the ranks are alike; if not, two rules differ whose
average ranks are further apart than the critical difference of Nemenyi's test,
    CD = q_{0.05, k} sqrt(k (k + 1) / (6 N)),
with q the studentized range over sqrt(2). Pairs against one rule are asked by Wilcoxon's signed ranks, the p-values
made larger after Holm for their number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...instances.network import Array
from ..pages.figures import new_figure

__all__ = ["Ranking", "critical_difference", "diagram", "holm", "ranked"]

LEVEL = 0.05
FEWEST = 5  # instances, below which nothing is tested


@dataclass(frozen=True)
class Ranking:
    """Average ranks, best first, and what may be said of them."""

    ranks: Mapping[str, float]
    instances: int
    friedman: float  # p-value; NaN for too few instances or rules
    difference: float  # CD; NaN where it is not defined
    against_first: Mapping[str, float]  # of every other rule: p-value against the best one, after Holm


def ranked(costs: Array, names: Sequence[str]) -> Ranking:
    """costs: [instances, rules], lower is better; names: of the rules."""
    from scipy.stats import friedmanchisquare, rankdata

    count, k = costs.shape
    average = rankdata(costs, axis=1).mean(axis=0) if count else np.full(k, np.nan)
    order = np.argsort(average, kind="stable")
    tested = count >= FEWEST and k > 2 and bool((costs != costs[:, :1]).any())
    friedman = float(friedmanchisquare(*costs.T).pvalue) if tested else float("nan")
    first, *others = map(int, order)
    raw = [_wilcoxon(costs[:, first], costs[:, i]) for i in others]
    pairs = dict(zip((names[i] for i in others), holm(raw), strict=True))
    return Ranking(
        {names[i]: float(average[i]) for i in map(int, order)}, count, friedman, critical_difference(k, count), pairs
    )


def critical_difference(rules: int, instances: int) -> float:
    """CD of average ranks, NaN for fewer than two rules or FEWEST instances.

    >>> round(critical_difference(4, 14), 2)  # Demsar's example
    1.25
    """
    if rules < 2 or instances < FEWEST:
        return float("nan")
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(1.0 - LEVEL, rules, np.inf)) / np.sqrt(2.0)
    return float(q * np.sqrt(rules * (rules + 1) / (6.0 * instances)))


def holm(values: Sequence[float]) -> list[float]:
    """p-values of several tests, made larger so that together they are wrong no more often than one; NaN stay.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    known = [i for i in sorted(range(len(values)), key=lambda i: values[i]) if values[i] == values[i]]
    found, least = [float("nan")] * len(values), 0.0
    for place, i in enumerate(known):
        least = max(least, min(1.0, (len(known) - place) * values[i]))
        found[i] = least
    return found


def diagram(ranking: Ranking) -> Any:
    """A critical-difference diagram: rules along their average ranks, a bar over each group that is not told apart."""
    figure, (axes,) = new_figure(1, width=6.4, height=0.9 + 0.24 * len(ranking.ranks))
    names, places = list(ranking.ranks), np.array(list(ranking.ranks.values()))
    rows = -np.arange(1, len(names) + 1)
    axes.plot(places, rows, "o")
    for name, place, row in zip(names, places, rows, strict=True):
        axes.text(place, row, f"   {name} ({place:.2f})", va="center", fontsize="small")
    for i, start in enumerate(places):
        last = int(np.flatnonzero(places <= start + ranking.difference).max(initial=i))
        if last > i and (i == 0 or places[last] > places[i - 1] + ranking.difference):
            axes.plot([start, start], [rows[i], rows[last]], color="#808080", linewidth=3, alpha=0.6)
    axes.set(xlabel="average rank, 1 is best; grey: from a rule down to the last that it is not told apart from",
             xlim=(places.min() - 0.3, places.max() + 0.45 * (places.max() - places.min()) + 1.0))  # fmt: skip
    axes.yaxis.set_visible(False)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    return figure


def _wilcoxon(one: Array, other: Array) -> float:
    """Two-sided p-value of paired values; 1 where they are all alike, NaN for too few."""
    from scipy.stats import wilcoxon

    if len(one) < FEWEST:
        return float("nan")
    return float(wilcoxon(one, other).pvalue) if (one != other).any() else 1.0
