"""Which rungs and other closers the nodes of a search get, by the options: see `rungs.ladder`.

node_bounds and closing say which rungs are asked about every node; what they leave to itself is tried as far as it pays
on networks of several hidden layers, whose relaxations differ. Trees of phases whose hidden bounds are inherited have
LPs every few levels (`closers.node_lp`) as long as nothing else is asked for.
"""

from __future__ import annotations

from ...heuristics.neuron_groups import Wanted
from ..closers.asking import Asking
from ..closers.node_lp import NodeLP
from ..closers.node_milp import NodeMilp
from ..rungs.kept_rows import KeptRows
from ..rungs.ladder import Ladder, Step
from ..rungs.milp import MilpRung
from ..rungs.rows import RowRung
from ..rungs.slopes import SlopeRung
from ..rungs.triangle import TriangleRung
from ..steps.closing import Closer
from .habits import Habits
from .work import Work

__all__ = ["RUNGS", "closers_of", "tell"]

RUNGS = {
    "linear": (), "slopes": ("slopes",), "lp": ("lp",), "rows": ("lp", "rows"), "partial-milp": ("lp", "partial-milp"),
    "auto": ("slopes", "lp", "rows", "partial-milp"),
}  # fmt: skip


def closers_of(work: Work, phases: bool, refreshed: bool = True) -> list[Closer]:
    """The closers of a search that splits phases or inputs. refreshed: whether its nodes bound hidden neurons anew."""
    query, options, efforts, deadline = work.query, work.options, work.efforts, work.limits.deadline
    hidden = sum(kind != "identity" for kind in query.kinds)
    closers: list[Closer] = []
    if not query.network.piecewise_linear:
        from ..closers.jumps import JumpCloser, decides_jumps

        if decides_jumps(query):
            closers.append(JumpCloser(query, work.exact, efforts.jumps).close)
    lps = phases and options.node_bounds == "auto" and efforts.phases.wants_lps(refreshed, hidden)
    habits = work.habits or Habits()
    habits.go_on()
    if lps:
        habits.node_lp = habits.node_lp or NodeLP(query, deadline, work.candidates.rng, efforts.node_lp)
        closers.append(habits.node_lp.close)
    habits.kept = habits.kept or KeptRows(query, work.rows, efforts.kept_rows, bare=work.kept is not None)
    for name in (names := _names(work, phases, lps, hidden)):
        habits.steps[name] = _kept_step(_step(work, name, habits.kept), habits.steps.get(name))
    steps = [habits.steps[name] for name in names]
    work.ladder = Ladder(query, work.tree, steps, deadline, options.jobs)
    if steps:
        closers.append(work.ladder.close)
    if options.closing == "auto" and options.method == "auto" and (phases or hidden > 1):
        effort = efforts.node_milp if phases else efforts.part_milp
        node_milp = NodeMilp(query, options, deadline, work.tree, work.exact, effort)
        if work.habits is not None:
            node_milp.go_on(habits.node_milp)
        habits.node_milp = node_milp
        closers.append(node_milp.close)
    return closers


def tell(work: Work) -> None:
    """The rungs' accounts, in the log and among the counts; the search is over."""
    if work.ladder is not None:
        work.counts += work.ladder.take_counts()
    if work.habits is not None:
        work.habits.leave()


def _names(work: Work, phases: bool, lps: bool, hidden: int) -> list[str]:
    """Rungs in order."""
    options, query = work.options, work.query
    names = list(RUNGS[options.node_bounds]) if hidden else []
    if options.node_bounds == "auto":
        left_out = {
            "slopes": phases, "lp": lps, "rows": options.rows == "never" or not query.network.piecewise_linear,
            "partial-milp": options.method == "split" or options.closing == "never"
            or not query.network.piecewise_linear,
        }  # fmt: skip
        small = hidden > 1 and query.neurons <= work.efforts.lp_pays.neurons
        names = [name for name in names if small and not left_out[name]]
    if phases:
        names = [name for name in names if name != "slopes"]  # all of their bounds have them
    if options.k == "1":
        names = [name for name in names if name != "rows"]
    return [*names, *(["milp"] if options.closing == "always" else [])]


def _kept_step(fresh: Step, before: Step | None) -> Step:
    """A rung with its account, both of an earlier search where there was one; SCIP's are of the search at hand."""
    if before is None:
        return fresh
    return Step(fresh.rung if isinstance(fresh.rung, MilpRung) else before.rung, before.account)


def _step(work: Work, name: str, kept: KeptRows) -> Step:
    query, options, efforts = work.query, work.options, work.efforts
    auto = options.node_bounds == "auto"
    if name == "slopes":
        return Step.of(SlopeRung(query, efforts.slope_rung), efforts.slopes_pay if auto else None)
    if name == "lp":
        return Step.of(TriangleRung(query), efforts.lp_pays if auto else None)
    if name == "rows":
        wanted = Wanted(options.groups, options.k, options.subsets, options.seed)
        rung = RowRung(query, kept, wanted, efforts.row_rung)
        return Step.of(rung, efforts.rows_pay if auto else None)
    asking = Asking(query, options, work.exact, work.limits.deadline)
    if name == "partial-milp":
        partial = MilpRung(query, asking, kept, efforts.milp_rung)
        return Step.of(partial, efforts.partial_pays if auto else None)
    return Step.of(MilpRung(query, asking, None, efforts.milp_rung))

