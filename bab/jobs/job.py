"""A job: one query's search as it was left, as plain data.

Which input set of the property, what is proved at the root, the open and the stuck nodes, how many nodes have ended by
which evidence, and where the ladder of stages stood. Nodes that have ended are numbers only: whoever goes on with a job
trusts that they were ended, as it trusts the bounds of those that are open.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from ...encodings.linear.reduction import restrict
from ...encodings.slopes.group_rows import GroupRows
from ...encodings.slopes.implications import Implications
from ...heuristics.policy import Facts
from ...instances.batch import Batch, root
from ...instances.distinct import distinct
from ...instances.errors import InputError
from ...instances.network import Array
from ...instances.query import Query
from ..tree.cold import Cold
from ..tree.evidence import Evidence
from .shelf import batch_of

__all__ = ["Job"]

FREE = {"cuts": 1}  # fields of a batch with an axis of any length


@dataclass(eq=False)
class Job:
    """What is left to do on one query, N nodes so far; nodes = ended + split + open + stuck."""

    case: int  # of the property's, which input set it is
    root: Batch  # one node, with all that is proved of it
    open: list[Batch]  # as the frontier stacks them, the topmost last
    stuck: list[Batch] = field(default_factory=list)
    ended: Counter[Evidence] = field(default_factory=Counter)  # nodes
    lemmas: Counter[Evidence] = field(default_factory=Counter)  # disjuncts refuted at the root
    size: int = 1  # N
    inner: int = 0  # nodes that were split
    deepest: int = 0
    kept: Array | None = None  # [neurons] bool, of the query as asked: those that the nodes still know; None for all
    rows: GroupRows | None = None  # multi-neuron rows of the root, of the neurons kept
    implied: Implications | None = None  # what phases force, of the neurons kept
    facts: Facts | None = None  # of the root; None before it is bounded
    stage: int = 0  # of the plan
    root_seconds: float = 0.0  # see `stages.work.Work`
    ascent_seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)  # of what is no node
    cold: list[Cold] = field(default_factory=list)  # open nodes below those in `open`, which wait on the disk

    @staticmethod
    def fresh(case: int, query: Query) -> Job:
        """The whole query, nothing proved yet."""
        return Job(case, root(query), [root(query)])

    @property
    def closed(self) -> bool:
        """Whether nothing is left to do."""
        return not self.open and not self.stuck and not self.cold

    @property
    def evidence(self) -> Counter[Evidence]:
        """What rests on what, as of a tree."""
        return self.ended + self.lemmas

    @property
    def statistics(self) -> Counter[str]:
        """The same numbers as of an answer."""
        stuck = sum(map(len, self.stuck))
        waiting = sum(map(len, self.open)) + sum(map(len, self.cold))
        numbers = Counter(nodes=self.size, open_nodes=waiting, stuck_nodes=stuck, depth=self.deepest)
        numbers.update(self.counts)
        return numbers

    def check(self, query: Query, cold: bool = True) -> None:
        """Raise InputError where the account is wrong, or a node is none of the query's.

        cold: whether to read the nodes on the disk, too; their numbers are looked at in any case.
        """
        kept = np.ones(query.neurons, dtype=bool) if self.kept is None else self.kept
        _expect(kept.shape == (query.neurons,) and kept.dtype == bool, "kept", f"{query.neurons} truth values")
        _expect(all(kept[part].any() for part in query.slices), "kept", "a neuron of every layer")
        batches, waiting = [self.root, *self.open, *self.stuck], [*self.open, *self.stuck]
        like = restrict(root(query), kept)
        for batch in batches:
            _check_batch(batch, like)
        for away in self.cold if cold else ():
            _check_batch(batch_of(away), like)
        _expect(len(self.root) == 1, "root", "one node")
        counts = (self.size, self.inner, self.deepest, self.stage, *self.ended.values(), *self.lemmas.values())
        _expect(all(type(n) is int and n >= 0 for n in counts), "counts", "numbers of nodes")
        account = self.inner + self.ended.total() + sum(map(len, waiting)) + sum(map(len, self.cold))
        _expect(self.size == account and self.size > 2 * self.inner, "nodes", f"{account}, as many as the account has")
        parts = [b.number for b in waiting] + [c.number for c in self.cold]
        numbers = np.concatenate([np.zeros(0, dtype=np.int64), *parts])
        known = len(distinct(numbers)) == len(numbers) and bool(((numbers >= 0) & (numbers < self.size)).all())
        _expect(known, "number", f"different ones below {self.size}")
        _expect(self.facts is not None or self.size == 1, "facts", "those of the root")
        self._check_tables(int(kept.sum()), query.network.input_size)

    def _check_tables(self, neurons: int, inputs: int) -> None:
        if self.rows is not None:
            members = self.rows.neurons
            shapes = {members.shape, self.rows.z.shape, self.rows.y.shape}
            _expect(len(shapes) == 1 and members.ndim == 2 and self.rows.constants.shape == members.shape[:1],
                    "rows", "as many members as coefficients")  # fmt: skip
            _expect(bool(((members >= 0) & (members < neurons + inputs)).all()), "rows", "members that exist")
        if self.implied is not None:
            some, table = self.implied.neurons, self.implied.least
            _expect(table.shape == (2 * len(some), 2 * len(some)), "implied", "a row and a column a literal")
            _expect(bool(((some >= 0) & (some < neurons)).all()), "implied", "neurons that exist")

    def part(self, which: Array) -> Job:
        """The open and stuck nodes `which` (indices of `waiting`) as a tree of their own, numbered anew from 0."""
        nodes = self.waiting[which]
        nodes = replace(nodes, number=np.arange(len(nodes)))
        return replace(self, open=[nodes], stuck=[], ended=Counter(), lemmas=Counter(), size=len(nodes), inner=0,
                       stage=0, counts=Counter(), cold=[])  # fmt: skip

    @property
    def waiting(self) -> Batch:
        """Open and stuck nodes as one batch, the least margins first; there must be one.

        Raises InputError where nodes on the disk cannot be read.
        """
        nodes = Batch.concatenate([*self.open, *self.stuck, *map(batch_of, self.cold)])
        return nodes[np.argsort(nodes.margin, kind="stable")]


def _check_batch(batch: Batch, like: Batch) -> None:
    """Shapes and types as those of another batch; what `like` has none of may be of any shape."""
    for f in fields(Batch):
        _check_field(getattr(batch, f.name), getattr(like, f.name), f.name, len(batch))
    for name in ("lower", "upper"):
        _expect(bool(np.isfinite(getattr(batch, name)).all()), name, "finite numbers")


def _check_field(value: Any, like: Any, name: str, count: int) -> None:
    if not isinstance(value, np.ndarray):
        for inner, part in vars(value).items() if value is not None else ():
            _expect(isinstance(part, np.ndarray) and len(part) == count, f"{name}.{inner}", f"{count} rows")
        return
    _expect(len(value) == count, name, f"{count} rows")
    if isinstance(like, np.ndarray):
        _expect(value.dtype == like.dtype, name, f"numbers of type {like.dtype}")
        axes = enumerate(zip(value.shape, like.shape, strict=False))
        same = [n == m for i, (n, m) in axes if i and FREE.get(name) != i]
        free = like.size == 0 and like.ndim > 2  # nothing waits there before the first split
        _expect(value.ndim == like.ndim and (free or all(same)), name, f"shape {(count, *like.shape[1:])}")


def _expect(holds: bool, name: str, wanted: str) -> None:
    if not holds:
        raise InputError(f"{name}: expected {wanted}")
