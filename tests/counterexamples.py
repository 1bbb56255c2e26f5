"""All counterexamples of a node by the vertices of their polytopes, and exact values there."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import oracle

from hypersplit.instances.batch import Node
from hypersplit.instances.network import Network
from hypersplit.instances.property import InputSet
from hypersplit.instances.query import Query

__all__ = ["counterexamples", "pre_activations"]


def counterexamples(query: Query, node: Node, disjunct: int) -> list[list[Fraction]]:
    """Vertices of the sets of the node's counterexamples, one set an activation pattern."""
    region = InputSet(node.lower, node.upper, node.cuts[:, :-1], node.cuts[:, -1])
    found = []
    for leaf in oracle.leaves(query.network, region, node.phases):
        part = leaf.polytope
        for r in range(query.starts[disjunct], query.starts[disjunct + 1]):
            part = part.cut(-leaf.values[-1].rows[r])
        found += part.points()
    return found


def pre_activations(query: Query, x: list[Fraction]) -> list[Fraction]:
    """Of all hidden neurons, exactly."""
    network, found = query.network, []
    for k, layer in enumerate(network.layers[:-1]):
        as_is = replace(layer, kind="identity")
        found += oracle.exact_values(Network(network.input_size, (*network.layers[:k], as_is)), x)[-1]
    return found
