"""The answers of a data set: asked one after another or in several processes, each in the csv before the next."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path
from typing import Any

from ...instances.network import Array
from ..run.exit_codes import UNDECIDED
from ..run.row_file import Row, appending, former_rows
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
    if jobs == 1 or len(asked) < 2:
        for index, x, label, done in asked:
            yield from samples.answers(index, x, label, done.__contains__)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, _begin, (samples,)) as pool:
        futures = [pool.submit(_answer, *one) for one in asked]
        try:
            for future in as_completed(futures):
                yield from future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise


_SAMPLES: list[Samples] = []  # of a worker


def _begin(samples: Samples) -> None:
    """In a worker: Ctrl-C is the parent's to hear, and without a parent there is nothing to do."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _SAMPLES[:] = [samples]
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(UNDECIDED)

    threading.Thread(target=watch, daemon=True).start()


def _answer(index: int, x: Array, label: int, done: frozenset[float]) -> list[Answer]:
    return list(_SAMPLES[0].answers(index, x, label, done.__contains__))


def _counted(answers: Iterator[Answer], total: int, done: int) -> Iterator[Answer]:
    """The same answers, with a bar where there is a terminal."""
    from tqdm import tqdm

    yield from tqdm(answers, total=total, initial=done, unit="answer", disable=None, leave=False)


def _nowhere(row: Row) -> None:
    """Where no csv is asked for."""
