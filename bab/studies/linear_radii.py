"""The largest l2 radius that linear bounds prove, and what a bound costs beside the simplex certificate.

Fast-Lin (Weng et al. 2018) and CROWN (Zhang et al. 2018) ask their bounds at one radius after another; here the
questions halve, on a logarithmic scale, what lies between the simplex certificate and DeepFool's distance. Times are of
the processor, all threads together, so that a busy machine changes them little: of a bound on average, and of a
certificate, of which what is the same for all inputs of a network is computed before.
"""

from __future__ import annotations

import time

import numpy as np

from ...encodings.certificates.simplex import simplex_certificate
from ...encodings.linear.linear_bounds import LinearBoundOptions, bound
from ...instances.batch import root
from ...instances.network import Array, Network
from ...instances.query import queries
from ..robustness.question import question, whole_range
from .frame import Row
from .sample_distances import attacks

__all__ = ["SLOPES", "linear_radii"]

SLOPES = {"Fast-Lin": "parallel", "CROWN": "adaptive"}
REPEATS = 5  # of the certificate, which takes milliseconds


def linear_radii(network: Network, x: Array, label: int, questions: int) -> Row:
    """Radii of x [n] in l2 and seconds: of the certificate, and of linear bounds asked at so many radii."""
    point, own = x[None], np.array([label])
    simplex_certificate(network, point, own)  # what is the same for all inputs
    began, certified = time.process_time(), 0.0
    for _ in range(REPEATS):
        certified = float(simplex_certificate(network, point, own)[0])
    row: Row = {"simplex": certified, "simplex seconds": (time.process_time() - began) / REPEATS}
    fooled = float(attacks(network, x, label, 2)["DeepFool"])
    row["DeepFool"] = fooled
    for name, slopes in SLOPES.items():
        began = time.process_time()
        row[name] = _largest(network, x, label, slopes, certified, fooled, questions)
        row[f"{name} seconds"] = (time.process_time() - began) / questions
    return row


def _largest(
    network: Network, x: Array, label: int, slopes: str, low: float, high: float, questions: int
) -> float:
    for _ in range(questions):
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if _proved(network, x, label, slopes, middle) else (low, middle)
    return low


def _proved(network: Network, x: Array, label: int, slopes: str, radius: float) -> bool:
    classes = network.output_size
    others = [j for j in range(classes) if j != label]
    prop = question(x, radius, 2, label, others, classes, whole_range(len(x)))
    options = LinearBoundOptions(slopes=slopes, kernel="plain")
    return all(bool((bound(q, root(q), options).margins > 0.0).all()) for q in queries(network, prop))
