"""The radius that is certified before any search: where the first question of a bisection is asked."""

from __future__ import annotations

from ...instances.network import Array, Network

__all__ = ["starting_radius"]


def starting_radius(network: Network, x: Array, label: int, norm: float) -> float:
    """A distance, in l1, l2 or the maximum norm, within which no input is taken for another class than `label`.

    x: [n]. Without a certificate it is 0: nothing is known, and searches decide from there on.
    """
    return 0.0
