"""`hypersplit warm`, with stand-ins for what compiles."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

from hypersplit.bab.command import warm as module
from hypersplit.bab.command.cli import main
from hypersplit.encodings.kernels.cache import kernel_folder, kernels_ready, mark_ready
from hypersplit.encodings.kernels.lock import holding
from hypersplit.encodings.kernels.switch import compilation_lock
from hypersplit.encodings.slopes.compile_kernels import FAMILIES

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache folder of the test's own."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    kernel_folder.cache_clear()
    yield tmp_path / "cache"
    kernel_folder.cache_clear()


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The families that were compiled, by stand-ins."""
    names: list[str] = []
    for family in FAMILIES:
        monkeypatch.setitem(FAMILIES, family, lambda family=family: names.append(family))
    return names


def test_warm_compiles_and_says_so(compiled: list[str], capsys: Captured) -> None:
    """Each family once, a line each with its seconds; afterwards all is there already, and said to be."""
    assert main(["warm"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert compiled == list(FAMILIES) and all(kernels_ready(family) for family in FAMILIES)
    assert len(lines) == 4 and all(line.startswith("compiling kernels: ") for line in lines[:3])
    assert lines[3].startswith("kernels ready after ") and lines[3].endswith(str(kernel_folder()))

    assert main(["warm"]) == 0
    assert capsys.readouterr().out == f"all kernels are compiled already: {kernel_folder()}\n"
    assert compiled == list(FAMILIES)


def test_warm_goes_on_where_a_lost_compilation_was(compiled: list[str], capsys: Captured) -> None:
    """What is ready is not compiled again."""
    kernel_folder().mkdir(parents=True)
    mark_ready("narrow")
    assert main(["warm"]) == 0
    assert compiled == ["contraction", "wide"] and len(capsys.readouterr().out.splitlines()) == 3


@pytest.mark.parametrize("finishes", [True, False])
def test_warm_waits_for_who_compiles(
    finishes: bool, compiled: list[str], capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that it waits, and compiles itself only what the other one was lost with."""
    kernel_folder().mkdir(parents=True)
    slept: list[float] = []
    with ExitStack() as other:
        assert other.enter_context(holding(compilation_lock()))

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            if len(slept) == 1:
                mark_ready("narrow")
            elif len(slept) == 2:
                for family in FAMILIES if finishes else ():
                    mark_ready(family)
                other.close()

        monkeypatch.setattr(module, "PATIENCE", 0.0)
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=module.time.monotonic, sleep=sleep))
        assert main(["warm"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "another process compiles kernels now: waiting for it"
    assert compiled == ([] if finishes else ["contraction", "wide"])
    assert len(lines) == 2 + len(compiled) and lines[-1].startswith("kernels ready after ")


def test_warm_says_where_nothing_can_be_kept(tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line on stderr with the folder, and exit code 2."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
    kernel_folder.cache_clear()
    assert main(["warm"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and str(tmp_path / "file") in err


def test_signals_end_a_compilation_on_the_spot(monkeypatch: pytest.MonkeyPatch) -> None:
    """While it compiles, and not afterwards: the compiler would swallow an exception."""
    before = signal.getsignal(signal.SIGINT)
    inside: list[object] = []
    for family in FAMILIES:
        monkeypatch.setitem(
            FAMILIES, family, lambda: inside.extend(map(signal.getsignal, (signal.SIGINT, signal.SIGTERM)))
        )
    assert main(["warm"]) == 0
    assert inside == [signal.SIG_DFL] * 2 * len(FAMILIES) and signal.getsignal(signal.SIGINT) is before


def test_every_family_has_its_words() -> None:
    """What `warm` says of a family is there for each."""
    assert list(module.ABOUT) == list(FAMILIES)
