"""Exact second opinion on tiny ReLU networks: every activation pattern, in rational arithmetic.

On the inputs of one activation pattern the network is affine, and these inputs form a polytope. The walk
keeps that polytope by its *vertices*, as integers in homogeneous coordinates, and splits it by the hyperplane
of one pre-activation after the other (double description method; Motzkin et al. 1953), so patterns without an
input are never entered. Minima of affine functions are minima over vertices: no solver, no float, no
tolerance.

Floats are taken for the rationals they are. Meant for at most five inputs and some fifteen ReLUs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import gcd, lcm
from operator import mul
from typing import NamedTuple

import numpy as np

from hypersplit.instances.network import Array, Layer, Network
from hypersplit.instances.property import Case, InputSet

__all__ = [
    "Affine", "Leaf", "Polytope", "contains", "decide", "exact_dot", "exact_values", "leaves", "margins_of", "minimum",
    "pre_activation_range",
    "pre_activation_ranges", "worst_at", "worst_margin",
]  # fmt: skip

Point = list[Fraction]
Range = tuple[Fraction, Fraction]


class Polytope(NamedTuple):
    """A bounded polyhedron by its vertices; empty when there are none."""

    dimension: int
    vertices: list[tuple[int, ...]]  # (p, q) with q > 0 is the point p / q
    tight: list[int]  # per vertex a bit mask: which constraints hold there with equality
    constraints: int  # how many bits are in use

    @staticmethod
    def of(region: InputSet) -> Polytope:
        """The vertices of an input set."""
        ends = [
            (Fraction(float(a)), Fraction(float(b))) for a, b in zip(region.lower, region.upper, strict=True)
        ]
        vertices, tight = [], []
        for sides in product((0, 1), repeat=len(ends)):
            if any(side and low == high for side, (low, high) in zip(sides, ends, strict=True)):
                continue  # a fixed input has one end, not two
            vertices.append(_homogeneous([end[side] for side, end in zip(sides, ends, strict=True)]))
            touched = [
                (1 << side) | (2 if low == high else 0) for side, (low, high) in zip(sides, ends, strict=True)
            ]
            tight.append(sum(bits << 2 * j for j, bits in enumerate(touched)))
        box = Polytope(len(ends), vertices, tight, 2 * len(ends))
        rows, _ = _integers(np.column_stack([region.rows, region.offsets]))
        for row in rows:
            box = box.cut(row)
        return box

    def values(self, row: Sequence[int]) -> list[int]:
        """q (g'x + h) at the vertices, for an integer row (g, h): the sign is that of g'x + h."""
        return [sum(map(mul, row, v)) for v in self.vertices]

    def cut(self, row: Sequence[int]) -> Polytope:
        """The part where g'x + h >= 0, for an integer row (g, h)."""
        values = self.values(row)
        if min(values, default=0) >= 0:
            return self
        bit = 1 << self.constraints
        kept = [i for i, value in enumerate(values) if value >= 0]
        vertices = [self.vertices[i] for i in kept]
        tight = [self.tight[i] | (bit if values[i] == 0 else 0) for i in kept]
        for i in (i for i in kept if values[i] > 0):
            for j in (j for j, value in enumerate(values) if value < 0):
                if self._adjacent(i, j):
                    a, b = values[i], -values[j]
                    ends = zip(self.vertices[i], self.vertices[j], strict=True)
                    vertices.append(_reduced([b * p + a * q for p, q in ends]))
                    tight.append(self.tight[i] & self.tight[j] | bit)
        return Polytope(self.dimension, vertices, tight, self.constraints + 1)

    def _adjacent(self, i: int, j: int) -> bool:
        """Two vertices span an edge unless a third one lies on every constraint that both lie on."""
        common = self.tight[i] & self.tight[j]
        if common.bit_count() < self.dimension - 1:
            return False
        return not any(t & common == common for k, t in enumerate(self.tight) if k != i and k != j)

    def points(self) -> list[Point]:
        """The vertices as fractions."""
        return [[Fraction(p, v[-1]) for p in v[:-1]] for v in self.vertices]


class Affine(NamedTuple):
    """Several affine functions of the input: 2^-exponent (rows[:, :-1] @ x + rows[:, -1])."""

    rows: Array  # [size, inputs + 1] of Python integers
    exponent: int

    def at_vertices(self, polytope: Polytope, i: int) -> list[Fraction]:
        """Exact values of function i at a polytope's vertices."""
        values = zip(polytope.values(self.rows[i]), polytope.vertices, strict=True)
        return [Fraction(value, v[-1] << self.exponent) for value, v in values]

    def range(self, polytope: Polytope, i: int) -> Range:
        """Exact minimum and maximum of function i over a polytope that is not empty."""
        values = self.at_vertices(polytope, i)
        return min(values), max(values)


@dataclass(frozen=True)
class Leaf:
    """One activation pattern and the inputs that have it."""

    polytope: Polytope  # never empty
    values: list[Affine]  # x_0, x_1, ... as functions of the input on this polytope
    pre: list[Affine]  # z_1, z_2, ...


def leaves(
    network: Network, region: InputSet, phases: Array | None = None, within: Polytope | None = None
) -> Iterator[Leaf]:
    """All activation patterns that some input of the region has. Their polytopes cover the region.

    within: take this polytope in place of the region, whose norm ball is not minded.
    phases: flat over the neurons of all layers (missing ones count as 0), +1 demands z >= 0, -1 z <= 0.
    Raises ValueError for a network with sigmoid or tanh.
    """
    if not network.piecewise_linear:
        raise ValueError("the oracle enumerates ReLU patterns; sigmoid and tanh have none")
    start = Polytope.of(region) if within is None else within
    if start.vertices:
        identity = np.eye(network.input_size, network.input_size + 1, dtype=np.int64).astype(object)
        demands = [] if phases is None else [int(p) for p in phases]
        yield from _walk(network.layers, start, [Affine(identity, 0)], [], demands)


def _walk(
    layers: Sequence[Layer], polytope: Polytope, values: list[Affine], pre: list[Affine], demands: list[int]
) -> Iterator[Leaf]:
    if len(pre) == len(layers):
        yield Leaf(polytope, values, pre)
        return
    layer = layers[len(pre)]
    z = _compose(layer, values)
    own, later = demands[: layer.size], demands[layer.size :]
    own += [0] * (layer.size - len(own))
    for part, active in _patterns(polytope, z.rows, own, (), layer.kind == "relu"):
        x = (
            z
            if layer.kind == "identity"
            else Affine(z.rows * np.array(active, dtype=object)[:, None], z.exponent)
        )
        yield from _walk(layers, part, [*values, x], [*pre, z], later)


def _patterns(
    polytope: Polytope, rows: Array, demands: list[int], done: tuple[int, ...], relu: bool
) -> Iterator[tuple[Polytope, tuple[int, ...]]]:
    """Split by the hyperplanes of a layer's rows, one neuron at a time, where both signs occur."""
    i = len(done)
    if i == len(demands):
        yield polytope, done
        return
    row, demand = rows[i], demands[i]
    if demand:
        polytope = polytope.cut(row if demand > 0 else -row)
    values = polytope.values(row)
    if not values:
        return
    if not relu or min(values) >= 0:
        yield from _patterns(polytope, rows, demands, (*done, 1), relu)
    elif max(values) <= 0:
        yield from _patterns(polytope, rows, demands, (*done, 0), relu)
    else:
        yield from _patterns(polytope.cut(row), rows, demands, (*done, 1), relu)
        yield from _patterns(polytope.cut(-row), rows, demands, (*done, 0), relu)


def _compose(layer: Layer, values: list[Affine]) -> Affine:
    """The layer's pre-activations as functions of the network's input."""
    blocks = [w if isinstance(w, np.ndarray) else w.toarray() for w in layer.weights]
    whole, scale = _integers(np.column_stack([*blocks, layer.bias]))
    finest = max((values[s].exponent for s in layer.sources), default=0)
    read = [values[s].rows << (finest - values[s].exponent) for s in layer.sources]
    one = np.zeros((1, values[0].rows.shape[1]), dtype=object)
    one[0, -1] = 1 << finest
    return Affine(whole @ np.concatenate([*read, one]), finest + scale)


def decide(
    network: Network, case: Case, joint: bool = False, phases: Array | None = None
) -> tuple[str, Point | None]:
    """("sat", an exact counterexample) or ("unsat", None).

    joint: the forbidden polyhedra are over (y, x) as in `Property`; phases as in `leaves`.
    """
    for leaf in leaves(network, case.region, phases):
        for margins in margins_of(leaf, case, joint):
            part = leaf.polytope
            for row in margins.rows:
                part = part.cut(-row)
            if part.vertices:
                points = part.points()
                # in the relative interior: a strict row that holds strictly anywhere does so there
                middle = [sum(c, Fraction(0)) / len(points) for c in zip(*points, strict=True)]
                if _strictly(network, case, joint, middle):
                    return "sat", middle
    return "unsat", None


def _strictly(network: Network, case: Case, joint: bool, x: Point) -> bool:
    """Whether a counterexample of the closed case satisfies the strict bounds and rows of the case itself."""
    region = case.region
    y = exact_values(network, x)[-1] + (x if joint else [])
    return (
        not any(a <= Fraction(float(b)) for a, b, s in zip(x, region.lower, region.strict_lower, strict=True) if s)
        and not any(a >= Fraction(float(b)) for a, b, s in zip(x, region.upper, region.strict_upper, strict=True) if s)
        and _rows_hold(-region.rows, region.offsets, region.strict, x)
        and any(_rows_hold(p.rows, p.rhs, p.strict, y) for p in case.forbidden)
    )


def _rows_hold(rows: Array, rhs: Array, strict: Array, point: Point) -> bool:
    """rows @ point <= rhs, < where strict, exactly."""
    values = [exact_dot(row, point) - Fraction(float(d)) for row, d in zip(rows, rhs, strict=True)]
    return all(value < 0 or (value == 0 and not s) for value, s in zip(values, strict, strict=True))


def worst_margin(network: Network, case: Case, joint: bool = False) -> tuple[Fraction, Point] | None:
    """min over x and disjuncts of the largest margin C y - d, and where; <= 0 iff there is a counterexample.

    None where the region is empty. A polyhedron without rows has margin 0 everywhere.
    """
    best: tuple[Fraction, Point] | None = None
    for leaf in leaves(network, case.region):
        for margins in margins_of(leaf, case, joint):
            for r, row in enumerate(margins.rows):
                part = leaf.polytope  # the inputs where margin r is the largest
                for other in margins.rows:
                    part = part.cut(row - other)
                for value, point in zip(margins.at_vertices(part, r), part.points(), strict=True):
                    if best is None or value < best[0]:
                        best = value, point
    return best


def margins_of(leaf: Leaf, case: Case, joint: bool) -> Iterator[Affine]:
    """Per forbidden polyhedron its margins C y - d on the leaf."""
    last = len(leaf.values) - 1
    for polyhedron in case.forbidden:
        rows, rhs = polyhedron.rows, polyhedron.rhs
        if not len(rows):
            rows, rhs = np.zeros((1, rows.shape[1])), np.zeros(1)
        outputs = len(leaf.values[last].rows)
        blocks = (rows[:, :outputs], rows[:, outputs:]) if joint else (rows,)
        sources = (last, 0) if joint else (last,)
        yield _compose(Layer(sources, blocks, -rhs), leaf.values)


def worst_at(network: Network, case: Case, joint: bool, x: Point) -> Fraction:
    """The worst margin at one input, exactly."""
    y = exact_values(network, x)[-1] + (list(x) if joint else [])
    return min(
        max((exact_dot(c, y) - Fraction(float(d)) for c, d in zip(p.rows, p.rhs, strict=True)), default=Fraction(0))
        for p in case.forbidden
    )


def contains(region: InputSet, x: Point) -> bool:
    """Whether x lies in the closed box, half-spaces and norm ball, exactly."""
    ends = zip(region.lower.tolist(), x, region.upper.tolist(), strict=True)
    return (
        all(Fraction(low) <= a <= Fraction(high) for low, a, high in ends)
        and all(exact_dot(g, x) + Fraction(float(h)) >= 0 for g, h in zip(region.rows, region.offsets, strict=True))
        and (region.ball is None or region.ball.contains_exactly(list(x)))
    )


def minimum(
    network: Network, region: InputSet, row: Array, const: float = 0.0, phases: Array | None = None
) -> Fraction | None:
    """Exact minimum of row @ f(x) + const over the region (phases as in `leaves`); None where it is empty."""
    last = len(network.layers)
    objective = Layer((last,), (np.asarray(row, dtype=np.float64)[None],), np.array([const]))
    lows = [
        _compose(objective, leaf.values).range(leaf.polytope, 0)[0]
        for leaf in leaves(network, region, phases)
    ]
    return min(lows, default=None)


def pre_activation_ranges(
    network: Network, region: InputSet, phases: Array | None = None
) -> list[list[Range]] | None:
    """Exact (minimum, maximum) of every pre-activation of every layer; None where the region is empty."""
    found: list[list[Range]] | None = None
    for leaf in leaves(network, region, phases):
        here = [[z.range(leaf.polytope, i) for i in range(len(z.rows))] for z in leaf.pre]
        found = here if found is None else [
            [(min(a[0], b[0]), max(a[1], b[1])) for a, b in zip(old, new, strict=True)]
            for old, new in zip(found, here, strict=True)
        ]  # fmt: skip
    return found


def pre_activation_range(
    network: Network, region: InputSet, layer: int, neuron: int, phases: Array | None = None
) -> Range | None:
    """Exact (minimum, maximum) of z_layer[neuron], layers counted from 1; None where the region is empty."""
    ranges = pre_activation_ranges(Network(network.input_size, network.layers[:layer]), region, phases)
    return None if ranges is None else ranges[layer - 1][neuron]


def exact_values(network: Network, x: Sequence[Fraction | float]) -> list[list[Fraction]]:
    """The values x_0, x_1, ... of the network at one input, without rounding."""
    values = [[Fraction(a) for a in x]]
    for layer in network.layers:
        z = [Fraction(float(b)) for b in layer.bias]
        for s, w in zip(layer.sources, layer.weights, strict=True):
            dense = w if isinstance(w, np.ndarray) else w.toarray()
            z = [a + exact_dot(line, values[s]) for a, line in zip(z, dense, strict=True)]
        values.append([max(a, Fraction(0)) for a in z] if layer.kind == "relu" else z)
    return values


def exact_dot(row: Sequence[float] | Array, x: Sequence[Fraction]) -> Fraction:
    """row @ x of a float row, without rounding."""
    return sum((Fraction(float(c)) * v for c, v in zip(row, x, strict=True)), Fraction(0))


def _integers(a: Array) -> tuple[Array, int]:
    """(integers, e) with a = integers 2^-e, exactly."""
    ratios = [float(v).as_integer_ratio() for v in a.flat]
    exponent = max((q.bit_length() - 1 for _, q in ratios), default=0)
    flat = np.empty(len(ratios), dtype=object)
    flat[:] = [p << (exponent - q.bit_length() + 1) for p, q in ratios]
    return flat.reshape(a.shape), exponent


def _homogeneous(point: Point) -> tuple[int, ...]:
    denominator = lcm(*(p.denominator for p in point))
    return tuple([*(int(p * denominator) for p in point), denominator])


def _reduced(v: list[int]) -> tuple[int, ...]:
    divisor = gcd(*v)
    return tuple(p // divisor for p in v)
