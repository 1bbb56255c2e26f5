"""Where compiled kernels are kept: a folder named by their sources, chosen by the environment, left as it was."""

from __future__ import annotations

import ast
import os
import shutil
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from numba import config, njit

from hypersplit.encodings.kernels import cache as module
from hypersplit.encodings.kernels.cache import (
    kernel_cache,
    kernel_folder,
    kernels_ready,
    mark_ready,
)

SOURCES = sorted(path.name for path in Path(module.__file__).parent.glob("*.py"))


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """No test sees the folder of another one, nor leaves its own behind."""
    kernel_folder.cache_clear()
    yield
    kernel_folder.cache_clear()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def sources(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a copy of the kernels' sources, which the module takes for its own."""
    folder = tmp_path / "sources"
    folder.mkdir()
    for name in SOURCES:
        shutil.copy(Path(module.__file__).parent / name, folder)
    monkeypatch.setattr(module, "__file__", str(folder / "cache.py"))
    return folder


def folder_now() -> Path:
    """The folder as a new process would see it."""
    kernel_folder.cache_clear()
    return kernel_folder()


def test_the_folder_changes_with_any_kernel_source(sources: Path) -> None:
    """One more byte in any of the sources, or one more source, is another folder; the old bytes are the old one."""
    assert {"narrow_nodes.py", "narrow_layout.py", "narrow_substitution.py", "wide_nodes.py"} <= set(SOURCES)
    before, seen = folder_now(), {folder_now()}
    for name in SOURCES:
        old = (sources / name).read_bytes()
        (sources / name).write_bytes(old + b"\n")
        assert folder_now() not in seen, name
        seen.add(folder_now())
        (sources / name).write_bytes(old)
        assert folder_now() == before, name
    (sources / "of_tomorrow.py").write_text("x = 1\n")
    assert folder_now() not in seen


def test_the_folder_changes_with_the_constants_of_rounding(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are compiled into the kernels, though they stand in another folder."""
    (shared,) = module.SHARED
    copy = tmp_path / "rounding.py"
    shutil.copy(shared, copy)
    monkeypatch.setattr(module, "SHARED", (copy,))
    before = folder_now()
    copy.write_text(shared.read_text() + "UP = 2.0\n")
    assert folder_now() != before


def test_kernels_take_constants_from_nowhere_else() -> None:
    """What a kernel imports from outside its folder is in the digest, or a type."""
    types = {"instances.network.Array", "instances.sparse.Rows"}
    for name in SOURCES:
        for node in ast.walk(ast.parse((Path(module.__file__).parent / name).read_text())):
            if isinstance(node, ast.ImportFrom) and node.level > 1:
                taken = {f"{node.module}.{alias.name}" for alias in node.names}
                known = {f"instances.{path.stem}" for path in module.SHARED}
                assert node.module in known or taken <= known | types, f"{name}: {taken}"


def test_the_folder_does_not_change_with_time_or_other_files(sources: Path) -> None:
    """What is not a kernel's source, and when the sources were written, changes nothing."""
    before = folder_now()
    (sources / "notes.md").write_text("x = 1\n")
    os.utime(sources / "narrow_nodes.py", (1.0, 1.0))
    assert folder_now() == before


def test_the_folder_changes_with_the_place_of_the_sources(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two installations of one version do not share a folder: numba's keys hold the place."""
    before = folder_now()
    other = sources.parent / "other"
    shutil.copytree(sources, other)
    monkeypatch.setattr(module, "__file__", str(other / "cache.py"))
    assert folder_now() != before


@pytest.mark.parametrize("package", ["numba", "llvmlite", "numpy", "scipy"])
def test_the_folder_changes_with_the_compiler(home: Path, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """A new version of anything that compiles or is compiled against is another folder."""
    before, real = folder_now(), metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: real(name) + ("+new" if name == package else ""))
    assert folder_now() != before


def test_the_folder_changes_with_the_processor(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code for one processor's instructions is not run on another's, as when a home folder is shared."""
    monkeypatch.setattr(module, "_processor", lambda: "flags: sse2")
    before = folder_now()
    monkeypatch.setattr(module, "_processor", lambda: "flags: sse2 avx2")
    assert folder_now() != before


def test_the_environment_moves_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NUMBA_CACHE_DIR first, then hypersplit in XDG_CACHE_HOME, then in ~/.cache; an empty word counts as none."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "numba"))
    assert folder_now().parent == tmp_path / "numba"
    name = folder_now().name
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")
    assert folder_now() == tmp_path / "xdg" / "hypersplit" / name
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    assert folder_now() == tmp_path / "xdg" / "hypersplit" / name
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert folder_now() == tmp_path / "home" / ".cache" / "hypersplit" / name
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert folder_now() == tmp_path / "home" / ".cache" / "hypersplit" / name
    assert name.startswith("kernels-") and list(tmp_path.iterdir()) == [], "asking makes no folder"


def test_numba_is_told_the_folder_inside_the_block_only(home: Path) -> None:
    """A function that numba is given inside is kept in the folder; numba's own setting is back afterwards."""
    before = config.CACHE_DIR
    with kernel_cache():
        assert str(kernel_folder()) == config.CACHE_DIR

        @njit(cache=True)
        def inside(x):  # type: ignore[no-untyped-def]
            return x + 1

    assert before == config.CACHE_DIR
    assert Path(inside.stats.cache_path).is_relative_to(kernel_folder())


def test_numbas_setting_comes_back_after_an_exception(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it was: its default, or a folder that somebody set; and the exception goes on."""
    for value in (config.CACHE_DIR, "somewhere/else"):
        monkeypatch.setattr(config, "CACHE_DIR", value)
        with pytest.raises(ImportError, match="no kernels"), kernel_cache():
            assert value != config.CACHE_DIR
            raise ImportError("no kernels")
        assert value == config.CACHE_DIR


def test_kernels_are_ready_once_marked(sources: Path) -> None:
    """The marks are the folder's, one a family: without a folder nothing can be marked, a new source is not ready."""
    with pytest.raises(FileNotFoundError):
        mark_ready("narrow")
    assert not kernels_ready("narrow") and not kernel_folder().exists()
    kernel_folder().mkdir(parents=True)
    assert not kernels_ready("narrow")
    mark_ready("narrow")
    assert kernels_ready("narrow") and not kernels_ready("wide") and not kernels_ready("contraction")
    (sources / "narrow_nodes.py").write_text("x = 1\n")
    kernel_folder.cache_clear()
    assert not kernels_ready("narrow")


def test_kernels_in_a_folder_that_cannot_be_written_are_not_ready(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """numba would pass them over and compile anew, in the middle of a query."""
    kernel_folder().mkdir(parents=True)
    mark_ready("narrow")
    monkeypatch.setattr(module.os, "access", lambda path, mode: Path(path) != kernel_folder() or mode != os.W_OK)
    assert not kernels_ready("narrow")
