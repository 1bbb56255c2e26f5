"""Records as plain data: what JSON says of a tree of dataclasses, and its arrays in columns.

A record is a dataclass whose fields are arrays, numbers, texts, other records, lists or counters of these, or None.
Its shape is taken from its type hints, so a field that is added to `Batch` is kept without a word here; one that is
marked `here` belongs to the process and is left out. All arrays of
one field, over all records of a list, lie one after another in one column: a stack of a thousand small batches makes
as many columns as one.
"""

from __future__ import annotations

import types
import typing
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import IntEnum
from functools import cache
from typing import Any

import numpy as np

from ...instances.errors import InputError
from ...instances.network import Array

__all__ = ["Columns", "packed", "unpacked"]

KINDS = "biuf"  # of numbers that an array may hold


class Columns:
    """Arrays by name, each with all that was appended to it."""

    def __init__(self) -> None:
        self.parts: dict[str, list[Array]] = {}

    def append(self, name: str, array: Array) -> list[Any]:
        """Keep an array; returns what finds it again: [column, *shape]."""
        column = f"{name}.{array.dtype.str[1:]}"
        self.parts.setdefault(column, []).append(array.reshape(-1))
        return [column, *array.shape]

    def joined(self) -> dict[str, Array]:
        """The columns, [numbers] each."""
        return {name: np.concatenate(parts) for name, parts in self.parts.items()}


def packed(record: Any, columns: Columns, name: str = "") -> Any:
    """What JSON says of a record; its arrays go to the columns. Raises TypeError for what is none."""
    if isinstance(record, np.ndarray):
        if record.dtype.kind not in KINDS:
            raise TypeError(f"{name}: an array of {record.dtype}")
        return columns.append(name, record)
    if is_dataclass(record) and not isinstance(record, type):
        kept = _hints(type(record))
        return {key: packed(getattr(record, key), columns, f"{name}.{key}".strip(".")) for key in kept}
    if isinstance(record, Counter):
        return {(key.name if isinstance(key, IntEnum) else str(key)): value for key, value in record.items()}
    if isinstance(record, (list, tuple)):
        return [packed(part, columns, name) for part in record]
    if isinstance(record, np.generic):
        return record.item()
    if record is None or isinstance(record, (bool, int, float, str, dict)):
        return record
    raise TypeError(f"{name}: {type(record).__name__} is no plain data")


def unpacked(kind: Any, told: Any, arrays: dict[str, Array]) -> Any:
    """The record of type `kind` that was packed so. Raises InputError where the data are of no such record."""
    return _Reader(arrays).read(kind, told, "")


class _Reader:
    """Takes the columns' parts in the order in which they were appended."""

    def __init__(self, arrays: dict[str, Array]) -> None:
        self.arrays = arrays
        self.places = dict.fromkeys(arrays, 0)

    def read(self, kind: Any, told: Any, name: str) -> Any:
        """A value of a type, as its hint says."""
        origin, inner = typing.get_origin(kind) or kind, typing.get_args(kind)
        if origin in (types.UnionType, typing.Union):
            some = next(k for k in inner if k is not type(None))
            return None if told is None else self.read(some, told, name)
        if origin is np.ndarray:
            return self._array(told, name)
        if isinstance(origin, type) and is_dataclass(origin):
            hints = _hints(origin)
            _expect(isinstance(told, dict) and set(told) == set(hints), name, f"the fields of {kind.__name__}")
            # in the order in which they were packed
            return kind(**{key: self.read(hint, told[key], f"{name}.{key}".strip(".")) for key, hint in hints.items()})
        if origin is Counter:
            return Counter(dict(self._counts(inner[0], told, name)))
        if origin is list:
            _expect(isinstance(told, list), name, "a list")
            return [self.read(inner[0], part, name) for part in told]
        if origin is float:
            _expect(isinstance(told, (int, float)) and not isinstance(told, bool), name, "a number")
            return float(told)
        _expect(type(told) is origin, name, f"a value of type {origin.__name__}")
        return told

    def _counts(self, key: Any, told: Any, name: str) -> Iterator[tuple[Any, Any]]:
        _expect(isinstance(told, dict), name, "counts by their names")
        for word, count in told.items():
            _expect(isinstance(count, (int, float)) and not isinstance(count, bool), name, "counts")
            if isinstance(key, type) and issubclass(key, IntEnum):
                _expect(word in key.__members__, name, f"names of {key.__name__}, not {word!r}")
                yield key[word], count
            else:
                yield word, count

    def _array(self, told: Any, name: str) -> Array:
        _expect(isinstance(told, list) and len(told) > 0 and told[0] in self.arrays, name, "an array")
        column, *shape = told
        _expect(all(type(n) is int and n >= 0 for n in shape), name, "a shape")
        count, start = int(np.prod(shape, dtype=object)), self.places[column]
        _expect(start + count <= len(self.arrays[column]), name, f"{count} numbers")
        self.places[column] = start + count
        return self.arrays[column][start : start + count].reshape(shape).copy()


@cache
def _hints(kind: type) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {f.name: hints[f.name] for f in fields(kind) if not f.metadata.get("here")}


def _expect(holds: bool, name: str, wanted: str) -> None:
    if not holds:
        raise InputError(f"{name or 'record'}: expected {wanted}")
