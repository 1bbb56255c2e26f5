"""Rows of results, the csv they are kept in, known verdicts, and a table a family in Markdown.

PAR-2, as in the SAT competitions: the mean over instances of the seconds taken, or of twice the limit where
unsolved.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ...instances.errors import InputError
from ...instances.files import open_text
from .bench_instances import Key

__all__ = ["COLUMNS", "Row", "complaints", "csv_line", "read_rows", "read_truth", "table"]

DECIDED = ("unsat", "sat")


@dataclass(frozen=True)
class Row:
    """One instance, answered; the columns of results.csv."""

    family: str
    onnx: str
    vnnlib: str
    verdict: str  # unsat, sat, unknown, timeout, or error (no verdict was given)
    seconds: float  # wall clock of the whole process
    search_seconds: float  # of the search alone, as it says itself
    peak_mb: float  # resident memory, MB of 10**6 bytes
    nodes: int
    reason: str
    timeout: float  # seconds the instance had
    witness: str  # for sat: "valid", or what is wrong with the witness

    @property
    def key(self) -> Key:
        """What identifies the instance."""
        return (self.family, self.onnx, self.vnnlib)

    @property
    def solved(self) -> bool:
        """Decided within the limit, as competitions count it."""
        return self.verdict in DECIDED and self.seconds <= self.timeout

    @property
    def bad_witness(self) -> bool:
        """Whether `sat` was said without an input that shows it."""
        return self.verdict == "sat" and self.witness != "valid"

    def contradicts(self, truth: Mapping[Key, str]) -> bool:
        """Whether the known verdict is the opposite one, in time or not."""
        known = truth.get(self.key)
        return self.verdict in DECIDED and known in DECIDED and known != self.verdict


COLUMNS = tuple(f.name for f in fields(Row))
_NUMBERS: dict[str, Any] = {
    "seconds": float, "search_seconds": float, "peak_mb": float, "nodes": int, "timeout": float,
}  # fmt: skip


def csv_line(values: Iterable[object]) -> str:
    """One line of csv, with its line end.

    >>> csv_line(["a", 1.5, "x, y"])
    'a,1.5,"x, y"\\n'
    """
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(values)
    return out.getvalue()


def read_rows(path: Path) -> list[Row]:
    """The rows of a results.csv. A last line that was cut off in writing is left out.

    Raises InputError where the file has other columns.
    """
    with open_text(path) as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) not in ((), COLUMNS):
            raise InputError(f"{path}: expected the columns {','.join(COLUMNS)}")
        lines = list(reader)
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(Row(**{name: _NUMBERS.get(name, str)(_present(line[name])) for name in COLUMNS}))
        except ValueError as error:
            if number < len(lines):
                raise InputError(f"{path}, row {number}: {error}") from error
    return rows


def _present(cell: str | None) -> str:
    if cell is None:
        raise ValueError("the row is too short")
    return cell


def read_truth(path: Path) -> dict[Key, str]:
    """Known verdicts by instance; rows that say neither `sat` nor `unsat` are left out.

    Raises InputError where one of the columns family, onnx, vnnlib, verdict is missing.
    """
    with open_text(path) as file:
        reader = csv.DictReader(file)
        missing = {"family", "onnx", "vnnlib", "verdict"} - set(reader.fieldnames or ())
        if missing:
            raise InputError(f"{path}: no column {', '.join(sorted(missing))}")
        return {
            (r["family"], r["onnx"], r["vnnlib"]): r["verdict"] for r in reader if r["verdict"] in DECIDED
        }  # fmt: skip


def complaints(rows: Sequence[Row], truth: Mapping[Key, str]) -> list[str]:
    """One line for each wrong verdict, failing witness and instance without a verdict."""
    lines = []
    for row in rows:
        name = " ".join(row.key)
        if row.contradicts(truth):
            lines.append(f"wrong: {name}: {row.verdict}, known to be {truth[row.key]}")
        if row.bad_witness:
            lines.append(f"wrong: {name}: witness: {row.witness}")
        if row.verdict == "error":
            lines.append(f"error: {name}: {row.reason}")
    return lines


_HEADS = (
    "family", "instances", "unsat", "sat", "unknown", "timeout", "error", "solved", "known", "wrong",
    "time solved (s)", "PAR-2 (s)", "memory (MB)",
)  # fmt: skip


def table(rows: Sequence[Row], truth: Mapping[Key, str]) -> str:
    """A row a family and one for all, in Markdown."""
    families = list(dict.fromkeys(row.family for row in rows))
    cells = [_summary(f, [r for r in rows if r.family == f], truth) for f in families]
    if len(families) > 1:
        cells.append(_summary("**all**", rows, truth))
    widths = [max(len(line[i]) for line in [list(_HEADS), *cells]) for i in range(len(_HEADS))]
    rule = "|" + "|".join("-" * (w + 1) + (":" if i else "-") for i, w in enumerate(widths)) + "|"
    return "\n".join([_line(_HEADS, widths), rule, *(_line(line, widths) for line in cells)])


def _summary(family: str, rows: Sequence[Row], truth: Mapping[Key, str]) -> list[str]:
    verdicts = [r.verdict for r in rows]
    solved = [r.seconds for r in rows if r.solved]
    wrong = sum(r.bad_witness or r.contradicts(truth) for r in rows)
    known = sum(r.key in truth for r in rows)
    par2 = sum(r.seconds if r.solved else 2.0 * r.timeout for r in rows) / max(len(rows), 1)
    counts = [verdicts.count(v) for v in ("unsat", "sat", "unknown", "timeout", "error")]
    memory = max((r.peak_mb for r in rows), default=0.0)
    numbers = [len(rows), *counts, len(solved), known, wrong]
    return [family, *map(str, numbers), f"{sum(solved):.1f}", f"{par2:.2f}", f"{memory:.0f}"]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))]
    return "| " + " | ".join(padded) + " |"


def values(row: Row) -> list[object]:
    """The cells of a row, in the order of COLUMNS."""
    return list(asdict(row).values())
