"""Study `max-subproblems`: how many subproblems branch and bound needs for the maximum of d inputs.

y = max(x_1, ..., x_d) on [0, 1]^d, nested ReLU by ReLU (`families.nested_max`), is not above 1.01. With relaxations of
single neurons the number of subproblems doubles with every input, 2^(d-1); with multi-neuron rows the root's LP is
exact (Mao, Zhang and Vechev 2024). Between the two: what multipliers of split phases make of single-neuron bounds.

    single-neuron  depth-first over phases, layer by layer; every node the triangle LP with its phases, nothing else
    multi-neuron   the same with the layer-wise rows of `encodings.group_refinement` at the root
    phases         hypersplit's phase search alone: bounds anew in every node, implications, total multipliers
    inputs         hypersplit's input splits alone
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...encodings.linear.linear_bounds import LinearBoundOptions, bound
from ...encodings.neuron_groups.group_lp import GroupLP
from ...encodings.programs.lp import TriangleLP
from ...instances.batch import Node, root
from ...instances.families.random_networks import nested_max, nested_max_property
from ...instances.query import Query, queries
from ..stages.groups import rows_for
from .frame import DECIDED, Findings, Row, Settings, Study, decide, new_figure

__all__ = ["METHODS", "STUDY"]

METHODS = ("single-neuron", "multi-neuron", "phases", "inputs")
COLUMNS = {
    "inputs": int, "method": str, "verdict": str, "nodes": int, "bound": float, "seconds": float, "timeout": float,
}  # fmt: skip
INPUTS, QUICK_INPUTS = range(2, 17), range(2, 6)
THRESHOLD = 1.01


def _rows(settings: Settings, former: Sequence[Row]) -> Iterator[Row]:
    """One row a number of inputs and method; a method that ran out of time is not asked about more inputs."""
    done = {(row["inputs"], row["method"]) for row in former}
    lost = {row["method"] for row in former if row["verdict"] not in DECIDED}
    for d in QUICK_INPUTS if settings.quick else INPUTS:
        for method in METHODS:
            if (d, method) in done or method in lost:
                continue
            row = _of(d, method, settings)
            if row["verdict"] not in DECIDED:
                lost.add(method)
            yield row


def _of(d: int, method: str, settings: Settings) -> Row:
    began = time.monotonic()
    if method.endswith("-neuron"):
        verdict, nodes, value = _by_lps(d, method == "multi-neuron", began + settings.timeout)
    else:
        result = decide(
            nested_max(d), nested_max_property(d, THRESHOLD), method="split",
            rule="phases" if method == "phases" else "inputs", timeout=settings.timeout, seed=settings.seed,
        )  # fmt: skip
        verdict, nodes, value = result.verdict, max(1, int(result.statistics.get("nodes", 0))), result.bound
    return {
        "inputs": d, "method": method, "verdict": verdict, "nodes": nodes, "bound": value,
        "seconds": round(time.monotonic() - began, 4), "timeout": settings.timeout,
    }  # fmt: skip


def _by_lps(d: int, several: bool, deadline: float) -> tuple[str, int, float]:
    """(verdict, nodes, bound of the root)."""
    query = queries(nested_max(d), nested_max_property(d, THRESHOLD))[0]
    batch = root(query)
    bounds = bound(query, batch, LinearBoundOptions())
    node = replace(batch, pre_lower=bounds.pre_lower, pre_upper=bounds.pre_upper).node(0)
    if several:
        node, pool = rows_for(query, node, None, deadline)
        value = GroupLP(query, node, pool).minimise(0, deadline).bound
        return ("unsat" if value > 0.0 else "unknown"), 1, value
    return _single(query, node, deadline)


def _single(query: Query, node: Node, deadline: float) -> tuple[str, int, float]:
    """Depth first; a node's LP is the root's with the node's phases, so that only relaxations of neurons count."""
    model, stack, nodes, first = TriangleLP(query, node), [node.phases], 0, -np.inf
    while stack:
        if time.monotonic() > deadline:
            return "timeout", nodes, first
        phases = stack.pop()
        here = replace(
            node, phases=phases, pre_lower=np.where(phases > 0, np.maximum(node.pre_lower, 0.0), node.pre_lower),
            pre_upper=np.where(phases < 0, np.minimum(node.pre_upper, 0.0), node.pre_upper),
        )  # fmt: skip
        model.update(here)
        value = model.minimise(0, max(deadline - time.monotonic(), 0.01)).bound
        nodes += 1
        first = value if nodes == 1 else first
        if value > 0.0:
            continue
        left = np.flatnonzero((here.pre_lower < 0.0) & (here.pre_upper > 0.0) & query.relu)
        if not len(left):
            return "unknown", nodes, first
        for sign in (-1, 1):
            child = phases.copy()
            child[left[0]] = sign
            stack.append(child)
    return "unsat", nodes, first


def _findings(settings: Settings, rows: Sequence[Row]) -> Findings:
    most = [max(rows, key=lambda row, m=m: row["inputs"] * (row["method"] == m)) for m in METHODS]  # type: ignore[misc]
    summary = [
        f"{row['method']}: {row['nodes']} subproblems, {row['seconds']:.3g} s for {row['inputs']} inputs "
        f"({row['verdict']})" + (f"; bound of the root {row['bound']:.4g}" if row["method"].endswith("-neuron") else "")
        for row in most
    ]
    single = [row for row in rows if row["method"] == "single-neuron" and row["verdict"] == "unsat"]
    if len(single) > 2:
        slope = np.polyfit([r["inputs"] for r in single], np.log2([r["nodes"] for r in single]), 1)[0]
        summary.append(f"single-neuron: subproblems grow by a factor of {2.0**slope:.2f} an input")
    table = [
        {"inputs (d)": d, **{f"by {m}": _cell(rows, d, m) for m in METHODS}}
        for d in dict.fromkeys(row["inputs"] for row in rows)
    ]
    return Findings(_text(), summary, {"Subproblems (seconds)": table}, {"subproblems": _figure(rows)})


def _cell(rows: Sequence[Row], d: int, method: str) -> str:
    found = [row for row in rows if row["inputs"] == d and row["method"] == method]
    return "".join(f"{r['nodes']}{'' if r['verdict'] in DECIDED else '+'} ({r['seconds']:.3g})" for r in found)


def _figure(rows: Sequence[Row]) -> Any:
    figure, panels = new_figure(2)
    for axes, unit in zip(panels, ("nodes", "seconds"), strict=True):
        for method in METHODS:
            mine = [row for row in rows if row["method"] == method and row["verdict"] in DECIDED]
            axes.plot([r["inputs"] for r in mine], [r[unit] for r in mine], "o-", label=method)
        axes.set(xlabel="inputs of the maximum", ylabel="subproblems" if unit == "nodes" else unit, yscale="log")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(fontsize="small")
    return figure


def _text() -> list[str]:
    return [
        f"max(x_1, ..., x_d) <= {THRESHOLD} on [0, 1]^d, one core. Subproblems are nodes whose bound was computed; a "
        "method that runs out of time once is not asked about more inputs (+: not finished).",
    ]


STUDY = Study("Subproblems for the maximum of d inputs", 60.0, COLUMNS, _rows, _findings)
