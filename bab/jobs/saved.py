"""A run of a property as it was left: which input sets hold, and a job for every query that was begun and is open.

One form for four kinds of files:

    checkpoint   a run that may go on
    manifest     an exported run: what is closed already, and which open nodes went into which part
    part         some of its open nodes, as jobs of their own; input sets that are not the part's count as held
    outcome      what became of a part
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ...instances.errors import InputError
from ...instances.judges.replay import Witness
from ...instances.network import Array, Network
from ...instances.property import Property
from ..run.options import ABOUT, Options
from ..run.result import VERDICTS, Result
from ..tree.evidence import Evidence
from .job import Job
from .records import Columns, packed, unpacked
from .shelf import InFile

__all__ = ["Decided", "KEPT", "Part", "Saved", "add", "load", "save", "with_job"]

OF_A_RUN = (
    "timeout", "memory_mb", "nodes", "jobs", "workers", "cluster", "log", "checkpoint", "every", "spill", "progress",
    "picture", "picture_inputs",
)  # fmt: skip
# options that the nodes rest on, and what runs that go on take for their defaults
KEPT = tuple(name for name in ABOUT if name not in OF_A_RUN)


@dataclass(eq=False)
class Decided:
    """A `Result`, as plain data."""

    verdict: str
    reason: str
    bound: float
    evidence: dict[str, int]
    statistics: dict[str, float]
    seconds: float
    notes: list[str]
    input: Array | None  # of the witness
    output: Array | None
    rounded: bool
    written: dict[str, str]
    real: list[str] | None  # numbers n/d, in hexadecimal, which may be of any length
    case: int
    disjunct: int
    forbidden: str

    @staticmethod
    def of(result: Result) -> Decided:
        """What is kept of a result."""
        w = result.witness
        return Decided(
            result.verdict, result.reason, float(result.bound), dict(result.evidence), dict(result.statistics),
            result.seconds, list(result.notes), w.input if w else None, w.output if w else None,
            bool(w and w.rounded), {str(i): text for i, text in w.written.items()} if w else {},
            [f"{v.numerator:x}/{v.denominator:x}" for v in w.real] if w and w.real is not None else None,
            w.case if w else 0, w.disjunct if w else 0, w.forbidden if w else "",
        )  # fmt: skip

    @property
    def result(self) -> Result:
        """The result again."""
        witness = None
        if self.input is not None and self.output is not None:
            written = {int(i): text for i, text in self.written.items()}
            real = None if self.real is None else tuple(map(_fraction, self.real))
            witness = Witness(
                self.input, self.output, self.rounded, written, real, self.case, self.disjunct, self.forbidden
            )  # fmt: skip
        return Result(self.verdict, witness, self.bound, self.reason, self.evidence, self.statistics, self.seconds,
                      tuple(self.notes))  # fmt: skip


def _fraction(told: str) -> Fraction:
    numerator, denominator = (int(word, 16) for word in told.split("/"))
    return Fraction(numerator, denominator)


@dataclass(eq=False)
class Part:
    """Which nodes of an exported run are one part's."""

    export: str  # the export's own name: 32 letters, no two have the same
    name: str  # of the part's file
    cases: list[int]  # one a job
    numbers: list[Array]  # [k] each: numbers of that case's nodes in the exported tree


