"""All options of a run, one line each."""

from __future__ import annotations

import os
from dataclasses import dataclass

__all__ = ["METHODS", "Options"]

METHODS = ("auto", "split", "milp")


@dataclass(frozen=True)
class Options:
    """What a user may set. Times are seconds of wall clock, memory is in MB (10^6 bytes)."""

    timeout: float = 300.0  # for the whole run, reading included
    seed: int = 0  # of every random choice; with jobs = 1 equal seeds give equal runs up to time limits
    jobs: int = os.cpu_count() or 1  # threads that take nodes; SCIP's MILPs at a time, one core each
    memory_mb: float = 8000.0  # resident memory of the process at which the run gives up; SCIPs have shares besides
    nodes: int = 10**9  # nodes at which the search gives up
    method: str = "auto"  # "auto", "split" (branch and bound without SCIP's MILP), "milp" (one big-M MILP per disjunct)
    rule: str = "auto"  # split rule: "auto" or one of heuristics.splits.RULES
    batch: int = 0  # nodes bounded at a time; 0: by the network's size
    kernel: str = "auto"  # linear bounds: "auto", "compiled" (numba, narrow dense networks), "plain" (numpy)
    rows: str = "auto"  # multi-neuron rows: "auto" (small deep networks), "never", "always" (all deep ones, and nodes)
    trust_scip: bool = False  # whether SCIP's word, in floats, closes what nothing else proves
    clip: bool = True  # shrink boxes by the nodes' own bounds
    log: str = ""  # file that the ladder's decisions are written to, "" for none
    progress: bool = False  # show a bar
    picture: str = ""  # file (.png, .svg, .pdf) that the partition and the split tree are drawn into, "" for none
    picture_inputs: str = ""  # "I,J": inputs that span the drawn slice; "": two that show many cells

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method {self.method!r}: expected one of {', '.join(METHODS)}")
        if self.kernel not in ("auto", "compiled", "plain"):
            raise ValueError(f"kernel {self.kernel!r}: expected auto, compiled or plain")
        if self.rows not in ("auto", "never", "always"):
            raise ValueError(f"rows {self.rows!r}: expected auto, never or always")
        for name in ("timeout", "jobs", "memory_mb", "nodes"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} = {getattr(self, name)}: expected a positive number")
        if self.picture_inputs and not self.picture:
            raise ValueError("picture_inputs: there is no picture to choose inputs for")
        if self.seed < 0:
            raise ValueError(f"seed = {self.seed}: expected no negative number")
        if self.rule != "auto":
            from ...heuristics.splits.splits import RULES

            if self.rule not in RULES:
                raise ValueError(f"rule {self.rule!r}: expected auto or one of {', '.join(RULES)}")
        if self.batch < 0:
            raise ValueError(f"batch = {self.batch}: expected 0 (automatic) or a positive number")
