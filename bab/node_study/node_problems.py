"""What the study of relaxations in nodes asks: families whose trees have nodes to bound."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatch
from functools import partial

from ...instances.errors import InputError
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
    """The list's instances, or the study's own; those that `only` chooses. Raises InputError where none is."""
    if settings.instances:
        return problems(settings)
    every, globs = _own(settings), settings.only
    kept = [p for p in every if not globs or any(fnmatch(t, g) for t in (p.name, *p.name.split()) for g in globs)]
    if not kept:
        raise InputError(f"--only {' '.join(globs)}: matches no instance")
    return kept


def _own(settings: Settings) -> list[Problem]:
    """Nested maxima, deep random networks just above their maximum, and carried instances."""
    nested = [
        Problem(f"nested max {d}", "nested max", settings.timeout, partial(_nested, d))
        for d in (QUICK_NESTED if settings.quick else NESTED)
    ]
    if settings.quick:
        return nested
    deep = [
        Problem(
            f"random {inputs}x{depth}x{width} seed_{seed}", f"random deep, {inputs} inputs", settings.timeout,
            partial(near_maximum, (inputs, *[width] * depth, 1), seed, radius=RADIUS),
        )
        for inputs, depth, width in DEEP
        for seed in range(settings.seed, settings.seed + SEEDS)
    ]  # fmt: skip
    carried = [one for one in problems(replace(settings, only=())) if one.family == "carried"]
    return [*nested, *deep, *carried]


def _nested(d: int) -> tuple[Network, Property]:
    return nested_max(d), nested_max_property(d)
