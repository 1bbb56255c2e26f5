"""Study `subproblems`: parts of a branch and bound over phases against activation patterns, on many small networks.

Mao, Zhang and Vechev (arXiv 2410.06816): in the worst case
    parts with multi-neuron relaxations  <=  activation patterns  <=  parts with single-neuron relaxations.
Counted here, for the largest output over a box:
    patterns  activation patterns whose regions have an interior, by an LP for each neuron and each pattern before it
    single    leaves of the tree that splits the first open phase, layer by layer, until the triangle LP proves every
              leaf to stay below a threshold just above the truth; hidden bounds by LPs
    multi     the same with rows of all pairs and triples of neurons of a layer (`group_refinement`)
    decided   leaves of the tree with triangles where nothing may be proved before every phase is decided: the worst
              case over thresholds; each pattern has a leaf of its own, and leaves that an LP refutes come on top
The middle of the inequality is about the worst case. Over one threshold a single-neuron tree may well end before it has
told all patterns apart, and the page says how often.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ...encodings.neuron_groups.group_lp import GroupLP
from ...encodings.neuron_groups.group_refinement import refine_by_groups
from ...heuristics.neuron_groups import subsets
from ...instances.batch import Node
from ...instances.families.lattice_networks import grid_surface, kth_largest, lattice_network
from ...instances.families.max_networks import chained_max, tree_max
from ...instances.families.random_networks import random_network
from ...instances.network import Array, Network, sequential
from ...instances.property import InputSet
from ...instances.query import Query
from ..partition.patterns import patterns
from ..partition.relaxation import objective_query, relax, whole
from ..run.side_by_side import side_by_side
from .frame import Findings, Row, Settings, Study, new_figure

__all__ = ["STUDY", "WAYS"]

WAYS = ("single", "multi", "decided")
COLUMNS = {
    "family": str, "size": str, "seed": int, "neurons": int, "patterns": int, "single": int, "multi": int,
    "decided": int, "finished": str, "truth": float, "seconds": float,
}  # fmt: skip
ABOVE = 1e-3  # of the output's range over the patterns, between the truth and the threshold
MOST = 4096  # leaves, where a tree is given up
SIZES = ((2, 3), (2, 4), (2, 5), (2, 6), (3, 4), (3, 5), (2, 2, 2), (2, 3, 2), (2, 3, 3), (3, 3, 3), (2, 2, 2, 2))
SEEDS, QUICK_SEEDS = 20, 2
MEANS = ("neurons", "multi", "patterns", "single", "decided")


def _second_largest(n: int) -> Network:
    return lattice_network(kth_largest(n, 2), InputSet.box(np.zeros(n), np.ones(n))).network


def _absolute_values(n: int) -> Network:
    """sum_i |x_i| by ReLU(x_i) and ReLU(-x_i)."""
    return sequential([np.concatenate([np.eye(n), -np.eye(n)]), np.ones((1, 2 * n))], [np.zeros(2 * n), np.zeros(1)])


FORMS: dict[str, tuple[Callable[[int], Network], tuple[int, ...], float]] = {  # by size, lower end of the inputs
    "maximum, chain": (chained_max, (2, 3, 4, 5), 0.0),
    "maximum, tournament": (tree_max, (3, 4, 5), 0.0),
    "second largest": (_second_largest, (2, 3), 0.0),
    "sum of absolute values": (_absolute_values, (1, 2, 3, 4), -1.0),
}


def _tasks(settings: Settings) -> list[tuple[str, str, int]]:
    """(family, size, seed) of every network."""
    seeds = range(settings.seed, settings.seed + (QUICK_SEEDS if settings.quick else SEEDS))
    sizes = SIZES[::3] if settings.quick else SIZES
    return [
        *(("random network", "x".join(map(str, size)), seed) for size in sizes for seed in seeds),
        *((name, str(d), 0) for name, (_, known, _) in FORMS.items() for d in (known[:2] if settings.quick else known)),
        *(("piecewise linear", size, seed) for size in ("2 cells of 1", "1 cells of 2") for seed in seeds),
    ]


def _rows(settings: Settings, former: Sequence[Row]) -> Iterator[Row]:
    done = {(row["family"], row["size"], row["seed"]) for row in former}
    yield from side_by_side(
        partial(_counted, settings.timeout), [t for t in _tasks(settings) if t not in done], settings.jobs
    )


def _network(family: str, size: str, seed: int) -> tuple[Network, InputSet]:
    if family == "random network":
        sizes = [int(n) for n in size.split("x")]
        return random_network([*sizes, 1], seed), InputSet.box(np.full(sizes[0], -1.0), np.ones(sizes[0]))
    if family == "piecewise linear":
        cells, n = int(size.split()[0]), int(size.split()[-1])
        region = InputSet.box(np.zeros(n), np.ones(n))
        return lattice_network(grid_surface(cells, n, seed).lattice(), region).network, region
    make, _, low = FORMS[family]
    network = make(int(size))
    return network, InputSet.box(np.full(network.input_size, low), np.ones(network.input_size))


def _counted(timeout: float, task: tuple[str, str, int]) -> Row:
    """One network by all ways."""
    began, (family, size, seed) = time.monotonic(), task
    network, region = _network(family, size, seed)
    known = patterns(network, region, np.ones(1))
    truth = max(one.highest for one in known)
    level = truth + ABOVE * max(truth - min(one.lowest for one in known), 1e-6)
    found = {way: leaves(network, region, level, way, time.monotonic() + timeout) for way in WAYS}
    return {
        "family": family, "size": size, "seed": seed, "neurons": len(known[0].signs), "patterns": len(known),
        **{way: count for way, (count, _) in found.items()},
        "finished": " ".join(way for way, (_, ended) in found.items() if ended), "truth": truth,
        "seconds": round(time.monotonic() - began, 3),
    }  # fmt: skip


def leaves(network: Network, region: InputSet, level: float, way: str, deadline: float) -> tuple[int, bool]:
    """(leaves of the tree, whether it was finished). level: what the output has to stay below; way: one of WAYS."""
    query, asked = (objective_query(network, region, np.ones(1), end) for end in (0.0, level))
    stack, count = [whole(query).node], 0
    while stack:
        part = relax(query, stack.pop(), deadline)
        value, node = part.value, part.node
        if way == "multi" and value >= level:
            least, node = _by_groups(asked, node, deadline)
            value = level - least
        open_phases = np.flatnonzero((node.pre_lower < 0.0) & (node.pre_upper > 0.0) & query.relu)
        proved = value == -np.inf if way == "decided" else value < level
        if proved or not len(open_phases):
            count += 1
        else:
            stack += [_with_phase(node, int(open_phases[0]), sign) for sign in (-1, 1)]
        if count + len(stack) > MOST or time.monotonic() > deadline:
            return count + len(stack), False
    return count, True


def _by_groups(query: Query, node: Node, deadline: float) -> tuple[float, Node]:
    """Lower bound of the margin over the node, infinite where it is proved empty, and the node with tighter bounds."""
    fine, pool = refine_by_groups(query, node, lambda k, known: _all_groups(query, k, known), deadline)
    if (fine.pre_lower > fine.pre_upper).any():
        return np.inf, fine
    return GroupLP(query, fine, pool).minimise(0, deadline).bound, fine


def _all_groups(query: Query, k: int, node: Node) -> Iterable[Array]:
    """Pairs and triples of a layer's neurons that are not inactive, one of them open."""
    part = query.slices[k - 1]
    alive = np.flatnonzero(node.pre_upper[part] > 0.0) + part.start
    unstable = (node.pre_lower < 0.0) & (node.pre_upper > 0.0)
    found = [subsets(alive[None], size) for size in (2, 3) if len(alive) >= size]
    return [groups[unstable[groups].any(axis=1)] for groups in found]


