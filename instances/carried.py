"""The small instances that come with the package, under `data/`; `data/README.md` says what each is."""

from __future__ import annotations

import csv
from pathlib import Path

from .errors import InputError

__all__ = ["carried", "carried_instances", "carried_verdicts"]

DATA = Path(__file__).resolve().parent / "data"


def carried(name: str) -> Path:
    """Path of a carried file.

    Raises InputError, with the names there are, for any other name.
    """
    path = DATA / name
    if Path(name).name != name or not path.is_file():
        names = ", ".join(sorted(p.name for p in DATA.glob("*") if p.is_file()))
        raise InputError(f"{name}: no such carried file; there are {names}")
    return path


def carried_instances() -> list[tuple[Path, Path]]:
    """(network, property) of each line of instances.csv, in its order."""
    with carried("instances.csv").open(newline="", encoding="utf-8") as lines:
        return [(carried(onnx), carried(vnnlib)) for onnx, vnnlib, _ in csv.reader(lines)]


def carried_verdicts() -> dict[tuple[str, str], str]:
    """(onnx, vnnlib) file names -> "sat" or "unsat", from truth.csv."""
    with carried("truth.csv").open(newline="", encoding="utf-8") as lines:
        return {(row["onnx"], row["vnnlib"]): row["verdict"] for row in csv.DictReader(lines)}
