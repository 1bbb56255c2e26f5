"""What constructors ask of the numbers that they are given: shape, type, finiteness; each fault in one sentence."""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np

from .errors import InputError
from .sparse import is_sparse, sp

__all__ = ["finite_array", "finite_matrix", "plain", "whole_number"]


def plain(value: Any) -> Any:
    """What numpy can read of a framework's tensor, which may keep track of gradients or lie on another device.

    One integer of any kind becomes Python's own.
    """
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu()
    if isinstance(value, (bool, int, float)):
        return value
    try:
        return index(value)
    except (TypeError, ValueError, RuntimeError):
        return value


def finite_array(value: Any, shape: tuple[int | None, ...], name: str, error: type[InputError]) -> Any:
    """The value as a float64 array of finite numbers, itself where it is one already.

    shape: None for an axis of any length. Raises `error`, with the field's `name`, for anything else.
    """
    try:
        given = np.asarray(value)
    except ValueError:  # lists of different lengths
        raise error(f"{name}: expected an array of numbers, its rows are of different lengths") from None
    if given.dtype.kind not in "fiub" or given.dtype.itemsize > 8:
        raise error(f"{name}: entries of type {given.dtype}, expected numbers that float64 holds")
    if given.ndim != len(shape) or any(e is not None and e != s for s, e in zip(given.shape, shape, strict=True)):
        wanted = ", ".join("any" if e is None else str(e) for e in shape) + ("," if len(shape) == 1 else "")
        raise error(f"{name}: shape {given.shape}, expected ({wanted})")
    array = given.astype(np.float64, copy=False)
    if given.dtype.kind in "iu" and not np.array_equal(array.astype(given.dtype), given):
        raise error(f"{name}: integers that float64 does not hold")
    if not np.isfinite(array).all():
        where = tuple(np.argwhere(~np.isfinite(array))[0].tolist())
        raise error(f"{name}: {array[where]} at {list(where)}, expected finite numbers")
    return array


def finite_matrix(value: Any, shape: tuple[int | None, int | None], name: str, error: type[InputError]) -> Any:
    """The same for a matrix that may be sparse, which becomes a csr_array."""
    if not is_sparse(value):
        return finite_array(value, shape, name, error)
    if value.ndim != 2 or any(e is not None and e != s for s, e in zip(value.shape, shape, strict=True)):
        raise error(f"{name}: shape {value.shape}, expected {shape}")
    rows = value if isinstance(value, sp.csr_array) else sp.csr_array(value)
    data = finite_array(rows.data, (None,), f"{name}, stored entries", error)
    return rows if data is rows.data else rows.astype(np.float64)


def whole_number(value: Any, least: int, name: str, error: type[InputError]) -> None:
    """Raise `error` unless the value is an integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise error(f"{name}: {value!r}, expected an integer of at least {least}")
