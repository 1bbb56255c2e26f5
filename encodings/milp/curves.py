"""What a MILP says of a curve: SCIP's own expression where it has one, and lines around the graph.

    powers       z^n, n whole             exp          exp(z)
    sigmoid      1 / (1 + exp(-z))        softplus     log(1 + exp(z))
    tanh         1 - 2 / (1 + exp(2 z))   softsign     z / (1 + |z|)

SCIP splits z and encloses the rest itself (spatial branch and bound; Vigerske and Gleixner, *SCIP: global optimization
of mixed-integer nonlinear programs in a branch-and-cut framework*, 2018). The other curves, and arguments whose
exponential is beyond SCIP's tolerances, get lines alone, which touch the hull of the graph at several points: a
relaxation, which may refute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..relaxations.envelopes import supports
from ..relaxations.kinds import lines

__all__ = ["LARGEST_EXPONENT", "expression", "lines_around"]

LARGEST_EXPONENT = 15.0  # of e, where a curve is said by exponentials: beyond it, 1 + e^-z is 1 within SCIP's tolerance
PLACES = 5  # where lines touch the hull of a curve that SCIP has no expression for

# the factor of z in the exponent, and (library, z) to act(z)
_EXPRESSIONS: dict[str, tuple[float, Callable[[Any, Any], Any]]] = {
    "exp": (1.0, lambda scip, z: scip.exp(z)),
    "sigmoid": (1.0, lambda scip, z: 1.0 / (1.0 + scip.exp(-z))),
    "softplus": (1.0, lambda scip, z: scip.log(1.0 + scip.exp(z))),
    "softsign": (0.0, lambda scip, z: z / (1.0 + abs(z))),
    "tanh": (2.0, lambda scip, z: 1.0 - 2.0 / (1.0 + scip.exp(2.0 * z))),
}


def expression(library: Any, kind: str, z: Any, low: float, high: float) -> Any:
    """act(z) as pyscipopt has it, for z between low and high; None where it has none.

    library: the module; z: SCIP's variable.
    """
    family, _, exponent = kind.partition(":")
    if family == "power":
        n = float(exponent)
        return z ** int(n) if n == int(n) else None
    factor, said = _EXPRESSIONS.get(kind, (np.inf, None))
    if said is None or factor * max(-low, high) > LARGEST_EXPONENT:
        return None
    return said(library, z)


def lines_around(
    kind: str, low: float, high: float, several: bool
) -> Iterator[tuple[float, float | None, float | None]]:
    """(slope, least, most) with least <= act(z) - slope z <= most between low and high.

    several: lines that touch the hull at some points, not only the pair of least area.
    """
    places = np.linspace(low, high, PLACES)
    ends = np.full(PLACES, low), np.full(PLACES, high)
    found = supports(kind, *ends, places) if several else lines(kind, ends[0][:1], ends[1][:1])
    below, below_at, above, above_at = (a.tolist() for a in found)
    yield from ((slope, least, None) for slope, least in zip(below, below_at, strict=True))
    yield from ((slope, None, most) for slope, most in zip(above, above_at, strict=True))
