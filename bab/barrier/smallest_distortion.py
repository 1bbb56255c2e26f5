"""Study `barrier-eps`: the smallest distortion of an input, from below by relaxations and a search, from above by PGD.

After Salman, Yang, Zhang, Hsieh and Zhang (2019), Tables 2 to 4, Figures 2 and 3, Appendices K and L. For each network
and input the largest distance at which LP-GREEDY, LP-LAST, LP-ALL and rows of several neurons prove that the network
keeps its own class, that the complete search certifies (`robustness.radius`), and the least at which projected
gradient descent finds another class. What a relaxation leaves is its gap,

    100 (e_PGD - e) / e_PGD   per cent; medians over the inputs.

Two ranges of the perturbed inputs: the whole space, which is what the printed distances are of, and [0, 1].
The printed LP-LAST and LP-ALL were searched for to a twentieth of LP-GREEDY's distance: `grid` is the last multiple of
it that is proved, so a printed one may lie up to the next multiple; `epsilon` goes on from there in eightieths.

Times: processor seconds of LP-ALL an unstable neuron, layer by layer, at LP-GREEDY's distance.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...encodings.layerwise.lp_steps import lp_all_node
from ...instances.judges.replay import Replay
from ...instances.network import Array
from ..robustness.question import whole_range
from ..robustness.radius import radius
from ..robustness.upper_side import UpperSide
from ..run.options import Kernel
from ..run.side_by_side import side_by_side
from ..studies.contest import Contradiction
from ..studies.frame import Row, Settings, Study
from .descents import least_attacked
from .distances import Distances
from .distortion_findings import findings
from .relaxations import GAIN, RELAXATIONS
from .trials import RANGES, Trial, asked_steps, chosen, distortion_trials

__all__ = ["COLUMNS", "STUDY"]

COLUMNS: dict[str, Callable[[str], Any]] = {
    "network": str, "range": str, "input": int, "label": int, "method": str, "epsilon": float, "grid": float,
    "above": float, "questions": int, "stopped": int, "layer": int, "neurons": int, "seconds": float,
}  # fmt: skip
STEPS = (*RELAXATIONS, "times", "search")  # behind PGD and LP-GREEDY, which every input is asked
INPUTS, QUICK_INPUTS = 10, 2
DONE = "PGD"  # the last row of an input
QUICK_SECONDS = 10.0  # of a relaxation or the search
FIRST, TOLERANCE, MOST = 0.01, 1e-5, 16.0  # of descents and of LP-GREEDY: first distance, of bisections, farthest
SEARCH_TOLERANCE = 0.01  # share of the attacked radius that the search may leave open
ROUNDED = 1.0 + 1e-4  # by which a certificate of the real-valued network may exceed an attack on the file


@dataclass(frozen=True, eq=False)
class _Input:
    """One input of one trial, as a process gets it."""

    trial: Trial
    number: int
    point: Array
    steps: tuple[str, ...]
    seconds: float  # of each step
    seed: int
    kernel: Kernel


def _rows(settings: Settings, former: Sequence[Row]) -> Iterator[Row]:
    """The rows of inputs that `former` does not have whole; raises Contradiction."""
    steps = asked_steps(settings, STEPS)
    written = {_key(row) for row in former}
    done = {key[:3] for key in written if key[3] == DONE}
    count = settings.limit or (QUICK_INPUTS if settings.quick else INPUTS)
    seconds = min(settings.timeout, QUICK_SECONDS) if settings.quick else settings.timeout
    tasks = []
    for trial in chosen(distortion_trials(settings), settings):
        trial.load()  # what is missing is said before the work
        inputs = trial.inputs(count)
        tasks += [
            _Input(trial, i, x, steps, seconds, settings.seed, "plain" if settings.quick else "auto")
            for i, x in zip(inputs.numbers, inputs.points, strict=True)
            if (trial.network, trial.range, i) not in done
        ]
    for rows in side_by_side(_asked, tasks, settings.jobs):
        agreed(rows)
        yield from (row for row in rows if _key(row) not in written)


def _key(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("network", "range", "input", "method", "layer"))


def _asked(task: _Input) -> list[Row]:
    """The rows of one input, PGD's last."""
    network, x = task.trial.load(), task.point
    low, high = RANGES[task.trial.range]
    limits = whole_range(len(x), low, high)
    output = network.evaluate(x[None])[0]
    label = int(output.argmax())
    others = [j for j in range(len(output)) if j != label]
    empty: Row = {name: np.nan if kind is float else "" if kind is str else -1 for name, kind in COLUMNS.items()}
    empty |= {"network": task.trial.network, "range": task.trial.range, "input": task.number, "label": label}
    distances = Distances(network, x, label, limits)
    rows = [
        empty | {"method": name, **distances.largest(name, time.monotonic() + task.seconds)}
        for name in RELAXATIONS if name == RELAXATIONS[0] or name in task.steps
    ]  # fmt: skip
    if "times" in task.steps:
        rows += [empty | row for row in _times(distances, task.seconds)]
    if "search" in task.steps:
        both = radius(
            network, x, np.inf, label, low, high, SEARCH_TOLERANCE, timeout=task.seconds, jobs=1, seed=task.seed,
            kernel=task.kernel,
        )  # fmt: skip
        if both.reason == "interrupted":
            raise KeyboardInterrupt
        rows.append(empty | {
            "method": "search", "epsilon": both.certified, "above": both.attacked, "questions": both.questions,
            "stopped": int(not both.closed), "seconds": both.seconds,
        })  # fmt: skip
    began = time.monotonic()
    upper = UpperSide(Replay(network), x, label, np.inf, limits, np.random.default_rng(task.seed))
    above = least_attacked(upper, others, FIRST, TOLERANCE, MOST)
    rows.append(empty | {"method": DONE, "above": above, "seconds": time.monotonic() - began})
    return [row | {"seconds": round(row["seconds"], 4)} for row in rows]


def _times(distances: Distances, seconds: float) -> list[Row]:
    """What LP-ALL's layers take at LP-GREEDY's distance."""
    query, node = distances.at(distances.greedy)
    return [
        {
            "method": "times", "epsilon": distances.greedy, "layer": layer.layer, "neurons": layer.neurons,
            "seconds": layer.seconds,
        }
        for layer in lp_all_node(query, node, time.monotonic() + seconds, GAIN)[1]
    ]  # fmt: skip


def agreed(rows: Sequence[Row]) -> None:
    """Raise Contradiction where a certificate of an input is above an attack on it."""
    below = [row for row in rows if row["method"] in (*RELAXATIONS, "search")]
    above = [row for row in rows if row["method"] in ("PGD", "search")]
    for low in below:
        for high in above:
            if low["epsilon"] > ROUNDED * high["above"]:
                raise Contradiction(
                    f"{low['network']}, {low['range']}, input {low['input']}: {low['method']} certifies "
                    f"{low['epsilon']:.6g}, {high['method']} attacks at {high['above']:.6g}"
                )


STUDY = Study("The smallest distortion, from below and from above", 120.0, COLUMNS, _rows, findings)
