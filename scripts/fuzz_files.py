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
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import asked_files  # noqa: E402
import model_mutations  # noqa: E402
import text_mutations  # noqa: E402

SECONDS, MEGABYTES = 10, 1000
EVERY = 2000  # files between two lines that tell how far it is


class Late(BaseException):
    """A file took too long; no Exception, so that nobody takes it for an error of their own."""


@contextmanager
def limited() -> Iterator[None]:
    """Late is raised after SECONDS of the processor's time: the machine may be busy with something else."""

    def late(number: int, frame: FrameType | None) -> None:
        raise Late

    signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)


def text(seed: int) -> str:
    """What becomes of the text of a seed."""
    drawn = text_mutations.drawn(seed)
    with limited():
        return text_mutations.outcome(*drawn)


def model(seed: int) -> str:
    """What becomes of the model of a seed."""
    drawn = model_mutations.drawn(seed)
    with limited():
        return model_mutations.outcome(*drawn)


def asked(seed: int) -> str:
    """What the command says of the files of a seed."""
    with limited():
        return asked_files.outcome(seed)


KINDS: dict[str, Callable[[int], str]] = {"texts": text, "models": model, "verify": asked}


def work(kind: str, first: int, end: int, told: Connection) -> None:
    """Go through seeds, and tell each one before it is begun and what became of it."""
    for seed in range(first, end):
        told.send((seed, ""))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            said = KINDS[kind](seed)
        except Late:
            said = f"WRONG: more than {SECONDS} s"
        except Exception as error:
            said = f"WRONG: {type(error).__name__} {error}"
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if after > MEGABYTES * 1024 > before:
            said = f"WRONG: {after // 1024} MB"
        told.send((seed, said))


def outcomes(kind: str, first: int, end: int) -> Iterator[tuple[int, str]]:
    """(seed, what became of it), one after another; a process that ends begins anew behind the seed that ended it."""
    context = get_context("spawn")
    while first < end:
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=work, args=(kind, first, end, sender), daemon=True)
        process.start()
        sender.close()
        begun = None
        try:
            while True:
                seed, said = receiver.recv()
                begun = None if said else seed
                first = seed + 1
                if said:
                    yield seed, said
        except EOFError:
            process.join()
        if begun is not None:
            yield begun, f"DIED: exit code {process.exitcode}"
        elif process.exitcode:
            raise RuntimeError(f"the process of {kind} ended with {process.exitcode} before seed {first}")


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
            print(f"{counts.total()} {args.kind}, {time.monotonic() - began:.0f} s: {dict(counts)}", flush=True)
    print(f"{args.kind} of seeds {args.seed} to {args.seed + args.count - 1}: {dict(counts)}")
    return int(counts["WRONG"] + counts["DIED"] > 0)


if __name__ == "__main__":
    sys.exit(main())
