"""The exit codes that the code, README.md, docs/ and the competition's script name are the same."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from hypersplit.bab.command.cli import main
from hypersplit.bab.run.exit_codes import (
    BAD_INPUT,
    DONE,
    HOLDS,
    INTERNAL,
    MEANINGS,
    SENTENCE,
    UNDECIDED,
    VERDICT_CODES,
    VIOLATED,
    WRONG,
)
from hypersplit.bab.run.result import VERDICTS

ROOT = Path(__file__).resolve().parents[3]


def test_the_codes_are_those_that_were_published() -> None:
    """Scripts of others rest on these numbers."""
    assert (HOLDS, VIOLATED, BAD_INPUT, UNDECIDED, INTERNAL) == (0, 1, 2, 3, 4) == tuple(MEANINGS)
    assert (DONE, WRONG) == (HOLDS, VIOLATED)
    assert {"unsat": 0, "sat": 1, "unknown": 3, "timeout": 3} == VERDICT_CODES
    assert set(VERDICTS) == set(VERDICT_CODES)


def test_the_pages_list_them() -> None:
    """README.md has the sentence, docs/verdicts.md each verdict's code and those without a verdict."""
    assert SENTENCE in (ROOT / "README.md").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "verdicts.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|.*\| (\d) \|$", page, re.MULTILINE)
    assert {verdict: int(code) for verdict, code in rows} == VERDICT_CODES
    assert f"No verdict: {BAD_INPUT} {MEANINGS[BAD_INPUT][0].split(',')[0]}), {INTERNAL} an internal error" in page


def test_the_help_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    """`hypersplit --help` says the same, and names the pages."""
    assert main(["--help"]) == DONE
    said = capsys.readouterr().out
    assert SENTENCE.replace("`", "") in said and "docs/options.md" in said and "docs/verdicts.md" in said


def test_the_competition_script_knows_which_are_errors() -> None:
    """What ends without a verdict counts as `error` there."""
    script = (ROOT / "instances" / "vnncomp" / "run_instance.sh").read_text(encoding="utf-8")
    assert f"{BAD_INPUT} | {INTERNAL}) echo error" in script


def test_no_other_file_has_codes_of_its_own() -> None:
    """Commands and what ends the process take their codes from the one place."""
    for path in sorted((ROOT / "bab").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("sys.exit", "os._exit", "self.exit"):
                assert not isinstance(node.args[0], ast.Constant), path
            names = [ast.unparse(t) for t in node.targets] if isinstance(node, ast.Assign) else []
            known = {"UNDECIDED", "INTERNAL", "BAD_INPUT", "WRONG", "INTERRUPTED"}
            assert path.name == "exit_codes.py" or not known & set(names), path
