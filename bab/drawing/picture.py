"""`--picture`: the partition of the input set that a search made, beside its split tree, in one figure.

Cells and leaves have the colour of how they were closed, lighter where fewer splits made them. A cell is what the
splits above a leaf leave of the input set; parts that clipping took from it earlier are drawn as its own. Inputs other
than the chosen two are fixed at the counterexample, else at the middle of their intervals.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ...instances.errors import InputError
from ...instances.network import Array, Network
from ...instances.property import Property
from ...instances.query import Query
from ...instances.rounding import TINY
from ..run.result import Result
from ..tree.evidence import Evidence, State
from ..tree.trace import SplitTree, Trace
from .cells import Plane, areas, choose_inputs, inside, locate, plane_through, polygons, sampled
from .tree_drawing import SPLIT_COLOURS, draw_tree, split_kinds

__all__ = ["Drawing", "Picture", "chosen_inputs", "draw"]

LOOKS = {
    Evidence.LINEAR: "#3d7ab8",
    Evidence.TOGETHER: "#2a9d8f",
    Evidence.SLOPES: "#5a9bd4",
    Evidence.EMPTY: "#a9a2bd",
    Evidence.CLIPPED: "#93a83a",
    Evidence.GROUPS: "#c77f2f",
    Evidence.LP: "#5d6d9e",
    Evidence.REGION: "#8459a8",
    Evidence.EXACT: "#4a6b5d",
    Evidence.CONFLICTS: "#6b4c9a",
    Evidence.SCIP: "#9c6644",
    Evidence.PROBING: "#b8577c",
    Evidence.CERTIFICATE: "#1d8a99",
    Evidence.BRANCHED: "#6f8f3f",
    State.STUCK: "#d98ca6",
    State.OPEN: "#fbecb5",
    State.WITNESS: "#f2aea6",
}
STATES: dict[int, str] = {State.STUCK: "given up", State.OPEN: "still open", State.WITNESS: "holds a counterexample"}
STAR, FORBIDDEN = "#c0281f", "#5c0f0a"
VERDICT_COLOURS = {"unsat": "#2d7d46", "sat": "#c0281f"}
LIGHTEST = 0.4  # share of white in the colour of a leaf above all others
MOST_POLYGONS = 40_000  # cells beyond which the plane is sampled instead
FINEST = 800  # points of a side of the sampled plane
MOST_BORDER = 0.12  # share of sampled points on a border from which borders would hide the cells
MARGIN_SIDE = 240  # points of a side where the network's own margins are looked at
COARSEST = 24  # points of a side at least
WORK = 4e9  # products of a sampling: a few seconds
MOST_NUMBERS = 2e7  # inputs of a sampling, all points together: 160 MB
DOTS = 160  # per inch


class Picture:
    """One run's picture: made before the search, so that bad options cost no hours, drawn after it.

    path, inputs: as in `Options.picture` and `Options.picture_inputs`.
    Raises InputError where the file cannot be written, matplotlib is missing, or an input does not exist.
    """

    def __init__(self, path: str | os.PathLike[str], inputs: str, network: Network, prop: Property) -> None:
        self.path, self.inputs = path, chosen_inputs(path, inputs, network.input_size)
        self.names = [Path(source).name for source in (network.source, prop.source) if source]
        self.asked = len(prop.cases)
        self.trace, self.seen = Trace(), 0
        self.best: tuple[Query, SplitTree, int] | None = None

    def recorder(self) -> Trace:
        """The recorder of the next query."""
        self.trace, self.seen = Trace(), self.seen + 1
        return self.trace

    def keep(self, query: Query) -> None:
        """A query was answered; keep its tree if it is the largest."""
        if self.best is None or self.trace.size > len(self.best[1]):
            self.best = query, self.trace.tree(), self.seen

    def drawn(self, result: Result) -> Result:
        """Draw. The result as it is; where the drawing fails its reason says so, as no verdict may be lost by that."""
        if self.best is None:
            return replace(result, reason=f"{result.reason}; no picture: nothing was searched")
        query, tree, number = self.best
        case = f"query {number} of {self.asked}, the one with most nodes" if self.asked > 1 else ""
        title = ",  ".join(self.names) + (f"  ({case})" if case else "")
        try:
            draw(self.path, Drawing(query, tree, result, title), self.inputs)
        except (OSError, MemoryError, KeyboardInterrupt) as error:
            return replace(result, reason=f"{result.reason}; no picture: {error or type(error).__name__}")
        return result


@dataclass(frozen=True, eq=False)
class Drawing:
    """What a figure shows."""

    query: Query
    tree: SplitTree
    result: Result
    title: str


def chosen_inputs(path: str | os.PathLike[str], inputs: str, input_size: int) -> tuple[int, int] | None:
    """The inputs that `picture_inputs` names, None for an automatic choice.

    Raises InputError, before any work, where the file cannot be written, matplotlib is missing, or an input does not
    exist.
    """
    if find_spec("matplotlib") is None:
        raise InputError('a picture needs matplotlib: pip install "hypersplit[plot]"')
    _try_to_write(Path(path))
    if not inputs:
        return None
    first, second = map(int, inputs.split(","))  # `Options` has looked at the form
    if max(first, second) >= input_size:
        raise InputError(f"option picture_inputs = {inputs}: expected two different inputs of 0 to {input_size - 1}")
    return first, second


def _try_to_write(path: Path) -> None:
    """Open the file without changing it; one that was not there is not left behind."""
    new = not path.exists()
    try:
        with open(path, "ab"):
            pass
    except OSError as error:
        raise InputError(f"option picture = {path}: cannot be written: {error.strerror}") from error
    if new:
        os.unlink(path)


def draw(path: str | os.PathLike[str], drawing: Drawing, inputs: tuple[int, int] | None = None) -> None:
    """Write the figure. inputs: the two that span the plane, None for two that show many cells.

    Raises OSError where the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    query, tree, witness = drawing.query, drawing.tree, drawing.result.witness
    x = witness.input if witness and query.region.contains(witness.input) else None
    if x is not None:
        holds = int(locate(query, tree, x[None])[0])
        tree.ended[holds] = State.WITNESS if tree.ended[holds] == State.OPEN else tree.ended[holds]
    centre = 0.5 * (query.region.lower + query.region.upper) if x is None else x
    plane = plane_through(query, centre, inputs or choose_inputs(query, tree, centre))
    figure = Figure(figsize=(15.0, 8.2), facecolor="white")
    FigureCanvasAgg(figure)
    left = figure.add_axes((0.072, 0.2, 0.405, 0.63))
    right = figure.add_axes((0.535, 0.2, 0.445, 0.63))
    colours = node_colours(tree)
    shares, note = _draw_cells(left, drawing, plane, colours)
    if (tree.disjunct >= 0).any():
        note += "; of disjuncts that are refuted apart, the one with open or else with more leaves"
    shows_forbidden = _draw_forbidden(left, query, plane)
    if x is not None:
        _mark(left, plane, x)
    _frame(left, query, plane)
    draw_tree(right, tree, colours, [f"X_{i}" for i in range(query.network.input_size)])
    for ax in (left, right):
        ax.tick_params(labelsize=9, color="#9aa5b1")
        ax.spines[["top", "right"]].set_visible(False)
        ax.spines[["left", "bottom"]].set_color("#9aa5b1")
    right.spines["bottom"].set_visible(False)
    left.set_title("Partition of the input set", loc="left", fontsize=11, fontweight="bold", pad=8)
    right.set_title("Split tree", loc="left", fontsize=11, fontweight="bold", pad=8)
    _titles(figure, drawing, plane, x is not None, note)
    _legend(figure, tree, shares, x is not None, shows_forbidden)
    figure.savefig(path, dpi=DOTS)


