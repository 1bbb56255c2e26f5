"""Any continuous piecewise-linear function as a network that a multi-neuron relaxation bounds exactly from above.

On a convex set every such function is a maximum of minima of its affine pieces (Ovchinnikov, *Max-min representation of
piecewise linear functions*, 2002):
    f = max_i min_{j in S_i} l_j,    S_i = {j : l_j >= l_i on cell i}.
The network computes the minima and then their maximum, by comparisons of two values each,
    min(a, b) = a - ReLU(a - b),    max(a, b) = b + ReLU(a - b),
layer by layer; every other value, and the one of each pair that is added, is carried by a ReLU that is always active.

Why groups of two neurons, z = a - b and the carried c, are exact for max f over *every* box within the given one:
    minima   the triangle's lower lines alone say min(a, b) <= a and <= b, so an LP over all layers knows
             g_i <= l_j(x) for all j in S_i, and max g_i is the LP max_x min_j l_j(x) itself;
    maxima   let the layer before allow u <= U and v <= V. Then z + c <= U and c <= V are rows of the group's
             octahedron, ReLU(z) + c <= max(U, V) in both phases and so on their hull, as in `max_networks`.
By induction the bound is max_i max_x min_j l_j(x) = max f. Relaxations of single neurons are not exact: max(x_1, x_2)
is the smallest case (Mao, Zhang and Vechev, arXiv 2410.06816, who prove that a network for which the hull of the last
layer's neurons together with copies of the inputs is exact exists for each f). From below the same network may be
loose: ask the network of -f, whose lattice is another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations, product

import numpy as np

from ..network import Array, Network, sequential
from ..property import InputSet

__all__ = ["Lattice", "LatticeNetwork", "Surface", "grid_surface", "kth_largest", "lattice_network"]

SAME = 1e-9  # share of the largest value by which a piece may lie below another at a vertex that both have


@dataclass(frozen=True, eq=False)
class Lattice:
    """f(x) = max_i min_{j in sets[i]} (pieces[j, :-1] @ x + pieces[j, -1])."""

    pieces: Array  # [pieces, inputs + 1]
    sets: tuple[tuple[int, ...], ...]

    def evaluate(self, x: Array) -> Array:
        """[B, inputs] -> [B]."""
        values = x @ self.pieces[:, :-1].T + self.pieces[:, -1]
        return np.asarray(np.max([values[:, list(chosen)].min(axis=1) for chosen in self.sets], axis=0))


@dataclass(frozen=True, eq=False)
class Surface:
    """A function that is affine on each simplex of a triangulated convex set."""

    points: Array  # [points, inputs]
    simplices: Array  # [simplices, inputs + 1] int, corners of each
    values: Array  # [points]; the largest is max f

    def lattice(self) -> Lattice:
        """Its max-min form; sets that contain another one are left out, for their minimum is never above that one's.

        Raises ValueError where a simplex is flat.
        """
        corners = self.points[self.simplices]
        systems = np.concatenate([corners, np.ones((*corners.shape[:2], 1))], axis=2)
        try:
            pieces = np.linalg.solve(systems, self.values[self.simplices][..., None])[..., 0]
        except np.linalg.LinAlgError as error:
            raise ValueError("a simplex is flat: expected corners that span the space") from error
        at = np.einsum("skn,pn->skp", systems, pieces)  # every piece at the corners of every simplex
        above = (at >= self.values[self.simplices][..., None] - SAME * np.abs(self.values).max()).all(axis=1)
        above |= np.eye(len(pieces), dtype=bool)
        sets = {frozenset(np.flatnonzero(row).tolist()) for row in above}
        least = [one for one in sets if not any(other < one for other in sets)]
        return Lattice(pieces, tuple(sorted(tuple(sorted(one)) for one in least)))


@dataclass(frozen=True, eq=False)
class LatticeNetwork:
    """The network, and which of its neurons belong together."""

    network: Network
    pairs: tuple[Array, ...]  # of each hidden layer: [comparisons, 2] flat numbers of z and c

    def groups(self, layer: int, lower: Array, upper: Array) -> list[Array]:
        """The pairs of a layer, counted from 1, whose comparison is open; as `group_refinement` takes them.

        lower, upper: [neurons] of the pre-activations. Where z has one sign nothing is lost by looking at it alone.
        """
        here = self.pairs[layer - 1] if layer <= len(self.pairs) else np.zeros((0, 2), dtype=np.int64)
        here = here[(lower[here[:, 0]] < 0.0) & (upper[here[:, 0]] > 0.0)]
        return [here] if len(here) else []


@dataclass(frozen=True, eq=False)
class _Value:
    """A value in play: affine in the last layer's neurons, and an interval that holds it."""

    row: Array
    offset: float
    low: float
    high: float


