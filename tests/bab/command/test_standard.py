"""The command line of the VNN-LIB standard: networks by name, assignments, capabilities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import small_files
from onnx import numpy_helper

import hypersplit
from hypersplit.bab.command.cli import main
from hypersplit.bab.command.standard import CAPABILITIES
from hypersplit.bab.run.flags import CAPABILITIES as NAMES

Captured = pytest.CaptureFixture[str]
PAIR = """(vnnlib-version <2.0>)
(declare-network f (declare-input A {kind} [1,2]) (declare-output P {kind} [1]))
(declare-network g ({like} f) (declare-input B {kind} [1,2]) (declare-output Q {kind} [1]))
(assert (and (<= A[0,0] 1.0) (>= A[0,0] -1.0) (<= A[0,1] 1.0) (>= A[0,1] 0.0)))
(assert (and (== A[0,0] B[0,0]) (== A[0,1] B[0,1])))
(assert (>= (- P[0] Q[0]) {least}))
"""


@pytest.fixture
def pair(tmp_path: Path) -> list[str]:
    """Two files: |x_0| + x_1, and the same with half of |x_0|."""
    small_files.absolute(tmp_path / "f.onnx")
    first = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    last = np.array([[0.5, 0.5, 1.0]], dtype=np.float32)
    small_files.write_network(tmp_path / "g.onnx", [(first, np.zeros(3, dtype=np.float32)), (last, None)])
    return [f"--network={name}={tmp_path / name}.onnx" for name in "fg"]


def query(folder: Path, least: float, like: str = "isomorphic-to", kind: str = "real") -> str:
    path = folder / "query.vnnlib"
    path.write_text(PAIR.format(least=least, like=like, kind=kind))
    return str(path)


def test_two_networks_that_differ_by_less_are_unsat(pair: list[str], tmp_path: Path, capsys: Captured) -> None:
    """f - g is at most 0.5: one line on stdout, the rest on stderr, exit code 0."""
    assert main(["verify", query(tmp_path, 0.75), *pair, "--timeout", "60"]) == 0
    out, err = capsys.readouterr()
    assert out == "unsat\n"
    assert err.startswith("reason: ")


def test_sat_prints_every_variable_in_order(pair: list[str], tmp_path: Path, capsys: Captured) -> None:
    """NAME TYPE [DIMENSIONS], then values row by row; equal inputs have equal values."""
    assert main(["verify", query(tmp_path, 0.25, kind="Float32"), *pair, "--timeout", "60"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == "sat"
    assert [lines[i] for i in (1, 4, 6, 9)] == ["A Float32 [1,2]", "P Float32 [1]", "B Float32 [1,2]", "Q Float32 [1]"]
    assert lines[2:4] == lines[7:9] and len(lines) == 11
    assert float(lines[5]) - float(lines[10]) >= 0.25
    assert float(lines[5]) == pytest.approx(abs(float(lines[2])) + float(lines[3]))
    assert "float32, read as reals" in err


def test_assignments_go_into_files(pair: list[str], tmp_path: Path, capsys: Captured) -> None:
    """With a folder the values are tensors of the declared types and shapes, and stdout is one line."""
    folder = tmp_path / "out" / "put"
    words = ["verify", query(tmp_path, 0.25, kind="float32"), *pair, "--serialise-assignments", str(folder)]
    assert main(words) == 0
    assert capsys.readouterr().out == "sat\n"
    tensors = {}
    for path in folder.iterdir():
        proto = onnx.TensorProto.FromString(path.read_bytes())
        assert proto.name == path.stem
        tensors[path.stem] = numpy_helper.to_array(proto)
    assert {name: (v.dtype, v.shape) for name, v in tensors.items()} == {
        "A": (np.float32, (1, 2)), "P": (np.float32, (1,)), "B": (np.float32, (1, 2)), "Q": (np.float32, (1,)),
    }  # fmt: skip
    assert np.array_equal(tensors["A"], tensors["B"]) and tensors["P"][0] - tensors["Q"][0] >= 0.25


def test_equal_networks_have_one_file(pair: list[str], tmp_path: Path, capsys: Captured) -> None:
    """A network that equals another takes no file: with one it is an error, without it f - f is never 0.25."""
    path = query(tmp_path, 0.25, like="equal-to")
    assert main(["verify", path, *pair]) == 2
    assert "a file for g, which needs none" in capsys.readouterr().err
    assert main(["verify", path, pair[0], "--timeout", "60"]) == 0
    assert capsys.readouterr().out == "unsat\n"
    assert main(["verify", str(tmp_path / "f.onnx"), path]) == 0
    assert capsys.readouterr().out.startswith("unsat\n")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--network f=f.onnx", "no file for network g"),
        ("--network f=f.onnx --network g=g.onnx --network h=f.onnx", "a file for h"),
        ("--network f=f.onnx --network f=g.onnx", "given twice"),
        ("--network f", "expected NAME=FILE"),
        ("--network f=f.onnx --network g=absent.onnx", "absent.onnx"),
        ("--network f=f.onnx --network g=g.onnx --strict-types", "A is of type float32"),
    ],
)
def test_what_does_not_fit_is_one_line_and_2(
    words: str, told: str, pair: list[str], tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Missing and superfluous networks, and types that are refused, are errors on stderr; stdout stays empty."""
    monkeypatch.chdir(tmp_path)
    assert main(["verify", query(tmp_path, 0.25, kind="float32"), *words.split()]) == 2
    out, err = capsys.readouterr()
    assert out == "" and told in err and err.count("\n") == 1


