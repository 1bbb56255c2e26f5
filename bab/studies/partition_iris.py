"""Study `partition-iris`: how much of the relaxation's error a split along one row takes away, on Iris networks.

Anderson, Ma, Li and Sojoudi (CDC 2020), Fig. 4: inputs of an Iris network, an l-infinity ball around each, and six
curves of the largest c'f(x) over it, c = e_rival - e_species; below 0 the flower keeps its species against that rival.

    multistart     gradient ascent from many points, a lower bound
    exact          the complete search, within 2e-6
    unpartitioned  triangle LP
    bound (17)     exact plus what Lemma 2 leaves for the split along the best row; a theorem for one layer only
    best row, second row, third row    LP of both parts along the output rows, in the order of their scores

The networks end in ReLUs. One layer: the rule and its theorem apply as they are. Two layers: to the rows of the last
layer only, whose phases are split (no half-spaces of the input). On the propositions: the hidden layer of the two-layer
network as a single layer, its outputs' difference as objective, so that all terms of the sum count.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from ...instances.carried import carried
from ...instances.network import Array, Network
from ...instances.onnx.reader import read_network
from ...instances.property import Case, InputSet, Polyhedron, Property
from ...instances.query import Query
from ..partition.error_bounds import diameter_constant, lipschitz_constant, scaled_error, split_error, worst_case_error
from ..partition.optimum import exact_optimum, multistart
from ..partition.refinement import along_all_rows, along_rows, into_boxes, refinements
from ..partition.relaxation import Part, objective_query, whole
from ..partition.row_scores import best_rows, coefficients, last_rows, row_scores, row_weights
from .frame import DECIDED, Findings, Row, Settings, Study, decide, new_figure

__all__ = ["CURVES", "STUDY"]

CURVES = ("multistart", "exact", "unpartitioned", "bound (17)", "best row", "second row", "third row")
NETWORKS = {"one layer": "iris_1layer.onnx", "two layers": "iris_2layer.onnx"}
COLUMNS = {
    "part": str, "network": str, "flower": int, "rival": int, "eps": float, "what": str, "row": int, "score": float,
    "value": float, "bound": float, "parts": int, "seconds": float,
}  # fmt: skip
NONE: Row = {
    "flower": -1, "rival": -1, "eps": float("nan"), "row": -1, "score": float("nan"), "value": float("nan"),
    "bound": float("nan"), "parts": 1,
}  # fmt: skip
STEP, STEPS = 1 / 256, 384  # radii are multiples of it, up to 1.5 cm
THEORY_EPS, ALPHAS, HALVINGS = 0.3, (1.0, 0.5, 0.25, 0.125), 2
CLOSE = 4e-6  # what values by the search and by LPs may differ by


@dataclass(frozen=True, eq=False)
class _Question:
    """Does a flower keep its species against one rival?"""

    network: Network
    centre: Array  # [4] lengths in cm
    objective: Array  # [3] c
    seconds: float
    seed: int

    def region(self, eps: float) -> InputSet:
        """All inputs within eps of the flower."""
        return InputSet.around(self.centre, eps)

    def query(self, eps: float) -> Query:
        """c'f over them."""
        return objective_query(self.network, self.region(eps), self.objective)

    def holds(self, eps: float) -> bool:
        """Whether the complete search proves c'f < 0."""
        forbidden = Polyhedron(-self.objective[None], np.zeros(1))
        prop = Property((Case(self.region(eps), (forbidden,)),), 4, len(self.objective))
        result = decide(self.network, prop, timeout=self.seconds, seed=self.seed)
        if result.verdict not in DECIDED:
            raise TimeoutError(f"eps {eps}: {result.verdict}, {result.reason}")
        return result.verdict == "unsat"


def _rows(settings: Settings, former: Sequence[Row]) -> Iterator[Row]:
    """Radii, curves at each flower's own eps and at one for all, and the tables of the propositions."""
    known = list(former)
    for make in (_radii, _own_curves, _common_curves, _theory):
        done = {_key(row) for row in known}
        for row in make(settings, known):
            if _key(row) not in done:
                yield row
            known.append(row)


def _key(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("part", "network", "flower", "rival", "what", "row"))


