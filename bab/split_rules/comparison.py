"""What rows of many instances say about rules: sentences, tables and figures for a page.

Two kinds of rows: `fixed`, the bounds after 0, 1, ... splits without a search (`fixed_splits`), and `search`, nodes of
complete searches. A rule's cost on an instance is, of the first, the share of the root's gap to 0 that is still open,
on the average over 1 to n splits; of the second the nodes, a search that did not end counting UNSOLVED times its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...instances.network import Array
from ..pages.figures import new_figure
from .ranks import Ranking, diagram, ranked
from .winner import FACTS, grown, held_out, trusted_depth

__all__ = ["Row", "missing_share", "of_fixed", "of_search"]

Row = Mapping[str, Any]
UNSOLVED = 2.0
NEAR = 1.2  # times the best rule's nodes
SHOWN = 6  # ranks in a sentence


def missing_share(values: Sequence[float]) -> Array:
    """[splits] of the root's gap to 0 that is left after 1, 2, ... splits; values: bounds from 0 splits on, the first
    below 0.

    >>> missing_share([-2.0, -1.0, 0.5])
    array([0.5, 0. ])
    """
    open_part = np.maximum(-np.array(values[1:]), 0.0)
    return np.asarray(open_part / -values[0])


def of_fixed(rows: Sequence[Row]) -> tuple[list[str], dict[str, list[dict[str, Any]]], dict[str, Any]]:
    """(sentences, tables, figures). rows: instance, rule, bounds (numbers with blanks between)."""
    names, rules = _named(rows)
    if not names:
        return [], {}, {}
    left = {
        (row["instance"], row["rule"]): missing_share([float(word) for word in row["bounds"].split()]) for row in rows
    }
    costs = np.array([[left[name, rule].mean() for rule in rules] for name in names])
    ranking = ranked(costs, rules)
    table = [
        {
            "rule": rule, "rank": rank, "share left, mean": float(costs[:, rules.index(rule)].mean()),
            "p against the first": ranking.against_first.get(rule, float("nan")),
            **{f"left after {n}": float(np.mean([left[name, rule][n - 1] for name in names])) for n in (1, 4, 12)
               if n <= len(left[names[0], rule])},
        }
        for rule, rank in ranking.ranks.items()
    ]  # fmt: skip
    figures = {"share-left": _curves({rule: np.mean([left[n, rule] for n in names], axis=0) for rule in ranking.ranks})}
    if ranking.difference == ranking.difference:
        figures["ranks-without-search"] = diagram(ranking)
    return _sentences("bounds without search", ranking), {"Bounds after a few splits, no search": table}, figures


def of_search(
    rows: Sequence[Row], known: Mapping[str, Mapping[str, float]], groups: Mapping[str, str]
) -> tuple[list[str], dict[str, list[dict[str, Any]]], dict[str, Any]]:
    """(sentences, tables, figures). rows: instance, rule, verdict, nodes; known: FACTS by instance.

    groups: by instance, what is held out together when the rule that a tree names is tried.
    """
    hard = {row["instance"] for row in rows if row["nodes"] > 1} & set(known)
    names, rules = _named([row for row in rows if row["instance"] in hard])
    if not names:
        return ["no instance needed a split"], {}, {}
    nodes = {(row["instance"], row["rule"]): _nodes(row) for row in rows}
    costs = np.array([[nodes[name, rule] for rule in rules] for name in names])
    ranking = ranked(costs, rules)
    lines, figures = _sentences("nodes of complete searches", ranking), {}
    if ranking.difference == ranking.difference:
        figures["ranks-of-nodes"] = diagram(ranking)
    more, table = _predicted([known[name] for name in names], costs, rules, names, [groups[name] for name in names])
    return [*lines, *more], {"Rule named beforehand, on held-out families": table}, figures


def _nodes(row: Row) -> float:
    return max(1.0, float(row["nodes"])) * (1.0 if row["verdict"] in ("sat", "unsat") else UNSOLVED)


def _named(rows: Sequence[Row]) -> tuple[list[str], list[str]]:
    """(instances that have a row for every rule, rules)."""
    rules = list(dict.fromkeys(row["rule"] for row in rows))
    met: dict[str, set[str]] = {}
    for row in rows:
        met.setdefault(row["instance"], set()).add(row["rule"])
    return [name for name, mine in met.items() if len(mine) == len(rules)], rules


def _sentences(what: str, ranking: Ranking) -> list[str]:
    said = ", ".join(f"{rule} {rank:.2f}" for rule, rank in list(ranking.ranks.items())[:SHOWN])
    lines = [f"{what}: average ranks of {len(ranking.ranks)} rules on {ranking.instances} instances: {said}"]
    if ranking.friedman == ranking.friedman:
        first = next(iter(ranking.ranks))
        apart = [rule for rule, p in ranking.against_first.items() if p < 0.05]
        lines.append(
            f"{what}: Friedman p = {ranking.friedman:.2g}; {first} is told apart (Wilcoxon, Holm, 5 %) from "
            f"{', '.join(apart) or 'no other rule'}; critical difference of ranks {ranking.difference:.2f}"
        )
    return lines


def _predicted(
    known: Sequence[Mapping[str, float]], costs: Array, rules: Sequence[str], names: Sequence[str],
    groups: Sequence[str],
) -> tuple[list[str], list[dict[str, Any]]]:  # fmt: skip
    """The tree of all instances in words, and what trees of the other groups are worth on each."""
    named, single = held_out(known, costs, rules, groups)
    best = costs.min(axis=1)
    table = [
        {
            "instance": name, **{fact: one[fact] for fact in FACTS}, "named": a, "best": rules[int(row.argmin())],
            "named / best": float(row[rules.index(a)] / least), "single / best": float(row[rules.index(b)] / least),
        }
        for name, one, row, least, a, b in zip(names, known, costs, best, named, single, strict=True)
    ]  # fmt: skip
    tree = grown(known, costs, rules, trusted_depth(known, costs, rules, groups))
    lines = [f"the tree of all {len(names)} instances: {tree.words()}"]
    if len(set(groups)) > 1:
        means = {key: np.exp(np.log([row[key] for row in table]).mean()) for key in ("named / best", "single / best")}
        lines.append(
            f"on families that it has not seen ({len(set(groups))} of them, one held out at a time) the rule that the "
            f"tree names takes {means['named / best']:.2f} times the nodes of the best rule of each instance "
            f"(geometric mean), the best single rule of the other families {means['single / best']:.2f} times: "
            f"{means['named / best'] / means['single / best']:.2f} of it"
        )
        near = {key: sum(row[key] <= NEAR for row in table) for key in means}
        lines.append(
            f"at most {NEAR:g} times the nodes of the best rule: the named rule on {near['named / best']} of "
            f"{len(table)} instances that no tree was made of, the single rule on {near['single / best']}"
        )
    return lines, table


def _curves(left: Mapping[str, Array]) -> Any:
    figure, (axes,) = new_figure(1, width=6.0, height=4.2)
    for i, (rule, values) in enumerate(left.items()):
        style = ("-", "--", ":")[i // 7 % 3]
        axes.plot(range(1, len(values) + 1), values, style, label=rule)
    axes.set(xlabel="splits", ylabel="share of the root's gap left, mean", ylim=(0.0, 1.0))
    axes.legend(fontsize="x-small", ncols=2)
    return figure
