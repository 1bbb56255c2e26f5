"""Tests of bab/pages/tables.py."""

from __future__ import annotations

from hypersplit.bab.pages.tables import SORTING, cell, table


def test_cells_say_what_is_known() -> None:
    """The smallest floats are signs of margins, not numbers; what is none is a dash."""
    assert ["> 0", "< 0", "0", "–", "1e-300", "1235", "0.333", "3", "a"] == [
        cell(v) for v in (5e-324, -5e-324, 0.0, float("nan"), 1e-300, 1234.5678, 1 / 3, 3, "a")
    ]


def test_tables_carry_the_values_that_they_are_sorted_by() -> None:
    """A number's cell has all its digits beside those shown; words and heads are escaped."""
    text = table([{"a<b": 1 / 3, "word": "<x>", "yes": True}])

    assert 'data-value="0.3333333333333333">0.333<' in text
    assert "a&lt;b</button>" in text and "<td>&lt;x&gt;</td>" in text and "<td>True</td>" in text
    assert "dataset.value" in SORTING and "http" not in SORTING


def test_a_table_of_nothing_is_empty() -> None:
    """No rows, no heads, no error."""
    assert "<td" not in table([]) and "<th " not in table([])
