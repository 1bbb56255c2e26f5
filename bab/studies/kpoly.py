"""Study `kpoly`: what relaxations of one, two and three ReLUs at a time prove, and the complete search beside them.

After Singh, Ganvir, Pueschel and Vechev (2019). Table 3, regions verified, steps of our own, each on all disjuncts:
    DeepPoly   linear bounds
    slopes     optimised slopes for hidden bounds and margins
    1-ReLU     triangle LP on the slopes' hidden bounds
    2-ReLU     the same with rows of pairs of ReLUs
    3-ReLU     the same with rows of pairs and triples
    kPoly      hidden bounds neuron by neuron by LPs with the rows of pairs and triples found so far, those of the
               second ReLU layer by branching over the phases of the first (LEAVES leaves a bound), then the LP with all
               rows
               (these four on the first LPS instances of a network)
    pairs      rows of pairs with multipliers in back-substitution, hidden bounds by them too: no LP
    area       the same, pairs being neighbours in the order of their triangles' areas, as kPoly groups them
    random     the same with any pairs, its baseline
    supposed   pairs, and rounds behind the half-spaces of each disjunct's own bound (`supposed_margins`)
    triples    the same with pairs and triples
    branched   the same, bounds of the second ReLU layer by branching over the phases of the first, as in kPoly
    deep       supposed, and bounds of every layer behind the first by branching over the phases of those before it
    complete   hypersplit as it is
Table 1, the volume of the output's bounding box, for the first instance of each network (`VOLUMES`): k = 0 is that of
linear bounds; for k = 1, 2, 3 every hidden bound comes from an LP over the layers before, with the rows of groups of up
to k ReLUs, and every end of an output from another one. Boxes: the same with multipliers in place of LPs.
With `--steps` these steps one after another, each for the regions that the ones before it leave open, and no volumes.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...encodings.linear.linear_bounds import LinearBoundOptions, bound
from ...encodings.linear.reduction import kept_neurons, reduced, restrict
from ...encodings.neuron_groups.group_ascent import refine_by_ascent
from ...encodings.neuron_groups.group_lp import GroupLP, group_rows
from ...encodings.neuron_groups.group_refinement import refine_by_groups
from ...encodings.slopes.group_rows import GroupRows
from ...encodings.slopes.optimised_bounds import OptimiseOptions, optimise, tighten
from ...encodings.slopes.phase_bounds import disjunct_minima
from ...heuristics.efforts import ROWS_ALONE, GroupEffort, RootRowsEffort
from ...heuristics.neuron_groups import Grouping, Wanted, groups_of_layer
from ...instances.batch import Batch, Node, root
from ...instances.errors import InputError
from ...instances.network import Array, Network
from ...instances.property import Case, InputSet, Polyhedron, Property
from ...instances.query import Query, queries
from ..closers.regions import open_disjuncts
from ..stages.root_rows import refine_root
from ..steps.ascents import ascent
from .formulations import Problem, problems
from .frame import DECIDED, Findings, Row, Settings, Study, decide, new_figure

__all__ = ["STEPS", "STUDY"]

LEAVES = 64  # of the branching for either bound of a neuron of the second ReLU layer
DEEP = 32  # the same in every layer behind the first
ROOT_ROWS = {  # steps that are a stage at the root, with its efforts
    "pairs": ROWS_ALONE, "area": ROWS_ALONE._replace(wanted=Wanted("area")),
    "random": ROWS_ALONE._replace(wanted=Wanted("random")), "supposed": RootRowsEffort(leaves=(0, 0)),
    "triples": RootRowsEffort(sizes=(2, 3), leaves=(0, 0)),
    "branched": RootRowsEffort(sizes=(2, 3), leaves=(LEAVES, 0)), "deep": RootRowsEffort(leaves=(DEEP, DEEP)),
}  # fmt: skip
STEPS = ("DeepPoly", "slopes", "1-ReLU", "2-ReLU", "3-ReLU", "kPoly", *ROOT_ROWS, "complete")
BY_LPS = ("1-ReLU", "2-ReLU", "3-ReLU", "kPoly")
VOLUMES = 1  # instances a network
REFINED = 0.7  # share of the time that kPoly's hidden bounds may take
LPS = 20  # instances a network that the steps with LPs are tried on
COLUMNS = {
    "instance": str, "family": str, "step": str, "verdict": str, "open": int, "bound": float, "volume": float,
    "seconds": float, "processor": float, "timeout": float,  # processor seconds: of this process alone
}  # fmt: skip
HIDDEN_ITERATIONS, MARGIN_ITERATIONS = 10, 40
ASCENT = ascent(GroupEffort().ascent)  # behind octahedral bounds
GROUPS = 150  # a layer and size
BOX_HIDDEN, BOX_OCTAHEDRA, BOX_ENDS = (OptimiseOptions(iterations=n, worth=0.0) for n in (20, 10, 100))
FAR = 1e4  # beyond any output: a threshold that no bound passes
VOLUME_SHARE = 20.0  # time limits that a volume may take


def _rows(settings: Settings, former: Sequence[Row]) -> Iterator[Row]:
    """One row an instance and step, and one a volume, that `former` does not have."""
    unknown = set(settings.steps) - {*STEPS}
    if unknown:
        raise InputError(f"study kpoly: --steps {', '.join(sorted(unknown))}: expected some of {', '.join(STEPS)}")
    done = {(row["instance"], row["step"]): row for row in former}
    seen: dict[str, int] = {}
    for problem in problems(settings):
        network, prop = problem.load()
        family = Path(network.source).stem if network.source else problem.family
        seen[family] = seen.get(family, 0) + 1
        if settings.steps:
            yield from _in_turn(problem, network, prop, family, settings, done)
            continue
        for step in STEPS:
            if (problem.name, step) not in done and (seen[family] <= LPS or step not in BY_LPS):
                yield _verified(problem, network, prop, family, step, settings)
        for k in range(4) if seen[family] <= VOLUMES and len(prop.cases) == 1 else ():
            if (problem.name, f"volume {k}") not in done:
                yield _of_volume(problem, network, prop, family, k)
            if k and (problem.name, f"box {k}") not in done:
                yield _of_box(problem, network, prop, family, k)


def _in_turn(
    problem: Problem, network: Network, prop: Property, family: str, settings: Settings, done: Mapping[Any, Row]
) -> Iterator[Row]:
    """The rows of the asked steps that `done` does not have, up to the one that decides the region."""
    for step in settings.steps:
        row = done.get((problem.name, step))
        if row is None:
            row = _verified(problem, network, prop, family, step, settings)
            yield row
        if row["verdict"] in DECIDED:
            break


def _row(problem: Problem, family: str, step: str, began: tuple[float, float], **values: Any) -> Row:
    """began: see `_now`."""
    seconds, processor = (now - then for now, then in zip(_now(), began, strict=True))
    empty = {"verdict": "", "open": 0, "bound": float("nan"), "volume": float("nan")}
    return {
        "instance": problem.name, "family": family, "step": step, **empty, **values, "seconds": round(seconds, 4),
        "processor": round(processor, 4), "timeout": problem.timeout,
    }  # fmt: skip


def _now() -> tuple[float, float]:
    """Seconds by the clock, and of this process's processor time."""
    return time.monotonic(), time.process_time()


