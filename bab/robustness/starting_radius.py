"""The radius that is certified before any search: where the first question of a bisection is asked."""

from __future__ import annotations

import numpy as np

from ...encodings.certificates.decision_boundary import lipschitz_certificate
from ...encodings.certificates.simplex import simplex_certificate
from ...instances.errors import InputError
from ...instances.network import Array, Network

__all__ = ["starting_radius"]


def starting_radius(network: Network, x: Array, label: int, norm: float) -> float:
    """A distance, in l1, l2 or the maximum norm, within which no input is taken for another class than `label`.

    x: [n]. The better one of the simplex and the Lipschitz certificate; 0 where neither speaks of such a network.
    """
    try:
        made = [c(network, x[None], np.array([label]), norm) for c in (simplex_certificate, lipschitz_certificate)]
    except InputError:  # sigmoid or tanh
        return 0.0
    radius = max(float(radius[0]) for radius in made)  # all smaller distances are certified
    return radius if np.isinf(radius) else float(np.nextafter(radius, 0.0))
