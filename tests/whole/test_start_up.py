"""What an easy query does not import: loading it takes longer than the query."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import small_files

LATE = ("scipy", "pyscipopt", "numba", "networkx", "matplotlib", "tqdm")


@pytest.mark.parametrize("ends", [small_files.holds, small_files.violated])
def test_an_easy_query_imports_little(ends: Callable[[Path], Path], tmp_path: Path) -> None:
    """A small dense network needs neither scipy nor SCIP nor compiled kernels."""
    network = small_files.absolute(tmp_path / "net.onnx")
    prop = ends(tmp_path / "prop.vnnlib")
    code = (
        "import sys; from hypersplit.bab.command.cli import main; "
        f"main(['verify', {str(network)!r}, {str(prop)!r}]); print(sorted(sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ast.literal_eval(ended.stdout.splitlines()[-1]))
    assert sorted({name.partition(".")[0] for name in loaded} & set(LATE)) == []
