"""The documents: their commands and their Python run on carried files, their tables are tables, their links lead."""

from __future__ import annotations

import argparse
import csv
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hypersplit.bab.command.cli import COMMANDS, main
from hypersplit.bab.run.arguments import parser
from hypersplit.instances.carried import carried

Captured = pytest.CaptureFixture[str]
ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "instances" / "data").glob("*.md")])
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}
QUESTION = ("control_2d.onnx", "control_force_1.2.vnnlib")  # a list of one
PLUGIN = ("-p", "hypersplit.bab.pytest_plugin", "-p", "no:cacheprovider")
FOLDERS = ("instances", "encodings", "heuristics", "bab")  # paths may start in one of them


def blocks(text: str, language: str = "") -> list[str]:
    """Code: fenced blocks of a language, or the indented lines of none."""
    if language:
        return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return re.findall(r"^    (\S.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)


def commands() -> list[tuple[str, list[str]]]:
    """(page, words) of all calls of the command line, in blocks and in sentences."""
    found = []
    for page, text in TEXTS.items():
        for line in [*blocks(text), *re.findall(r"`([^`\n]+)`", text)]:
            words = shlex.split(line, comments=True) if line.startswith("hypersplit ") else []
            found += [(page, words[1:])] if words else []
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that the documents speak of, carried ones, in the current folder."""
    monkeypatch.chdir(tmp_path)
    for name, number in (("net.onnx", 0), ("prop.vnnlib", 1)):
        shutil.copy(carried(QUESTION[number]), name)
    for name, own in (("digits.onnx", "digits_mlp_24x2.onnx"), ("digits.csv", "digits_nominal.csv")):
        shutil.copy(carried(own), name)
    family = tmp_path / "BENCHMARKS" / "FAMILY"
    family.mkdir(parents=True)
    for place in (tmp_path, family):
        for name in QUESTION:
            shutil.copy(carried(name), place / name)
        (place / "instances.csv").write_text(",".join((*QUESTION, "20")) + "\n")
    with open(carried("truth.csv"), newline="") as file:
        rows = [row for row in csv.reader(file) if row[0] == "family" or tuple(row[1:3]) == QUESTION]
    assert len(rows) == 2
    own = [rows[0], *([name, *rows[1][1:]] for name in (tmp_path.name, "FAMILY"))]
    (tmp_path / "truth.csv").write_text("".join(",".join(row) + "\n" for row in own))
    return tmp_path


def runnable() -> list[tuple[str, ...]]:
    """Calls whose files the folder has, each once."""
    given = ("verify net.onnx", "info net.onnx", "bench instances.csv", "bench BENCHMARKS/FAMILY")
    given += ("radius digits.onnx", "robustness digits.onnx", "regions digits.onnx")
    found = [[word for word in words if word != "..."] for _, words in commands()]
    return sorted({tuple(words) for words in found if " ".join(words).startswith(given)})


@pytest.mark.parametrize("words", runnable(), ids=" ".join)
def test_commands_of_the_documents_run(words: tuple[str, ...], folder: Path, capsys: Captured) -> None:
    """As they stand, on carried files: no bad usage, no error, and the files that they name are written."""
    if "--picture" in words:
        pytest.importorskip("matplotlib")
    assert main([*words]) in (0, 1)
    out, err = capsys.readouterr()
    assert out and "error" not in err
    for option, name in zip(words, words[1:], strict=False):
        assert option not in ("--picture", "--result", "--log", "--csv", "--html") or (folder / name).stat().st_size > 0


def test_there_are_commands() -> None:
    """The documents' calls are found at all, those that run and those that are only read."""
    assert len(runnable()) >= 5
    assert len(commands()) >= 15


@pytest.mark.parametrize("name", [*COMMANDS, "--cluster", "--export", "--checkpoint", "--workers", "--spill"])
def test_what_there_is_is_shown(name: str) -> None:
    """Each command, and what large runs are made of, in a call or a sentence of a page that somebody wrote."""
    pages = [text for page, text in TEXTS.items() if page not in ("docs/options.md", "CHANGELOG.md")]
    shown = re.escape(name) if name.startswith("-") else rf"hypersplit {re.escape(name)}"
    assert any(re.search(rf"{shown}\b", text) for text in pages)


@pytest.mark.parametrize(("page", "words"), commands(), ids=lambda given: given if isinstance(given, str) else "")
def test_commands_of_the_documents_are_understood(page: str, words: list[str]) -> None:
    """Options and names of studies are those of the program, wherever a call is quoted."""
    assert words[0] in COMMANDS
    if len(words) > 1:  # else only the command is named
        by_name = any(word.startswith("--network") for word in words)
        args = parser(COMMANDS, by_name).parse_args([word for word in words if word != "..."])
        assert isinstance(args, argparse.Namespace) and callable(args.run)


@pytest.mark.parametrize("page", [page for page in TEXTS if blocks(TEXTS[page], "python")])
def test_python_of_the_documents_runs(page: str, folder: Path) -> None:
    """Each block by itself, in a fresh process, in the folder with the files."""
    for block in blocks(TEXTS[page], "python"):
        run = subprocess.run([sys.executable, "-c", block], cwd=folder, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        assert run.stdout.split()[0] in ("sat", "unsat", "certified")


def test_the_tutorial_from_an_empty_folder(tmp_path: Path) -> None:
    """Its files, written as they stand, and its commands in their order print what it says, and nothing else."""
    pytest.importorskip("sklearn")
    text = TEXTS["docs/tutorial.md"]
    for name, code in re.findall(r'```python title="([\w.]+)"\n(.*?)```', text, re.DOTALL):
        (tmp_path / name).write_text(code, encoding="utf-8")
    programs = {"python": [], "pytest": ["-m", "pytest", *PLUGIN]}
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # the plugin as a name, installed or not
    asked = [block.removeprefix("$ ").split("\n", 1) for block in blocks(text, "console")]
    assert len(asked) == 4
    for command, expected in asked:
        program, *words = shlex.split(command)
        run = subprocess.run(
            [sys.executable, *programs[program], *words], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert run.returncode == 0, run.stdout + run.stderr
        assert run.stdout.startswith(expected)
        assert program == "pytest" or run.stdout == expected


def test_the_suite_of_the_page_on_testing(folder: Path) -> None:
    """The page's test passes on the carried network that it names."""
    ((name, code),) = re.findall(r'```python title="([\w.]+)"\n(.*?)```', TEXTS["docs/how-to/testing.md"], re.DOTALL)
    (folder / name).write_text(code, encoding="utf-8")
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-q", *PLUGIN, name]
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert run.returncode == 0 and "1 passed" in run.stdout, run.stdout + run.stderr


def test_every_page_is_on_the_site() -> None:
    """The pages under docs/ are those of the navigation in mkdocs.yml."""
    site = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = re.findall(r"^ +- [^:\n]+: ([\w/.-]+\.md)$", site, re.MULTILINE)
    assert sorted(named) == sorted(page.removeprefix("docs/") for page in TEXTS if page.startswith("docs/"))


@pytest.mark.parametrize("page", TEXTS)
def test_make_targets_of_the_documents_exist(page: str) -> None:
    """`make X` is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {m[1] for line in [*blocks(TEXTS[page]), *re.findall(r"`([^`\n]+)`", TEXTS[page])]
             if (m := re.match(r"make ([a-z]+)\b", line))}  # fmt: skip
    assert named <= targets


@pytest.mark.parametrize("page", TEXTS)
def test_tables_are_whole(page: str) -> None:
    """Every table starts with its head, a blank line before it, and all its rows have as many cells."""
    lines = ["", *TEXTS[page].splitlines(), ""]
    for before, line, after in zip(lines, lines[1:], lines[2:], strict=False):
        if line.startswith("|") and not before.startswith("|"):
            assert before == "", f"{page}: no blank line before {line}"
            assert re.fullmatch(r"\|[ :|-]+\|", after), f"{page}: {line} has no line of dashes below it"
        if line.startswith("|") and after.startswith("|"):
            assert _cells(line) == _cells(after), f"{page}: {after}"


def _cells(row: str) -> int:
    return len(re.findall(r"(?<!\\)\|", re.sub(r"`[^`]*`", "", row)))


@pytest.mark.parametrize("page", TEXTS)
def test_files_that_the_documents_name_exist(page: str) -> None:
    """Links, pictures, and paths of Markdown, Python and shell files in quotes."""
    linked = [(ROOT / page).parent / link for link in re.findall(r"\]\(([^)#:]+)\)", TEXTS[page])]
    quoted = re.findall(r"`([\w./-]+/[\w.-]+\.(?:md|py|sh|csv|svg))`", TEXTS[page])
    missing = [str(path) for path in linked if not path.exists()]
    for name in quoted:
        if not any((base / name).exists() for base in (ROOT, *(ROOT / folder for folder in FOLDERS))):
            missing.append(name)
    assert not missing, f"{page}: {missing}"
