"""How much each stage and step may spend, and from when on something is worth trying: the policy's numbers.

One record a stage or step, handed to it by whoever sets it up; `Efforts` holds them all. They are named tuples, which
are made in a seventh of a dataclass's time: every query pays for it. What a number rests on stands beside it or in
docs/performance.md. Tolerances and formats stay where they are used.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from .neuron_groups import Wanted

__all__ = [
    "DESCENT_STEPS", "FEW_UNSTABLE", "GROWTH", "LP_SECONDS", "MOST_SCIP", "REGION_LP_SECONDS", "ROWS_ALONE",
    "AscentEffort", "AttackEffort", "BranchingEffort", "CandidateEffort", "ConflictEffort", "Efforts", "ExactEffort",
    "GroupEffort", "InputEffort", "JumpEffort", "KeptRowsEffort", "LadderEffort", "MilpEffort", "MilpRungEffort",
    "NodeLPEffort", "NodeMilpEffort", "PhaseEffort", "RootRowsEffort", "RowRungEffort", "SlopeRungEffort",
    "StallEffort", "StuckEffort",
]  # fmt: skip

LP_SECONDS = 5.0  # of a node's triangle LP, wherever one is solved; most take some ten milliseconds
REGION_LP_SECONDS = 10.0  # one activation region's LP; they take milliseconds
DESCENT_STEPS = 40  # of a projected gradient that is to arrive
GROWTH = 2.0  # of a slice where the one before was not enough: restarts cost a part of the whole
FEW_UNSTABLE = 80  # ReLUs of a deep network up to which layer-wise LPs over multi-neuron rows are quick
MOST_SCIP = 1500  # unstable ReLUs up to which SCIP is asked: of a single hidden layer, or of a node


class AscentEffort(NamedTuple):
    """An ascent on slopes and multipliers, see `encodings.slopes.optimised_bounds.OptimiseOptions`; None: as there."""

    iterations: int
    rate: float | None = None
    worth: float | None = None
    signs: bool = False


SHORT_ASCENT = AscentEffort(4, rate=0.4, signs=True)  # many rows, four steps each: docs/performance.md has others


class AttackEffort(NamedTuple):
    """Rounds of projected gradient at the root."""

    quick_starts: int = 16  # of the first attack, before any bound
    quick_steps: int = 10
    quick_points: int = 64  # that its starts are the best of
    wide_points: int = 128  # the same in the parts of an input set on which nothing can be proved
    steps: int = DESCENT_STEPS  # of one round
    first_starts: int = 128  # of the first round
    least_starts: int = 16
    most_starts: int = 2048
    starts_work: float = 5e8  # products of a round over all starts and steps: a fraction of a second
    few_starts: int = 64  # where the search attacks inside its nodes anyway: points are cheaper than descents
    few_rounds: int = 1  # the same
    most_rounds: int = 10_000
    most_points: int = 8192  # that are only evaluated, where the search attacks inside its nodes
    points_work: float = 1.2e8  # products of a round over all of them
    sobol_seconds: float = 3.0  # left to the attack from which on a second's import is worth it

    def starts(self, few: bool, weights: int) -> int:
        """Most starts of a round. few: the search attacks inside its nodes anyway."""
        most = self.few_starts if few else self.most_starts
        return int(min(max(self.starts_work / (self.steps * weights), self.least_starts), most))

    def points(self, few: bool, weights: int, starts: int) -> int:
        """Points that a round's starts are the best of."""
        return max(4 * starts, min(self.most_points, int(self.points_work / weights)) if few else 0)

    def rounds(self, few: bool) -> int:
        """Most rounds."""
        return self.few_rounds if few else self.most_rounds


class CandidateEffort(NamedTuple):
    """Candidate inputs of a round of nodes."""

    replays: int = 16  # candidates replayed at a time
    dives: int = 256  # nodes per round inside which a few gradient steps are made: a tenth of what bounding them costs
    dive_steps: int = 8
    sobol_inputs: int = 64  # up to which a Sobol sequence is set up in no time and still spreads better than chance


