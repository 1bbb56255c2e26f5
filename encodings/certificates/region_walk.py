"""The least distortion of a point, by a walk over activation regions from the point outward.

The outlook of Singla and Feizi (2019): where the simplex certificate ends at a face, go on behind it. A queue holds, of
every region that was visited, its faces that were not crossed and its decision boundaries, by their distances from the
point u: first those of their hyperplanes, which cost nothing, then, for those that come up, of the face within its
region, by a linear or quadratic program. The nearest face is crossed; where a boundary is the nearest thing, its
distance is the least distortion.

Why nothing is lost. Let x be a nearest point of another answer, at distance d. It lies in a region of full dimension,
and is a limit of points x' inside that region; the segment from a point u' inside the first region, near u, to a
generic x' avoids what lies on two different hyperplanes, so it crosses faces one at a time, each at a point whose
distance from u is at most max(|u' - u|, |x' - u|). There are finitely many faces, so one sequence of them does for x'
arbitrarily near x: faces within max(|u' - u|, d). Until that region is visited, the first face of the sequence that was
not crossed is in the queue, and when it is, its boundary is. So at any time the least key of the queue bounds d from
below, whatever regions were visited besides. Likewise a region that is found by a key has no part nearer than it, so
that its own faces and boundaries are queued with that key at least.

What lies behind a face of the last ReLU layer is the same region whichever face it is come to by: all rows of that
layer are what they were but for one sign. So the distance of the region itself is its key, and it is asked for once.

A region costs more memory than it takes to make it again: rows are kept of the regions that were asked last.

Keys are lower bounds in spite of rounding (`polytope_distance`), and `crossings` leaves out no neighbour; the upper
bound is that of a point which the network was evaluated at, with error terms.
"""

from __future__ import annotations

import heapq
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np

from ...instances.errors import InputError
from ...instances.network import Array, Network
from ...instances.rounding import EPS
from .affine_pieces import prepared
from .crossings import flipped, lone_faces, neighbours
from .norms import at_most_length, at_most_norm, dual
from .other_answers import Nearest
from .polytope_distance import ABOVE, ABSENT, BELOW, ON, Polyhedra, Rows, nearest
from .questions import Question, asked
from .starting_region import starting_phases
from .walked_regions import Phases, WalkedRegion, flips, key_of, made, relu_layers

__all__ = ["RegionWalks", "region_walk"]

SAME = 1e-6  # relative gap of lower and upper bound up to which a distortion counts as exact
REACH = 1e6  # of the point's size: what is further away is an empty region's proof rather than a distance
KEPT_MB = 200.0  # of regions whose rows are kept
ROW_BYTES = 100.0  # of a number in them: three copies, and its place in a linear program
INSIDE = (1e-12, 1e-10, 1e-8, 1e-7)  # of the distance: how far from all faces a point of another answer is looked for


@dataclass(frozen=True, eq=False)
class RegionWalks:
    """What walks found out about B points."""

    lower: Array  # [B] proved: every x nearer than this is answered by the label; inf: every x of the range is
    upper: Array  # [B] distance of a point of another answer; inf where none was found
    points: Array  # [B, n] that point; NaN where there is none
    regions: Array  # [B] int, regions visited
    exact: Array  # [B] bool: lower and upper are the least distortion, up to a millionth of it
    stopped: list[str]  # [B] why the walk ended: "" where it came to its end
    graphs: list[Any]  # [B] networkx graphs of the regions: nodes have their phases, edges the neuron and the distance


def region_walk(
    network: Network, points: Array, labels: Array, norm: float = 2, lower: float | Array = -np.inf,
    upper: float | Array = np.inf, seconds: float = 10.0, regions: int = 10_000,
) -> RegionWalks:  # fmt: skip
    """Walk from each of the points [B, n] until its least distortion is known, or seconds or regions are used up.

    labels: [B]; norm: 1, 2 or inf; lower, upper: numbers or [n], the range of inputs, lower < upper, infinite where
    there is no end; seconds, regions: for each point.

    Raises InputError for other values, points outside the range among them, and as `simplex_certificate` does.
    """
    question = asked(network, points, labels, norm)
    low, high = (np.broadcast_to(np.asarray(end, dtype=np.float64), (network.input_size,)) for end in (lower, upper))
    if not (low < high).all():
        raise InputError("range of inputs: expected lower < upper in every input")
    if not ((low <= question.points) & (question.points <= high)).all():
        raise InputError("a point lies outside the range of inputs")
    if not (seconds >= 0.0 and regions >= 1):
        raise InputError(f"a walk of {seconds} seconds and {regions} regions: expected at least 0 and 1")
    walks = [_Walk(question[b : b + 1], low, high) for b in range(len(question.points))]
    for walk in walks:
        walk.run(time.monotonic() + seconds, regions)
    none = np.full(network.input_size, np.nan)
    return RegionWalks(
        np.array([w.lower for w in walks]), np.array([w.nearest.distance for w in walks]),
        np.array([none if w.nearest.point is None else w.nearest.point for w in walks]).reshape(-1, len(none)),
        np.array([len(w.regions) for w in walks], dtype=np.int64), np.array([w.exact for w in walks], dtype=bool),
        [w.stopped for w in walks], [w.graph for w in walks],
    )  # fmt: skip


