"""`hypersplit study NAME`: an experiment from its runs to a page that can be read and sent.

A study is a generator of rows (dicts of plain values) and a function that makes sentences, tables and figures of them.
The frame does the rest: each row is appended to NAME.csv at once, so that an interrupted study keeps what it has and
`--resume` goes on behind it; at the end come the figures (png, svg) and one HTML page with all of that, of a long csv
the first rows.
A new study is a file `NAME.py` of this folder with a constant STUDY, and a line in STUDIES.
"""

from __future__ import annotations

import argparse
import base64
import html
import os
import platform
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from ...instances.errors import InputError, UnsupportedOperatorError
from ..run.arguments import LISTED
from ..run.exit_codes import DONE
from ..run.options import Options, OptionValues
from ..run.result import Result
from ..run.row_file import Row, appending, former_rows
from ..verify import verify

if TYPE_CHECKING:
    from ...instances.network import Network
    from ...instances.property import Property

__all__ = ["DECIDED", "STUDIES", "Findings", "Row", "Settings", "Study", "decide", "new_figure", "run", "study"]

STUDIES = {  # name: what it asks; the module is NAME, or told by MODULES
    "scaling": "how nodes and seconds grow with inputs, depth and width of random ReLU networks",
    "partition-rules": "the rules that split the input set, side by side on the same instances",
    "partition-iris": "splits along single rows and along all of them, bound against truth, on Iris networks",
    "branching-rules": "the rules that split phases of ReLUs, side by side on the same instances",
    "ladder": "the steps of bounding a root, from parallel lines to partial MILPs, side by side",
    "max-subproblems": "subproblems for the maximum of d inputs, with single- and multi-neuron relaxations",
    "convex-barrier": "what relaxations from layer to layer cannot see, and where they are exact",
    "polyhedral-certificates": "certified distances from activation regions, attacks, and walks over regions",
    "kpoly": "regions verified and output boxes with one, two and three ReLUs at a time",
    "formulations": "the formulations of the MILP, side by side on the same questions",
    "barrier-robust-error": "robust errors by attacks, relaxations of single layers, rows and the complete search",
    "barrier-eps": "smallest distortions by the same, hulls of nonlinearities, and times of LPs by layer",
}
MODULES = {"barrier-robust-error": "..barrier.robust_error", "barrier-eps": "..barrier.smallest_distortion"}
SIDE_BY_SIDE = tuple(MODULES)  # studies that ask several inputs at a time, and as many as are wanted
HOW = ("jobs", "limit")  # settings that no row depends on
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
    jobs: int = 1  # inputs at a time
    limit: int | None = None  # inputs of a network; None for the study's own number
    limited: bool = False  # the user gave the time limit, it is not the study's own

    @property
    def kept(self) -> Row:
        """What rows depend on."""
        return {name: value for name, value in asdict(self).items() if name not in HOW}


@dataclass(frozen=True)
class Findings:
    """What a study says about its rows."""

    text: Sequence[str]  # paragraphs: how it was run
    summary: Sequence[str]  # sentences: what came out; printed too
    tables: Mapping[str, Sequence[Row]]  # by their captions
    figures: Mapping[str, Any]  # matplotlib Figures by their names, as in NAME-figure.png
    drawings: Mapping[str, Any] = field(default_factory=dict)  # the same, kept as lines: NAME-figure.svg


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
    if name not in SIDE_BY_SIDE and (args.processes > 1 or args.limit):
        raise InputError(f"study {name}: takes no --jobs and no --limit; {', '.join(SIDE_BY_SIDE)} do")
    timeout, limited, given = args.timeout or chosen.timeout, args.timeout is not None, str(args.instances or "")
    only, jobs = tuple(args.only), args.processes
    settings = Settings(timeout, args.quick, args.seed, given, only, jobs, args.limit, limited)
    folder = args.out or Path(f"hypersplit-study-{name}")
    rows = run(chosen, settings, folder / f"{name}.csv", args.resume)
    findings = chosen.findings(settings, rows)
    page = _write_page(folder, name, chosen, settings, findings, rows)
    print("\n".join([*findings.summary, f"page: {page}"]))
    return DONE


