"""Networks that compute maxima, in the forms that relaxations tell apart.

Every form uses max(a, b) = b + ReLU(a - b). Values that only pass through a layer are carried as ReLUs that are always
active, x + 1 for x in [0, 1]; the 1 keeps rounded bounds from making them look unstable. So each comparison is a group
of two neurons of *one* layer, z = a - b and c = b + 1, and the octahedral row z + c <= max(a, b) + 1 <= 2 makes the
group's hull give max(a, b) <= 1, where the triangle of z alone gives 3/2 (d = 2).

Why pairs suffice, in one node and for every d: let the layer before allow u, v <= 1 only. Then z + c = u + 1 <= 2 and
c = v + 1 <= 2 are rows of the group's octahedron, provided that both are bounded over what the layer before allows, the
stable c too. With them ReLU(z) + c <= 2 in both phases, so on their hull, so max(u, v) <= 1 goes on to the next layer.
Relaxations of single neurons need 2^(d-1) subproblems (Mao, Zhang and Vechev, On the expressiveness of multi-neuron
convex relaxations, arXiv 2410.06816).
`families.nested_max` is the form whose inputs go past the layers by edges.
"""

from __future__ import annotations

import numpy as np

from ..network import Network, sequential
from ..property import Case, InputSet, Polyhedron, Property
from ..query import Query, queries

__all__ = ["chained_max", "max_query", "tree_max"]


def chained_max(d: int) -> Network:
    """max(x_1, ..., x_d) on [0, 1]^d as a plain chain of d - 1 ReLU layers: m_{k+1} = x_{k+1} + ReLU(m_k - x_{k+1}).

    Layer k has the ReLU of m_k - x_{k+1} and carries x_{k+1}, ..., x_d. Right wherever all x_i >= -1.
    Raises ValueError for d < 2.

    >>> chained_max(3).sizes
    (3, 3, 2, 1)
    """
    return _knockout(d, one_at_a_time=True)


def tree_max(d: int) -> Network:
    """max(x_1, ..., x_d) on [0, 1]^d as a knock-out tournament of ceil(log2 d) ReLU layers.

    Layer by layer neighbours are compared; with an odd number the last one waits. Right wherever all x_i >= -1.
    Raises ValueError for d < 2.

    >>> tree_max(8).sizes
    (8, 8, 4, 2, 1)
    """
    return _knockout(d, one_at_a_time=False)


def max_query(network: Network, eps: float = 2.0**-6) -> Query:
    """Can one of these maxima reach 1 + eps on [0, 1]^d? The truth: no (`unsat`) for eps > 0, yes for eps <= 0."""
    d = network.input_size
    forbidden = Polyhedron(np.array([[-1.0]]), np.array([-1.0 - eps]))
    region = InputSet.box(np.zeros(d), np.ones(d))
    return queries(network, Property((Case(region, (forbidden,)),), d, 1))[0]


def _knockout(d: int, one_at_a_time: bool) -> Network:
    """Rounds of comparisons: the first two values, or all neighbours; the others go on to the next round."""
    if d < 2:
        raise ValueError(f"a maximum of {d} inputs: expected at least two")
    # the values still in play, affine in the last layer's: rows @ v + offsets
    rows, offsets = np.eye(d), np.zeros(d)
    weights, biases = [], []
    while len(rows) > 1:
        pairs = 1 if one_at_a_time else len(rows) // 2
        first, second = slice(0, 2 * pairs, 2), slice(1, 2 * pairs, 2)
        carried = np.concatenate([rows[second], rows[2 * pairs :]])
        weights.append(np.concatenate([rows[first] - rows[second], carried]))
        levels = np.concatenate([offsets[second], offsets[2 * pairs :]]) + 1.0
        biases.append(np.concatenate([offsets[first] - offsets[second], levels]))
        size = pairs + len(carried)
        rows, offsets = np.eye(size)[pairs:], np.full(len(carried), -1.0)
        rows[:pairs, :pairs] += np.eye(pairs)
    return sequential([*weights, rows], [*biases, offsets])
