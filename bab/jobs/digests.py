"""What a network and a property are, in 64 letters: the SHA-256 of their files and of all that was read from these.

Two networks with the same digest have the same layers in the same order, so a node's bounds and phases mean the same
neurons. A reader that folds the same file otherwise gives another digest.
"""

from __future__ import annotations

import hashlib
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from ...instances.files import read_model_bytes
from ...instances.network import Network
from ...instances.property import Property
from ...instances.sparse import is_sparse

__all__ = ["digest"]

PLACES = ("source",)  # fields that say where something came from, not what it is


def digest(what: Network | Property) -> str:
    """The SHA-256, hexadecimal, of a network with the bytes of its file or files, or of a property with its text.

    Raises InputError where the network's file cannot be read any more.
    """
    total = hashlib.sha256()
    for part in (what.parts or (what,)) if isinstance(what, Network) else ():
        if part.source:
            total.update(hashlib.sha256(read_model_bytes(part.source)).digest())
    _feed(total, what)
    return total.hexdigest()


def _feed(total: Any, value: Any) -> None:
    """Everything with its length before it, so that no two values read the same."""
    if isinstance(value, np.ndarray):
        _feed(total, f"{value.dtype.str} {value.shape}")
        total.update(np.ascontiguousarray(value).tobytes())
    elif is_sparse(value):
        _feed(total, f"sparse {value.shape}")
        for part in (value.data, value.indices.astype(np.int64), value.indptr.astype(np.int64)):
            _feed(total, part)
    elif is_dataclass(value):
        _feed(total, type(value).__name__)
        for f in fields(value):
            if f.name not in PLACES:
                _feed(total, getattr(value, f.name))
    elif isinstance(value, dict):
        _feed(total, sorted(value.items()))
    elif isinstance(value, (list, tuple)):
        total.update(b"%d(" % len(value))
        for part in value:
            _feed(total, part)
    else:
        text = repr(value).encode()
        total.update(b"%d:" % len(text) + text)
