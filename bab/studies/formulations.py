"""Study `formulations`: the MILP formulations of `encodings.milp`, one after another on the same questions.

A question is the disjunct of an instance that its root bounds leave most suspicious; all formulations get the same
node, with hidden bounds by optimised slopes; one has these tightened by MILPs over the layers before first. Per
formulation and family: what it decides, the bound when SCIP leaves its root, nodes and seconds. Where one refutes and
another has a counterexample, the study ends: one of them is wrong.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...encodings.linear.linear_bounds import bound
from ...encodings.milp.close import FORMULATIONS, MilpOptions, MilpResult, close
from ...encodings.milp.tightening import BINARIES, tighten_by_milp
from ...encodings.slopes.optimised_bounds import OptimiseOptions, tighten
from ...heuristics.policy import FEW_INPUTS
from ...instances.batch import Node, root
from ...instances.carried import carried_instances
from ...instances.errors import InputError
from ...instances.network import Network
from ...instances.onnx.reader import read_network
from ...instances.property import Property
from ...instances.query import Query, queries
from ...instances.vnnlib.reader import read_property
from ..bench.bench_instances import read_instances
from ..closers.regions import open_disjuncts
from .contest import Contradiction
from .frame import Findings, Row, Settings, Study, new_figure
from .scaling import near_maximum

__all__ = ["Problem", "STUDY", "VARIANTS", "problems"]

TIGHTENED = "tightened"  # the one whose hidden bounds come from MILPs, too
# name: formulation, binaries
VARIANTS: dict[str, tuple[str, int | None]] = {
    **{name: (name, None) for name in FORMULATIONS},
    "partial-16": ("big-m", 16),
    "partial-32": ("big-m", 32),
    TIGHTENED: ("big-m", None),
}
COLUMNS = {
    "instance": str, "family": str, "unstable": int, "formulation": str, "status": str, "start": float,
    "root bound": float, "bound": float, "nodes": int, "seconds": float, "timeout": float, "reason": str,
}  # fmt: skip
CLOSED = ("refuted", "counterexample")
MEMORY = 4000.0  # MB
ITERATIONS = 10  # of the optimised slopes
TIGHTENING = 0.2  # share of a question's time for hidden bounds by MILPs
GENERATED = ((12, 2, 40), (24, 1, 120), (24, 2, 40), (24, 3, 30))  # (inputs, hidden layers, width)
SEEDS = 2  # networks a size
QUICK_GENERATED, QUICK_SEEDS, QUICK_CARRIED = ((12, 2, 15),), 1, 2


@dataclass(frozen=True)
class Problem:
    """An instance, loaded when needed."""

    name: str
    family: str
    timeout: float
    load: Callable[[], tuple[Network, Property]]


def problems(settings: Settings) -> list[Problem]:
    """The list's instances, or carried and random ones; those that `only` chooses. Raises InputError where none is."""
    every = _listed(settings) if settings.instances else [*_carried(settings), *_generated(settings)]
    globs = settings.only
    kept = [p for p in every if not globs or any(fnmatch(t, g) for t in (p.name, *p.name.split()) for g in globs)]
    if not kept:
        raise InputError(f"--only {' '.join(globs)}: matches no instance")
    return kept


def _listed(settings: Settings) -> list[Problem]:
    return [
        Problem(" ".join(i.key), i.family, min(i.timeout, settings.timeout), partial(_read, i.network, i.property))
        for i in read_instances([Path(settings.instances)])
    ]


def _read(onnx: Path, vnnlib: Path) -> tuple[Network, Property]:
    network = read_network(onnx)
    return network, read_property(vnnlib, network.input_size, network.output_size)


def _carried(settings: Settings) -> list[Problem]:
    """The carried instances with too many inputs to split."""
    many = [pair for pair in carried_instances() if read_network(pair[0]).input_size > FEW_INPUTS]
    return [
        Problem(f"carried {pair[0].name} {pair[1].name}", "carried", settings.timeout, partial(_read, *pair))
        for pair in (many[:QUICK_CARRIED] if settings.quick else many)
    ]


def _generated(settings: Settings) -> list[Problem]:
    """Random networks with an output bound just above their maximum."""
    sizes, seeds = (QUICK_GENERATED, QUICK_SEEDS) if settings.quick else (GENERATED, SEEDS)
    return [
        Problem(
            f"random {inputs}x{depth}x{width} seed_{seed}", f"random, {depth} hidden", settings.timeout,
            partial(near_maximum, (inputs, *[width] * depth, 1), seed),
        )
        for inputs, depth, width in sizes
        for seed in range(settings.seed, settings.seed + seeds)
    ]  # fmt: skip


def _question(network: Network, prop: Property) -> tuple[Query, Node, int, float] | None:
    """Query, root, number and bound of the most suspicious disjunct; None where linear bounds close all."""
    found = []
    for query in queries(network, prop):
        batch = root(query)
        known = bound(query, batch)
        batch = replace(batch, pre_lower=known.pre_lower, pre_upper=known.pre_upper)
        better = tighten(query, batch, known, OptimiseOptions(iterations=ITERATIONS))
        still = [] if better.infeasible[0] else open_disjuncts(query, better.margins[0])[:1]
        node = replace(batch, pre_lower=better.pre_lower, pre_upper=better.pre_upper).node(0)
        margins = query.per_disjunct(better.margins)[0]
        found += [(query, node, k, float(margins[k])) for k in still]
    return min(found, key=lambda one: one[3], default=None)


