"""Means, gaps, hulls and times of the study `barrier-eps`, beside what was printed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..studies.frame import Findings, Row, Settings, new_figure
from .distances import STEP
from .hull_picture import draw_hulls
from .relaxations import RELAXATIONS
from .trials import Trial, chosen, distortion_trials

__all__ = ["findings"]

MILLI = 1e3  # printed means are in thousandths
CERTIFIED = (*RELAXATIONS, "search")
MEANS = {
    "LP-GREEDY": "mean_lower_lp_greedy_x1e-3", "LP-LAST": "mean_lower_lp_last_x1e-3",
    "LP-ALL": "mean_lower_lp_all_x1e-3", "PGD": "mean_upper_pgd_x1e-3",
}  # fmt: skip
GAPS = {
    "LP-GREEDY": "median_gap_lp_greedy_pct", "LP-LAST": "median_gap_lp_last_pct", "LP-ALL": "median_gap_lp_all_pct",
}  # fmt: skip


def findings(settings: Settings, rows: Sequence[Row]) -> Findings:
    """What the study says about its rows."""
    means, gaps, beside, times = [], [], [], []
    for trial in chosen(distortion_trials(settings), settings):
        mine = [row for row in rows if (row["network"], row["range"]) == (trial.network, trial.range)]
        if mine:
            means.append(_means(trial, mine))
            gaps.append(_gaps(trial, mine))
            times += _times(trial, mine)
            beside += _beside(trial, mine)
    summary = [
        f"{m['network']}, {m['range']}, {m['inputs']} inputs: mean distortion "
        + ", ".join(f"{name} {m[name]:.4g}" for name in (*CERTIFIED, "search, attacked", "PGD") if np.isfinite(m[name]))
        + "; median gap " + ", ".join(f"{name} {g[name]:.3g} %" for name in CERTIFIED if np.isfinite(g[name]))
        + (f"; {m['stopped']} stopped by time" if m["stopped"] else "")
        for m, g in zip(means, gaps, strict=True)
    ] + [
        f"{b['network']}, {b['range']}: {b['method']} {b['mean']:.4g}, printed {b['printed']:.4g} "
        f"({b['difference, per cent']:+.1f} %)"
        + (f"; on the grid {b['on the grid']:.4g} to {b['next there']:.4g}" if np.isfinite(b["on the grid"]) else "")
        for b in beside
    ]  # fmt: skip
    tables = {"Mean distortions, thousandths": means, "Median gaps to PGD, per cent": gaps}
    tables |= {"Beside the printed means, thousandths": beside} if beside else {}
    tables |= {"LP-ALL by layers: processor milliseconds an unstable neuron": times} if times else {}
    figures = {"gaps": _bars(gaps), "hulls": draw_hulls()} | ({"times": _lines(times)} if times else {})
    return Findings(_text(settings), summary, tables, figures)


def _of(rows: Sequence[Row], method: str, column: str = "epsilon") -> list[float]:
    return [row[column] for row in sorted(rows, key=lambda row: row["input"]) if row["method"] == method]


def _mean(values: Sequence[float]) -> float:
    return MILLI * float(np.mean(values)) if values else np.nan


def _means(trial: Trial, rows: Sequence[Row]) -> Row:
    return {
        "network": trial.network, "range": trial.range, "inputs": len(_of(rows, "PGD")),
        **{method: _mean(_of(rows, method)) for method in CERTIFIED},
        "search, attacked": _mean(_of(rows, "search", "above")), "PGD": _mean(_of(rows, "PGD", "above")),
        "stopped": sum(row["stopped"] == 1 for row in rows),
    }  # fmt: skip


def _gaps(trial: Trial, rows: Sequence[Row]) -> Row:
    """Ours, then those that were printed."""
    above = {row["input"]: row["above"] for row in rows if row["method"] == "PGD"}
    found: Row = {"network": trial.network, "range": trial.range}
    for method in CERTIFIED:
        gaps = [
            100.0 * (above[row["input"]] - row["epsilon"]) / above[row["input"]]
            for row in rows if row["method"] == method and 0.0 < above[row["input"]] < np.inf
        ]  # fmt: skip
        found[method] = float(np.median(gaps)) if gaps else np.nan
    return found | {f"{method}, printed": trial.printed.get(key, np.nan) for method, key in GAPS.items()}


def _beside(trial: Trial, rows: Sequence[Row]) -> list[Row]:
    """Means next to printed ones; on the grid of those the last multiple that is proved, and the one behind it."""
    found = []
    for method, key in MEANS.items():
        mean = _mean(_of(rows, method, "above" if method == "PGD" else "epsilon"))
        last, step = _mean(_of(rows, method, "grid")), STEP * _mean(_of(rows, "LP-GREEDY"))
        if trial.printed and np.isfinite(mean):
            printed = trial.printed.get(key, np.nan)
            found.append({
                "network": trial.network, "range": trial.range, "method": method, "mean": mean, "printed": printed,
                "difference, per cent": 100.0 * (mean / printed - 1.0), "on the grid": last,
                "next there": last + (step if method in ("LP-LAST", "LP-ALL") else 0.0),
            })  # fmt: skip
    return found


def _times(trial: Trial, rows: Sequence[Row]) -> list[Row]:
    found = []
    for layer in sorted({row["layer"] for row in rows if row["method"] == "times"}):
        mine = [row for row in rows if row["method"] == "times" and row["layer"] == layer]
        neurons, seconds = sum(row["neurons"] for row in mine), sum(row["seconds"] for row in mine)
        found.append({
            "network": trial.network, "range": trial.range, "layer": layer, "inputs": len(mine),
            "unstable neurons": neurons,
            "milliseconds": MILLI * seconds / neurons if neurons else np.nan,
        })  # fmt: skip
    return found


def _bars(gaps: Sequence[Row]) -> Any:
    """Figure 3: median gaps, a group of bars a network; printed ones as black marks. What was not asked has no bar."""
    figure, (axes,) = new_figure(1)
    figure.set_size_inches(3.0 + 0.9 * len(gaps), 4.4)
    asked = [method for method in CERTIFIED if any(np.isfinite(row[method]) for row in gaps)]
    width = 0.8 / max(len(asked), 1)
    for j, method in enumerate(asked):
        places = np.arange(len(gaps)) + j * width
        axes.bar(places, [row[method] for row in gaps], width, label=method)
        axes.plot(places, [row.get(f"{method}, printed", np.nan) for row in gaps], "k_", markersize=5)
    names = [f"{row['network']}\n{row['range']}" for row in gaps]
    axes.set_xticks(np.arange(len(gaps)) + 0.4, names, rotation=30, ha="right", fontsize="x-small")
    axes.set(ylabel="median gap to PGD, per cent (dashes: printed)")
    axes.legend(fontsize="x-small")
    return figure


def _lines(times: Sequence[Row]) -> Any:
    """Figures 5 and 7: how LPs grow with the layer, a line a network."""
    figure, (axes,) = new_figure(1)
    for name in dict.fromkeys((row["network"], row["range"]) for row in times):
        mine = [row for row in times if (row["network"], row["range"]) == name]
        axes.plot([r["layer"] for r in mine], [r["milliseconds"] for r in mine], "o-", label=", ".join(name))
    axes.set(xlabel="layer", ylabel="processor ms an unstable neuron", yscale="log")
    axes.legend(fontsize="xx-small")
    return figure


def _text(settings: Settings) -> list[str]:
    source = "The paper's ten test images" if settings.instances else "Carried networks and digits"
    return [
        f"{source}; maximum norm, the network's own class, one core an input, at most {settings.timeout:g} s a "
        "relaxation and the search; what time stops counts with what it proved before. The first figure of hulls is "
        "what any relaxation of a single layer can be at best.",
    ]
