"""Differential fuzz: random instances of eight shapes, every method and rule by turns, against the exact oracle.

Seed s draws an instance of shape s mod 8, asked with method s mod 3 and rule s mod 13: the three numbers have no common
factor, so all combinations come by turns. An answer is wrong where the verdict contradicts the exact worst margin, a
witness or an exact point is no counterexample, or a bound exceeds the worst margin. A wrong answer and an exception
are printed with their seed, and the instance is written as NAME.onnx (float64) and NAME.vnnlib.

    python scripts/fuzz.py --seconds 36000 --jobs 8 --seed 1000000
    python scripts/fuzz.py --seed 1234 --count 1           one instance again

Runs in a checkout whose package is installed; the instances and the oracle are those of `tests/`.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from random_instances import Instance, Shape, is_counterexample, random_instance  # noqa: E402

from hypersplit.bab.run.options import METHODS  # noqa: E402
from hypersplit.bab.run.result import Result  # noqa: E402
from hypersplit.bab.verify import verify  # noqa: E402
from hypersplit.heuristics.splits.rules import RULES  # noqa: E402
from hypersplit.instances.onnx.writer import write_network  # noqa: E402
from hypersplit.instances.vnnlib.writer import write_property  # noqa: E402

NODES, TIMEOUT = 20_000, 60.0  # of one instance
SHAPES = {
    "plain": Shape(),
    "scale-1e3": Shape(scale=1e3),
    "scale-1e6": Shape(scale=1e6),
    "rough-1e3": Shape(scale=1e3, rough=True),
    "flat": Shape(flat=1.0, halfspaces=1.0),
    "touching": Shape(),  # all of them of the kind "touching"
    "deep": Shape(most_inputs=2, most_hidden=6, most_width=3, most_relus=13, residual=0.0),
    "wide-residual": Shape(most_hidden=2, most_width=8, most_relus=12, residual=1.0),
}


@dataclass(frozen=True)
class Outcome:
    """What one seed gave."""

    seed: int
    shape: str
    kind: str
    label: str  # "decided", "unknown", "wrong" or "raised"
    text: str = ""  # of what is wrong


def instance_of(seed: int, shape: str) -> Instance:
    """The instance of a seed."""
    return random_instance(seed, "touching" if shape == "touching" else None, SHAPES[shape])


def ask(seed: int, shape: str, folder: Path) -> Outcome:
    """Draw, verify, compare; a failing instance is written to the folder."""
    instance = instance_of(seed, shape)
    method, rule = METHODS[seed % len(METHODS)], ("auto", *RULES)[seed % (len(RULES) + 1)]
    said = f"seed {seed}, shape {shape}, method {method}, rule {rule}: {instance}"
    try:
        result = verify(
            instance.network, instance.prop, method=method, rule=rule, nodes=NODES, timeout=TIMEOUT, jobs=1, seed=seed
        )
    except Exception:
        label, text = "raised", f"{said}\n{traceback.format_exc()}"
    else:
        fault = fault_of(instance, result)
        label = "wrong" if fault else "decided" if result.verdict in ("sat", "unsat") else "unknown"
        text = f"{said}: {result.verdict} ({result.reason}), {fault}" if fault else result.reason
    if label in ("wrong", "raised"):
        folder.mkdir(parents=True, exist_ok=True)
        write_network(instance.network, folder / f"{shape}-{seed}.onnx", double=True)
        write_property(instance.prop, folder / f"{shape}-{seed}.vnnlib")
        (folder / f"{shape}-{seed}.txt").write_text(f"{instance.truth}\n{text}\n")
    return Outcome(seed, shape, instance.kind, label, text)


def fault_of(instance: Instance, result: Result) -> str:
    """What the result says that is not true, or ""."""
    if result.verdict in ("sat", "unsat") and result.verdict != instance.truth:
        return f"but it is {instance.truth}"
    points = [[Fraction(float(a)) for a in result.witness.input]] if result.witness else []
    if result.verdict == "sat" and not points:
        return "without a witness"
    points += [[*result.real_counterexample]] if result.real_counterexample else []
    for x in points:
        if not any(is_counterexample(instance, case, x) for case in instance.prop.cases):
            return f"its point {[str(a) for a in x]} is no counterexample"
    if result.verdict != "unsat" and len(instance.prop.cases) == 1 and result.bound > instance.worst:
        return f"its bound {result.bound} exceeds the worst margin"
    return ""


def outcomes(seeds: Iterator[int], shapes: list[str], folder: Path, jobs: int, until: float) -> Iterator[Outcome]:
    """One after another as they are done; no seed is begun after `until`."""
    everything = list(SHAPES)
    tasks = ((s, everything[s % len(everything)]) for s in seeds)
    tasks = ((s, shape) for s, shape in tasks if shape in shapes)
    if jobs == 1:
        for seed, shape in tasks:
            yield ask(seed, shape, folder)
            if time.monotonic() >= until:
                break
        return
    with ProcessPoolExecutor(jobs) as pool:
        running: set[Future[Outcome]] = set()
        while True:
            while len(running) < 2 * jobs and time.monotonic() < until and (task := next(tasks, None)):
                running.add(pool.submit(ask, *task, folder))
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)


def table(counts: Counter[tuple[str, str, str]], reasons: Counter[str]) -> Iterator[str]:
    """A summary line a shape; then why instances stayed open."""
    labels = ("decided", "unknown", "wrong", "raised")
    for shape in SHAPES:
        mine = {key: n for key, n in counts.items() if key[0] == shape}
        if not mine:
            continue
        sums = ", ".join(f"{sum(n for key, n in mine.items() if key[2] == label)} {label}" for label in labels)
        left = ", ".join(f"{key[1]} {key[2]} {n}" for key, n in sorted(mine.items()) if key[2] != "decided")
        yield f"{shape:14} {sum(mine.values()):6} instances: {sums}{f' ({left})' if left else ''}"
    for reason, n in reasons.most_common():
        yield f"unknown {n:6}: {reason}"


def main() -> int:
    """The command line; 1 if anything is wrong or raised."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=0, help="seeds to go through, 0 for no end")
    parser.add_argument("--seconds", type=float, default=3600.0, help="after which no instance is begun")
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--shapes", default=",".join(SHAPES), help="those to ask, e.g. plain,flat; others are skipped")
    parser.add_argument("--folder", type=Path, default=Path("fuzz-failures"), help="where failing instances go")
    args = parser.parse_args()
    shapes = args.shapes.split(",")
    if unknown := set(shapes) - set(SHAPES):
        parser.error(f"--shapes: {', '.join(sorted(unknown))}: expected some of {', '.join(SHAPES)}")
    seeds = iter(range(args.seed, args.seed + args.count)) if args.count else count(args.seed)
    counts: Counter[tuple[str, str, str]] = Counter()
    reasons: Counter[str] = Counter()
    last = args.seed
    print(f"fuzz from seed {args.seed}, {args.jobs} jobs, shapes {args.shapes}", flush=True)
    for outcome in outcomes(seeds, shapes, args.folder, args.jobs, time.monotonic() + args.seconds):
        counts[outcome.shape, outcome.kind, outcome.label] += 1
        last = max(last, outcome.seed)
        if outcome.label in ("wrong", "raised"):
            print(f"{outcome.label.upper()} {outcome.text}", flush=True)
        elif outcome.label == "unknown":
            reasons[outcome.text] += 1
    print(f"seeds {args.seed} to {last}")
    print("\n".join(table(counts, reasons)))
    return int(any(label in ("wrong", "raised") for _, _, label in counts))


if __name__ == "__main__":
    sys.exit(main())
