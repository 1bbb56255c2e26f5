"""A query: one network, one input set, one union of forbidden polyhedra, in the form that the search works on.

The forbidden rows C y <= d become one more affine layer m = C y - d, the *margins*. Disjunct k is refuted on a region
once one of its margins is positive all over the region; the query is answered `unsat` once every disjunct is.
The layer is appended, not multiplied into the last one: the product would round, the appended rows are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Any, Protocol
from weakref import ref

import numpy as np

from .network import Array, Layer, Network
from .property import Case, InputSet, Property
from .readout import check_rows
from .sparse import sp

__all__ = ["Lift", "OfQuery", "Query", "queries"]

MOST_TANGENTS = 4  # half-spaces around a ball that a node carries
_CLOSED: Any = None  # default of the mask of strict margins: none is


class Lift(Protocol):
    """A map from the free inputs of an input set to all of them."""

    def lifted(self, z: Array) -> Array:
        """x [n] in float64, nearly, for free inputs z."""
        ...

    def exactly(self, z: Sequence[Fraction]) -> list[Fraction]:
        """The same in rational numbers."""
        ...


@dataclass(frozen=True, eq=False)
class Query:
    """Is there an x in `region` and a disjunct whose margins are all <= 0?

    What floats decide takes strict rows and ends of the box for closed ones, which only makes more to refute. Exact
    arithmetic and the replay take them as they are.
    """

    network: Network  # with the margin layer appended: its output is m(x), [rows]
    region: InputSet
    starts: Array  # [disjuncts + 1] int: rows starts[k]:starts[k + 1] of m belong to disjunct k
    case: Case  # what was asked, for the replay
    strict: Array = field(default=_CLOSED)  # [rows] bool: a counterexample has this margin < 0, not only <= 0
    lift: Lift | None = None  # from inputs of this network to those of the case, where these are more
    lean: bool = False  # the ReLUs that are 0 on the whole tree have been left out, see `linear.reduction`

    def __post_init__(self) -> None:
        if self.strict is None:
            object.__setattr__(self, "strict", np.zeros(self.rows, dtype=bool))

    def lifted(self, x: Array) -> Array:
        """The input of the case [n] that an input x of this network stands for, in float64."""
        return self.lift.lifted(x) if self.lift else x

    def lifted_exactly(self, x: Sequence[Fraction]) -> tuple[Fraction, ...]:
        """The same in rational numbers."""
        return tuple(self.lift.exactly(x) if self.lift else x)

    @property
    def rows(self) -> int:
        """Number of margins."""
        return self.network.output_size

    @property
    def disjuncts(self) -> int:
        """Number of forbidden polyhedra."""
        return len(self.starts) - 1

    @property
    def reserved(self) -> int:
        """Half-space slots at the head of every node's list: the property's own, those that touch its ball, then one
        per row of a lone disjunct.

        With one disjunct, a counterexample needs every margin <= 0, so the margins' linear bounds are half-spaces.
        """
        return len(self.region.rows) + self.tangents + (self.rows if self.disjuncts == 1 else 0)

    @property
    def tangents(self) -> int:
        """How many of these slots are for half-spaces around the input set's ball."""
        return 0 if self.region.ball is None else min(self.rows, MOST_TANGENTS)

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """slices[k - 1] is where layer k's pre-activations lie in a flat vector of all neurons (margins excluded)."""
        ends = np.cumsum([0, *(layer.size for layer in self.network.layers[:-1])])
        return tuple(slice(int(a), int(b)) for a, b in zip(ends[:-1], ends[1:], strict=True))

    @property
    def neurons(self) -> int:
        """Length of a flat vector of pre-activations (all layers but the margins)."""
        return self.slices[-1].stop if self.slices else 0

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """Activation of each layer but the margins."""
        return tuple(layer.kind for layer in self.network.layers[:-1])

    @cached_property
    def relu(self) -> Array:
        """[neurons] bool: which pre-activations feed a ReLU."""
        mask = np.zeros(self.neurons, dtype=bool)
        for kind, part in zip(self.kinds, self.slices, strict=True):
            mask[part] = kind == "relu"
        return mask

    def worst(self, margins: Array) -> Array:
        """min over disjuncts of max over their rows: <= 0 exactly for a counterexample.

        margins: [batch, rows], values or lower bounds. Returns [batch]. For lower bounds: > 0 closes the node.
        """
        return np.asarray(self.per_disjunct(margins).min(axis=1))

    def per_disjunct(self, margins: Array) -> Array:
        """max over each disjunct's rows: [batch, rows] -> [batch, disjuncts]."""
        return np.maximum.reduceat(margins, self.starts[:-1], axis=1)

    def only(self, k: int) -> Query:
        """The same question about disjunct k alone. Hidden layers, and so flat pre-activations, stay what they are."""
        rows = slice(int(self.starts[k]), int(self.starts[k + 1]))
        last = self.network.layers[-1]
        margins = replace(last, weights=tuple(w[rows] for w in last.weights), bias=last.bias[rows])
        network = replace(self.network, layers=(*self.network.layers[:-1], margins), output_shape=(margins.size,))
        return Query(network, self.region, np.array([0, margins.size]), self.case, self.strict[rows], self.lift)


class OfQuery:
    """What is computed once a query and kept in a `WeakKeyDictionary`, and so must not keep its query alive itself."""

    def __init__(self, query: Query) -> None:
        self._query = ref(query)

    @property
    def query(self) -> Query:
        """The query, which whoever uses this holds."""
        query = self._query()
        assert query is not None
        return query


def queries(network: Network, prop: Property) -> list[Query]:
    """One query per case of the property that forbids anything.

    A forbidden polyhedron without rows forbids every output; it gets the one row 0 y <= 0, margin 0 everywhere.
    """
    check_rows(network.readout, prop)
    return [_query(network, case, prop.joint) for case in prop.cases if case.forbidden]


def _query(network: Network, case: Case, joint: bool) -> Query:
    width = network.output_size + (network.input_size if joint else 0)
    rows = [p.rows if len(p.rows) else np.zeros((1, width)) for p in case.forbidden]
    rhs = np.concatenate([p.rhs if len(p.rows) else np.zeros(1) for p in case.forbidden])
    strict = np.concatenate([p.strict if len(p.rows) else np.zeros(1, dtype=bool) for p in case.forbidden])
    starts = np.cumsum([0, *(len(r) for r in rows)])
    matrix = np.concatenate(rows)
    last = len(network.layers)
    sources, weights = [last], [matrix[:, : network.output_size]]
    if joint:
        sources, weights = [0, last], [matrix[:, network.output_size :], weights[0]]
    if matrix.size > 4096 and np.count_nonzero(matrix) < 0.1 * matrix.size:
        weights = [sp.csr_array(w) for w in weights]
    margins = Layer(tuple(sources), tuple(weights), -rhs, "identity", "margins")
    extended = Network(
        network.input_size, (*network.layers, margins), network.input_shape, (len(rhs),),
        network.input_name, "margins", network.source, network.operators, network.unmodelled,
    )  # fmt: skip
    return Query(extended, case.region.searched, starts, case, strict)
