"""Study `ladder`: the steps of bounding a root, from the cheapest to the dearest, on the same questions.

A question is the disjunct of an instance that optimised root bounds leave most suspicious. With Salman et al. (2019):
    IBP            intervals, layer by layer
    2-layer        walks of two layers back, from intervals
    greedy         parallel lines everywhere (Fast-Lin), LP-GREEDY
    dual           the greedy dual's multipliers, valued with triangles in place of lines
    dual-best      the same dual after DUAL_STEPS supergradient steps, from there; LP-LAST's value is the best there is
    linear         the lower line that is nearer (CROWN, DeepPoly)
    slopes-last    optimised slopes for the margins, hidden bounds linear
    slopes         optimised slopes for hidden bounds and margins
    LP-LAST        triangle LP for the margins, hidden bounds greedy
    linear+LP      triangle LP for the margins, hidden bounds linear
    slopes+LP      triangle LP for the margins, hidden bounds by slopes
    windows        the same with the bounds and rows of maxima over the boxes of their entries, as in pooling windows
    LP-ALL         triangle LPs for every hidden bound, from those by slopes on, and then for the margins; no limit of
                   time cuts it off unless the user gives one
    pairs          rows of pairs of ReLUs with multipliers in back-substitution, for hidden bounds too
    partial-N      MILP with the N most important ReLUs binary, hidden bounds by slopes; SCIP's word, nothing rigorous
Per step: the share that it wins of the gap between the linear bound and the lowest value that an attack finds, and what
it costs, the steps before it that it builds on included.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...encodings.layerwise.decoupling import decoupled
from ...encodings.layerwise.dual_ascent import best_multipliers
from ...encodings.layerwise.greedy_dual import dual_bound, greedy_multipliers
from ...encodings.layerwise.lp_steps import lp_all_node
from ...encodings.linear.bounds import Bounds
from ...encodings.linear.linear_bounds import LinearBoundOptions, bound
from ...encodings.milp.close import MilpOptions, close
from ...encodings.neuron_groups.group_lp import GroupLP
from ...encodings.neuron_groups.windows import window_bounds, window_rows
from ...encodings.programs.lp import TriangleLP
from ...encodings.slopes.optimised_bounds import OptimiseOptions, optimise, tighten
from ...encodings.slopes.phase_bounds import disjunct_minima
from ...heuristics.attacks.attacks import points_in, projected_gradient
from ...heuristics.efforts import ROWS_ALONE
from ...instances.batch import Batch, root
from ...instances.query import Query, queries
from ..closers.regions import open_disjuncts
from ..stages.root_rows import rows_at_root
from .formulations import MEMORY, Problem, problems
from .frame import Findings, Row, Settings, Study, new_figure

__all__ = ["STEPS", "STUDY"]

STEPS = (
    "IBP", "2-layer", "greedy", "dual", "dual-best", "linear", "slopes-last", "slopes", "LP-LAST", "linear+LP",
    "slopes+LP", "windows", "LP-ALL", "pairs", "partial-16", "partial-48",
)  # fmt: skip
COLUMNS = {
    "instance": str, "family": str, "step": str, "unstable": int, "bound": float, "upper": float, "seconds": float,
}  # fmt: skip
DEPTHS = {"IBP": 1, "2-layer": 2}
HIDDEN_ITERATIONS, MARGIN_ITERATIONS = 10, 40  # of optimised slopes
DUAL_STEPS = 300
STARTS, ATTACK_STEPS = 32, 60


@dataclass(eq=False)
class _Root:
    """A question, and what its steps share."""

    query: Query
    batch: Batch
    seconds: float  # an LP's or a MILP's
    seed: int
    cut: float = math.inf  # seconds for the hidden bounds of LP-ALL

    def __post_init__(self) -> None:
        greedy = LinearBoundOptions(slopes="parallel")
        self.greedy, self.greedy_seconds = _timed(lambda: bound(self.query, self.batch, greedy))
        self.linear, self.linear_seconds = _timed(lambda: bound(self.query, self.batch, LinearBoundOptions()))
        options = OptimiseOptions(iterations=HIDDEN_ITERATIONS)
        self.slopes, spent = _timed(lambda: tighten(self.query, self.batch, self.linear, options))
        self.slopes_seconds = self.linear_seconds + spent
        still = [] if self.slopes.infeasible[0] else open_disjuncts(self.query, self.slopes.margins[0])
        self.disjunct = still[0] if still else -1  # -1: nothing is left to ask

    def upper(self) -> float:
        """The lowest worst margin of the disjunct that an attack finds."""
        region, rng = self.query.region, np.random.default_rng(self.seed)
        starts = points_in(region.lower, region.upper, STARTS, rng)
        targets = np.full(STARTS, self.disjunct)
        points, _ = projected_gradient(self.query, starts, region.lower, region.upper, ATTACK_STEPS, targets)
        return float(self.query.per_disjunct(self.query.network.evaluate(points))[:, self.disjunct].min())

    def step(self, name: str) -> tuple[float, float, int]:
        """(bound, seconds, unstable ReLUs) of one step."""
        if name in DEPTHS:
            (known, least), seconds = _timed(lambda: decoupled(self.query, self.batch.node(0), DEPTHS[name]))
            return float(self.query.per_disjunct(least[None])[0, self.disjunct]), seconds, self._unstable(known.batch)
        if name.startswith("dual"):
            value, spent = _timed(lambda: self._dual(DUAL_STEPS if name == "dual-best" else 0))
            return value, self.greedy_seconds + spent, self._unstable(self.greedy)
        if name == "greedy":
            return self._margin(self.greedy), self.greedy_seconds, self._unstable(self.greedy)
        if name == "linear":
            return self._margin(self.linear), self.linear_seconds, self._unstable(self.linear)
        hidden, before = self._hidden(name)
        known = replace(self.batch, pre_lower=hidden.pre_lower, pre_upper=hidden.pre_upper)
        unstable = self._unstable(hidden)
        if name.startswith("slopes") and name != "slopes+LP":
            options = OptimiseOptions(iterations=MARGIN_ITERATIONS, conjunctions=True)
            better, spent = _timed(lambda: optimise(self.query, known, hidden, options))
            return self._margin(better), before + spent, unstable
        if name == "pairs":
            (value, left), spent = _timed(lambda: self._by_pairs(known))
            return value, before + spent, left
        if name == "windows":
            (value, left), spent = _timed(lambda: self._by_windows(known))
            return value, before + spent, left
        if name == "LP-ALL":
            known, spent = _timed(lambda: self._all_by_lp(known))
            before += spent
            unstable = self._unstable(known)
        if name.startswith("partial"):
            asked = MilpOptions(seed=self.seed, binaries=int(name.split("-")[1]))
            answer = close(self.query, known.node(0), self.disjunct, self.seconds, MEMORY, asked)
            return answer.bound, before + answer.seconds, unstable
        lp, spent = _timed(lambda: TriangleLP(self.query, known.node(0)).minimise(self.disjunct, self.seconds))
        return lp.bound, before + spent, unstable

    def _dual(self, steps: int) -> float:
        """The better of the rows' bounds, by greedy multipliers or after so many steps from them."""
        deadline = time.monotonic() + self.seconds
        node = replace(self.batch, pre_lower=self.greedy.pre_lower, pre_upper=self.greedy.pre_upper).node(0)
        rows = range(self.query.starts[self.disjunct], self.query.starts[self.disjunct + 1])
        found = [dual_bound(self.query, node, row, greedy_multipliers(self.query, node, row)) for row in rows]
        if steps:
            found += [
                dual_bound(self.query, node, row, best_multipliers(self.query, node, row, steps, deadline))
                for row in rows
            ]
        return max(found)

    def _hidden(self, name: str) -> tuple[Bounds, float]:
        """The hidden bounds that a step begins with, and what they cost."""
        if name == "LP-LAST":
            return self.greedy, self.greedy_seconds
        if name in ("slopes-last", "linear+LP"):
            return self.linear, self.linear_seconds
        return self.slopes, self.slopes_seconds

    def _all_by_lp(self, batch: Batch) -> Batch:
        found, _ = lp_all_node(self.query, batch.node(0), time.monotonic() + self.cut)
        return replace(batch, pre_lower=found.pre_lower[None], pre_upper=found.pre_upper[None])

    def _by_windows(self, batch: Batch) -> tuple[float, int]:
        node = window_bounds(self.query, batch.node(0))
        if (node.pre_lower > node.pre_upper).any():
            return np.inf, 0
        lp = GroupLP(self.query, node, window_rows(self.query, node))
        return lp.minimise(self.disjunct, time.monotonic() + self.seconds).bound, self._unstable(node.batch)

    def _by_pairs(self, batch: Batch) -> tuple[float, int]:
        plain = bound(self.query, batch, LinearBoundOptions(hidden=False))
        query, _, node, pool, _ = rows_at_root(self.query, batch, plain, self.seconds, ROWS_ALONE)
        if (node.pre_lower > node.pre_upper).any():
            return np.inf, 0
        least = disjunct_minima(query, node, OptimiseOptions(iterations=MARGIN_ITERATIONS), pool)
        return float(least[self.disjunct]), int(((node.pre_lower < 0.0) & (node.pre_upper > 0.0) & query.relu).sum())

    def _margin(self, bounds: Bounds) -> float:
        return float(self.query.per_disjunct(bounds.margins)[0, self.disjunct])

    def _unstable(self, bounds: Bounds | Batch) -> int:
        return int(((bounds.pre_lower[0] < 0.0) & (bounds.pre_upper[0] > 0.0) & self.query.relu).sum())


