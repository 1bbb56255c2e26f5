"""The command `hypersplit`.

Its exit codes are in `bab/run/exit_codes.py`. Bad input is one line on stderr and no verdict. Only what `--help` needs
is imported here; the rest comes with the command that uses it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...instances.errors import InputError, PropertyError, UnsupportedOperatorError
from ...instances.memory import peak_mb
from ..run.arguments import Command, given_options, options_from, parser
from ..run.exit_codes import BAD_INPUT, DONE, INTERNAL, UNDECIDED, VERDICT_CODES
from ..run.options import Options
from .process import collect_rarely, leave, process_age, quiet, single_threaded_environment, terminable

if TYPE_CHECKING:
    from ..run.result import Result

__all__ = ["main"]

# what a part's verdicts are called: they are not the property's
PART_WORDS = {"unsat": "closed", "unknown": "open", "timeout": "open"}
LEAST_TIMEOUT = 0.01  # seconds left to a run whose limit went by while Python was starting


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    arguments: without the program's name; None takes this process's own, and `--timeout` then counts from the
    start of the process.
    """
    started = time.monotonic() - (process_age() if arguments is None else 0.0)
    if arguments is None:
        collect_rarely()
    try:
        words = sys.argv[1:] if arguments is None else list(arguments)
        by_name = any(word.partition("=")[0] == "--network" for word in words)
        args = parser(COMMANDS, by_name, words[0] if words else "").parse_args(words)
    except SystemExit as stop:  # --help, --version, or a usage error, already printed
        return int(stop.code or 0)
    args.started, args.own_process = started, arguments is None
    verbose = getattr(args, "verbose", False)
    try:
        with quiet(verbose), terminable():
            run: Command = args.run
            return leave(run(args), arguments is None)
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
    options = options_from(args, progress=not args.json)
    args.network = _by_names(args) if args.named else _networks(args)
    networks = list(args.network.values()) if isinstance(args.network, dict) else [args.network]
    _spare_outputs([*(Path(str(name)) for name in networks), args.property], args.result, options)
    if args.export is None:
        if args.parts is not None:
            raise InputError("--parts: there is no --export to divide")

        def work(left: float) -> Result:
            from ..verify import verify

            return verify(args.network, args.property, options, timeout=left)
    else:

        def work(left: float) -> Result:
            from ..parts import export

            parts = {} if args.parts is None else {"parts": args.parts}
            return export(args.network, args.property, args.export, options=options, timeout=left, **parts)

    return _answered(args, options, work)


def _resume(args: argparse.Namespace) -> int:
    given: Any = {"progress": not args.json} | given_options(args)
    options = Options(**given)
    _spare_outputs([args.file], args.result, options)

    def work(left: float) -> Result:
        from ..resume import resume

        return resume(args.file, _networks(args), args.property, **(given | {"timeout": left}))

    return _answered(args, options, work)


def _run_job(args: argparse.Namespace) -> int:
    given: Any = {"progress": not args.json} | given_options(args)
    options = Options(**given)
    _spare_outputs([args.file], None, options)

    def work(left: float) -> Result:
        from ..parts import run_job

        return run_job(args.file, _networks(args), args.property, **(given | {"timeout": left}))

    return _answered(args, options, work, PART_WORDS)


def _merge(args: argparse.Namespace) -> int:
    def work(left: float) -> Result:
        from ..parts import merge

        return merge(args.folder, _networks(args), args.property)

    return _answered(args, Options(), work)


def _networks(args: argparse.Namespace) -> str | dict[str, str] | None:
    """The network's path, or several by their names; None where no network is given."""
    from ..run.networks import named_networks

    return None if args.network is None else named_networks(str(args.network))


def _answered(
    args: argparse.Namespace, options: Options, work: Callable[[float], Result], words: Mapping[str, str] = {}
) -> int:
    """Do the work, which is given the seconds that it has, and say its result. words: what verdicts are called."""
    single_threaded_environment()
    from .report import json_text, result_file_text, summary

    named = getattr(args, "named", [])
    answer = _answered_by_name(args) if named and not args.json else None
    with _result_file(getattr(args, "result", None)) as write:

        def say(result: Result) -> None:
            told = replace(result, verdict=words.get(result.verdict, result.verdict))
            if answer:
                answer(told)
            else:
                print(json_text(told) if args.json else "\n".join(summary(told, args.verbose)), flush=True)
            write(result_file_text(told))

        result = _decide(args, options, work, say)
        say(result)
    return DONE if named else VERDICT_CODES[result.verdict]


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


def _decide(
    args: argparse.Namespace, options: Options, work: Callable[[float], Result], say: Callable[[Result], None]
) -> Result:
    """The work, with the ways to fail that are still an answer: an unsupported operator, memory, time, Ctrl-C.

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
            return work(max(end - time.monotonic(), LEAST_TIMEOUT))
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

        try:
            unstable = unstable_neurons(args.network, args.property, args.input, args.output)
        except (PropertyError, UnsupportedOperatorError):
            unstable = None  # described without; what is wrong with the property itself is told there
    print(describe(args.network, args.property, unstable, args.input, args.output))
    return DONE


def _robust(name: str, args: argparse.Namespace) -> int:
    """radius, robustness and regions."""
    single_threaded_environment()
    if name == "radius":
        from ..robustness.radius_command import radius_command as command
    elif name == "robustness":
        from ..robustness.robustness_command import robustness_command as command
    else:
        from ..robustness.regions_command import regions_command as command
    return command(args)


def _bench(args: argparse.Namespace) -> int:
    from ..bench.bench import bench

    return bench(args)


def _demo(args: argparse.Namespace) -> int:
    from .demo import demo

    return demo(args.out)


def _study(args: argparse.Namespace) -> int:
    single_threaded_environment()
    from ..studies.frame import study

    return study(args)


def _warm(args: argparse.Namespace) -> int:
    single_threaded_environment()
    from .warm import warm

    return warm()


COMMANDS: dict[str, Command] = {
    "verify": _verify, "resume": _resume, "run-job": _run_job, "merge": _merge, "info": _info,
    "radius": partial(_robust, "radius"), "robustness": partial(_robust, "robustness"),
    "regions": partial(_robust, "regions"), "bench": _bench, "study": _study, "demo": _demo, "warm": _warm,
    "supports": _supports,
}  # fmt: skip


def _spare_outputs(inputs: Sequence[Path], result: Path | None, options: Options) -> None:
    """Refuse to write over a file that is to be read, or two things into one file."""
    from ...instances.files import spare

    outputs = {"result": result, "log": options.log, "picture": options.picture, "checkpoint": options.checkpoint}
    spare(inputs, {name: Path(path) for name, path in outputs.items() if path})


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


def _complain(message: str, code: int) -> int:
    """One line on stderr, whatever the message holds."""
    print("hypersplit: " + " ".join(message.split()), file=sys.stderr)
    return code