def _flowers(quick: bool) -> list[tuple[int, Array, int]]:
    """(number, lengths, species) of the nominal flowers."""
    table = np.loadtxt(carried("iris_nominal.csv"), delimiter=",", skiprows=1)
    return [(i, row[:4], int(row[4])) for i, row in enumerate(table)][: 2 if quick else None]


def _questions(settings: Settings) -> Iterator[tuple[str, int, int, _Question]]:
    """(network, flower, rival, question)."""
    for name, file in NETWORKS.items():
        network = read_network(carried(file))
        for flower, lengths, species in _flowers(settings.quick):
            for rival in range(3):
                if rival != species:
                    c = np.eye(3)[rival] - np.eye(3)[species]
                    yield name, flower, rival, _Question(network, lengths, c, settings.timeout, settings.seed)


def _radii(settings: Settings, known: Sequence[Row]) -> Iterator[Row]:
    """The largest eps that each of two methods certifies, against each rival."""
    done = {_key(row) for row in known}
    for name, flower, rival, asked in _questions(settings):
        for what in ("unpartitioned", "exact"):
            row = {"part": "radius", "network": name, "flower": flower, "rival": rival, "what": what}
            if _key({**NONE, **row}) in done:
                continue
            began, low, high = time.monotonic(), 0, STEPS + 1  # in steps; proved at low, not at high
            while high - low > 1:
                middle = (low + high) // 2
                eps = middle * STEP
                proved = asked.holds(eps) if what == "exact" else whole(asked.query(eps)).value < 0.0
                low, high = (middle, high) if proved else (low, middle)
            yield _row(row, began, value=low * STEP)


def _own_curves(settings: Settings, known: Sequence[Row]) -> Iterator[Row]:
    """Each flower against the rival, and at the eps, that tell relaxations apart best: in the middle of the gap."""
    for name, flower, rival, asked in _questions(settings):
        lp, exact = (_radius(known, name, flower, what) for what in ("unpartitioned", "exact"))
        if rival == max(exact, key=lambda r, e=exact, p=lp: e[r] - p[r]):  # type: ignore[misc]
            yield from _curves("own eps", name, flower, rival, 0.5 * (lp[rival] + exact[rival]), asked)


def _common_curves(settings: Settings, known: Sequence[Row]) -> Iterator[Row]:
    """All flowers at the largest eps at which all of them keep their species."""
    for name, flower, rival, asked in _questions(settings):
        eps = min(min(_radius(known, name, i, "exact").values()) for i, *_ in _flowers(settings.quick))
        yield from _curves("common eps", name, flower, rival, eps, asked)


def _radius(known: Sequence[Row], name: str, flower: int, what: str) -> dict[int, float]:
    """By rival."""
    mine = [row for row in known if row["part"] == "radius" and row["network"] == name and row["flower"] == flower]
    return {row["rival"]: row["value"] for row in mine if row["what"] == what}


def _curves(part: str, name: str, flower: int, rival: int, eps: float, asked: _Question) -> Iterator[Row]:
    common = {"part": part, "network": name, "flower": flower, "rival": rival, "eps": eps}
    began, query = time.monotonic(), asked.query(eps)
    start = whole(query)
    where, scores = last_rows(query), row_scores(query, start)
    order = where.start + np.argsort(-scores[where], kind="stable")
    found = multistart(asked.network, asked.region(eps), asked.objective, seed=asked.seed)[0]
    yield _row({**common, "what": "multistart"}, began, value=found)
    began = time.monotonic()
    exact = exact_optimum(
        asked.network, asked.region(eps), asked.objective, start.value, seconds=asked.seconds, seed=asked.seed
    ).upper
    yield _row({**common, "what": "exact"}, began, value=exact)
    yield _row({**common, "what": "unpartitioned"}, time.monotonic(), value=start.value)
    left = split_error(coefficients(query), start.node.pre_lower, start.node.pre_upper, [int(order[0])])
    yield _row({**common, "what": "bound (17)"}, time.monotonic(), value=exact + left)
    for what, row in zip(CURVES[-3:], order.tolist(), strict=True):
        began, split = time.monotonic(), along_rows(query, [row], start=start)
        said = {**common, "what": what, "row": row - where.start, "score": float(scores[row])}
        yield _row(said, began, value=split.value, parts=len(split.parts))


