"""What travels between the tree and those who help with it: sealed bytes, and nothing else is data.

    question   the files of network and property, and the options: once a worker
    frame      a job without nodes, with all that is proved at its root: once a worker and stage
    errand     some open nodes, and for how long
    report     what became of them: nodes = ended + split + open + stuck

A report names the digest of the errand's bytes, so it counts for the nodes that were given and for no others. What a
worker says has ended is believed, as of a checkpoint; an input that it calls a counterexample is not.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from ...instances.batch import Batch
from ...instances.errors import InputError
from ...instances.network import Array
from ...instances.query import Query
from ..jobs.job import Job
from ..jobs.records import Columns, packed, unpacked
from ..jobs.sealed import Sealed, sealed_bytes, sealed_of
from ..tree.evidence import Evidence
from ..tree.tree import Grown

__all__ = ["Errand", "Question", "Report", "digest_of", "frame_of", "grown", "idle", "opened", "sent", "with_nodes"]

Kind = TypeVar("Kind")
_FRACTION = re.compile(r"-?[0-9]+(/[1-9][0-9]*)?").fullmatch


@dataclass(eq=False)
class Question:
    """What all errands are about."""

    network: Array  # [bytes] uint8, of the ONNX file, unpacked
    property: Array  # [bytes] uint8, of the VNN-LIB text
    network_digest: str
    property_digest: str
    options: dict[str, Any]  # of a worker, by their names


@dataclass(eq=False)
class Errand:
    """Open nodes to be worked on."""

    nodes: Batch  # numbered from 0
    seconds: float  # until the run is over
    stage_seconds: float  # until the stage is
    slice: float  # seconds after which what is left comes back
    most: int  # nodes that may come of it
    seed: int


@dataclass(eq=False)
class Report:
    """What became of an errand's nodes."""

    errand: str  # the digest of its bytes
    open: list[Batch]
    stuck: list[Batch]
    ended: Counter[Evidence]
    size: int
    inner: int
    deepest: int
    counts: Counter[str] = field(default_factory=Counter)  # of what is no node
    stopped: str = ""  # why the worker ended before all was done
    witness: Array | None = None  # [inputs] an input that it calls a counterexample
    exact: list[str] = field(default_factory=list)  # one of the real-valued network, fractions; [] for none
    left: str = ""  # why exact arithmetic left a node open
    seconds: float = 0.0  # of work


def sent(kind: str, record: Any) -> bytes:
    """A record as bytes."""
    columns = Columns()
    told = packed(record, columns)
    return sealed_bytes(Sealed(kind, told, columns.joined()))


def opened(kind: str, record: type[Kind], data: bytes, who: str) -> Kind:
    """The record again. Raises InputError, beginning with `who`, for bytes that hold none."""
    sealed = sealed_of(data, kind, who)
    try:
        return unpacked(record, sealed.content, sealed.arrays)
    except InputError as error:
        raise InputError(f"{who}: {error}") from error


def digest_of(data: bytes) -> str:
    """SHA-256, 64 letters."""
    return hashlib.sha256(data).hexdigest()


def frame_of(job: Job) -> Job:
    """The job without its nodes."""
    return replace(job, open=[], stuck=[], ended=Counter(), lemmas=Counter(), size=0, inner=0, counts=Counter(),
                   cold=[])  # fmt: skip


def with_nodes(frame: Job, nodes: Batch) -> Job:
    """A job over these nodes."""
    return replace(frame, open=[nodes], size=len(nodes))


def grown(report: Report, frame: Job, query: Query, errand: str, given: int) -> Grown:
    """The tree that grew below the errand's nodes, checked as a job is. query: as it was asked.

    Raises InputError where the report is of another errand, or its account or one of its nodes is wrong.
    """
    if report.errand != errand:
        raise InputError("a report of another errand")
    if report.size - given != 2 * report.inner:
        raise InputError(f"{given} nodes became {report.size}, of which {report.inner} were split")
    job = replace(frame, open=report.open, stuck=report.stuck, ended=report.ended, size=report.size,
                  inner=report.inner, deepest=report.deepest)  # fmt: skip
    job.check(query)
    counts = (*report.counts.values(), report.seconds)
    if not all(np.isfinite(n) and n >= 0 for n in counts):
        raise InputError("counts: expected numbers >= 0")
    if report.exact and not (len(report.exact) == query.network.input_size and all(map(_FRACTION, report.exact))):
        raise InputError("exact: expected a fraction an input")
    return Grown(report.size, report.inner, report.deepest, report.ended, report.open, report.stuck)


def idle(report: Report) -> bool:
    """Whether the nodes are as they were."""
    return not (report.inner or report.stuck or report.ended.total() or report.exact)
