"""The upper side of a radius: counterexamples that the file itself confirms, as near to the input as they are found."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from ...heuristics.attacks.lengths import lengths
from ...heuristics.boundaries.class_gaps import ANY, ClassGaps
from ...heuristics.boundaries.nearest import closer, nearest
from ...heuristics.boundaries.pulling import pulled
from ...instances.judges.replay import Replay, Witness
from ...instances.network import Array
from ...instances.property import Case, InputSet
from ...instances.rounding import gamma
from .question import Range, beaten

__all__ = ["Counterexample", "UpperSide"]

# shares of a step that a candidate on the decision boundary is moved beyond it, until the file says so too
BEYOND = (0.0, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
MOST_AIMS = 16  # classes that are aimed at by themselves, the likeliest ones
ROUNDED = 1e-9  # share by which a distance that is rounded up may exceed the one that it stands for, amply
ATTACK_SHARE = 0.1  # of the time that is left, for the first attack


@dataclass(frozen=True, eq=False)
class Counterexample:
    """An input that the file sends to another class (or to a tie)."""

    input: Array  # [n]
    output: Array  # [m], what the file gave
    distance: float  # of the input from x, rounded up
    other: int  # the class that is taken for


@dataclass(eq=False)
class UpperSide:
    """The nearest counterexamples of one input and label that are known, one for each other class.

    x: [n], which the network takes for `label`.
    """

    replay: Replay
    x: Array
    label: int
    norm: float
    limits: Range
    rng: np.random.Generator
    nearest: dict[int, Counterexample] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.gaps = ClassGaps(self.replay.network, self.x[None], self.limits.low, self.limits.high)

    def attack(self, targets: list[int], deadline: float) -> None:
        """The minimum-norm attack on each of the classes, descents from its nearest result."""
        until = time.monotonic() + ATTACK_SHARE * (deadline - time.monotonic())
        aims = np.array(targets)
        if len(targets) > 1:
            likely = np.argsort(-self.gaps.outputs(self.x[None])[0][aims], kind="stable")[:MOST_AIMS]
            aims = np.concatenate([[ANY] if len(targets) == self.replay.network.output_size - 1 else [], aims[likely]])
            aims = aims.astype(np.int64)
        points, distances = nearest(self.gaps, self.x, self.label, aims, self.norm, until)
        order = np.argsort(distances, kind="stable")
        for k in order[np.isfinite(distances[order])]:
            self.confirm(points[k], targets)
        best = self.best(targets)
        if best:
            self.improve(best, until)

    def take(self, witness: Witness, targets: list[int], deadline: float) -> None:
        """A counterexample of a search, and what it becomes when it is pulled towards x."""
        self.keep(witness, targets)
        best = self.best(targets)
        if best is not None:
            self.improve(best, time.monotonic() + ATTACK_SHARE * (deadline - time.monotonic()))

    def best(self, targets: list[int]) -> Counterexample | None:
        """The nearest one of these classes."""
        known = [self.nearest[j] for j in targets if j in self.nearest]
        return min(known, key=lambda c: c.distance) if known else None

    def reaches(self, targets: list[int], epsilon: float) -> bool:
        """Whether a counterexample of these classes is known within a distance; on its very edge, too."""
        best = self.best(targets)
        return best is not None and best.distance <= epsilon * (1.0 + ROUNDED)

    def improve(self, best: Counterexample, until: float) -> None:
        one = np.array([self.label]), np.array([best.other])
        near = pulled(self.gaps, self.x[None], best.input[None], *one, self.norm)[0]
        near = closer(self.gaps, self.x, self.label, best.other, self.norm, near, self.rng, until)
        self.confirm(near, [best.other])

    def confirm(self, point: Array, targets: list[int]) -> None:
        """Keep the input next to `point`, or a little beyond it, that the file itself confirms."""
        step = point - self.x
        reach = (1.0 + 2.0 * BEYOND[-1]) * np.abs(step) + np.spacing(np.abs(point))
        low, high = (np.clip(self.x + sign * reach, self.limits.low, self.limits.high) for sign in (-1.0, 1.0))
        case = Case(InputSet.box(low, high), beaten(self.label, targets, self.replay.network.output_size))
        for share in BEYOND:
            if witness := self.replay.check(case, np.clip(self.x + (1.0 + share) * step, low, high)):
                self.keep(witness, targets)
                return

    def keep(self, witness: Witness, targets: list[int]) -> None:
        """A witness stands for every class that it ties with or is taken for."""
        x, y = witness.input, witness.output
        if (x < self.limits.low).any() or (x > self.limits.high).any():  # float32 has no number in the range
            return
        distance = float(lengths(x - self.x, self.norm)) * (1.0 + gamma(len(x) + 2))
        for j in targets:
            known = self.nearest.get(j)
            if y[j] >= y[self.label] and (known is None or distance < known.distance):
                self.nearest[j] = Counterexample(x, y, distance, j)
