"""Faults on purpose: what a run survives, counted; ends with 1 where a verdict is wrong or a promise is broken.

    kill       the process of a run is killed (SIGKILL) at random moments, and `resume` goes on: the verdict is right,
               and what is lost is what was done since the file was written last
    worker     a process that helps is killed at random moments: the verdict is right
    cluster    the same of Dask workers
    scheduler  that of Dask is killed: the run ends, and `resume` goes on without it, or it is refused
    disk       checkpoint and nodes on a disk that is too small (a tmpfs of 64 kB; without the right to mount one,
               files are limited by RLIMIT_FSIZE): the verdict is right, and nothing half-written stays
    damage     a checkpoint that is cut or has a flipped bit, anywhere: refused, or it holds the same all the same
    memory     two million open nodes under a small `--memory`, with one worker or several: the account holds, the run
               ends cleanly, and with all its processes (what they share counted once) it has stayed below the limit

    python scripts/faults.py kill --count 200
    python scripts/faults.py damage --cuts 1000 --flips 10000
    python scripts/faults.py worker --first 120 --count 80       goes on where a run was cut off

Says after every run what has been counted, and once more when cut off by Ctrl-C or SIGTERM. The moments of a run are
drawn from the seed and its number. Runs in a checkout with the package installed; questions of `tests/job_problems.py`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

import hypersplit
from hypersplit.bab.jobs.records import Columns, packed
from hypersplit.bab.jobs.saved import Saved, load
from hypersplit.bab.tree import cold, frontier
from hypersplit.instances.errors import InputError

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from dask_programs import dask, dask_worker  # noqa: E402
from job_problems import PLAIN, files  # noqa: E402

EVERY = 0.05  # seconds between two checkpoints
LONG = 600.0  # seconds that nothing here takes
FORK = multiprocessing.get_context("fork")


class Problem:
    """A question as files, its verdict and its seconds, by a run that nothing happens to."""

    def __init__(self, folder: Path, gap: float, wide: int, sets: int = 1, **options: Any) -> None:
        self.network, self.prop = files(folder, gap=gap, wide=wide, sets=sets)
        self.options = PLAIN | {"timeout": LONG} | options
        child = Child(folder, lambda: hypersplit.verify(self.network, self.prop, **self.options))
        self.verdict, self.seconds = child.told()["verdict"], child.seconds
        assert self.verdict in ("sat", "unsat"), child.told()


class Child:
    """A run in a process of its own, which may be killed."""

    def __init__(self, folder: Path, work: Callable[[], Any]) -> None:
        self.path = folder / "result.json"
        self.path.unlink(missing_ok=True)
        self.began, self.seconds = time.time(), 0.0
        self.process = FORK.Process(target=self._run, args=(work,), daemon=True)
        self.process.start()

    def _run(self, work: Callable[[], Any]) -> None:
        try:
            result = work()
            told = {"verdict": result.verdict, "reason": result.reason, "nodes": result.statistics.get("nodes", 0),
                    "open": result.statistics.get("open_nodes", 0), "notes": [*result.notes],
                    "mb": result.statistics.get("memory_mb", 0)}  # fmt: skip
        except Exception as error:
            told = {"verdict": "raised", "reason": f"{type(error).__name__}: {error}", "notes": []}
        with suppress(OSError):  # its folder is gone where the script was cut off
            self.path.write_text(json.dumps(told))
        os._exit(0)

    def told(self) -> dict[str, Any]:
        """What the run said, once it has ended by itself."""
        self.process.join(4 * LONG)
        self.seconds = time.time() - self.began
        return dict(json.loads(self.path.read_text()))

    def killed_after(self, seconds: float) -> bool:
        """Kill it then; whether it was still at work."""
        self.process.join(seconds)
        alive = self.process.is_alive()
        self.process.kill()
        self.process.join()
        return alive


def runs(args: argparse.Namespace, counts: Counter[str]) -> Iterator[tuple[int, np.random.Generator]]:
    """(number, generator) of one run after another; says what was counted after each."""
    for number in range(args.first, args.first + args.count):
        began = time.time()
        yield number, np.random.default_rng([args.seed, number])
        print(f"run {number}, {time.time() - began:.1f} s: {told_of(counts)}", flush=True)


def told_of(counts: Counter[str]) -> str:
    """What has been counted, in one line."""
    return ", ".join(f"{what} {n}" for what, n in counts.items() if n)


def problems(folder: Path, **options: Any) -> list[Problem]:
    """Some that hold, one of several input sets, one that is violated where no attack looks first."""
    made = []
    for number, (gap, wide, sets) in enumerate(((0.3, 10, 1), (0.2, 8, 1), (0.4, 8, 2), (-0.0005, 12, 1))):
        place = folder / str(number)
        place.mkdir()
        made.append(Problem(place, gap, wide, sets, **options))
        print(f"problem {number}: {made[-1].verdict}, {made[-1].seconds:.1f} s alone", flush=True)
    return made


def kill(args: argparse.Namespace, folder: Path, counts: Counter[str]) -> None:
    """The main process, once or twice, then a run to the end."""
    known, lost = problems(folder), []
    for number, rng in runs(args, counts):
        problem, path = known[number % len(known)], folder / f"run-{number}.job"
        options = problem.options | {"jobs": 1 + number % 2, "every": args.every}
        for attempt in range(4):  # then it is left alone
            if path.exists():
                child = Child(folder, lambda path=path, jobs=options["jobs"]: hypersplit.resume(
                    path, every=args.every, jobs=jobs))  # fmt: skip
            else:
                child = Child(folder, lambda path=path, problem=problem, options=options: hypersplit.verify(
                    problem.network, problem.prop, checkpoint=path, **options))  # fmt: skip
            while attempt % 2 and not path.exists() and child.process.is_alive():
                time.sleep(0.01)  # every other time there is a file to go on with
            if attempt == 3 or not child.killed_after(rng.uniform(0.0, problem.seconds)):
                break
            counts["kills"] += 1
            if path.exists():
                lost.append(time.time() - max(path.stat().st_mtime, child.began))
            counts["killed before a file was written"] += not path.exists()
        _hold(counts, child.told(), problem)
        path.unlink(missing_ok=True)
        print("seconds since the file was written when the process was killed, at most and in the middle: "
              f"{max(lost, default=0):.2f}, {np.median(lost or [0]):.2f}, at {args.every} s between two writings",
              flush=True)  # fmt: skip


def worker(args: argparse.Namespace, folder: Path, counts: Counter[str]) -> None:
    """Processes that help, one or two a run."""
    problem = Problem(folder, 0.1, 16, jobs=2, workers="processes", batch=2)
    print(f"{problem.verdict}, {problem.seconds:.1f} s with two processes and nothing killed", flush=True)
    for _, rng in runs(args, counts):
        child = Child(folder, lambda: hypersplit.verify(problem.network, problem.prop, **problem.options))
        for moment in range(2):
            while moment and child.process.is_alive() and not children(child.process.pid or 0):
                time.sleep(0.01)  # the second time there is one, however slowly all starts
            child.process.join(rng.uniform(0.0, 0.5 * problem.seconds))
            if pids := children(child.process.pid or 0):
                counts["kills"] += killed(int(rng.choice(pids)))
        _hold(counts, child.told(), problem)


def killed(pid: int) -> bool:
    """Kill it; whether it was there."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False


