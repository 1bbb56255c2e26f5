"""Study `barrier-robust-error`: how many inputs of a test set have a counterexample within a distance, from both sides.

After Salman, Yang, Zhang, Hsieh and Zhang (2019), Table 1. From below: what projected gradient descent finds, then what
the complete search finds. From above: what no relaxation proves, LP-GREEDY, LP-LAST, LP-ALL and rows of several neurons
(`relaxations`), then what the complete search leaves open. An input that the network gets wrong is an error on both
sides. Perturbed inputs stay in [0, 1].

A relaxation that proves an input which an attack or the search refutes, or a search that contradicts the attack, ends
the study: one of them is wrong.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...instances.judges.replay import Replay
from ...instances.network import Array
from ...instances.query import Query, queries
from ..robustness.question import classifier_output, question, whole_range
from ..robustness.samples import Samples
from ..robustness.upper_side import UpperSide
from ..run.options import Kernel, Options
from ..run.side_by_side import side_by_side
from ..studies.contest import Contradiction
from ..studies.frame import Findings, Row, Settings, Study, new_figure
from .descents import descend
from .relaxations import RELAXATIONS, Relaxations
from .trials import Trial, asked_steps, chosen, error_trials

__all__ = ["PROVED", "STUDY", "agreed"]

COLUMNS: dict[str, Callable[[str], Any]] = {
    "network": str, "epsilon": float, "input": int, "label": int, "descent": str,
    **dict.fromkeys(RELAXATIONS, str), "search": str, "reason": str,
    **{f"{name} seconds": float for name in ("descent", *RELAXATIONS, "search")},
}  # fmt: skip
PROVED, OPEN, LATE = "proved", "open", "time"  # of a relaxation
STEPS = (*RELAXATIONS, "search")  # behind descents, which every input is asked
WRONG, ATTACKED, HELD = "wrong", "attacked", "held"  # of descents
INPUTS, QUICK_INPUTS = 100, 4
QUICK_SECONDS = 5.0  # of a search or a relaxation
PRINTED = {  # column: of the table that was printed
    "test error": "test_error_pct", "descent": "lower_pgd_pct", "search, attacked": "lower_milp_pct",
    "search, not robust": "upper_milp_pct", "LP-ALL": "upper_lp_all_pct", "LP-GREEDY": "upper_lp_greedy_pct",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Input:
    """One input of one trial, as a process gets it."""

    trial: Trial
    number: int
    point: Array
    label: int
    steps: tuple[str, ...]
    seconds: float  # of each step
    seed: int
    kernel: Kernel


def _rows(settings: Settings, former: Sequence[Row]) -> Iterator[Row]:
    """The rows that `former` does not have; raises Contradiction."""
    steps = asked_steps(settings, STEPS)
    done = {(row["network"], row["epsilon"], row["input"]) for row in former}
    count = settings.limit or (QUICK_INPUTS if settings.quick else INPUTS)
    seconds = min(settings.timeout, QUICK_SECONDS) if settings.quick else settings.timeout
    tasks = []
    for trial in chosen(error_trials(settings), settings):
        trial.load()  # what is missing is said before the work
        inputs = trial.inputs(count)
        tasks += [
            _Input(trial, i, x, int(label), steps, seconds, settings.seed, "plain" if settings.quick else "auto")
            for i, x, label in zip(inputs.numbers, inputs.points, inputs.labels, strict=True)
            if (trial.network, trial.epsilon, i) not in done
        ]
    for row in side_by_side(_asked, tasks, settings.jobs):
        agreed(row)
        yield row


def _asked(task: _Input) -> Row:
    """All that is said about one input."""
    network, x, epsilon, label = task.trial.load(), task.point, task.trial.epsilon, task.label
    row: Row = {name: np.nan if kind is float else "" for name, kind in COLUMNS.items()}
    row |= {"network": task.trial.network, "epsilon": epsilon, "input": task.number, "label": label}
    replay, limits = Replay(network), whole_range(len(x), 0.0, 1.0)
    output = classifier_output(replay, x, f"input {task.number}")
    others = [j for j in range(len(output)) if j != label]
    if output[others].max() >= output[label]:
        wrong = {name: WRONG if name == "search" else OPEN for name in task.steps}
        return row | {"descent": WRONG} | wrong
    began = time.monotonic()
    upper = UpperSide(replay, x, label, np.inf, limits, np.random.default_rng(task.seed))
    row["descent"] = ATTACKED if descend(upper, others, epsilon) else HELD
    row["descent seconds"] = round(time.monotonic() - began, 4)
    query = queries(network, question(x, epsilon, np.inf, label, others, len(output), limits))[0]
    row |= _relaxed(query, [name for name in RELAXATIONS if name in task.steps], task.seconds)
    if "search" not in task.steps:
        return row
    options = Options(jobs=1, timeout=task.seconds, seed=task.seed, kernel=task.kernel)
    (answer,) = Samples(network, np.inf, limits, (epsilon,), options).answers(task.number, x, label)
    return row | {"search": answer.status, "reason": answer.reason, "search seconds": round(answer.seconds, 4)}


def _relaxed(query: Query, names: Sequence[str], seconds: float) -> Row:
    """What each of these relaxations says; those behind one that proves the input prove it, too, and are not asked."""
    row: Row = {}
    relaxations = Relaxations(query)
    for name in names:
        if PROVED in row.values():
            row[name] = PROVED
            continue
        began = time.monotonic()
        relaxations.deadline = began + seconds
        proved = relaxations.proves(name)
        late = time.monotonic() >= relaxations.deadline
        row[name] = PROVED if proved else LATE if late else OPEN
        row[f"{name} seconds"] = round(time.monotonic() - began, 4)
    return row


def agreed(row: Row) -> None:
    """Raise Contradiction where one side of a row contradicts the other."""
    below = [name for name in RELAXATIONS if row[name] == PROVED] + ["search"] * (row["search"] == "robust")
    above = [name for name in ("descent", "search") if row[name] == ATTACKED]
    if below and above:
        what = f"{row['network']} {row['epsilon']:g}, input {row['input']}"
        raise Contradiction(f"{what}: {below[0]} says robust, {above[0]} says attacked")


def _findings(settings: Settings, rows: Sequence[Row]) -> Findings:
    table, summary = [], []
    for trial in chosen(error_trials(settings), settings):
        mine = [row for row in rows if (row["network"], row["epsilon"]) == (trial.network, trial.epsilon)]
        if mine:
            table += [found := _of_trial(trial, mine), *_printed(trial)]
            summary.append(_sentence(found))
    seconds = [_seconds(name, rows) for name in dict.fromkeys((row["network"], row["epsilon"]) for row in rows)]
    tables = {"Robust error in per cent, from below and from above": table, "Median seconds where asked": seconds}
    return Findings(_text(settings), summary, tables, {"errors": _figure(table)})


def _of_trial(trial: Trial, rows: Sequence[Row]) -> Row:
    def share(name: str, *said: str) -> float:
        if not any(row[name] for row in rows):
            return np.nan  # no step that was asked
        return 100.0 * sum(row[name] in said for row in rows) / len(rows)

    return {
        "network": trial.name, "inputs": len(rows), "test error": share("descent", WRONG),
        "descent": share("descent", WRONG, ATTACKED), "search, attacked": share("search", WRONG, ATTACKED),
        "search, not robust": share("search", WRONG, ATTACKED, "unknown"),
        **{name: share(name, OPEN, LATE) for name in reversed(RELAXATIONS)},
        "undecided": sum(row["search"] == "unknown" for row in rows),
        "stopped by time": sum(row[name] == LATE for row in rows for name in RELAXATIONS),
    }  # fmt: skip


def _printed(trial: Trial) -> list[Row]:
    """The printed line of the whole test set."""
    if not trial.printed:
        return []
    numbers = {ours: trial.printed.get(theirs, np.nan) for ours, theirs in PRINTED.items()}
    empty = {"network": f"{trial.name}, printed", "inputs": 10000}
    names = ("test error", "descent", "search, attacked", "search, not robust", *reversed(RELAXATIONS))
    return [empty | {name: numbers.get(name, np.nan) for name in names} | {"undecided": "", "stopped by time": ""}]


def _sentence(found: Row) -> str:
    said = [f"descents {found['descent']:.1f} %"]
    if np.isfinite(found["search, attacked"]):
        sides = f"{found['search, attacked']:.1f} to {found['search, not robust']:.1f} %"
        said.append(f"complete search {sides} ({found['undecided']} undecided)")
    said += [f"{name} {found[name]:.1f}" for name in reversed(RELAXATIONS) if np.isfinite(found[name])]
    return f"{found['network']}, {found['inputs']} inputs: {', '.join(said)}"


def _seconds(name: tuple[str, float], rows: Sequence[Row]) -> Row:
    mine = [row for row in rows if (row["network"], row["epsilon"]) == name]
    row: Row = {"network": f"{name[0]} {name[1]:g}"}
    for step in ("descent", *RELAXATIONS, "search"):
        taken = [r[f"{step} seconds"] for r in mine if np.isfinite(r[f"{step} seconds"])]
        row[step] = float(np.median(taken)) if taken else np.nan
    return row


def _figure(table: Sequence[Row]) -> Any:
    """A line a network: the complete search's two sides as a bar, marks for the others, printed ones hollow."""
    figure, (axes,) = new_figure(1)
    figure.set_size_inches(8.0, 1.2 + 0.4 * len(table))
    marks = dict(zip(("descent", *reversed(RELAXATIONS)), ("v", "P", "D", "s", "o"), strict=True))
    for place, row in enumerate(table):
        fill = "none" if row["network"].endswith("printed") else "full"
        low, high = row["search, attacked"], row["search, not robust"]
        axes.plot([low, high], [place, place], linewidth=6, alpha=0.35, color="C7", solid_capstyle="butt")
        axes.plot([low, high], [place, place], "|", markersize=9, color="C7")  # where they meet the bar has no width
        for i, (name, mark) in enumerate(marks.items()):
            if not any(np.isfinite(one[name]) for one in table):
                continue  # no step that was asked
            label = name if place == 0 else None
            axes.plot(row[name], place, mark, fillstyle=fill, color=f"C{i}", label=label, linestyle="none")
    axes.set_yticks(range(len(table)), [row["network"] for row in table], fontsize="x-small")
    axes.set(xlabel="robust error, per cent (grey: between the complete search's sides)")
    axes.invert_yaxis()
    axes.legend(fontsize="x-small", ncols=5, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def _text(settings: Settings) -> list[str]:
    source = "The first images of the test set; printed lines are of all 10,000"
    if not settings.instances:
        source = "Carried networks and digits (--instances FOLDER takes the paper's own networks)"
    return [
        f"{source}. Maximum norm, inputs in [0, 1], one core an input, {settings.timeout:g} s a search or relaxation "
        f"(--quick: {QUICK_SECONDS:g}); an input that is not decided in that time counts as an error from above.",
    ]


STUDY = Study("The robust error, from below and from above", 60.0, COLUMNS, _rows, _findings)
