"""What a run answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from ...instances.judges.replay import Witness

__all__ = ["NO_CASE", "NO_INPUT", "VERDICTS", "Result"]

VERDICTS = ("unsat", "sat", "unknown", "timeout")

NO_CASE = "no case to refute"  # the reason of an `unsat` that rests on no evidence
NO_INPUT = "no input satisfies the property's bounds"  # the same, where they contradict each other


@dataclass(frozen=True, eq=False)
class Result:
    """The verdict of `verify` and how it came about."""

    verdict: str  # one of VERDICTS: unsat = the property holds, sat = a counterexample was replayed
    witness: Witness | None = None  # for sat: the input, as the ONNX file itself was run on it
    # proved lower bound of the worst margin; 0.0 for an unsat of which no more is known than that it is positive
    bound: float = float("-inf")
    reason: str = ""  # how it was decided, or why it was not: time, memory, nodes, numerics, interrupted, ...
    # what ended how many nodes, and refuted how many disjuncts at a root, in the words of docs/verdicts.md
    evidence: dict[str, int] = field(default_factory=dict)
    # counts and seconds by their names; memory_mb is the peak of this process so far, SCIP's processes not counted
    statistics: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0  # wall clock from the call to the verdict
    notes: tuple[str, ...] = ()  # what a reader of the verdict must know besides, each said once
    # for unknown: an input that the real-valued network sends into the forbidden set, which no replay confirms
    real_counterexample: tuple[Fraction, ...] | None = None
