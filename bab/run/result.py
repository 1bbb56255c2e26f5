"""What a run answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from ...instances.judges.replay import Witness
from ...instances.rounding import SMALLEST

__all__ = [
    "CONFLICTS", "EVIDENCE", "EXACT", "GROUPS", "LINEAR", "NO_CASE", "OPTIMISED", "POSITIVE", "SCIP_FLOAT", "SPLITS",
    "VERDICTS", "Result",
]  # fmt: skip

# The bound of an `unsat` of which no more is proved than the sign: parts of the input set that were clipped away, and
# rows that were tested together, are only known to have a positive worst margin.
POSITIVE = SMALLEST

VERDICTS = ("unsat", "sat", "unknown", "timeout")

# What an `unsat` can rest on, as its reason says; docs/verdicts.md explains each.
LINEAR = "linear bounds"
SPLITS = "linear bounds and splits"
OPTIMISED = "optimised linear bounds"
GROUPS = "multi-neuron rows"
CONFLICTS = "conflict-driven search"
SCIP_FLOAT = "scip-float"  # SCIP's word alone, only with `Options.trust_scip`
NO_CASE = "no case to refute"
EXACT = "exact arithmetic"  # added to SPLITS where some nodes were closed so
EVIDENCE = (LINEAR, SPLITS, OPTIMISED, GROUPS, CONFLICTS, SCIP_FLOAT, NO_CASE, EXACT)


@dataclass(frozen=True, eq=False)
class Result:
    """The verdict of `verify` and how it came about."""

    verdict: str  # one of VERDICTS: unsat = the property holds, sat = a counterexample was replayed
    witness: Witness | None = None  # for sat: the input, as the ONNX file itself was run on it
    bound: float = float("-inf")  # proved lower bound of the worst margin; POSITIVE for unsat by search
    reason: str = ""  # how it was decided, or why it was not: time, memory, nodes, numerics, interrupted, ...
    # counts and seconds by their names; memory_mb is the peak of this process so far, SCIP's processes not counted
    statistics: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0  # wall clock from the call to the verdict
    notes: tuple[str, ...] = ()  # what a reader of the verdict must know besides, each said once
    # for unknown: an input that the real-valued network sends into the forbidden set, which no replay confirms
    real_counterexample: tuple[Fraction, ...] | None = None
