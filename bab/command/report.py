"""A result for people, scripts and competitions: a few lines, one JSON object, VNN-COMP's result file."""

from __future__ import annotations

import json
import math
from typing import Any

from ...instances.judges.witness import Witness, witness_text
from ...instances.network import Array
from ..run.result import Result

__all__ = ["json_text", "result_file_text", "summary"]

SHOWN = 10  # inputs (or outputs) up to which a vector is printed in full


def summary(result: Result, verbose: bool = False) -> list[str]:
    """The verdict, then at most five lines; with `verbose` all statistics and the whole witness too."""
    lines = [result.verdict]
    if result.reason:
        lines.append(f"reason: {result.reason}")
    lines.append(f"time:   {_effort(result)}")
    told = result.bound or result.verdict not in ("unsat", "closed")  # of these two no more than the sign is known
    if math.isfinite(result.bound) and result.verdict != "sat" and told:
        lines.append(f"bound:  the worst margin is at least {result.bound:.6g}")
    if result.witness:
        lines += _witness_lines(result.witness)
    if result.notes:
        lines.append(f"note:   {'; '.join(result.notes)}")
    if result.real_counterexample and (verbose or len(result.real_counterexample) <= SHOWN):
        lines.append(f"input:  {' '.join(map(str, result.real_counterexample))} (of the real-valued network)")
    if verbose:
        lines += [f"{name}: {value:g}" for name, value in sorted(result.statistics.items())]
        lines += witness_text(result.witness).split("\n") if result.witness else []
    return lines


def json_text(result: Result) -> str:
    """One JSON object on one line; numbers that JSON cannot write (infinities) are null."""
    witness = result.witness
    fields: dict[str, Any] = {
        "verdict": result.verdict,
        "reason": result.reason,
        "bound": _finite(result.bound),
        "evidence": result.evidence,
        "seconds": result.seconds,
        "statistics": {name: _finite(value) for name, value in sorted(result.statistics.items())},
        "notes": list(result.notes),
        "witness": None,
    }
    if result.real_counterexample:
        fields["real_counterexample"] = [str(x) for x in result.real_counterexample]
    if witness:
        fields["witness"] = {
            "input": witness.input.tolist(), "output": witness.output.tolist(), "rounded": witness.rounded,
            "case": witness.case, "disjunct": witness.disjunct, "forbidden": witness.forbidden,
            "written": {str(i): decimal for i, decimal in sorted(witness.written.items())},
        }  # fmt: skip
    return json.dumps(fields, allow_nan=False)


def result_file_text(result: Result) -> str:
    """VNN-COMP's result file: the verdict, and for `sat` the witness from the second line on.

    >>> result_file_text(Result("unsat"))
    'unsat\\n'
    """
    return "\n".join([result.verdict] + ([witness_text(result.witness)] if result.witness else [])) + "\n"


def _effort(result: Result) -> str:
    known = result.statistics
    parts = [f"{result.seconds:.2f} s"]
    if "nodes" in known:
        parts.append(f"{known['nodes']:.0f} node{'' if known['nodes'] == 1 else 's'}")
    if "memory_mb" in known:
        parts.append(f"{known['memory_mb']:.0f} MB")
    return ", ".join(parts)


def _witness_lines(witness: Witness) -> list[str]:
    note = " (rounded to the nearest float32, see the documentation)" if witness.rounded else ""
    decimals = [witness.decimal(i) for i in range(min(len(witness.input), SHOWN + 1))]
    outputs = [repr(float(v)) for v in witness.output[: SHOWN + 1]]
    return [f"input:  {_shown(witness.input, decimals)}{note}", f"output: {_shown(witness.output, outputs)}"]


def _shown(values: Array, decimals: list[str]) -> str:
    if len(values) <= SHOWN:
        return " ".join(decimals)
    return f"{len(values)} numbers from {values.min():.6g} to {values.max():.6g}; --result FILE has them all"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
