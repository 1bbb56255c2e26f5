"""Properties of many input sets: roots of one tree.

Sets whose forbidden rows are the same, C y <= d with right-hand sides of their own, become one query: the network gets
the right-hand sides as further inputs, which every node fixes at its own set's,
    m(x, d) = C f(x) - d,    d in [d_k, d_k],
so that thousands of sets are bounded, attacked, clipped and split at a time by the steps that know of one query only.
A set's nodes carry its number (`Batch.origin`). What is still open when the time for this is over is asked set by set.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from ..encodings.linear.number_range import in_range
from ..heuristics.policy import facts, node_mb
from ..instances.batch import Batch, root
from ..instances.judges.replay import Replay, Witness
from ..instances.network import Array, Matrix, Network
from ..instances.property import Case, InputSet, Polyhedron, Property
from ..instances.query import queries
from ..instances.sparse import sp
from .closers.exact_step import ExactStep
from .run.budget import Budget
from .run.limits import Limits
from .run.options import Options
from .steps.candidates import Candidates
from .steps.inputs import InputSteps
from .tree.evidence import Evidence
from .tree.search import Pace, search
from .tree.tree import Tree

__all__ = ["FEWEST", "Settled", "Together", "settle_together"]

LOG = logging.getLogger(__name__)
FEWEST = 16  # input sets with the same rows from which they are worth a query of their own
SHARE = 0.5  # of the time that is left, for all of them together
AT_ONCE = 4096  # roots planted at a time: memory
MOST_SPLITS = 8  # a set, on average, beyond which sets are asked one by one
ONE_BY_ONE = "sets are asked one by one"  # why a search for all of them ends
WORK = 2e8  # products of a round
KERNEL_AFTER = 4.0  # seconds of numpy's work on all sets from which loading the kernels is worth it


Settled = tuple[list[int], Counter[Evidence], Counter[str]]  # numbers of cases that hold; what ended nodes; counts


@dataclass(eq=False)
class Together:
    """What became of the input sets."""

    left: list[Case]  # that are still to be asked
    witness: Witness | None = None
    case: Case | None = None  # of the witness
    stopped: str = ""  # why the last search of all together ended
    evidence: Counter[Evidence] = field(default_factory=Counter)
    statistics: Counter[str] = field(default_factory=Counter)


def settle_together(
    prop: Property, replay: Replay, options: Options, limits: Limits, rng: np.random.Generator,
    report: Callable[[Tree], None], watch: Callable[[Callable[[], Settled]], None] = lambda settled: None,
) -> Together:  # fmt: skip
    """Decide as many of the property's cases as one tree for all of them can; `left` are the others.

    watch(settled) is told how to learn, at any time, what is settled.

    Only boxes are settled so, without half-spaces and norm balls, and only without `options.picture`, whose plane is
    one set's.
    """
    found = Together([])
    groups: dict[object, list[int]] = defaultdict(list)
    for i, case in enumerate(prop.cases):
        if case.forbidden:
            groups[_pattern(case)].append(i)
    over: list[int] = []  # cases of the groups before
    plain = options.method != "milp" and not options.picture and options.rule == "auto"
    for numbers in groups.values():
        cases = [prop.cases[i] for i in numbers]
        boxes = not len(cases[0].region.rows) and cases[0].region.ball is None
        suits = plain and len(cases) >= FEWEST and boxes and len(cases[0].forbidden[0].rows)
        if not suits or found.witness:
            found.left += cases
            continue
        sets = _Sets(replay.network, cases, prop.joint)
        watch(partial(_settled, sets, numbers, over, _copied(found)))
        _settle(sets, prop.joint, replay, options, limits, rng, report, found)
        still = set(map(id, found.left))
        over = over + [k for k in numbers if id(prop.cases[k]) not in still]
    return found


def _copied(found: Together) -> Together:
    return Together([], evidence=Counter(found.evidence), statistics=Counter(found.statistics))


def _settled(sets: _Sets, numbers: list[int], over: list[int], before: Together) -> Settled:
    """What is settled so far; over, before: of the groups before."""
    still, tree = sets.still(), sets.tree
    held = over + [k for i, k in enumerate(numbers) if i not in still]
    evidence, statistics = Counter(before.evidence), Counter(before.statistics)
    if tree is not None:
        evidence.update(tree.ended)
        statistics.update(nodes=tree.size, sets_together=len(numbers) - len(still))
    return held, evidence, statistics


def _pattern(case: Case) -> object:
    """What cases of one group have in common; their half-spaces and rows, but not their right-hand sides."""
    region, rows = case.region, [(p.rows.shape, p.rows.tobytes(), p.strict.tobytes()) for p in case.forbidden]
    box = not len(region.rows) and region.ball is None
    return (box or id(case), tuple(rows), all(len(p.rows) for p in case.forbidden) or id(case))


class _Sets:
    """Cases with the same rows as one query over inputs (x, d)."""

    def __init__(self, network: Network, cases: list[Case], joint: bool) -> None:
        self.cases = cases
        self.tree: Tree | None = None  # once it is begun, with the roots of the first `planted` sets
        self.planted = 0
        rhs = np.array([np.concatenate([p.rhs for p in case.forbidden]) for case in cases])
        self.lower = np.concatenate([[case.region.lower for case in cases], rhs], axis=1)
        self.upper = np.concatenate([[case.region.upper for case in cases], rhs], axis=1)
        hull = InputSet.box(self.lower.min(axis=0), self.upper.max(axis=0))
        wide = _widened(network, rhs.shape[1])
        forbidden = tuple(_with_sides(cases[0].forbidden, joint, network))
        prop = Property((Case(hull, forbidden),), wide.input_size, wide.output_size, joint=True)
        self.query = queries(wide, prop)[0]

    def roots(self, some: slice) -> Batch:
        """Nodes of some of the sets, nothing proved yet."""
        lower, upper = self.lower[some], self.upper[some]
        one = root(self.query)
        batch = one[np.zeros(len(lower), dtype=np.int64)]
        return replace(batch, lower=lower.copy(), upper=upper.copy(), origin=np.arange(len(self.cases))[some])

    def still(self) -> set[int]:
        """The sets of which something is left, or may be: an interruption may have lost nodes."""
        if self.tree is None or not self.tree.whole:
            return set(range(len(self.cases)))
        waiting = (*self.tree.open, *self.tree.hands, *self.tree.stuck)
        return {int(k) for b in waiting for k in b.origin} | set(range(self.planted, len(self.cases)))

    def of(self, x: Array) -> list[int]:
        """The sets that hold an extended input [n + sides]."""
        inside = ((x >= self.lower) & (x <= self.upper)).all(axis=1)
        return np.flatnonzero(inside).tolist()


def _with_sides(forbidden: tuple[Polyhedron, ...], joint: bool, network: Network) -> Iterator[Polyhedron]:
    """C y - d <= 0 over (y, x, d) in place of C y <= d, one column of d for each row of all polyhedra."""
    sides, first = sum(len(p.rows) for p in forbidden), 0
    for p in forbidden:
        inputs = np.zeros((len(p.rows), 0 if joint else network.input_size))
        own = np.eye(len(p.rows), sides, first)
        yield Polyhedron(np.concatenate([p.rows, inputs, -own], axis=1), np.zeros(len(p.rows)), p.strict)
        first += len(p.rows)


def _widened(network: Network, sides: int) -> Network:
    """The network with further inputs that it does not read."""

    def columns(w: Matrix) -> Matrix:
        if isinstance(w, np.ndarray):
            return np.concatenate([w, np.zeros((len(w), sides), dtype=w.dtype)], axis=1)
        return sp.csr_array(sp.hstack([w, sp.csr_array((w.shape[0], sides))]))

    layers = []
    for layer in network.layers:
        weights = [w if s else columns(w) for s, w in zip(layer.sources, layer.weights, strict=True)]
        layers.append(replace(layer, weights=tuple(weights)))
    size = network.input_size + sides
    return replace(network, input_size=size, layers=tuple(layers), input_shape=(size,), inputs=(), readout=None)


@dataclass(eq=False)
class _SetCandidates(Candidates):
    """Candidates (x, d) are replayed at x, for the sets that hold them."""

    sets: _Sets | None = None
    met: list[tuple[Witness, Case]] = field(default_factory=list)  # witnesses and their sets

    def _replayed(self, x: Array) -> Witness | None:
        assert self.sets is not None
        for k in self.sets.of(x):
            case = self.sets.cases[k]
            if witness := self._replayed_for(case, x[: case.region.size]):
                self.met.append((witness, case))
                return witness
        return None


def _settle(
    sets: _Sets, joint: bool, replay: Replay, options: Options, limits: Limits, rng: np.random.Generator,
    report: Callable[[Tree], None], found: Together,
) -> None:  # fmt: skip
    """One tree, its roots planted by thousands."""
    query, count = sets.query, len(sets.cases)
    if not in_range(query):
        found.left += sets.cases
        return
    candidates = _SetCandidates(query, replay, joint, limits, rng, sets=sets)
    plain = "plain" if options.kernel == "auto" else options.kernel
    steps = InputSteps(query, candidates, ExactStep(limits.deadline), clipping=options.clip, kernel=plain)
    started = time.monotonic()
    sets.planted = min(AT_ONCE, count)
    tree = sets.tree = Tree(sets.roots(slice(0, AT_ONCE)))
    weights = facts(query, tree.root).weights
    batch = options.batch or int(np.clip(WORK / (weights * (1 + query.rows)), 16, AT_ONCE))
    pace = Pace(
        Budget(limits).part(SHARE), batch, options.jobs, node_mb(query, False),
        lambda: ONE_BY_ONE if tree.inner > MOST_SPLITS * count else "", report,
    )  # fmt: skip
    while not (outcome := search(tree, steps, pace)).witness and not outcome.stopped:
        if sets.planted == count:
            break
        if (time.monotonic() - started) / sets.planted * count > KERNEL_AFTER:
            steps.kernel = options.kernel
        tree.plant(sets.roots(slice(sets.planted, sets.planted + AT_ONCE)))
        sets.planted = min(sets.planted + AT_ONCE, count)
    found.witness, found.stopped = outcome.witness, outcome.stopped
    found.case = next((case for witness, case in candidates.met if witness is outcome.witness), None)
    still = sets.still()
    found.left += [sets.cases[k] for k in sorted(still)]
    found.evidence += tree.ended
    found.statistics.update(nodes=tree.size, sets_together=count - len(still))
    LOG.info("%d input sets together: %d nodes, %d sets left %s", count, tree.size, len(still), outcome.stopped)
