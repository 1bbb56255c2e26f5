"""Partitions: between big-M and the hull (Tsay, Kronqvist, Thebelt and Misener, *Partition-based formulations for
mixed-integer optimization of trained ReLU neural networks*, 2021).

The inputs of a neuron are divided into groups S_1, ..., S_N, and g_n = sum_{i in S_n} w_i x_i in [L_n, U_n] is known
group by group. Each g_n is split into a part p_n for the active phase and a part q_n for the inactive one:
    g_n = p_n + q_n,    a L_n <= p_n <= a U_n,    (1 - a) L_n <= q_n <= (1 - a) U_n,
    y = sum_n p_n + a b,    s = -sum_n q_n - (1 - a) b.
N = 1 is big-M, N = number of inputs the hull over the inputs' box. Groups are of equal size along the sorted weights
(the paper's better choice), so that inputs of one group pull the same way. The big-M rows stay, for their u and l are
tighter than sums over boxes.
"""

from __future__ import annotations

import numpy as np

from ..programs.scip import INFINITY
from .model import Formulation, NetworkModel, Relu, Terms

__all__ = ["Partition"]


class Partition(Formulation):
    """The extended formulation with at most so many groups a neuron."""

    def __init__(self, groups: int) -> None:
        self.groups = groups

    def add(self, model: NetworkModel, relu: Relu) -> None:
        """All rows of a ReLU; one with fewer inputs than two, or unbounded ones, gets big-M's."""
        if relu.relaxed or len(relu.inputs) < 2 or not _bounded(relu.inputs):
            super().add(model, relu)
            return
        a = model.switch(relu)
        active: Terms = []
        inactive: Terms = []
        for terms in self._divided(relu.inputs):
            p, q = self._group(model, terms, a)
            active.append((p, 1.0))
            inactive.append((q, 1.0))
        model.row([*active, (a, relu.bias), (relu.y, -1.0)], 0.0, 0.0)
        model.row([*inactive, (a, -relu.bias), (relu.s, 1.0)], -relu.bias, -relu.bias)
        self._big_m(model, relu)

    def tie(self, model: NetworkModel, relu: Relu) -> None:
        """Big-M."""
        model.switch(relu)
        self._big_m(model, relu)

    def _big_m(self, model: NetworkModel, relu: Relu) -> None:
        model.row([(relu.y, 1.0), (relu.switch, -relu.high)], None, 0.0)
        model.row([(relu.s, 1.0), (relu.switch, -relu.low)], None, -relu.low)

    def _divided(self, terms: Terms) -> list[Terms]:
        """Groups of equal size along the sorted weights."""
        order = np.argsort([c for _, c in terms], kind="stable")
        parts = np.array_split(order, min(self.groups, len(terms)))
        return [[terms[i] for i in part.tolist()] for part in parts]

    def _group(self, model: NetworkModel, terms: Terms, a: object) -> tuple[object, object]:
        """p and q of one group."""
        weights = np.array([c for _, c in terms])
        ends = np.array([(v[0].getLbOriginal(), v[0].getUbOriginal()) for v, _ in terms]) * weights[:, None]
        low, high = float(ends.min(axis=1).sum()), float(ends.max(axis=1).sum())
        p, q = (model.variable(min(low, 0.0), max(high, 0.0)) for _ in range(2))
        model.row([*terms, (p, -1.0), (q, -1.0)], 0.0, 0.0)
        model.row([(p, 1.0), (a, -high)], None, 0.0)
        model.row([(p, 1.0), (a, -low)], 0.0, None)
        model.row([(q, 1.0), (a, high)], None, high)
        model.row([(q, 1.0), (a, low)], low, None)
        model.derive(p, terms, a, True)
        model.derive(q, terms, a, False)
        return p, q


def _bounded(terms: Terms) -> bool:
    return all(max(-v[0].getLbOriginal(), v[0].getUbOriginal()) < INFINITY for v, _ in terms)
