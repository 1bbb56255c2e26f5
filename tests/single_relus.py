"""One unstable ReLU as SCIP's model, and what of (z, y) its relaxation and its integer points allow."""

from __future__ import annotations

import numpy as np

from hypersplit.encodings.milp.model import Formulation, NetworkModel
from hypersplit.instances.batch import Node, root
from hypersplit.instances.network import sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

__all__ = ["extreme", "neuron"]


def neuron(weight: np.ndarray, bias: float, lower: np.ndarray, upper: np.ndarray) -> tuple[Query, Node]:
    """y = ReLU(weight @ x + bias) over a box, with the exact ends of its pre-activation."""
    network = sequential([weight[None], np.ones((1, 1))], [np.array([bias]), np.zeros(1)])
    case = Case(InputSet.box(lower, upper), (Polyhedron(np.eye(1), np.zeros(1)),))
    query = queries(network, Property((case,), len(weight), 1))[0]
    batch = root(query)
    low = bias + np.minimum(weight * lower, weight * upper).sum()
    high = bias + np.maximum(weight * lower, weight * upper).sum()
    assert low < 0.0 < high
    batch.pre_lower, batch.pre_upper = np.array([[low, 0.0]]), np.array([[high, high]])
    return query, batch.node(0)


def extreme(
    query: Query, node: Node, formulation: Formulation, z: float, sign: float, relaxed: bool = False,
    integral: bool = True,
) -> float:  # fmt: skip
    """The least (sign 1) or largest (-1) y that the model allows at pre-activation z; nan where it allows none.

    relaxed: the neuron gets no binary; integral: otherwise switches may take any value in [0, 1].
    """
    mask = np.zeros(query.neurons, dtype=bool)
    mask[0] = relaxed
    model = NetworkModel(query, node, formulation, mask)
    if not integral:
        for variable in model.scip.getVars():
            if variable.vtype() == "BINARY":
                model.scip.chgVarType(variable, "C")
    relu = model.relus[0]
    model.row([(relu.y, 1.0), (relu.s, -1.0)], z, z)
    model.scip.setObjective(model.expr({relu.y: sign}), "minimize")
    model.scip.optimize()
    return float(model.scip.getVal(relu.y[0])) if model.scip.getNSols() else float("nan")
