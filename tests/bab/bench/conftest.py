"""What tests of the bench share."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import small_files


@pytest.fixture
def family(tmp_path: Path) -> Path:
    """A family of two instances, the network and one property gzipped as VNN-COMP does."""
    folder = tmp_path / "toy"
    folder.mkdir()
    network = small_files.absolute(folder / "net.onnx")
    (folder / "net.onnx.gz").write_bytes(gzip.compress(network.read_bytes()))
    network.unlink()
    holds = small_files.holds(folder / "holds.vnnlib")
    (folder / "holds.vnnlib.gz").write_bytes(gzip.compress(holds.read_bytes()))
    holds.unlink()
    small_files.violated(folder / "violated.vnnlib")
    (folder / "instances.csv").write_text("net.onnx,holds.vnnlib,60\r\nnet.onnx,violated.vnnlib,60.5\r\n")
    return folder