class InputEffort(NamedTuple):
    """The search over parts of the input set."""

    quick_bound: float = 0.5  # seconds of the root's bounds up to which every node bounds its hidden neurons anew
    most_functions: int = 200_000  # weights of a network up to which rows of deeper layers are worth their memory
    patience: int = 2  # splits per unstable ReLU after which a node with few of them resists
    few_unstable: int = 16  # unstable ReLUs up to which a resisting node's phases are split

    def rows(self, few: bool, weights: int) -> bool:
        """Whether hyperplanes of deeper layers' rows are kept. few: of few open inputs."""
        return few and weights <= self.most_functions

    def hidden(self, rows: bool, root_seconds: float) -> bool:
        """Whether nodes bound their hidden neurons anew."""
        return rows or root_seconds < self.quick_bound


class PhaseEffort(NamedTuple):
    """The search over ReLU phases."""

    batch: int = 32  # nodes at a time
    implications: float = 0.02  # share of the time that the table of implications may take
    # processor seconds of the hidden neurons' ascent at the root up to which nodes get one, too: between the 0.9 of the
    # deepest networks of eran_mnist and mnist_fc, which it decides, and the 1.8 of the next slower ones (cora, oval21)
    quick_ascent: float = 1.3
    margins: AscentEffort = AscentEffort(8)  # of every node
    hidden: AscentEffort = SHORT_ASCENT  # of hidden neurons, in nodes that the margins leave open
    most_supposed: int = 2  # hidden layers
    most_numbers: int = 131072  # of a waiting node's multipliers, 256 kB; beyond that its children begin without them

    def plain(self) -> PhaseEffort:
        """The same without ascents: linear bounds by plain slopes."""
        return self._replace(margins=AscentEffort(0), hidden=AscentEffort(0))

    def refreshes(self, ascent_seconds: float, hidden_layers: int) -> bool:
        """Whether open nodes bound their hidden neurons anew.

        Bounds of a single hidden layer are the box's, whatever the phases; its slopes' optimum is the LP's.
        """
        return ascent_seconds < self.quick_ascent and hidden_layers != 1

    def supposes(self, hidden_layers: int) -> bool:
        """Whether open nodes are supposed to hold a counterexample: see `slopes.supposed_bounds`."""
        return 1 <= hidden_layers <= self.most_supposed

    def wants_lps(self, refreshed: bool, hidden_layers: int) -> bool:
        """Whether open nodes get LPs, which know what refreshed bounds know already."""
        return not refreshed and hidden_layers != 1


class BranchingEffort(NamedTuple):
    """Rules for phases that evaluate candidates."""

    candidates: int = 3  # of each score
    lp_seconds: float = LP_SECONDS


class GroupEffort(NamedTuple):
    """Multi-neuron rows in an LP at the root."""

    layerwise: int = FEW_UNSTABLE  # unstable ReLUs up to which every layer gets LPs of its own
    sizes: tuple[int, ...] = (2, 3)  # neurons of a group
    most_small: int = 30  # groups a layer and size, where every layer gets LPs
    most_large: int = 100  # and elsewhere
    variants: int = 3  # groups that a neuron begins, where every layer gets LPs
    ascent: AscentEffort = SHORT_ASCENT  # behind octahedral bounds
    rows_share: float = 0.6  # of the time, for making rows
    wanted: Wanted = Wanted()


class RootRowsEffort(NamedTuple):
    """Multi-neuron rows with multipliers at the root."""

    sizes: tuple[int, ...] = (2,)  # neurons of a group
    most: int = 100  # groups a layer and size
    single_sizes: tuple[int, ...] = (2, 3)  # of a single hidden layer, whose octahedra are minima over a box
    single_most: int = 6000
    hidden: AscentEffort = AscentEffort(20, worth=0.0)
    octahedra: AscentEffort = AscentEffort(10, worth=0.0)
    margins: AscentEffort = AscentEffort(60)
    # share of a tree that is open below which its root is not branched unasked: where it paid, 0.5 to 1 were open
    least_open: float = 0.25
    leaves: tuple[int, int] = (16, 16)  # of the trees behind hidden bounds, in the second ReLU layer and in later ones
    rows_share: float = 0.6  # of the time, for all but the margins
    kept: int = 512  # rows that the search's nodes inherit: those with the largest multipliers
    # rounds for a disjunct that stays open, behind the half-spaces of its own bounds; none where the network has a
    # single hidden layer, whose groups are many
    rounds: int = 10
    wanted: Wanted = Wanted()


