"""How far one input is from another answer, by every method of the study `polyhedral-certificates`.

From below: the simplex certificate, Theorem 4 (the decision-boundary certificate) and the plain Lipschitz bound.
From above: DeepFool, the iterative gradient method (the nearest candidate of runs in balls of several radii), the
minimum-norm attack, each counted only where float64 says that the point found is of another class.
On both sides: the walk over activation regions, for as long as it may.
All of it in the whole space, or within a range; a method from below that exceeds one from above is wrong.
"""

from __future__ import annotations

import time

import numpy as np

from ...encodings.certificates.decision_boundary import decision_boundary_certificate, lipschitz_certificate
from ...encodings.certificates.region_walk import region_walk
from ...encodings.certificates.simplex import simplex_certificate
from ...heuristics.attacks.lengths import lengths
from ...heuristics.boundaries.class_gaps import ANY, ClassGaps
from ...heuristics.boundaries.deepfool import deepfool
from ...heuristics.boundaries.iterative_gradient import iterative_gradient
from ...heuristics.boundaries.minimal_norm import minimal_norm
from ...instances.network import Array, Network
from .contest import Contradiction
from .frame import Row

__all__ = ["ABOVE", "BELOW", "CERTIFICATES", "attacks", "certificates", "compare", "walk"]

CERTIFICATES = {
    "simplex": simplex_certificate, "Theorem 4": decision_boundary_certificate, "Lipschitz": lipschitz_certificate,
}  # fmt: skip
BELOW = (*CERTIFICATES, "walk lower")
ABOVE = ("walk upper", "minimal norm", "DeepFool", "iterative FGSM")
DEEPFOOL_STEPS, GRADIENT_STEPS, MINIMAL_STEPS = 50, 40, 150
RADII = (0.5, 4.0, 25)  # of the gradient method: from, to (shares of DeepFool's distance), how many
ROUNDED = 1e-9  # share by which a distance in floats may be off, amply


def certificates(network: Network, x: Array, label: int, norm: float) -> Row:
    """The three certificates of x [n]."""
    return {
        name: float(made(network, x[None], np.array([label]), norm)[0]) for name, made in CERTIFICATES.items()
    }  # fmt: skip


def attacks(
    network: Network, x: Array, label: int, norm: float, low: float | Array = -np.inf, high: float | Array = np.inf
) -> Row:  # fmt: skip
    """Distances of what the three attacks find around x [n] in the range; inf where that is nothing."""
    ends = [np.broadcast_to(np.asarray(end, dtype=np.float64), x.shape) for end in (low, high)]
    gaps, own, free = ClassGaps(network, x[None], *ends), np.array([label]), np.array([ANY])
    first = deepfool(gaps, x[None], own, free, norm, DEEPFOOL_STEPS)
    fooled = _least(gaps, x, label, first, norm)
    scale = fooled if np.isfinite(fooled) else 1.0 + float(lengths(x, norm))
    radii = scale * np.geomspace(*RADII)
    many = len(radii)
    tried, _ = iterative_gradient(
        gaps, np.tile(x, (many, 1)), radii, np.full(many, label), norm, GRADIENT_STEPS
    )  # fmt: skip
    starts, twice = np.concatenate([first, x[None]]), np.tile(x, (2, 1))
    near, _ = minimal_norm(gaps, twice, np.tile(own, 2), np.tile(free, 2), norm, starts, MINIMAL_STEPS)
    return {
        "minimal norm": _least(gaps, x, label, near, norm), "DeepFool": fooled,
        "iterative FGSM": _least(gaps, x, label, tried, norm),
    }  # fmt: skip


def walk(
    network: Network, x: Array, label: int, norm: float, seconds: float, low: float | Array = -np.inf,
    high: float | Array = np.inf,
) -> Row:  # fmt: skip
    """Both sides of the region walk from x [n] with its regions, seconds, and why it ended ("" at its end)."""
    began = time.monotonic()
    found = region_walk(network, x[None], np.array([label]), norm, low, high, seconds=seconds)
    return {
        "walk lower": float(found.lower[0]), "walk upper": float(found.upper[0]), "regions": int(found.regions[0]),
        "exact": int(found.exact[0]), "seconds": round(time.monotonic() - began, 4), "stopped": found.stopped[0],
    }  # fmt: skip


def compare(row: Row) -> Row:
    """The same row. Raises Contradiction where something below exceeds something above."""
    below = max((name for name in BELOW if name in row), key=lambda name: row[name])
    above = min((name for name in ABOVE if name in row), key=lambda name: row[name])
    if row[below] > row[above] * (1.0 + ROUNDED):
        raise Contradiction(
            f"{row['network']}, input {row['sample']}, norm {row['norm']}: {below} says {row[below]}, "
            f"{above} says {row[above]}"
        )
    return row


def _least(gaps: ClassGaps, x: Array, label: int, points: Array, norm: float) -> float:
    """The distance of the nearest of the points [P, n] that float64 calls candidates."""
    count = len(points)
    hit = gaps.exact(points, np.full(count, label), np.full(count, ANY)) <= 0.0
    return float(lengths(points[hit] - x, norm).min(initial=np.inf))
