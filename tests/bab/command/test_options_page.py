"""docs/options.md and the help tell what `Options` is."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from hypersplit.bab.command.cli import main
from hypersplit.bab.command.options_page import PAGE, page
from hypersplit.bab.run.arguments import option_words, options_from, parser
from hypersplit.bab.run.flags import BENCH_FLAGS, LISTED, OUTSIDE_BENCH
from hypersplit.bab.run.options import ABOUT, Options
from hypersplit.bab.studies.frame import MODULES, STUDIES
from hypersplit.heuristics.splits.rules import RULES

ROOT = Path(__file__).resolve().parents[3]
NAMES = (
    "verify", "resume", "run-job", "merge", "info", "radius", "robustness", "regions", "bench", "study", "demo",
    "warm", "supports",
)  # fmt: skip
COMMANDS = {name: lambda args: 0 for name in NAMES}


def said(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """A command's help, on one line."""
    assert main([command, "--help"]) == 0
    return " ".join(capsys.readouterr().out.split())


def test_the_page_is_made_of_the_options() -> None:
    """`python -m hypersplit.bab.command.options_page` was run after the last change of an option."""
    assert PAGE == ROOT / "docs" / "options.md"
    assert PAGE.read_text(encoding="utf-8") == page()
    rows = [line.split(" | ") for line in page().splitlines() if line.startswith("| `")]
    names = [row[0].strip("| `") for row in rows]
    assert names[: len(ABOUT)] == [f.name for f in fields(Options)]
    assert set(RULES) <= set(names)
    assert len({len(row) for row in rows[: len(ABOUT)]}) == 1


def test_readme_links_the_page() -> None:
    """README.md and CONTRIBUTING.md name it."""
    for name in ("README.md", "CONTRIBUTING.md"):
        assert "docs/options.md" in (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("command", ["verify", "bench"])
def test_the_help_tells_every_option(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Meaning and default of each, by its flag or by its name; what bench refuses it does not tell."""
    text = said(command, capsys)
    assert "docs/options.md" in text
    for name, told in ABOUT.items():
        there = command == "verify" or name not in OUTSIDE_BENCH
        assert there == (f"{told.meaning} (default: {told.default})" in text or f"{told.meaning}: " in text), name
        if told.flag and (command == "verify" or name in BENCH_FLAGS):
            assert told.flag in text


def test_the_help_counts_the_questions_of_the_demo(capsys: pytest.CaptureFixture[str]) -> None:
    """Three are announced, three are asked."""
    from hypersplit.bab.command.demo import QUESTIONS

    assert len(QUESTIONS) == 3 and "three questions" in said("demo", capsys)


def test_the_help_names_the_studies_that_take_lists(capsys: pytest.CaptureFixture[str]) -> None:
    """Those whose module, or room where it has one, reads the settings' list, and no other."""
    text = said("study", capsys).replace("- ", "-")  # lines are broken behind hyphens, too
    assert f"in place of the study's own instances (of {', '.join(LISTED)})" in text
    studies = ROOT / "bab" / "studies"
    reads = set()
    for name in STUDIES:
        room = MODULES[name].split(".")[2] if name in MODULES else ""
        files = (ROOT / "bab" / room).glob("*.py") if room else [studies / f"{name.replace('-', '_')}.py"]
        if any("settings.instances" in path.read_text(encoding="utf-8") for path in files):
            reads.add(name)
    assert reads == set(LISTED)


def test_the_command_line_makes_the_options_that_were_given() -> None:
    """Flags and names reach `Options`; the words that bench hands on give the same again."""
    words = "verify n p --timeout 5 --seed 3 --trust-scip --option rule=axes --option clip=false --picture a.png"
    options = options_from(parser(COMMANDS).parse_args(words.split()), progress=True)
    made = {"timeout": 5.0, "seed": 3, "trust_scip": True, "rule": "axes", "clip": False, "picture": "a.png"}
    assert options == Options(progress=True, **made)  # type: ignore[arg-type]
    again = parser(COMMANDS).parse_args(["verify", "n", "p", *option_words(made), "--option=progress=false"])
    assert options_from(again, progress=True) == Options(**made)  # type: ignore[arg-type]


def test_the_help_loads_no_numpy() -> None:
    """Nor anything else that takes as long as an easy query."""
    code = (
        "import sys; from hypersplit.bab.command.cli import main; main(['verify', '--help'])\n"
        "print([name for name in ('numpy', 'scipy', 'difflib', 'hypersplit.bab.verify') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"