def node_colours(tree: SplitTree) -> Array:
    """[N, 3] red, green, blue of every node: leaves by how they ended, others by their split."""
    from matplotlib.colors import to_rgb

    ends, splits = np.ones((max(LOOKS) + 1, 3)), np.array([to_rgb(c) for c in SPLIT_COLOURS.values()])
    for end, colour in LOOKS.items():
        ends[end] = to_rgb(colour)
    deeper = 1.0 - np.cumsum(np.bincount(tree.depth[tree.leaf])) / tree.leaf.sum()
    white = LIGHTEST * deeper[tree.depth]  # by the share of leaves that are deeper: all shades are used
    white[np.isin(tree.ended, (State.OPEN, State.WITNESS))] = 0.0
    leaves = ends[tree.ended] * (1.0 - white[:, None]) + white[:, None]
    return np.clip(np.where(tree.leaf[:, None], leaves, splits[split_kinds(tree)]), 0.0, 1.0)


def _scale(query: Query, plane: Plane) -> tuple[Array, Array]:
    """Lower ends [2] and widths [2] of the plane's sides in input units; a flat interval is drawn one unit wide."""
    ends = np.array([(query.region.lower[i], query.region.upper[i]) if i >= 0 else (0.0, 0.0) for i in plane.inputs])
    width = ends[:, 1] - ends[:, 0]
    return np.where(width > 0.0, ends[:, 0], ends[:, 0] - 0.5), np.where(width > 0.0, width, 1.0)


