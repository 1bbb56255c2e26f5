"""Stage `split`, few inputs: the search over parts of the input set."""

from __future__ import annotations

from ...heuristics.policy import Stage, batch_size, node_mb
from ..run.budget import Budget
from ..steps.inputs import InputSteps
from .ladders import closers_of, tell
from .work import Work

__all__ = ["split_inputs"]


def split_inputs(work: Work, stage: Stage, budget: Budget) -> None:
    """Hyperplanes of weight rows, axes, and phases of nodes that resist, by the stage's rule."""
    known, options, effort = work.facts, work.options, work.efforts.inputs
    assert known is not None
    rows = effort.rows(known.few_inputs, known.weights)
    steps = InputSteps(
        work.query, work.candidates, work.exact, stage.rule,
        means=rows and stage.rule in ("inputs", "rows", "rows-composed"),
        hidden=effort.hidden(rows, work.root_seconds), clipping=options.clip, kernel=options.kernel, effort=effort,
        certificates=options.certificates == "always", closers=closers_of(work, phases=False),
    )  # fmt: skip
    batch = options.batch or batch_size(known, work.query)
    work.search(steps, budget, batch, node_mb(work.query, steps.means), stage.trial)
    tell(work)
