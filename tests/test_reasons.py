"""README.md, docs/verdicts.md and the code name the same reasons."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hypersplit.bab.run.limits import INTERRUPTIONS
from hypersplit.bab.stages.milp import NOT_PROVED
from hypersplit.bab.tree.evidence import Evidence
from hypersplit.encodings.linear.number_range import BEYOND

ROOT = Path(__file__).resolve().parents[1]
WORDS = {kind.words for kind in Evidence}
SOURCES = [path for folder in ("bab", "encodings", "instances") for path in sorted((ROOT / folder).rglob("*.py"))]


def cells(page: str, section: str) -> list[str]:
    """First cells of the tables of a section of docs/verdicts.md, heads left out."""
    part = page.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return [line.split("|")[1].strip() for line in part.splitlines() if line.startswith("| `")]


def page() -> str:
    """The page on verdicts."""
    return (ROOT / "docs" / "verdicts.md").read_text(encoding="utf-8")


def strings() -> Iterator[str]:
    """All strings of the code that are no docstrings, the constant parts of f-strings among them."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_all_evidence_is_on_the_page_and_nothing_else() -> None:
    """The table of evidence is `Evidence`."""
    told = [re.findall("`([^`]*)`", cell)[0] for cell in cells(page(), "`unsat`")]
    assert sorted(told) == sorted(WORDS)


def test_all_evidence_is_used() -> None:
    """Every kind ends a node somewhere."""
    text = "".join(path.read_text(encoding="utf-8") for path in SOURCES if path.name != "evidence.py")
    for path in ("drawing/picture.py",):
        text = text.replace((ROOT / "bab" / path).read_text(encoding="utf-8"), "")
    assert [kind.name for kind in Evidence if f"Evidence.{kind.name}" not in text] == []


def test_the_words_of_evidence_have_one_place() -> None:
    """Nothing else in the search says them: reasons are derived, not remembered."""
    sources = [path for path in SOURCES if "bab" in path.parts and "studies" not in path.parts]
    for path in sources:
        if path.name != "evidence.py":
            nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            said = {node.value for node in nodes if isinstance(node, ast.Constant)}
            assert not said & WORDS, path


def test_the_page_has_all_evidence() -> None:
    """The table of evidence in docs/verdicts.md has all kinds; README.md leads there."""
    page = (ROOT / "docs" / "verdicts.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `([^`]*)` \|", page, re.MULTILINE))
    assert told >= WORDS, WORDS - told
    assert "docs/verdicts.md" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("reason", [*INTERRUPTIONS, NOT_PROVED, BEYOND])
def test_named_reasons_of_undecided_runs_are_on_the_page(reason: str) -> None:
    """Reasons that have a name in the code have a row of their own."""
    assert f"`{reason}`" in cells(page(), "`unknown` and `timeout`")


def test_reasons_of_undecided_runs_exist() -> None:
    """Every reason on the page is said somewhere: what it has between its variable parts are strings of the code."""
    known, told = "\n".join(strings()), cells(page(), "`unknown` and `timeout`")
    assert len(told) > 12
    for cell in told:
        for reason in re.findall("`([^`]*)`", cell):
            # in capitals: what varies; behind "network that" the code puts its sentences together
            parts = re.split(r"\b[A-Z]+\b(?<!SCIP)|\.\.\.|(?<=network that )", reason)
            missing = [part for part in parts if part.strip(" ;:,()") and part.strip(" ;:,()") not in known]
            assert not missing, f"{reason}: {missing}"