def _with_phase(node: Node, neuron: int, sign: int) -> Node:
    phases, low, high = node.phases.copy(), node.pre_lower.copy(), node.pre_upper.copy()
    phases[neuron] = sign
    low[neuron], high[neuron] = (0.0, high[neuron]) if sign > 0 else (low[neuron], 0.0)
    return replace(node, phases=phases, pre_lower=low, pre_upper=high)


def _findings(settings: Settings, rows: Sequence[Row]) -> Findings:
    whole_rows = [row for row in rows if row["finished"].split() == list(WAYS)]
    count = len(whole_rows)
    held = [
        ("multi <= patterns", [r["multi"] <= r["patterns"] for r in whole_rows]),
        ("patterns <= decided (the worst case of single neurons)", [r["patterns"] <= r["decided"] for r in whole_rows]),
        ("multi <= single", [r["multi"] <= r["single"] for r in whole_rows]),
        ("patterns <= single at this one threshold", [r["patterns"] <= r["single"] for r in whole_rows]),
    ]
    summary = [f"{words}: in {sum(flags)} of {count} networks" for words, flags in held]
    summary.append(f"multi needs one part in {sum(r['multi'] == 1 for r in whole_rows)} of {count}, single in "
                   f"{sum(r['single'] == 1 for r in whole_rows)}")  # fmt: skip
    if len(rows) > count:
        summary.append(f"{len(rows) - count} networks had a tree that was not finished, and are left out")
    table = [_of_family(family, whole_rows) for family in dict.fromkeys(row["family"] for row in whole_rows)]
    figures = {"parts-and-patterns": _figure(whole_rows)}
    return Findings(_text(len(rows)), summary, {"By family (means)": table}, figures)