def _timed(work: Any) -> tuple[Any, float]:
    began = time.monotonic()
    return work(), time.monotonic() - began


def _rows(settings: Settings, former: Sequence[Row]) -> Iterator[Row]:
    """One row an instance and step that `former` does not have."""
    done = {(row["instance"], row["step"]) for row in former}
    for problem in problems(settings):
        missing = [name for name in STEPS if (problem.name, name) not in done]
        if missing:
            yield from _of_problem(problem, missing, settings)


def _of_problem(problem: Problem, missing: Sequence[str], settings: Settings) -> Iterator[Row]:
    cut = problem.timeout if settings.limited else math.inf
    asked = [_Root(query, root(query), problem.timeout, settings.seed, cut) for query in queries(*problem.load())]
    still = [one for one in asked if one.disjunct >= 0]
    if not still:
        return
    one = min(still, key=lambda r: r.query.per_disjunct(r.slopes.margins)[0, r.disjunct])
    upper = one.upper()
    for name in missing:
        value, seconds, unstable = one.step(name)
        yield {
            "instance": problem.name, "family": problem.family, "step": name, "unstable": unstable, "bound": value,
            "upper": upper, "seconds": round(seconds, 4),
        }  # fmt: skip


def _findings(settings: Settings, rows: Sequence[Row]) -> Findings:
    families = list(dict.fromkeys(row["family"] for row in rows))
    table = [_of_step(name, family, rows) for family in families for name in STEPS]
    said = [
        f"{row['family']}, {row['step']}: {row['gap closed']:.1%} of the linear bound's gap in "
        f"{row['median seconds']:.3g} s, {row['unstable']:.0f} unstable ReLUs"
        for row in table
    ]
    summary = said or ["optimised slopes close every instance"]
    return Findings(_text(settings, rows), summary, {"Steps by family": table}, {"price": _price(table)})


