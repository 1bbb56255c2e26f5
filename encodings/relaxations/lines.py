"""What relaxes one neuron: a line below its activation and a line above it."""

from __future__ import annotations

from typing import NamedTuple

from ...instances.network import Array

__all__ = ["Lines"]


class Lines(NamedTuple):
    """Per neuron, shapes as the bounds': lower and upper slope and intercept."""

    lower_slope: Array
    lower_intercept: Array
    upper_slope: Array
    upper_intercept: Array