def _of_family(family: str, rows: Sequence[Row]) -> Row:
    mine = [row for row in rows if row["family"] == family]
    return {
        "family": family, "networks": len(mine),
        **{name: float(np.mean([row[name] for row in mine])) for name in MEANS},
        "most multi / patterns": max(row["multi"] / row["patterns"] for row in mine),
        "most single / multi": max(row["single"] / row["multi"] for row in mine),
    }  # fmt: skip


def _figure(rows: Sequence[Row]) -> Any:
    """Parts against patterns, a panel a way; above the dotted line there are more parts than patterns."""
    figure, panels = new_figure(len(WAYS), width=3.6)
    most = max([row["patterns"] for row in rows], default=1)
    for axes, way in zip(panels, ("multi", "single", "decided"), strict=True):
        for family, mark in zip(dict.fromkeys(row["family"] for row in rows), "osD^vPX", strict=False):
            mine = [row for row in rows if row["family"] == family]
            there = [r["patterns"] for r in mine]
            axes.plot(there, [r[way] for r in mine], mark, alpha=0.6, markersize=5, label=family)
        axes.plot([1, most], [1, most], "k:", linewidth=1)
        axes.set(xscale="log", yscale="log", xlabel="activation patterns", ylabel="parts", title=way)
    panels[0].legend(fontsize="x-small")
    return figure


def _text(count: int) -> list[str]:
    return [
        f"{count} networks: random ones (sizes: inputs, then hidden layers) on [-1, 1]^n, maxima, the second largest "
        "of n inputs, sums of absolute values, and random continuous piecewise-linear functions as networks of minima "
        f"and maxima. The largest output is to be proved, {ABOVE:g} of the output's range above its true value. A part "
        "is a leaf of a tree that splits the first undecided phase, layer by layer; triangles: hidden bounds and "
        "outputs by LPs with single neurons; multi: with rows of all pairs and triples of a layer as well.",
        "decided: the same tree with triangles where no leaf may end before all phases are decided or the LP is "
        "infeasible, the worst case over thresholds.",
    ]


STUDY = Study("Subproblems and activation patterns", 60.0, COLUMNS, _rows, _findings)
