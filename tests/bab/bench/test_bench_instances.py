"""Lists of instances, and what is chosen of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hypersplit.bab.bench.bench_instances import read_instances, select
from hypersplit.instances.errors import InputError


def test_lists_and_selections(tmp_path: Path) -> None:
    """A family is its folder's name; globs look at family, network and property; a limit spreads evenly."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        rows = "".join(f"onnx/{i}.onnx,p{i % 2}.vnnlib,{i + 1}\n" for i in range(10))
        (tmp_path / name / "instances.csv").write_text(rows)
    instances = read_instances([tmp_path, tmp_path / "one" / "instances.csv"])
    assert len(instances) == 20
    assert instances[3].key == ("one", "onnx/3.onnx", "p1.vnnlib")
    assert instances[3].network == (tmp_path / "one" / "onnx" / "3.onnx").resolve()
    assert [i.timeout for i in select(instances, ["two"], 2)] == [1.0, 6.0]
    assert {i.vnnlib for i in select(instances, ["p1.*"], None)} == {"p1.vnnlib"}
    assert len(select(instances, ["*7.onnx"], None)) == 2


@pytest.mark.parametrize(
    "text", ["a.onnx,b.vnnlib\n", "a.onnx,b.vnnlib,soon\n", "a.onnx,b.vnnlib,-1\n", "\n", ",,5\n"]
)
def test_malformed_lists_name_file_and_line(text: str, tmp_path: Path) -> None:
    """A row that is no instance is refused, with the list's name."""
    (tmp_path / "instances.csv").write_text(text)
    with pytest.raises(InputError, match=r"instances\.csv"):
        read_instances([tmp_path / "instances.csv"])
