"""Study `scaling`: what a search that splits the input set pays for more inputs, more layers, wider layers.

One family: random ReLU networks of one output y on a box around a random point; forbidden is y >= M + SHARE * R, where
M is the highest output and R the range of outputs that an attack finds in the box. The question is thus equally close
to the truth for all sizes, and, unless the attack was SHARE * R off, the answer is `unsat`. One of the three sizes is
varied at a time; medians over several networks a point, and least squares through their logarithms:
log nodes ~ inputs and ~ depth (a factor for each one added), log nodes ~ log width (a power).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ...heuristics.attacks.attacks import points_in, projected_gradient
from ...instances.carried import carried
from ...instances.families.random_networks import random_network
from ...instances.network import Array, Network
from ...instances.property import Case, InputSet, Polyhedron, Property
from ...instances.query import queries
from ..run.options import Kernel, OptionValues
from .frame import Findings, Row, Settings, Study, decide, new_figure

__all__ = ["COMPILED", "STUDY", "fit", "medians", "near_maximum", "warm_up"]

RADIUS = 0.25  # of the box around a point of [-1, 1]^inputs: most ReLUs are stable, some are not, in all sizes alike
SHARE = 0.05  # of the output's range between the highest output found and the forbidden ones
STARTS, STEPS = 256, 60  # of the attack that finds the highest output
OUT_OF_REACH = 1e6  # no output comes here: the attack never stops for having found one
LEAST_POINTS = 3  # of a fit: two lie on a line whatever they are
RESOLUTION = 0.02  # seconds: the noise of a difference of two runs' times; less says nothing

SIZES = ("inputs", "depth", "width")  # depth: hidden layers
SWEEPS: dict[str, tuple[dict[str, int], tuple[int, ...]]] = {  # what is fixed, and the values of what is varied
    "inputs": ({"depth": 2, "width": 50}, (2, 4, 6, 8, 10, 12, 14, 16, 18, 20)),
    "depth": ({"inputs": 6, "width": 50}, (1, 2, 3, 4, 5, 6, 8)),
    "width": ({"inputs": 8, "depth": 2}, (10, 20, 35, 50, 75, 100, 150, 200)),
}
SEEDS = 7  # networks a point
QUICK_SWEEPS = {
    "inputs": ({"depth": 2, "width": 20}, (2, 4, 6)),
    "depth": ({"inputs": 4, "width": 20}, (1, 2, 3)),
    "width": ({"inputs": 4, "depth": 2}, (10, 20, 40)),
}
QUICK_SEEDS = 1

COMPILED = "Narrow networks are bounded by compiled code from the first node on."  # see warm_up
COLUMNS = {
    "swept": str, "inputs": int, "depth": int, "width": int, "seed": int, "verdict": str, "nodes": int,
    "seconds": float, "root_seconds": float, "search_seconds": float, "reason": str,
}  # fmt: skip


def near_maximum(
    sizes: Sequence[int], seed: int, share: float = SHARE, radius: float = RADIUS
) -> tuple[Network, Property]:
    """A random network of these sizes (inputs first, one output) and a bound on its output over a random box.

    Forbidden: outputs above the highest one that an attack finds by `share` of the range that it finds. A negative
    share makes an instance that is violated.
    """
    network = random_network(sizes, seed)
    rng = np.random.default_rng([seed, *sizes])
    centre = rng.uniform(-1.0, 1.0, sizes[0])
    region = InputSet.box(centre - radius, centre + radius)
    top, bottom = (_extreme(network, region, sign, rng) for sign in (1.0, -1.0))
    return network, _above(region, 1.0, top + share * (top - bottom))


def _extreme(network: Network, region: InputSet, sign: float, rng: np.random.Generator) -> float:
    """The highest (sign 1) or lowest (sign -1) output that projected gradient meets in the box."""
    (query,) = queries(network, _above(region, sign, OUT_OF_REACH))
    starts = points_in(region.lower, region.upper, STARTS, rng)
    found, _ = projected_gradient(query, starts, region.lower, region.upper, STEPS)
    return sign * float((sign * network.evaluate(found)).max())


def _above(region: InputSet, sign: float, threshold: float) -> Property:
    """Forbidden: sign * y >= threshold."""
    forbidden = Polyhedron(np.array([[-sign]]), np.array([-threshold]))
    return Property((Case(region, (forbidden,)),), region.size, 1)


def warm_up(quick: bool) -> Kernel:
    """The choice of bounding code for a study's runs; what is loaded once is loaded here, not by the first instance.

    A full study uses compiled bounds from the first node on, or a curve would bend where a run comes to use them.
    """
    kernel: Kernel = "auto" if quick else "compiled"
    decide(*near_maximum([4, 20, 20, 1], seed=0), method="split", rule="inputs", timeout=600.0, kernel=kernel)
    decide(carried("iris_1layer.onnx"), carried("flower1_r0.3.vnnlib"))  # a violated one: readers and onnxruntime
    return kernel


def _rows(settings: Settings, former: Sequence[Row]) -> Iterator[Row]:
    """One row a network that `former` does not have."""
    done = {(row["swept"], *(row[name] for name in SIZES), row["seed"]) for row in former}
    sweeps, seeds = (QUICK_SWEEPS, QUICK_SEEDS) if settings.quick else (SWEEPS, SEEDS)
    kernel = warm_up(settings.quick)
    for swept, (fixed, values) in sweeps.items():
        for value in values:
            size = {name: (fixed | {swept: value})[name] for name in SIZES}
            for seed in range(settings.seed, settings.seed + seeds):
                if (swept, *size.values(), seed) not in done:
                    yield {"swept": swept, **size, "seed": seed, **_measured(size, seed, settings.timeout, kernel)}


def _measured(size: dict[str, int], seed: int, timeout: float, kernel: Kernel) -> Row:
    """What one network took. The same run, ended at its root, tells what was before the search."""
    asked = near_maximum([size["inputs"], *[size["width"]] * size["depth"], 1], seed)
    options = OptionValues(method="split", rule="inputs", seed=seed, timeout=timeout, kernel=kernel)
    at_root, result = decide(*asked, **(options | {"nodes": 1})), decide(*asked, **options)
    return {
        "verdict": result.verdict, "nodes": int(result.statistics.get("nodes", 0)),
        "seconds": round(result.seconds, 4), "root_seconds": round(at_root.seconds, 4),
        "search_seconds": round(max(0.0, result.seconds - at_root.seconds), 4), "reason": result.reason,
    }  # fmt: skip


def medians(rows: Sequence[Row], swept: str) -> list[Row]:
    """One row a point of a sweep: medians over its networks.

    A run that was not decided counts as longer than all that were; where the median falls on such a run, the medians
    are of what the runs got through, and `bound` says that they are lower bounds. Violated instances are left out:
    how soon a counterexample is met says nothing about proofs.
    """
    points = []
    for value in sorted({row[swept] for row in rows if row["swept"] == swept}):
        here = [r for r in rows if r["swept"] == swept and r[swept] == value and r["verdict"] != "sat"]
        if not here:
            continue
        solved = [row["verdict"] == "unsat" for row in here]
        bound = 2 * sum(solved) <= len(here)
        point: Row = {swept: value, "networks": len(here), "solved": sum(solved), "bound": "at least" if bound else ""}
        for name in ("nodes", "search_seconds"):
            told = [row[name] if ok or bound else np.inf for row, ok in zip(here, solved, strict=True)]
            point[name] = float(np.median(told))
        point["nodes_per_second"] = float(np.median([_rate(row) for row in here]))
        points.append(point)
    return points


def _rate(row: Row) -> float:
    """Nodes per second of search, NaN where that took too short to tell."""
    return row["nodes"] / row["search_seconds"] if row["search_seconds"] >= RESOLUTION else np.nan


def fit(x: Array, y: Array, bound: Array) -> tuple[float, float] | None:
    """(slope, intercept) of the least-squares line, where y[bound] are lower bounds: a line above them is right.

    x, y: [points]; bound: [points] bool. The cost is convex and piecewise quadratic; each step solves it for the
    bounds that the last line violates. None where fewer than three different x have an exact y.

    >>> line = fit(np.arange(4.0), np.array([1.0, 3.0, 5.0, 2.0]), np.array([False, False, False, True]))
    >>> [round(value, 6) for value in line]
    [2.0, 1.0]
    """
    if len(np.unique(x[~bound])) < LEAST_POINTS:
        return None
    slope, intercept = np.polyfit(x[~bound], y[~bound], 1)
    for _ in range(2 * len(x)):
        used = ~bound | (y > slope * x + intercept)
        before = slope, intercept
        slope, intercept = np.polyfit(x[used], y[used], 1)
        if (slope, intercept) == before:
            break
    return float(slope), float(intercept)


def _findings(settings: Settings, rows: Sequence[Row]) -> Findings:
    """Slopes in words, medians in tables, and one figure with a panel a sweep for each quantity."""
    sweeps = QUICK_SWEEPS if settings.quick else SWEEPS
    fixed = {swept: ", ".join(f"{name} {size}" for name, size in kept.items()) for swept, (kept, _) in sweeps.items()}
    points = {swept: medians(rows, swept) for swept in sweeps}
    summary, figures = [], {}
    for name, words in QUANTITIES.items():
        figure, panels = new_figure(len(sweeps))
        for swept, axes in zip(sweeps, panels, strict=True):
            line = _fitted(points[swept], swept, name)
            proofs = [row for row in rows if row["swept"] == swept and row["verdict"] != "sat"]
            _draw(axes, proofs, points[swept], swept, name, line)
            axes.set(xlabel=f"{swept} ({fixed[swept]})", ylabel=words)
            if line:
                summary.append(f"{_sentence(swept, words, line[0])} ({fixed[swept]})")
        figures[name.replace("_", "-")] = figure
    tables = {f"Medians by {swept} ({fixed[swept]})": table for swept, table in points.items()}
    return Findings(_text(settings, rows), [*summary, _undecided(rows)], tables, figures)


def _fitted(points: Sequence[Row], swept: str, name: str) -> tuple[float, float] | None:
    """The line through the logarithms of what could be measured; width too is taken by its logarithm."""
    told = [point for point in points if point[name] >= (RESOLUTION if name == "search_seconds" else 1.0)]
    x = np.array([point[swept] for point in told], dtype=float)
    y = np.log([point[name] for point in told])
    bound = np.array([bool(point["bound"]) and name != "nodes_per_second" for point in told], dtype=bool)
    return fit(np.log(x) if swept == "width" else x, y, bound)


def _sentence(swept: str, words: str, slope: float) -> str:
    if swept == "width":
        return f"{words} go like width^{slope:.2f}"
    change = f"grow by a factor of {np.exp(slope):.2f}" if slope >= 0.0 else f"fall by a factor of {np.exp(-slope):.2f}"
    return f"{words} {change} per added {'input' if swept == 'inputs' else 'hidden layer'}"


def _draw(
    axes: Any, rows: Sequence[Row], points: Sequence[Row], swept: str, name: str, line: tuple[float, float] | None
) -> None:
    """Single runs as dots, medians as a line, lower bounds as triangles, the fit dashed."""
    points = [point for point in points if point[name] > 0.0]  # neither 0 nor NaN has a logarithm
    if not points:
        axes.text(0.5, 0.5, "too quick to tell", ha="center", transform=axes.transAxes)
        return
    values = [_rate(row) if name == "nodes_per_second" else row[name] for row in rows]
    axes.plot([row[swept] for row in rows], values, ".", color="0.75")
    x, y = (np.array([point[key] for point in points], dtype=float) for key in (swept, name))
    bound = np.array([bool(point["bound"]) for point in points])
    axes.plot(x, y, "-", color="tab:blue")
    axes.plot(x[~bound], y[~bound], "o", color="tab:blue", label="median")
    if bound.any():
        label = "median, with timeouts" if name == "nodes_per_second" else "median, at least"
        axes.plot(x[bound], y[bound], "^", color="tab:red", label=label)
    if line:
        axes.plot(x, np.exp(line[0] * (np.log(x) if swept == "width" else x) + line[1]), "k--", label="fit")
    axes.set_yscale("log")
    if swept == "width":
        axes.set_xscale("log")
    axes.legend()


def _undecided(rows: Sequence[Row]) -> str:
    """The counts that the fits must be read with."""
    verdicts = [row["verdict"] for row in rows]
    unsat, sat = verdicts.count("unsat"), verdicts.count("sat")
    undecided = len(rows) - unsat - sat
    return f"{len(rows)} runs: {unsat} unsat, {sat} sat (left out of all fits), {undecided} undecided (lower bounds)"


def _text(settings: Settings, rows: Sequence[Row]) -> list[str]:
    seeds = sorted({row["seed"] for row in rows})
    return [
        f"Random ReLU networks of one output (normal weights of variance 2 / fan-in, seeds {seeds}) on a box of radius "
        f"{RADIUS} around a random point. Forbidden are outputs above the highest one that an attack finds by "
        f"{SHARE:.0%} of the range that it finds. One size is varied at a time.",
        "Each is one run of the split search (method split, rule inputs, one core). Seconds of search are those of the "
        "run less those of the same run ended at its root, so that reading, the first attack and the root's bounds do "
        f"not count. Less than {RESOLUTION} s cannot be told so, and enters neither rates nor fits of seconds.",
        *([] if settings.quick else [COMPILED]),
        "Slopes are least squares through the logarithms of the medians (nodes and seconds against inputs and depth as "
        "they are, against width by its logarithm). A run that hits its limit counts as longer than all that do not; a "
        "median that falls on such runs is a lower bound, which costs a fitted line only where the line lies below it.",
    ]


QUANTITIES = {"nodes": "nodes", "search_seconds": "seconds of search", "nodes_per_second": "nodes per second"}
STUDY = Study("What splitting the input set costs as networks grow", 30.0, COLUMNS, _rows, _findings)
