"""Study `partition-rules`: the rules that split the input set, one after another on the same instances.

The default rule takes the best-scored of axes and hyperplanes, the others each fewer kinds.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ...heuristics.policy import FEW_INPUTS
from ...heuristics.splits.rules import INPUT_RULES
from ...instances.carried import carried_instances
from ...instances.onnx.reader import read_network
from .contest import COLUMNS, Contest, Problem
from .frame import Settings, Study
from .scaling import COMPILED, near_maximum

__all__ = ["DEFAULT", "STUDY"]

DEFAULT = "inputs"
# (inputs, hidden layers, width): trees of some dozen to some ten thousand nodes
GENERATED = ((4, 4, 50), (6, 1, 200), (6, 2, 50), (6, 4, 50), (8, 3, 30), (8, 4, 30), (10, 2, 50), (12, 2, 50))
SEEDS = 3  # networks a size
QUICK_GENERATED, QUICK_SEEDS, QUICK_CARRIED = ((2, 3, 20), (6, 2, 30)), 1, 3


def _own(settings: Settings) -> list[Problem]:
    return [*_carried(settings), *_generated(settings)]


def _itself(pair: tuple[Path, Path]) -> tuple[Path, Path]:
    return pair


def _carried(settings: Settings) -> list[Problem]:
    """The carried instances whose input set the policy would split."""
    few = [pair for pair in carried_instances() if read_network(pair[0]).input_size <= FEW_INPUTS]
    return [
        Problem(f"carried {pair[0].name} {pair[1].name}", settings.timeout, partial(_itself, pair))
        for pair in (few[:QUICK_CARRIED] if settings.quick else few)
    ]


def _generated(settings: Settings) -> list[Problem]:
    """Random networks with an output bound just above their maximum."""
    sizes, seeds = (QUICK_GENERATED, QUICK_SEEDS) if settings.quick else (GENERATED, SEEDS)
    return [
        Problem(
            f"random {inputs}x{depth}x{width} seed_{seed}", settings.timeout,
            partial(near_maximum, (inputs, *[width] * depth, 1), seed),
        )
        for inputs, depth, width in sizes
        for seed in range(settings.seed, settings.seed + seeds)
    ]  # fmt: skip


def _text(settings: Settings, count: int) -> list[str]:
    source = f"the list {Path(settings.instances).name}" if settings.instances else "carried and random networks"
    return [
        f"{count} instances ({source}), each decided once with every rule that splits the input set: "
        f"{', '.join(INPUT_RULES)}. Method split, one core, all else as by default: so under each rule a deep node "
        "with few unstable ReLUs is split by their phases. All verdicts agree.",
        *([] if settings.quick else [COMPILED]),
        "Seconds are those of a run where everything is loaded already. An unsolved instance counts with the seconds "
        "and nodes that it used. Where some rule needs no split, the instance says nothing about rules: it counts as "
        "solved, and is left out of the comparison with the best single rule. That one is chosen for each instance and "
        "unit after the fact, so that the noise of times is in its favour.",
    ]


CONTEST = Contest(INPUT_RULES, DEFAULT, _own, _text)
STUDY = Study(
    "Rules that split the input set, side by side", 60.0, COLUMNS, CONTEST.rows, CONTEST.findings
)
