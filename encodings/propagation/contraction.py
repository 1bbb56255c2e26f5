"""Interval propagation forwards and backwards: bounds of what a counterexample of one disjunct can be.

Every row of the network and of the forbidden set bounds each of its terms by the others. With z = W v + b, v the values
of earlier layers in their boxes and z in [l, u],
    w_ij v_j <= u_i - b_i - sum over m != j of min w_im v_m,    w_ij v_j >= l_i - b_i - sum over m != j of max w_im v_m,
ReLUs hand the bounds of y to z and back, and a margin's row is one with u = 0. Each margin is also walked back to a
linear function of the input below it (the ReLUs' lines by the bounds of the moment), which must be <= 0 as well. Passes
are repeated while they win something (feasibility-based bound tightening, Belotti et al. 2009). Unlike other bounds it
brings the forbidden rows and the phases to the neurons *before* them: where a sum of ReLUs must not exceed 0, one pass
makes all of them inactive but for rounding.

A *nogood* is a set of phases that no counterexample of the disjunct has together; where all but one hold, the opposite
of the last one follows (unit propagation).

Rounding: sums of n products err by at most gamma(n) times their magnitude; ends move outwards by that, quotients by one
rounding more. Cost of a pass: some ten operations per weight, and a sweep over the nogoods.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from ...instances.batch import Node
from ...instances.network import Array
from ...instances.query import Query
from ..kernels.cache import kernel_cache
from ..kernels.switch import Switch
from .rows import rows_of
from .state import Nogoods, State

__all__ = ["Propagation", "contraction_kernel"]

ROUNDS = 40  # passes at most; what they win falls geometrically
WORTH = 0.02  # share of a width that a pass must win somewhere, else it is the last one
SETTLED = 1e-6  # share of a row's width by which its terms may exceed its bounds and say no more
KERNEL_AFTER = 0.3  # seconds of numpy's work before numba's import is worth it


class Propagation:
    """Contracts nodes of a query to what counterexamples of one disjunct can be.

    node: the root, with finite bounds; kernel: as in LinearBoundOptions. Raises ValueError for sigmoid and tanh.
    """

    def __init__(self, query: Query, node: Node, disjunct: int, kernel: str = "auto") -> None:
        if not query.network.piecewise_linear:
            raise ValueError("propagation: every activation must be a ReLU or the identity")
        self.query, self.kernel = query, kernel
        self.rows, self.cuts = rows_of(query, disjunct), np.ascontiguousarray(node.cuts)
        state = State.of(query, node)
        n = query.network.input_size
        spans = np.concatenate([state.high[:n] - state.low[:n], state.z_high - state.z_low])
        self.widths = np.where(spans > 0.0, spans, 1.0)
        self.layers = [*(range(s.start, s.stop) for s in query.slices), range(query.neurons, len(self.rows.bias))]
        self.switch = Switch("contraction", True, KERNEL_AFTER)
        self.kernel_of: Any = None  # once it is loaded
        self.row = np.repeat(np.arange(len(self.rows.bias)), np.diff(self.rows.ends))
        self.room = np.empty(query.neurons), np.empty(n + query.neurons), np.empty(4)

    def degrees(self, state: State) -> Array:
        """[neurons] how many rows that are not settled read some input of each neuron, at most over its inputs.

        A row is settled where the boxes of its terms alone keep it within its bounds: it says nothing any more.
        """
        rows, low, high = self.rows, state.low[self.rows.columns], state.high[self.rows.columns]
        a, b = rows.weights * low, rows.weights * high
        count = len(rows.bias)
        floor = np.bincount(self.row, np.minimum(a, b), count) + rows.bias
        ceiling = np.bincount(self.row, np.maximum(a, b), count) + rows.bias
        room = SETTLED * np.append(self.widths[rows.inputs :], np.ones(count - rows.neurons))
        z_low = np.append(state.z_low, np.full(count - rows.neurons, -np.inf))
        z_high = np.append(state.z_high, np.zeros(count - rows.neurons))
        open_rows = (ceiling > z_high + room) | (floor < z_low - room)
        reads = np.bincount(rows.columns, open_rows[self.row], rows.inputs + rows.neurons)
        return np.maximum.reduceat(np.append(reads[rows.columns] * (high > low), 0.0), rows.ends[: rows.neurons])

    def contract(self, state: State, nogoods: Nogoods) -> bool:
        """Tighten the state in place; True where it holds no counterexample. Bounds that are not finite stay."""
        if not state.finite:
            return False
        if self.kernel_of is None and self.switch.compiled(self.kernel):
            self.kernel_of = contraction_kernel()
        if self.kernel_of is not None:
            return bool(self.kernel_of(
                self.rows, self.cuts, nogoods.starts, nogoods.literals, state.low, state.high, state.z_low,
                state.z_high, self.widths, *self.room, ROUNDS, WORTH,
            ))  # fmt: skip
        from .interval_passes import contract_plain

        started = time.monotonic()
        empty = contract_plain(self.query, self.rows, self.cuts, nogoods, state, self.widths, ROUNDS, WORTH)
        self.switch.seconds += time.monotonic() - started
        return empty


def contraction_kernel() -> Any:
    """The compiled twin of `interval_passes.contract_plain`."""
    with kernel_cache():
        from ..kernels.contraction import contract_node

    return contract_node
