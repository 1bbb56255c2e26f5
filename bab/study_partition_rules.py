"""Study `partition-rules`: the rules that split the input set, one after another on the same instances.

The default rule takes the best-scored of axes and hyperplanes, the others each fewer kinds. Per rule: what it solves,
with how many nodes, in what time. Per instance: the default against the best single rule, the price of not knowing
beforehand which is best. All rules must give the same verdict; two that differ end the study, for one of them is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..heuristics.policy import FEW_INPUTS
from ..heuristics.splits import RULES
from ..instances.carried import carried_instances
from ..instances.errors import InputError
from ..instances.network import Network
from ..instances.onnx_reader import read_network
from ..instances.property import Property
from .bench_instances import Instance, read_instances
from .study import DECIDED, Findings, Row, Settings, Study, decide, new_figure
from .study_scaling import COMPILED, near_maximum, warm_up

__all__ = ["DEFAULT", "PARTITIONS", "STUDY", "Contradiction"]

PARTITIONS = tuple(rule for rule in RULES if rule != "phases")  # phases split ReLUs, not the input set
DEFAULT = "inputs"
COLUMNS = {
    "instance": str, "rule": str, "verdict": str, "nodes": int, "seconds": float, "timeout": float, "reason": str,
}  # fmt: skip
# (inputs, hidden layers, width): trees of some dozen to some ten thousand nodes
GENERATED = ((4, 4, 50), (6, 1, 200), (6, 2, 50), (6, 4, 50), (8, 3, 30), (8, 4, 30), (10, 2, 50), (12, 2, 50))
SEEDS = 3  # networks a size
QUICK_GENERATED, QUICK_SEEDS, QUICK_CARRIED = ((2, 3, 20), (6, 2, 30)), 1, 3


class Contradiction(RuntimeError):
    """Two rules gave opposite verdicts."""


@dataclass(frozen=True)
class Problem:
    """An instance, loaded when needed."""

    name: str
    timeout: float
    load: Callable[[], tuple[Network, Property] | tuple[Path, Path]]


def _problems(settings: Settings) -> list[Problem]:
    """The list's instances, or the study's own; those that `only` chooses.

    Raises InputError for a list that cannot be read, and where nothing is left.
    """
    every = _listed(settings) if settings.instances else [*_carried(settings), *_generated(settings)]
    globs = settings.only
    kept = [p for p in every if not globs or any(fnmatch(t, g) for t in (p.name, *p.name.split()) for g in globs)]
    if not kept:
        raise InputError(f"--only {' '.join(globs)}: matches no instance")
    return kept


def _listed(settings: Settings) -> list[Problem]:
    return [
        Problem(" ".join(instance.key), min(instance.timeout, settings.timeout), partial(_files, instance))
        for instance in read_instances([Path(settings.instances)])
    ]


def _files(instance: Instance) -> tuple[Path, Path]:
    return instance.network, instance.property


def _itself(pair: tuple[Path, Path]) -> tuple[Path, Path]:
    return pair


def _carried(settings: Settings) -> list[Problem]:
    """The carried instances whose input set the policy would split."""
    few = [pair for pair in carried_instances() if read_network(pair[0]).input_size <= FEW_INPUTS]
    return [
        Problem(f"carried {pair[0].name} {pair[1].name}", settings.timeout, partial(_itself, pair))
        for pair in (few[:QUICK_CARRIED] if settings.quick else few)
    ]


def _generated(settings: Settings) -> list[Problem]:
    """Random networks with an output bound just above their maximum."""
    sizes, seeds = (QUICK_GENERATED, QUICK_SEEDS) if settings.quick else (GENERATED, SEEDS)
    return [
        Problem(
            f"random {inputs}x{depth}x{width} seed_{seed}", settings.timeout,
            partial(near_maximum, (inputs, *[width] * depth, 1), seed),
        )
        for inputs, depth, width in sizes
        for seed in range(settings.seed, settings.seed + seeds)
    ]  # fmt: skip


def _rows(settings: Settings, former: Sequence[Row]) -> Iterator[Row]:
    """One row an instance and rule that `former` does not have; raises Contradiction."""
    done = {(row["instance"], row["rule"]) for row in former}
    said = {row["instance"]: row for row in former if row["verdict"] in DECIDED}
    kernel = warm_up(settings.quick)
    for problem in _problems(settings):
        missing = [rule for rule in PARTITIONS if (problem.name, rule) not in done]
        if not missing:
            continue
        network, prop = problem.load()
        options: dict[str, Any] = {"timeout": problem.timeout, "seed": settings.seed, "kernel": kernel}
        for rule in missing:
            result = decide(network, prop, method="split", rule=rule, **options)
            row: Row = {
                "instance": problem.name, "rule": rule, "verdict": result.verdict,
                "nodes": int(result.statistics.get("nodes", 0)), "seconds": round(result.seconds, 4),
                "timeout": problem.timeout, "reason": result.reason,
            }  # fmt: skip
            if result.verdict in DECIDED:
                _agree(said.setdefault(problem.name, row), row)
            yield row


def _agree(one: Row, other: Row) -> None:
    if one["verdict"] != other["verdict"]:
        raise Contradiction(
            f"{one['instance']}: rule {one['rule']} says {one['verdict']}, rule {other['rule']} says {other['verdict']}"
        )


def _findings(settings: Settings, rows: Sequence[Row]) -> Findings:
    pairs = _against_best(rows)
    rules = [rule for rule in PARTITIONS if any(row["rule"] == rule for row in rows)]
    table = [_of_rule(rule, rows) for rule in rules]
    tables = {"Rules": table, f"{DEFAULT} against the best single rule": pairs}
    figures = {"cactus": _cactus(rows, rules), "default-against-best": _scatter(pairs)}
    return Findings(_text(settings, rows), _summary(table, pairs), tables, figures)


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


def _against_best(rows: Sequence[Row]) -> list[Row]:
    """One row an instance that needed splits: the default rule against the best of the others, in nodes and in seconds.

    Ratios are default / best. Rules that solve it come before those that do not; what did not is a lower bound.
    """
    pairs = []
    for name in dict.fromkeys(row["instance"] for row in rows):
        here = {row["rule"]: row for row in rows if row["instance"] == name}
        own = here.pop(DEFAULT, None)
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


def _summary(table: Sequence[Row], pairs: Sequence[Row]) -> list[str]:
    lines = [
        f"{row['rule']}: {row['solved']} of {row['instances']} solved, {row['nodes']} nodes, {row['seconds']:.1f} s"
        for row in table
    ]
    both = [pair for pair in pairs if not pair["unsolved by"]]
    for unit in ("nodes", "seconds") if both else ():
        ratios = np.array([pair[f"ratio of {unit}"] for pair in both])
        lines.append(
            f"{DEFAULT} takes {np.exp(np.log(ratios).mean()):.2f} times the {unit} of the single rule that is best on "
            f"an instance (geometric mean of {len(both)}; worst {ratios.max():.2f}, best {ratios.min():.2f})"
        )
    lost = [sum(pair["unsolved by"] == who for pair in pairs) for who in ("default", "others")]
    return [*lines, f"solved by another rule but not by {DEFAULT}: {lost[0]}; by {DEFAULT} alone: {lost[1]}"]


def _cactus(rows: Sequence[Row], rules: Sequence[str]) -> Any:
    """Instances solved within a time, a line a rule."""
    figure, (axes,) = new_figure(1)
    for rule in rules:
        times = sorted(row["seconds"] for row in rows if row["rule"] == rule and row["verdict"] in DECIDED)
        axes.step(times, range(1, len(times) + 1), where="post", label=rule)
    axes.set(xlabel="seconds an instance", ylabel="instances solved", xscale="log")
    axes.legend()
    return figure


def _scatter(pairs: Sequence[Row]) -> Any:
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
        axes.set(xscale="log", yscale="log", xlabel=f"{unit}, best single rule", ylabel=f"{unit}, {DEFAULT}")
    return figure


def _text(settings: Settings, rows: Sequence[Row]) -> list[str]:
    source = f"the list {Path(settings.instances).name}" if settings.instances else "carried and random networks"
    count = len({row["instance"] for row in rows})
    return [
        f"{count} instances ({source}), each decided once with every rule that splits the input set: "
        f"{', '.join(PARTITIONS)}. Method split, one core, all else as by default: so under each rule a deep node with "
        "few unstable ReLUs is split by their phases. All verdicts agree.",
        *([] if settings.quick else [COMPILED]),
        "Seconds are those of a run where everything is loaded already. An unsolved instance counts with the seconds "
        "and nodes that it used. Where some rule needs no split, the instance says nothing about rules: it counts as "
        "solved, and is left out of the comparison with the best single rule. That one is chosen for each instance and "
        "unit after the fact, so that the noise of times is in its favour.",
    ]


STUDY = Study("Rules that split the input set, side by side", 60.0, COLUMNS, _rows, _findings, ("instances", "only"))