ROWS_ALONE = RootRowsEffort(rounds=0, leaves=(0, 0))  # rows of pairs, for studies that ask what these bring


class MilpEffort(NamedTuple):
    """SCIP and the conflict search on the root's disjuncts."""

    first_share: float = 0.25  # of its fair share of the time, that a question gets at first
    growth: float = GROWTH
    least_slice: float = 0.05  # seconds below which nobody is asked


class NodeMilpEffort(NamedTuple):
    """SCIP on nodes of a phase search."""

    after: float = 10.0  # seconds that the tree is given first
    trials: float = 0.03  # share of the time for SCIP to show what it can
    most: float = 0.5  # and where it is faster than the tree
    first_slice: float = 1.0  # seconds
    growth: float = GROWTH
    largest: int = MOST_SCIP


class SlopeRungEffort(NamedTuple):
    """Optimised slopes of nodes of input splits."""

    hidden: int = 5  # iterations for hidden neurons
    margins: int = 20


class KeptRowsEffort(NamedTuple):
    """Rows of several neurons that nodes hand down."""

    regions: int = 64  # whose rows are kept
    rows: int = 400  # that a node takes, or those of one more region
    idle: int = 16  # nodes in a row, for which none of a region's rows bound, after which these are dropped


class RowRungEffort(NamedTuple):
    """LPs with rows of several neurons in nodes."""

    sizes: tuple[int, ...] = (2, 3)  # neurons of a group, unless the option says
    groups: int = 20  # of a layer and size
    ascent: AscentEffort = SHORT_ASCENT  # behind octahedra
    seconds: float = LP_SECONDS


class MilpRungEffort(NamedTuple):
    """SCIP on nodes that their bounds leave open: every one, or as the ladder says."""

    binaries: int = 12  # of a partial MILP
    seconds: float = 1.0  # of a node; as much again for the proof
    largest: int = MOST_SCIP  # unstable ReLUs of a node


class LadderEffort(NamedTuple):
    """How often a rung is tried, and from when on it is used, where it is left to what pays."""

    after: float  # seconds that the search is given first
    share: float = 0.005  # of the time for it to show what it can
    most: float = 0.3  # of the time where it is faster than the tree
    faster: float = 2.0  # by how many times it has to be
    few: int = 4  # nodes of a trial
    least: int = 4  # nodes tried from which on it may be used
    deeper: int = 3  # levels from one trial that closed nothing to the next one
    slice: float = 0.02  # seconds that a trial is expected to take at first
    moves: float = 0.1  # share of the way to 0 that it must move what it does not close; else trials get rarer
    neurons: int = 3000  # of a network up to which it is tried: a model of a larger one takes its time to be built


class StallEffort(NamedTuple):
    """When a tree is not getting on: safenlp's close a third and more of what is open while they double."""

    closes: float = 0.2  # share of what is open that a doubling of the nodes has to close
    step: float = 1.05  # growth of the tree from one look to the next


class StuckEffort(NamedTuple):
    """SCIP and the conflict search on nodes that can be neither closed nor split."""

    share: float = 0.5  # of the time that is left, where other stages follow
    least: float = 0.05  # seconds below which nobody is asked


class NodeLPEffort(NamedTuple):
    """Triangle LPs of phase nodes."""

    every: int = 4  # levels
    worth: float = 0.2  # share of LPs that close a node from which they are always solved
    share: float = 0.1  # of the time since the search began that other LPs may take
    least: float = 0.5  # seconds of one of these
    seconds: float = LP_SECONDS
    descent_share: float = 0.05  # of the time since the search began that descents on infeasibilities may take
    flips: int = 4  # of a descent's walk


