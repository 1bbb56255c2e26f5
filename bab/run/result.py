"""What a run answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from ...instances.judges.replay import Witness
from ...instances.network import Array

__all__ = ["NO_CASE", "NO_INPUT", "VERDICTS", "Result"]

VERDICTS = ("unsat", "sat", "unknown", "timeout")

MEANINGS = {
    "unsat": "the property holds",
    "sat": "the property is violated, by the input below",
    "unknown": "not decided",
    "timeout": "not decided in the time given",
}
COLOURS = {"unsat": "#dcfce7", "sat": "#fee2e2", "unknown": "#fef9c3", "timeout": "#fef9c3"}  # behind the verdict
SHOWN = 10  # numbers of an input or output that a notebook shows

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
    # for sat: the witness's input as the model is called with it, batch axis included and of its own type of numbers;
    # of several inputs, or networks, all numbers one after another
    counterexample: Array | None = None

    def _repr_html_(self) -> str:
        """The result in a notebook: the verdict and its meaning, then how it came about.

        >>> "<b>unsat</b>" in Result("unsat", reason="linear bounds")._repr_html_()
        True
        """
        from html import escape

        rows = [("reason", self.reason), ("time", f"{self.seconds:.2f} s")]
        if "nodes" in self.statistics:
            rows.append(("nodes", f"{self.statistics['nodes']:.0f}"))
        if self.witness:
            shape = "x".join(map(str, self.counterexample.shape)) if self.counterexample is not None else ""
            rows.append((f"input {shape}".strip(), _few(self.witness.input)))
            rows.append(("output", _few(self.witness.output)))
        rows += [("note", note) for note in self.notes]
        body = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in rows if text)
        style = f"background: {COLOURS[self.verdict]}; color: black"
        said = f"<b>{self.verdict}</b>: {MEANINGS[self.verdict]}"
        return f'<table style="text-align: left"><tr style="{style}"><td colspan="2">{said}</td></tr>{body}</table>'


def _few(numbers: Array) -> str:
    text = " ".join(f"{v:.6g}" for v in numbers[:SHOWN])
    return text if len(numbers) <= SHOWN else f"{text} ... ({len(numbers)} numbers)"
