"""What the import graph shows: pages up to date, a way to every module, a use of every public name."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import hypersplit

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "scripts" / "draw_rooms.py"
FOLDERS = ("instances", "encodings", "heuristics", "bab")
# What no command, no public function and no study comes to, and who does.
ELSEWHERE = {
    "bab/__main__.py": "python -m hypersplit.bab",
    "instances/onnx/writer.py": "scripts, which write the carried files",
    "instances/onnx/written.py": "the writer",
    "bab/pytest_plugin.py": "pytest, by its entry point",
    "bab/command/options_page.py": "whoever changes an option, to write docs/options.md",
}
# Public names that tests alone use: what they hold others against, or look at more closely than a run does.
FOR_TESTS = {"VERDICTS", "bound_neuron"}


def modules() -> list[Path]:
    """The modules of all rooms."""
    found = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
    return sorted(path for path in found if path.name != "__init__.py")


def imported(path: Path) -> Iterator[Path]:
    """Files that a module imports, inside functions and in programs given to other processes too."""
    spec = importlib.util.spec_from_file_location("draw_rooms", SCRIPT)
    assert spec and spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    yield from (ROOT.joinpath(*parts).with_suffix(".py") for parts in script.imported(path))
    for name in re.findall(r"from hypersplit\.([\w.]+) import", path.read_text(encoding="utf-8")):
        yield ROOT.joinpath(*name.split(".")).with_suffix(".py")


def test_every_module_can_be_come_to() -> None:
    """From the command line, the public names and the studies imports lead everywhere."""
    homes = {getattr(hypersplit, name).__module__.removeprefix("hypersplit.") for name in hypersplit.__all__}
    asked = [ROOT.joinpath(*home.split(".")).with_suffix(".py") for home in homes]
    asked += [ROOT / "bab" / "command" / "cli.py", ROOT / "bab" / "verify.py", *(ROOT / "bab" / "studies").glob("*.py")]
    for room in ("barrier", "node_study"):  # studies, too, which their frame imports by their names
        asked += (ROOT / "bab" / room).glob("*.py")
    seen: set[Path] = set()
    while asked:
        path = asked.pop()
        if path not in seen:
            seen.add(path)
            asked += imported(path)
    left = {path.relative_to(ROOT).as_posix() for path in modules() if path not in seen}
    assert left == set(ELSEWHERE)


def test_scripts_use_what_they_alone_use() -> None:
    """Modules that are kept for the scripts are imported by one."""
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "scripts").glob("*.py"))
    for name, who in ELSEWHERE.items():
        assert "scripts" not in who or f"hypersplit.{name.removesuffix('.py').replace('/', '.')} import" in text, name


def test_every_public_name_is_used() -> None:
    """A name that a module offers is used in the package, its public face or the scripts, its definition aside."""
    users = (*modules(), *(ROOT / "scripts").glob("*.py"), ROOT / "__init__.py")
    texts = {path: path.read_text(encoding="utf-8") for path in users}
    uses = Counter()
    for text in texts.values():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Store):
                uses[node.id] += 1
            elif isinstance(node, (ast.Attribute, ast.alias)):
                uses[node.attr if isinstance(node, ast.Attribute) else node.name] += 1
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "import" in node.value:
                uses.update(re.findall(r"\w+", node.value))  # programs given to other processes
    public = {
        (path, name)
        for path in modules()
        for node in ast.parse(texts[path]).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        for name in ast.literal_eval(node.value)
    }
    dead = {name for path, name in public if not uses[name]}
    assert dead - FOR_TESTS == set()


def test_the_picture_of_the_rooms_is_up_to_date() -> None:
    """docs/rooms.svg and the table of docs/architecture.md are what `scripts/draw_rooms.py` would write."""
    run = subprocess.run([sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