def _extent(query: Query, plane: Plane) -> tuple[float, ...]:
    low, width = _scale(query, plane)
    return tuple(float(v) for v in (low[0], low[0] + width[0], low[1], low[1] + width[1]))


def _draw_cells(ax: Any, drawing: Drawing, plane: Plane, colours: Array) -> tuple[dict[int, float], str]:
    """Fill the cells. Returns the share of the drawn area by how it ended, and what to say about how they were found.

    Cells are polygons, but those below phases of deep ReLUs, and all if they are too many, which are sampled.
    """
    from matplotlib.collections import PolyCollection

    query, tree = drawing.query, drawing.tree
    low, width = _scale(query, plane)
    nodes, corners = polygons(query, tree, plane)
    curved = query.region.ball is not None  # then cells end where the ball does
    exact = tree.leaf[nodes] & (len(nodes) <= MOST_POLYGONS) & (not curved)
    leaves, weights, points = nodes[exact], areas(corners[exact]), ""
    if not exact.all():
        side = _side(query, FINEST)
        image = sampled(query, tree, plane, side)
        image[np.isin(image, leaves)] = -1
        _draw_sampled(ax, image, colours, _extent(query, plane))
        more, count = np.unique(image[image >= 0], return_counts=True)
        leaves, weights = np.concatenate([leaves, more]), np.concatenate([weights, count / image.size])
        why = "below phases of deep ReLUs" if len(nodes) <= MOST_POLYGONS else "too many for polygons"
        why = "cut off by a norm ball" if curved else why
        points = f";  {len(more):,} of them, {why}, were found at {side} x {side} points"
    edge = float(np.clip(15.0 / np.sqrt(max(1, len(leaves))), 0.08, 1.0))
    cells = PolyCollection(list(low + corners * width), edgecolors="white", linewidths=edge)
    cells.set_facecolor(np.column_stack([colours[nodes], exact]).tolist())
    if exact.any():
        ax.add_collection(cells)
    ended = tree.ended[leaves]
    total = max(float(weights.sum()), TINY)
    shares = {int(end): float(weights[ended == end].sum() / total) for end in np.unique(ended)}
    drawn = f"{len(leaves):,} of {int(tree.leaf.sum()):,} cells are drawn, lighter where fewer splits made them"
    return shares, drawn + points


def _draw_sampled(ax: Any, image: Array, colours: Array, extent: tuple[float, ...]) -> None:
    """An image of leaves, -1 for none, with white lines between cells where there are few enough to see them."""
    shown = np.zeros((*image.shape, 4))
    shown[image >= 0] = np.column_stack([colours[image[image >= 0]], np.ones(int((image >= 0).sum()))])
    border = np.zeros(image.shape, dtype=bool)
    border[1:] |= image[1:] != image[:-1]
    border[:, 1:] |= image[:, 1:] != image[:, :-1]
    if border.mean() < MOST_BORDER:
        shown[border & (image >= 0), :3] = 1.0
    ax.imshow(shown, extent=extent, origin="lower", aspect="auto", interpolation="nearest")


def _side(query: Query, finest: int) -> int:
    """Points of a side that the network can be run on in a few seconds and little memory."""
    work = sum(int(np.count_nonzero(w)) if isinstance(w, np.ndarray) else w.nnz
               for layer in query.network.layers for w in layer.weights)  # fmt: skip
    most = min(WORK / max(1, work), MOST_NUMBERS / query.network.input_size)
    return int(np.clip(np.sqrt(most), COARSEST, finest))


