"""Study `node-bounds`: each relaxation in every node of the tree, and the default beside them (`ways`).

Per family: what is solved, nodes, seconds, and the share of the nodes asked about that the rung itself closed. A rung
wins a family where it needs half of the default's seconds or less (geometric mean over what both solve); whatever
differs, verdicts must not: two that do end the study.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...instances.carried import carried
from ...instances.families.random_networks import nested_max, nested_max_property
from ...instances.network import Network
from ...instances.property import Property
from ..run.options import OptionValues
from ..studies.contest import Contradiction
from ..studies.formulations import Problem
from ..studies.frame import DECIDED, Findings, Row, Settings, Study, decide, new_figure
from ..studies.scaling import warm_up
from .node_problems import node_problems
from .ways import BOUNDS, rung_of

__all__ = ["STUDY"]

COLUMNS = {
    "instance": str, "family": str, "bounds": str, "inputs": int, "layers": int, "unstable": int, "verdict": str,
    "nodes": int, "seconds": float, "asked": int, "closed": int, "timeout": float, "reason": str,
}  # fmt: skip
SPEED = "times the default's speed"  # a column
WINS = 2.0  # times the default's speed
LOADING = 5.0  # seconds at most of a run that loads what the measured ones need
LEAST = 0.05  # seconds below which times are start-up


def _rows(settings: Settings, former: Sequence[Row]) -> Iterator[Row]:
    """One row an instance and way that `former` does not have; raises Contradiction."""
    done = {(row["instance"], row["bounds"]) for row in former}
    said = {row["instance"]: row for row in former if row["verdict"] in DECIDED}
    warm_up(settings.quick)
    _load_all()
    for problem in node_problems(settings):
        missing = [name for name in BOUNDS if (problem.name, name) not in done]
        if not missing:
            continue
        network, prop = problem.load()
        for name in missing:
            row = _row(problem, network, prop, name, settings.seed)
            if row["verdict"] in DECIDED and said.setdefault(problem.name, row)["verdict"] != row["verdict"]:
                raise Contradiction(f"{problem.name}: {name} says {row['verdict']}, others the opposite")
            yield row


def _load_all() -> None:
    """What any of the ways loads once, LPs, hulls, SCIP, readers, is loaded here, not by the first instance."""
    for way in BOUNDS.values():
        given: OptionValues = {"timeout": LOADING, **way}
        decide(nested_max(4), nested_max_property(4), **given)
    decide(carried("digits_conv.onnx"), carried("digit1_r0.046875.vnnlib"), timeout=LOADING)


def _row(problem: Problem, network: Network, prop: Property, name: str, seed: int) -> Row:
    given: OptionValues = {"timeout": problem.timeout, "seed": seed, **BOUNDS[name]}
    result = decide(network, prop, **given)
    rung, counts = rung_of(name), result.statistics
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
