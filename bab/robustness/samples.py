"""Whether inputs keep their class within some distances: wrong, robust, attacked or unknown, each with its evidence.

* wrong: the network gives the input itself another class, or a tie;
* attacked: a counterexample within the distance, confirmed by the file; it counts for all larger distances, too;
* robust: the complete search refuted every other class;
* unknown: neither, in the time there was. At larger distances only attacks are made then.

The cheapest comes first: the iterative gradient method, descents from random starts, then the search.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Unpack

import numpy as np

from ...heuristics.boundaries.ball_descent import ball_descent, ball_starts
from ...heuristics.boundaries.class_gaps import ANY
from ...heuristics.boundaries.iterative_gradient import iterative_gradient
from ...instances.errors import InputError
from ...instances.judges.replay import Replay
from ...instances.network import Array, Network
from ..run.options import Options, OptionValues, changed
from .question import NORMS, Range, answered, classifier_output, question, read_classifier, whole_range
from .upper_side import UpperSide

__all__ = ["STATUSES", "Answer", "Samples", "robustness"]

STATUSES = ("robust", "attacked", "unknown", "wrong")
GRADIENT_STEPS = 20
STARTS, DESCENT_STEPS = 32, 50
EDGE = 1.0 - 1e-6  # share of the distance that attacks keep to: their points are rounded to float32 and moved on


@dataclass(frozen=True, eq=False)
class Answer:
    """One input at one distance."""

    index: int  # in the data set
    label: int
    predicted: int  # the network's class
    epsilon: float
    status: str  # one of STATUSES
    other: int  # class of the counterexample, -1 without one
    distance: float  # of the counterexample, inf without one
    seconds: float
    reason: str  # of `unknown`; how a robust one was proved
    counterexample: Array | None = None  # [n]


def robustness(
    network: str | os.PathLike[str] | Network, inputs: Array, labels: Sequence[int] | Array,
    epsilons: Sequence[float], norm: float = np.inf, low: float | Array = -np.inf, high: float | Array = np.inf,
    options: Options | None = None, **overrides: Unpack[OptionValues],
) -> list[Answer]:  # fmt: skip
    """Whether each of the inputs keeps its label within each of the distances.

    network: path of an ONNX file, or a Network; inputs: [N, n]; labels: [N] classes; epsilons: positive; norm: 1, 2
    or inf, of the distance; low, high: the range that inputs come from, numbers or [n]; options: of the searches,
    `timeout` of each input and distance.
    The answers come input by input, and from the least distance on. Raises InputError for what is none of these, and
    as `verify` does.
    """
    network = read_classifier(network)
    limits = whole_range(network.input_size, low, high)
    samples = Samples(network, norm, limits, tuple(epsilons), changed(options, overrides))
    points, classes = np.asarray(inputs, dtype=np.float64), np.asarray(labels)
    if points.ndim != 2 or points.shape[1] != network.input_size or classes.shape != (len(points),):
        expected = f"(N, {network.input_size}) and (N,)"
        raise InputError(f"inputs of shape {points.shape} and labels of shape {classes.shape}, expected {expected}")
    samples.check(points, classes)
    return [answer for i, x in enumerate(points) for answer in samples.answers(i, x, int(classes[i]))]


class Samples:
    """What all inputs of a data set share. It can travel to another process.

    Raises InputError for a norm or distances that are none.
    """

    def __init__(
        self, network: Network, norm: float, limits: Range, epsilons: tuple[float, ...], options: Options
    ) -> None:
        if norm not in NORMS:
            raise InputError(f"norm {norm!r}: expected 1, 2 or inf")
        if not epsilons or not all(0.0 < e < np.inf for e in epsilons):
            raise InputError(f"epsilon {', '.join(f'{e:g}' for e in epsilons)}: expected positive numbers")
        self.network, self.norm, self.limits, self.options = network, norm, limits, options
        self.epsilons = tuple(sorted(set(epsilons)))
        self.replay = Replay(network)

    def check(self, inputs: Array, labels: Array) -> None:
        """Raise InputError for the first input [n] out of the range, and for the first label that is no class."""
        for i, x in enumerate(inputs):
            self.limits.holds(x, f"input {i}")
        wrong = np.flatnonzero((labels < 0) | (labels >= self.network.output_size))
        if len(wrong):
            last = self.network.output_size - 1
            raise InputError(f"label {labels[wrong[0]]} of input {wrong[0]}: expected one from 0 to {last}")

    def answers(
        self, index: int, x: Array, label: int, skip: Callable[[float], bool] = lambda epsilon: False
    ) -> Iterator[Answer]:
        """The answers for one input [n], from the least distance on. skip: distances that need none."""
        output = classifier_output(self.replay, x, f"input {index}")
        others = [j for j in range(len(output)) if j != label]
        predicted = int(output.argmax())
        beats = max(others, key=lambda j: output[j])
        upper = UpperSide(self.replay, x, label, self.norm, self.limits, np.random.default_rng(self.options.seed))
        undecided = 0.0
        for epsilon in self.epsilons:
            if skip(epsilon):
                continue
            started = time.monotonic()
            if output[beats] >= output[label]:
                yield Answer(index, label, predicted, epsilon, "wrong", beats, 0.0, 0.0, "", x)
                continue
            status, reason = self._decide(upper, epsilon, others, undecided)
            undecided = epsilon if status == "unknown" else 0.0
            best = upper.best(others) if status == "attacked" else None
            found = (best.other, best.distance) if best else (-1, np.inf)
            yield Answer(
                index, label, predicted, epsilon, status, *found, time.monotonic() - started, reason,
                best.input if best else None,
            )  # fmt: skip

    def _decide(self, upper: UpperSide, epsilon: float, others: list[int], undecided: float) -> tuple[str, str]:
        """(status, reason) of an input that the network gets right."""
        started = time.monotonic()
        end = started + self.options.timeout
        if self._attacked(upper, epsilon, others, end):
            return "attacked", ""
        if undecided:
            return "unknown", f"it is at {undecided:g}, too"
        prop = question(upper.x, epsilon, self.norm, upper.label, others, self.network.output_size, self.limits)
        left = max(1e-2, end - time.monotonic())
        result = answered(self.network, prop, replace(self.options, timeout=left))
        if result.reason == "interrupted":
            raise KeyboardInterrupt
        if result.verdict == "unsat":
            return "robust", result.reason
        if result.witness is not None:
            upper.keep(result.witness, others)
            if upper.reaches(others, epsilon):
                return "attacked", ""
            return "unknown", "the counterexample found is rounded out of the ball"
        return "unknown", "time" if result.verdict == "timeout" else result.reason

    def _attacked(self, upper: UpperSide, epsilon: float, others: list[int], end: float) -> bool:
        if upper.reaches(others, epsilon):
            return True
        gaps, x, within = upper.gaps, upper.x, EDGE * epsilon
        point, gap = iterative_gradient(
            gaps, x[None], np.array([within]), np.array([upper.label]), self.norm, GRADIENT_STEPS, end
        )  # fmt: skip
        if gap[0] > 0.0:
            starts = ball_starts(x, within, self.norm, self.limits.low, self.limits.high, STARTS, upper.rng)
            starts[1] = point[0]
            centres, full = np.tile(x, (STARTS, 1)), np.full(STARTS, upper.label)
            aims = np.array([ANY, *others])[np.arange(STARTS) % (1 + len(others))]
            point, gap = ball_descent(
                gaps, centres, np.full(STARTS, within), full, aims, self.norm, starts, DESCENT_STEPS, end
            )  # fmt: skip
        hits = point[gap <= 0.0]
        if len(hits):
            upper.confirm(hits[0], others)
        if best := upper.best(others):
            upper.improve(best, end)
        return upper.reaches(others, epsilon)
