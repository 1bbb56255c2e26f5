"""What a run answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..instances.replay import Witness

__all__ = ["VERDICTS", "Result"]

VERDICTS = ("unsat", "sat", "unknown", "timeout")


@dataclass(frozen=True, eq=False)
class Result:
    """The verdict of `verify` and how it came about."""

    verdict: str  # one of VERDICTS: unsat = the property holds, sat = a counterexample was replayed
    witness: Witness | None = None  # for sat: the input, as the ONNX file itself was run on it
    bound: float = float("-inf")  # proved lower bound of the worst margin over what is left open; > 0 for unsat
    reason: str = ""  # how it was decided, or why it was not: time, memory, nodes, numerics, interrupted, ...
    statistics: dict[str, float] = field(default_factory=dict)  # counts and seconds by their names
    seconds: float = 0.0  # wall clock from the call to the verdict