def test_types_must_be_the_files(pair: list[str], tmp_path: Path, capsys: Captured) -> None:
    """A query that declares float64 for a float32 file is refused; real fits every file."""
    assert main(["verify", query(tmp_path, 0.25, kind="float64"), *pair]) == 2
    assert "A is declared float64" in capsys.readouterr().err


def test_lists_of_networks_are_read_as_the_competition_writes_them(
    pair: list[str], tmp_path: Path, capsys: Captured
) -> None:
    """[('f', FILE), ...] in the place of the network names several of them; other brackets are refused."""
    pairs = [tuple(word.split("=", 2)[1:]) for word in pair]
    assert main(["verify", str(pairs), query(tmp_path, 0.75), "--timeout", "60"]) == 0
    assert capsys.readouterr().out.startswith("unsat\nreason")
    assert main(["verify", "[('f', 3, 4)]", query(tmp_path, 0.75)]) == 2
    assert "expected [('NAME', 'FILE'), ...]" in capsys.readouterr().err


def test_version_1_is_asked_the_same_way(pair: list[str], tmp_path: Path, capsys: Captured) -> None:
    """A query of version 1 has one network, of any name, and its variables are X and Y."""
    path = small_files.violated(tmp_path / "p.vnnlib")
    assert main(["verify", str(path), pair[0].replace("=f=", "=any="), "--timeout", "60"]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if " " in line] == ["X real [2]", "Y real [1]"]


def test_every_capability_is_answered(capsys: Captured) -> None:
    """All eleven of the standard, each with values that it permits."""
    assert tuple(CAPABILITIES) == NAMES and len(NAMES) == 11
    said = {}
    for name in NAMES:
        assert main(["supports", f"--{name}"]) == 0
        said[name] = capsys.readouterr().out.splitlines()
    assert all(said.values())
    low, high = map(int, said["onnx-opset-versions"])
    assert low < high
    assert said["onnx-element-types"] == ["real"]
    assert {"Relu", "Gemm", "Conv", "MatMul"} <= set(said["onnx-operators"])
    assert said["vnnlib-versions"][1] == "2.0"
    assert said["hidden-node-theories"] == ["NH"]
    assert set(said["multiple-network-theories"]) <= {"SNET", "MENET", "MINET", "MNET"}
    assert said["arithmetic-complexity-theories"] == ["BND", "OUTC", "LIN"]
    assert said["serialise-assignments"] == said["optimised-disjunctive-reasoning"] == ["true"]
    for words in ([], ["--onnx-operators", "--vnnlib-versions"]):
        assert main(["supports", *words]) == 2
        assert "expected one capability" in capsys.readouterr().err


def test_name_and_version_are_bare(capsys: Captured) -> None:
    """`--name` and `--version` print nothing but these."""
    assert (main(["--name"]), main(["--version"])) == (0, 0)
    assert capsys.readouterr().out == f"hypersplit\n{hypersplit.__version__}\n"


def test_one_instance_in_the_python_form(pair: list[str], tmp_path: Path) -> None:
    """`verify` takes a mapping of names to files, and says which disjunct a witness violates."""
    networks = {word.split("=", 2)[1]: word.split("=", 2)[2] for word in pair}
    path = Path(query(tmp_path, 0.25))
    path.write_text(path.read_text() + "(assert (or (<= P[0] -1) (>= Q[0] 0)))")
    result = hypersplit.verify(networks, path, timeout=60)
    assert result.verdict == "sat" and result.witness is not None
    assert result.witness.disjunct == 1
    assert any("disjunct 2 of 2: (and " in note and "(>= Q[0] 0.0)" in note for note in result.notes)
