"""Rules side by side on the same instances: what studies of split rules have in common.

Per rule: what it solves, with how many nodes, in what time. Per instance: the default against the best other rule, the
price of not knowing beforehand which is best. All rules must give the same verdict; two that differ end the study, for
one of them is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from ...heuristics.splits.rules import Rule
from ...instances.errors import InputError
from ...instances.network import Network
from ...instances.property import Property
from ..bench.bench_instances import Instance, read_instances
from ..run.options import Kernel
from ..run.side_by_side import side_by_side
from .frame import DECIDED, Findings, Row, Settings, decide, new_figure
from .scaling import warm_up

__all__ = ["COLUMNS", "Contest", "Contradiction", "Problem"]

COLUMNS = {
    "instance": str, "rule": str, "verdict": str, "nodes": int, "seconds": float, "timeout": float, "reason": str,
}  # fmt: skip


class Contradiction(RuntimeError):
    """Two rules gave opposite verdicts."""


@dataclass(frozen=True)
class Problem:
    """An instance, loaded when needed."""

    name: str
    timeout: float
    load: Callable[[], tuple[Network, Property] | tuple[Path, Path]]


@dataclass(frozen=True)
class Contest:
    """Rules and what they are tried on."""

    rules: Sequence[Rule]
    default: str
    own: Callable[[Settings], list[Problem]]  # instances where the user gives no list
    text: Callable[[Settings, int], list[str]]  # paragraphs for the page, given how many instances there are

    def rows(self, settings: Settings, former: Sequence[Row]) -> Iterator[Row]:
        """One row an instance and rule that `former` does not have; raises Contradiction.

        With `jobs` the rows of an instance come together, when all its rules have been tried.
        """
        asked = []
        for problem in self.problems(settings):
            here = [row for row in former if row["instance"] == problem.name]
            missing: list[Rule] = [rule for rule in self.rules if rule not in {row["rule"] for row in here}]
            if missing:
                asked.append(_Asked(problem, tuple(missing), tuple(here)))
        if settings.jobs == 1:
            for one in asked:
                yield from _answers(settings, one)
        else:
            for rows in side_by_side(partial(_all_answers, settings), asked, settings.jobs):
                yield from rows

    def problems(self, settings: Settings) -> list[Problem]:
        """The list's instances, or the study's own; those that `only` chooses.

        Raises InputError for a list that cannot be read, and where nothing is left.
        """
        every = _listed(settings) if settings.instances else self.own(settings)
        globs = settings.only
        kept = [p for p in every if not globs or any(fnmatch(t, g) for t in (p.name, *p.name.split()) for g in globs)]
        if not kept:
            raise InputError(f"--only {' '.join(globs)}: matches no instance")
        return kept

    def findings(self, settings: Settings, rows: Sequence[Row]) -> Findings:
        """Tables and figures."""
        pairs = _against_best(rows, self.default)
        rules = [rule for rule in self.rules if any(row["rule"] == rule for row in rows)]
        table = [_of_rule(rule, rows) for rule in rules]
        tables = {"Rules": table, f"{self.default} against the best other rule": pairs}
        figures = {"cactus": _cactus(rows, rules), "default-against-best": _scatter(pairs, self.default)}
        count = len({row["instance"] for row in rows})
        return Findings(self.text(settings, count), _summary(table, pairs, self.default), tables, figures)


@dataclass(frozen=True)
class _Asked:
    """What one instance is still to be asked."""

    problem: Problem
    missing: tuple[Rule, ...]
    former: tuple[Row, ...]  # what other rules said


def _answers(settings: Settings, asked: _Asked) -> Iterator[Row]:
    """One row a missing rule; raises Contradiction."""
    problem, kernel = asked.problem, _warmed(settings.quick)
    said = next((row for row in asked.former if row["verdict"] in DECIDED), None)
    network, prop = problem.load()
    for rule in asked.missing:
        result = decide(
            network, prop, method="split", rule=rule, timeout=problem.timeout, seed=settings.seed, kernel=kernel
        )
        row: Row = {
            "instance": problem.name, "rule": rule, "verdict": result.verdict,
            "nodes": int(result.statistics.get("nodes", 0)), "seconds": round(result.seconds, 4),
            "timeout": problem.timeout, "reason": result.reason,
        }  # fmt: skip
        if result.verdict in DECIDED:
            _agree(said := said or row, row)
        yield row


def _all_answers(settings: Settings, asked: _Asked) -> list[Row]:
    """The same, in another process."""
    return list(_answers(settings, asked))


@cache
def _warmed(quick: bool) -> Kernel:
    """Once a process."""
    return warm_up(quick)


def _listed(settings: Settings) -> list[Problem]:
    return [
        Problem(" ".join(instance.key), min(instance.timeout, settings.timeout), partial(_files, instance))
        for instance in read_instances([Path(settings.instances)])
    ]


def _files(instance: Instance) -> tuple[Path, Path]:
    return instance.network, instance.property


def _agree(one: Row, other: Row) -> None:
    if one["verdict"] != other["verdict"]:
        raise Contradiction(
            f"{one['instance']}: rule {one['rule']} says {one['verdict']}, rule {other['rule']} says {other['verdict']}"
        )


def _of_rule(rule: str, rows: Sequence[Row]) -> Row:
    """Counts and sums of one rule; those of nodes and seconds over what all rules solve can be compared."""
    solved_by_all = _solved_by_all(rows)
    mine = [row for row in rows if row["rule"] == rule]
    seconds = [row["seconds"] for row in mine]
    common = [row for row in mine if row["instance"] in solved_by_all]
    return {
        "rule": rule, "instances": len(mine), "solved": sum(row["verdict"] in DECIDED for row in mine),
        "nodes": sum(row["nodes"] for row in mine), "seconds": float(np.sum(seconds)),
        "median seconds": float(np.median(seconds)), "nodes where all solve": sum(row["nodes"] for row in common),
        "seconds where all solve": float(np.sum([row["seconds"] for row in common])),
    }  # fmt: skip


def _solved_by_all(rows: Sequence[Row]) -> set[str]:
    return {row["instance"] for row in rows} - {row["instance"] for row in rows if row["verdict"] not in DECIDED}


def _against_best(rows: Sequence[Row], default: str) -> list[Row]:
    """One row an instance that needed splits: the default rule against the best of the others, in nodes and in seconds.

    Ratios are default / best. Rules that solve it come before those that do not; what did not is a lower bound.
    """
    pairs = []
    for name in dict.fromkeys(row["instance"] for row in rows):
        here = {row["rule"]: row for row in rows if row["instance"] == name}
        own = here.pop(default, None)
        if own is None or not here or min(row["nodes"] for row in (own, *here.values())) <= 1:
            continue
        solved = [row for row in here.values() if row["verdict"] in DECIDED]
        lost = [*(["default"] if own["verdict"] not in DECIDED else []), *([] if solved else ["others"])]
        pair: Row = {"instance": name, "verdict": (solved or [own])[0]["verdict"], "unsolved by": " and ".join(lost)}
        for unit in ("nodes", "seconds"):
            best = min(solved or here.values(), key=lambda row: row[unit])
            pair |= {unit: own[unit], f"best {unit}": best[unit], f"rule of best {unit}": best["rule"]}
            pair[f"ratio of {unit}"] = own[unit] / best[unit]
        pairs.append(pair)
    return pairs


def _summary(table: Sequence[Row], pairs: Sequence[Row], default: str) -> list[str]:
    lines = [
        f"{row['rule']}: {row['solved']} of {row['instances']} solved, {row['nodes']} nodes, {row['seconds']:.1f} s"
        for row in table
    ]
    both = [pair for pair in pairs if not pair["unsolved by"]]
    for unit in ("nodes", "seconds") if both else ():
        ratios = np.array([pair[f"ratio of {unit}"] for pair in both])
        lines.append(
            f"{default} takes {np.exp(np.log(ratios).mean()):.2f} times the {unit} of the single rule that is best on "
            f"an instance (geometric mean of {len(both)}; worst {ratios.max():.2f}, best {ratios.min():.2f})"
        )
    lost = [sum(pair["unsolved by"] == who for pair in pairs) for who in ("default", "others")]
    return [*lines, f"solved by another rule but not by {default}: {lost[0]}; by {default} alone: {lost[1]}"]


def _cactus(rows: Sequence[Row], rules: Sequence[str]) -> Any:
    """Instances solved within a time, a line a rule."""
    figure, (axes,) = new_figure(1)
    for rule in rules:
        times = sorted(row["seconds"] for row in rows if row["rule"] == rule and row["verdict"] in DECIDED)
        axes.step(times, range(1, len(times) + 1), where="post", label=rule)
    axes.set(xlabel="seconds an instance", ylabel="instances solved", xscale="log")
    axes.legend()
    return figure


def _scatter(pairs: Sequence[Row], default: str) -> Any:
    """The default rule against the best single one, by nodes and by seconds; below the line the default is better."""
    figure, panels = new_figure(2)
    for axes, unit in zip(panels, ("nodes", "seconds"), strict=True):
        for label, mark in (("both solved", "o"), ("one or both unsolved", "x")):
            shown = [pair for pair in pairs if bool(pair["unsolved by"]) == (mark == "x")]
            if shown:
                axes.plot([p[f"best {unit}"] for p in shown], [p[unit] for p in shown], mark, alpha=0.7, label=label)
                axes.legend()
        ends = [pair[key] for pair in pairs for key in (unit, f"best {unit}")] or [1.0]
        axes.plot([min(ends), max(ends)], [min(ends), max(ends)], "k:", linewidth=1)
        axes.set(xscale="log", yscale="log", xlabel=f"{unit}, best single rule", ylabel=f"{unit}, {default}")
    return figure
