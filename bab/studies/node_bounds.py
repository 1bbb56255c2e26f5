"""Study `node-bounds`: each relaxation in every node of the tree, and the default beside them.

    linear         linear bounds alone
    slopes         optimised slopes
    lp             the triangle LP
    rows           the LP with rows of several neurons
    partial-milp   SCIP with a few binaries, proved by the conflict search
    scip           SCIP with all binaries in every node that linear bounds leave open, proved in the same way
    default        whatever pays, SCIP at the root included
Per family: what is solved, nodes, seconds, and the share of the nodes asked about that the rung itself closed. A rung
wins a family where it needs half of the default's seconds or less (geometric mean over what both solve); whatever
differs, verdicts must not: two that do end the study.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...instances.families.random_networks import nested_max, nested_max_property
from ...instances.network import Network
from ...instances.property import Property
from ..run.options import OptionValues
from .contest import Contradiction
from .formulations import Problem, problems
from .frame import DECIDED, Findings, Row, Settings, Study, decide, new_figure
from .scaling import near_maximum, warm_up

__all__ = ["BOUNDS", "STUDY"]

BOUNDS: dict[str, OptionValues] = {
    "default": {},
    "linear": {"method": "split", "node_bounds": "linear", "closing": "never"},
    "slopes": {"method": "split", "node_bounds": "slopes", "closing": "never"},
    "lp": {"method": "split", "node_bounds": "lp", "closing": "never"},
    "rows": {"method": "split", "node_bounds": "rows", "closing": "never"},
    "partial-milp": {"method": "split", "node_bounds": "partial-milp", "closing": "never"},
    "scip": {"method": "split", "node_bounds": "linear", "closing": "always"},
}
COLUMNS = {
    "instance": str, "family": str, "bounds": str, "inputs": int, "layers": int, "unstable": int, "verdict": str,
    "nodes": int, "seconds": float, "asked": int, "closed": int, "timeout": float, "reason": str,
}  # fmt: skip
NESTED, QUICK_NESTED = (4, 8, 12), (4,)  # inputs of nested maxima
DEEP, SEEDS, RADIUS = ((10, 4, 16), (20, 4, 16), (30, 4, 16)), 2, 0.15  # (inputs, hidden layers, width); of the box
SPEED = "times the default's speed"  # a column
WINS = 2.0  # times the default's speed
LEAST = 0.05  # seconds below which times are start-up


def _problems(settings: Settings) -> list[Problem]:
    """The list's instances; else nested maxima, deep random networks just above their maximum, and carried ones."""
    if settings.instances:
        return problems(settings)
    own = [
        Problem(f"nested max {d}", "nested max", settings.timeout, partial(_nested, d))
        for d in (QUICK_NESTED if settings.quick else NESTED)
    ]
    if settings.quick:
        return own
    deep = [
        Problem(
            f"random {inputs}x{depth}x{width} seed_{seed}", f"random deep, {inputs} inputs", settings.timeout,
            partial(near_maximum, (inputs, *[width] * depth, 1), seed, radius=RADIUS),
        )
        for inputs, depth, width in DEEP
        for seed in range(settings.seed, settings.seed + SEEDS)
    ]  # fmt: skip
    return [*own, *deep, *(one for one in problems(settings) if one.family == "carried")]


def _nested(d: int) -> tuple[Network, Property]:
    return nested_max(d), nested_max_property(d)


def _rows(settings: Settings, former: Sequence[Row]) -> Iterator[Row]:
    """One row an instance and way that `former` does not have; raises Contradiction."""
    done = {(row["instance"], row["bounds"]) for row in former}
    said = {row["instance"]: row for row in former if row["verdict"] in DECIDED}
    warm_up(settings.quick)
    for problem in _problems(settings):
        missing = [name for name in BOUNDS if (problem.name, name) not in done]
        if not missing:
            continue
        network, prop = problem.load()
        for name in missing:
            row = _row(problem, network, prop, name, settings.seed)
            if row["verdict"] in DECIDED and said.setdefault(problem.name, row)["verdict"] != row["verdict"]:
                raise Contradiction(f"{problem.name}: {name} says {row['verdict']}, others the opposite")
            yield row