def _of_step(name: str, family: str, rows: Sequence[Row]) -> Row:
    """Means of one step on one family."""
    linear = {row["instance"]: row["bound"] for row in rows if row["step"] == "linear"}
    mine = [row for row in rows if row["step"] == name and row["family"] == family]
    shares = [
        (row["bound"] - linear[row["instance"]]) / (row["upper"] - linear[row["instance"]]) for row in mine
        if row["instance"] in linear and np.isfinite(row["bound"]) and row["upper"] > linear[row["instance"]]
    ]  # fmt: skip
    return {
        "family": family, "step": name, "questions": len(mine), "with a bound": len(shares),
        "closed": sum(row["bound"] > 0.0 for row in mine), "gap closed": float(np.mean(shares or [np.nan])),
        "unstable": float(np.mean([row["unstable"] for row in mine] or [np.nan])),
        "median seconds": float(np.median([row["seconds"] for row in mine] or [np.nan])),
    }  # fmt: skip


def _price(table: Sequence[Row]) -> Any:
    """What a step wins against what it costs, a line a family."""
    figure, (axes,) = new_figure(1)
    for family in dict.fromkeys(row["family"] for row in table):
        mine = [row for row in table if row["family"] == family]
        axes.plot([r["median seconds"] for r in mine], [r["gap closed"] for r in mine], "o", label=family)
        for row in mine:
            axes.annotate(row["step"], (row["median seconds"], row["gap closed"]), fontsize="x-small")
    axes.set(xlabel="median seconds", ylabel="share of the linear bound's gap closed", xscale="log")
    axes.legend(fontsize="small")
    return figure


def _text(settings: Settings, rows: Sequence[Row]) -> list[str]:
    source = f"the list {Path(settings.instances).name}" if settings.instances else "carried and random networks"
    count = len({row["instance"] for row in rows})
    return [
        f"{count} questions ({source}): of each instance that optimised slopes leave open, the most suspicious disjunct"
        f" on the root node. Slopes take {HIDDEN_ITERATIONS} iterations for hidden neurons, {MARGIN_ITERATIONS} for "
        "margins; an LP or a MILP has the study's time limit, the hidden bounds of LP-ALL have none unless --timeout "
        "gives one.",
        "The gap goes from the linear bound to the lowest value that an attack finds. Seconds include the steps that a "
        "step builds on.",
    ]


STUDY = Study("Steps of bounding a root, side by side", 20.0, COLUMNS, _rows, _findings)
