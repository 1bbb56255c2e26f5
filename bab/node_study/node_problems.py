"""What the study of relaxations in nodes asks: families whose trees have nodes to bound."""

from __future__ import annotations

from functools import partial

from ...instances.families.random_networks import nested_max, nested_max_property
from ...instances.network import Network
from ...instances.property import Property
from ..studies.formulations import Problem, problems
from ..studies.frame import Settings
from ..studies.scaling import near_maximum

__all__ = ["node_problems"]

NESTED, QUICK_NESTED = (4, 8, 12), (4,)  # inputs of nested maxima
DEEP, SEEDS, RADIUS = ((10, 4, 16), (20, 4, 16), (30, 4, 16)), 2, 0.15  # (inputs, hidden layers, width); of the box


def node_problems(settings: Settings) -> list[Problem]:
    """The list's instances; else nested maxima, deep random networks just above their maximum, and carried ones."""
    if settings.instances:
        return problems(settings)
    own = [
        Problem(f"nested max {d}", "nested max", settings.timeout, partial(_nested, d))
        for d in (QUICK_NESTED if settings.quick else NESTED)
    ]
    if settings.quick:
        return own
    deep = [
        Problem(
            f"random {inputs}x{depth}x{width} seed_{seed}", f"random deep, {inputs} inputs", settings.timeout,
            partial(near_maximum, (inputs, *[width] * depth, 1), seed, radius=RADIUS),
        )
        for inputs, depth, width in DEEP
        for seed in range(settings.seed, settings.seed + SEEDS)
    ]  # fmt: skip
    return [*own, *deep, *(one for one in problems(settings) if one.family == "carried")]


def _nested(d: int) -> tuple[Network, Property]:
    return nested_max(d), nested_max_property(d)