def _row(problem: Problem, network: Network, prop: Property, name: str, seed: int) -> Row:
    given: OptionValues = {"timeout": problem.timeout, "seed": seed, **BOUNDS[name]}
    result = decide(network, prop, **given)
    rung, counts = {"scip": "milp"}.get(name, name).replace("-", "_"), result.statistics
    return {
        "instance": problem.name, "family": problem.family, "bounds": name, "inputs": network.input_size,
        "layers": sum(layer.kind != "identity" for layer in network.layers), "unstable": int(counts.get("unstable", 0)),
        "verdict": result.verdict, "nodes": int(counts.get("nodes", 0)), "seconds": round(result.seconds, 4),
        "asked": int(counts.get(f"{rung}_tried", 0)), "closed": int(counts.get(f"{rung}_closed", 0)),
        "timeout": problem.timeout, "reason": result.reason,
    }  # fmt: skip


def _findings(settings: Settings, rows: Sequence[Row]) -> Findings:
    families = list(dict.fromkeys(row["family"] for row in rows))
    table = [_of_way(family, name, rows) for family in families for name in BOUNDS]
    won = [line for line in table if line["bounds"] != "default" and line[SPEED] >= WINS]
    summary = [
        f"{line['family']}: {line['bounds']} in every node is {line[SPEED]:.1f} times as fast "
        f"as the default and closes {line['share closed']:.0%} of its nodes ({line['layers']:.0f} hidden layers, "
        f"{line['unstable']:.0f} unstable ReLUs on average)" for line in won
    ] or ["in no family does a relaxation in every node halve the default's seconds"]  # fmt: skip
    lost = [line for line in table if line["bounds"] != "default" and line["solved"] > _default(table, line)["solved"]]
    summary += [f"{line['family']}: {line['bounds']} solves {line['solved']}, the default fewer" for line in lost]
    return Findings(_text(settings, rows), summary, {"Ways by family": table}, {"nodes-and-seconds": _figure(table)})


def _of_way(family: str, name: str, rows: Sequence[Row]) -> Row:
    """Counts of one way in one family; times against the default where both solve."""
    mine = [row for row in rows if row["family"] == family and row["bounds"] == name]
    default = {row["instance"]: row for row in rows if row["bounds"] == "default" and row["verdict"] in DECIDED}
    both = [(row, default[row["instance"]]) for row in mine if row["instance"] in default and row["verdict"] in DECIDED]
    ratios = [max(other["seconds"], LEAST) / max(row["seconds"], LEAST) for row, other in both]
    asked = sum(row["asked"] for row in mine)
    return {
        "family": family, "bounds": name, "instances": len(mine),
        "solved": sum(row["verdict"] in DECIDED for row in mine), "nodes": sum(row["nodes"] for row in mine),
        "seconds": float(np.sum([row["seconds"] for row in mine])), "asked": asked,
        "share closed": sum(row["closed"] for row in mine) / asked if asked else float("nan"),
        SPEED: float(np.exp(np.log(ratios).mean())) if ratios else float("nan"),
        "layers": float(np.mean([row["layers"] for row in mine] or [np.nan])),
        "unstable": float(np.mean([row["unstable"] for row in mine] or [np.nan])),
    }  # fmt: skip


def _default(table: Sequence[Row], line: Row) -> Row:
    """The default's line of the same family."""
    return next(one for one in table if one["family"] == line["family"] and one["bounds"] == "default")


def _figure(table: Sequence[Row]) -> Any:
    """Nodes against seconds, a mark a family and way."""
    figure, (axes,) = new_figure(1)
    for name in BOUNDS:
        mine = [line for line in table if line["bounds"] == name and line["instances"]]
        axes.plot([line["seconds"] for line in mine], [line["nodes"] for line in mine], "o", alpha=0.7, label=name)
    axes.set(xscale="log", yscale="log", xlabel="seconds, all instances of a family", ylabel="nodes")
    axes.legend(fontsize="small")
    return figure


def _text(settings: Settings, rows: Sequence[Row]) -> list[str]:
    own = "nested maxima, deep random networks just above their maximum, and carried instances"
    source = f"the list {Path(settings.instances).name}" if settings.instances else own
    return [
        f"{len({row['instance'] for row in rows})} instances ({source}), one core. Every way but the default splits "
        "only (method split), with one relaxation in all nodes that linear bounds leave open; partial-milp and rows "
        "come after the LP. What SCIP refutes is proved by the conflict search. All verdicts agree.",
        "An instance that is not solved counts with the seconds and nodes that it used; speeds are compared where both "
        "solve.",
    ]


STUDY = Study("Relaxations in every node, side by side", 20.0, COLUMNS, _rows, _findings)
