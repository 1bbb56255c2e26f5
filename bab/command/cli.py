"""The command `hypersplit`.

Its exit codes are in `bab/run/exit_codes.py`. Bad input is one line on stderr and no verdict. Only what `--help` needs
is imported here; the rest comes with the command that uses it.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from ...instances.errors import InputError, UnsupportedOperatorError
from ...instances.memory import peak_mb
from ..run.arguments import Command, options_from, parser
from ..run.exit_codes import BAD_INPUT, DONE, INTERNAL, UNDECIDED, VERDICT_CODES

if TYPE_CHECKING:
    from ..run.options import Options
    from ..run.result import Result

__all__ = ["main"]

LEAST_TIMEOUT = 0.01  # seconds left to a run whose limit went by while Python was starting


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    arguments: without the program's name; None takes this process's own, and `--timeout` then counts from the
    start of the process.
    """
    started = time.monotonic() - (_process_age() if arguments is None else 0.0)
    try:
        words = sys.argv[1:] if arguments is None else list(arguments)
        by_name = any(word.partition("=")[0] == "--network" for word in words)
        args = parser(COMMANDS, by_name).parse_args(words)
    except SystemExit as stop:  # --help, --version, or a usage error, already printed
        return int(stop.code or 0)
    args.started, args.own_process = started, arguments is None
    verbose = getattr(args, "verbose", False)
    try:
        with _quiet(verbose), _terminable():
            run: Command = args.run
            return _leave(run(args), arguments is None)
    except BrokenPipeError:  # the reader of our output has gone: nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNDECIDED
    except InputError as error:
        return _complain(f"error: {error}", BAD_INPUT)
    except OSError as error:
        where = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else error
        return _complain(f"error: {where}", BAD_INPUT)
    except KeyboardInterrupt:
        return _complain("interrupted", UNDECIDED)
    except Exception as error:
        if verbose:
            traceback.print_exc()
        hint = "" if verbose else " (-v shows where; please report it)"
        return _complain(f"internal error: {type(error).__name__}: {error}{hint}", INTERNAL)


def _verify(args: argparse.Namespace) -> int:
    _one_thread_of_algebra()
    options = options_from(args, progress=not args.json)
    from ..run.networks import named_networks
    from .report import json_text, result_file_text, summary

    args.network = _by_names(args) if args.named else named_networks(str(args.network))
    answer = _answered_by_name(args) if args.named and not args.json else None
    _spare_inputs(args, options)
    with _result_file(args.result) as write:

        def say(result: Result) -> None:
            if answer:
                answer(result)
            else:
                print(json_text(result) if args.json else "\n".join(summary(result, args.verbose)), flush=True)
            write(result_file_text(result))

        result = _decide(args, options, say)
        say(result)
    return DONE if args.named else VERDICT_CODES[result.verdict]


def _by_names(args: argparse.Namespace) -> dict[str, str]:
    from .standard import named

    return named(args.named)


def _answered_by_name(args: argparse.Namespace) -> Callable[[Result], None]:
    """What tells a result as the VNN-LIB standard asks for it, and the rest on stderr."""
    from .report import summary
    from .standard import answer_lines, declared_in, serialise

    networks = declared_in(args.property)

    def answer(result: Result) -> None:
        if result.witness and args.assignments:
            serialise(result.witness, networks, args.assignments)
        print("\n".join(answer_lines(result, networks, values=not args.assignments)), flush=True)
        print("\n".join(summary(result, args.verbose)[1:]), file=sys.stderr)

    return answer


def _supports(args: argparse.Namespace) -> int:
    from .standard import CAPABILITIES

    if len(args.capabilities) != 1:
        raise InputError("supports: expected one capability, e.g. --onnx-operators; see `hypersplit supports --help`")
    print("\n".join(CAPABILITIES[args.capabilities[0]]()))
    return DONE


def _decide(args: argparse.Namespace, options: Options, say: Callable[[Result], None]) -> Result:
    """`verify`, with the ways to fail that are still an answer: an unsupported operator, memory, time, Ctrl-C.

    say: what is done with a result that does not come back from here, because the run overruns its limits.
    """
    from ..run.limits import cause
    from ..run.watch import watched

    end = args.started + options.timeout

    def last_word(reason: str) -> None:
        say(_undecided(reason, args.started))
        if args.named:
            os._exit(DONE)

    try:
        with watched(end, options.timeout, options.memory_mb, last_word if args.own_process else None):
            from ..verify import verify

            left = max(end - time.monotonic(), LEAST_TIMEOUT)
            return verify(args.network, args.property, options, timeout=left)
    except UnsupportedOperatorError as error:
        reason = f"unsupported operator: {error}"
    except MemoryError:
        reason = "memory"
    except KeyboardInterrupt as stop:
        reason = cause(stop)
    return _undecided(reason, args.started)


def _undecided(reason: str, started: float) -> Result:
    from ..run.result import Result

    verdict, peak = "timeout" if reason == "time" else "unknown", {"memory_mb": round(peak_mb(), 1)}
    return Result(verdict, reason=reason, statistics=peak, seconds=time.monotonic() - started)


def _info(args: argparse.Namespace) -> int:
    from .info import describe

    unstable = None
    if args.property:
        from .inspection import unstable_neurons

        unstable = unstable_neurons(args.network, args.property)
    print(describe(args.network, args.property, unstable))
    return DONE


def _bench(args: argparse.Namespace) -> int:
    from ..bench.bench import bench

    return bench(args)


def _demo(args: argparse.Namespace) -> int:
    from .demo import demo

    return demo(args.out)


def _study(args: argparse.Namespace) -> int:
    _one_thread_of_algebra()
    from ..studies.frame import study

    return study(args)


def _warm(args: argparse.Namespace) -> int:
    _one_thread_of_algebra()
    from .warm import warm

    return warm()


COMMANDS = {
    "verify": _verify, "info": _info, "bench": _bench, "study": _study, "demo": _demo, "warm": _warm,
    "supports": _supports,
}  # fmt: skip


def _leave(code: int, own_process: bool) -> int:
    """The exit code; our own process ends here where threads still work for a run that was interrupted."""
    if own_process and threading.active_count() > 1:
        sys.stdout.flush()
        os._exit(code)
    return code


def _one_thread_of_algebra() -> None:
    # before numpy starts: the search's own threads are the parallelism, and two kinds of them get in each other's way
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def _spare_inputs(args: argparse.Namespace, options: Options) -> None:
    """Refuse to write over a file that is to be read, or two things into one file."""
    from ...instances.files import spare

    outputs = {"result": args.result, "log": options.log, "picture": options.picture}
    networks = list(args.network.values()) if isinstance(args.network, dict) else [args.network]
    spare([*networks, args.property], {name: Path(path) for name, path in outputs.items() if path})


@contextlib.contextmanager
def _result_file(path: Path | None) -> Iterator[Callable[[str], object]]:
    """A callable that writes the result file.

    Opened before the work, so that a wrong path costs no hours, and emptied, so that no old answer stays.
    """
    if path is None:
        yield lambda text: None
        return
    try:
        file = open(path, "w", encoding="utf-8")
    except OSError as error:  # not below: a file that cannot be opened is not ours to remove
        raise InputError(f"--result {path}: cannot be written: {error.strerror}") from error
    try:
        with file:

            def write(text: str) -> None:
                file.write(text)
                file.flush()

            yield write
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
