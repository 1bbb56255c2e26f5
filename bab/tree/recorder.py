"""What a tree tells of itself while it grows: one interface for pictures, checks and whatever else listens.

Whoever changes the tree holds the crew's lock, so listeners hear one thing at a time, in an order that a reader can
follow: a node is split or ends only after its parent was split; the numbers of children are those that follow the
largest one so far.
"""

from __future__ import annotations

from ...heuristics.splits.splits import Splits
from ...instances.batch import Batch
from ...instances.network import Array
from .evidence import Evidence

__all__ = ["Recorder"]


class Recorder:
    """Hears everything and keeps nothing."""

    def planted(self, roots: Batch) -> None:
        """The tree begins with these nodes, one for each input set."""

    def ended(self, numbers: Array, evidence: Array) -> None:
        """Nodes [B] have ended, each by an `Evidence` [B]."""

    def stuck(self, numbers: Array) -> None:
        """Nodes [B] can neither be closed nor split; a lemma may still end them."""

    def split(self, parents: Batch, splits: Splits, children: Batch) -> None:
        """Nodes, each with a split, give way to their children: all upper or active ones first, then the others."""

    def lemma(self, refuted: list[int], evidence: Evidence) -> None:
        """Disjuncts are refuted all over the roots, or the roots' hidden bounds have become tighter."""

    def renamed(self, kept: Array) -> None:
        """From now on neuron i is what was neuron kept[i] so far: [neurons left] flat indices."""
