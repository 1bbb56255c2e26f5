"""The activation region that a walk begins in: one of full dimension that holds the point, or comes next to it.

Where floats tell the sign of every pre-activation at the point, its own region. Else the point lies on a face, or
nearly so, and the region of a point near it is taken whose signs are all told, so that the region has an inside; the
walk is then about everything further away than that (`region_walk`).
"""

from __future__ import annotations

import numpy as np

from ...instances.network import Array
from .affine_pieces import Trace, trace, zero
from .norms import at_most_length
from .polytope_distance import Rows
from .questions import Question
from .walked_regions import Phases, named, relu_layers

__all__ = ["starting_phases"]

SHARES = (1e-13, 1e-12, 1e-11, 1e-10, 1e-9, 1e-8)  # of the point's size, by which it is moved
TRIES = 8  # directions
SEED = 2019  # of the directions; any will do


def starting_phases(question: Question, box: Rows) -> tuple[list[Phases], float]:
    """(phases of the regions to begin with, none where floats do not tell; how far from the point they may begin).

    box: the range of inputs as rows of the step.
    """
    point, network = question.points[0], question.network
    at = trace(network, question.points)
    if _told(question, at):
        return [named(network, at.phases)], 0.0
    rng = np.random.default_rng(SEED)
    size = float(np.abs(point).max(initial=0.0)) + 1.0
    for share in SHARES:
        for _ in range(TRIES):
            step = share * size * _inwards(rng.normal(size=len(point)), box)
            moved = point + step
            at = trace(network, moved[None])
            if _told(question, at):
                return [named(network, at.phases)], float(at_most_length(moved - point, question.norm))
    return [], 0.0


def _told(question: Question, at: Trace) -> bool:
    """Whether every sign is known; of neurons that nothing reaches it does not matter."""
    none = zero(question.network, at.phases)
    return all(
        bool(((np.abs(at.pre[k]) > at.errors[k]) | none[k]).all()) for k in relu_layers(question.network)
    )  # fmt: skip


def _inwards(direction: Array, box: Rows) -> Array:
    """The direction with its signs changed where the point lies on an end of the range."""
    at_end = box.values <= 0.0
    turned = direction.copy()
    for normal in box.normals[at_end]:
        j = int(np.argmax(np.abs(normal)))
        turned[j] = abs(turned[j]) * normal[j]
    return turned
