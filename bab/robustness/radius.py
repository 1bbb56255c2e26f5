"""The robustness radius of one input, between what is certified and what is attacked.

    r(x) = sup {e : no input within e of x, in the range, is taken for another class than x}

From above: the nearest counterexample that an attack finds and the file confirms. From below: the largest e for which
the complete search refutes every other class. Between them the search is asked at growing e; a counterexample of its
own lowers the upper side to its own distance, and is pulled towards x. What the search cannot decide in its share of
the time bounds where it is asked from then on, and is neither side.

The questions climb a ladder of shares of the upper side: near the boundary a search takes many times as long as at half
its distance, so the steps below the last one cost little and leave something where the last one fails.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Unpack

import numpy as np

from ...instances.errors import DisagreementError, InputError
from ...instances.judges.replay import Replay
from ...instances.network import Array, Network
from ...instances.rounding import gamma
from ..run.limits import Limits
from ..run.options import Options, OptionValues, changed
from .question import NORMS, answered, classifier_output, question, read_classifier, whole_range
from .starting_radius import starting_radius
from .upper_side import Counterexample, UpperSide

__all__ = ["Radius", "radii", "radius"]

LADDER = (0.4, 0.7, 0.9)  # shares of the upper side that are asked for before the last one
LAST = 0.9  # of the tolerance that the last question leaves between the sides
CALL_SHARE = 0.5  # of the time that is left, for one question
LEAST_SECONDS = 0.05  # that a question is worth asking with
FIRST_GUESS = 0.01  # of the input's size: the first question where no counterexample is known
GROWTH = 4.0  # of the next ones
MOST = 1e6  # of the input's size: farther away nobody looks for one
MOST_UNDECIDED = 12  # questions without an answer, each at half the radius of the one before
DISAGREEMENT = 1e-4  # share by which rounding in the file may bring its counterexamples below a certified radius


@dataclass(frozen=True, eq=False)
class Radius:
    """Both sides of a radius. What is certified holds of the real-valued network, what is attacked of the file."""

    certified: float  # no input within this distance gets another class; inf where none of the range does
    attacked: float  # distance of the nearest counterexample, rounded up; inf where none is known
    label: int  # the class that is kept
    other: int | None  # the class of the nearest counterexample
    counterexample: Array | None  # [n]
    reason: str  # why the sides are farther apart than the tolerance, "" where they are not
    questions: int  # that the complete search was asked
    seconds: float

    @property
    def closed(self) -> bool:
        """Whether the sides are as near as was asked for."""
        return not self.reason


def radius(
    network: str | os.PathLike[str] | Network, x: Array, norm: float = np.inf, label: int | None = None,
    low: float | Array = -np.inf, high: float | Array = np.inf, tolerance: float = 0.01,
    options: Options | None = None, **overrides: Unpack[OptionValues],
) -> Radius:  # fmt: skip
    """The radius of x [n] in l1, l2 or the maximum norm, certified and attacked.

    network: path of an ONNX file, or a Network; label: the class to keep, by default the one that the network
    gives; low, high: the range that inputs come from, numbers or [n]; tolerance: largest gap between the two radii,
    as a share of the attacked one; options: of the searches, `timeout` of all together.

    Where the network gives x another class than `label`, or a tie, both radii are 0. Raises InputError for what is
    none of these, and as `verify` does.
    """
    ask = _Asked(read_classifier(network), x, norm, label, low, high, tolerance, changed(options, overrides))
    return ask.radius(ask.others, ask.limits.deadline)


def radii(
    network: str | os.PathLike[str] | Network, x: Array, norm: float = np.inf, label: int | None = None,
    low: float | Array = -np.inf, high: float | Array = np.inf, tolerance: float = 0.01,
    options: Options | None = None, **overrides: Unpack[OptionValues],
) -> dict[int, Radius]:  # fmt: skip
    """The same for each other class by itself: how far x is from being taken for class j, as {j: radius}.

    The nearest classes come first; each gets an equal share of the time that is left. Their least radii bound `radius`.
    """
    ask = _Asked(read_classifier(network), x, norm, label, low, high, tolerance, changed(options, overrides))
    ask.upper.attack(ask.others, ask.limits.deadline)
    known = ask.upper.nearest
    order = sorted(ask.others, key=lambda j: known[j].distance if j in known else np.inf)
    found: dict[int, Radius] = {}
    end = ask.limits.deadline
    for place, j in enumerate(order):
        now = time.monotonic()
        found[j] = ask.radius([j], now + max(0.0, end - now) / (len(order) - place))
        if found[j].reason == "interrupted":
            end = now
    return found


class _Asked:
    """What is asked, checked, with what all its questions share."""

    def __init__(
        self, network: Network, x: Array, norm: float, label: int | None, low: float | Array, high: float | Array,
        tolerance: float, options: Options,
    ) -> None:  # fmt: skip
        if norm not in NORMS:
            raise InputError(f"norm {norm!r}: expected 1, 2 or inf")
        if not 0.0 < tolerance < 1.0:
            raise InputError(f"tolerance {tolerance!r}: expected a number between 0 and 1")
        self.network, self.norm, self.tolerance, self.options = network, norm, tolerance, options
        self.x = np.asarray(x, dtype=np.float64)
        if self.x.shape != (network.input_size,):
            raise InputError(f"input of shape {self.x.shape}, expected ({network.input_size},)")
        self.limits = Limits(options)
        self.range = whole_range(len(self.x), low, high)
        self.range.holds(self.x, "input")
        replay = Replay(network)
        self.output = classifier_output(replay, self.x, "the input")
        classes = len(self.output)
        if label is not None and not 0 <= label < classes:
            raise InputError(f"label {label}: expected a class from 0 to {classes - 1}")
        self.label = int(self.output.argmax()) if label is None else label
        self.others = [j for j in range(classes) if j != self.label]
        rng = np.random.default_rng(options.seed)
        self.upper = UpperSide(replay, self.x, self.label, norm, self.range, rng)

    @property
    def farthest(self) -> float:
        """Distance of the range's farthest corner, rounded up: a radius beyond it is infinite."""
        corner = np.maximum(np.abs(self.range.low - self.x), np.abs(self.range.high - self.x))
        return float(np.linalg.norm(corner, ord=self.norm)) * (1.0 + gamma(len(corner)))

    def radius(self, targets: list[int], deadline: float) -> Radius:
        """Of being taken for one of these classes."""
        started = time.monotonic()
        beats = [j for j in targets if self.output[j] >= self.output[self.label]]
        if beats:
            other = max(beats, key=lambda j: self.output[j])
            return Radius(0.0, 0.0, self.label, other, self.x, "", 0, 0.0)
        if not any(j in self.upper.nearest for j in targets):
            self.upper.attack(targets, deadline)
        search = _Bisection(self, targets, deadline)
        reason = search.run()
        best = self.upper.best(targets)
        attacked = best.distance if best else np.inf
        if search.lower > attacked * (1.0 + DISAGREEMENT):
            raise DisagreementError(f"certified to {search.lower}, but the file has a counterexample at {attacked}")
        return Radius(
            min(search.lower, attacked), attacked, self.label, best.other if best else None,
            best.input if best else None, reason, search.questions, time.monotonic() - started,
        )  # fmt: skip


