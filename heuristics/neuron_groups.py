"""Which neurons of a layer go into a group for multi-neuron rows.

A group pays where its triangles leave much room that the margin uses, and where its neurons depend on each other.
Candidates are the unstable ReLUs, scored by multiplier times (-u l)/(u - l) (`hyperplanes`; without multipliers by the
triangle's area, as kPoly does), and the active ones, which have no triangle of their own but may tie others down: for
max(a, b) = b + ReLU(a - b) the row a - b + b <= 1 is what makes the bound exact, and b is stable. Each of the best
neurons takes in the k - 1 partners whose rows point most nearly the same or the opposite way: their sums or differences
are narrow. Groups overlap. For k > 3 rows of all directions are dear; `subsets` cuts large groups into small ones: the
rows of all l-subsets of a group of k stand for its hull, which lies in the intersection of theirs (formula 7 of kPoly;
Singh, Ganvir, Pueschel and Vechev 2019). `Wanted` is what a user may ask for, k by a budget of subsets included.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np

from ..instances.batch import Node
from ..instances.network import Array, Matrix
from ..instances.query import Query
from ..instances.rounding import TINY
from ..instances.sparse import is_sparse, sp
from .splits.hyperplanes import optimal_partition_scores

__all__ = [
    "GROUPINGS", "SIZES", "Grouping", "Wanted", "adaptive_size", "groups_of_layer", "groups_with_inputs", "subsets",
]  # fmt: skip

GROUPINGS = ("correlation", "area", "multipliers", "random")
SIZES = ("auto", "adaptive", "1", "2", "3", "4", "5")
LARGEST = 5  # neurons of a group
BUDGET = 500  # subsets of a layer's groups up to which `adaptive_size` takes larger groups, as kPoly does


@dataclass(frozen=True, eq=False)
class Grouping:
    """Which groups are wanted. Raises ValueError for another way."""

    size: int  # neurons of a group
    most: int  # groups
    # "correlation" as the module says; "area": neighbours in the order of the triangles' areas, overlapping by all but
    # one, "multipliers": in the order of scores; "random": the baseline, unstable neurons only
    way: str = "correlation"
    variants: int = 1  # groups that a neuron begins, the second one with the partners after the nearest, and so on
    seed: int = 0  # of "random"

    def __post_init__(self) -> None:
        if self.way not in GROUPINGS:
            raise ValueError(f"grouping {self.way!r}: expected one of {', '.join(GROUPINGS)}")


@dataclass(frozen=True)
class Wanted:
    """Which groups of which sizes a run takes.

    k: neurons of a group at most, "1" for no groups; "adaptive": the largest up to 5 whose subsets are within a budget;
    "auto": what the stage takes by itself. Groups of more than `subset` neurons are cut into all their subsets of that
    size. Raises ValueError for other values.
    """

    way: str = "correlation"  # one of GROUPINGS
    k: str = "auto"  # one of SIZES
    subset: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        for value, values in ((self.way, GROUPINGS), (self.k, SIZES), (self.subset, (2, 3))):
            if value not in values:
                raise ValueError(f"groups: {value!r}, expected one of {', '.join(map(str, values))}")

    def of_layer(
        self, query: Query, node: Node, k: int, sizes: tuple[int, ...], most: int, multipliers: Array | None = None,
        variants: int = 1,
    ) -> list[Array]:  # fmt: skip
        """Arrays [G, K] of rows of layer k, one for each size K.

        sizes: with k = "auto"; most: groups of a size; multipliers: [neurons] >= 0 or None; variants: see `Grouping`.
        """
        found: dict[int, list[Array]] = {}
        for size in sizes if self.k == "auto" else range(2, self._largest(query, node, k) + 1):
            grouping = Grouping(size, most, self.way, variants, self.seed)
            groups = groups_of_layer(query, node, k, grouping, multipliers)
            cut = size > self.subset and self.k != "auto"
            small = subsets(groups, self.subset) if cut else groups
            found.setdefault(small.shape[1], []).append(small)
        return [np.unique(np.concatenate(parts), axis=0) for parts in found.values()]

    def _largest(self, query: Query, node: Node, k: int) -> int:
        """Neurons of layer k's groups at most."""
        if self.k != "adaptive":
            return int(self.k)
        part = query.slices[k - 1]
        unstable = (node.pre_lower[part] < 0.0) & (node.pre_upper[part] > 0.0)
        return adaptive_size(int(unstable.sum()), self.subset)


