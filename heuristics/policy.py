"""The policy: which stages a query goes through, and how long each may take.

Here, and in the numbers of `efforts`, this is decided, and nowhere else.

Measured grounds (two cores, 2026-11): with few open inputs, splitting the input set closes thousands of nodes a second
and beats everything else. With many inputs, phases behind supposed counterexamples close trees of two hidden layers
with a fourteenth to a thirty-fifth of the nodes that phases alone take (NOR-MLP-B, image 2), and of one in seconds
where SCIP's big-M MILP found no end (ADV-MLP-A); deeper networks are worth hidden bounds by optimised slopes at the
root, which close many a query there, and then a search over phases, which beats SCIP on all of them: SCIP gets nodes of
it only as long as it refutes them faster. Where a short search was not enough on three hidden layers or more, hidden
bounds by small trees of their own, and rows of pairs, make the tree two to four times smaller (kPoly's 6x100). Bounds
by LP win nearly nothing over optimised slopes. A short attack comes before all of them; a longer one follows where that
was not enough.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..instances.batch import Batch
from ..instances.query import Query
from .efforts import FEW_UNSTABLE, MOST_SCIP, Efforts
from .splits.rules import PHASE_RULES

__all__ = [
    "EFFORTS", "STAGES", "Facts", "Stage", "asks_scip", "batch_size", "begin_again", "facts", "node_mb", "plan",
]  # fmt: skip

EFFORTS = Efforts()  # of every stage and step

FEW_INPUTS = 20  # open inputs up to which the input set itself is split
SOME_INPUTS = 50  # open inputs up to which rows' hyperplanes are tried on one hidden layer
# Nodes after which safenlp's trees are half closed, and sat_relu's formulas not at all
TRIAL = 100
SECOND_TRIAL = 20_000  # the same where rows of all unstable ReLUs take longer: a second's nodes of few inputs
VERY_FEW = 16  # unstable ReLUs up to which that is a moment
FEW_TRIAL = 8  # nodes after which they are tried: nested maxima need them, and no more
SMALL = 50_000  # weights of a network whose tree is searched as fast as an attack runs
QUICK_SLOPES = 1_000_000  # weights up to which hidden bounds are optimised before the first attack
ROWS_SECONDS = 20.0  # that multi-neuron rows may take at most
ROWS_TIMES, ROWS_LEAST = 0.5, 0.3  # of the run's time so far, that rows on few inputs may take; seconds at least
COPIES = 3  # of a round's bounds: parts, their concatenation, and what is left open
LEAST_SHARE = 0.3  # of what is left, for a stage that takes seconds to show what it is worth
SHORT_SEARCH = 3.0  # seconds in which many a tree of phases closes, before anything dearer is done
LONG = 0.5  # share of the time from which on a stage is worth another try with new time
LARGEST_MILP = 6000  # unstable neurons beyond which a MILP's root relaxation alone exceeds the usual limits
CURVED_MILP = 0.5  # share of the time for SCIP where there are curves, and its word is for the tree to prove
PROOF = "the conflict search knows no curves: what SCIP refutes is for the tree to prove"
STAGES = ("attack", "slopes", "split", "groups", "milp")


@dataclass(frozen=True)
class Facts:
    """What the policy looks at."""

    open_inputs: int  # inputs whose interval is not a single value
    unstable: int  # ReLUs that are unstable under the root bounds
    hidden_layers: int  # layers with an activation
    weights: int  # nonzero weights of the network
    piecewise_linear: bool  # no curves

    @property
    def few_inputs(self) -> bool:
        """Whether the input set itself is split, and attacked inside the nodes."""
        return self.open_inputs <= FEW_INPUTS


@dataclass(frozen=True)
class Stage:
    """One step of the plan. Raises ValueError for a name that is none."""

    name: str  # one of STAGES
    share: float  # of the time that is left when the stage begins; see `share_of`
    rule: str = ""  # split rule of a "split" stage
    why: str = ""  # for the log
    most: float = float("inf")  # seconds that it may take at most
    times: float = 0.0  # of the run's time so far, that it may take (ROWS_LEAST seconds at least); 0: no such limit
    trial: int = 0  # nodes from which on a search ends once its tree hardly closes; 0: it lasts as long as it may
    least: float = 0.0  # seconds that it may take where the run is short, up to LEAST_SHARE of what is left

    def share_of(self, left: float) -> float:
        """The share that it may take of so many seconds that are left."""
        return max(self.share, min(self.least / left, LEAST_SHARE)) if self.least and left > 0.0 else self.share

    def seconds(self, elapsed: float) -> float:
        """That it may take at most, begun so many seconds after the run."""
        return min(self.most, max(ROWS_LEAST, self.times * elapsed)) if self.times else self.most

    def __post_init__(self) -> None:
        if self.name not in STAGES:
            raise ValueError(f"stage {self.name!r}: expected one of {', '.join(STAGES)}")


def facts(query: Query, batch: Batch) -> Facts:
    """Facts of the root node(s) after bounding."""
    unstable = (batch.pre_lower < 0.0) & (batch.pre_upper > 0.0) & query.relu
    return Facts(
        open_inputs=int((batch.upper > batch.lower).any(axis=0).sum()),
        unstable=int(unstable.any(axis=0).sum()),
        hidden_layers=sum(kind != "identity" for kind in query.kinds),
        weights=sum(_nonzeros(w) for layer in query.network.layers for w in layer.weights),
        piecewise_linear=query.network.piecewise_linear,
    )


def plan(known: Facts, method: str = "auto", rule: str = "auto", rows: str = "auto") -> list[Stage]:
    """Stages in order, as asked for by Options. The last one may use all the time that is left."""
    stages = _plan(known, method, rule, rows)
    names = [stage.name for stage in stages]
    if rows == "always" and known.piecewise_linear and known.hidden_layers and "groups" not in names:
        place = next(i for i, name in enumerate(names) if name in ("split", "milp"))
        stages.insert(place, Stage("groups", 0.1, why="rows were asked for", most=ROWS_SECONDS))
    return stages


def _plan(known: Facts, method: str, rule: str, rows: str) -> list[Stage]:
    few = known.few_inputs
    split = rule if rule != "auto" else "inputs" if few or not known.piecewise_linear else "phases"
    quick = few or known.hidden_layers <= 1 or known.weights <= SMALL
    deep = not few and known.piecewise_linear and known.hidden_layers > 1
    quick = quick or (deep and known.weights <= QUICK_SLOPES)  # the tree closes or refutes many of them in a second
    attack = Stage("attack", 0.1, most=0.2 if quick else 1.0, why="the easy counterexamples")
    attack_again = Stage("attack", 0.1, why="the harder counterexamples", most=1.0)
    rest = Stage("split", 1.0, split, "what is left")
    shallow = known.piecewise_linear and known.hidden_layers <= 1 and known.unstable <= MOST_SCIP
    if method == "milp":
        asked = Stage("milp", 1.0 if known.piecewise_linear else CURVED_MILP, why="asked for")
        return [attack, asked] if known.piecewise_linear else [attack, asked, Stage("split", 1.0, split, PROOF)]
    if method == "split":
        asked = Stage("split", 1.0, split, "asked for")
        return [attack, Stage("slopes", 0.15, why="tight hidden bounds"), asked] if deep else [attack, asked]
    if shallow:
        return _shallow(known, attack, split, rest)
    groups = Stage("groups", 0.1, why="what no single neuron's relaxation shows, branching or not", most=ROWS_SECONDS)
    tied = known.piecewise_linear and known.hidden_layers > 1 and known.unstable <= FEW_UNSTABLE and rows != "never"
    if few or not known.piecewise_linear:
        rest = Stage("split", 1.0, split, f"{known.open_inputs} open inputs")
        return [attack, *(_tied(known, split, groups, rows) if tied else []), rest]
    slopes = Stage("slopes", 0.15, why="hidden bounds by optimised slopes: a root often closes, a tree shrinks")
    # on small networks the ascent takes a tenth of a second, less than an attack
    first = [slopes, attack] if known.weights <= QUICK_SLOPES else [attack, slopes]
    most = float("inf")
    if known.hidden_layers <= 1 and rows != "never":
        tied, groups = True, Stage("groups", 0.4, why="one hidden layer: neurons that share inputs, together")
        most = 2.0
    if known.hidden_layers > 2 and known.weights <= QUICK_SLOPES and not tied and rows != "never":
        tied, groups = True, Stage("groups", 0.2, why="hidden bounds by branching: trees shrink", most=ROWS_SECONDS)
    return [
        *first,
        Stage("split", 0.1, split, "cheap where the bounds are nearly good enough", most, least=SHORT_SEARCH),
        *([groups] if tied else []),
        attack_again,
        Stage("split", 1.0, split, "hidden bounds anew in every node: few nodes suffice"),
        # reached where the search ended with nodes that no float can split
        *([Stage("milp", 1.0, why=f"{known.unstable} unstable ReLUs")] if known.unstable <= LARGEST_MILP else [rest]),
    ]


def _tied(known: Facts, split: str, groups: Stage, rows: str) -> list[Stage]:
    """Few inputs and few unstable ReLUs: rows of several neurons where splits hardly close the tree.

    Where rows take but a moment they are tried early; many a tree closes within a second, once it has some thousand
    nodes.
    """
    easy = Stage("split", 0.05, split, "the easy ones", trial=FEW_TRIAL)
    if rows == "always":
        return [easy, groups]
    more = Stage("split", 0.2, split, "as long as they close the tree", trial=SECOND_TRIAL)
    groups = replace(groups, times=ROWS_TIMES)
    return [*([easy, groups] if known.unstable <= VERY_FEW else []), more, groups]


def _shallow(known: Facts, attack: Stage, split: str, rest: Stage) -> list[Stage]:
    """One hidden layer: phases where there are many inputs, else splits as long as they close the tree; then SCIP.

    Splits are hyperplanes of its rows where the inputs are few enough.
    """
    milp = Stage("milp", 0.9, why=f"one hidden layer, {known.unstable} unstable ReLUs")
    if known.open_inputs > SOME_INPUTS:
        phases = Stage("split", 0.95, split, "phases behind supposed counterexamples")
        return [attack, phases, milp, rest]
    rows = split if known.few_inputs else "rows"
    more = Stage("split", 0.6, rows, "hyperplanes, as long as they close the tree", trial=TRIAL)
    return [more, milp, rest]


def probes_root(probing: str = "auto") -> bool:
    """Whether the root of a tree of phases is probed.

    Only where it is asked for: on mnist_fc 256x2 it refutes disjuncts whose trees have one to three nodes, for more
    than these cost; on 256x4 it fixes nothing.
    """
    return probing == "always"


def asks_scip(closing: str, method: str = "auto") -> bool:
    """Whether SCIP is asked about nodes that can be neither closed nor split: not where no MILP is wanted."""
    return closing != "never" and not (closing == "auto" and method == "split")


def begin_again(stages: list[Stage], reached: int, reduced: bool) -> int:
    """Where a tree goes on that an earlier run left in stage number `reached`.

    Long stages that came right before had too little time, so they get their share of the new one; short ones had
    theirs. reduced: whether the tree's phases are split by now: it knows a part of the network only, as the stages do
    that split phases and those without nodes.
    """
    first = min(reached, len(stages) - 1)
    while first and stages[first - 1].share >= LONG:
        before = stages[first - 1]
        if reduced and before.name == "split" and before.rule not in PHASE_RULES:
            break
        first -= 1
    return first


def batch_size(known: Facts, query: Query) -> int:
    """Nodes to bound at a time: about 2e9 products a round, at most 1024, and 200 MB of sensitivities."""
    sizes = np.array([layer.size for layer in query.network.layers], dtype=float)
    rows = float(sizes[:-1].max(initial=1.0))
    by_work = 2e9 / max(1.0, 2.0 * rows * known.weights * max(1, known.hidden_layers) / 2)
    by_memory = 2.5e7 / max(1, query.rows * query.neurons)
    return int(np.clip(min(by_work, by_memory), 1, 1024))


def node_mb(query: Query, means: bool) -> float:
    """MB that a round of splits takes for a node: its bounds, with their mean functions if asked for, and copies."""
    inputs, neurons = query.network.input_size, query.neurons
    floats = query.rows * (neurons + inputs) + 4 * neurons + means * neurons * (inputs + 1)
    return 8e-6 * COPIES * floats


def _nonzeros(w: object) -> int:
    return int(np.count_nonzero(w)) if isinstance(w, np.ndarray) else int(w.nnz)  # type: ignore[attr-defined]
