"""Stage `split`, few inputs: the search over parts of the input set."""

from __future__ import annotations

from ...heuristics.policy import FEW_INPUTS, Stage, batch_size, node_mb
from ..run.budget import Budget
from ..steps.inputs import InputSteps
from .work import Work

__all__ = ["split_inputs"]

QUICK_BOUND = 0.5  # seconds of the root's bounds up to which every node bounds its hidden neurons anew
MOST_FUNCTIONS = 200_000  # weights of a network up to which rows of deeper layers are worth their memory


def split_inputs(work: Work, stage: Stage, budget: Budget) -> None:
    """Hyperplanes of weight rows, axes, and phases of nodes that resist, by the stage's rule."""
    known, options = work.facts, work.options
    assert known is not None
    few = known.open_inputs <= FEW_INPUTS and known.weights <= MOST_FUNCTIONS
    steps = InputSteps(
        work.query, work.candidates, work.exact, stage.rule,
        means=few and stage.rule in ("inputs", "rows", "rows-composed"),
        hidden=few or work.root_seconds < QUICK_BOUND, clipping=options.clip, kernel=options.kernel,
        certificates=options.certificates == "always",
    )  # fmt: skip
    batch = options.batch or batch_size(known, work.query)
    work.search(steps, budget, batch, node_mb(work.query, steps.means))
