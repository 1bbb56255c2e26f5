"""Study `partition-rules`: the rules that split, one after another on the same instances, without a search and with it.

    fixed    bounds after 1 to 12 splits by every rule (`split_rules.fixed_splits`), nothing else being done
    search   the complete search by every rule that splits the input set, and by two that split phases
    facts    what is known of an instance before: from which a small tree names a rule (`split_rules.winner`)

The default rule takes the best-scored of axes and hyperplanes, the others each fewer kinds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ...heuristics.policy import FEW_INPUTS
from ...heuristics.splits.rules import INPUT_RULES, Rule
from ...instances.carried import carried_instances
from ...instances.network import Network
from ...instances.onnx.reader import read_network
from ...instances.property import Property
from ...instances.query import Query, queries
from ...instances.vnnlib.reader import read_property
from ..run.side_by_side import side_by_side
from ..split_rules.cells import partition_panels
from ..split_rules.comparison import of_fixed, of_search
from ..split_rules.fixed_splits import TRIED, after_splits, first_bounds
from ..split_rules.winner import FACTS, facts
from .contest import COLUMNS as SEARCHED
from .contest import Contest, Problem
from .frame import Findings, Row, Settings, Study
from .scaling import COMPILED, near_maximum

__all__ = ["DEFAULT", "STUDY"]

DEFAULT = "inputs"
RULES: tuple[Rule, ...] = (*INPUT_RULES, "phases", "phases-babsr")  # of the searches
COLUMNS = {"part": str, **SEARCHED, "bounds": str}  # bounds: of fixed splits; of facts their values
SPLITS, QUICK_SPLITS = 12, 6
DRAWN = ("longest-edge", "axes", "rows-1", "rows", "rows-composed", "inputs")  # of the picture, on two inputs
PICTURE, PICTURE_RADIUS, PICTURE_SPLITS = (2, 30, 30, 1), 0.5, 12
# (inputs, hidden layers, width): trees of some dozen to some ten thousand nodes
GENERATED = ((4, 4, 50), (6, 1, 200), (6, 2, 50), (6, 4, 50), (8, 3, 30), (8, 4, 30), (10, 2, 50), (12, 2, 50))
SEEDS = 3  # networks a size
QUICK_GENERATED, QUICK_SEEDS, QUICK_CARRIED = ((2, 3, 20), (6, 2, 30)), 1, 3


def _own(settings: Settings) -> list[Problem]:
    return [*_carried(settings), *_generated(settings)]


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


def _text(settings: Settings, count: int) -> list[str]:
    source = f"the list {Path(settings.instances).name}" if settings.instances else "carried and random networks"
    return [
        f"{count} instances ({source}), each decided once by each of {', '.join(RULES)}. Method split, one core, all "
        "else as by default: so under each rule a deep node with few unstable ReLUs is split by their phases. All "
        "verdicts agree.",
        f"Without search: after each of {QUICK_SPLITS if settings.quick else SPLITS} splits of the part with the "
        "lowest bound, the lowest bound of all parts, for the part of the property whose root is furthest from "
        "refuted; instances whose roots are all refuted are left out. Rules not of the search: rows-plain (rows by the "
        "optimal-partition score as if a cut left nothing of a neuron's term), look-ahead (both halves of five rules' "
        "splits bounded), random (an axis or a phase).",
        f"Partitions: a random network of two inputs, up to {PICTURE_SPLITS} splits; refuted parts are blue.",
        *([] if settings.quick else [COMPILED]),
        "Seconds are those of a run where everything is loaded already. An unsolved instance counts with the seconds "
        "and nodes that it used. Where some rule needs no split, the instance says nothing about rules: it counts as "
        "solved, and is left out of the comparison with the best single rule. That one is chosen for each instance and "
        "unit after the fact, so that the noise of times is in its favour.",
    ]


def _rows(settings: Settings, former: Sequence[Row]) -> Iterator[Row]:
    """Searches first: a contradiction among rules shows early."""
    searched = [row for row in former if row["part"] == "search"]
    yield from ({"part": "search", **row, "bounds": ""} for row in CONTEST.rows(settings, searched))
    done = {(row["instance"], row["rule"]) for row in former if row["part"] != "search"}
    tasks = [(p, rule) for p in CONTEST.problems(settings) for rule in ("", *TRIED) if (p.name, rule) not in done]
    yield from side_by_side(partial(_without_search, settings), tasks, settings.jobs)


def _without_search(settings: Settings, task: tuple[Problem, str]) -> Row:
    """The bounds after fixed splits by a rule, or for the rule "" the facts."""
    problem, rule = task
    query, said = _asked(problem), {"verdict": "", "nodes": 0, "seconds": 0.0, "timeout": 0.0, "reason": ""}
    row: Row = {"instance": problem.name, "rule": rule, **said}
    if not rule:
        known = {} if query is None else facts(query, first_bounds(query))
        return {"part": "facts", **row, "bounds": " ".join(map(repr, known.values()))}
    values, _ = ([], None) if query is None else after_splits(
        query, rule, QUICK_SPLITS if settings.quick else SPLITS, settings.seed
    )  # fmt: skip
    return {"part": "fixed", **row, "bounds": " ".join(map(repr, values))}


def _asked(problem: Problem) -> Query | None:
    """The part of the instance whose root is furthest from being refuted; None where every root is refuted."""
    network, prop = problem.load()
    if not isinstance(network, Network):
        network = read_network(network)
    if not isinstance(prop, Property):
        prop = read_property(prop, network.input_size, network.output_size)
    found = [(first_bounds(query).value, i, query) for i, query in enumerate(queries(network, prop))]
    value, _, query = min(found)
    return query if value < 0.0 else None


def _findings(settings: Settings, rows: Sequence[Row]) -> Findings:
    """Ranks of both kinds, the named rule, and the contest's own tables."""
    own = CONTEST.findings(settings, [row for row in rows if row["part"] == "search"])
    fixed = of_fixed([row for row in rows if row["part"] == "fixed" and row["bounds"]])
    known: dict[str, dict[str, float]] = {
        row["instance"]: dict(zip(FACTS, map(float, row["bounds"].split()), strict=True))
        for row in rows
        if row["part"] == "facts" and row["bounds"]
    }
    searched = of_search(
        [row for row in rows if row["part"] == "search"], known, {name: _family(name) for name in known}
    )
    return Findings(
        own.text, [*fixed[0], *searched[0], *own.summary], {**fixed[1], **searched[1], **own.tables},
        {"partitions": _picture(settings), **fixed[2], **searched[2], **own.figures},
    )  # fmt: skip


def _family(name: str) -> str:
    """Instances with the same network, and random ones of the same size, are held out together."""
    return " ".join(name.split()[:2])


def _picture(settings: Settings) -> Any:
    """What the rules' first splits make of one box of two inputs."""
    query = queries(*near_maximum(PICTURE, settings.seed, radius=PICTURE_RADIUS))[0]
    parts = {rule: after_splits(query, rule, PICTURE_SPLITS, settings.seed, clip=False)[1] for rule in DRAWN}
    return partition_panels(parts, query.region.lower, query.region.upper)


CONTEST = Contest(RULES, DEFAULT, _own, _text)
STUDY = Study("Rules that split the input set, side by side", 60.0, COLUMNS, _rows, _findings)
