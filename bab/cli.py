"""The command `hypersplit`.

Exit codes: 0 the property holds (`unsat`), 1 it is violated (`sat`), 3 `unknown` or `timeout`, 2 bad input or
usage, 4 an internal error. Bad input is one line on stderr and no verdict. Only what `--help` needs is imported
here; the rest comes with the command that uses it.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import math
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from ..instances.errors import InputError, UnsupportedOperatorError
from .options import METHODS, Options

if TYPE_CHECKING:
    from .result import Result

__all__ = ["main", "options_from"]

BAD_INPUT, UNDECIDED, INTERNAL = 2, 3, 4
LEAST_TIMEOUT = 0.01  # seconds left to a run whose limit went by while Python was starting


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    arguments: without the program's name; None takes this process's own, and `--timeout` then counts from the
    start of the process.
    """
    started = time.monotonic() - (_process_age() if arguments is None else 0.0)
    try:
        args = _parser().parse_args(arguments)
    except SystemExit as stop:  # --help, --version, or a usage error, already printed
        return int(stop.code or 0)
    args.started = started
    verbose = getattr(args, "verbose", False)
    try:
        with _quiet(verbose), _terminable():
            run: Callable[[argparse.Namespace], int] = args.run
            return run(args)
    except BrokenPipeError:  # the reader of our output has gone: nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNDECIDED
    except (InputError, OSError) as error:
        return _complain(f"error: {error}", BAD_INPUT)
    except KeyboardInterrupt:
        return _complain("interrupted", UNDECIDED)
    except Exception as error:
        if verbose:
            traceback.print_exc()
        hint = "" if verbose else " (-v shows where; please report it)"
        return _complain(f"internal error: {type(error).__name__}: {error}{hint}", INTERNAL)


def options_from(args: argparse.Namespace, **more: object) -> Options:
    """Options from the flags that were given, then `--option NAME=VALUE`, then `more`.

    Raises InputError where a name is unknown or a value is out of range.
    """
    flags = {"timeout": "timeout", "seed": "seed", "jobs": "jobs", "memory": "memory_mb", "method": "method", "log": "log"}
    chosen: dict[str, object] = {
        name: getattr(args, flag) for flag, name in flags.items() if getattr(args, flag, None) is not None
    }
    chosen |= dict(_option(text) for text in args.option)
    try:
        return Options(**(chosen | more))  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise InputError(str(error)) from error


def _verify(args: argparse.Namespace) -> int:
    from .report import EXIT_CODES, json_text, result_file_text, summary

    options = options_from(args, progress=not args.json)
    _spare_inputs(args)
    with _result_file(args.result) as write:
        result = _decide(args, options)
        print(json_text(result) if args.json else "\n".join(summary(result, args.verbose)), flush=True)
        write(result_file_text(result))
    return EXIT_CODES[result.verdict]


def _decide(args: argparse.Namespace, options: Options) -> Result:
    """`verify`, with the ways to fail that are still an answer: an unsupported operator, memory, Ctrl-C."""
    from .result import Result
    from .verify import verify

    left = args.started + options.timeout - time.monotonic()
    try:
        return verify(args.network, args.property, options, timeout=max(left, LEAST_TIMEOUT))
    except UnsupportedOperatorError as error:
        reason = f"unsupported operator: {error}"
    except MemoryError:
        reason = "memory"
    except KeyboardInterrupt:
        reason = "interrupted"
    return Result("unknown", reason=reason, seconds=time.monotonic() - args.started)


def _info(args: argparse.Namespace) -> int:
    from ..instances.info import describe

    print(describe(args.network, args.property))
    return 0


def _bench(args: argparse.Namespace) -> int:
    from .bench import bench

    return bench(args)


