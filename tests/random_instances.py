"""Seeded random instances, small enough for the oracle, with boundaries that are touched exactly.

Weights are small multiples of 1/4 and boxes of 1/8, so pre-activations, margins and most minima are floats
without rounding. A forbidden set is drawn first; then its right-hand sides are moved so that the exact worst
margin (`oracle`) becomes what the kind of instance wants:
    clear      +-(1/8 or more)        decided by any sensible bound
    near       +-2^-20                decided only by bounds that are nearly exact
    touching   0                      sat, by equality, at single points
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import oracle

from hypersplit.instances.batch import Batch, root
from hypersplit.instances.network import Array, Layer, Network
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

__all__ = [
    "KINDS",
    "Instance",
    "Shape",
    "is_counterexample",
    "random_instance",
    "random_network",
    "random_nodes",
    "random_phases",
    "random_points",
    "random_query",
    "random_region",
]

KINDS = ("clear-sat", "clear-unsat", "near-sat", "near-unsat", "touching")
TRIES = 20  # forbidden sets drawn until one has a worst margin that right-hand sides can cancel exactly


@dataclass(frozen=True)
class Shape:
    """What random networks and regions may look like."""

    most_inputs: int = 4
    most_hidden: int = 3
    most_width: int = 5
    most_relus: int = 11  # over all layers: keeps the number of patterns small
    residual: float = 0.25  # share of layers that read an earlier value too
    identity: float = 0.15  # share of hidden layers without activation
    final_relu: float = 0.15
    halfspaces: float = 0.4  # share of regions with half-spaces
    flat: float = 0.0  # share of half-spaces that leave a face or a point instead of room around a point
    fixed: float = 0.15  # share of inputs with lower == upper
    scale: float = 1.0  # neurons' weights are multiplied by scale, 1 or 1 / scale
    rough: bool = False  # weights with all 53 bits instead of multiples of 1/4


@dataclass(frozen=True, eq=False)
class Instance:
    """A network, a property and the truth about it."""

    seed: int
    kind: str  # one of KINDS
    network: Network
    prop: Property
    worst: Fraction  # the exact worst margin: the property is violated exactly if <= 0

    @property
    def truth(self) -> str:
        """ "sat" or "unsat"."""
        return "sat" if self.worst <= 0 else "unsat"

    def __str__(self) -> str:
        sizes = "-".join(map(str, self.network.sizes))
        worst = float(self.worst)
        return f"random_instance({self.seed}): {self.kind}, {self.truth}, worst margin {worst}, sizes {sizes}"


def random_network(rng: np.random.Generator, shape: Shape | None = None) -> Network:
    """One to three hidden layers; some residual edges, identity layers and ReLUs on the output."""
    shape = shape or Shape()
    inputs = int(rng.integers(1, shape.most_inputs + 1))
    hidden = int(rng.integers(1, shape.most_hidden + 1))
    sizes, left, layers = [inputs], shape.most_relus, []
    for k in range(1, hidden + 2):
        last = k == hidden + 1
        kind = (
            "relu"
            if (rng.random() < shape.final_relu if last else rng.random() >= shape.identity)
            else "identity"
        )
        size = int(rng.integers(1, 4 if last else shape.most_width + 1))
        if kind == "relu":
            size = min(size, left)
            kind = "relu" if size else "identity"
            left -= size
            size = max(size, 1)
        sources = {k - 1}
        if k > 1 and rng.random() < shape.residual:
            sources.add(int(rng.integers(0, k - 1)))
        matrix = _dyadic(rng, (size, sum(sizes[s] for s in sources) + 1))
        if shape.rough:
            matrix *= 1.0 + 0.3 * rng.random(matrix.shape)
        if shape.scale != 1.0:
            matrix *= rng.choice([shape.scale, 1.0, 1.0 / shape.scale], (size, 1))
        reads = tuple(sorted(sources))
        *weights, bias = np.split(matrix, np.cumsum([sizes[s] for s in reads]), axis=1)
        layers.append(Layer(reads, tuple(weights), bias[:, 0], kind, f"layer_{k}"))
        sizes.append(size)
    return Network(inputs, tuple(layers))


def random_region(rng: np.random.Generator, inputs: int, shape: Shape | None = None) -> InputSet:
    """A box with ends in multiples of 1/8, some inputs fixed, sometimes half-spaces. Never empty."""
    shape = shape or Shape()
    lower = rng.integers(-16, 9, inputs) / 8.0
    width = rng.integers(1, 17, inputs) / 8.0
    upper = lower + np.where(rng.random(inputs) < shape.fixed, 0.0, width)
    if rng.random() >= shape.halfspaces:
        return InputSet.box(lower, upper)
    rows = _dyadic(rng, (int(rng.integers(1, 4)), inputs))
    inside = lower + (upper - lower) * rng.integers(0, 5, inputs) / 4.0  # a point that stays; often on a face
    room = np.where(rng.random(len(rows)) < shape.flat, 0.0, rng.integers(1, 5, len(rows)) / 8.0)
    offsets = -rows @ inside + room
    return InputSet(lower, upper, rows, offsets)


def random_points(rng: np.random.Generator, region: InputSet, count: int) -> Array:
    """[<= count, n] points of the region, box vertices and faces among them."""
    share = rng.random((count, region.size))
    share = np.where(rng.random(share.shape) < 0.3, np.round(share), share)
    points = region.lower + (region.upper - region.lower) * share
    points = np.clip(points, region.lower, region.upper)
    return points[[region.contains(x) for x in points]]


def random_phases(rng: np.random.Generator, network: Network, region: InputSet, share: float = 0.3) -> Array:
    """[neurons of all layers] int8 phases of ReLUs; half of the draws follow an input, so hold somewhere."""
    relu = np.concatenate([np.full(layer.size, layer.kind == "relu") for layer in network.layers])
    middle = (region.lower + region.upper)[None] / 2
    signs = np.where(np.concatenate(network.values(middle)[1], axis=1)[0] >= 0, 1, -1)
    if rng.random() < 0.5:
        signs = rng.choice([-1, 1], len(relu))
    return np.where(relu & (rng.random(len(relu)) < share), signs, 0).astype(np.int8)


def random_nodes(rng: np.random.Generator, query: Query, count: int) -> Batch:
    """Nodes as a search makes them: smaller boxes, up to two more half-spaces, phases. Some are empty."""
    batches = []
    for _ in range(count):
        node = root(query)
        lower, upper = node.lower[0], node.upper[0]
        low, high = np.sort(rng.integers(0, 9, (2, len(lower))) / 8.0, axis=0)
        box = InputSet.box(lower + (upper - lower) * low, lower + (upper - lower) * high)
        node.lower, node.upper = box.lower[None], box.upper[None]
        normals = _dyadic(rng, (int(rng.integers(0, 3)), len(lower)))
        through = box.lower + (box.upper - box.lower) * rng.random(len(lower))
        offsets = -normals @ through + rng.integers(-1, 3, len(normals)) / 8.0
        node.cuts = np.concatenate([node.cuts, np.column_stack([normals, offsets])[None]], axis=1)
        node.phases = random_phases(rng, query.network, box, share=rng.choice([0.0, 0.3]))[
            None, : query.neurons
        ]
        node.pre_lower[node.phases > 0], node.pre_upper[node.phases < 0] = 0.0, 0.0
        batches.append(node)
    return Batch.concatenate(batches)


def random_instance(seed: int, kind: str | None = None, shape: Shape | None = None) -> Instance:
    """The instance of a seed; its kind is drawn from KINDS in equal shares unless given.

    A touching worst margin must be a float: after TRIES forbidden sets without one it becomes a near one.
    """
    shape = shape or Shape()
    rng = np.random.default_rng(seed)
    drawn = str(rng.choice(KINDS))
    kind = kind or drawn
    network = random_network(rng, shape)
    regions = [random_region(rng, network.input_size, shape) for _ in range(2 if rng.random() < 0.15 else 1)]
    joint = bool(rng.random() < 0.15)
    aim = _aim(rng, kind)
    for attempt in range(TRIES):
        forbidden = _random_forbidden(rng, network, joint)
        moved = [_moved(network, Case(region, forbidden), joint, aim) for region in regions]
        if aim != 0 or all(worst == 0 for _, worst in moved):
            break
        if attempt == TRIES - 1:
            kind, aim = "near-unsat", Fraction(1, 2**20)
            moved = [_moved(network, Case(region, forbidden), joint, aim) for region in regions]
    cases = tuple(case for case, _ in moved)
    prop = Property(cases, network.input_size, network.output_size, joint=joint)
    return Instance(seed, kind, network, prop, min(worst for _, worst in moved))


def random_query(seed: int, shape: Shape | None = None) -> Query:
    """A network, a region and a forbidden set of the seed, of which the truth is not known: quick to draw."""
    rng = np.random.default_rng(seed)
    network = random_network(rng, shape)
    case = Case(random_region(rng, network.input_size, shape), _random_forbidden(rng, network, joint=False))
    return queries(network, Property((case,), network.input_size, network.output_size))[0]


def is_counterexample(instance: Instance, case: Case, x: list[Fraction]) -> bool:
    """Whether x is one, in rational arithmetic."""
    region = case.region
    inside = all(
        low <= a <= high for low, a, high in zip(region.lower, x, region.upper, strict=True)
    ) and all(
        oracle.exact_dot(g, x) + Fraction(float(h)) >= 0
        for g, h in zip(region.rows, region.offsets, strict=True)
    )
    y = oracle.exact_values(instance.network, x)[-1] + (x if instance.prop.joint else [])
    return inside and any(
        all(oracle.exact_dot(c, y) <= Fraction(float(d)) for c, d in zip(p.rows, p.rhs, strict=True))
        for p in case.forbidden
    )


def _aim(rng: np.random.Generator, kind: str) -> Fraction:
    """The worst margin that an instance of the kind should have."""
    if kind == "touching":
        return Fraction(0)
    size = Fraction(int(rng.integers(1, 17)), 8) if kind.startswith("clear") else Fraction(1, 2**20)
    return size if kind.endswith("unsat") else -size


def _moved(network: Network, case: Case, joint: bool, aim: Fraction) -> tuple[Case, Fraction]:
    """The case with right-hand sides moved to a worst margin of `aim` up to one rounding, and that margin."""
    found = oracle.worst_margin(network, case, joint)
    if found is None:
        raise AssertionError("random regions are never empty")
    move = float(found[0] - aim)
    forbidden = tuple(Polyhedron(p.rows, p.rhs + move) for p in case.forbidden)
    exact = all(
        Fraction(float(new)) == Fraction(float(old)) + Fraction(move)
        for p, q in zip(case.forbidden, forbidden, strict=True)
        for old, new in zip(p.rhs, q.rhs, strict=True)
    )
    moved = Case(case.region, forbidden)
    if exact:
        return moved, found[0] - Fraction(move)
    again = oracle.worst_margin(network, moved, joint)
    assert again is not None
    return moved, again[0]


def _random_forbidden(rng: np.random.Generator, network: Network, joint: bool) -> tuple[Polyhedron, ...]:
    width = network.output_size + (network.input_size if joint else 0)
    return tuple(
        Polyhedron(_dyadic(rng, (rows, width)), rng.integers(-8, 9, rows) / 8.0)
        for rows in rng.integers(1, 4, int(rng.integers(1, 4)))
    )


def _dyadic(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Multiples of 1/4 in [-2, 2], a few zeros; halves and ones are frequent so that minima stay dyadic."""
    simple = rng.choice([-1.0, -0.5, 0.0, 0.5, 1.0], size, p=[0.3, 0.15, 0.1, 0.15, 0.3])
    return np.where(rng.random(size) < 0.7, simple, rng.integers(-8, 9, size) / 4.0)
