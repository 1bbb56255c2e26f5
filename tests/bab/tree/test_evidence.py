"""Evidence: what is told of it, and in which order."""

from __future__ import annotations

from collections import Counter

from hypersplit.bab.tree.evidence import Evidence, State, told


def test_what_is_not_rigorous_is_told_first() -> None:
    """Then the kinds by how many nodes rest on them; kinds that nothing rests on are not told."""
    assert told(Counter({Evidence.LINEAR: 5, Evidence.CLIPPED: 6, Evidence.LP: 0})) == "clipping, linear bounds"
    assert told(Counter({Evidence.LINEAR: 5, Evidence.SCIP: 1})) == "scip-float, linear bounds"
    assert [kind for kind in Evidence if not kind.rigorous] == [Evidence.SCIP]
    assert max(State) < min(Evidence)