def children(pid: int) -> list[int]:
    """Processes that a process has started."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with suppress(OSError):
            found += map(int, (task / "children").read_text().split())
    return found


def cluster(args: argparse.Namespace, folder: Path, counts: Counter[str]) -> None:
    """Dask workers, one a run; the scheduler stays, and another worker comes before the next run."""
    with dask(port()) as (address, programs):
        problem = Problem(folder, 0.1, 16, cluster=address, batch=2)
        print(f"{problem.verdict}, {problem.seconds:.1f} s with two Dask workers and nothing killed", flush=True)
        for _, rng in runs(args, counts):
            child = Child(folder, lambda: hypersplit.verify(problem.network, problem.prop, **problem.options))
            child.process.join(rng.uniform(0.0, 0.6 * problem.seconds))  # the first run has most to load
            which = 1 + int(rng.integers(2))
            counts["kills"] += child.process.is_alive()
            programs[which].kill()
            programs[which].wait()
            _hold(counts, child.told(), problem)
            programs[which] = dask_worker(address)


def scheduler(args: argparse.Namespace, folder: Path, counts: Counter[str]) -> None:
    """A Dask scheduler, one a run, which is gone on with from the checkpoint."""
    with dask(port()) as (address, _):
        problem = Problem(folder, 0.1, 16, cluster=address, batch=2)
    print(f"{problem.verdict}, {problem.seconds:.1f} s with two Dask workers and nothing killed", flush=True)
    for number, rng in runs(args, counts):
        path = folder / f"run-{number}.job"
        with dask(port(number)) as (address, programs):
            options = problem.options | {"cluster": address, "checkpoint": path, "every": EVERY}
            child = Child(folder, lambda options=options: hypersplit.verify(problem.network, problem.prop, **options))
            child.process.join(rng.uniform(0.2, 1.0) * problem.seconds)
            counts["kills"] += child.process.is_alive()
            programs[0].kill()
            told = child.told()
        if told["verdict"] == "unknown" and "scheduler is gone" in told["reason"]:
            counts["gone on with"] += 1
            told = Child(folder, lambda path=path: hypersplit.resume(path, jobs=1)).told()
        if told["verdict"] == "raised" and "cannot be reached" in told["reason"]:  # killed before the run had it
            counts["refused"] += 1
        else:
            _hold(counts, told, problem)
        path.unlink(missing_ok=True)


def port(number: int = -1) -> int:
    """A port that nobody else of these listens at."""
    return 23000 + (os.getpid() + number) % 10000


def disk(args: argparse.Namespace, folder: Path, counts: Counter[str]) -> None:
    """A disk that gets full."""
    place = folder / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], capture_output=True)
    short_of_memory()
    try:
        known = problems(folder)
        for number, rng in runs(args, counts):
            problem = known[number % len(known)]
            counts["with a tmpfs"] += mounted.returncode == 0
            limit = -1 if mounted.returncode == 0 else int(rng.integers(1, 30000))
            child = Child(folder, lambda limit=limit, problem=problem: limited(limit, lambda: hypersplit.verify(
                problem.network, problem.prop, checkpoint=place / "run.job", spill=place, every=1e-6,
                **problem.options)))  # fmt: skip
            told = child.told()
            counts["not written"] += any("not written" in note for note in told["notes"])
            _hold(counts, told, problem)
            left = [path.name for path in place.iterdir() if path.name != "run.job"]
            counts["WRONG: left behind"] += len(left)
            if (place / "run.job").exists():
                load(place / "run.job", "checkpoint")
                counts["whole files"] += 1
                (place / "run.job").unlink()
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", str(place)], check=False)


def limited(size: int, work: Callable[[], Any]) -> Any:
    """Work in a process whose files have at most so many bytes, -1 for any."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    try:
        return work()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY)) if size < 0 else None


