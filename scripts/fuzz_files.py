"""Fuzz of the files that are read: random and damaged VNN-LIB texts and ONNX models, by their seeds.

    python scripts/fuzz_files.py texts --count 1000000
    python scripts/fuzz_files.py models --count 100000 --seed 500000
    python scripts/fuzz_files.py verify --count 5000       both, by the command itself
    python scripts/fuzz_files.py texts --seed 1234 --count 1 --show      one of them again, with its text

A text (`tests/text_mutations.py`) is refused in one line, or its normal form holds at random points as a slow evaluator
of the text says; a model (`tests/model_mutations.py`) is refused in one line, or its network computes what onnxruntime
does. The command ends with 2 and one line on stderr, or with a verdict: a witness that the evaluator accepts at
onnxruntime's outputs, or `unsat` where no random input that is tried is a counterexample. None takes more than SECONDS
or makes the process grow beyond MEGABYTES. What is wrong is printed with its seed; the exit code is 1 then.

Work is done in a process of its own, begun anew where a library ends it. Runs in a checkout whose package is installed.
"""

from __future__ import annotations

import argparse
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import asked_files  # noqa: E402
import model_mutations  # noqa: E402
import text_mutations  # noqa: E402

SECONDS, MEGABYTES = 10, 1000
EVERY = 2000  # files between two lines that tell how far it is
AT_ONCE = 50  # files that are told of together


class Late(BaseException):
    """A file took too long; no Exception, so that nobody takes it for an error of their own."""


class Limit:
    """Raises Late where a seed takes more than SECONDS of the processor's time: the machine may be busy otherwise.

    One timer ticks through all seeds, since to set one for each takes longer than most of them do.
    """

    def __init__(self) -> None:
        self.began = time.process_time()
        signal.signal(signal.SIGPROF, self._tick)
        signal.setitimer(signal.ITIMER_PROF, 1.0, 1.0)

    def stop(self) -> None:
        """No more ticks, one of which would end a process that is about to end."""
        signal.setitimer(signal.ITIMER_PROF, 0.0)

    def _tick(self, number: int, frame: FrameType | None) -> None:
        if time.process_time() - self.began > SECONDS:
            raise Late


def text(seed: int) -> str:
    """What becomes of the text of a seed."""
    return text_mutations.outcome(*text_mutations.drawn(seed))


def model(seed: int) -> str:
    """What becomes of the model of a seed."""
    return model_mutations.outcome(*model_mutations.drawn(seed))


KINDS: dict[str, Callable[[int], str]] = {"texts": text, "models": model, "verify": asked_files.outcome}


def work(kind: str, first: int, end: int, told: Connection, begun: Any) -> None:
    """Go through seeds; `begun` holds the one that is being asked, and what became of them is told AT_ONCE together."""
    limit, found = Limit(), []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for seed in range(first, end):
        begun.value, limit.began = seed, time.process_time()
        try:
            said = KINDS[kind](seed)
        except Late:
            said = f"WRONG: more than {SECONDS} s"
        except Exception as error:
            said = f"WRONG: {type(error).__name__} {error}"
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if after > MEGABYTES * 1024 > before:
            said = f"WRONG: {after // 1024} MB"
        before = after
        found.append(said)
        if len(found) == AT_ONCE or seed == end - 1 or said.startswith("WRONG"):
            told.send(found)
            found = []
    limit.stop()


def outcomes(kind: str, first: int, end: int) -> Iterator[tuple[int, str]]:
    """(seed, what became of it), one after another; a process that ends begins anew behind the seed that ended it."""
    context = get_context("spawn")
    while first < end:
        receiver, sender = context.Pipe(duplex=False)
        begun = context.Value("q", first - 1, lock=False)
        process = context.Process(target=work, args=(kind, first, end, sender, begun), daemon=True)
        process.start()
        sender.close()
        try:
            while True:
                for said in receiver.recv():
                    yield first, said
                    first += 1
        except EOFError:
            process.join()
        if process.exitcode and begun.value < first:
            raise RuntimeError(f"the process of {kind} ended with {process.exitcode} before seed {first}")
        for seed in range(first, begun.value if process.exitcode else first):
            yield seed, "not told"  # those right before the one that ended it
        if process.exitcode:
            yield begun.value, f"DIED: exit code {process.exitcode}"
            first = begun.value + 1


def main() -> int:
    """The command line; 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--count", type=int, default=10_000, help="seeds to go through")
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--show", action="store_true", help="print texts as they are drawn")
    args = parser.parse_args()
    counts: Counter[str] = Counter()
    began = time.monotonic()
    for seed, said in outcomes(args.kind, args.seed, args.seed + args.count):
        if args.show and args.kind == "texts":
            print(text_mutations.drawn(seed)[0])
        bad = said.startswith(("WRONG", "DIED"))
        counts[said.split(":")[0]] += 1
        if bad:
            print(f"seed {seed}: {said[:400]}", flush=True)
        if counts.total() % EVERY == 0:
            spent = time.monotonic() - began
            rate = counts.total() / spent
            print(f"{counts.total()} {args.kind}, {spent:.0f} s, {rate:.0f} a second: {dict(counts)}", flush=True)
    print(f"{args.kind} of seeds {args.seed} to {args.seed + args.count - 1}: {dict(counts)}")
    return int(counts["WRONG"] + counts["DIED"] > 0)


if __name__ == "__main__":
    sys.exit(main())
