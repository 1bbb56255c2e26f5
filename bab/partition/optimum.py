"""What the relaxations are held against: f*(X) from below by multistart, and from both sides by the complete search.

Multistart: projected gradient ascent of c'f from many points (`heuristics.attacks`); a point of X is a lower bound.
The complete search is asked "is c'f(x) >= t for some x in X?"; `unsat` proves f* < t, `sat` gives a better point. First
t lies just above the best point known, which decides everything where that is the optimum; then in the middle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...heuristics.attacks.attacks import points_in, projected_gradient
from ...instances.network import Array, Network
from ...instances.property import Case, InputSet, Polyhedron, Property
from ..run.options import Options
from ..verify import verify
from .relaxation import objective_query

__all__ = ["Optimum", "exact_optimum", "multistart"]

STARTS, STEPS = 64, 200
TOLERANCE = 1e-6
ROUNDED = 1.5  # (lower + tolerance) - lower is not quite the tolerance


@dataclass(frozen=True, eq=False)
class Optimum:
    """lower <= f*(X) <= upper."""

    lower: float  # c'f(point) in float64; -inf where no point is known
    upper: float  # proved by the complete search, or what was given
    point: Array | None  # [inputs]
    questions: int  # how often the search was asked


def multistart(
    network: Network, region: InputSet, objective: Array, starts: int = STARTS, seed: int = 0
) -> tuple[float, Array | None]:
    """The largest c'f(x) that gradient ascent finds, and its x; (-inf, None) where no point found lies in the region.

    objective: c, [outputs]; starts: how many points the ascent begins at. Raises as `objective_query` does.
    """
    query, rng = objective_query(network, region, objective), np.random.default_rng(seed)
    begun = points_in(region.lower, region.upper, starts, rng, region.ball)
    ended, _ = projected_gradient(
        query, begun, region.lower, region.upper, STEPS, np.zeros(starts, dtype=np.int64), rng, ball=region.ball
    )
    points = np.array([x for x in np.concatenate([begun, ended]) if region.contains(x)])
    if not len(points):
        return -np.inf, None
    values = network.evaluate(points) @ objective
    return float(values.max()), points[values.argmax()]


def exact_optimum(
    network: Network, region: InputSet, objective: Array, upper: float, tolerance: float = TOLERANCE,
    seconds: float = 60.0, seed: int = 0,
) -> Optimum:  # fmt: skip
    """f*(X) within 1.5 times `tolerance`, by the complete search, beginning with `multistart`.

    upper: a proved upper bound, such as `Part.value`; seconds: for each question. Where a question stays open the
    interval is as wide as it is then. Raises as `objective_query` does.
    """
    lower, point = multistart(network, region, objective, seed=seed)
    questions, level = 0, lower + tolerance
    while upper - lower > tolerance * ROUNDED and np.isfinite([lower, upper]).all():
        forbidden = Polyhedron(-objective[None], np.array([-level]))
        prop = Property((Case(region, (forbidden,)),), network.input_size, network.output_size)
        result = verify(network, prop, Options(jobs=1, timeout=seconds, seed=seed))
        questions += 1
        if result.reason == "interrupted":
            raise KeyboardInterrupt
        if result.verdict == "unsat":
            upper = min(upper, level)
        elif result.verdict == "sat" and result.witness is not None:
            point = result.witness.input
            lower = max(level, float(network.evaluate(point) @ objective))
        else:
            break
        level = max(0.5 * lower + 0.5 * upper, min(lower + tolerance, upper))
    return Optimum(lower, upper, point, questions)