def short_of_memory() -> None:
    """Nodes go to the disk by a few from the beginning, in this process and those it forks."""

    class Short:
        room_mb, resident_mb, trim = (staticmethod(lambda value=value: value) for value in (0.0, 1.0, None))

    frontier.memory = Short  # type: ignore[assignment, attr-defined]
    frontier.PIECE_MB = cold.PIECE_MB = 0.004  # type: ignore[misc, attr-defined]


def damage(args: argparse.Namespace, folder: Path, counts: Counter[str]) -> None:
    """Cuts at each of the first 4,096 bytes and at random ones, flips of random bits."""
    short_of_memory()  # so that there are pieces
    network, prop = files(folder)
    path, rng = folder / "run.job", np.random.default_rng(args.seed)
    hypersplit.verify(network, prop, checkpoint=path, **(PLAIN | {"nodes": 60}))
    data, whole = path.read_bytes(), content(load(path, "checkpoint")[1])
    print(f"a checkpoint of {len(data)} bytes, {whole.count('cold') and len(load(path, 'checkpoint')[1].jobs[0].cold)} "
          "pieces")  # fmt: skip
    cuts = [*range(min(4096, len(data))), *rng.integers(0, len(data), args.cuts).tolist()]
    flips = rng.integers(0, [len(data), 8], (args.flips, 2)).tolist()
    for what, damaged in (
        *((("cut"), data[:at]) for at in cuts),
        *((("flipped"), data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]) for at, bit in flips),
    ):
        path.write_bytes(damaged)
        try:
            same = content(load(path, "checkpoint")[1]) == whole
            counts[f"{what}: the same" if same else f"WRONG: {what}, and read otherwise"] += 1
        except InputError:
            counts[f"{what}: refused"] += 1
        if (done := counts.total()) % 500 == 0:
            print(f"{done} of {len(cuts) + len(flips)}: {told_of(counts)}", flush=True)


