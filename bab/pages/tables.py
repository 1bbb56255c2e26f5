"""Rows as an HTML table that sorts itself: a press on a column's head orders the rows by it, another turns them round.

The few lines of JavaScript that do it (SORTING) stand in the page; without them the table is a table.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from ...instances.rounding import TINY

__all__ = ["SORTING", "cell", "table"]

SORTING = """for (const head of document.querySelectorAll("th button")) head.onclick = () => {
  const th = head.parentElement, body = th.closest("table").tBodies[0], column = th.cellIndex;
  const down = th.getAttribute("aria-sort") === "ascending";
  const of = row => { const cell = row.cells[column]; return cell.dataset.value ?? cell.textContent; };
  const less = (a, b) => {
    const [x, y] = [of(a), of(b)], [m, n] = [parseFloat(x), parseFloat(y)];
    if (isNaN(m) !== isNaN(n)) return isNaN(m) ? 1 : -1;
    return (isNaN(m) ? x.localeCompare(y) : m - n) * (down ? -1 : 1);
  };
  for (const other of th.parentElement.cells) other.removeAttribute("aria-sort");
  th.setAttribute("aria-sort", down ? "descending" : "ascending");
  body.append(...[...body.rows].sort(less));
};"""


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """HTML of rows with equal columns; numbers are sorted by their value, not by what is shown of it."""
    names = list(rows[0]) if rows else []
    head = "".join(f'<th scope="col"><button>{html.escape(name)}</button></th>' for name in names)
    lines = ["<tr>" + "".join(_td(value) for value in row.values()) + "</tr>" for row in rows]
    body = f"<thead><tr>{head}</tr></thead><tbody>\n" + "\n".join(lines) + "\n</tbody>"
    return f'<div class="wide" tabindex="0"><table>{body}</table></div>'


def cell(value: object) -> str:
    """What is shown: three digits of a float, a dash for none, and the sign alone of what is not 0 by rounding only.

    >>> cell(5e-324), cell(float("nan")), cell(1234.5), cell(0.25), cell(7)
    ('> 0', '–', '1234', '0.25', '7')
    """
    if not isinstance(value, float):
        return str(value)
    if value != value:
        return "–"
    if 0.0 < abs(value) < TINY:  # a margin that is proved positive, and no more than that
        return "> 0" if value > 0.0 else "< 0"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _td(value: object) -> str:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    said = f' class="number" data-value="{value!r}"' if number else ""
    return f"<td{said}>{html.escape(cell(value))}</td>"
