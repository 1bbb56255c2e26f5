"""docs/options.md, made of what the options say of themselves: `python -m hypersplit.bab.command.options_page`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ...heuristics.splits.rules import MEANINGS as RULE_MEANINGS
from ..run.exit_codes import MEANINGS
from ..run.flags import OUTSIDE_BENCH
from ..run.options import ABOUT

__all__ = ["PAGE", "page"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "options.md"
OPENING = """\
# Options

This page is made by `python -m hypersplit.bab.command.options_page` from the fields of `hypersplit.Options`.

Every option can be given by its name: in Python `hypersplit.verify(network, property, rule="axes")` or \
`hypersplit.Options(rule="axes")`, on the command line `--option rule=axes`. Some have flags of their own. \
A name that does not exist and a value that an option does not take are refused before any work, in one line: \
`InputError` in Python, exit code 2 on the command line.
"""


def page() -> str:
    """The text of docs/options.md."""
    options = (
        (f"`{name}`", told.meaning, told.kind.values, told.default, f"`{told.flag}`" if told.flag else "")
        for name, told in ABOUT.items()
    )
    codes = ((str(code), *words) for code, words in MEANINGS.items())
    outside = ((f"`{name}`", why) for name, why in OUTSIDE_BENCH.items())
    parts = [
        OPENING,
        *_table(("name", "meaning", "values", "default", "flag of `verify` and `resume`"), options),
        "\n## Split rules\n",
        *_table(("rule", "what it splits"), ((f"`{name}`", words) for name, words in RULE_MEANINGS.items())),
        "\nThe rules of phases split ReLUs, the others the input set.",
        "\n## In `hypersplit bench`\n",
        "The options hold for every instance. `--jobs` is how many instances run at a time; they share the cores "
        "unless `--option jobs=N` says how many each takes. These options are refused:\n",
        *_table(("name", "why"), outside),
        "\n## Exit codes\n",
        *_table(("code", "`verify`, `resume`, `merge`", "other commands"), codes),
        "\n`docs/verdicts.md` tells what the verdicts mean.",
    ]
    return "\n".join(parts) + "\n"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Lines of a table in Markdown."""
    for row in (head, ("---",) * len(head), *rows):
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
