"""`hypersplit bench`: instance lists run as a competition runs them.

Each instance is a process of its own whose limits are enforced from outside. Its seconds are those of the
whole process; an answer after the limit is not counted. Every answer is appended to the results at once, so
that a run can be ended and resumed. Every `sat` is judged anew from the files, and every verdict compared
with those known.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import threading
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from ...instances.errors import InputError
from ...instances.files import spare
from ..run.arguments import given_options, option_words
from ..run.exit_codes import DONE, UNDECIDED, VERDICT_CODES, WRONG
from ..run.flags import OUTSIDE_BENCH
from ..run.options import MOST_SECONDS, Options
from .bench_instances import Instance, read_instances, select
from .bench_table import COLUMNS, Row, complaints, csv_line, read_rows, read_truth, table, values
from .limited_process import Ended, run_limited
from .witness_check import check_witness

__all__ = ["Bench", "bench"]

GRACE, GRACE_SHARE = 2.0, 0.05  # seconds, and share of the limit, that a process may take to end by itself


@dataclass(frozen=True)
class Bench:
    """How instances are run."""

    flags: tuple[str, ...] = ()  # given to every `hypersplit verify`
    memory_mb: float = Options.memory_mb
    timeout_cap: float = MOST_SECONDS  # seconds that no instance exceeds
    jobs: int = 1  # instances at a time
    command: tuple[str, ...] = (sys.executable, "-m", "hypersplit.bab", "verify")

    def run(self, instance: Instance, stop: threading.Event | None = None) -> Row | None:
        """Answer one instance; None if `stop` was set before the end."""
        limit = min(instance.timeout, self.timeout_cap)
        with tempfile.TemporaryDirectory(prefix="hypersplit-") as folder:
            result = Path(folder) / "result.txt"
            command = [
                *self.command, instance.network_word, str(instance.property), "--timeout", repr(limit),
                "--memory", repr(self.memory_mb), "--result", str(result), "--json", *self.flags,
            ]  # fmt: skip
            # Instances side by side must not fight for cores, or times say nothing.
            threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"} if self.jobs > 1 else {}
            grace = max(GRACE, GRACE_SHARE * limit)
            ended = run_limited(command, limit + grace, self.memory_mb, threads, stop)
            if ended.limit == "interrupted":
                return None
            witness = ""
            if _first_line(result) == "sat":
                witness = check_witness(instance.networks, instance.property, result)
            return _row(instance, limit, ended, witness)


def bench(args: Namespace) -> int:
    """The command: run, print the table, and say by the exit code whether anything was wrong."""
    chosen = given_options(args)
    for name in chosen.keys() & OUTSIDE_BENCH.keys():
        raise InputError(f"option {name}: not for bench: {OUTSIDE_BENCH[name]}")
    options = Options(**chosen)  # what is wrong with them should not be said once an instance
    if args.resume and not args.result:
        raise InputError("--resume needs --result, the csv to go on with")
    spare([*args.lists, *filter(None, [args.truth])], {"result": args.result} if args.result else {})
    instances = select(read_instances(args.lists), args.only, args.limit)
    if not instances:
        raise InputError(f"--only {' '.join(args.only)}: matches no instance")
    truth = read_truth(args.truth) if args.truth else {}
    runner = Bench(_flags(chosen, args.processes), options.memory_mb, args.timeout_cap, args.processes)
    former = read_rows(args.result) if args.resume and args.result.exists() else []
    order = {instance.key: place for place, instance in enumerate(instances)}
    rows = [row for row in former if row.key in order]
    done = {row.key for row in rows}
    complete = True
    with _results(args.result, former) as file:
        for row in _run_all(runner, [i for i in instances if i.key not in done]):
            if row is None:
                complete = False
                continue
            rows.append(row)
            file.write(csv_line(values(row)))
            file.flush()
    rows.sort(key=lambda row: order[row.key])
    print("\n".join([table(rows, truth), *complaints(rows, truth)]))
    if any(row.bad_witness or row.contradicts(truth) for row in rows):
        return WRONG
    return DONE if complete else UNDECIDED


def _flags(chosen: Mapping[str, Any], processes: int) -> tuple[str, ...]:
    """The options of `verify` that were given, to be handed on; the memory's limit is told to every process anyway."""
    shared = {"jobs": max(1, Options.jobs // processes)} if processes > 1 else {}
    return tuple(option_words({name: v for name, v in (shared | dict(chosen)).items() if name != "memory_mb"}))


def _run_all(runner: Bench, instances: Sequence[Instance]) -> Iterator[Row | None]:
    """Rows as they come, None for what Ctrl-C cut short; a bar where there is a terminal."""
    from tqdm import tqdm

    stop = threading.Event()
    bar = tqdm(total=len(instances), unit="instance", disable=None, leave=False)
    with bar, ThreadPoolExecutor(runner.jobs) as pool:
        futures = [pool.submit(runner.run, instance, stop) for instance in instances]
        try:
            for future in as_completed(futures):
                row = future.result()
                if row is not None:
                    bar.set_postfix_str(f"{row.family} {row.verdict} {row.seconds:.1f} s", refresh=False)
                    bar.update()
                yield row
        except KeyboardInterrupt:
            stop.set()
            with _undisturbed():
                pool.shutdown(cancel_futures=True)
            yield None
        finally:
            stop.set()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """No second Ctrl-C while the processes of the first are being ended, or they would be left behind."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _row(instance: Instance, limit: float, ended: Ended, witness: str) -> Row:
    verdict, reason, answer = _answer(ended)
    statistics = answer.get("statistics", {})
    return Row(
        *instance.key, verdict, round(ended.seconds, 3), round(answer.get("seconds", 0.0), 3),
        round(max(ended.peak_mb, statistics.get("memory_mb", 0.0)), 1), int(statistics.get("nodes", 0)),
        reason, limit, (witness or "none was written") if verdict == "sat" else "",
    )  # fmt: skip


def _answer(ended: Ended) -> tuple[str, str, dict[str, Any]]:
    """Verdict, reason, and the JSON object that the process printed (empty if none)."""
    if ended.limit:
        return ("timeout", "killed: time", {}) if ended.limit == "time" else ("unknown", "memory", {})
    if ended.code in VERDICT_CODES.values():
        try:
            answer = json.loads(ended.stdout)
            return answer["verdict"], answer["reason"], answer
        except (ValueError, LookupError, TypeError):
            return "error", f"exit code {ended.code}, but no JSON object on stdout", {}
    said = ended.stderr.strip().splitlines()
    return "error", f"exit code {ended.code}" + (f": {said[-1]}" if said else ""), {}


def _first_line(path: Path) -> str:
    if not path.exists():
        return ""
    with open(path, encoding="utf-8") as file:
        return file.readline().strip()


@contextmanager
def _results(path: Path | None, rows: Sequence[Row]) -> Iterator[TextIO]:
    """The open results file, with `rows` in it already."""
    with open(path or os.devnull, "w", encoding="utf-8", newline="") as file:
        file.writelines([csv_line(COLUMNS), *(csv_line(values(row)) for row in rows)])
        file.flush()
        yield file
