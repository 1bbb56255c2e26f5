"""`hypersplit study NAME`: an experiment from its runs to a page that can be read and sent.

A study is a generator of rows (dicts of plain values) and a function that makes sentences, tables and figures of them.
The frame does the rest: each row is appended to NAME.csv at once, so that an interrupted study keeps what it has and
`--resume` goes on behind it; at the end come the figures (svg) and one HTML page (`pages.page`) with the question, all
of that, of a long csv the first rows, and the command that makes it again.
A new study is a file `NAME.py` of this folder with a constant STUDY, and its two entries in STUDIES and QUESTIONS.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from ...instances.errors import InputError, UnsupportedOperatorError
from ..pages.figures import new_figure
from ..pages.page import Page, write_page
from ..run.exit_codes import DONE
from ..run.flags import LISTED
from ..run.options import Options, OptionValues
from ..run.result import Result
from ..run.row_file import Row, appending, former_rows
from ..verify import verify

if TYPE_CHECKING:
    from ...instances.network import Network
    from ...instances.property import Property

__all__ = [
    "DECIDED", "QUESTIONS", "STUDIES", "Findings", "Row", "Settings", "Study", "decide", "new_figure", "run",
    "study",
]  # fmt: skip

STUDIES = {  # name: what it asks; the module is NAME, or told by MODULES
    "scaling": "how nodes and seconds grow with inputs, depth and width of random ReLU networks",
    "partition-rules": "the rules that split the input set, side by side on the same instances",
    "partition-iris": "splits along single rows and along all of them, bound against truth, on Iris networks",
    "branching-rules": "the rules that split phases of ReLUs, side by side on the same instances",
    "ladder": "the steps of bounding a root, from parallel lines to partial MILPs, side by side",
    "node-bounds": "relaxations in every node of the tree, from linear bounds to SCIP, and the default beside them",
    "max-subproblems": "subproblems for the maximum of d inputs, with single- and multi-neuron relaxations",
    "subproblems": "parts of branch and bound against activation patterns, on hundreds of small networks",
    "convex-barrier": "what relaxations from layer to layer cannot see, and where they are exact",
    "polyhedral-certificates": "certified distances from activation regions, attacks, and walks over regions",
    "kpoly": "regions verified and output boxes with one, two and three ReLUs at a time",
    "formulations": "the formulations of the MILP, side by side on the same questions",
    "barrier-robust-error": "robust errors by attacks, relaxations of single layers, rows and the complete search",
    "barrier-eps": "smallest distortions by the same, hulls of nonlinearities, and times of LPs by layer",
}
MODULES = {
    "barrier-robust-error": "..barrier.robust_error", "barrier-eps": "..barrier.smallest_distortion",
    "node-bounds": "..node_study.node_bounds",
}  # fmt: skip
LIMITED = ("barrier-robust-error", "barrier-eps")  # studies that ask as many inputs as are wanted
STEPPED = ("kpoly", *LIMITED)  # studies whose steps can be chosen
SIDE_BY_SIDE = (*LIMITED, "partition-rules", "subproblems")  # that ask several questions at a time
HOW = ("jobs", "limit")  # settings that no row depends on
QUESTIONS = {  # name: what the page begins with
    "scaling":
        "How do nodes and seconds of a search that splits the input set grow with the network's inputs, layers and "
        "neurons, where the question stays equally close to the truth?",
    "partition-rules":
        "Where do hyperplanes along rows of weights divide the input set better than axes do, and can one tell "
        "beforehand from the network?",
    "partition-iris":
        "How much of the error of the LP relaxation does a split along one row take away, and does the optimal- "
        "partition rule name the row?",
    "branching-rules": "Which score chooses the ReLU whose phase is split so that the tree stays small?",
    "ladder": "What does each step of bounding a root cost, and how many questions does it answer by itself?",
    "node-bounds": "Which relaxation pays in every node of the tree, and how does the default compare with it?",
    "max-subproblems":
        "How many subproblems does branch and bound need for the maximum of d inputs, with relaxations of single "
        "neurons and with relaxations of several?",
    "subproblems":
        "Is the number of parts that branch and bound needs at most that of activation patterns with multi-neuron "
        "relaxations, and at least that with relaxations of single neurons?",
    "convex-barrier": "What can no relaxation from layer to layer see, and for which networks is it exact?",
    "polyhedral-certificates":
        "How much of the distance to another class do certificates from activation regions prove, held against "
        "attacks that bound it from above?",
    "kpoly": "What do rows of two and three ReLUs add to the triangles of single ones?",
    "formulations": "Which formulation of the MILP decides the same questions fastest?",
    "barrier-robust-error":
        "How much of the gap between attacks and single-neuron relaxations do rows of several neurons and the complete "
        "search close, measured by robust errors?",
    "barrier-eps":
        "How small are the smallest distortions that attacks find and each relaxation can exclude, and what do its LPs "
        "cost layer by layer?",
}
DECIDED = ("unsat", "sat")
MOST_ROWS = 1000  # of the csv that the page shows


@dataclass(frozen=True)
class Settings:
    """What the user chose, the same for all rows of a study."""

    timeout: float  # seconds an instance
    quick: bool = False  # a version of a few seconds
    seed: int = 0
    instances: str = ""  # VNN-COMP list, or the folder of a paper's networks; "" for the study's own instances
    only: tuple[str, ...] = ()  # globs that choose among them; () for all
    jobs: int = 1  # questions at a time
    limit: int | None = None  # inputs of a network; None for the study's own number
    limited: bool = False  # the user gave the time limit, it is not the study's own
    steps: tuple[str, ...] = ()  # these alone; () for all

    @property
    def lasting(self) -> dict[str, Any]:
        """What rows depend on: not `jobs` and `limit`, so that a study may go on with others."""
        return {name: value for name, value in asdict(self).items() if name not in HOW}


@dataclass(frozen=True)
class Findings:
    """What a study says about its rows."""

    text: Sequence[str]  # paragraphs: how it was run
    summary: Sequence[str]  # sentences: what came out; printed too
    tables: Mapping[str, Sequence[Row]]  # by their captions
    figures: Mapping[str, Any]  # matplotlib Figures by their names, as in NAME-figure.svg


@dataclass(frozen=True)
class Study:
    """The parts of a study."""

    title: str
    timeout: float  # seconds an instance, unless the user says otherwise
    columns: Mapping[str, Callable[[str], Any]]  # of the csv, each with the type that reads it back
    rows: Callable[[Settings, Sequence[Row]], Iterator[Row]]  # the missing ones, given those there are already
    findings: Callable[[Settings, Sequence[Row]], Findings]


def study(args: argparse.Namespace) -> int:
    """The command: list the studies, or run one and write its files; returns the exit code.

    Raises InputError for an unknown study, an option that it does not take, results that it would overwrite, and
    where matplotlib is missing.
    """
    name = args.name
    if name is None:
        print("\n".join(f"{known:16s} {about}" for known, about in STUDIES.items()))
        return DONE
    if name not in STUDIES:
        raise InputError(f"study {name!r}: expected one of {', '.join(STUDIES)}")
    if find_spec("matplotlib") is None:  # said before the work, not after it
        raise InputError('a study draws figures with matplotlib: pip install "hypersplit[plot]"')
    chosen: Study = import_module(MODULES.get(name, f".{name.replace('-', '_')}"), __package__).STUDY
    for option in ("instances", "only"):
        if getattr(args, option) and name not in LISTED:
            raise InputError(f"study {name}: takes no --{option}; {', '.join(LISTED)} do")
    for option, wanted, takers in (
        ("jobs", args.processes > 1, SIDE_BY_SIDE), ("limit", args.limit, LIMITED), ("steps", args.steps, STEPPED),
    ):  # fmt: skip
        if wanted and name not in takers:
            raise InputError(f"study {name}: takes no --{option}; {', '.join(takers)} do")
    timeout, limited, given = args.timeout or chosen.timeout, args.timeout is not None, str(args.instances or "")
    only, jobs = tuple(args.only), args.processes
    settings = Settings(timeout, args.quick, args.seed, given, only, jobs, args.limit, limited, args.steps)
    folder = args.out or Path(f"hypersplit-study-{name}")
    rows = run(chosen, settings, folder / f"{name}.csv", args.resume)
    findings = chosen.findings(settings, rows)
    page = write_page(folder, name, _page(name, chosen, settings, findings, rows))
    print("\n".join([*findings.summary, f"page: {page}"]))
    return DONE


def run(chosen: Study, settings: Settings, path: Path, resume: bool = False) -> list[Row]:
    """All rows of a study, former ones first; each new one is in the csv `path` before the next is begun.

    Raises InputError where the csv is there already and `resume` is not asked for, or has other settings.
    """
    rows = former_rows(path, chosen.columns, settings.lasting, resume)
    with appending(path, tuple(chosen.columns), rows) as append:
        try:
            for row in _counted(chosen.rows(settings, tuple(rows))):
                append(row)
                rows.append(row)
        except KeyboardInterrupt:
            print(f"{path}: {len(rows)} rows so far, --resume goes on", file=sys.stderr)
            raise
    return rows


def decide(
    network: str | os.PathLike[str] | Network, prop: str | os.PathLike[str] | Property, **options: Unpack[OptionValues]
) -> Result:
    """`verify` on one core, where an unsupported operator or a lack of memory is an answer and Ctrl-C is none."""
    try:
        result = verify(network, prop, Options(jobs=1), **options)
    except UnsupportedOperatorError as error:
        return Result("unknown", reason=f"unsupported operator: {error}")
    if result.reason == "interrupted":
        raise KeyboardInterrupt
    return result


def _counted(rows: Iterable[Row]) -> Iterator[Row]:
    """The same rows, with a bar where there is a terminal."""
    from tqdm import tqdm

    yield from tqdm(rows, unit="row", disable=None, leave=False)


def _page(name: str, chosen: Study, settings: Settings, findings: Findings, rows: Sequence[Row]) -> Page:
    """The study's page: its options and the machine belong to the setting, the csv to what is opened on demand."""
    given = {k: " ".join(v) if isinstance(v, tuple) else v for k, v in asdict(settings).items() if k != "limited"}
    said = ", ".join(f"{name} {value}" for name, value in given.items() if value not in ("", None, False))
    setting = [*findings.text, f"Options: {said}. {_machine(settings.jobs)}"]
    how_many = "All" if len(rows) <= MOST_ROWS else f"The first {MOST_ROWS} of"
    rest = (f"{how_many} {len(rows)} rows of {name}.csv", rows[:MOST_ROWS])
    command = _command(name, settings)
    return Page(
        chosen.title, QUESTIONS[name], setting, findings.summary, findings.figures, findings.tables, command, rest
    )


def _command(name: str, settings: Settings) -> str:
    """The call that repeats a study."""
    words = ["hypersplit", "study", name, "--timeout", f"{settings.timeout:g}", "--seed", str(settings.seed)]
    words += ["--quick"] if settings.quick else []
    words += ["--jobs", str(settings.jobs)] if settings.jobs > 1 else []
    words += ["--limit", str(settings.limit)] if settings.limit else []
    words += ["--instances", settings.instances] if settings.instances else []
    words += ["--steps", ",".join(settings.steps)] if settings.steps else []
    return shlex.join([*words, *(word for glob in settings.only for word in ("--only", glob))])


def _machine(jobs: int) -> str:
    """Processor, its cores, how many instances ran at a time, and the versions that times depend on."""
    used = "one core used" if jobs == 1 else f"{jobs} instances at a time, one core each"
    return (
        f"Machine: {_processor()}, {os.cpu_count()} cores, {platform.system()}; {used}. "
        f"hypersplit {version('hypersplit')}, Python {platform.python_version()}, numpy {version('numpy')}."
    )


def _processor() -> str:
    """The processor's name as Linux tells it, else what Python knows."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
