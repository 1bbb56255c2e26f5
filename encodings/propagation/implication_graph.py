"""What signs of pre-activations imply, as a directed graph over literals, and what follows of it by logic alone.

A phase includes its boundary: literal 2 i says z_i >= 0, 2 i + 1 says z_i <= 0, and both hold at z_i = 0. So the
opposite of z_i >= 0 is not the other phase but z_i < 0, and contraposition needs literals of both kinds. Literal a has
two nodes, itself and strictly,
    2 a: weak, 2 a + 1: strict,    not n = n ^ 3,    strict -> weak,
and every edge n -> m comes with not m -> not n: the implication graph of a formula of two-literal clauses (Aspvall,
Plass and Tarjan 1979). The formula has no solution iff some n and not n lie in one strong component; where n reaches
not n, not n holds. Weak literals of one component are equivalent.

What a nogood can say of the graph is a pair of phases: no counterexample has a and b where a reaches the strict
opposite of b. Chains of nogoods do what paths do, so the transitive reduction of these pairs is enough (Aho, Garey and
Ullman 1972).

networkx holds the graph and finds its components and their order. What a component reaches is kept as the bits of one
integer, so that the closure, and the reduction of what is closed, cost a union an edge.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["Closure", "ImplicationGraph", "reduced_edges"]

class ImplicationGraph:
    """Signs that imply each other; literals as in `state.Nogoods`."""

    def __init__(self) -> None:
        import networkx as nx

        self.graph: nx.DiGraph = nx.DiGraph()

    def __len__(self) -> int:
        """Edges, those from strict to weak ones included."""
        return int(self.graph.number_of_edges())

    def imply(self, literal: int, weak: Iterable[int] = (), strict: Iterable[int] = ()) -> None:
        """Wherever `literal` holds the literals `weak` do, and those of `strict` do not even hold with equality."""
        start = 2 * literal
        ends = [2 * other for other in weak] + [2 * other + 1 for other in strict]
        for node in (start, *ends):
            self._know(node)
        self.graph.add_edges_from((start, end) for end in ends)
        self.graph.add_edges_from((end ^ 3, start ^ 3) for end in ends)

    def _know(self, node: int) -> None:
        """The neuron's four nodes, with what holds of any number."""
        if node not in self.graph:
            first = node & ~3
            self.graph.add_edges_from(((first + 1, first), (first + 3, first + 2)))

    def closed(self) -> Closure:
        """What follows as the graph is now."""
        return Closure(self.graph)


class Closure:
    """The graph's components and what each reaches, itself included."""

    def __init__(self, graph: nx.DiGraph) -> None:
        import networkx as nx

        self.components = nx.condensation(graph)
        self.component: dict[int, int] = self.components.graph["mapping"]
        self.reach: dict[int, int] = {}  # component -> bits of the components
        for c in reversed(list(nx.topological_sort(self.components))):
            bits = 1 << c
            for after in self.components.successors(c):
                bits |= self.reach[after]
            self.reach[c] = bits

    def reaches(self, node: int, other: int) -> bool:
        """Whether a path leads from one node to another."""
        return bool(self.reach[self.component[node]] >> self.component[other] & 1)

    def implies(self, literal: int, other: int, strictly: bool = False) -> bool:
        """Whether `other` holds, strictly if asked, wherever `literal` does."""
        a, b = 2 * literal, 2 * other + strictly
        return literal == other and not strictly or (a in self.component and b in self.component and self.reaches(a, b))

    @cached_property
    def contradiction(self) -> bool:
        """Whether no values have all these implications."""
        return any(self.component[node] == self.component[node ^ 3] for node in self.component)

    @cached_property
    def facts(self) -> list[int]:
        """Literals that always hold, since the strict opposite forces them."""
        return sorted({node >> 1 for node in self.component if self.reaches(node ^ 3, node)})

    @cached_property
    def equivalent(self) -> list[list[int]]:
        """Classes of two literals and more that hold together."""
        import networkx as nx

        classes = (self.components.nodes[c]["members"] for c in nx.topological_sort(self.components))
        weak = (sorted(node >> 1 for node in members if not node & 1) for members in classes)
        return [some for some in weak if len(some) > 1]

    def nogoods(self) -> list[tuple[int, int]]:
        """Pairs of literals that exclude each other: enough of them that chains of pairs reach what paths reach.

        Literals that never hold, or always, are left out: they are for the boxes.
        """
        import networkx as nx

        always = set(self.facts)
        literals = [n >> 1 for n in self.component if not n & 1 and not {n >> 1, (n >> 1) ^ 1} & always]
        ends = [(b, 1 << self.component[2 * b + 1]) for b in literals]
        forced = nx.DiGraph()
        forced.add_nodes_from(literals)
        for a in literals:
            bits = self.reach[self.component[2 * a]]
            forced.add_edges_from((a, b) for b, bit in ends if bits & bit)
        return sorted({(min(a, b ^ 1), max(a, b ^ 1)) for a, b in reduced_edges(forced)})


def reduced_edges(graph: nx.DiGraph) -> list[tuple[int, int]]:
    """As few edges of a transitively closed graph as reach as much.

    They lead around each strong component, and between the first nodes of two where nothing lies between.
    """
    import networkx as nx

    whole = nx.condensation(graph)
    members = {c: sorted(whole.nodes[c]["members"]) for c in whole}
    after = {c: sum(1 << d for d in whole.successors(c)) for c in whole}
    edges = [pair for some in members.values() if len(some) > 1 for pair in zip(some, some[1:] + some[:1], strict=True)]
    for c in whole:
        between = 0
        for d in whole.successors(c):
            between |= after[d]
        edges += [(members[c][0], members[d][0]) for d in whole.successors(c) if not between >> d & 1]
    return edges