def _rows(settings: Settings, former: Sequence[Row]) -> Iterator[Row]:
    """One row an instance and variant that `former` does not have; raises Contradiction."""
    done = {(row["instance"], row["formulation"]) for row in former}
    said = {row["instance"]: row for row in former if row["status"] in CLOSED}
    for problem in problems(settings):
        missing = [name for name in VARIANTS if (problem.name, name) not in done]
        question = _question(*problem.load()) if missing else None
        if question is None:
            continue
        query, node, disjunct, start = question
        unstable = int(((node.pre_lower < 0.0) & (node.pre_upper > 0.0) & query.relu).sum())
        for name in missing:
            formulation, binaries = VARIANTS[name]
            began = time.monotonic()
            asked = _tightened(query, node, began + TIGHTENING * problem.timeout) if name == TIGHTENED else node
            spent = time.monotonic() - began
            options = MilpOptions(seed=settings.seed, formulation=formulation, binaries=binaries)
            answer = close(query, asked, disjunct, problem.timeout - spent, MEMORY, options)
            row: Row = {
                "instance": problem.name, "family": problem.family, "unstable": unstable, "formulation": name,
                "status": _status(query, disjunct, answer), "start": start, "root bound": answer.root_bound,
                "bound": answer.bound, "nodes": answer.nodes, "seconds": round(answer.seconds + spent, 4),
                "timeout": problem.timeout, "reason": answer.reason,
            }  # fmt: skip
            if row["status"] in CLOSED:
                _agree(said.setdefault(problem.name, row), row)
            yield row


def _tightened(query: Query, node: Node, deadline: float) -> Node:
    """The node with hidden bounds by small MILPs, the widest neurons first. They rest on SCIP's floats, as do the
    answers that they are for."""
    widest = np.argsort(node.pre_lower - node.pre_upper, kind="stable")
    lower, upper = tighten_by_milp(query, node, widest, deadline)
    return replace(node, pre_lower=lower, pre_upper=upper)


def _status(query: Query, disjunct: int, answer: MilpResult) -> str:
    """`refuted`, `counterexample` (its point replays in float64) or `open`."""
    if answer.status != "candidate":
        return answer.status
    margins = query.per_disjunct(query.network.evaluate(np.array(answer.points)))[:, disjunct]
    return "counterexample" if (margins <= 0.0).any() else "open"


def _agree(one: Row, other: Row) -> None:
    if one["status"] != other["status"]:
        raise Contradiction(
            f"{one['instance']}: {one['formulation']} says {one['status']}, {other['formulation']} {other['status']}"
        )


def _findings(settings: Settings, rows: Sequence[Row]) -> Findings:
    families = list(dict.fromkeys(row["family"] for row in rows))
    table = [_of(name, family, rows) for family in families for name in VARIANTS]
    summary = [_best(family, table) for family in families] or ["linear bounds close every instance"]
    return Findings(_text(settings, rows), summary, {"Formulations by family": table}, {"cactus": _cactus(rows)})


def _of(name: str, family: str, rows: Sequence[Row]) -> Row:
    """Counts and sums of one formulation on one family."""
    mine = [row for row in rows if row["formulation"] == name and row["family"] == family]
    return {
        "family": family, "formulation": name, "questions": len(mine),
        "closed": sum(row["status"] in CLOSED for row in mine), "gap closed at the root": _root_gain(mine),
        "nodes": sum(row["nodes"] for row in mine), "seconds": float(sum(row["seconds"] for row in mine)),
    }  # fmt: skip


def _root_gain(rows: Sequence[Row]) -> float:
    """Mean share of the linear bound's distance to 0 that SCIP's root wins; NaN where t was not minimised."""
    shares = [1.0 - min(row["root bound"], 0.0) / row["start"] for row in rows
              if row["start"] < 0.0 and row["root bound"] > -np.inf]  # fmt: skip
    return float(np.mean(shares)) if shares else float("nan")


def _best(family: str, table: Sequence[Row]) -> str:
    mine = sorted((row for row in table if row["family"] == family), key=lambda row: (-row["closed"], row["seconds"]))
    said = [f"{r['formulation']} {r['closed']} of {r['questions']} in {r['seconds']:.1f} s" for r in mine[:3]]
    return f"{family}: {', '.join(said)}"


def _cactus(rows: Sequence[Row]) -> Any:
    """Questions closed within a time, a line a formulation."""
    figure, (axes,) = new_figure(1)
    for name in VARIANTS:
        times = sorted(row["seconds"] for row in rows if row["formulation"] == name and row["status"] in CLOSED)
        axes.step(times, range(1, len(times) + 1), where="post", label=name)
    axes.set(xlabel="seconds a question", ylabel="questions closed", xscale="log")
    axes.legend(fontsize="small")
    return figure


def _text(settings: Settings, rows: Sequence[Row]) -> list[str]:
    source = f"the list {Path(settings.instances).name}" if settings.instances else "carried and random networks"
    count = len({row["instance"] for row in rows})
    return [
        f"{count} questions ({source}): of each instance that linear bounds with optimised slopes leave open, the most "
        "suspicious disjunct on the root node, once with every formulation, by one thread of SCIP. partial-N is big-M "
        f"with N binaries: it can refute only. {TIGHTENED} is big-M with hidden bounds by MILPs of {BINARIES} binaries "
        f"over the layers before, for at most {TIGHTENING:.0%} of the time. Seconds include these, and building the "
        "model.",
        "The gap closed at the root is the share of the linear bound's distance to 0 that SCIP wins before it branches;"
        " there is none for disjuncts of several rows, which are asked as feasibility problems.",
    ]


STUDY = Study("MILP formulations, side by side", 20.0, COLUMNS, _rows, _findings)
