"""The ascents that the policy asks for, as the options of those who do them."""

from __future__ import annotations

import math

from ...encodings.slopes.optimised_bounds import OptimiseOptions
from ...heuristics.efforts import AscentEffort

__all__ = ["ascent"]


def ascent(effort: AscentEffort, deadline: float = math.inf, conjunctions: bool = False) -> OptimiseOptions:
    """Options of an ascent. deadline: of time.monotonic(); conjunctions: see OptimiseOptions."""
    given = {"rate": effort.rate, "worth": effort.worth}
    known = {name: value for name, value in given.items() if value is not None}
    return OptimiseOptions(
        iterations=effort.iterations, signs=effort.signs, conjunctions=conjunctions, deadline=deadline, **known
    )
