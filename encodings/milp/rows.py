"""Multi-neuron rows as rows of a MILP: they hold at every point of the node, so SCIP's relaxation gets tighter.

Formulations say what one ReLU does; these rows say what several do together (`group_lp`). Which of many to hand over is
the caller's choice: those that bind in the triangle LP are the ones that move SCIP's root bound.
"""

from __future__ import annotations

import numpy as np

from ..slopes.group_rows import GroupRows
from .model import NetworkModel, Terms

__all__ = ["add_rows"]


def add_rows(model: NetworkModel, rows: GroupRows) -> int:
    """Add the rows to a model of the node that they were made for, or of a part of it; returns how many.

    Rows over a neuron that has no variables in the model, for it is inactive, with a pre-activation are left out.
    """
    added = 0
    for r in range(len(rows)):
        terms = _terms(model, rows, r)
        if terms is not None:
            model.row(terms, -float(rows.constants[r]), None)
            added += 1
    return added


def _terms(model: NetworkModel, rows: GroupRows, r: int) -> Terms | None:
    """The row over the model's variables, each once."""
    query = model.query
    ends = np.array([part.stop for part in query.slices])
    total: dict[object, float] = {}
    for i, z, y in zip(rows.neurons[r].tolist(), rows.z[r].tolist(), rows.y[r].tolist(), strict=True):
        if z == 0.0 and y == 0.0:
            continue
        if i >= query.neurons:
            parts = [(model.inputs[i - query.neurons], z)]
        else:
            k = int(np.searchsorted(ends, i, side="right"))
            values, index = model.neurons[k + 1], i - query.slices[k].start
            if z != 0.0 and not values.pre[index]:
                return None
            parts = [(v, z * c) for v, c in values.pre[index]]
            if y != 0.0 and values.value[index] is not None:
                parts.append((values.value[index], y))
        for variable, c in parts:
            total[variable] = total.get(variable, 0.0) + c
    return list(total.items())
