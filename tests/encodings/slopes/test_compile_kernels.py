"""The process that compiles: each family once, the wanted one first, and what is ready already not again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hypersplit.encodings.kernels.cache import kernel_folder, kernels_ready, mark_ready
from hypersplit.encodings.kernels.lock import holding
from hypersplit.encodings.kernels.switch import compilation_lock
from hypersplit.encodings.slopes import compile_kernels as module
from hypersplit.encodings.slopes.compile_kernels import FAMILIES, compile_kernels

# compiling a family writes its name when it begins and when it ends
WORKER = """
import sys, time
from hypersplit.encodings.slopes import compile_kernels as module

def stand_in(family):
    for word in ("begins", "ends"):
        with open(sys.argv[1], "a") as log:
            log.write(f"{family} {word}\\n")
        time.sleep(0.05)

for family in module.FAMILIES:
    module.FAMILIES[family] = lambda family=family: stand_in(family)
module.compile_kernels(sys.argv[2])
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache folder of the test's own."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    kernel_folder.cache_clear()
    kernel_folder().mkdir(parents=True)
    yield tmp_path / "cache"
    kernel_folder.cache_clear()


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The families that were compiled, by stand-ins."""
    names: list[str] = []
    for family in FAMILIES:
        monkeypatch.setitem(FAMILIES, family, lambda family=family: names.append(family))
    return names


def test_the_wanted_family_comes_first(compiled: list[str]) -> None:
    """Then the others, those for few inputs before those for many; all are ready afterwards."""
    compile_kernels("contraction")
    assert compiled == ["contraction", "narrow", "wide"]
    assert all(kernels_ready(family) for family in FAMILIES)


def test_what_was_compiled_before_a_loss_is_kept(compiled: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler that is lost in its second family leaves the first one ready; the next goes on with the second."""

    def lost() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setitem(FAMILIES, "contraction", lost)
        with pytest.raises(KeyboardInterrupt):
            compile_kernels("narrow")
    assert [kernels_ready(family) for family in FAMILIES] == [True, False, False]
    compile_kernels("narrow")
    assert compiled == ["narrow", "contraction", "wide"]


def test_nothing_is_compiled_while_another_process_does(compiled: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Who does not get the lock leaves it at that."""
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    mark_ready("narrow")
    with holding(compilation_lock()):
        compile_kernels("wide")
    assert compiled == []


def test_two_compilers_at_once_compile_each_family_once(tmp_path: Path) -> None:
    """Whatever each wants first, no family begins while another one is compiled, and none begins twice."""
    log = tmp_path / "log.txt"
    workers = [subprocess.Popen([sys.executable, "-c", WORKER, str(log), first]) for first in ("narrow", "wide")]
    assert [worker.wait() for worker in workers] == [0, 0]
    lines = [line.split() for line in log.read_text().splitlines()]
    assert [word for _, word in lines] == ["begins", "ends"] * len(FAMILIES)
    assert [family for family, _ in lines[::2]] == [family for family, _ in lines[1::2]]
    assert {family for family, _ in lines} == set(FAMILIES) and all(kernels_ready(family) for family in FAMILIES)