def content(saved: Saved) -> str:
    """All that a file says, as a text."""
    columns = Columns()
    told = json.dumps(packed(saved, columns))
    cold_data = [nodes.source.data() for job in saved.jobs for nodes in job.cold if nodes.source]
    return told + repr([(name, array.tobytes()) for name, array in columns.joined().items()]) + repr(cold_data)


def memory(args: argparse.Namespace, folder: Path, counts: Counter[str]) -> None:
    """A tree of so many open nodes, gone on with under a small limit."""
    from wide_jobs import grid

    path = folder / "run.job"
    grown = Child(folder, lambda: grid(folder, path, args.nodes, args.memory)).told()
    if grown["verdict"] == "raised":
        raise SystemExit(grown["reason"])
    print(f"{grown['open']} open nodes, {grown['mb']:.0f} MB at most: a checkpoint of {path.stat().st_size / 1e6:.0f} "
          f"MB, {len(load(path, 'checkpoint')[1].jobs[0].cold)} pieces", flush=True)  # fmt: skip
    log = folder / "log"
    child = Child(folder, lambda: hypersplit.resume(
        path, memory_mb=args.memory, timeout=args.timeout, jobs=args.jobs, workers=args.workers, spill=folder, log=log,
        every=args.timeout / 3, kernel="plain", batch=args.batch))  # fmt: skip
    most = 0.0
    while child.process.is_alive():
        most = max(most, family_mb(child.process.pid or 0))
        child.process.join(0.1)
    told = child.told()
    if told["verdict"] == "raised":
        raise SystemExit(told["reason"])
    print(f"{most:.0f} MB at most, in all processes")
    print(json.dumps(told), *(line for line in log.read_text().splitlines() if "open nodes" in line), sep="\n")
    _, saved = load(path, "checkpoint")
    for job in saved.jobs:
        account = job.inner + job.ended.total() + sum(map(len, job.open)) + sum(map(len, job.stuck))
        account += sum(map(len, job.cold))
        print(f"{job.size} nodes, {sum(map(len, job.cold))} of them on the disk; the account says {account}")
        counts["WRONG: account"] += account != job.size
    counts["WRONG: over the limit"] += max(told["mb"], grown["mb"], most) > args.memory
    counts[f"{told['verdict']}, {told['reason']}"] += 1


def family_mb(pid: int) -> float:
    """Memory of a process and of those that it has started, what they share divided among them."""
    total = 0.0
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        total = next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("Pss:")), 0.0)
    return total + sum(map(family_mb, children(pid)))


def _hold(counts: Counter[str], told: dict[str, Any], problem: Problem) -> None:
    """Count a verdict, against the one that is right."""
    counts[told["verdict"]] += 1
    if told["verdict"] != problem.verdict:
        counts["WRONG"] += 1
        print(f"WRONG: {told}, expected {problem.verdict}", flush=True)


KINDS = {"kill": kill, "worker": worker, "cluster": cluster, "scheduler": scheduler, "disk": disk, "damage": damage,
         "memory": memory}  # fmt: skip


def main() -> int:
    """The command line; 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=[*KINDS])
    parser.add_argument("--count", type=int, default=20, help="runs")
    parser.add_argument("--first", type=int, default=0, help="number of the first run")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--every", type=float, default=EVERY, help="seconds between two checkpoints, of kill")
    parser.add_argument("--cuts", type=int, default=1000, help="of damage")
    parser.add_argument("--flips", type=int, default=10000, help="of damage")
    parser.add_argument("--nodes", type=int, default=2 * 1024**2, help="open ones, of memory")
    parser.add_argument("--memory", type=float, default=200.0, help="MB, of memory")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds, of memory")
    parser.add_argument("--jobs", type=int, default=1, help="workers, of memory")
    parser.add_argument("--workers", default="threads", help="their kind, of memory")
    parser.add_argument("--batch", type=int, default=2048, help="nodes at a time, of memory")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    counts, cut = Counter[str](), ""
    try:
        with tempfile.TemporaryDirectory(prefix="hypersplit-faults-", ignore_cleanup_errors=True) as folder:
            KINDS[args.kind](args, Path(folder), counts)
    except KeyboardInterrupt:
        cut = ", cut off"
    print(f"{args.kind}, seed {args.seed}{cut}: {told_of(counts)}")
    return int(any("WRONG" in what and n for what, n in counts.items()))


if __name__ == "__main__":
    sys.exit(main())
