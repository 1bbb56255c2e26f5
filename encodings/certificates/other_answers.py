"""The nearest point of another answer that was found, evaluated with error terms.

Candidates lie on a decision boundary up to rounding; from there, the step is made longer, and steps are made down the
slope of the function, by shares of the distance that grow until the network's values say so for sure.
"""

from __future__ import annotations

import numpy as np

from ...instances.judges.exact_evaluation import exact_output
from ...instances.network import Array
from ...instances.rounding import FEW_ROUNDINGS
from .affine_pieces import trace
from .norms import at_most_length, nearest_on_hyperplane
from .polytope_distance import Rows
from .questions import Question, margin_values, margins_at

__all__ = ["Nearest"]

SHARES = (0.0, 1e-15, 1e-13, 1e-11, 1e-9, 1e-8, 1e-7, 1e-6)  # of the distance, by which a candidate is moved on
EXACTLY = 4  # points at a time that are evaluated exactly where error terms do not decide


class Nearest:
    """The nearest one so far of a question about one point, inside a range of inputs."""

    def __init__(self, question: Question, low: Array, high: Array) -> None:
        self.question, self.low, self.high = question, low, high
        self.distance = np.inf
        self.point: Array | None = None

    def try_at(self, points: Array) -> None:
        """Keep the nearest of points [P, n] that lie in the range and have another answer for sure."""
        points = points[np.isfinite(points).all(axis=1)]
        points = np.clip(points, self.low, self.high)
        steps = points - self.question.points[0]
        distances = at_most_length(steps, self.question.norm)
        near = distances < self.distance
        if not near.any():
            return
        points, distances = points[near], distances[near]
        asked = Question(self.question.network, points, self.question.labels.repeat(len(points)), self.question.norm)
        values, errors = margin_values(asked, trace(asked.network, points))
        proved = (values + errors * (1.0 + FEW_ROUNDINGS) <= 0.0).any(axis=1)
        if not proved.any():
            proved = self._exactly(points, np.argsort(distances), np.asarray((values <= errors).any(axis=1)))
        if proved.any():
            best = int(np.argmin(np.where(proved, distances, np.inf)))
            self.distance, self.point = float(distances[best]), points[best]

    def _exactly(self, points: Array, order: Array, possible: Array) -> Array:
        """[P] bool: one of the nearest of the possible points that is of another answer in exact arithmetic."""
        found, label = np.zeros(len(points), dtype=bool), int(self.question.labels[0])
        for i in [i for i in order if possible[i]][:EXACTLY]:
            y = exact_output(self.question.network, points[i])
            if y is None:
                break
            if any(v >= y[label] for j, v in enumerate(y) if j != label):
                found[i] = True
                break
        return found

    def try_steps(self, margins: Rows) -> None:
        """Points just behind the hyperplanes of decision functions."""
        pairs = zip(margins.normals, margins.values.tolist(), strict=True)
        steps = [nearest_on_hyperplane(g, v, self.question.norm) for g, v in pairs if v > 0.0]
        if steps:
            self.try_at(self.question.points[0] + (1.0 + SHARES[-3]) * np.array(steps))

    def try_beyond(self, step: Array) -> None:
        """Points behind one on a boundary, moved on by as little as possible."""
        u = self.question.points[0]
        point = np.clip(u + step, self.low, self.high)
        if not np.isfinite(point).all():
            return
        length = float(at_most_length(step, self.question.norm))
        here = Question(self.question.network, point[None], self.question.labels, self.question.norm)
        at = trace(here.network, here.points)
        values, normals, _, _ = margins_at(here, at, np.zeros_like(at.pre[-1]))
        least = int(np.argmin(values[0]))
        down = nearest_on_hyperplane(normals[0, least], 1.0, self.question.norm)
        size = float(at_most_length(down, self.question.norm))
        moves = [share * step for share in SHARES]
        if np.isfinite(down).all() and size > 0.0:
            moves += [share * max(length, FEW_ROUNDINGS) / size * down for share in SHARES[1:]]
        self.try_at(point + np.array(moves))
