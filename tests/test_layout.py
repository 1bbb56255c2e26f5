"""Guards of the layout: the root is the package, the staircase of imports, the sizes, the options."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from small_files import absolute, property_of

from hypersplit.bab.run.options import Options

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("instances", "encodings", "heuristics", "bab")
# What each folder may import of the others: data and readers lie lowest, the search on top.
MAY_IMPORT = {
    "instances": {"instances"},
    "encodings": {"instances", "encodings"},
    "heuristics": {"instances", "heuristics"},
    "bab": set(FOLDERS),
}
MAY_NAME = {
    "heuristics": {"encodings"}
}  # whose types may stand in annotations: bounds are handed in as arguments
SLOW = ("matplotlib", "networkx", "numba", "onnx", "onnxruntime", "pyscipopt", "tqdm")
MOST_LINES = 400
FEWEST_FILES, MOST_FILES = 3, 15  # of a room


def modules(folder: str) -> list[Path]:
    """The Python files of a folder, folders below included."""
    return sorted((ROOT / folder).rglob("*.py"))


def imports(path: Path, for_types: bool = False) -> Iterator[tuple[int, str]]:
    """(level, dotted name) of every import of a file, those inside functions too.

    for_types: those that only a type checker makes, under `if TYPE_CHECKING`, instead of those that run.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    blocks = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    typed = {node for block in blocks for node in ast.walk(block)}
    for node in typed if for_types else set(ast.walk(tree)) - typed:
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = f"{node.module}." if node.module else ""
            yield from ((node.level, base + alias.name) for alias in node.names)


def test_every_folder_with_code_is_packaged() -> None:
    """A folder that is missing on the list in pyproject.toml would be missing in the wheel."""
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    folders = {path.parent.relative_to(ROOT) for name in FOLDERS for path in modules(name)}
    assert listed == {"hypersplit"} | {".".join(("hypersplit", *folder.parts)) for folder in folders}


def test_every_data_file_is_packaged() -> None:
    """What is neither Python nor matched by package-data would be missing in the wheel."""
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    for name in FOLDERS:
        folder = ROOT / name
        packed = {p for pattern in patterns.get(f"hypersplit.{name}", []) for p in folder.glob(pattern)}
        files = {p for p in folder.rglob("*") if p.is_file() and p.suffix != ".py" and p.parent.name != "__pycache__"}
        assert files <= packed


def test_python_starts_with_the_root_on_its_path() -> None:
    """With a regular package `encodings` on the path, Python finds no codecs and ends at once."""
    assert not (ROOT / "encodings" / "__init__.py").exists()
    code = "import encodings, sys; assert 'x'.encode('idna') == b'x'; print(encodings.__file__)"
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert not Path(run.stdout.strip()).is_relative_to(ROOT / "encodings")


@pytest.mark.parametrize("folder", FOLDERS)
def test_imports_keep_to_the_staircase(folder: str) -> None:
    """instances <- encodings, heuristics <- bab, by relative imports, and never climbed backwards."""
    for path, for_types in [(path, for_types) for path in modules(folder) for for_types in (False, True)]:
        inside = path.relative_to(ROOT).parts[:-1]
        allowed = MAY_IMPORT[folder] | (MAY_NAME.get(folder, set()) if for_types else set())
        for level, name in imports(path, for_types):
            if level == 0:
                own = name.split(".")[0] == "hypersplit" and path.name != "__main__.py"
                assert not own, f"{path}: {name} is imported absolutely"
                continue
            assert level <= len(inside) + 1, f"{path}: {'.' * level}{name} leaves the package"
            target = (*inside[: len(inside) - level + 1], *name.split("."))[0]
            assert target in allowed, f"{path} imports {'.' * level}{name}"


def rooms(folder: str) -> list[Path]:
    """The rooms of a folder."""
    return sorted({path.parent for path in modules(folder)} - {ROOT / folder})


@pytest.mark.parametrize("folder", FOLDERS)
def test_rooms_can_be_seen_at_a_glance(folder: str) -> None:
    """Each room says in a line which question it answers, and holds a handful of files."""
    for room in rooms(folder):
        said = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8")))
        assert said and "?" in said, room
        files = [path for path in modules(folder) if path.parent == room and path.name != "__init__.py"]
        assert FEWEST_FILES <= len(files) <= MOST_FILES, room