def adaptive_size(neurons: int, subset: int = 3, budget: int = BUDGET) -> int:
    """The largest k, `subset` <= k <= 5, for which groups of k that share no neuron have at most `budget` subsets.

    ceil(neurons / k) comb(k, subset) <= budget; `subset` where no k is within it.
    """
    within = [k for k in range(subset, LARGEST + 1) if -(-neurons // k) * comb(k, subset) <= budget]
    return max(within, default=subset)


def groups_of_layer(
    query: Query, node: Node, k: int, wanted: Grouping, multipliers: Array | None = None
) -> Array:
    """[G, size] rows of layer k, ascending in each group, G <= most; none where fewer than `size` neurons take part.

    multipliers: [neurons] >= 0 or None.
    """
    size, most = wanted.size, wanted.most
    part = query.slices[k - 1]
    lower, upper = node.pre_lower[part], node.pre_upper[part]
    if query.kinds[k - 1] != "relu":
        return np.zeros((0, size), dtype=np.intp)
    unstable = np.flatnonzero((lower < 0.0) & (upper > 0.0))
    active = np.flatnonzero((lower >= 0.0) & (upper > lower))
    multipliers = None if wanted.way == "area" else multipliers
    weight = np.ones(len(lower)) if multipliers is None else multipliers[part] + 1e-9 * multipliers.max(initial=1e-9)
    score = optimal_partition_scores(weight, lower, upper)
    order = unstable[np.argsort(-score[unstable], kind="stable")]
    if wanted.way == "random":
        rng, drawn = np.random.default_rng(wanted.seed), most if len(unstable) >= size else 0
        return _distinct([rng.choice(unstable, size, replace=False) for _ in range(drawn)], size)
    if wanted.way in ("area", "multipliers"):
        return _distinct([order[i : i + size] for i in range(min(most, len(order) - size + 1))], size)
    candidates = np.concatenate([order, active])
    if len(candidates) < size:
        return np.zeros((0, size), dtype=np.intp)
    likeness = _likeness(query, node, k, candidates, min(most, len(order)))
    found = []
    for i in range(min(most, len(order))):
        near = np.argsort(-likeness[i], kind="stable")
        near = near[near != i]
        for v in range(min(wanted.variants, len(near) - size + 2)):
            found.append(np.append(candidates[near[v : v + size - 1]], candidates[i]))
    return _distinct(found[: wanted.variants * most], size)


def groups_with_inputs(query: Query, node: Node, k: int) -> Array:
    """[G, 2] pairs (flat neuron, query.neurons + input) of unstable ReLUs of layer k and inputs that go past them.

    An input that the neuron depends on and that is read again, together with the neuron, by a later layer: there the
    two meet, and what ties them counts.
    """
    part, layers = query.slices[k - 1], query.network.layers
    unstable = (node.pre_lower[part] < 0.0) & (node.pre_upper[part] > 0.0)
    if query.kinds[k - 1] != "relu" or 0 not in layers[k - 1].sources:
        return np.zeros((0, 2), dtype=np.intp)
    own = _pattern(layers[k - 1].weights[layers[k - 1].sources.index(0)])
    meets = np.zeros_like(own)
    for layer in layers[k:]:
        if 0 in layer.sources and k in layer.sources:
            inputs, neurons = (_pattern(layer.weights[layer.sources.index(s)]) for s in (0, k))
            meets |= (neurons.T.astype(np.int64) @ inputs.astype(np.int64)) > 0
    neuron, column = np.nonzero(own & meets & unstable[:, None])
    return np.stack([part.start + neuron, query.neurons + column], axis=1)


def _pattern(w: Matrix) -> Array:
    """[m, n] bool: where the weights are not 0."""
    return np.asarray((w if isinstance(w, np.ndarray) else w.toarray()) != 0.0)


def subsets(groups: Array, size: int) -> Array:
    """[G', size] all subsets of that size of the groups [G, K], each once."""
    found = [group[list(chosen)] for group in groups for chosen in combinations(range(groups.shape[1]), size)]
    return _distinct(found, size)


def _likeness(query: Query, node: Node, k: int, rows: Array, count: int) -> Array:
    """[count, C] |cosine| of the first `count` rows' weights with all C, in units of what each source varies by."""
    layer, parts = query.network.layers[k - 1], []
    for s, w in zip(layer.sources, layer.weights, strict=True):
        if s == 0:
            width = node.upper - node.lower
        else:
            part = query.slices[s - 1]
            width = np.maximum(node.pre_upper[part], 0.0) - np.maximum(node.pre_lower[part], 0.0)
        chosen = w[rows]
        parts.append(sp.csr_array(chosen.multiply(width[None, :])) if is_sparse(chosen) else chosen * width)
    if any(is_sparse(part) for part in parts):  # as in convolutions: few neurons share an input at all
        joined = sp.hstack(parts, format="csr")
        norms = np.sqrt(np.asarray(joined.multiply(joined).sum(axis=1)).ravel())
        unit = sp.csr_array(sp.diags_array(1.0 / np.maximum(norms, TINY)) @ joined, dtype=np.float32)
        return np.abs((unit[:count] @ unit.T).toarray())
    table = np.concatenate(parts, axis=1)
    unit = table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), TINY)
    return np.abs(unit[:count] @ unit.T)


def _distinct(groups: list[Array], size: int) -> Array:
    if not groups:
        return np.zeros((0, size), dtype=np.intp)
    return np.unique(np.sort(np.array(groups), axis=1), axis=0)