@dataclass(eq=False)
class _Item:
    """A face or a boundary in the queue."""

    key: float  # at most its distance
    region: int
    place: int  # of a face, or the number of faces more of a boundary
    refined: bool = False  # whether the key is that within the region
    behind: list[Phases] | None = None  # of a refined face: what may lie there


@dataclass(eq=False)
class _Open:
    """What is kept of a visited region: its phases, and the keys of its faces and boundaries, nearest last."""

    phases: Phases
    name: int
    neurons: Array  # [faces, 2] int, as of a Neuron
    alone: Array  # [faces] bool: `lone_faces`
    keys: Array  # [parts]
    places: Array  # [parts] int


class _Walk:
    """The walk of one point."""

    def __init__(self, question: Question, low: Array, high: Array) -> None:
        import networkx as nx

        self.question, self.network, self.norm = question, question.network, question.norm
        self.box = _box(question.points[0], low, high)
        self.nearest = Nearest(question, low, high)
        self.regions: list[_Open] = []
        self.kept: OrderedDict[int, tuple[WalkedRegion, Polyhedra]] = OrderedDict()
        self.names: dict[int, int] = {}
        self.awaited: set[int] = set()  # regions that are queued with their own distances
        self.flips = flips(self.network) if prepared(self.network).biased else {}
        self.last = max(relu_layers(self.network), default=-1)
        self.queue: list[tuple[float, int, _Item]] = []
        point = question.points[0]
        self.furthest = float(at_most_length(np.maximum(high - point, point - low), self.norm))
        self.reach = REACH * (1.0 + float(np.abs(point).max(initial=0.0)))
        self.tickets = count()
        self.graph = nx.DiGraph()
        self.lower, self.exact, self.stopped = 0.0, False, ""
        self.arrived = np.inf  # the nearest boundary that was the nearest thing there was

    def run(self, deadline: float, most: int) -> None:
        """Walk until the end, the deadline, or the number of regions."""
        self.nearest.try_at(self.question.points)
        if self.nearest.distance == 0.0:
            self.exact = True
            return
        starts, floor = starting_phases(self.question, self.box)
        if not starts:
            self.stopped = "floats do not tell the region of the point"
            return
        for phases in starts:
            self._visit(phases, 0.0)
        while not self._over(floor, deadline, most):
            item = heapq.heappop(self.queue)[2]
            if not item.refined:
                self._refine(item)
            elif item.place >= len(self.regions[item.region].neurons):
                self._arrive(item)
            elif not self._cross(item):
                self.stopped = "a face that too many regions touch"
                return

    def _over(self, floor: float, deadline: float, most: int) -> bool:
        """Whether the walk has ended, and what it has proved up to now."""
        key = self.queue[0][0] if self.queue else np.inf
        reached = min(key, self.arrived, self.nearest.distance)
        if reached > self.furthest:  # nothing of the range is as far away
            reached = np.inf
        self.lower = reached if reached > floor else 0.0
        self.exact = self.nearest.distance <= max(self.lower * (1.0 + SAME), EPS) or reached == np.inf
        if self.exact:
            self.stopped = ""
        elif key > self.arrived * (1.0 + SAME):
            self.stopped = "a boundary that no float crosses"
        elif key > self.reach:
            self.stopped = "no other answer within reach"
        elif len(self.regions) > most:
            self.stopped = "regions"
        elif time.monotonic() > deadline:
            self.stopped = "time"
        return self.exact or bool(self.stopped)

    def _visit(self, phases: Phases, key: float) -> int:
        """The number of a region; a new one is made, and its nearest part queued."""
        key_bytes = key_of(self.network, phases)
        name = int.from_bytes(key_bytes)
        if name in self.names:
            return self.names[name]
        number = self.names[name] = len(self.regions)
        region, polyhedra = self._kept(number, phases)
        self.graph.add_node(number, phases=key_bytes, distance=key)
        self.nearest.try_steps(region.margins)
        keys = polyhedra.hyperplanes[: len(polyhedra.hyperplanes) - len(self.box.values)].copy()
        # a boundary whose function is not positive at the input may be wherever the region is
        keys[len(region.neurons) :][~(region.margins.values > 0.0)] = 0.0
        keys = np.maximum(keys, key)
        order = np.argsort(-keys, kind="stable")
        order = order[keys[order] < np.inf]
        neurons = np.array(region.neurons, dtype=np.int32).reshape(-1, 2)
        self.regions.append(_Open(phases, name, neurons, lone_faces(region), keys[order], order))
        self._queue_next(number)
        return number

    def _region(self, number: int) -> tuple[WalkedRegion, Polyhedra]:
        """A visited region and the polyhedra of its rows, made again where they are no longer kept."""
        if number in self.kept:
            self.kept.move_to_end(number)
            return self.kept[number]
        return self._kept(number, self.regions[number].phases)

    def _kept(self, number: int, phases: Phases) -> tuple[WalkedRegion, Polyhedra]:
        region = made(self.question, phases)
        rows = Rows.stacked([region.faces, region.margins, self.box])
        self.kept[number] = region, Polyhedra(rows, self.norm)
        size = len(rows.values) * (ROW_BYTES * len(self.box.normals.T) + len(rows.values))
        while len(self.kept) > max(1.0, 1e6 * KEPT_MB / size):
            self.kept.popitem(last=False)
        return self.kept[number]

    def _queue_next(self, number: int) -> None:
        """Queue the nearest part of a region that is not yet queued."""
        region, left = self.regions[number], 0
        for left in range(len(region.keys), 0, -1):
            place = int(region.places[left - 1])
            if not (name := self._only(region, place)) or not self._settled(name, region, place):
                self._push(_Item(float(region.keys[left - 1]), number, place))
                break
        region.keys, region.places = region.keys[: left - 1], region.places[: left - 1]

    def _only(self, region: _Open, place: int) -> int:
        """The name of the only region behind a face, where that takes no reckoning; else 0."""
        if not self.flips or place >= len(region.neurons) or not region.alone[place]:
            return 0
        return region.name ^ self.flips[tuple(region.neurons[place].tolist())]

    def _settled(self, name: int, region: _Open, place: int) -> bool:
        """Whether the only region behind a face is visited, or in the queue with its own distance."""
        return name in self.names or (region.neurons[place, 0] == self.last and name in self.awaited)

    def _push(self, item: _Item) -> None:
        if item.key < np.inf:
            heapq.heappush(self.queue, (item.key, next(self.tickets), item))

    def _refine(self, item: _Item) -> None:
        """Queue a face or a boundary again, by its distance within the region, or by that of the region behind it."""
        self._queue_next(item.region)
        visited = self.regions[item.region]
        is_face, whole = item.place < len(visited.neurons), False
        if is_face:
            name = self._only(visited, item.place)
            if name and self._settled(name, visited, item.place):
                return
            item.behind = self._behind(item)
            names = {int.from_bytes(key_of(self.network, phases)) for phases in item.behind or ()}
            if item.behind is not None and names <= self.names.keys():
                return
            whole = len(names) == 1 and visited.neurons[item.place, 0] == self.last
            if whole and names <= self.awaited:
                return
            self.awaited |= names if whole else set()
        region, polyhedra = self._region(item.region)
        sides = self._sides(region)
        sides[item.place] = BELOW if whole or not is_face else ON
        distance, step = polyhedra.nearest(sides)
        if step is not None and not is_face:
            self.nearest.try_beyond(step)
        item.key, item.refined = max(item.key, distance), True
        self._push(item)

    def _behind(self, item: _Item) -> list[Phases] | None:
        """What may lie behind a face; None where that is too much."""
        visited = self.regions[item.region]
        if visited.alone[item.place]:
            layer, neuron = visited.neurons[item.place].tolist()
            return [flipped(self.network, visited.phases, (layer, neuron))]
        return neighbours(self.network, self._region(item.region)[0], item.place)

    def _sides(self, region: WalkedRegion) -> Array:
        """The region's own: its faces and the range of inputs."""
        counts = len(region.neurons), len(region.margins.values), len(self.box.values)
        return np.repeat([ABOVE, ABSENT, ABOVE], counts)

    def _cross(self, item: _Item) -> bool:
        """Visit what lies behind a face; False where that is not known."""
        if item.behind is None:
            return False
        layer, neuron = self.regions[item.region].neurons[item.place].tolist()
        for phases in item.behind:
            other = self._visit(phases, item.key)
            self.graph.add_edge(item.region, other, layer=layer, neuron=neuron, distance=item.key)
        return True

    def _arrive(self, item: _Item) -> None:
        """A boundary is the nearest thing there is. Where floats do not cross it, a point inside is looked for."""
        self.arrived = min(self.arrived, item.key)
        if self.nearest.distance <= item.key * (1.0 + SAME):
            return
        region, polyhedra = self._region(item.region)
        sides = self._sides(region)
        sides[item.place] = BELOW
        rows, sign = polyhedra.rows[np.flatnonzero(sides)], sides[sides != ABSENT]
        rows = replace(rows, normals=rows.normals * sign[:, None], values=rows.values * sign)
        sizes = at_most_norm(rows.normals, dual(self.norm))
        for share in INSIDE:
            inside = replace(rows, values=rows.values - share * max(item.key, EPS) * sizes)
            step = nearest(inside, self.norm)[1]
            if step is not None:
                self.nearest.try_at(self.question.points + step)


def _box(point: Array, low: Array, high: Array) -> Rows:
    """The finite ends of the range as rows of the step."""
    below, above = np.flatnonzero(np.isfinite(low)), np.flatnonzero(np.isfinite(high))
    unit = np.eye(len(point))
    values = np.concatenate([point[below] - low[below], high[above] - point[above]])
    normals = np.concatenate([unit[below], -unit[above]]).reshape(-1, len(point))
    return Rows(normals, values, np.zeros(len(values)), EPS * np.abs(values))
