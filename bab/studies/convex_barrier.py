"""Study `convex-barrier`: relaxations that pass convex sets from layer to layer, and what they cannot see.

`barrier_networks.barrier_network` computes |x|, but the hull of its first layer's values holds a spurious point that
later layers turn into any error that one likes. Whatever the relaxation of single layers, the bound is -(factor + 1),
where the truth is 0; identity layers in between change nothing; branching closes it at once. On the other side,
maxima nested to any depth: with copies of the inputs carried along, groups of two neurons of the same layer make the
layer-wise relaxation exact. So they do for the same maximum as a chain or a tournament (`families.max_networks`).

    triangles   LP with the triangle of every neuron
    layer-wise  every layer by LPs with rows of all pairs and triples of its neurons
    search      hypersplit as it is
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...encodings.linear.linear_bounds import LinearBoundOptions, bound
from ...encodings.neuron_groups.group_lp import GroupLP
from ...encodings.neuron_groups.group_refinement import refine_by_groups
from ...encodings.programs.lp import TriangleLP
from ...heuristics.neuron_groups import subsets
from ...instances.batch import Node, root
from ...instances.families.barrier_networks import barrier_network, barrier_query
from ...instances.families.copied_inputs import with_copied_inputs
from ...instances.families.max_networks import chained_max, max_query, tree_max
from ...instances.families.random_networks import nested_max, nested_max_property
from ...instances.network import Array, Network
from ...instances.property import Property
from ...instances.query import Query, queries
from .frame import Findings, Row, Settings, Study, decide, new_figure

__all__ = ["METHODS", "STUDY"]

METHODS = ("triangles", "layer-wise", "search")
COLUMNS = {
    "family": str, "size": int, "method": str, "verdict": str, "truth": float, "bound": float, "error": float,
    "nodes": int, "seconds": float,
}  # fmt: skip
FACTORS, QUICK_FACTORS = (2, 8, 32, 128, 1024), (2, 32)
IDENTITIES = 3
DEPTHS, QUICK_DEPTHS = (2, 3, 4, 6, 8, 12, 16), (2, 4)
MARGIN, THRESHOLD = 0.25, 1.01
FLOOR = 1e-12  # of errors in the figure, whose axis is logarithmic


def _rows(settings: Settings, former: Sequence[Row]) -> Iterator[Row]:
    """One row a family, size and method that `former` does not have."""
    done = {(row["family"], row["size"], row["method"]) for row in former}
    for family, size, network, prop, truth in _instances(settings.quick):
        for method in METHODS:
            if (family, size, method) not in done:
                yield {"family": family, "size": size, "method": method, "truth": truth,
                       **_asked(network, prop, method, truth, settings)}  # fmt: skip


def _instances(quick: bool) -> Iterator[tuple[str, int, Network, Property, float]]:
    """(family, size, network, property, lowest margin)."""
    for identities in (0, IDENTITIES):
        name = f"barrier, {identities} identity layers"
        for factor in QUICK_FACTORS if quick else FACTORS:
            network = barrier_network(float(factor), identities)
            yield name, factor, network, Property((barrier_query(network, MARGIN).case,), 1, 1), MARGIN
    for d in QUICK_DEPTHS if quick else DEPTHS:
        prop = nested_max_property(d, THRESHOLD)
        copied = with_copied_inputs(nested_max(d), prop.cases[0].region)
        yield "nested maximum, inputs copied", d, copied, prop, THRESHOLD - 1.0
        for name, form in (("maximum as a chain", chained_max), ("maximum as a tournament", tree_max)):
            network = form(d)
            prop = Property((max_query(network, THRESHOLD - 1.0).case,), d, 1)
            yield name, d, network, prop, THRESHOLD - 1.0


def _asked(network: Network, prop: Property, method: str, truth: float, settings: Settings) -> Row:
    began = time.monotonic()
    if method == "search":
        result = decide(network, prop, timeout=settings.timeout, seed=settings.seed)
        nodes, value, verdict = max(1, int(result.statistics.get("nodes", 0))), float("nan"), result.verdict
    else:
        value, nodes = _by_lp(network, prop, method == "layer-wise", began + settings.timeout), 1
        verdict = "unsat" if value > 0.0 else "unknown"
    return {
        "verdict": verdict, "bound": value, "error": truth - value, "nodes": nodes,
        "seconds": round(time.monotonic() - began, 4),
    }  # fmt: skip


def _by_lp(network: Network, prop: Property, layerwise: bool, deadline: float) -> float:
    query = queries(network, prop)[0]
    batch = root(query)
    found = bound(query, batch, LinearBoundOptions())
    node = replace(batch, pre_lower=found.pre_lower, pre_upper=found.pre_upper).node(0)
    if not layerwise:
        return TriangleLP(query, node).minimise(0, deadline - time.monotonic()).bound
    node, pool = refine_by_groups(query, node, lambda k, known: _all_groups(query, k, known), deadline)
    return GroupLP(query, node, pool).minimise(0, deadline).bound


def _all_groups(query: Query, k: int, node: Node) -> Iterable[Array]:
    """Pairs of an unstable neuron with any other that is not inactive; triples in layers of up to four of these."""
    part = query.slices[k - 1]
    alive = np.flatnonzero(node.pre_upper[part] > 0.0) + part.start
    unstable = (node.pre_lower < 0.0) & (node.pre_upper > 0.0)
    found = [subsets(alive[None], size) for size in ((2, 3) if len(alive) <= 4 else (2,)) if len(alive) >= size]
    return [groups[unstable[groups].any(axis=1)] for groups in found]


def _findings(settings: Settings, rows: Sequence[Row]) -> Findings:
    summary = []
    for family in dict.fromkeys(row["family"] for row in rows):
        for method in METHODS:
            mine = [row for row in rows if row["family"] == family and row["method"] == method]
            last = max(mine, key=lambda row: row["size"])
            said = f"error {last['error']:.4g}" if method != "search" else f"{last['nodes']} nodes"
            summary.append(
                f"{family}, {method}: {sum(r['verdict'] == 'unsat' for r in mine)} of {len(mine)} proved; at size "
                f"{last['size']} {said}, {last['seconds']:.3g} s"
            )
    return Findings(_text(), summary, {"Bounds": list(rows)}, {"error": _figure(rows)})


def _figure(rows: Sequence[Row]) -> Any:
    figure, (axes,) = new_figure(1)
    for family in dict.fromkeys(row["family"] for row in rows):
        for method, line in (("triangles", "o--"), ("layer-wise", "x-")):
            mine = [row for row in rows if row["family"] == family and row["method"] == method]
            errors = [max(row["error"], FLOOR) for row in mine]
            axes.plot([row["size"] for row in mine], errors, line, label=f"{family}, {method}")
    axes.set(xlabel="factor, or inputs of the maximum", ylabel="error of the bound", xscale="log", yscale="log")
    axes.legend(fontsize="x-small")
    return figure


def _text() -> list[str]:
    return [
        f"Barrier: lowest output 0, forbidden -{MARGIN} and below; sizes: factors. Maxima: highest output 1, "
        f"forbidden {THRESHOLD} and above; sizes: inputs. Error: how far a bound of the margin is below the lowest "
        "one. One core.",
    ]


STUDY = Study("The convex barrier, from both sides", 60.0, COLUMNS, _rows, _findings)
