"""What a node of the search tree is: open, split, stuck, or ended by one kind of evidence.

Every ended node has exactly one `Evidence`. The verdict's reason, the statistics, the picture and the report are
derived from these; nothing else remembers how something was closed.
"""

from __future__ import annotations

from collections import Counter
from enum import IntEnum

__all__ = ["Evidence", "State", "told"]


class State(IntEnum):
    """What a node is as long as it has not ended; codes below all of `Evidence`."""

    OPEN = 0  # waits, or is worked on
    SPLIT = 1  # its children cover it
    STUCK = 2  # no step could close it and no float could split it
    WITNESS = 3  # holds a counterexample: said of a drawn tree only


class Evidence(IntEnum):
    """What ended a node: why no input of its region is a counterexample. docs/verdicts.md explains each."""

    LINEAR = 10  # linear bounds, one row of each disjunct positive
    TOGETHER = 11  # linear bounds of a disjunct's rows and the half-spaces, taken together
    SLOPES = 12  # linear bounds with optimised slopes and multipliers
    EMPTY = 13  # half-spaces, phases and bounds of the node contradict each other
    CLIPPED = 14  # the margins' linear bounds leave nothing of the box
    GROUPS = 15  # rows of several neurons
    LP = 16  # the triangle LP's safe dual bound
    REGION = 17  # an activation region's LP, safe dual bound
    EXACT = 18  # exact arithmetic
    CONFLICTS = 19  # conflict-driven search
    SCIP = 20  # SCIP's word, in floats
    PROBING = 21  # both phases of a ReLU contracted to nothing
    CERTIFICATE = 22  # no ReLU changes its phase in the box: the simplex certificate
    BRANCHED = 23  # linear bounds behind hidden bounds that have trees of their own

    @property
    def rigorous(self) -> bool:
        """Whether it holds in spite of all rounding."""
        return self is not Evidence.SCIP

    @property
    def words(self) -> str:
        """As the reason of a verdict says it."""
        return _WORDS[self]


_WORDS = {
    Evidence.LINEAR: "linear bounds",
    Evidence.TOGETHER: "rows tested together",
    Evidence.SLOPES: "optimised linear bounds",
    Evidence.EMPTY: "empty regions",
    Evidence.CLIPPED: "clipping",
    Evidence.GROUPS: "multi-neuron rows",
    Evidence.LP: "triangle LP",
    Evidence.REGION: "activation regions",
    Evidence.EXACT: "exact arithmetic",
    Evidence.CONFLICTS: "conflict-driven search",
    Evidence.SCIP: "scip-float",
    Evidence.PROBING: "probing",
    Evidence.CERTIFICATE: "certificates",
    Evidence.BRANCHED: "branched hidden bounds",
}


def told(evidence: Counter[Evidence]) -> str:
    """The kinds of evidence in words: what is not rigorous first, then by how many nodes rest on it.

    >>> told(Counter({Evidence.LINEAR: 7, Evidence.CLIPPED: 9, Evidence.SCIP: 1}))
    'scip-float, clipping, linear bounds'
    """
    order = sorted((e for e in evidence if evidence[e]), key=lambda e: (e.rigorous, -evidence[e], e))
    return ", ".join(e.words for e in order)
