"""What an ascent found for the disjuncts of nodes: a warm start for the nodes' children.

Whatever the numbers are, the bounds made of them are true, so they may wait in float16 (`Multipliers.halved`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from .network import Array

__all__ = ["Multipliers"]

LARGEST = 6e4  # of what waits in float16, which ends soon after; any multiplier >= 0 is valid


@dataclass(frozen=True, eq=False)
class Multipliers:
    """Numbers of B nodes' disjuncts, or, with one leading axis, of P pairs (node, disjunct); NaN where there are none.

    A neuron is either unstable and has a slope, or was split and has a multiplier, so one array holds both, told apart
    by their sign: slopes are >= 0, multipliers are stored negated (0 as -0.0). A child that splits an unstable neuron
    finds its slope there, not negative, and starts from the multiplier that keeps the parent's lower line.
    """

    signed: Array  # [B, disjuncts, neurons] a slope of the lower line in [0, 1], or minus a multiplier: see above
    logits: Array  # [B, disjuncts, rows] of the weights of the disjunct's rows (`encodings.slopes.disjunct_bounds`)
    mus: Array  # [B, disjuncts, rows of the pool] >= 0, of multi-neuron rows; 0 columns where no pool is used

    @staticmethod
    def none(leading: tuple[int, ...], neurons: int, rows: int, pool: int, dtype: Any = np.float32) -> Multipliers:
        """NaN for so many nodes and disjuncts."""
        return Multipliers(*(np.full((*leading, width), np.nan, dtype=dtype) for width in (neurons, rows, pool)))

    def __len__(self) -> int:
        return len(self.signed)

    @property
    def width(self) -> int:
        """Numbers of a node, or of a pair."""
        return sum(int(np.prod(a.shape[1:])) for a in self._arrays)

    def __getitem__(self, index: Any) -> Multipliers:
        """Nodes `index` (slice, bool mask or int array), or with two int arrays pairs (node, disjunct)."""
        return Multipliers(*(a[index] for a in self._arrays))

    def __setitem__(self, index: Any, found: Multipliers) -> None:
        """Write in place; `found` is rounded to the numbers' own type."""
        for mine, others in zip(self._arrays, found._arrays, strict=True):
            mine[index] = others

    def single(self) -> Multipliers:
        """A copy in float32, in which the ascent calculates."""
        return Multipliers(*(a.astype(np.float32) for a in self._arrays))

    def halved(self) -> Multipliers:
        """The same in float16, three decimals, cut off at LARGEST: for nodes that wait."""
        return Multipliers(*(np.clip(a, -LARGEST, LARGEST).astype(np.float16) for a in self._arrays))

    @staticmethod
    def concatenate(parts: Sequence[tuple[Multipliers | None, int]]) -> Multipliers | None:
        """Nodes one after another. parts: numbers and how many nodes have them; None where these have none, which
        becomes NaN beside others. None if nobody has any."""
        known = next((found for found, _ in parts if found is not None), None)
        if known is None:
            return None
        columns = [
            [np.full((count, *a.shape[1:]), np.nan, a.dtype) if found is None else getattr(found, name)
             for found, count in parts]
            for name, a in zip(_NAMES, known._arrays, strict=True)
        ]  # fmt: skip
        return Multipliers(*(np.concatenate(column) for column in columns))

    @property
    def _arrays(self) -> tuple[Array, Array, Array]:
        return self.signed, self.logits, self.mus


_NAMES = [f.name for f in fields(Multipliers)]
