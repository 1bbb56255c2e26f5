"""The fast minimum-norm attack (Pintor, Roli, Brendel and Biggio, NeurIPS 2021): the least radius with a candidate.

The step is taken inside a ball around the input whose radius e is adapted in every step,
    no candidate met yet:  e = distance + gap / ||grad gap||_q,     where the plane of the gap would be,
    at no candidate:       e <- e (1 + c_k),
    at a candidate:        e <- min(e (1 - c_k), least distance so far),
    x <- P_e(x + s_k e d(grad gap)),
d the steepest direction of the norm, P_e the projection onto ball and box, and c_k, s_k falling along a cosine. The
step is taken at candidates, too: on a smaller sphere it leads to where the gap is least. So the path goes along the
decision boundary towards the input. What it met nearest is pulled nearer yet (`pulling`).
"""

from __future__ import annotations

import time

import numpy as np

from ...instances.network import Array
from ..attacks.lengths import dual_lengths, lengths, projected, steepest
from .class_gaps import ClassGaps
from .pulling import pulled

__all__ = ["minimal_norm"]

FIRST_STEP, LAST_STEP = 0.3, 0.003  # of x, as shares of the radius
FIRST_CHANGE, LAST_CHANGE = 0.05, 0.0005  # of the radius
TINY_SLOPE = 1e-30  # below which a plane's distance means nothing


@np.errstate(over="ignore")
def minimal_norm(
    gaps: ClassGaps, centres: Array, labels: Array, targets: Array, norm: float, starts: Array, steps: int,
    deadline: float = np.inf,
) -> tuple[Array, Array]:  # fmt: skip
    """(the nearest candidate of each path [P, n], its distance [P]; the start, and inf, where none was met).

    centres, starts: [P, n] in the box; labels, targets: [P]; norm: 1, 2 or inf; deadline: time.monotonic() after which
    no step begins. Candidates are told by float64.
    """
    x = starts.copy()
    best, least = starts.copy(), np.full(len(x), np.inf)
    radius = np.full(len(x), np.inf)
    for number in range(steps):
        if time.monotonic() > deadline:
            break
        cosine = 0.5 * (1.0 + np.cos(np.pi * number / steps))
        gap, gradient = gaps(x, labels, targets)
        distance, hit = lengths(x - centres, norm), gap <= 0.0
        better = hit & (distance < least)
        best[better], least[better] = x[better], distance[better]
        plane = np.abs(gap) / np.maximum(dual_lengths(gradient, norm), TINY_SLOPE)
        change = LAST_CHANGE + (FIRST_CHANGE - LAST_CHANGE) * cosine
        outer = np.where(np.isfinite(least), radius * (1.0 + change), distance + plane)
        radius = np.where(hit, np.minimum(radius * (1.0 - change), least), outer)
        size = (LAST_STEP + (FIRST_STEP - LAST_STEP) * cosine) * np.where(np.isfinite(radius), radius, 1.0)
        room = np.where(gradient > 0.0, x > gaps.low, x < gaps.high)
        ahead = x + size[:, None] * steepest(gradient, norm, room)
        x = projected(ahead, centres, np.minimum(radius, 1e300), norm, gaps.low, gaps.high)
    # passes of float32 may have seen candidates that float64 sees none of
    found = np.isfinite(least) & (gaps.exact(best, labels, targets) <= 0.0)
    best[found] = pulled(gaps, centres[found], best[found], labels[found], targets[found], norm)
    return best, np.where(found, lengths(best - centres, norm), np.inf)