class _Bisection:
    """The complete search, asked at one radius after another."""

    def __init__(self, asked: _Asked, targets: list[int], deadline: float) -> None:
        self.asked, self.targets, self.deadline = asked, targets, deadline
        self.lower = starting_radius(asked.network, asked.x, asked.label, asked.norm)
        self.open = np.inf  # the least radius that could not be decided
        self.why, self.questions, self.undecided = "", 0, 0

    @property
    def best(self) -> Counterexample | None:
        """The nearest counterexample there is."""
        return self.asked.upper.best(self.targets)

    def run(self) -> str:
        """Ask until the sides are near each other, or nothing more can be asked; why they are not, or ""."""
        for epsilon in self._epsilons():
            left = self.deadline - time.monotonic()
            if left < LEAST_SECONDS:
                return self.why or "time"
            self._ask(epsilon, left)
            if self.why == "interrupted" or self.undecided == MOST_UNDECIDED:
                return self.why
        return "" if self._near(self.best.distance if self.best else np.inf) else self.why

    def _near(self, top: float) -> bool:
        return self.lower >= (1.0 - self.asked.tolerance) * top or self.lower == np.inf

    def _epsilons(self) -> Iterator[float]:
        """Radii to ask for, given what became of the former ones."""
        while True:
            best = self.best
            top = min(best.distance if best else np.inf, self.open)
            if self._near(top):
                return
            if self.open < np.inf:  # what is decided lies below it
                yield 0.5 * (self.lower + top)
            elif best is None:
                size = 1.0 + float(np.linalg.norm(self.asked.x, ord=self.asked.norm))
                if self.lower > MOST * size:
                    self.why = "no counterexample is known"
                    return
                yield min(max(GROWTH * self.lower, FIRST_GUESS * size), self.asked.farthest)
            else:
                shares = *LADDER, 1.0 - LAST * self.asked.tolerance
                yield next((s * top for s in shares if s * top > self.lower), 0.5 * (self.lower + top))

    def _ask(self, epsilon: float, left: float) -> None:
        asked = self.asked
        prop = question(asked.x, epsilon, asked.norm, asked.label, self.targets, len(asked.output), asked.range)
        seconds = left if left < 4.0 * LEAST_SECONDS else CALL_SHARE * left
        result = answered(asked.network, prop, replace(asked.options, timeout=seconds))
        self.questions += 1
        if result.verdict == "unsat":
            self.lower = np.inf if epsilon >= asked.farthest else epsilon
        elif result.witness is not None:
            self.asked.upper.take(result.witness, self.targets, self.deadline)
            if not self.asked.upper.reaches(self.targets, epsilon):  # rounded to float32 out of the ball
                self._leave_open(epsilon, "the only counterexamples found are rounded out of the ball")
        else:
            self._leave_open(epsilon, "time" if result.verdict == "timeout" else result.reason)

    def _leave_open(self, epsilon: float, why: str) -> None:
        self.open, self.why = epsilon, why
        self.undecided += 1