@dataclass(eq=False)
class Saved:
    """All that goes into a file."""

    network_file: str  # its path, "" for one that was built in memory
    property_file: str
    network_digest: str
    property_digest: str
    options: dict[str, Any]  # by their names, see KEPT
    held: Array  # [cases] bool: nothing is left to refute
    together: bool = False  # whether asking many input sets at once is over
    bound: float = np.inf  # least proved lower bound of the worst margins of those that hold
    evidence: Counter[Evidence] = field(default_factory=Counter)  # of those that hold, and of many sets at once
    statistics: Counter[str] = field(default_factory=Counter)  # the same
    jobs: list[Job] = field(default_factory=list)  # of cases that were begun and are open, by case
    rng: dict[str, Any] = field(default_factory=dict)  # the state of the random numbers, {} for a new one
    runs: int = 0  # so far
    seconds: float = 0.0  # of these
    decided: Decided | None = None
    parts: list[Part] = field(default_factory=list)  # all of a manifest's; a part's own

    @staticmethod
    def fresh(network: Network, prop: Property, options: Options, digests: bool) -> Saved:
        """Nothing is known yet. digests: whether the files are needed, which take a moment to look at."""
        from .digests import digest

        both = (digest(network), digest(prop)) if digests else ("", "")
        place, other = _places(network, prop), str(Path(prop.source).resolve()) if prop.source else ""
        held = np.array([not case.forbidden for case in prop.cases], dtype=bool)
        return Saved(place, other, *both, {name: getattr(options, name) for name in KEPT}, held)

    def fits(self, network: Network, prop: Property, where: Path) -> None:
        """Raise InputError unless this was written of this network and this property."""
        from .digests import digest

        known = (("network", network, self.network_digest), ("property", prop, self.property_digest))
        for name, what, expected in known:
            if (found := digest(what)) != expected:
                told = f"{where}: of another {name} than {what.source or 'the one given'}"
                raise InputError(f"{told} (SHA-256 {expected[:12]}..., found {found[:12]}...)")
        if self.held.shape != (len(prop.cases),):
            raise InputError(f"{where}: {len(self.held)} input sets, expected {len(prop.cases)}")

    @property
    def generator(self) -> np.random.Generator:
        """Random numbers as they would go on."""
        rng = np.random.default_rng(int(self.options["seed"]))
        if self.rng:
            rng.bit_generator.state = self.rng
        return rng


def _places(network: Network, prop: Property) -> str:
    """The path of the network's file; of several networks with their names, see `run.networks.named_networks`."""
    if not network.parts:
        return str(Path(network.source).resolve()) if network.source else ""
    pairs = zip(prop.networks, network.parts, strict=True)
    own = [(declared.name, part.source) for declared, part in pairs if not declared.equal_to]
    return repr([(name, str(Path(source).resolve())) for name, source in own]) if all(s for _, s in own) else ""


def save(path: Path, kind: str, saved: Saved) -> None:
    """Put it into a file; what was there before stays where that fails.

    Raises OSError, and InputError where nodes that wait on the disk cannot be read.
    """
    from .sealed import Sealed, write_sealed

    columns = Columns()
    content = packed(saved, columns)
    cold = [nodes for job in saved.jobs for nodes in job.cold]
    pieces = {nodes.name: nodes.source.data for nodes in cold if nodes.source}
    write_sealed(path, Sealed(kind, content, columns.joined(), pieces))


def load(path: Path, *kinds: str) -> tuple[str, Saved]:
    """(its kind, what the file holds). Raises InputError where it is damaged, or none of the kinds."""
    from .sealed import read_sealed

    sealed = read_sealed(path, kinds)
    try:
        saved: Saved = unpacked(Saved, sealed.content, sealed.arrays)
        _check(saved)
        for nodes in (nodes for job in saved.jobs for nodes in job.cold):
            if nodes.name not in sealed.pieces:
                raise InputError("cold: expected a piece for all nodes that wait on the disk")
            nodes.source = InFile(path, nodes.name)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return sealed.kind, saved


def _check(saved: Saved) -> None:
    """What can be said without the network; `Job.check` says the rest."""
    cases = [job.case for job in saved.jobs]
    if saved.held.ndim != 1 or saved.held.dtype != bool:
        raise InputError("held: expected truth values")
    if cases != sorted(set(cases)) or any(not 0 <= k < len(saved.held) or saved.held[k] for k in cases):
        raise InputError("jobs: expected one a case that is open, in order")
    if set(saved.options) != set(KEPT):
        raise InputError(f"options: expected {', '.join(KEPT)}")
    if saved.decided and saved.decided.verdict not in VERDICTS:
        raise InputError(f"decided: expected one of {', '.join(VERDICTS)}")
    try:
        _ = saved.decided and saved.decided.result
        Options(**saved.options)
        saved.generator.random()
    except (TypeError, ValueError, LookupError, ArithmeticError) as error:
        raise InputError(f"options, random numbers or witness: {error}") from error


def with_job(saved: Saved, job: Job | None, case: int) -> Saved:
    """The same with another job of a case, or none."""
    jobs = [other for other in saved.jobs if other.case != case] + ([job] if job else [])
    return replace(saved, jobs=sorted(jobs, key=lambda job: job.case))


def add(total: Counter[str], more: Counter[str]) -> None:
    """Take statistics into a sum of them; depths and unstable neurons are largest ones."""
    for name, value in more.items():
        total[name] = max(total[name], value) if name in ("depth", "unstable") else total[name] + value