def _verified(
    problem: Problem, network: Network, prop: Property, family: str, step: str, settings: Settings
) -> Row:
    began = _now()
    if step == "complete":
        result = decide(network, prop, timeout=problem.timeout, seed=settings.seed)
        return _row(problem, family, step, began, verdict=result.verdict, bound=result.bound)
    left, worst = 0, np.inf
    for query in queries(network, prop):
        margins = _margins(query, step, began[0] + problem.timeout)
        left, worst = left + int((~(margins > 0.0)).sum()), min(worst, float(margins.min()))
    verdict = "unknown" if left else "unsat"
    return _row(problem, family, step, began, verdict=verdict, open=left, bound=worst)


def _margins(query: Query, step: str, deadline: float) -> Array:
    """[disjuncts] lower bounds of the worst margins."""
    batch = root(query)
    found = bound(query, batch, LinearBoundOptions(conjunctions=True))
    if step != "DeepPoly":
        found = tighten(query, batch, found, OptimiseOptions(iterations=HIDDEN_ITERATIONS, conjunctions=True))
    batch = replace(batch, pre_lower=found.pre_lower, pre_upper=found.pre_upper)
    if step == "slopes":
        found = optimise(query, batch, found, OptimiseOptions(iterations=MARGIN_ITERATIONS, conjunctions=True))
    margins = query.per_disjunct(found.margins)[0]
    if found.infeasible[0]:
        return np.full(query.disjuncts, np.inf)
    left = open_disjuncts(query, found.margins[0])
    if step in ("DeepPoly", "slopes") or not left:
        return margins
    if step in ROOT_ROWS:
        outcome = refine_root(query, batch, found, deadline - time.monotonic(), ROOT_ROWS[step])
        margins[outcome.closed] = np.inf
        return np.full(query.disjuncts, np.inf) if outcome.empty else margins
    multipliers = np.maximum(found.multipliers[0], 0.0).max(axis=0)
    most = 3 if step == "kPoly" else int(step[0])
    lp = _program(query, batch.node(0), multipliers, most, deadline, step == "kPoly")
    for d in left:
        margins[d] = max(margins[d], lp.minimise(d, deadline).bound)
        if not margins[d] > 0.0:  # one open disjunct is enough
            break
    return margins


