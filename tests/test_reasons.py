"""README.md, docs/verdicts.md and the code name the same reasons."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hypersplit.bab.run import result
from hypersplit.bab.run.limits import INTERRUPTIONS
from hypersplit.bab.stages.milp import NOT_PROVED
from hypersplit.encodings.linear.number_range import BEYOND

ROOT = Path(__file__).resolve().parents[1]
NAMES = {name for name in result.__all__ if getattr(result, name) in result.EVIDENCE}
SOURCES = [path for folder in ("bab", "encodings", "instances") for path in sorted((ROOT / folder).rglob("*.py"))]


def cells(page: str, section: str) -> list[str]:
    """First cells of the tables of a section of docs/verdicts.md, heads left out."""
    part = page.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return [line.split("|")[1].strip() for line in part.splitlines() if line.startswith("| `")]


def page() -> str:
    """The page on verdicts."""
    return (ROOT / "docs" / "verdicts.md").read_text(encoding="utf-8")


def closings(path: Path) -> Iterator[ast.expr]:
    """What a file says that an `unsat` rests on: arguments of `_holds` and of `_with_exact`, results of `proof`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("_holds", "_with_exact"):
            yield node.args[0]
        if isinstance(node, ast.FunctionDef) and node.name == "proof":
            yield from (n.value for n in ast.walk(node) if isinstance(n, ast.Return) and n.value is not None)


def strings() -> Iterator[str]:
    """All strings of the code that are no docstrings, the constant parts of f-strings among them."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_all_evidence_is_on_the_page_and_nothing_else() -> None:
    """The table of reasons of `unsat` is `EVIDENCE`."""
    told = [re.findall("`([^`]*)`", cell)[0] for cell in cells(page(), "`unsat`")]
    assert sorted(told) == sorted(result.EVIDENCE)


def test_nothing_closes_a_query_under_another_name() -> None:
    """What ends as `unsat` takes its reason from the names of bab/run/result.py; bare words would escape the page."""
    found = [(path.name, value) for path in SOURCES for value in closings(path)]
    assert len(found) >= 6
    for name, value in found:
        words = [n.value for n in ast.walk(value) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
        used = {n.id for n in ast.walk(value) if isinstance(n, ast.Name) and n.id.isupper()}
        assert not words and used <= NAMES, f"{name}: {ast.unparse(value)}"


def test_evidence_has_one_place() -> None:
    """Every name of evidence is used outside bab/run/result.py."""
    text = "".join(path.read_text(encoding="utf-8") for path in SOURCES if path.name != "result.py")
    assert [name for name in sorted(NAMES) if name != "EVIDENCE" and not re.search(rf"\b{name}\b", text)] == []


def test_readme_promises_no_other_evidence() -> None:
    """What README.md quotes where it tells how `unsat` was proved exists, and all of it is there."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    told = readme.partition("The reason says how:")[2].partition("\n")[0]
    quoted = set(re.findall("`([^`]*)`", told)) - {"--trust-scip"}
    assert quoted == set(result.EVIDENCE) - {result.NO_CASE}
    assert "docs/verdicts.md" in readme


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
