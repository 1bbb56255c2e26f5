"""Partitions of an input set, finer and finer: along rows, or into equal boxes.

Splitting along row i cuts every part into {z_i >= 0} and {z_i <= 0}; n rows leave at most 2^n parts. Those that are
proved empty are dropped at once, and a part on which the row is stable already is not cut. The largest value of all
parts bounds f*(X) (Anderson et al. 2020, Prop. 1), never falls behind that of a coarser partition (Prop. 2), and is
f*(X) itself where a single layer has been split along all its rows (Prop. 4).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from ...encodings.linear.linear_bounds import LinearBoundOptions, bound
from ...instances.batch import Node
from ...instances.errors import PropertyError
from ...instances.network import Array, Network
from ...instances.property import InputSet
from ...instances.query import Query
from .relaxation import Part, objective_query, relax, whole
from .row_scores import best_rows, last_rows

__all__ = [
    "Partition", "along_all_rows", "along_best_rows", "along_rows", "into_boxes", "partitioned_bound", "refinements",
]  # fmt: skip

MOST_PARTS = 1 << 16


@dataclass(frozen=True, eq=False)
class Partition:
    """Parts that cover the input set, faces shared."""

    rows: tuple[int, ...]  # flat numbers of the neurons whose rows were split along, in this order
    parts: tuple[Part, ...]  # those not proved empty

    @property
    def value(self) -> float:
        """c'f(x) <= value all over the input set, rigorously: the largest value of a part (Prop. 1)."""
        return max((part.value for part in self.parts), default=-np.inf)

    @property
    def diameter(self) -> float:
        """Largest Euclidean diagonal of a part's box: at least the largest diameter d* of a part (Prop. 3)."""
        return max((float(np.linalg.norm(p.node.upper - p.node.lower)) for p in self.parts), default=0.0)


def partitioned_bound(
    network: Network, region: InputSet, objective: Array, rows: int | Sequence[int] = 1, seconds: float = 60.0
) -> Partition:
    """An upper bound of c'f(x) over an input set, from LPs over a partition of it: `Partition.value`.

    objective: c, [outputs]; rows: how many rows to split along, which the optimal-partition rule chooses among those of
    the last ReLU layer, or flat numbers of ReLUs; seconds: for all LPs.
    Raises PropertyError where c, the region or the rows do not fit, NetworkError where an activation is no ReLU.

    >>> from hypersplit import InputSet, partitioned_bound, sequential
    >>> net = sequential([np.array([[1.0, 1.0], [1.0, -1.0]]), np.array([[1.0, 2.0]])], [np.zeros(2), np.zeros(1)])
    >>> box = InputSet.box(-np.ones(2), np.ones(2))
    >>> [round(partitioned_bound(net, box, np.ones(1), rows).value, 6) for rows in (0, 1, 2)]
    [5.0, 5.0, 4.0]
    """
    query = objective_query(network, region, objective)
    if isinstance(rows, int):
        return along_best_rows(query, rows, seconds)
    return along_rows(query, rows, seconds)


def refinements(query: Query, start: Part, rows: Sequence[int], seconds: float = 60.0) -> Iterator[Partition]:
    """The partition {start}, then that along the first row, along the first two, and so on.

    query: an `objective_query`; start: what is to be divided, see `whole`; rows: flat numbers of ReLUs, each once;
    seconds: for all LPs; parts that come too late keep the bounds they inherit.
    Raises PropertyError for other rows, and for more parts than MOST_PARTS.
    """
    for row in rows:
        if not 0 <= row < query.neurons or not query.relu[row] or list(rows).count(row) > 1:
            raise PropertyError(f"row {row}: expected different ReLUs of the {query.neurons} neurons")
    deadline = time.monotonic() + seconds
    parts = [start] if start.value > -np.inf else []
    yield Partition((), tuple(parts))
    for number, row in enumerate(rows, start=1):
        parts = [half for part in parts for half in _halves(query, part, row, deadline)]
        if len(parts) > MOST_PARTS:
            raise PropertyError(f"{len(parts)} parts along {number} rows, expected at most {MOST_PARTS}")
        yield Partition(tuple(rows[:number]), tuple(parts))


def along_rows(query: Query, rows: Sequence[int], seconds: float = 60.0, start: Part | None = None) -> Partition:
    """The partition along given rows, see `refinements`; start: `whole(query)`, if that is known already."""
    *_, last = refinements(query, start or whole(query, seconds), rows, seconds)
    return last


def along_best_rows(query: Query, count: int, seconds: float = 60.0, start: Part | None = None) -> Partition:
    """The partition along the `count` rows with the best scores: at most 2^count parts (Thm 2, and its recursion)."""
    start = start or whole(query, seconds)
    return along_rows(query, best_rows(query, start, count), seconds, start)


def along_all_rows(query: Query, seconds: float = 60.0, start: Part | None = None) -> Partition:
    """The partition into all sign patterns of the last ReLU layer: exact where that is the only one (Prop. 4)."""
    where = last_rows(query)
    return along_best_rows(query, where.stop - where.start, seconds, start)


def into_boxes(query: Query, halvings: int, seconds: float = 60.0, start: Part | None = None) -> Partition:
    """Every input's interval cut into 2^halvings equal ones: the partition of Prop. 3, whose parts shrink evenly.

    Raises PropertyError for more boxes than MOST_PARTS.
    """
    deadline, start = time.monotonic() + seconds, start or whole(query, seconds)
    pieces, lower, upper = 1 << halvings, start.node.lower, start.node.upper
    open_inputs = np.flatnonzero(lower < upper)
    if halvings < 0 or len(open_inputs) * halvings > np.log2(MOST_PARTS):
        raise PropertyError(f"{halvings} halvings of {len(open_inputs)} inputs: expected at most {MOST_PARTS} boxes")
    ends = lower + (upper - lower) * (np.arange(pieces + 1) / pieces)[:, None]
    ends[0], ends[-1] = lower, upper  # neighbours share their end, so nothing lies between two boxes
    parts = []
    for chosen in product(range(pieces), repeat=len(open_inputs)):
        low, high = lower.copy(), upper.copy()
        low[open_inputs] = ends[list(chosen), open_inputs]
        high[open_inputs] = ends[[i + 1 for i in chosen], open_inputs]
        parts.append(relax(query, _bounded(query, replace(start.node, lower=low, upper=high)), deadline))
    return Partition((), tuple(part for part in parts if part.value > -np.inf))


def _halves(query: Query, part: Part, row: int, deadline: float) -> list[Part]:
    """{z >= 0} and {z <= 0} of a part, those that are not proved empty; the part itself where the row is stable."""
    node = part.node
    if not node.pre_lower[row] < 0.0 < node.pre_upper[row]:
        return [part]
    halves = [relax(query, _with_phase(node, row, sign), deadline) for sign in (1, -1)]
    # an LP that stopped early may say less than the whole part's did
    return [replace(half, value=min(half.value, part.value)) for half in halves if half.value > -np.inf]


def _bounded(query: Query, node: Node) -> Node:
    """The node with linear bounds of its own box."""
    found = bound(query, node.batch, LinearBoundOptions(kernel="plain"))
    return replace(node, pre_lower=found.pre_lower[0], pre_upper=found.pre_upper[0])


def _with_phase(node: Node, row: int, sign: int) -> Node:
    phases, low, high = node.phases.copy(), node.pre_lower.copy(), node.pre_upper.copy()
    phases[row] = sign
    if sign > 0:
        low[row] = 0.0
    else:
        high[row] = 0.0
    return replace(node, phases=phases, pre_lower=low, pre_upper=high)
