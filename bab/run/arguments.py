"""The words of the command `hypersplit`: its commands, flags and how they become `Options`.

Flags of the search are options (`options.ABOUT`): help, values, and what is said of wrong ones come from there.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from ...instances.errors import InputError
from .exit_codes import BAD_INPUT, SENTENCE
from .flags import (
    BENCH_FLAGS,
    CAPABILITIES,
    LISTED,
    OUTSIDE_BENCH,
    OUTSIDE_PARTS,
    OUTSIDE_ROBUSTNESS,
    PART_FLAGS,
    ROBUSTNESS_FLAGS,
)  # fmt: skip
from .kinds import Kind, integer, number, shown
from .options import ABOUT, MOST_JOBS, MOST_SECONDS, Options, about, read

__all__ = [
    "Command", "given_options", "option_words", "options_from", "parser",
]  # fmt: skip

Command = Callable[[argparse.Namespace], int]  # runs and returns the exit code

JOBS, COUNT, PARTS = integer(1, MOST_JOBS), integer(1, 10**9), integer(1, 10**5)
CLASS, ROW, SHARE = integer(0, 10**9), integer(0, 10**9), number(1)
NORMS = {"inf": math.inf, "2": 2, "1": 1}
WIDTH = 80  # characters of a line of the list of options


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the whole usage."""

    end: Callable[[], str] | None = None  # of the help, made when it is asked for

    def format_help(self) -> str:
        self.epilog = self.end() if self.end else self.epilog
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        line = " ".join(message.split())
        self.exit(BAD_INPUT, f"hypersplit: error: {line}; see `{self.prog} --help`\n")