def test_the_map_names_every_room() -> None:
    """CONTRIBUTING's table says of each room what the room says of itself, in an order without arrows upwards."""
    lines = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()
    table = dict(line.strip("| ").split(" | ", 1) for line in lines if line.startswith("| `"))
    said = {
        f"`{room.relative_to(ROOT)}/`": ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8")))
        for folder in FOLDERS
        for room in rooms(folder)
    }
    assert {name: text for name, text in table.items() if name in said} == said
    order = {name.strip("`/"): number for number, name in enumerate(table)}
    for folder in FOLDERS:
        for path in modules(folder):
            inside = path.relative_to(ROOT).parts[:-1]
            for level, name in imports(path):
                parts = (*inside[: len(inside) - level + 1], *name.split("."))
                room, other = "/".join(inside), "/".join(parts[:2])
                if level and other in order and other.startswith(folder) and room in order and path.parent != ROOT:
                    assert order[other] <= order[room] or room in FOLDERS, f"{path} imports {name}"


def test_rooms_depend_on_each_other_without_circles() -> None:
    """Rooms, and files within a room, can be read one after another."""
    import networkx as nx

    files, between = nx.DiGraph(), nx.DiGraph()
    known = {path.relative_to(ROOT).with_suffix("").parts: path for name in FOLDERS for path in modules(name)}
    for parts, path in known.items():
        for level, name in imports(path):
            if level == 0:
                continue
            target = (*parts[: len(parts) - level], *name.split("."))
            other = known.get(target) or known.get(target[:-1])
            if other and other != path and other.name != "__init__.py":
                files.add_edge(path, other)
                if path.parent != other.parent:
                    between.add_edge(path.parent, other.parent)
    circles = [sorted(map(str, c)) for c in nx.strongly_connected_components(files) if len(c) > 1]
    circles += [sorted(map(str, c)) for c in nx.strongly_connected_components(between) if len(c) > 1]
    assert circles == []


def test_the_public_face_imports_absolutely() -> None:
    """A relative import in the root's __init__.py breaks tests in clones with another folder name."""
    assert all(level == 0 for level, _ in imports(ROOT / "__init__.py"))


@pytest.mark.parametrize("folder", [*FOLDERS, "scripts", "tests"])
def test_no_file_is_too_long(folder: str) -> None:
    """Over 400 lines a file holds more than one technique."""
    long = {
        str(p): n
        for p in modules(folder)
        if (n := len(p.read_text(encoding="utf-8").splitlines())) > MOST_LINES
    }
    assert long == {}


def test_every_option_is_read() -> None:
    """An option that nothing reads is a promise not kept."""
    read = {
        node.attr
        for path in modules("bab")
        if path.name not in ("options.py", "cli.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value).split(".")[-1] == "options"
    }
    assert {f.name for f in fields(Options)} - read == set()


def test_slow_libraries_wait_until_they_are_needed() -> None:
    """`import hypersplit` and the command's `--help` load none of the slow libraries."""
    code = (
        "import sys, hypersplit; from hypersplit.bab.command.cli import main; main(['--help'])\n"
        f"print([name for name in {SLOW} if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"


def test_an_easy_query_loads_little(tmp_path: Path) -> None:
    """What linear bounds decide at the root loads neither onnx nor compilers, solvers or masked arrays."""
    network, prop = absolute(tmp_path / "net.onnx"), property_of(tmp_path / "prop.vnnlib", "(<= Y_0 -5.0)")
    slow = (*(name for name in SLOW if name != "onnxruntime"), "scipy", "numpy.ma")
    code = (
        "import sys; from hypersplit.bab.command.cli import main\n"
        f"code = main(['verify', {str(network)!r}, {str(prop)!r}])\n"
        f"print(code, [name for name in {slow} if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "0 []"


def test_scripts_can_be_run() -> None:
    """Scripts are executable and start with a shebang."""
    scripts = [ROOT / ".ci" / "run", *(ROOT / "instances" / "vnncomp").glob("*_*.sh")]
    assert len(scripts) == 4
    for path in scripts:
        assert path.read_text(encoding="utf-8").startswith("#!/usr/bin/env bash\n")
        assert os.access(path, os.X_OK), path