def _theory(settings: Settings, known: Sequence[Row]) -> Iterator[Row]:
    """Bound against truth for each statement of the paper."""
    network = read_network(carried(NETWORKS["two layers"]))
    hidden = Network(4, (network.layers[0], replace(network.layers[1], kind="identity")))  # no file's network
    for name, flower, rival, asked in _questions(settings):
        if name == "two layers" and asked.objective[1] == -1.0 and rival == 2:
            single = replace(asked, network=hidden)
            common = {"network": "hidden layer", "flower": flower, "rival": rival, "eps": THEORY_EPS}
            query = single.query(THEORY_EPS)
            start = whole(query)
            exact = exact_optimum(
                hidden, single.region(THEORY_EPS), single.objective, start.value, seconds=settings.timeout
            ).upper
            yield from _row_by_row(common, query, start, exact)
            yield from _recursion(common, query, start, exact)
            yield from _boxes(common, query, start, exact, 1 if settings.quick else HALVINGS)
    yield from _shrunk(settings)


def _row_by_row(common: Row, query: Query, start: Part, exact: float) -> Iterator[Row]:
    """Theorem 1, Lemma 2 for each row, and what the order of scores is worth."""
    c, ends, scores = coefficients(query), (start.node.pre_lower, start.node.pre_upper), row_scores(query, start)
    said = {**common, "part": "Theorem 1", "what": "error"}
    yield _row(said, time.monotonic(), value=start.value - exact, bound=worst_case_error(c, *ends))
    for row in best_rows(query, start, query.neurons):
        began, split = time.monotonic(), along_rows(query, [row], start=start)
        said = {**common, "part": "Lemma 2", "what": "error", "row": row, "score": float(scores[row])}
        left = split_error(c, *ends, [row])
        yield _row(said, began, value=split.value - exact, bound=left, parts=len(split.parts))


def _recursion(common: Row, query: Query, start: Part, exact: float) -> Iterator[Row]:
    """1, 2, ... rows, the best first, down to the exact partition of Proposition 4."""
    c, ends = coefficients(query), (start.node.pre_lower, start.node.pre_upper)
    began = time.monotonic()
    for split in refinements(query, start, best_rows(query, start, query.neurons), seconds=600.0):
        said = {**common, "part": "recursion", "what": f"{len(split.rows)} rows", "row": len(split.rows)}
        left = split_error(c, *ends, split.rows)
        yield _row(said, began, value=split.value - exact, bound=left, parts=len(split.parts))
        began = time.monotonic()


def _boxes(common: Row, query: Query, start: Part, exact: float, most: int) -> Iterator[Row]:
    """Proposition 3."""
    c, weights = coefficients(query)[last_rows(query)], row_weights(query)
    for halvings in range(most + 1):
        began, split = time.monotonic(), into_boxes(query, halvings, 600.0, start)
        error, parts = split.value - exact, len(split.parts)
        for what, constant in (("sum ReLU(c) |w| / 4", diameter_constant), ("sum |c| |w|", lipschitz_constant)):
            said = {**common, "part": "Proposition 3", "what": what, "row": halvings}
            yield _row(said, began, value=error, bound=constant(c, weights) * split.diameter, parts=parts)


def _shrunk(settings: Settings) -> Iterator[Row]:
    """Corollary 1: the one-layer network around the point nearest to a flower where all its rows are 0, so that bounds
    shrink with the box; the objective is the sum of the outputs."""
    network = read_network(carried(NETWORKS["one layer"]))
    weights, bias = network.layers[0].weights[0], network.layers[0].bias
    for flower, lengths, _ in _flowers(settings.quick):
        centre = lengths - np.linalg.pinv(weights) @ (weights @ lengths + bias)
        asked = _Question(network, centre, np.ones(3), settings.timeout, settings.seed)
        query = asked.query(THEORY_EPS)
        full = whole(query)
        for alpha in ALPHAS:
            began, smaller = time.monotonic(), asked.query(alpha * THEORY_EPS)
            error = whole(smaller).value - along_all_rows(smaller).value
            bound = scaled_error(coefficients(query), full.node.pre_lower, full.node.pre_upper, alpha)
            said = {"part": "Corollary 1", "network": "one layer", "flower": flower, "eps": alpha * THEORY_EPS,
                    "what": f"alpha {alpha:g}"}  # fmt: skip
            yield _row(said, began, value=error, bound=bound)


