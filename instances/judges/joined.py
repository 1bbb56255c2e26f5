"""Several ONNX files run as one: each gets its part of the input, and their outputs are set side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..network import Array
from .runtime import Float, Session

__all__ = ["JoinedSession"]


class JoinedSession:
    """Sessions that stand in for one; see `Session`, whose fields and methods it has as far as others need them.

    All inputs are of the coarsest type that one of the files takes; its values are values of the others' types.
    """

    def __init__(self, sessions: Sequence[Session], sizes: Sequence[int]) -> None:
        self.sessions, self.ends = tuple(sessions), np.cumsum(sizes)
        self.dtype: Float = min((s.dtype for s in sessions), key=lambda kind: np.dtype(kind).itemsize)
        self.note = "; ".join(dict.fromkeys(s.note for s in sessions if s.note))

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
