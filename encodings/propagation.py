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
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..instances.batch import Node
from ..instances.network import Array
from ..instances.query import Query
from ..instances.sparse import sp
from .bounds import gamma
from .kernel_cache import Switch, kernel_cache
from .prepared_layers import product_terms

__all__ = ["Nogoods", "Propagation", "Rows", "State"]

ROUNDS = 40  # passes at most; what they win falls geometrically
WORTH = 0.02  # share of a width that a pass must win somewhere, else it is the last one
SETTLED = 1e-6  # share of a row's width by which its terms may exceed its bounds and say no more
TINY = 2.0**-1000  # above what products can lose below float64's range
KERNEL_AFTER = 0.3  # seconds of numpy's work before numba's import is worth it


class Rows(NamedTuple):
    """All rows of a query's network and of one disjunct, sparse, in topological order; see `kernel_propagation`."""

    inputs: int
    neurons: int
    ends: Array  # [rows + 1] int: row i has the entries ends[i]:ends[i + 1]
    columns: Array  # [entries] int: input v for v < inputs, else the value of neuron v - inputs
    weights: Array  # [entries]
    bias: Array  # [rows]
    error: Array  # [rows] bias errors
    relative: Array  # [rows] relative error of a sum over the row, outward
    relu: Array  # [neurons] bool
    back: float  # relative error of a margin's function

    @staticmethod
    def of(query: Query, disjunct: int) -> Rows:
        """Of the hidden layers and the disjunct's margins."""
        network, starts = query.network, query.starts
        offsets = np.cumsum([0, *network.sizes[:-1]])
        chosen = slice(int(starts[disjunct]), int(starts[disjunct + 1]))
        ends, columns, weights = [np.zeros(1, dtype=np.int64)], [], []
        bias, error, relative, most = [], [], [], 0
        for layer in network.layers:
            part = chosen if layer is network.layers[-1] else slice(0, layer.size)
            blocks = [sp.csr_array(w[part]) for w in layer.weights]
            joined = sp.csr_array(sp.hstack(blocks)) if len(blocks) > 1 else blocks[0]
            places = np.concatenate([offsets[s] + np.arange(network.sizes[s]) for s in layer.sources])
            joined.eliminate_zeros()
            ends.append(ends[-1][-1] + joined.indptr[1:].astype(np.int64))
            columns.append(places[joined.indices].astype(np.int64))
            weights.append(joined.data.astype(np.float64))
            count = part.stop - part.start
            bias.append(layer.bias[part].astype(np.float64))
            error.append(np.full(count, layer.bias_error))
            terms = sum(product_terms(w) for w in layer.weights) + layer.roundings + 4
            most = max(most, terms)
            relative.append(np.full(count, 2.0 * gamma(terms)))
        back = 2.0 * gamma(most + query.neurons + network.input_size + len(network.layers))
        return Rows(
            network.input_size, query.neurons, np.concatenate(ends), np.concatenate(columns), np.concatenate(weights),
            np.concatenate(bias), np.concatenate(error), np.concatenate(relative), query.relu, back,
        )  # fmt: skip


@dataclass(eq=False)
class State:
    """A node's boxes: of all values (inputs first), and of the pre-activations."""

    low: Array  # [inputs + neurons]
    high: Array
    z_low: Array  # [neurons]
    z_high: Array

    @staticmethod
    def of(query: Query, node: Node) -> State:
        """The node's own."""
        low, high = (np.where(query.relu, np.maximum(z, 0.0), z) for z in (node.pre_lower, node.pre_upper))
        return State(
            np.concatenate([node.lower, low]), np.concatenate([node.upper, high]),
            node.pre_lower.astype(np.float64), node.pre_upper.astype(np.float64),
        )  # fmt: skip

    def copy(self) -> State:
        """Arrays of its own."""
        return State(self.low.copy(), self.high.copy(), self.z_low.copy(), self.z_high.copy())

    def fix(self, neuron: int, sign: int) -> None:
        """Demand sign * z >= 0 of a neuron."""
        if sign > 0:
            self.z_low[neuron] = max(self.z_low[neuron], 0.0)
        else:
            self.z_high[neuron] = min(self.z_high[neuron], 0.0)

    @property
    def finite(self) -> bool:
        """Whether all ends are numbers; others cannot be contracted."""
        return all(bool(np.isfinite(a).all()) for a in (self.low, self.high, self.z_low, self.z_high))


class Nogoods:
    """Sets of phases that no counterexample has together, literals 2 i for z_i >= 0 and 2 i + 1 for z_i <= 0."""

    def __init__(self) -> None:
        self.starts, self.literals = np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def add(self, literals: list[int]) -> None:
        """One more. An empty one would refute everything: it is not for here."""
        self.literals = np.concatenate([self.literals, np.array(literals, dtype=np.int64)])
        self.starts = np.append(self.starts, len(self.literals))

    def reduce(self, most: int, kept: int) -> None:
        """Beyond `most` drop the older half of the long ones (more than `kept` literals)."""
        if len(self) <= most:
            return
        sizes, number = np.diff(self.starts), np.arange(len(self))
        stays = (sizes <= kept) | (number >= len(self) // 2)
        self.literals = self.literals[np.repeat(stays, sizes)]
        self.starts = np.concatenate([[0], np.cumsum(sizes[stays])]).astype(np.int64)


class Propagation:
    """Contracts nodes of a query to what counterexamples of one disjunct can be.

    node: the root, with finite bounds; kernel: as in LinearBoundOptions. Raises ValueError for sigmoid and tanh.
    """

    def __init__(self, query: Query, node: Node, disjunct: int, kernel: str = "auto") -> None:
        if not query.network.piecewise_linear:
            raise ValueError("propagation: every activation must be a ReLU or the identity")
        self.query, self.kernel = query, kernel
        self.rows, self.cuts = Rows.of(query, disjunct), np.ascontiguousarray(node.cuts)
        state = State.of(query, node)
        n = query.network.input_size
        spans = np.concatenate([state.high[:n] - state.low[:n], state.z_high - state.z_low])
        self.widths = np.where(spans > 0.0, spans, 1.0)
        self.layers = [*(range(s.start, s.stop) for s in query.slices), range(query.neurons, len(self.rows.bias))]
        self.switch = Switch(True, KERNEL_AFTER)
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
            with kernel_cache():
                from .kernel_propagation import contract_node

            self.kernel_of = contract_node
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