def _row(said: Row, began: float, **values: float) -> Row:
    row = {**NONE, **said, **values, "seconds": round(time.monotonic() - began, 4)}
    return {name: row[name] for name in COLUMNS}


def _findings(settings: Settings, rows: Sequence[Row]) -> Findings:
    names = [name for name in NETWORKS if any(row["network"] == name for row in rows)]
    summary, tables = [], {}
    for name in names:
        for part in ("own eps", "common eps"):
            table = _curve_table(rows, part, name)
            summary += _said_of_curves(part, name, table)
            tables[f"{name}, {part}: largest c'f"] = table
    summary += _said_of_order(rows) + _said_of_theory(rows)
    tables.update(_theory_tables(rows))
    figures = {part.replace(" ", "-"): _figure(rows, part, names) for part in ("own eps", "common eps")}
    figures["recursion"] = _recursion_figure(rows)
    return Findings(_text(), summary, tables, figures)


def _curve_table(rows: Sequence[Row], part: str, name: str) -> list[Row]:
    """A line a flower: at the common eps the worst rival of each curve."""
    mine = [row for row in rows if row["part"] == part and row["network"] == name]
    table = []
    for flower in dict.fromkeys(row["flower"] for row in mine):
        here = [row for row in mine if row["flower"] == flower]
        values = {what: max(row["value"] for row in here if row["what"] == what) for what in CURVES}
        scores = [max(row["score"] for row in here if row["what"] == what) for what in CURVES[-3:]]
        table.append({"flower": flower, "eps": here[0]["eps"], **values,
                      "scores": ", ".join(f"{score:.3g}" for score in scores)})  # fmt: skip
    return table


def _said_of_curves(part: str, name: str, table: Sequence[Row]) -> list[str]:
    certified = {what: sum(row[what] < 0.0 for row in table) for what in CURVES}
    eps = sorted({row["eps"] for row in table})
    at = f"eps {eps[0]:.4g}" + (f" to {eps[-1]:.4g}" if len(eps) > 1 else "")
    counts = ", ".join(f"{what} {certified[what]}" for what in CURVES if what not in ("multistart", "bound (17)"))
    lines = [f"{name}, {part} ({at}): certified of {len(table)}: {counts}"]
    best, others = certified["best row"], max(certified["second row"], certified["third row"])
    alone = best == len(table) and others < len(table)
    said = "only the best row certifies all, as in the paper" if alone else "not only the best row certifies all"
    if best < len(table):
        said = f"the best row certifies {best} of {len(table)}, other than in the paper"
    lines.append(f"{name}, {part}: {said}")
    return lines


def _said_of_order(rows: Sequence[Row]) -> list[str]:
    """How often a better score meant a smaller value: both networks' output rows, and the rows of the hidden layer."""
    lines = []
    for label, kept in (
        ("output rows", [row for row in rows if row["what"] in CURVES[-3:]]),
        ("rows of the hidden layer", [row for row in rows if row["part"] == "Lemma 2"]),
    ):
        groups: dict[Any, list[Row]] = {}
        for row in kept:
            groups.setdefault((row["part"], row["network"], row["flower"], row["rival"]), []).append(row)
        right = wrong = equal = ties = 0
        for a, b in (pair for group in groups.values() for pair in combinations(group, 2)):
            worse, better = sorted((a, b), key=lambda row: row["score"])
            gain = worse["value"] - better["value"]
            ties += a["score"] == b["score"]
            right += a["score"] != b["score"] and gain > CLOSE
            wrong += a["score"] != b["score"] and gain < -CLOSE
            equal += a["score"] != b["score"] and abs(gain) <= CLOSE
        held = "is" if not wrong else "is not always"
        lines.append(
            f"{label}: the order of scores {held} the order of tightening: of pairs with different scores {right} are "
            f"in that order, {equal} equal in value, {wrong} the other way round; {ties} pairs have equal scores"
        )
    return lines


