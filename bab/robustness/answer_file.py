"""The answers of a data set: asked one after another or in several processes, each in the csv before the next."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from ...instances.network import Array
from ..run.row_file import Row, appending, former_rows
from ..run.side_by_side import side_by_side
from .samples import Answer, Samples

__all__ = ["COLUMNS", "all_answers"]

COLUMNS: Mapping[str, Callable[[str], Any]] = {
    "index": int, "label": int, "predicted": int, "epsilon": float, "status": str, "other": int, "distance": float,
    "seconds": float, "reason": str,
}  # fmt: skip
assert list(COLUMNS) == [f.name for f in fields(Answer)][: len(COLUMNS)]


def all_answers(
    samples: Samples, inputs: Array, labels: Array, jobs: int, path: Path | None, settings: Mapping[str, Any],
    resume: bool,
) -> list[Answer]:  # fmt: skip
    """Every input [N, n] at every distance; those that the csv `path` holds are not asked again.

    jobs: processes; settings: what the answers depend on, kept beside the csv.
    Raises InputError where the csv holds answers and `resume` is not asked for, or they have other settings.
    """
    rows = former_rows(path, COLUMNS, settings, resume) if path else []
    found = [Answer(**row) for row in rows]
    done = {(a.index, a.epsilon) for a in found}
    total = len(inputs) * len(samples.epsilons)
    left = [i for i in range(len(inputs)) if any((i, e) not in done for e in samples.epsilons)]
    asked = [(i, inputs[i], int(labels[i]), frozenset(e for e in samples.epsilons if (i, e) in done)) for i in left]
    writing: Any = appending(path, tuple(COLUMNS), rows) if path else nullcontext(_nowhere)
    with writing as append:
        try:
            for answer in _counted(_answered(samples, asked, jobs), total, len(found)):
                append({name: getattr(answer, name) for name in COLUMNS})
                found.append(answer)
        except KeyboardInterrupt:
            more = f"; {path} has them, --resume goes on" if path else ""
            print(f"{len(found)} of {total} answers so far{more}", file=sys.stderr)
            raise
    return sorted(found, key=lambda a: (a.index, a.epsilon))


_Asked = tuple[int, Array, int, frozenset[float]]


def _answered(samples: Samples, asked: Sequence[_Asked], jobs: int) -> Iterator[Answer]:
    if jobs == 1:
        for index, x, label, done in asked:
            yield from samples.answers(index, x, label, done.__contains__)
        return
    for answers in side_by_side(partial(_answers, samples), asked, jobs):
        yield from answers


def _answers(samples: Samples, asked: _Asked) -> list[Answer]:
    index, x, label, done = asked
    return list(samples.answers(index, x, label, done.__contains__))


def _counted(answers: Iterator[Answer], total: int, done: int) -> Iterator[Answer]:
    """The same answers, with a bar where there is a terminal."""
    from tqdm import tqdm

    yield from tqdm(answers, total=total, initial=done, unit="answer", disable=None, leave=False)


def _nowhere(row: Row) -> None:
    """Where no csv is asked for."""