def _demo(args: argparse.Namespace) -> int:
    from .demo import demo

    return demo(args.out)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the whole usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"hypersplit: error: {message}; see `{self.prog} --help`\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="hypersplit", description="Decide whether a neural network can violate a property.")
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and end")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    verify = commands.add_parser("verify", help="decide one property of one network")
    verify.add_argument("network", metavar="NET.onnx", type=Path)
    verify.add_argument("property", metavar="PROP.vnnlib", type=Path)
    verify.add_argument("--timeout", type=_number, metavar="S", help=f"seconds in all (default: {Options.timeout:g})")
    verify.add_argument("--result", type=Path, metavar="FILE", help="verdict and witness in VNN-COMP's form")
    verify.add_argument("--json", action="store_true", help="print one JSON object")
    verify.add_argument("--jobs", type=int, metavar="N", help="processor cores to use (default: all)")
    verify.add_argument("--log", metavar="FILE", help="what was tried, why, and what it brought")
    verify.set_defaults(run=_verify)

    info = commands.add_parser("info", help="what the files hold")
    info.add_argument("network", metavar="NET.onnx", type=Path)
    info.add_argument("property", metavar="PROP.vnnlib", type=Path, nargs="?")
    info.set_defaults(run=_info)

    bench = commands.add_parser("bench", help="run VNN-COMP instance lists, one process an instance")
    bench.add_argument("lists", metavar="INSTANCES.csv", type=Path, nargs="+", help="or a folder of FAMILY/instances.csv")
    bench.add_argument("--result", type=Path, metavar="FILE", help="csv that every answer is appended to at once")
    bench.add_argument("--truth", type=Path, metavar="FILE", help="csv of known verdicts; a disagreement ends with code 1")
    bench.add_argument("--timeout-cap", type=_number, default=math.inf, metavar="S", help="no instance gets more seconds")
    bench.add_argument("--jobs", type=int, default=1, metavar="N", help="instances at a time (default: 1)")
    bench.add_argument("--resume", action="store_true", help="keep the answers that --result holds, run the others")
    bench.add_argument("--only", action="append", default=[], metavar="GLOB", help="family, network or property to run")
    bench.add_argument("--limit", type=int, metavar="N", help="at most N instances a family, evenly spread")
    bench.set_defaults(run=_bench)

    for command in (verify, bench):
        command.add_argument("--seed", type=int, metavar="N", help="of every random choice (default: 0)")
        command.add_argument("--memory", type=_number, metavar="MB", help=f"limit (default: {Options.memory_mb:g})")
        command.add_argument("--method", choices=METHODS, help="auto, branch and bound only, or SCIP's MILP only")
        command.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="any other option")
    demo = commands.add_parser("demo", help="two questions about a real network, answered in under a minute")
    demo.add_argument("--out", type=Path, metavar="DIR", help="where to put the picture (default: hypersplit-demo)")
    demo.set_defaults(run=_demo)
    for command in (verify, info, bench, demo):
        command.add_argument("-v", "--verbose", action="store_true", help="tell more")
    return parser


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"hypersplit {version('hypersplit')}")
        parser.exit()


def _number(text: str) -> float:
    value = float(text)
    if not 0.0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text}: expected a positive number")
    return value


def _option(text: str) -> tuple[str, object]:
    """`name=value` with the value read as the type of that option's default."""
    name, separator, value = text.partition("=")
    defaults = {f.name: f.default for f in fields(Options)}
    if not separator or name not in defaults:
        raise InputError(f"--option {text}: expected NAME=VALUE with one of {', '.join(sorted(defaults))}")
    kind = type(defaults[name])
    if kind is bool:
        if value not in ("true", "false"):
            raise InputError(f"--option {text}: expected true or false")
        return name, value == "true"
    try:
        return name, kind(value)
    except ValueError as error:
        raise InputError(f"--option {text}: {value!r} is no {kind.__name__}") from error


def _spare_inputs(args: argparse.Namespace) -> None:
    """Refuse to write over a file that is to be read."""
    for written in filter(None, (args.result, args.log)):
        for read in (args.network, args.property):
            if Path(written).exists() and read.exists() and os.path.samefile(written, read):
                raise InputError(f"{written}: is an input, choose another file to write to")


@contextlib.contextmanager
def _result_file(path: Path | None) -> Iterator[Callable[[str], object]]:
    """A callable that writes the result file.

    Opened before the work, so that a wrong path costs no hours, and emptied, so that no old answer stays.
    """
    if path is None:
        yield lambda text: None
        return
    try:
        with open(path, "w", encoding="utf-8") as file:
            yield file.write
    except (InputError, OSError):
        if path.is_file():
            path.unlink()
        raise
    except Exception:
        path.write_text("unknown\n", encoding="utf-8")
        raise


@contextlib.contextmanager
def _quiet(verbose: bool) -> Iterator[None]:
    """Libraries' warnings are silenced, unless `verbose`, which also shows our own log on stderr."""
    log = logging.getLogger("hypersplit")
    handler = logging.StreamHandler() if verbose else logging.NullHandler()
    level = log.level
    log.addHandler(handler)
    if verbose:
        log.setLevel(logging.INFO)
    try:
        with warnings.catch_warnings():
            if not verbose:
                warnings.simplefilter("ignore")
            yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM counts as Ctrl-C: what is proved so far is written down before the end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _process_age() -> float:
    """Seconds since this process was started; where /proc does not tell, those of the processor it used."""
    try:
        started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        return max(0.0, uptime - started / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError):
        return time.process_time()


def _complain(message: str, code: int) -> int:
    """One line on stderr, whatever the message holds."""
    print("hypersplit: " + " ".join(message.split()), file=sys.stderr)
    return code