class ConflictEffort(NamedTuple):
    """A conflict search."""

    nogoods: int = 4000  # that are kept
    short: int = 4  # literals of nogoods that are always kept
    lp_patience: int = 20  # LPs at first
    lp_worth: float = 0.1  # share of them that must close a node for more
    lp_every: int = 16  # nodes between two LPs otherwise
    lp_seconds: float = LP_SECONDS
    largest_lp: int = 20_000  # neurons up to which a node's LP is tried
    store: float = 0.25  # share of the memory that is left at the beginning, for nogoods
    probe_every: int = 4  # restarts
    probe_after: int = 512  # conflicts from which on probes are a small part of a search
    idle_probes: int = 3  # rounds of probes in vain after which the search goes on

    def probe_patience(self, conflicts: int, probing: str = "auto") -> float:
        """Rounds of probes in vain after which a search goes on that has had so many conflicts; 0: no probes."""
        if probing == "always":
            return math.inf
        return self.idle_probes if probing == "auto" and conflicts >= self.probe_after else 0


class JumpEffort(NamedTuple):
    """Exact arithmetic on nodes that resist at jumps."""

    few: int = 12  # neurons at jumps and unstable ReLUs of a node
    patience: int = 2  # splits for each of them after which the node resists
    share: float = 0.3  # of the search's time
    seconds: float = 1.0  # of a node, and what may be spent before the share counts


class ExactEffort(NamedTuple):
    """Exact arithmetic on one node.

    Above these sizes an answer can take minutes, and numbers grow to thousands of digits; below them most take
    milliseconds.
    """

    seconds: float = 10.0  # of one node
    inputs: int = 60  # open ones: the columns of the LPs
    products: int = 2_000_000  # a layer's weights times the open inputs, all layers: about a second
    unstable: int = 40  # phases to branch on; few of their combinations have inputs
    lps: int = 2000  # of one question
    tangents: int = 30  # half-spaces around a norm ball that it is asked with, one after another
    corners: int = 64  # points of float32 around a counterexample that are tried
    steps: int = DESCENT_STEPS  # of the descents from them


class Efforts(NamedTuple):
    """Of all stages and steps."""

    attack: AttackEffort = AttackEffort()
    candidates: CandidateEffort = CandidateEffort()
    slopes: AscentEffort = AscentEffort(10)  # on every hidden neuron of the root
    inputs: InputEffort = InputEffort()
    phases: PhaseEffort = PhaseEffort()
    branching: BranchingEffort = BranchingEffort()
    groups: GroupEffort = GroupEffort()
    root_rows: RootRowsEffort = RootRowsEffort()
    milp: MilpEffort = MilpEffort()
    node_milp: NodeMilpEffort = NodeMilpEffort()
    part_milp: NodeMilpEffort = NodeMilpEffort(after=20.0, trials=0.01, most=0.3)  # of input splits, quick to search
    node_lp: NodeLPEffort = NodeLPEffort()
    stall: StallEffort = StallEffort()
    stuck: StuckEffort = StuckEffort()
    kept_rows: KeptRowsEffort = KeptRowsEffort()
    slope_rung: SlopeRungEffort = SlopeRungEffort()
    row_rung: RowRungEffort = RowRungEffort()
    milp_rung: MilpRungEffort = MilpRungEffort()
    slopes_pay: LadderEffort = LadderEffort(after=1.0)
    lp_pays: LadderEffort = LadderEffort(after=2.0)
    rows_pay: LadderEffort = LadderEffort(after=4.0)
    partial_pays: LadderEffort = LadderEffort(after=10.0, slice=0.5)
    conflicts: ConflictEffort = ConflictEffort()
    exact: ExactEffort = ExactEffort()
    jumps: JumpEffort = JumpEffort()
