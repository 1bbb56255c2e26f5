"""Rows of a long work: every one is in a csv before the next is begun, and `--resume` goes on behind the last one."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...instances.errors import InputError
from ...instances.files import open_text

__all__ = ["Row", "appending", "former_rows"]

Row = dict[str, Any]  # plain values: str, int or float


def former_rows(
    path: Path, columns: Mapping[str, Callable[[str], Any]], settings: Mapping[str, Any], resume: bool
) -> list[Row]:
    """The rows of an earlier run with the same settings, none where there was no such run.

    columns: of the csv, each with the type that reads it back; settings: plain values, kept beside the csv.
    Raises InputError where there are rows already and `resume` is not asked for, or they have other settings.
    """
    beside = path.with_suffix(".options.json")
    said = json.dumps(settings)
    rows = _read_rows(path, columns) if path.exists() else []
    if not rows:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(said + "\n", encoding="utf-8")
        return []
    if not resume:
        raise InputError(f"{path}: exists; --resume goes on with it, or choose another place")
    before = open_text(beside).read().strip()
    if before != said:
        raise InputError(f"{path}: was begun with the options {before}, not {said}")
    return rows


def _read_rows(path: Path, columns: Mapping[str, Callable[[str], Any]]) -> list[Row]:
    """Rows of a csv; a last line that was cut off in writing is left out."""
    with open_text(path) as file:
        reader = csv.reader(file)
        if next(reader, None) != list(columns):
            raise InputError(f"{path}: expected the columns {','.join(columns)}")
        lines = list(reader)
    whole = path.read_bytes().endswith(b"\n")
    try:
        return [
            {name: kind(cell) for (name, kind), cell in zip(columns.items(), line, strict=True)}
            for line in (lines if whole else lines[:-1])
        ]
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error


@contextmanager
def appending(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> Iterator[Callable[[Row], None]]:
    """A callable that puts a row into the csv at once; `rows` are in it already."""
    fresh = path.with_suffix(".new")  # renamed when complete: an end just now costs none of the former rows
    with open(fresh, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        file.flush()
        os.replace(fresh, path)

        def append(row: Row) -> None:
            writer.writerow(row)
            file.flush()

        yield append
