"""The words of the command `hypersplit`: its commands, flags and how they become `Options`."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

from ...instances.errors import InputError
from .options import METHODS, Options

__all__ = ["BAD_INPUT", "Command", "options_from", "parser"]

BAD_INPUT = 2  # exit code, of usage errors too
Command = Callable[[argparse.Namespace], int]  # runs and returns the exit code


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the whole usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"hypersplit: error: {message}; see `{self.prog} --help`\n")


def parser(commands: Mapping[str, Command]) -> argparse.ArgumentParser:
    """The parser; `run` of what it parses is the command of that name: verify, info, bench, study, demo or warm."""
    top = _Parser(prog="hypersplit", description="Decide whether a neural network can violate a property.")
    top.add_argument("--version", action=_Version, nargs=0, help="show the version and end")
    names = top.add_subparsers(metavar="COMMAND", required=True)
    words = {"verify": _verify, "info": _info, "bench": _bench, "study": _study, "demo": _demo, "warm": _warm}
    about = {
        "verify": "decide one property of one network",
        "info": "what the files hold",
        "bench": "run VNN-COMP instance lists, one process an instance",
        "study": "run an experiment: csv, figures and one HTML page",
        "demo": "three questions about real networks, answered in under a minute",
        "warm": "compile the kernels now, so that no run does without them",
    }
    for name, add_words in words.items():
        command = names.add_parser(name, help=about[name], description=about[name])
        add_words(command.add_argument)
        command.add_argument("-v", "--verbose", action="store_true", help="tell more, and where an error came from")
        command.set_defaults(run=commands[name])
    return top


def _verify(add: Callable[..., object]) -> None:
    _files(add)
    add("--timeout", type=_number, metavar="S", help=f"seconds in all (default: {Options.timeout:g})")
    add("--result", type=Path, metavar="FILE", help="verdict and witness in VNN-COMP's form")
    add("--json", action="store_true", help="print one JSON object")
    add("--jobs", type=_integer, metavar="N", help="processor cores to use (default: all)")
    add("--log", metavar="FILE", help="what was tried, why, and what it brought")
    add("--picture", metavar="FILE.png", help="draw the partition of the input set and the split tree")
    add("--picture-inputs", metavar="I,J", help="inputs to draw it in (default: two that show many cells)")
    _search(add)


def _info(add: Callable[..., object]) -> None:
    _files(add, optional="?")


def _bench(add: Callable[..., object]) -> None:
    add("lists", metavar="INSTANCES.csv", type=Path, nargs="+", help="or a folder of FAMILY/instances.csv")
    add("--result", type=Path, metavar="FILE", help="csv that every answer is appended to at once")
    add("--truth", type=Path, metavar="FILE", help="csv of known verdicts; a disagreement gives exit code 1")
    add("--timeout-cap", type=_number, default=math.inf, metavar="S", help="no instance gets more seconds")
    add("--jobs", dest="processes", type=_integer, default=1, metavar="N", help="instances at a time (default: 1)")
    add("--resume", action="store_true", help="keep the answers that --result holds, run the others")
    add("--only", action="append", default=[], metavar="GLOB", help="family, network or property to run")
    add("--limit", type=_integer, metavar="N", help="at most N instances a family, evenly spread")
    _search(add)


def _study(add: Callable[..., object]) -> None:
    add("name", metavar="NAME", nargs="?", help="which one; without a name they are listed")
    add("--out", type=Path, metavar="DIR", help="for what it writes (default: hypersplit-study-NAME)")
    add("--timeout", type=_number, metavar="S", help="seconds an instance")
    add("--quick", action="store_true", help="a small version of a few seconds")
    add("--seed", type=_seed, default=0, metavar="N", help="first of the random networks (default: 0)")
    add("--resume", action="store_true", help="keep the rows that DIR holds, run the others")
    add("--instances", type=Path, metavar="FILE.csv", help="partition-rules: a list onnx,vnnlib,timeout")
    add("--only", action="append", default=[], metavar="GLOB", help="partition-rules: instances to run")


def _demo(add: Callable[..., object]) -> None:
    add(
        "--out",
        type=Path,
        default=Path("hypersplit-demo"),
        metavar="DIR",
        help="for the picture (default: %(default)s)",
    )


def _warm(add: Callable[..., object]) -> None:
    """No words of its own."""


def _files(add: Callable[..., object], optional: str | None = None) -> None:
    add("network", metavar="NET.onnx", type=Path)
    add("property", metavar="PROP.vnnlib", type=Path, nargs=optional)


def _search(add: Callable[..., object]) -> None:
    """The options of the search; their names are those of `Options`."""
    add("--seed", type=_seed, metavar="N", help=f"of every random choice (default: {Options.seed})")
    add(
        "--memory",
        dest="memory_mb",
        type=_number,
        metavar="MB",
        help=f"limit of resident memory (default: {Options.memory_mb:g})",
    )
    add("--method", choices=METHODS, help="auto, branch and bound only, or SCIP's MILP only")
    add("--trust-scip", action="store_true", help="let SCIP's floating-point word close what nothing proves")
    add("--option", action="append", default=[], metavar="NAME=VALUE", help="any other option")


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"hypersplit {version('hypersplit')}")
        parser.exit()


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a positive number")
    return value


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected an integer") from None


def _seed(text: str) -> int:
    value = _integer(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text!r}: expected no negative number")
    return value


def _option(text: str) -> tuple[str, Any]:
    """`name=value` with the value read as the type of that option's default."""
    name, separator, value = text.partition("=")
    defaults = {f.name: f.default for f in fields(Options)}
    if not separator or name not in defaults:
        raise InputError(f"--option {text}: expected NAME=VALUE with one of {', '.join(sorted(defaults))}")
    kind: Any = type(defaults[name])
    if kind is bool:
        if value not in ("true", "false"):
            raise InputError(f"--option {text}: expected true or false")
        return name, value == "true"
    try:
        return name, kind(value)
    except ValueError as error:
        wanted = "an integer" if kind is int else "a number"
        raise InputError(f"--option {text}: expected {wanted}") from error


def options_from(args: argparse.Namespace, **more: Any) -> Options:
    """Options from the flags that were given, then `--option NAME=VALUE`, then `more`.

    Raises InputError where a name is unknown or a value is out of range.
    """
    given = {f.name: getattr(args, f.name, None) for f in fields(Options)}
    chosen = {name: value for name, value in given.items() if value is not None}
    chosen |= dict(_option(text) for text in args.option)
    try:
        return Options(**(chosen | more))
    except (TypeError, ValueError) as error:
        raise InputError(str(error)) from error
