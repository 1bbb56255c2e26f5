"""Triangle LPs of threads on one query: one a thread, changed in place from node to node (`lp.TriangleLP`)."""

from __future__ import annotations

import threading

from ...instances.batch import Node
from ...instances.query import Query
from .lp import TriangleLP

__all__ = ["ThreadLPs"]


class ThreadLPs:
    """The triangle LPs of one query, one a thread."""

    def __init__(self, query: Query) -> None:
        self.query, self._local = query, threading.local()

    @property
    def last(self) -> TriangleLP:
        """This thread's, as it was left. Raises AttributeError before its first node."""
        model: TriangleLP = self._local.model
        return model

    def at(self, node: Node) -> TriangleLP:
        """This thread's, on this node. Raises ValueError as `TriangleLP` does."""
        model: TriangleLP | None = getattr(self._local, "model", None)
        if model is None:
            model = self._local.model = TriangleLP(self.query, node)
        else:
            model.update(node)
        return model
