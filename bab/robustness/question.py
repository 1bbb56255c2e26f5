"""The question of robustness: may an input near x, in the range, get another class than the label t?

    ||x' - x||_p <= eps,  low <= x' <= high,    forbidden:  y_j(x') >= y_t(x')  for some j != t.

A tie counts as another class: who reads the outputs may break it either way.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...instances.errors import InputError, NetworkError
from ...instances.judges.replay import Replay
from ...instances.network import Array, Network
from ...instances.property import Case, InputSet, Polyhedron, Property
from ..run.limits import LimitReached
from ..run.options import Options
from ..run.result import Result
from ..run.watch import watched
from ..verify import verify

__all__ = ["NORMS", "Range", "answered", "beaten", "classifier_output", "question", "read_classifier", "whole_range"]

NORMS = (np.inf, 2, 1)


@dataclass(frozen=True, eq=False)
class Range:
    """The box that inputs come from: low <= x <= high, [n] each, infinite where there is no bound."""

    low: Array
    high: Array

    def holds(self, x: Array, name: str) -> None:
        """Raise InputError, naming the input, unless x [n] is finite and lies in the box."""
        if not np.isfinite(x).all():
            i = int(np.flatnonzero(~np.isfinite(x))[0])
            raise InputError(f"{name}: {x[i]} in place {i}, expected finite numbers")
        out = np.flatnonzero((x < self.low) | (x > self.high))
        if len(out):
            i = int(out[0])
            raise InputError(
                f"{name}: {x[i]:g} in place {i} is outside the range, {self.low[i]:g} to {self.high[i]:g} there; "
                "--range, --scale, --mean and --std must fit the data"
            )


def whole_range(size: int, low: float | Array = -np.inf, high: float | Array = np.inf) -> Range:
    """The range of `size` inputs between numbers, or arrays [size]. Raises InputError where it is empty."""
    ends = [np.array(np.broadcast_to(np.asarray(end, dtype=np.float64), (size,))) for end in (low, high)]
    if not (ends[0] <= ends[1]).all():
        raise InputError("range: expected no lower end above its upper one")
    return Range(*ends)


def read_classifier(network: str | os.PathLike[str] | Network) -> Network:
    """The network, read where it is the path of an ONNX file. Raises NetworkError as its reader does."""
    if isinstance(network, Network):
        return network
    from ...instances.onnx.reader import read_network

    return read_network(Path(network))


def beaten(label: int, others: Iterable[int], classes: int) -> tuple[Polyhedron, ...]:
    """{y : y_label - y_j <= 0} of each other class j."""
    rows = np.eye(classes)
    return tuple(Polyhedron(rows[label][None] - rows[j][None], np.zeros(1)) for j in others)


def question(
    x: Array, epsilon: float, norm: float, label: int, others: Iterable[int], classes: int, limits: Range
) -> Property:
    """The property that holds if no input within `epsilon` of x [n], and in the range, is taken for one of `others`."""
    region = InputSet.around(x, epsilon, norm, limits.low, limits.high)
    return Property((Case(region, beaten(label, others, classes)),), len(x), classes)


def answered(network: Network, prop: Property, options: Options) -> Result:
    """What `verify` says, in the main thread with its limits kept between the looks of the search, too."""
    end = time.monotonic() + options.timeout
    try:
        with watched(end, options.timeout, options.memory_mb, None):
            return verify(network, prop, options)
    except LimitReached as stop:  # when the verdict was on its way
        return Result("timeout" if stop.reason == "time" else "unknown", reason=stop.reason)


def classifier_output(replay: Replay, x: Array, name: str) -> Array:
    """The outputs [m] of the file at x [n].

    Raises NetworkError where there are fewer than two, or they are not finite.
    """
    network: Network = replay.network
    if network.output_size < 2:
        raise NetworkError(f"{network.source or 'network'}: one output, expected one of each class, at least two")
    y = np.asarray(replay.run(x[None])[0], dtype=np.float64)
    if not np.isfinite(y).all():
        raise NetworkError(f"{network.source or 'network'}: its outputs at {name} are not finite")
    return y