def _program(query: Query, node: Node, multipliers: Array, most: int, deadline: float, refined: bool) -> GroupLP:
    """The LP with rows of groups of up to so many neurons, hidden bounds refined with these rows where it is asked."""

    def groups(k: int, known: Node) -> list[Array]:
        return [groups_of_layer(query, known, k, Grouping(size, GROUPS), multipliers) for size in range(2, most + 1)]

    def members(k: int, known: Node) -> list[Array]:
        return [rows + query.slices[k - 1].start for rows in groups(k, known)]

    parts = [GroupRows.none()]
    if refined:
        until = time.monotonic() + REFINED * (deadline - time.monotonic())
        node, pool = refine_by_groups(query, node, members, until, options=ASCENT, leaves=LEAVES)
        parts.append(pool)
    finished = {int(k) for k in np.searchsorted([s.stop for s in query.slices], parts[-1].neurons[:, 0], "right") + 1}
    rest = group_rows(query, node, lambda k: [] if k in finished else groups(k, node), ASCENT, deadline=deadline)
    return GroupLP(query, node, GroupRows.concatenate([*parts, rest]))


def _of_volume(problem: Problem, network: Network, prop: Property, family: str, k: int) -> Row:
    began = _now()
    query, batch = _outputs(network, prop)
    outputs, node = network.output_size, batch.node(0)
    if k == 0:
        least = query.per_disjunct(bound(query, batch, LinearBoundOptions(hidden=False)).margins)[0] + FAR
        return _volume(problem, family, k, began, least, outputs)

    def members(layer: int, known: Node) -> Iterable[Array]:
        start = query.slices[layer - 1].start
        return [groups_of_layer(query, known, layer, Grouping(size, GROUPS)) + start for size in range(2, k + 1)]

    deadline = began[0] + VOLUME_SHARE * problem.timeout
    node, pool = refine_by_groups(query, node, members, deadline, options=ASCENT)
    lp = GroupLP(query, node, pool)
    ends = np.array([lp.minimise(d, deadline).bound + FAR for d in range(query.disjuncts)])
    return _volume(problem, family, k, began, ends, outputs)


def _of_box(problem: Problem, network: Network, prop: Property, family: str, k: int) -> Row:
    began = _now()
    query, batch = _outputs(network, prop)
    kept = kept_neurons(query, batch)
    query, batch = reduced(query, kept), restrict(batch, kept)

    def groups(layer: int, known: Node) -> Iterable[Array]:
        return [groups_of_layer(query, known, layer, Grouping(size, GROUPS)) for size in range(2, k + 1)]

    deadline = began[0] + VOLUME_SHARE * problem.timeout
    batch, pool = refine_by_ascent(query, batch, groups, BOX_HIDDEN, deadline, BOX_OCTAHEDRA)
    ends = disjunct_minima(query, batch, BOX_ENDS, pool) + FAR
    return _volume(problem, family, k, began, ends, network.output_size, "box")


def _volume(
    problem: Problem, family: str, k: int, began: tuple[float, float], ends: Array, outputs: int, step: str = "volume"
) -> Row:
    """ends: lower bounds of the outputs, then of the negated ones."""
    volume = float(np.prod(-ends[outputs:] - ends[:outputs]))
    return _row(problem, family, f"{step} {k}", began, volume=volume)


