"""Outputs of which only the order is known: those of a last Softmax or LogSoftmax, read as their logits.

softmax(z)_i = exp(z_i) / sum_j exp(z_j) is increasing in z_i, and two entries of one vector compare as their logits do.
So a row c y_i - c y_j <= 0 over one vector means the same for both, and no other row does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import PropertyError
from .property import Property

__all__ = ["Readout", "check_rows", "more_than_order"]


@dataclass(frozen=True, eq=False)
class Readout:
    """How the file's outputs follow from the network's.

    For a property that asks more the file is read again with its softmax computed (`bab/reading.py`).
    """

    kinds: tuple[str, ...]  # [outputs] "Softmax", "LogSoftmax", or "" for an output that is the network's own
    vectors: NDArray[np.int64]  # [outputs] outputs of one number are one vector; -1 for the network's own

    def of(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """The file's outputs [batch, outputs] for the network's."""
        result = np.array(y, dtype=np.float64)
        for vector in range(int(self.vectors.max(initial=-1)) + 1):
            places = np.flatnonzero(self.vectors == vector)
            if not len(places):
                continue
            shifted = y[:, places] - y[:, places].max(axis=1, keepdims=True)
            total = np.exp(shifted).sum(axis=1, keepdims=True)
            logs = shifted - np.log(total)
            result[:, places] = logs if self.kinds[places[0]] == "LogSoftmax" else np.exp(shifted) / total
        return result


def more_than_order(readout: Readout | None, prop: Property) -> int | None:
    """The first output of a softmax of which a property asks more than the order, None where there is none."""
    if readout is None:
        return None
    for row, rhs in _rows(prop):
        used = np.flatnonzero(row[: len(readout.kinds)])
        within = readout.vectors[used]
        if not bool((within >= 0).any()):
            continue
        ordered = len(used) == 2 and row[used].sum() == 0.0 and rhs == 0.0 and within[0] == within[1]
        if not ordered or bool(row[len(readout.kinds) :].any()):
            return int(used[np.argmax(within >= 0)])
    return None


def check_rows(readout: Readout | None, prop: Property) -> None:
    """Raise PropertyError for a property that asks more of a softmax's outputs than their order."""
    if readout is not None and (k := more_than_order(readout, prop)) is not None:
        raise PropertyError(
            f"{prop.source or 'property'}: a row over Y_{k}, an output of {readout.kinds[k]} that was read for its "
            "order alone; supported are rows that compare two outputs of one vector, Y_i <= Y_j; give the file itself, "
            "or read it with probabilities=True"
        )


def _rows(prop: Property) -> Iterator[tuple[NDArray[np.float64], float]]:
    for case in prop.cases:
        for polyhedron in case.forbidden:
            yield from zip(polyhedron.rows, polyhedron.rhs.tolist(), strict=True)
