"""Back-substitution from bounds that nodes have inherited: no layer is bounded anew."""

from __future__ import annotations

import numpy as np

from ...instances.batch import Batch
from ...instances.network import value_range
from ...instances.query import Query
from ..relaxations.kinds import lines
from .back_substitution import Pass
from .bounds import LinearBoundOptions
from .prepared_layers import prepared_of

__all__ = ["InheritedPass"]


class InheritedPass(Pass):
    """Lines from inherited bounds. Magnitudes, which only errors depend on, are those of all nodes at once, [1, n]."""

    def __init__(self, query: Query, batch: Batch) -> None:
        super().__init__(prepared_of(query), batch, LinearBoundOptions(hidden=False))
        lower, upper = batch.lower.min(axis=0, keepdims=True), batch.upper.max(axis=0, keepdims=True)
        reaches = [np.maximum(np.abs(lower), np.abs(upper))]
        for k, prepared in enumerate(self.prepared.layers, start=1):
            sizes = [np.abs(prepared.layer.bias)[None]]
            for s, w in zip(prepared.layer.sources, prepared.absolute, strict=True):
                sizes.append(reaches[s] @ w.T if isinstance(w, np.ndarray) else (w @ reaches[s].T).T)
            self.magnitudes.append(np.asarray(sum(sizes)))
            if k > len(query.kinds):
                break
            kind, part = query.kinds[k - 1], query.slices[k - 1]
            low, high = batch.pre_lower[:, part], batch.pre_upper[:, part]
            self.lines.append(None if kind == "identity" else lines(kind, low, high))
            if k in self.prepared.products:
                self._pair(k)
            ends = low.min(axis=0, keepdims=True), high.max(axis=0, keepdims=True)
            ends = value_range(kind, *ends)
            reaches.append(np.maximum(np.abs(ends[0]), np.abs(ends[1])))
