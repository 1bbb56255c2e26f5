"""Study `branching-rules`: the rules that choose which ReLU's phase is split, on networks with many inputs."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ...heuristics.splits.rules import PHASE_RULES
from .contest import COLUMNS, Contest, Problem
from .frame import Settings, Study
from .scaling import COMPILED, near_maximum

__all__ = ["DEFAULT", "STUDY"]

DEFAULT = "phases"
INPUTS = 70  # of the generated networks: enough for the kernel of wide ones
GENERATED, SEEDS = ((2, 24), (3, 20), (4, 16)), 3  # (hidden layers, width), networks a size
QUICK_GENERATED, QUICK_SEEDS = ((2, 12),), 2
RADIUS = 0.04  # of the box: some dozen to some hundred nodes


def _own(settings: Settings) -> list[Problem]:
    """Random networks with an output bound just above their maximum."""
    sizes, seeds = (QUICK_GENERATED, QUICK_SEEDS) if settings.quick else (GENERATED, SEEDS)
    return [
        Problem(
            f"random {INPUTS}x{depth}x{width} seed_{seed}", settings.timeout,
            partial(near_maximum, (INPUTS, *[width] * depth, 1), seed, radius=RADIUS),
        )
        for depth, width in sizes
        for seed in range(settings.seed, settings.seed + seeds)
    ]  # fmt: skip


def _text(settings: Settings, count: int) -> list[str]:
    source = f"the list {Path(settings.instances).name}" if settings.instances else "random networks"
    return [
        f"{count} instances ({source}), each decided once with every rule for phases: {', '.join(PHASE_RULES)}. Method "
        "split, one core, all else as by default. All verdicts agree.",
        *([] if settings.quick else [COMPILED]),
        "An unsolved instance counts with the seconds and nodes that it used. Where some rule needs no split, the "
        "instance says nothing about rules and is left out of the comparison with the best other rule.",
    ]


CONTEST = Contest(PHASE_RULES, DEFAULT, _own, _text)
STUDY = Study(
    "Rules that split phases, side by side", 60.0, COLUMNS, CONTEST.rows, CONTEST.findings
)