def _outputs(network: Network, prop: Property) -> tuple[Query, Batch]:
    """A query whose disjuncts are y_i and then -y_i, less FAR: their bounds are the outputs'. Linear bounds."""
    region: InputSet = prop.cases[0].region
    rows = np.concatenate([np.eye(network.output_size), -np.eye(network.output_size)])
    forbidden = tuple(Polyhedron(row[None], np.array([FAR])) for row in rows)
    query = queries(network, Property((Case(region, forbidden),), network.input_size, network.output_size))[0]
    batch = root(query)
    found = bound(query, batch, LinearBoundOptions())
    return query, replace(batch, pre_lower=found.pre_lower, pre_upper=found.pre_upper)


def _findings(settings: Settings, rows: Sequence[Row]) -> Findings:
    families = list(dict.fromkeys(row["family"] for row in rows))
    steps = settings.steps or STEPS
    table = [_of_step(step, family, rows) for family in families for step in steps]
    volumes = [
        {"family": row["family"], "instance": row["instance"], "k": int(row["step"][-1]),
         "by": "LPs" if row["step"].startswith("volume") else "multipliers", "volume": row["volume"],
         "seconds": row["seconds"]} for row in rows if row["step"].startswith(("volume", "box"))
    ]  # fmt: skip
    summary = [
        f"{row['family']}, {row['step']}: {row['verified']} of {row['regions']} verified, {row['refuted']} refuted, "
        f"{row['mean seconds']:.3g} s a region, {row['mean processor']:.3g} of processor time" for row in table
    ] + [
        f"{v['family']}: output box of {v['k']}-ReLU by {v['by']} {v['volume']:.4g} ({v['seconds']:.3g} s)"
        for v in volumes
    ] + ([_all_steps(family, rows) for family in families] if settings.steps else [])
    tables = {"Regions verified": table, "Volume of the output's bounding box": volumes}
    return Findings(_text(settings, rows), summary, tables, {"verified": _bars(table, families, steps)})


def _of_step(step: str, family: str, rows: Sequence[Row]) -> Row:
    mine = [row for row in rows if row["family"] == family and row["step"] == step]
    return {
        "family": family, "step": step, "regions": len(mine), "verified": sum(r["verdict"] == "unsat" for r in mine),
        "refuted": sum(r["verdict"] == "sat" for r in mine),
        "mean seconds": float(np.mean([r["seconds"] for r in mine] or [np.nan])),
        "mean processor": float(np.mean([r["processor"] for r in mine] or [np.nan])),
    }  # fmt: skip


def _all_steps(family: str, rows: Sequence[Row]) -> str:
    """What steps in turn come to."""
    mine = [row for row in rows if row["family"] == family]
    regions, verified = len({row["instance"] for row in mine}), sum(row["verdict"] == "unsat" for row in mine)
    seconds, processor = (sum(row[name] for row in mine) / regions for name in ("seconds", "processor"))
    return (
        f"{family}, these in turn: {verified} of {regions} verified ({verified / regions:.0%}), {seconds:.3g} s "
        f"a region, {processor:.3g} of processor time"
    )


def _bars(table: Sequence[Row], families: Sequence[str], steps: Sequence[str]) -> Any:
    figure, (axes,) = new_figure(1)
    width = 0.8 / len(steps)
    for j, step in enumerate(steps):
        shares = [row["verified"] / max(1, row["regions"]) for row in table if row["step"] == step]
        axes.bar(np.arange(len(families)) + j * width, shares, width, label=step)
    axes.set_xticks(np.arange(len(families)) + 0.4, families, rotation=20, fontsize="x-small")
    axes.set(ylabel="share of regions verified")
    axes.legend(fontsize="x-small")
    return figure


def _text(settings: Settings, rows: Sequence[Row]) -> list[str]:
    source = f"the list {Path(settings.instances).name}" if settings.instances else "carried and random networks"
    how = "in turn, each for what the ones before it leave open" if settings.steps else "each for all regions"
    return [
        f"{len({row['instance'] for row in rows})} regions ({source}), one core, {settings.timeout:g} s a region and "
        f"step at most. Steps {how}; one stops at the first disjunct that resists. Groups: correlated neurons of a "
        f"layer, up to {GROUPS} of each size, rows by exact hulls (pairs) and wrapping (triples), separated by "
        "violation.",
    ]


STUDY = Study("One, two and three ReLUs at a time", 20.0, COLUMNS, _rows, _findings)