def parser(commands: Mapping[str, Command], by_name: bool = False, asked: str = "") -> argparse.ArgumentParser:
    """The parser; `run` of what it parses is the command of that name, one of `told`.

    by_name: whether `verify` is given its networks by `--network NAME=FILE`, as the VNN-LIB standard has it;
    asked: the first word. Where it is a command, the others are named only, without their flags: these take a while.
    """
    pages = "All options: docs/options.md. What a verdict rests on: docs/verdicts.md."
    top = _Parser(
        prog="hypersplit", description="Decide whether a neural network can violate a property.",
        epilog=f"{SENTENCE.replace('`', '')}\n{pages}", formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    top.add_argument("--version", action=_Version, nargs=0, help="show the version and end")
    top.add_argument("--name", action=_Name, nargs=0, help="show the name and end")
    names = top.add_subparsers(metavar="COMMAND", required=True)
    words: dict[str, Callable[[Callable[..., object]], None]] = {
        "verify": partial(_verify, by_name=by_name), "resume": _resume, "run-job": _run_job, "merge": _merge,
        "info": _info, "radius": _radius, "robustness": _robustness,
        "regions": _regions, "bench": _bench, "study": _study, "demo": _demo, "warm": _warm, "supports": _supports,
    }  # fmt: skip
    told = {
        "verify": "decide one property of one network",
        "resume": "go on from a checkpoint that `verify` wrote",
        "run-job": "search one part of a run that `verify --export` divided; its outcome is written beside it",
        "merge": "the verdict of a run that was divided, from its parts' outcomes",
        "info": "what the files hold",
        "radius": "how far an input is from another class: a certified and an attacked radius",
        "robustness": "how many inputs of a data set keep their class within a distance, certified and attacked",
        "regions": "write the regions around the inputs of a data set as VNN-LIB files, with their list",
        "bench": "run VNN-COMP instance lists, one process an instance",
        "study": "run an experiment: csv, figures and one HTML page",
        "demo": "three questions about carried networks, answered in under a minute",
        "warm": "compile the kernels now, so that no run does without them",
        "supports": "what the VNN-LIB standard lets other tools ask",
    }
    all_of_them, robust = partial(_by_name, tuple(ABOUT)), partial(_by_name, ROBUSTNESS_FLAGS, OUTSIDE_ROBUSTNESS)
    ends = {
        "verify": all_of_them, "resume": all_of_them, "run-job": partial(_by_name, PART_FLAGS, OUTSIDE_PARTS),
        "bench": partial(_by_name, BENCH_FLAGS, OUTSIDE_BENCH), "radius": robust, "robustness": robust,
    }  # fmt: skip
    for name, add_words in words.items():
        command = names.add_parser(
            name, help=told[name], description=told[name], formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if asked in words and asked != name:
            continue
        command.end = ends.get(name)
        add_words(command.add_argument)
        command.add_argument("-v", "--verbose", action="store_true", help="tell more, and where an error came from")
        command.set_defaults(run=commands[name])
    return top


def _verify(add: Callable[..., object], by_name: bool) -> None:
    if by_name:
        add("property", metavar="QUERY.vnnlib", type=_path)
    else:
        _files(add)
    help_named = "a network by the name that the query declares, in place of NET.onnx; then stdout is the standard's"
    add("--network", dest="named", type=_name, action="append", default=[], metavar="NAME=FILE", help=help_named)
    help_folder = "with --network: a folder for one ONNX TensorProto a variable, in place of values on stdout"
    add("--serialise-assignments", dest="assignments", type=_path, metavar="DIR", help=help_folder)
    add("--result", type=_path, metavar="FILE", help="verdict and witness in VNN-COMP's form")
    add("--json", action="store_true", help="print one JSON object")
    add("--export", type=_path, metavar="DIR", help="search until there is enough to divide, and write the parts there")
    add("--parts", type=_typed(PARTS), metavar="N", help="how many parts to write (default: 8)")
    _options(add, tuple(ABOUT))


def _resume(add: Callable[..., object]) -> None:
    add("file", metavar="FILE", type=_path)
    _moved(add)
    add("--result", type=_path, metavar="FILE", help="verdict and witness in VNN-COMP's form")
    add("--json", action="store_true", help="print one JSON object")
    _options(add, tuple(ABOUT))


def _run_job(add: Callable[..., object]) -> None:
    add("file", metavar="FILE", type=_path)
    _moved(add)
    add("--json", action="store_true", help="print one JSON object")
    _options(add, PART_FLAGS)


def _merge(add: Callable[..., object]) -> None:
    add("folder", metavar="DIR", type=_path)
    _moved(add)
    add("--result", type=_path, metavar="FILE", help="verdict and witness in VNN-COMP's form")
    add("--json", action="store_true", help="print one JSON object")


def _moved(add: Callable[..., object]) -> None:
    add("--network", type=_path, metavar="NET.onnx", help="where it is by now (default: as FILE says)")
    add("--property", type=_path, metavar="PROP.vnnlib", help="where it is by now (default: as FILE says)")


def _info(add: Callable[..., object]) -> None:
    _files(add, optional="?")
    add("--input", default="", metavar="NAME", help=about("input").meaning)
    add("--output", default="", metavar="NAME", help=about("output").meaning)


def _radius(add: Callable[..., object]) -> None:
    add("network", metavar="NET.onnx", type=_path)
    add("point", metavar="INPUT", type=_path, help="a .npy, .npz or .csv file, or an image")
    add("--label", type=_typed(CLASS), metavar="K", help="the class to keep (default: the network's own)")
    add("--all", action="store_true", help="a radius for each other class by itself")
    add("--tolerance", type=_typed(SHARE), default=0.01, metavar="T",
        help="largest gap between the radii, as a share of the attacked one (default: 0.01)")  # fmt: skip
    add("--key", type=_name, metavar="NAME", help="array of a .npz file")
    add("--row", type=_typed(ROW), metavar="N", help="which of the file's inputs, from 0")
    add("--json", action="store_true", help="print one JSON object")
    add("--picture", dest="drawing", type=_path, metavar="FILE", help="draw the input and its nearest counterexample")
    _inputs(add)
    _options(add, ("timeout", *ROBUSTNESS_FLAGS, "jobs"))


def _robustness(add: Callable[..., object]) -> None:
    _data_set(add)
    add("--jobs", dest="processes", type=_typed(JOBS), default=1, metavar="N", help="inputs at a time (default: 1)")
    add("--timeout", type=_read("timeout"), metavar="S", help="seconds for each input and distance (default: 300)")
    add("--csv", type=_path, metavar="FILE", help="that every answer is appended to at once")
    add("--resume", action="store_true", help="keep the answers that --csv holds, ask for the others")
    add("--html", type=_path, metavar="FILE", help="one page with counts, curve and the weakest inputs")
    add("--vnnlib", type=_path, metavar="DIR", help="write the questions as VNN-LIB files with their instances.csv")
    _inputs(add)
    _options(add, ROBUSTNESS_FLAGS)


def _regions(add: Callable[..., object]) -> None:
    _data_set(add)
    add("--out", type=_path, default=Path("hypersplit-regions"), metavar="DIR",
        help="for the files (default: %(default)s)")  # fmt: skip
    add("--all", action="store_true", help="also of inputs that the network gives another class")
    add("--timeout", type=_read("timeout"), default=300.0, metavar="S", help="that the list says (default: 300)")
    _inputs(add)


def _data_set(add: Callable[..., object]) -> None:
    """A network, inputs with labels, and distances."""
    add("network", metavar="NET.onnx", type=_path)
    add("data", metavar="DATA", type=_path, help="a .npz with images and labels, a .npy, or a .csv, the label first")
    add("--epsilon", type=_numbers, required=True, metavar="E[,E2,...]", help="distances to ask for")
    add("--labels", type=_path, metavar="FILE", help="labels of a .npy: another one, or one a line")
    add("--limit", type=_typed(COUNT), metavar="N", help="the first N inputs alone")


def _inputs(add: Callable[..., object]) -> None:
    """What distances are measured in, and how raw numbers become inputs."""
    add("--norm", type=_norm, default=math.inf, metavar="inf|2|1", help="of the distance (default: inf)")
    add("--range", type=_interval, metavar="LO,HI",
        help="that inputs stay in, before --mean and --std (default: none)")  # fmt: skip
    add("--scale", type=_ratio, default=1.0, metavar="S", help="inputs are (raw * scale - mean) / std, e.g. 1/255")
    add("--mean", type=_numbers, default=(0.0,), metavar="M[,...]", help="one number, or one of each channel")
    add("--std", type=_numbers, default=(1.0,), metavar="D[,...]", help="the same")


def _bench(add: Callable[..., object]) -> None:
    add("lists", metavar="INSTANCES.csv", type=_path, nargs="+", help="or a folder of FAMILY/instances.csv")
    add("--result", type=_path, metavar="FILE", help="csv that every answer is appended to at once")
    add("--truth", type=_path, metavar="FILE", help="csv of known verdicts; a disagreement gives exit code 1")
    add("--timeout-cap", type=_read("timeout"), default=MOST_SECONDS, metavar="S", help="no instance gets more seconds")
    help_jobs = "instances at a time (default: 1)"
    add("--jobs", dest="processes", type=_typed(JOBS), default=1, metavar="N", help=help_jobs)
    add("--resume", action="store_true", help="keep the answers that --result holds, run the others")
    add("--only", type=_name, action="append", default=[], metavar="GLOB", help="family, network or property to run")
    add("--limit", type=_typed(COUNT), metavar="N", help="at most N instances a family, evenly spread")
    _options(add, BENCH_FLAGS)


def _study(add: Callable[..., object]) -> None:
    add("name", metavar="NAME", nargs="?", help="which one; without a name they are listed")
    add("--out", type=_path, metavar="DIR", help="for what it writes (default: hypersplit-study-NAME)")
    add("--timeout", type=_read("timeout"), metavar="S", help="seconds an instance (default: the study's own)")
    add("--quick", action="store_true", help="a small version of a few seconds")
    add("--seed", type=_read("seed"), default=0, metavar="N", help="first of the random networks (default: 0)")
    add("--resume", action="store_true", help="keep the rows that DIR holds, run the others")
    listed = ", ".join(LISTED)
    help_list = "a list onnx,vnnlib,timeout, for barrier studies the folder of the paper's networks, in place of the "
    add("--instances", type=_path, metavar="PATH", help=f"{help_list}study's own instances (of {listed})")
    add("--only", type=_name, action="append", default=[], metavar="GLOB", help="instances to run (same studies)")
    text = "of kpoly and barrier studies: these steps alone; of kpoly each for what the ones before it leave open"
    add("--steps", type=lambda told: tuple(told.split(",")), default=(), metavar="A,B", help=text)
    help_jobs = "questions at a time (default: 1; of barrier studies, partition-rules, subproblems)"
    add("--jobs", dest="processes", type=_typed(JOBS), default=1, metavar="N", help=help_jobs)
    add("--limit", type=_typed(COUNT), metavar="N", help="the first N inputs of a network, in barrier studies")


def _demo(add: Callable[..., object]) -> None:
    out = Path("hypersplit-demo")
    add("--out", type=_path, default=out, metavar="DIR", help="for the picture (default: %(default)s)")


def _warm(add: Callable[..., object]) -> None:
    """No words of its own."""


def _supports(add: Callable[..., object]) -> None:
    for name in CAPABILITIES:
        add(f"--{name}", dest="capabilities", action="append_const", const=name, default=[])


def _files(add: Callable[..., object], optional: str | None = None) -> None:
    add("network", metavar="NET.onnx", type=_path)
    add("property", metavar="PROP.vnnlib", type=_path, nargs=optional)


def _options(add: Callable[..., object], flagged: tuple[str, ...]) -> None:
    """Flags of options, as far as these have some, and --option for all."""
    for name in flagged:
        told = ABOUT[name]
        flag, _, metavar = told.flag.partition(" ")
        words = f"{told.meaning} (default: {told.default})".replace("%", "%%")
        if metavar:
            add(flag, dest=name, type=_read(name), metavar=metavar, help=words)
        elif flag:
            add(flag, dest=name, action="store_true", default=None, help=words)
    add("--option", action="append", default=[], metavar="NAME=VALUE", help="any option by its name, see below")


def _by_name(flagged: tuple[str, ...], refused: Collection[str] = ()) -> str:
    """The list behind the help: the options that have no flag there."""
    import textwrap

    lines = ["options by their names, for --option (docs/options.md tells more):"]
    for name, told in ABOUT.items():
        if name not in refused and not (told.flag and name in flagged):
            text = f"{told.meaning}: {told.kind.values} (default: {told.default})"
            lines += textwrap.wrap(text, WIDTH, initial_indent=f"  {name:9s} ", subsequent_indent=12 * " ")
    return "\n".join(lines)


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(version("hypersplit"))
        parser.exit()


class _Name(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print("hypersplit")
        parser.exit()


def _typed(kind: Kind) -> Callable[[str], Any]:
    """What reads a flag's value."""

    def convert(text: str) -> Any:
        try:
            return kind.of(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return convert


def _read(name: str) -> Callable[[str], Any]:
    """What reads the value of the flag that is the option `name`. An option that is given is not given as nothing."""
    convert = _typed(ABOUT[name].kind)

    def given(text: str) -> Any:
        if not text:
            raise argparse.ArgumentTypeError(ABOUT[name].kind.expected(text))
        return convert(text)

    return given


def _norm(text: str) -> float:
    if text not in NORMS:
        raise argparse.ArgumentTypeError(f"{shown(text)}: expected inf, 2 or 1")
    return NORMS[text]


def _numbers(text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{shown(text)}: expected numbers with commas between them") from error
    if not all(math.isfinite(value) for value in found):
        raise argparse.ArgumentTypeError(f"{shown(text)}: expected finite numbers")
    return found


def _ratio(text: str) -> float:
    """A number, or a quotient of two: 1/255 makes 1 of 255, which no decimal of it does."""
    parts = text.split("/")
    try:
        return float(parts[0]) if len(parts) == 1 else float(parts[0]) / float(parts[1] if len(parts) == 2 else "")
    except (ValueError, ZeroDivisionError) as error:
        raise argparse.ArgumentTypeError(f"{shown(text)}: expected a number, or a quotient like 1/255") from error


def _interval(text: str) -> tuple[float, float]:
    found = _numbers(text)
    if len(found) != 2 or not found[0] < found[1]:
        raise argparse.ArgumentTypeError(f"{shown(text)}: expected two numbers, the lower one first, e.g. 0,1")
    return found[0], found[1]


def _name(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError(f"{shown(text)}: expected a name")
    return text


def _path(text: str) -> Path:
    return Path(_name(text))


def given_options(args: argparse.Namespace) -> dict[str, Any]:
    """The options that were given, by flags or as `--option NAME=VALUE`.

    Raises InputError where a name is unknown, a value is none of the option's, or an option is given twice.
    """
    chosen = {name: getattr(args, name) for name in ABOUT if getattr(args, name, None) is not None}
    for text in args.option:
        name, separator, value = text.partition("=")
        if not separator:
            raise InputError(f"--option {shown(text)}: expected NAME=VALUE, e.g. rule=axes")
        about(name)
        if name in chosen:
            raise InputError(f"option {name}: given twice")
        chosen[name] = read(name, value)
    return chosen


def options_from(args: argparse.Namespace, **defaults: Any) -> Options:
    """The options that were given; `defaults` take the place of those of `Options`. Raises InputError."""
    return Options(**(defaults | given_options(args)))


def option_words(chosen: Mapping[str, Any]) -> list[str]:
    """The same options as words of a command line."""
    return [f"--option={name}={str(v).lower() if isinstance(v, bool) else v}" for name, v in chosen.items()]
