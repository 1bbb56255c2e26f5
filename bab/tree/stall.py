"""Whether a tree is getting on, told by its nodes: a stage that is one of several leaves a tree that is not.

A node at depth d is 2^-d of the tree. Where a search comes to its end, every doubling of its nodes takes a good part of
what is still open; where it does not, what is open stays nearly the same while the nodes double and double again, and
another stage is the better bet. Nodes are counted, not seconds, so that no other work on the machine has a say.
"""

from __future__ import annotations

from ...heuristics.efforts import StallEffort
from .tree import Tree

__all__ = ["STALLED", "Stall"]

STALLED = "the tree hardly closes"  # why a stage ends that is not the last one


class Stall:
    """Asked between rounds, from a stage's beginning."""

    def __init__(self, least: int, effort: StallEffort | None = None) -> None:
        """least: nodes that a tree is given first."""
        self.least, self.effort = least, effort or StallEffort()
        self.marks: list[tuple[int, float]] = []  # (nodes, share of the tree that is open), a mark every few per cent

    def __call__(self, tree: Tree) -> str:
        """STALLED where the last doubling of the tree's nodes has closed too little, else ""."""
        if self.marks and tree.size < self.effort.step * self.marks[-1][0]:
            return ""
        left = tree.open_share
        self.marks.append((tree.size, left))
        before = [share for size, share in self.marks if 2 * size <= tree.size]
        if tree.size < self.least or not before:
            return ""
        return STALLED if left > (1.0 - self.effort.closes) * before[-1] else ""
