"""Several ONNX files run as one: each gets its part of the input, and their outputs are set side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..network import Array
from .runtime import Float, Grid, Session

__all__ = ["JoinedSession"]


class JoinedSession:
    """Sessions that stand in for one; see `Session`, whose fields and methods it has as far as others need them.

    All floats are of the coarsest type that one of the files takes; its values are values of the others' types.
    """

    def __init__(self, sessions: Sequence[Session], sizes: Sequence[int]) -> None:
        self.sessions, self.ends = tuple(sessions), np.cumsum(sizes)
        self.dtype: Float = min((s.dtype for s in sessions), key=lambda kind: np.dtype(kind).itemsize)
        self.note = "; ".join(dict.fromkeys(s.note for s in sessions if s.note))

    @property
    def grid(self) -> Grid:
        """Which numbers each part of x may hold."""
        parts = []
        for session, end in zip(self.sessions, self.ends.tolist(), strict=True):
            first = end - max(part.stop for part, _ in session.grid)
            parts += [(slice(first + part.start, first + part.stop), kind) for part, kind in session.grid]
        return tuple((part, self.dtype if np.dtype(kind).kind == "f" else kind) for part, kind in parts)

    def pieces(self, x: Array) -> list[tuple[Session, Array]]:
        """Every session with its part of x [..., n]."""
        return list(zip(self.sessions, np.split(x, self.ends[:-1], axis=-1), strict=True))

    def single(self, x: Array) -> Array:
        """Output [m] for one input [n]."""
        return np.concatenate([session.single(part) for session, part in self.pieces(x)])

    def run(self, x: Array) -> Array:
        """Outputs [B, m] for inputs [B, n]."""
        outputs: list[Any] = [session.run(part) for session, part in self.pieces(x)]
        return np.concatenate(outputs, axis=1)
