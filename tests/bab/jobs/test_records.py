"""Records as plain data: whatever dataclass is given comes back, and what is none is refused."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pytest

from hypersplit.bab.jobs.records import Columns, packed, unpacked
from hypersplit.bab.tree.evidence import Evidence
from hypersplit.instances.batch import Batch
from hypersplit.instances.errors import InputError
from hypersplit.instances.multipliers import Multipliers
from hypersplit.instances.network import Array


@dataclass
class Inner:
    """A record in a record."""

    half: Array
    flags: Array


@dataclass
class Outer:
    """One of everything."""

    inner: Inner | None
    many: list[Inner]
    counts: Counter[Evidence]
    words: Counter[str]
    told: dict[str, Any]
    real: float
    whole: int
    text: str
    maybe: Array | None


def example() -> Outer:
    """Shapes differ within a list; an array of no numbers; infinities."""
    rng = np.random.default_rng(0)
    many = [Inner(rng.random((n, 2)).astype(np.float16), rng.random((n, n, 1)) > 0.5) for n in (3, 0, 1)]
    return Outer(None, many, Counter({Evidence.LP: 3}), Counter(a=1), {"x": [1]}, -np.inf, 7, "ü", np.arange(4))


def travelled(record: Any, kind: type) -> Any:
    """There and back, through the text of JSON."""
    columns = Columns()
    text = json.dumps(packed(record, columns))
    return unpacked(kind, json.loads(text), columns.joined())


def test_everything_comes_back() -> None:
    """Numbers, types and shapes."""
    one, two = example(), travelled(example(), Outer)
    assert (two.inner, two.counts, two.words, two.told) == (None, one.counts, one.words, one.told)
    assert (two.real, two.whole, two.text) == (one.real, one.whole, one.text)
    assert np.array_equal(two.maybe, one.maybe) and two.maybe.dtype == one.maybe.dtype
    for a, b in zip(one.many, two.many, strict=True):
        assert a.half.dtype == b.half.dtype and np.array_equal(a.half, b.half)
        assert a.flags.dtype == b.flags.dtype and np.array_equal(a.flags, b.flags)


def test_nan_keeps_its_bits() -> None:
    """Numbers that stand for nothing stay what they are."""
    given = Inner(np.array([np.nan, -0.0, np.inf]), np.zeros(0))
    assert travelled(given, Inner).half.tobytes() == given.half.tobytes()


def test_every_field_of_a_batch_comes_back() -> None:
    """Whatever fields there are: arrays of their own contents, one after another."""
    rng = np.random.default_rng(1)
    values: dict[str, Any] = {f.name: rng.random((3, i + 1)) for i, f in enumerate(fields(Batch))}
    values["multipliers"] = Multipliers(*(rng.random((3, 2, i)) for i in range(len(fields(Multipliers)))))
    back = travelled(Batch(**values), Batch)
    numbers = values.pop("multipliers")
    for name, value in values.items():
        assert np.array_equal(getattr(back, name), value), name
    assert back.multipliers is not None
    for f in fields(Multipliers):
        assert np.array_equal(getattr(back.multipliers, f.name), getattr(numbers, f.name)), f.name


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told.pop("real"),
        lambda told: told.update(more=1),
        lambda told: told.update(whole=1.5),
        lambda told: told.update(whole=True),
        lambda told: told.update(real="1"),
        lambda told: told.update(text=None),
        lambda told: told.update(many={}),
        lambda told: told.update(counts={"NO_SUCH": 1}),
        lambda told: told.update(counts={"LP": "many"}),
        lambda told: told.update(inner=[]),
        lambda told: told.update(maybe=["nowhere", 2]),
        lambda told: told.update(maybe=["maybe.i8", -1]),
        lambda told: told.update(maybe=["maybe.i8", 10**30]),
        lambda told: told.update(maybe=["maybe.i8", 5]),
        lambda told: told.update(maybe=[]),
    ],
)
def test_other_data_are_refused(change: Any) -> None:
    """Missing and unknown fields, other types, arrays that are not there: one clear error."""
    columns = Columns()
    told = packed(example(), columns)
    change(told)
    with pytest.raises(InputError):
        unpacked(Outer, told, columns.joined())


@pytest.mark.parametrize("value", [np.array(["text"]), np.array([object()]), object(), {1, 2}])
def test_what_is_no_plain_data_is_not_packed(value: Any) -> None:
    """Objects never get into a file."""
    with pytest.raises(TypeError):
        packed(Inner(value, np.zeros(1)), Columns())