def run(chosen: Study, settings: Settings, path: Path, resume: bool = False) -> list[Row]:
    """All rows of a study, former ones first; each new one is in the csv `path` before the next is begun.

    Raises InputError where the csv is there already and `resume` is not asked for, or has other settings.
    """
    rows = former_rows(path, chosen.columns, settings.kept, resume)
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


def new_figure(panels: int) -> tuple[Any, list[Any]]:
    """A matplotlib Figure with so many panels side by side, and these; no screen is needed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * panels, 3.8), layout="constrained")
    return figure, list(figure.subplots(1, panels, squeeze=False)[0])


def _counted(rows: Iterable[Row]) -> Iterator[Row]:
    """The same rows, with a bar where there is a terminal."""
    from tqdm import tqdm

    yield from tqdm(rows, unit="row", disable=None, leave=False)


METAS = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
STYLE = """body { font: 16px/1.5 system-ui, sans-serif; max-width: 70em; margin: 2em auto; padding: 0 1em; color: #222 }
img { max-width: 100% } .wide { overflow-x: auto } table { border-collapse: collapse; font-size: 14px; margin: .5em 0 }
td, th { padding: .15em .7em; border-bottom: 1px solid #ddd; text-align: right }
td:first-child, th:first-child { text-align: left } figure { margin: 1em 0 }"""


def _write_page(
    folder: Path, name: str, chosen: Study, settings: Settings, findings: Findings, rows: Sequence[Row]
) -> Path:
    """NAME-figure.png of each figure, and NAME.html with all of them in it; returns the page's path."""
    said = ", ".join(f"{k} {v}" for k, v in asdict(settings).items() if v not in ("", (), None))
    body = [f"<p>{html.escape(line)}</p>" for line in (*findings.text, f"Options: {said}. {_machine()}")]
    body += ["<h2>What came out</h2>", "<ul>", *(f"<li>{html.escape(line)}</li>" for line in findings.summary), "</ul>"]
    body += [_image(folder / f"{name}-{title}.svg", figure) for title, figure in findings.drawings.items()]
    body += [_image(folder / f"{name}-{title}.png", figure) for title, figure in findings.figures.items()]
    for caption, table in findings.tables.items():
        body += [f"<h2>{html.escape(caption)}</h2>", _table(table)]
    how_many = "All" if len(rows) <= MOST_ROWS else f"The first {MOST_ROWS} of"
    said = f"{how_many} {len(rows)} rows of {name}.csv"
    body.append(f"<details><summary>{said}</summary>{_table(rows[:MOST_ROWS])}</details>")
    page = folder / f"{name}.html"
    head = f"{METAS}<title>{html.escape(chosen.title)}</title><style>{STYLE}</style>"
    text = "\n".join([f"<h1>{html.escape(chosen.title)}</h1>", *body])
    page.write_text(f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{text}\n</body></html>\n', "utf-8")
    return page


def _image(path: Path, figure: Any) -> str:
    """The figure, written to a .png or .svg, as a part of the page."""
    kind = {".png": "image/png", ".svg": "image/svg+xml"}[path.suffix]
    figure.savefig(path, dpi=130)
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return f'<figure><img alt="{html.escape(path.stem)}" src="data:{kind};base64,{data}"></figure>'


def _table(rows: Sequence[Row]) -> str:
    """HTML of rows with equal columns; floats to three significant digits."""
    lines = ["".join(f"<th>{html.escape(name)}</th>" for name in rows[0])] if rows else []
    for row in rows:
        lines.append("".join(f"<td>{html.escape(_cell(value))}</td>" for value in row.values()))
    whole = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="wide"><table>{whole}</table></div>'


def _cell(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return "–" if value != value else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _machine() -> str:
    """Processor, its cores, and the versions that times depend on."""
    return (
        f"Machine: {_processor()}, {os.cpu_count()} cores, {platform.system()}; one core used. "
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
