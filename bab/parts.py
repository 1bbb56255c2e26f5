"""A search in parts that know nothing of each other: export them, run each anywhere, merge what became of them.

The exported open nodes and the nodes that are closed already cover the input sets; a part is a few of these open nodes
as a job of its own. The property holds where every part is closed. No server and no network is needed between them,
only files: a batch system's array of tasks will do.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import numpy as np

from ..instances.errors import InputError
from ..instances.judges.replay import Replay
from ..instances.network import Network
from ..instances.property import Property
from .jobs.job import Job
from .jobs.keeper import Keeper
from .jobs.run import query_of
from .jobs.saved import Part, Saved, add, load, save
from .reading import Asked, Networks, Properties, read
from .resume import files_of, options_of, replayed
from .run.limits import ENOUGH, Limits
from .run.options import Method, Options, OptionValues, changed
from .run.result import NO_CASE, Result
from .tree.evidence import Evidence, told
from .verify import confirmed, decide, noted, under

__all__ = ["MANIFEST", "export", "merge", "run_job"]

MANIFEST, OUTCOME = "manifest.job", ".outcome"
EACH = 8  # open nodes a part, from which on there are enough: parts are of unequal size, and many even that out
SPLIT: Method = "split"  # the method that makes open nodes; parts go on with the one that was asked for


def export(
    network: Networks, property: Properties,
    folder: str | os.PathLike[str], parts: int = 8, options: Options | None = None, **overrides: Unpack[OptionValues],
) -> Result:  # fmt: skip
    """Search until there are open nodes enough for so many parts, and write these into an empty folder.

    Returns the verdict, without files, where the search came to one; else `unknown`, with a note of what was written.
    Raises InputError as `verify` does, and where the folder is not empty or cannot be written.
    """
    options = changed(options, overrides)
    searched = replace(options, method=SPLIT) if options.method == "auto" else options
    limits, place = Limits(searched), _empty(Path(folder))
    with under(searched):
        net, prop, content = read(network, property, options)
        keeper = Keeper(Saved.fresh(net, prop, options, True), limits)
        keeper.wanted = keeper.broad = True  # the deepest nodes first would hardly leave as many open at a time
        keeper.stop = lambda tree: ENOUGH if tree.count_open >= EACH * parts else ""
        result = decide(net, prop, keeper, content)
        if result.verdict in ("sat", "unsat"):
            return result
        return replace(result, notes=(*result.notes, _write(keeper.saved, net, prop, place, parts)))


def run_job(
    file: str | os.PathLike[str], network: Networks | None = None,
    property: Properties | None = None, **overrides: Unpack[OptionValues],
) -> Result:  # fmt: skip
    """Search a part, and write what became of it beside it; an outcome that is open is gone on with.

    Returns a Result of the part alone: `unsat` says that nothing of it is left.
    Raises InputError as `resume` does.
    """
    path = Path(file)
    _, saved = load(path, "part")
    place = path.with_suffix(OUTCOME)
    if place.exists():
        _, found = load(place, "outcome")
        if not _same(found.parts[0], saved.parts[0]):
            raise InputError(f"{place}: is the outcome of another part than {path}")
        saved = found
    options = options_of(saved, overrides, path)
    if options.checkpoint:
        raise InputError(f"option checkpoint = {options.checkpoint}: what becomes of a part is written to {place}")
    limits = Limits(options)
    with under(options):
        net, prop, content = files_of(saved, network, property, path)
        if saved.decided:
            return replayed(saved.decided.result, Asked(net, prop, content), place)
        return decide(net, prop, Keeper(saved, limits, place, "outcome"), content)


def merge(
    folder: str | os.PathLike[str], network: Networks | None = None,
    property: Properties | None = None,
) -> Result:  # fmt: skip
    """The verdict of an exported run: `unsat` where every part is closed, `sat` where one has found a counterexample,
    which is run once more; else `unknown`, with what is missing.

    Raises InputError where a file is damaged, an outcome is of another export, or the parts do not cover the run.
    """
    place = Path(folder)
    _, manifest = load(place / MANIFEST, "manifest")
    limits = Limits(Options())
    net, prop, content = files_of(manifest, network, property, place / MANIFEST)
    _covered(manifest, place)
    found = _outcomes(manifest, place)
    for name, saved in found.items():
        if saved.decided and saved.decided.verdict == "sat":
            result = replayed(saved.decided.result, Asked(net, prop, content), place / name)
            return replace(result, seconds=limits.elapsed)
    missing = [p.name for p in manifest.parts if p.name not in found or not found[p.name].held.all()]
    evidence, statistics = _sums(manifest, found)
    words = {kind.words: count for kind, count in sorted(evidence.items()) if count}
    if missing:
        reason = f"parts that are not closed: {len(missing)} of {len(manifest.parts)}, {', '.join(missing[:8])}"
        open_yet = Result("unknown", None, -np.inf, reason + ", ..." * (len(missing) > 8), words, {**statistics})
        return noted(open_yet, prop)
    bound = min([manifest.bound, *(saved.bound for saved in found.values())])
    result = Result("unsat", None, bound, told(evidence) or NO_CASE, words, {**statistics})
    replay = Replay(net, content)
    return noted(confirmed(result, replay, prop, manifest.generator, limits), prop, replay.note)


def _empty(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise InputError(f"{folder}: is not empty, choose a new folder to export to")
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror or error}") from error
    return folder


def _write(saved: Saved, network: Network, prop: Property, folder: Path, most: int) -> str:
    """Write the parts, then the manifest: a folder without one is no export. Returns a note."""
    jobs = {job.case: job for job in saved.jobs}
    for k in np.flatnonzero(~saved.held).tolist():
        if k not in jobs:
            if (query := query_of(k, network, prop)) is None:
                saved.held[k], saved.evidence[Evidence.EMPTY] = True, saved.evidence[Evidence.EMPTY] + 1
                saved.bound = min(saved.bound, 0.0)
                continue
            jobs[k] = Job.fresh(k, query)
    ordered = [jobs[k] for k in sorted(jobs)]
    files = _divided(saved, ordered, most)
    closed = [replace(job, open=[], stuck=[], cold=[]) for job in ordered]
    manifest = replace(saved, jobs=closed, parts=[file.parts[0] for file in files])
    try:
        for file in files:
            save(folder / file.parts[0].name, "part", file)
        save(folder / MANIFEST, "manifest", manifest)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror or error}") from error
    nodes = sum(len(numbers) for part in manifest.parts for numbers in part.numbers)
    return f"{nodes} open nodes in {len(files)} parts: {folder}"


def _divided(saved: Saved, jobs: list[Job], most: int) -> list[Saved]:
    """The open nodes of all jobs dealt out like cards, the worst first, to so many parts or fewer."""
    dealt: list[list[tuple[Job, np.ndarray]]] = [[] for _ in range(most)]
    first = 0
    for job in jobs:
        count = len(job.waiting)
        for p in range(most):
            if len(mine := np.arange((p - first) % most, count, most)):
                dealt[p].append((job, mine))
        first += count
    name, files = os.urandom(16).hex(), []
    for number, cards in enumerate((cards for cards in dealt if cards), start=1):
        numbers = [job.waiting.number[mine] for job, mine in cards]
        part = Part(name, f"part-{number:03d}.job", [job.case for job, _ in cards], numbers)
        held = np.ones(len(saved.held), dtype=bool)
        held[part.cases] = False
        files.append(
            replace(
                saved, held=held, together=True, bound=np.inf, evidence=Counter(), statistics=Counter(), rng={},
                jobs=[job.part(mine) for job, mine in cards], runs=0, seconds=0.0, parts=[part],
            )  # fmt: skip
        )
    return files


def _covered(manifest: Saved, folder: Path) -> None:
    """Raise InputError unless every node of the exported trees is split, ended, or in exactly one part."""
    numbers: dict[int, list[int]] = {}
    for part in manifest.parts:
        for k, mine in zip(part.cases, part.numbers, strict=True):
            numbers.setdefault(k, []).extend(mine.tolist())
    jobs = {job.case: job for job in manifest.jobs}
    if set(numbers) != set(jobs) or set(np.flatnonzero(~manifest.held).tolist()) != set(jobs):
        raise InputError(f"{folder / MANIFEST}: input sets that are open have no part")
    for k, job in jobs.items():
        if len(set(numbers[k])) != len(numbers[k]) or job.size != job.inner + job.ended.total() + len(numbers[k]):
            raise InputError(f"{folder / MANIFEST}: the parts of input set {k} are not what is open of it")


def _outcomes(manifest: Saved, folder: Path) -> dict[str, Saved]:
    """Outcomes by the names of their parts. Raises InputError for one that is none of this export's."""
    known = {part.name: part for part in manifest.parts}
    found: dict[str, Saved] = {}
    for path in sorted(folder.glob(f"*{OUTCOME}")):
        _, saved = load(path, "outcome")
        own, part = saved.parts[0], known.get(path.with_suffix(".job").name)
        digests = (saved.network_digest, saved.property_digest)
        if part is None or not _same(own, part) or digests != (manifest.network_digest, manifest.property_digest):
            raise InputError(f"{path}: is the outcome of another export")
        if set(np.flatnonzero(~saved.held).tolist()) - set(part.cases):
            raise InputError(f"{path}: has input sets that are not the part's")
        found[part.name] = saved
    return found


def _same(one: Part, other: Part) -> bool:
    """Whether it is the same nodes of the same export."""
    return (one.export, one.name, one.cases) == (other.export, other.name, other.cases) and all(
        np.array_equal(a, b) for a, b in zip(one.numbers, other.numbers, strict=True)
    )


def _sums(manifest: Saved, found: dict[str, Saved]) -> tuple[Counter[Evidence], Counter[str]]:
    """Evidence and statistics of all; a part's roots are nodes of the exported trees, and count once."""
    evidence: Counter[Evidence] = Counter()
    statistics: Counter[str] = Counter()
    for saved in (manifest, *found.values()):
        evidence.update(saved.evidence)
        add(statistics, saved.statistics)
        for job in saved.jobs:
            evidence.update(job.evidence)
            add(statistics, job.statistics)
    statistics["nodes"] -= sum(len(mine) for saved in found.values() for mine in saved.parts[0].numbers)
    return evidence, statistics
