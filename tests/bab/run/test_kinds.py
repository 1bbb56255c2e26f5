"""Kinds of values: what they take, what a text stands for, and what is said of others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hypersplit.bab.run.kinds import MOST_SHOWN, Kind, file, integer, number, pair, shown, switch, word

CASES: list[tuple[Kind, list[Any], list[Any]]] = [
    (word("a", "b"), ["a", "b"], ["c", "", None, 1, ["a"]]),
    (switch(), [True, False], [0, 1, "true", None]),
    (integer(2, 5), [2, 5, np.int64(3)], [1, 6, 2.0, True, "3", None, 10**400]),
    (number(10.0), [1, 10.0, np.float32(0.5), 5e-324], [0.0, -1, 10.1, float("nan"), float("inf"), True, "1", 10**400]),
    (file(".png", ".svg"), ["", "x.png", "y.SVG", Path("z.svg")], ["x.pdf", "x", "x\0.png", 1, b"x.png"]),
    (file(), ["anything", ""], ["nul\0", None]),
    (pair(), ["", "0,1", "17,3"], ["1,1", "01,1", "0;1", "1", "-1,2", "\u0661,2", None]),
]


@pytest.mark.parametrize("index", range(len(CASES)))
def test_values_are_taken_or_not(index: int) -> None:
    """Any object may be asked about; nothing raises, and every refusal is one short line that says what is expected."""
    kind, right, wrong = CASES[index]
    assert all(kind.takes(value) is True for value in right), right
    for value in wrong:
        assert kind.takes(value) is False, value
        said = kind.expected(value)
        assert "\n" not in said and said.endswith(f": expected {kind.values}") and len(said) < 200


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [(word("a", "b"), "b", "b"), (switch(), "false", False), (integer(0, 9), "7", 7), (number(1e3), "1e2", 100.0),
     (file(".png"), "a.png", "a.png"), (pair(), "3,4", "3,4")],
)  # fmt: skip
def test_texts_stand_for_values(kind: Kind, text: str, value: Any) -> None:
    """As the command line gives them; another text is refused with what was expected."""
    assert kind.of(text) == value and type(kind.of(text)) is type(value)
    with pytest.raises(ValueError, match="expected"):
        kind.of("no such thing")


def test_long_values_are_cut() -> None:
    """On one line, of MOST_SHOWN characters at most, numbers of thousands of digits included."""
    for value in ("x" * 999, "a\nb", list(range(999)), 10**9999):
        assert len(shown(value)) <= MOST_SHOWN and "\n" not in shown(value)
