"""All options of a run, one field each, with its values, its default and its meaning.

What stands here is what all others read: the checks where `Options` is made, the help of the command line
(`arguments`), and docs/options.md (`bab/command/options_page.py`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, NamedTuple, TypedDict, get_args

from ...heuristics.splits.rules import RULES, Rule
from ...instances.errors import InputError
from .kinds import Kind, address, file, folder, integer, names, number, pair, shown, switch, word

__all__ = [
    "ABOUT", "KERNELS", "METHODS", "PICTURES", "About", "Kernel", "Method", "OptionValues", "Options", "about",
    "changed", "named", "read",
]  # fmt: skip

Method = Literal["auto", "split", "milp"]
Kernel = Literal["auto", "compiled", "plain"]
Rows = Literal["auto", "never", "always"]
Groups = Literal["correlation", "area", "multipliers", "random"]
GroupSize = Literal["auto", "adaptive", "1", "2", "3", "4", "5"]
Probes = Literal["auto", "never", "always"]
Certificates = Literal["never", "always"]
NodeBounds = Literal["auto", "linear", "slopes", "lp", "rows", "partial-milp"]
Closing = Literal["never", "stuck", "auto", "always"]
Workers = Literal["auto", "threads", "processes"]
METHODS: tuple[Method, ...] = get_args(Method)
KERNELS: tuple[Kernel, ...] = get_args(Kernel)
PICTURES = (".png", ".svg", ".pdf")
# far beyond what any run needs, and within what clocks, threads and arrays can hold
MOST_SECONDS, MOST_MB, MOST_JOBS, MOST_NODES, MOST_BATCH, MOST_SEED = 1e9, 1e9, 1024, 10**18, 10**6, 2**63 - 1


class About(NamedTuple):
    """What is told of an option."""

    kind: Kind
    meaning: str
    default: str  # in words
    flag: str  # of the command line, with what it takes; "" where the option is given by its name only


def _option(default: Any, kind: Kind, meaning: str, told: str = "", flag: str = "") -> Any:
    """A field. told: its default in words, where the value itself would say little."""
    words = told or (str(default).lower() if isinstance(default, bool) else f"{default}")
    return field(default=default, metadata={"about": About(kind, meaning, words, flag)})


@dataclass(frozen=True)
class Options:
    """What a user may set. Times are seconds of wall clock, memory is in MB (10^6 bytes).

    Raises InputError where a value is not one of the option's.
    """

    timeout: float = _option(
        300.0, number(MOST_SECONDS), "seconds for the whole run, reading included", "300", "--timeout S"
    )
    memory_mb: float = _option(
        8000.0, number(MOST_MB), "resident memory of the process, in MB, at which the run gives up; SCIP's processes "
        "have shares besides", "8000", "--memory MB",
    )  # fmt: skip
    nodes: int = _option(10**9, integer(1, MOST_NODES), "nodes at which the search gives up")
    jobs: int = _option(
        os.cpu_count() or 1, integer(1, MOST_JOBS), "threads or processes that take nodes, and MILPs of SCIP at a "
        "time, one processor core each", "all cores", "--jobs N",
    )  # fmt: skip
    workers: Workers = _option(
        "threads", word(*get_args(Workers)), "who takes nodes: threads, processes, or threads first and processes "
        "where the search lasts and its nodes take long enough (auto)", flag="--workers KIND",
    )  # fmt: skip
    cluster: str = _option(
        "", address(), "Dask workers that take nodes: of this machine, behind a scheduler, or as a file says; see "
        "docs/big-runs.md", "none", "--cluster WHERE",
    )  # fmt: skip
    seed: int = _option(
        0, integer(0, MOST_SEED), "of every random choice; with one job equal seeds give equal runs up to time limits",
        flag="--seed N",
    )  # fmt: skip
    method: Method = _option(
        "auto", word(*METHODS), "branch and bound with SCIP where it helps (auto), branch and bound without MILPs "
        "(split), or one big-M MILP a disjunct (milp)", flag="--method METHOD",
    )  # fmt: skip
    rule: Literal["auto"] | Rule = _option(
        "auto", word("auto", *RULES), "what is split: chosen by the network (auto), or by one rule"
    )
    rows: Rows = _option(
        "auto", word(*get_args(Rows)), "rows of several neurons at the root of ReLU networks: on small deep ones, "
        "wide ones of one hidden layer, and with branched hidden bounds on those of three and more (auto), on none, or "
        "on all; trees of phases use them in their nodes, too",
    )  # fmt: skip
    groups: Groups = _option(
        "correlation", word(*get_args(Groups)), "neurons whose rows are made together: those with similar weights "
        "(correlation), neighbours in the order of their triangles' areas (area) or of what these cost the margins "
        "(multipliers), or any (random)",
    )  # fmt: skip
    k: GroupSize = _option(
        "auto", word(*get_args(GroupSize)), "neurons of such a group at most: 1 for none, by the stage (auto), or the "
        "largest k up to 5 whose subsets are at most 500 a layer (adaptive)",
    )  # fmt: skip
    subsets: int = _option(
        3, integer(2, 3), "neurons of the subsets that larger groups are cut into; where k is given"
    )
    node_bounds: NodeBounds = _option(
        "auto", word(*get_args(NodeBounds)), "what nodes that cheaper bounds leave open are bounded by: what pays, as "
        "far as it pays (auto), linear bounds alone, optimised slopes, or an LP, an LP with rows of several neurons or "
        "a MILP with few binaries in every node",
    )  # fmt: skip
    closing: Closing = _option(
        "auto", word(*get_args(Closing)), "which nodes go to SCIP, whose word is then proved: none, those that can be "
        "neither closed nor split (stuck), also others as far as it pays (auto; none with method=split), or all that "
        "their bounds leave open",
    )  # fmt: skip
    probing: Probes = _option(
        "auto", word(*get_args(Probes)), "contract both phases of ReLUs, and keep what both say and what each forces: "
        "of active ones now and then in long conflict searches (auto), of none, or of all, from the beginning, and at "
        "the roots of phase splits, too",
    )  # fmt: skip
    certificates: Certificates = _option(
        "never", word(*get_args(Certificates)), "look, before a part of the input set is bounded, whether no ReLU "
        "changes its phase in it: the simplex certificate closes it then",
    )  # fmt: skip
    kernel: Kernel = _option(
        "auto", word(*KERNELS), "linear bounds by compiled code once it is loaded (auto), from the beginning "
        "(compiled), or by numpy (plain)",
    )  # fmt: skip
    batch: int = _option(0, integer(0, MOST_BATCH), "nodes bounded at a time; 0: by the network's size")
    clip: bool = _option(True, switch(), "shrink boxes by the nodes' own bounds")
    trust_scip: bool = _option(
        False, switch(), "let SCIP's floating-point word close what nothing else proves", flag="--trust-scip"
    )
    input: str = _option(
        "", names(), "inputs of the network that X_0, X_1, ... count over, in the order of the file", "all",
        "--input NAME",
    )  # fmt: skip
    output: str = _option(
        "", names(), "outputs of the network that Y_0, Y_1, ... count over, in the order of the file", "all",
        "--output NAME",
    )  # fmt: skip
    strict_types: bool = _option(
        False, switch(), "refuse VNN-LIB 2 properties that declare floats, instead of reading them as reals",
        flag="--strict-types",
    )  # fmt: skip
    log: str | os.PathLike[str] = _option(
        "", file(), "file for what was tried, why, and what it brought", "none", "--log FILE"
    )
    checkpoint: str | os.PathLike[str] = _option(
        "", file(), "file that an undecided run is kept in, to go on with `hypersplit resume`", "none",
        "--checkpoint FILE",
    )  # fmt: skip
    every: float = _option(
        60.0, number(MOST_SECONDS), "seconds from one writing of the checkpoint to the next", "60", "--every S"
    )
    spill: str | os.PathLike[str] = _option(
        "", folder(), "folder for open nodes that memory has no room for, in files that go with the run",
        "the system's folder for temporary files", "--spill DIR",
    )  # fmt: skip
    progress: bool = _option(
        False, switch(), "show a bar on the terminal", "false; on the command line true without --json"
    )
    picture: str | os.PathLike[str] = _option(
        "", file(*PICTURES), "file that the partition of the input set and the split tree are drawn into", "none",
        "--picture FILE",
    )  # fmt: skip
    picture_inputs: str = _option(
        "", pair(), "inputs that span the drawn slice, the first one is 0", "two that show many cells",
        "--picture-inputs I,J",
    )  # fmt: skip

    def __post_init__(self) -> None:
        for name, told in ABOUT.items():
            value = getattr(self, name)
            if not told.kind.takes(value):
                raise InputError(f"option {name} = {told.kind.expected(value)}")
        if self.picture_inputs and not self.picture:
            raise InputError(f"option picture_inputs = {self.picture_inputs}: there is no picture to choose inputs for")
        if self.picture and self.cluster:
            raise InputError(f"option picture = {self.picture}: nodes of a cluster cannot be drawn")


class OptionValues(TypedDict, total=False):
    """The options by their names, as `verify` takes them; the fields of `Options`."""

    timeout: float
    memory_mb: float
    nodes: int
    jobs: int
    workers: Workers
    cluster: str
    seed: int
    method: Method
    rule: Literal["auto"] | Rule
    rows: Rows
    groups: Groups
    k: GroupSize
    subsets: int
    node_bounds: NodeBounds
    closing: Closing
    probing: Probes
    certificates: Certificates
    kernel: Kernel
    batch: int
    clip: bool
    trust_scip: bool
    input: str
    output: str
    strict_types: bool
    log: str | os.PathLike[str]
    checkpoint: str | os.PathLike[str]
    every: float
    spill: str | os.PathLike[str]
    progress: bool
    picture: str | os.PathLike[str]
    picture_inputs: str


ABOUT: dict[str, About] = {f.name: f.metadata["about"] for f in fields(Options)}


def about(name: str) -> About:
    """What is told of an option. Raises InputError for another name, with those that are near."""
    if name in ABOUT:
        return ABOUT[name]
    from difflib import get_close_matches

    near = get_close_matches(name, ABOUT, n=3, cutoff=0.5) or [known for known in ABOUT if name and name in known]
    there = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(sorted(ABOUT))}"
    raise InputError(f"option {shown(name)}: no option has this name; {there}")


def read(name: str, text: str) -> Any:
    """The value of an option that a text stands for. Raises InputError for another text, and for an unknown name."""
    kind = about(name).kind
    try:
        return kind.of(text)
    except ValueError as error:
        raise InputError(f"option {name} = {error}") from error


def named(text: str) -> tuple[str, ...]:
    """The names in a text with commas between them."""
    return tuple(part.strip() for part in text.split(",")) if text else ()


def changed(options: Options | None, overrides: Mapping[str, Any]) -> Options:
    """Options with some of them set anew. Raises InputError as `Options` does, and for an unknown name."""
    if options is not None and not isinstance(options, Options):
        raise InputError(f"options = {shown(options)}: expected Options, or single ones by their names: timeout=60")
    for name in overrides:
        about(name)
    return replace(options or Options(), **overrides)