def grid_surface(cells: int, inputs: int, seed: int) -> Surface:
    """Random values, multiples of 1/4 from -2 to 2, on the grid of cells^inputs cubes of [0, 1]^inputs.

    Every cube is cut into inputs! simplices by the order of the coordinates in it.

    >>> len(grid_surface(2, 2, seed=0).simplices)
    8
    """
    rng = np.random.default_rng(seed)
    grid = list(product(range(cells + 1), repeat=inputs))
    number = {corner: i for i, corner in enumerate(grid)}
    simplices = [
        [number[corner] for corner in _staircase(cube, order)]
        for cube in product(range(cells), repeat=inputs)
        for order in permutations(range(inputs))
    ]
    return Surface(np.array(grid) / cells, np.array(simplices), rng.integers(-8, 9, len(grid)) / 4.0)


def kth_largest(n: int, k: int) -> Lattice:
    """The k-th largest of n inputs: the highest of the minima of k of them. Raises ValueError unless 1 <= k <= n.

    >>> kth_largest(3, 2).evaluate(np.array([[0.5, 0.25, 0.75]]))
    array([0.5])
    """
    if not 1 <= k <= n:
        raise ValueError(f"the {k}-th largest of {n} inputs: expected one of 1 to {n}")
    return Lattice(np.eye(n, n + 1), tuple(combinations(range(n), k)))


def lattice_network(lattice: Lattice, region: InputSet) -> LatticeNetwork:
    """The network of a lattice on a box: comparisons as a tournament within every set, then among the sets' minima.

    Right wherever all pieces stay above their lowest values on the box less 1. Raises ValueError for a lattice without
    sets, for an empty set and for pieces of another number of inputs.
    """
    if not lattice.sets or not all(lattice.sets) or lattice.pieces.shape[1] != region.size + 1:
        raise ValueError(f"a lattice on {region.size} inputs: expected sets with members, and pieces on these inputs")
    middle, reach = 0.5 * region.lower + 0.5 * region.upper, 0.5 * region.upper - 0.5 * region.lower
    centre = lattice.pieces[:, :-1] @ middle + lattice.pieces[:, -1]
    radius = np.abs(lattice.pieces[:, :-1]) @ reach
    known = [
        _Value(p[:-1], float(p[-1]), float(c - r), float(c + r))
        for p, c, r in zip(lattice.pieces, centre, radius, strict=True)
    ]
    sets, weights, biases, pairs, before = [[known[j] for j in one] for one in lattice.sets], [], [], [], 0
    minima = True  # then the maximum of what they leave, one from each set
    while len(sets) > 1 or len(sets[0]) > 1:
        if minima and all(len(one) == 1 for one in sets):
            minima, sets = False, [[one[0] for one in sets]]
        sets, w, b, here = _round(sets, minima)
        weights.append(w)
        biases.append(b)
        pairs.append(here + before)
        before += len(b)
    last = sets[0][0]
    return LatticeNetwork(sequential([*weights, last.row[None]], [*biases, np.array([last.offset])]), tuple(pairs))


def _round(sets: list[list[_Value]], least: bool) -> tuple[list[list[_Value]], Array, Array, Array]:
    """Neighbours compared in every set: (what is left, weights and bias of the layer, [comparisons, 2] its z and c)."""
    couples = [(a, b) for one in sets for a, b in zip(one[0::2], one[1::2], strict=False)]
    alone = [one[-1] for one in sets if len(one) % 2]
    carried = [*(a if least else b for a, b in couples), *alone]
    count, size = len(couples), len(couples) + len(carried)
    rows = np.array([*(a.row - b.row for a, b in couples), *(v.row for v in carried)])
    bias = np.array([*(a.offset - b.offset for a, b in couples), *(v.offset + 1.0 - v.low for v in carried)])
    unit, numbers, rest = np.eye(size), iter(range(count)), iter(range(2 * count, size))
    left = []
    for one in sets:
        new = [_winner(a, b, unit, next(numbers), count, least) for a, b in zip(one[0::2], one[1::2], strict=False)]
        if len(one) % 2:
            new.append(_Value(unit[next(rest)], one[-1].low - 1.0, one[-1].low, one[-1].high))
        left.append(new)
    return left, rows, bias, np.arange(count)[:, None] + np.array([0, count])


def _winner(a: _Value, b: _Value, unit: Array, z: int, count: int, least: bool) -> _Value:
    """min(a, b) or max(a, b) in the neurons of the layer that compares them."""
    kept, sign, choose = (a, -1.0, min) if least else (b, 1.0, max)
    return _Value(unit[count + z] + sign * unit[z], kept.low - 1.0, choose(a.low, b.low), choose(a.high, b.high))


def _staircase(cube: tuple[int, ...], order: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Corners of a cube from its lowest to its highest, one coordinate after another."""
    here = list(cube)
    yield tuple(here)
    for i in order:
        here[i] += 1
        yield tuple(here)