def _said_of_theory(rows: Sequence[Row]) -> list[str]:
    lines = []
    for part in ("Theorem 1", "Lemma 2", "recursion", "Corollary 1", "Proposition 3"):
        mine = [row for row in rows if row["part"] == part]
        held = sum(row["value"] <= row["bound"] + CLOSE for row in mine)
        lines.append(f"{part}: the bound of the error holds in {held} of {len(mine)} cases")
    steps = [row for row in rows if row["part"] == "recursion"]
    pairs = [(a, b) for a, b in zip(steps, steps[1:], strict=False) if a["row"] + 1 == b["row"]]
    ends = [a for a, b in zip(steps, [*steps[1:], {"row": 0}], strict=True) if b["row"] == 0]
    lines += [
        f"Proposition 1: the partition's value is not below the truth in {sum(r['value'] >= -CLOSE for r in steps)} of "
        f"{len(steps)} partitions",
        f"Proposition 2: one more row never loosens in {sum(b['value'] <= a['value'] for a, b in pairs)} of "
        f"{len(pairs)} steps",
        f"Proposition 4: along all rows the error is at most {max(abs(row['value']) for row in ends):.1e}, in "
        f"{max(row['parts'] for row in ends)} parts at most",
    ]
    return lines


def _theory_tables(rows: Sequence[Row]) -> dict[str, list[Row]]:
    captions = {
        "Theorem 1": ("Theorem 1: error of the LP", ("flower", "eps", "bound", "value")),
        "Lemma 2": ("Lemma 2: error after a split along one row", ("flower", "row", "score", "bound", "value")),
        "recursion": ("Recursion: error along the best 0, 1, 2, ... rows (Propositions 1, 2 and 4)",
                      ("flower", "what", "parts", "bound", "value")),
        "Corollary 1": ("Corollary 1: error in shrunk sets", ("flower", "what", "bound", "value")),
        "Proposition 3": ("Proposition 3: error over equal boxes", ("flower", "what", "parts", "bound", "value")),
    }  # fmt: skip
    return {
        caption: [{("true error" if k == "value" else k): row[k] for k in kept} for row in rows if row["part"] == part]
        for part, (caption, kept) in captions.items()
    }


def _figure(rows: Sequence[Row], part: str, names: Sequence[str]) -> Any:
    figure, panels = new_figure(len(names))
    marks = ("o", "-", "s--", ":", "D-", "^--", "v--")
    for axes, name in zip(panels, names, strict=True):
        table = _curve_table(rows, part, name)
        for what, mark in zip(CURVES, marks, strict=True):
            axes.plot([row["flower"] + 1 for row in table], [row[what] for row in table], mark, label=what)
        axes.axhline(0.0, color="gray", linewidth=0.8)
        axes.set(title=name, xlabel="flower", ylabel="largest c'f (below 0: certified)")
        axes.xaxis.get_major_locator().set_params(integer=True)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=7, fontsize="x-small")
    return figure


def _recursion_figure(rows: Sequence[Row]) -> Any:
    figure, (axes,) = new_figure(1)
    for flower in dict.fromkeys(row["flower"] for row in rows if row["part"] == "recursion"):
        mine = [row for row in rows if row["part"] == "recursion" and row["flower"] == flower]
        (line,) = axes.plot([r["row"] for r in mine], [r["value"] for r in mine], "o-", label=f"flower {flower + 1}")
        axes.plot([r["row"] for r in mine], [r["bound"] for r in mine], "--", color=line.get_color())
    axes.set(xlabel="rows that are split", ylabel="error (dashed: its bound)")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(fontsize="small")
    return figure


def _text() -> list[str]:
    return [
        "The carried networks iris_1layer.onnx and iris_2layer.onnx and the ten flowers of iris_nominal.csv; "
        "l-infinity balls of radius eps (cm). Own eps: for each flower the rival, and the middle of the interval, "
        "between the largest eps that the unpartitioned LP certifies and the largest at which the species is kept. "
        "Common eps: the largest at which all flowers keep their species; values of the worse rival of each.",
        "With c = e_rival - e_species only the rival's row has a score above 0 in the output layer; the others tie, "
        "and stand in the order of their numbers. Bound (17) is a theorem for one layer; for two it leaves out the "
        "error of the hidden layer and may lie below the LP's value.",
        f"Propositions: the hidden layer of iris_2layer.onnx as a single layer, eps {THEORY_EPS}, objective the "
        "difference of the outputs before their ReLUs; flowers of species 1 against species 2. Corollary 1: the "
        "one-layer network around a point where all its rows are 0.",
    ]


STUDY = Study("Splits along rows: the optimal-partition rule on Iris networks", 60.0, COLUMNS, _rows, _findings)
