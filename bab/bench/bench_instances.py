"""VNN-COMP's instance lists: csv rows `onnx,vnnlib,timeout`, paths relative to the list's folder.

A folder stands for all FAMILY/instances.csv in it; the family of a list is the name of its folder.
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from ...instances.errors import InputError
from ...instances.files import open_text
from ..run.networks import named_networks

__all__ = ["Instance", "Key", "read_instances", "select"]

Key = tuple[str, str, str]  # family, onnx, vnnlib as the list writes them


@dataclass(frozen=True)
class Instance:
    """One row of a list."""

    family: str
    onnx: str  # as the list writes it
    vnnlib: str
    timeout: float  # seconds
    folder: Path  # what the paths are relative to

    @property
    def key(self) -> Key:
        """What identifies the instance in results and in lists of known verdicts."""
        return (self.family, self.onnx, self.vnnlib)

    @property
    def network(self) -> Path:
        """Where the network is; the file itself may be NAME.gz."""
        return self.folder / self.onnx

    @property
    def networks(self) -> Path | dict[str, Path]:
        """The same, or files by their names where there are several networks.

        Raises InputError for a list of networks that cannot be read.
        """
        named = named_networks(self.onnx)
        return self.folder / named if isinstance(named, str) else {n: self.folder / path for n, path in named.items()}

    @property
    def network_word(self) -> str:
        """The same as a word of a command line."""
        where = self.networks
        return str([(n, str(path)) for n, path in where.items()]) if isinstance(where, dict) else str(where)

    @property
    def property(self) -> Path:
        """Where the property is."""
        return self.folder / self.vnnlib


def read_instances(lists: Iterable[Path]) -> list[Instance]:
    """All instances of lists and folders of lists, in their order, each once.

    Raises InputError, naming list and line, for a missing list or a malformed row.
    """
    found: dict[Key, Instance] = {}
    for path in lists:
        for file in _files(path):
            for instance in _read(file):
                found.setdefault(instance.key, instance)
    if not found:
        raise InputError(f"{', '.join(map(str, lists))}: no instances")
    return list(found.values())


def select(instances: Sequence[Instance], globs: Sequence[str], limit: int | None) -> list[Instance]:
    """Those of which family, network, property or the three with blanks between match one of `globs`, if any.

    limit: at most so many of each family, evenly spread over its list.
    """
    kept = [i for i in instances if not globs or any(_matches(i, glob) for glob in globs)]
    if limit is None:
        return kept
    families: dict[str, list[Instance]] = defaultdict(list)
    for instance in kept:
        families[instance.family].append(instance)
    return [x for rows in families.values() for x in _spread(rows, limit)]


def _spread(rows: list[Instance], limit: int) -> list[Instance]:
    if len(rows) <= limit:
        return rows
    return [rows[i * len(rows) // limit] for i in range(limit)]


def _matches(instance: Instance, glob: str) -> bool:
    return any(fnmatch(text, glob) for text in (*instance.key, " ".join(instance.key)))


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    here = path / "instances.csv"
    files = [here] if here.exists() else sorted(path.glob("*/instances.csv*"))
    if not files:
        raise InputError(f"{path}: expected instances.csv in this folder or in the folders below")
    return files


def _read(path: Path) -> list[Instance]:
    folder = path.resolve().parent
    instances = []
    with open_text(path) as file:
        for number, row in enumerate(csv.reader(file, skipinitialspace=True), start=1):
            row = [cell.strip() for cell in row]
            if not any(row) or (number == 1 and row[:2] == ["onnx", "vnnlib"]):
                continue
            if len(row) < 3 or not row[0] or not row[1]:
                raise InputError(
                    f"{path}, line {number}: expected `onnx,vnnlib,timeout`, found {','.join(row)!r}"
                )
            instances.append(
                Instance(folder.name, row[0], row[1], _seconds(row[2], f"{path}, line {number}"), folder)
            )
    return instances


def _seconds(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise InputError(f"{where}: timeout {text!r} is no number") from error
    if not 0.0 < value < math.inf:
        raise InputError(f"{where}: timeout {text} is not positive")
    return value