def _draw_forbidden(ax: Any, query: Query, plane: Plane) -> bool:
    """Hatch where the network itself sends the plane into the forbidden set; whether there is such a place."""
    side = _side(query, MARGIN_SIDE)
    ticks = np.linspace(0.0, 1.0, side)
    s, t = np.meshgrid(ticks, ticks)
    points = plane.points(np.stack([s.ravel(), t.ravel()], axis=1))
    worst = np.concatenate([query.worst(query.network.evaluate(part)) for part in np.array_split(points, 16)])
    worst = np.where(inside(query, points), worst, np.nan).reshape(side, side)
    if not (worst <= 0.0).any():
        return False
    low, width = _scale(query, plane)
    x, y = low[0] + ticks * width[0], low[1] + ticks * width[1]
    levels = [min(-TINY, float(np.nanmin(worst))), 0.0]
    filled = ax.contourf(x, y, worst, levels=levels, colors="none", hatches=["////"])
    filled.set_edgecolor(FORBIDDEN)
    filled.set_linewidth(0.0)
    ax.contour(x, y, worst, levels=[0.0], colors=FORBIDDEN, linewidths=1.2)
    return True


def _mark(ax: Any, plane: Plane, x: Array) -> None:
    first, second = plane.inputs
    y = x[second] if second >= 0 else 0.5
    ax.plot(x[first], y, marker="*", markersize=20, color=STAR, markeredgecolor="white",
            markeredgewidth=1.4, clip_on=False, zorder=5)  # fmt: skip


def _frame(ax: Any, query: Query, plane: Plane) -> None:
    left, right, bottom, top = _extent(query, plane)
    ax.set(xlim=(left, right), ylim=(bottom, top))
    for axis, i in zip((ax.xaxis, ax.yaxis), plane.inputs, strict=True):
        if i < 0:
            axis.set_ticks([])
            continue
        axis.set_label_text(f"X_{i}  in [{query.region.lower[i]:.6g}, {query.region.upper[i]:.6g}]")


def _titles(figure: Any, drawing: Drawing, plane: Plane, at_witness: bool, note: str) -> None:
    result, region = drawing.result, drawing.query.region
    nodes = int(result.statistics.get("nodes", 0))
    colour = VERDICT_COLOURS.get(result.verdict, "#59636e")
    figure.text(0.06, 0.945, result.verdict, fontsize=20, fontweight="bold", color="white", va="center",
                bbox={"boxstyle": "round,pad=0.3", "facecolor": colour, "edgecolor": "none"})  # fmt: skip
    beside = 0.075 + 0.012 * len(result.verdict)
    figure.text(beside, 0.962, drawing.title, fontsize=14, fontweight="bold", va="center", color="#1f262d")
    words = f"{nodes:,} node{'' if nodes == 1 else 's'} bounded in {result.seconds:.2f} s;  {result.reason}"
    figure.text(beside, 0.927, words, fontsize=11, va="center", color="#59636e")
    others = int((region.upper > region.lower).sum() - (plane.directions != 0.0).sum())
    if others:
        where = "at the counterexample" if at_witness else "at the middle of the input box"
        note = f"slice: the other {others} open input{'s' if others > 1 else ''} {where};  {note}"
    figure.text(0.054, 0.112, note, fontsize=9, color="#59636e", va="center")


def _legend(figure: Any, tree: SplitTree, shares: dict[int, float], star: bool, forbidden: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    entries: list[Any] = []
    counts = np.bincount(tree.ended[tree.leaf], minlength=max(LOOKS) + 1)
    for end, colour in LOOKS.items():
        if counts[end]:
            words = end.words if isinstance(end, Evidence) else STATES[end]
            share = f", {_percent(shares[end])} of the drawn area" if end in shares else ""
            entries.append(Patch(facecolor=colour, edgecolor="#c5ccd3", label=f"{words}: {counts[end]:,}{share}"))
    kinds = np.bincount(split_kinds(tree)[~tree.leaf], minlength=len(SPLIT_COLOURS))
    for count, (words, colour) in zip(kinds, SPLIT_COLOURS.items(), strict=True):
        if count:
            entries.append(Patch(facecolor=colour, edgecolor="#c5ccd3", label=f"split, {words}: {count:,}"))
    if star:
        look: dict[str, Any] = {"marker": "*", "markersize": 14, "linestyle": "none", "markeredgecolor": "white"}
        entries.append(Line2D([], [], color=STAR, label="the counterexample", **look))
    if forbidden:
        entries.append(Patch(facecolor="white", hatch="////", edgecolor=FORBIDDEN, label="outputs are forbidden here"))
    many = len(entries) > 12
    figure.legend(handles=entries, loc="lower left", bbox_to_anchor=(0.05, 0.005), ncols=5 if many else 4,
                  frameon=False, fontsize=8.5 if many else 10, columnspacing=2.0, handlelength=1.6)  # fmt: skip


def _percent(share: float) -> str:
    return "under 0.01 %" if share < 1e-4 else f"{100.0 * share:.3g} %"
