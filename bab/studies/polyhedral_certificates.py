"""Study `polyhedral-certificates`: certified distances, attacks, and walks over activation regions, side by side.

After Singla and Feizi (2019).
    distances   their Fig. 2, in l2: the simplex certificate, Theorem 4, the plain Lipschitz bound; DeepFool, iterative
                FGSM, the minimum-norm attack; the region walk, whose two sides meet where it comes to its end
    times       their Table 1: simplex, Fast-Lin and CROWN in one run, on random networks of its sizes
    random      small random networks in l1, l2 and the maximum norm, with walks to their ends, the first ones with
                attacks: certificates as shares of the exact distortion
A certificate that is above an attack, or above the exact distortion, ends the study: one of them is wrong. One figure
shows regions and the growing ball on a network with two inputs.

The networks are the carried ones, with the carried inputs and noisy copies of them; or those of --instances, a list of
lines `onnx,data,seconds`, the data a .npy, .npz (array images) or .csv. Classes are the network's own. --only chooses
parts and networks by their names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...instances.carried import carried
from ...instances.errors import InputError
from ...instances.families.random_networks import random_network
from ...instances.network import Array, Network
from ...instances.onnx.reader import read_network
from ..bench.bench_instances import read_instances
from ..drawing.region_picture import draw_regions
from ..robustness.inputs import load_array, read_table
from ..robustness.preparation import flat
from .frame import Findings, Row, Settings, Study, new_figure
from .linear_radii import SLOPES, linear_radii
from .sample_distances import ABOVE, BELOW, CERTIFICATES, attacks, certificates, compare, walk

__all__ = ["NORMS", "PAPER", "QUICK_RANDOM", "STUDY"]

NORMS = (1.0, 2.0, np.inf)
VALUES = (*BELOW, *ABOVE, *SLOPES)
SECONDS = tuple(f"{name} seconds" for name in ("simplex", *SLOPES))
COLUMNS: dict[str, Callable[[str], Any]] = {
    "part": str, "network": str, "sample": int, "norm": float, **dict.fromkeys(VALUES, float), "regions": int,
    "exact": int, "seconds": float, "stopped": str, **dict.fromkeys(SECONDS, float),
}  # fmt: skip
SAMPLES, QUICK_SAMPLES = 100, 3
CARRIED = {  # network: inputs, size of the noise on copies of them, range that these keep to
    "iris_1layer": ("iris_nominal", 0.2, (0.1, 10.0)), "iris_2layer": ("iris_nominal", 0.2, (0.1, 10.0)),
    "digits_mlp_32": ("digits_nominal", 0.1, (0.0, 1.0)), "digits_mlp_24x2": ("digits_nominal", 0.1, (0.0, 1.0)),
    "digits_conv": ("digits_nominal", 0.1, (0.0, 1.0)),
}  # fmt: skip
# Table 1: hidden layers of 1024, inputs; samples and questions here; seconds there of Fast-Lin, CROWN, simplex
PAPER = {
    "MNIST 3 x 1024": (3, 784, 3, 6, 0.732, 1.260, 0.0037),
    "MNIST 4 x 1024": (4, 784, 3, 6, 1.790, 3.520, 0.0063),
    "CIFAR 7 x 1024": (7, 3072, 1, 2, 12.70, 20.70, 0.0387),
}
WIDTH, QUICK_WIDTH = 1024, 32
RANDOM, QUICK_RANDOM = 5000, 20
ATTACKED = 800  # of the random networks: attacks take twelve times as long as walks, which find the distortion itself
MOST_NEURONS = 5  # a layer of a small random network
PATIENCE = 120.0  # seconds of a walk there, which takes a fraction of one on a machine that is not busy
AROUND = 2.0  # the range of a small network's inputs reaches so far around its point
BINS = 25


@dataclass(frozen=True)
class Source:
    """A network and its inputs, loaded when needed."""

    name: str
    seconds: float  # of a walk
    load: Callable[[], tuple[Network, Array]]  # inputs [N, n]


def _rows(settings: Settings, former: Sequence[Row]) -> Iterator[Row]:
    """The rows that `former` does not have; raises Contradiction."""
    done = {(row["part"], row["network"], row["sample"], row["norm"]) for row in former}
    yield from _distances(settings, done)
    yield from _times(settings, done)
    yield from _random(settings, done)


def _row(part: str, network: str, sample: int, norm: float, **values: Any) -> Row:
    row: Row = {name: "" if kind is str else -1 if kind is int else np.nan for name, kind in COLUMNS.items()}
    return {**row, "part": part, "network": network, "sample": sample, "norm": norm, **values}


def _distances(settings: Settings, done: set[Any]) -> Iterator[Row]:
    for source in _sources(settings):
        network, inputs = source.load()
        for i, x in enumerate(inputs[: QUICK_SAMPLES if settings.quick else SAMPLES]):
            if ("distances", source.name, i, 2.0) not in done:
                label = int(network.evaluate(x[None])[0].argmax())
                found = {**certificates(network, x, label, 2), **attacks(network, x, label, 2)}
                found |= walk(network, x, label, 2, source.seconds)
                yield _compared("distances", source.name, i, 2.0, found)


def _times(settings: Settings, done: set[Any]) -> Iterator[Row]:
    for number, (name, (depth, inputs, samples, questions, *_)) in enumerate(PAPER.items()):
        wanted = [i for i in range(samples) if ("times", name, i, 2.0) not in done]
        if not wanted or not _own(settings, "times", name):
            continue
        width, inputs = (QUICK_WIDTH, QUICK_WIDTH) if settings.quick else (WIDTH, inputs)
        network = random_network([inputs, *[width] * depth, 10], settings.seed + number)
        points = np.random.default_rng(settings.seed).uniform(0.0, 1.0, (samples, inputs))
        for i in wanted:
            label = int(network.evaluate(points[i : i + 1])[0].argmax())
            yield _compared("times", name, i, 2.0, linear_radii(network, points[i], label, questions))


def _random(settings: Settings, done: set[Any]) -> Iterator[Row]:
    count = QUICK_RANDOM if settings.quick else RANDOM
    for sample in range(count if _own(settings, "random") else 0):
        wanted = [norm for norm in NORMS if ("random", "small", sample, norm) not in done]
        rng = np.random.default_rng([settings.seed, sample])
        inputs, depth, classes = (int(rng.integers(*ends)) for ends in ((2, 4), (1, 3), (2, 5)))
        hidden = rng.integers(2, MOST_NEURONS + 1, depth).tolist()
        network = random_network([inputs, *hidden, classes], int(rng.integers(2**31)))
        x = rng.uniform(-1.0, 1.0, inputs)
        label = int(network.evaluate(x[None])[0].argmax())
        for norm in wanted:
            ends = (x - AROUND, x + AROUND)
            found = certificates(network, x, label, norm)
            if sample < ATTACKED:
                found |= attacks(network, x, label, norm, *ends)
            found |= walk(network, x, label, norm, PATIENCE, *ends)
            yield _compared("random", "small", sample, norm, found)


def _compared(part: str, network: str, sample: int, norm: float, found: Row) -> Row:
    compare({"network": network, "sample": sample, "norm": norm, **found})
    return _row(part, network, sample, norm, **found)


def _chosen(settings: Settings, *names: str) -> bool:
    return not settings.only or any(fnmatch(name, glob) for name in names for glob in settings.only)


def _own(settings: Settings, *names: str) -> bool:
    """Whether a part that needs no files is wanted."""
    return not settings.instances and _chosen(settings, *names)


def _sources(settings: Settings) -> list[Source]:
    """Those of the list, or the carried ones, that `only` chooses. Raises InputError where nothing at all is chosen."""
    if settings.instances:
        every = [
            Source(Path(i.onnx).stem, min(i.timeout, settings.timeout), partial(_read, i.network, i.property))
            for i in read_instances([Path(settings.instances)])
        ]
    else:
        names = list(CARRIED)[:: 2 if settings.quick else 1]
        every = [Source(name, settings.timeout, partial(_carried, name, settings.seed)) for name in names]
    kept = [source for source in every if _chosen(settings, "distances", source.name)]
    if not kept and not _own(settings, "times", "random", *PAPER):
        raise InputError(f"--only {' '.join(settings.only)}: matches no instance")
    return kept


def _carried(name: str, seed: int) -> tuple[Network, Array]:
    """The carried inputs, then copies of them with uniform noise."""
    data, noise, ends = CARRIED[name]
    network = read_network(carried(f"{name}.onnx"))
    own, _ = read_table(carried(f"{data}.csv"), network)
    copies = np.tile(own, (SAMPLES // len(own) - 1, 1))
    noisy = copies + np.random.default_rng(seed).uniform(-noise, noise, copies.shape)
    return network, np.concatenate([own, np.clip(noisy, *ends)])


def _read(onnx: Path, data: Path) -> tuple[Network, Array]:
    network = read_network(onnx)
    if data.suffix.lower() == ".csv":
        return network, read_table(data, network)[0]
    images = load_array(data, "images" if data.suffix.lower() == ".npz" else None)
    if images.ndim < 2:
        raise InputError(f"{data}: shape {images.shape}, expected a number of inputs, each of an axis or more")
    return network, np.array([flat(x, network, f"{data}, input {i}") for i, x in enumerate(images[:SAMPLES])])


def _findings(settings: Settings, rows: Sequence[Row]) -> Findings:
    parts = {name: [row for row in rows if row["part"] == name] for name in ("distances", "times", "random")}
    networks = list(dict.fromkeys(row["network"] for row in parts["distances"]))
    of = {name: [row for row in parts["distances"] if row["network"] == name] for name in networks}
    table = [_of_network(name, mine) for name, mine in of.items()]
    timed = [_of_size(name, parts["times"]) for name in PAPER if any(r["network"] == name for r in parts["times"])]
    tight = [_of_norm(norm, parts["random"]) for norm in NORMS if parts["random"]]
    picture, said = draw_regions()
    summary = [
        f"{t['network']}: mean simplex {t['simplex']:.3g}, Lipschitz {t['Lipschitz']:.3g}, walk {t['walk lower']:.3g} "
        f"to {t['walk upper']:.3g}, minimal norm {t['minimal norm']:.3g}, DeepFool {t['DeepFool']:.3g}, iterative FGSM "
        f"{t['iterative FGSM']:.3g}; walk exact for {t['walk exact']} of {t['inputs']}" for t in table
    ] + [
        f"{t['network']}: simplex {t['simplex s']:.3g} s; a bound takes {t['Fast-Lin / simplex']:.0f} times as long by "
        f"Fast-Lin, {t['CROWN / simplex']:.0f} times by CROWN" for t in timed
    ] + [
        f"random, norm {t['norm']:g}: no certificate above the distortion in the {t['exact']} of {t['networks']} walks "
        f"that came to their end; median share {t['simplex']:.3g} (simplex), {t['Lipschitz']:.3g} (Lipschitz)"
        for t in tight
    ]  # fmt: skip
    summary += [said, "no certificate exceeds an attack or an exact distortion, on any input"]
    tables = {"Mean l2 distances (finite ones)": table}
    tables |= {"Processor seconds an input, beside the paper's Table 1": timed} if timed else {}
    tables |= {"Certificates as shares of the exact distortion (medians)": tight} if tight else {}
    figures = {f"distances-{name}": _curves(name, mine) for name, mine in of.items()}
    figures |= {"tightness": _histograms(parts["random"])} if tight else {}
    return Findings(_text(settings), summary, tables, {"regions": picture, **figures})


def _of_network(name: str, mine: Sequence[Row]) -> Row:
    exact = sum(row["exact"] == 1 for row in mine)
    means = {method: _mean([row[method] for row in mine]) for method in (*BELOW, *ABOVE)}
    return {
        "network": name, "inputs": len(mine), **means, "walk exact": exact,
        "median regions": float(np.median([row["regions"] for row in mine])),
        "median walk s": float(np.median([row["seconds"] for row in mine])),
    }  # fmt: skip


def _of_size(name: str, rows: Sequence[Row]) -> Row:
    mine = [row for row in rows if row["network"] == name]
    depth, _, _, questions, fast_lin, crown, simplex = PAPER[name]
    mean = {column: _mean([row[column] for row in mine]) for column in (*SECONDS, "simplex", *SLOPES, "DeepFool")}
    own = mean["simplex seconds"]
    return {
        "network": name, "inputs": len(mine), "simplex s": own, "Fast-Lin s a bound": mean["Fast-Lin seconds"],
        "CROWN s a bound": mean["CROWN seconds"], "Fast-Lin / simplex": mean["Fast-Lin seconds"] / own,
        "CROWN / simplex": mean["CROWN seconds"] / own, "paper's Fast-Lin / simplex": fast_lin / simplex,
        "paper's CROWN / simplex": crown / simplex, "questions": questions, "simplex radius": mean["simplex"],
        "Fast-Lin radius": mean["Fast-Lin"], "CROWN radius": mean["CROWN"], "DeepFool": mean["DeepFool"],
    }  # fmt: skip


def _of_norm(norm: float, rows: Sequence[Row]) -> Row:
    mine = [row for row in rows if row["norm"] == norm]
    shares = {name: _median(_shares(mine, name)) for name in CERTIFICATES}
    near = len(_shares(mine, "simplex"))
    exact = sum(row["exact"] == 1 for row in mine)
    return {"norm": norm, "networks": len(mine), "exact": exact, "another answer in range": near, **shares}


def _shares(rows: Sequence[Row], name: str) -> list[float]:
    """Certificates over exact, finite, positive distortions."""
    return [row[name] / row["walk upper"] for row in rows if row["exact"] == 1 and 0.0 < row["walk upper"] < np.inf]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean([v for v in values if np.isfinite(v)] or [np.nan]))


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else float("nan")


def _curves(name: str, rows: Sequence[Row]) -> Any:
    """Distances of all inputs, sorted by the nearest one from above; zeros have no place on the axis."""
    figure, (axes,) = new_figure(1)
    figure.set_size_inches(7.0, 4.2)
    ordered = sorted(rows, key=lambda row: min(row[method] for method in ABOVE))
    for method in (*BELOW, *ABOVE):
        values = [row[method] if 0.0 < row[method] < np.inf else np.nan for row in ordered]
        if not np.isnan(values).all():
            axes.plot(values, "-" if method in BELOW else "--", label=method, linewidth=1.3)
    axes.set(title=name, xlabel="input, by its nearest other answer known", ylabel="l2 distance", yscale="log")
    axes.legend(fontsize="x-small", ncols=2)
    return figure


def _histograms(rows: Sequence[Row]) -> Any:
    figure, panels = new_figure(len(NORMS))
    for axes, norm in zip(panels, NORMS, strict=True):
        mine = [row for row in rows if row["norm"] == norm]
        for name in CERTIFICATES:
            axes.hist(_shares(mine, name), np.linspace(0.0, 1.0, BINS + 1), histtype="step", label=name)
        axes.set(title=f"norm {norm:g}", xlabel="certificate / exact distortion", ylabel="networks", yscale="log")
    panels[0].legend(fontsize="small")
    return figure


def _text(settings: Settings) -> list[str]:
    source = "the carried inputs, each with nine copies under uniform noise (0.2 cm, 0.1 of a pixel's range)"
    if settings.instances:
        source = f"the list {Path(settings.instances).name}"
    return [
        f"Distances: l2, whole space, {source}; the class is the network's own. Walks stop after {settings.timeout:g} "
        "s an input, or the list's seconds. Iterative FGSM: the nearest candidate of 40 steps in balls of 25 radii.",
        "Times: random networks, 10 classes, inputs uniform in [0, 1]; processor seconds, all threads. Linear bounds "
        "at as many radii as the column questions says, halving what lies between the simplex certificate and DeepFool "
        "on a logarithmic scale; seconds are those of one bound, the paper's are of whole runs by the authors.",
        f"Random: 2 or 3 inputs, 1 or 2 hidden layers of 2 to {MOST_NEURONS} neurons, 2 to 4 classes, other answers "
        f"within {AROUND:g} of each input of the point.",
    ]


STUDY = Study("Certificates from the polyhedral structure", 5.0, COLUMNS, _rows, _findings)
