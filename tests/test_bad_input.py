"""Bad input to `hypersplit verify`: exit code 2, one line that names the file, no traceback, no verdict."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import small_files
from onnx import TensorProto, helper

from hypersplit.bab.command.cli import main

Captured = pytest.CaptureFixture[str]
DECLARED = "(declare-const X_0 Real)(declare-const X_1 Real)(declare-const Y_0 Real)"
BOXED = DECLARED + "(assert (>= X_0 0))(assert (<= X_0 1))(assert (>= X_1 0))(assert (<= X_1 1))"


def refused(network: Path, prop: Path, named: Path, capsys: Captured) -> str:
    """Run `verify`, check that it refuses naming the file, and return the line."""
    code = main(["verify", str(network), str(prop), "--timeout", "10"])
    out, err = capsys.readouterr()
    assert (code, out) == (2, ""), err
    assert len(err.splitlines()) == 1
    assert err.startswith("hypersplit: error: ") and "Traceback" not in err
    assert named.name in err
    return err


def not_a_number(path: Path) -> None:
    """A weight that is NaN."""
    small_files.write_network(path, [(np.array([[np.nan, 1.0]], dtype=np.float32), None)])


def infinite(path: Path) -> None:
    """A bias that is infinite."""
    weight, bias = np.ones((1, 2), dtype=np.float32), np.array([np.inf], dtype=np.float32)
    small_files.write_network(path, [(weight, bias)])


def truncated(path: Path) -> None:
    """The first half of a good file."""
    data = small_files.absolute(path).read_bytes()
    path.write_bytes(data[: len(data) // 2])


def shapes_that_do_not_fit(path: Path) -> None:
    """A second layer that wants 4 inputs where the first gives 3."""
    layers = [(np.ones((3, 2), dtype=np.float32), None), (np.ones((1, 4), dtype=np.float32), None)]
    small_files.write_network(path, layers)


NETWORKS: dict[str, Callable[[Path], object]] = {
    "absent": lambda path: None,
    "folder": lambda path: path.mkdir(),
    "empty": lambda path: path.write_bytes(b""),
    "truncated": truncated,
    "binary garbage": lambda path: path.write_bytes(np.random.default_rng(0).bytes(5000)),
    "zeros": lambda path: path.write_bytes(bytes(5000)),
    "text": lambda path: path.write_text("not a network\n" * 100),
    "NaN weight": not_a_number,
    "infinite bias": infinite,
    "gzipped by another name": lambda path: path.write_bytes(gzip.compress(b"")),
    "pointer of Git LFS": lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
    "checkpoint of PyTorch": lambda path: path.write_bytes(b"PK\x03\x04" + bytes(100)),
    "web page": lambda path: path.write_text("<!DOCTYPE html><html>404</html>"),
    "shapes": shapes_that_do_not_fit,
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_bad_networks(kind: str, tmp_path: Path, capsys: Captured) -> None:
    """Networks that are absent, cut off, garbage, not finite or ill-shaped are refused."""
    network = tmp_path / "net.onnx"
    NETWORKS[kind](network)
    refused(network, small_files.holds(tmp_path / "prop.vnnlib"), network, capsys)


PROPERTIES: dict[str, Callable[[Path], object]] = {
    "absent": lambda path: None,
    "folder": lambda path: path.mkdir(),
    "empty": lambda path: path.write_bytes(b""),
    "binary garbage": lambda path: path.write_bytes(np.random.default_rng(0).bytes(5000)),
    "prose": lambda path: path.write_text("the output shall be positive"),
    "no declarations": lambda path: path.write_text("(assert (<= X_0 1))"),
    "unclosed": lambda path: path.write_text(BOXED + "(assert (<= Y_0 0)"),
    "overclosed": lambda path: path.write_text(BOXED + "(assert (<= Y_0 0)))"),
    "unknown operator": lambda path: path.write_text(BOXED + "(assert (~ Y_0 0))"),
    "unknown variable": lambda path: path.write_text(BOXED + "(assert (<= Y_7 0))"),
    "no number": lambda path: path.write_text(BOXED + "(assert (<= Y_0 zero))"),
    "NaN": lambda path: path.write_text(BOXED + "(assert (<= Y_0 nan))"),
    "one operand": lambda path: path.write_text(BOXED + "(assert (<= Y_0))"),
    "product of variables": lambda path: path.write_text(BOXED + "(assert (<= (* Y_0 Y_0) 1))"),
    "missing bound": lambda path: path.write_text(DECLARED + "(assert (<= X_0 1))(assert (<= Y_0 0))"),
    "wrong inputs": lambda path: small_files.property_of(path, "(<= Y_0 0)", ((0.0, 1.0),) * 3),
    "wrong outputs": lambda path: path.write_text(
        BOXED.replace("(declare-const Y_0 Real)", "(declare-const Y_0 Real)(declare-const Y_1 Real)")
        + "(assert (<= Y_1 0))"
    ),
    "deeply nested": lambda path: path.write_text(BOXED + "(assert " + "(and " * 20000 + "(<= Y_0 0)"),
    "unclosed string": lambda path: path.write_text(BOXED + '(set-info :source "abc)(assert (<= Y_0 0))'),
    "unclosed name": lambda path: path.write_text(BOXED + "(assert (<= |Y_0 0))"),
    "version of the future": lambda path: path.write_text("(vnnlib-version <3.0>)" + BOXED),
    "gzipped by another name": lambda path: path.write_bytes(gzip.compress(BOXED.encode())),
    "leading zero": lambda path: path.write_text(BOXED + "(assert (<= Y_00 0))"),
    "beyond float64": lambda path: path.write_text(BOXED + "(assert (<= Y_0 1e999))"),
    "hexadecimal": lambda path: path.write_text(BOXED + "(assert (<= Y_0 #x0F))"),
    "integers": lambda path: path.write_text(BOXED.replace("X_0 Real", "X_0 Int") + "(assert (<= Y_0 0))"),
    "huge text": lambda path: path.write_text("lorem ipsum " * 300_000),
    "huge line of brackets": lambda path: path.write_text("(" * 1_000_000),
}


def test_an_empty_box_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Bounds that contradict each other are `unsat`, and which lines do so is told."""
    network, prop = small_files.absolute(tmp_path / "net.onnx"), tmp_path / "prop.vnnlib"
    prop.write_text(BOXED + "(assert (<= X_0 -1))(assert (<= Y_0 0))")
    assert main(["verify", str(network), str(prop)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("unsat\nreason: no input satisfies the property's bounds\n")
    assert "X_0 has the lower bound" in out


@pytest.mark.parametrize("kind", PROPERTIES)
def test_bad_properties(kind: str, tmp_path: Path, capsys: Captured) -> None:
    """Properties that are absent, malformed, contradictory or of another network are refused."""
    prop = tmp_path / "prop.vnnlib"
    PROPERTIES[kind](prop)
    refused(small_files.absolute(tmp_path / "net.onnx"), prop, prop, capsys)


def test_swapped_files(tmp_path: Path, capsys: Captured) -> None:
    """Network and property in the wrong order are refused."""
    network, prop = small_files.absolute(tmp_path / "net.onnx"), small_files.holds(tmp_path / "prop.vnnlib")
    refused(prop, network, prop, capsys)


@pytest.mark.parametrize("command", ["info", "bench"])
def test_other_commands_refuse_too(command: str, tmp_path: Path, capsys: Captured) -> None:
    """`info` and `bench` of an absent file: the same one line and exit code."""
    assert main([command, str(tmp_path / "absent.file")]) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and "absent.file" in err


def test_a_real_process_refuses_quietly(tmp_path: Path) -> None:
    """The whole process, libraries included, says one line on stderr and nothing on stdout."""
    network = tmp_path / "net.onnx"
    truncated(network)
    command = [sys.executable, "-m", "hypersplit.bab", "verify", str(network), str(tmp_path / "prop.vnnlib")]
    run = subprocess.run(command, capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (2, "")
    assert len(run.stderr.splitlines()) == 1


def test_a_folder_without_a_name_is_refused(capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`.` for the network or the property is a folder like any other."""
    monkeypatch.chdir(tmp_path)
    small_files.write_network(tmp_path / "net.onnx", [(np.ones((1, 2), dtype=np.float32), None)])
    for words in ((".", "prop.vnnlib"), ("net.onnx", "."), (".", ".")):
        assert main(["verify", *words]) == 2
        out, err = capsys.readouterr()
        assert out == "" and len(err.splitlines()) == 1 and "cannot be read" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--timeout abc", "argument --timeout: 'abc': expected a positive number"),
        ("--timeout nan", "argument --timeout: 'nan': expected a positive number"),
        ("--timeout=", "argument --timeout: '': expected a positive number"),
        ("--memory x", "argument --memory: 'x': expected a positive number"),
        ("--memory 1e300", "argument --memory: '1e300': expected a positive number, at most 1000000000"),
        ("--jobs two", "argument --jobs: 'two': expected an integer from 1 to 1024"),
        ("--jobs 0", "argument --jobs: '0': expected an integer from 1 to 1024"),
        ("--seed 1.5", "argument --seed: '1.5': expected an integer from 0"),
        ("--seed -1", "argument --seed: '-1': expected an integer from 0"),
        ("--method best", "argument --method: 'best': expected auto, split or milp"),
        ("--log=", "argument --log: '': expected a file name"),
        ("--result=", "argument --result: '': expected a name"),
        ("--picture p.jpg", "argument --picture: 'p.jpg': expected a file name that ends with .png, .svg or .pdf"),
        ("--option batch=x", "option batch = 'x': expected an integer from 0"),
        ("--option timeout=x", "option timeout = 'x': expected a positive number"),
        ("--option timeout=inf", "option timeout = 'inf': expected a positive number"),
        ("--option rule=best", "option rule = 'best': expected auto, inputs, axes"),
        ("--option rule=", "option rule = '': expected auto, inputs, axes"),
        ("--option seed=-3", "option seed = '-3': expected an integer from 0"),
        ("--option clip=1", "option clip = '1': expected true or false"),
        ("--option rul=axes", "option 'rul': no option has this name; did you mean rule?"),
        ("--option xyzzy=1", "option 'xyzzy': no option has this name; there are batch, certificates,"),
        ("--option =1", "option '': no option has this name; there are batch, certificates,"),
        ("--option rule", "--option 'rule': expected NAME=VALUE"),
        ("--seed 1 --option seed=2", "option seed: given twice"),
        ("--option seed=1 --option seed=2", "option seed: given twice"),
        (f"--seed {'9' * 5000}", "expected an integer from 0"),
        ("--picture-inputs 0,1", "option picture_inputs = 0,1: there is no picture"),
        ("--log same --result same", "same: named for the result and the log, choose two files"),
        ("--log no/such", "option log = no/such: cannot be written"),
        ("--result no/such", "--result no/such: cannot be written"),
    ],
)
def test_words_that_are_no_values_are_named(
    words: str, said: str, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line says which option, what was given and what was expected, in no program's terms."""
    monkeypatch.chdir(tmp_path)
    small_files.absolute(tmp_path / "net.onnx")
    small_files.holds(tmp_path / "prop.vnnlib")
    assert main(["verify", "net.onnx", "prop.vnnlib", *words.split()]) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and said in err and len(err) < 400


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("bench l.csv --jobs 0", "argument --jobs: '0': expected an integer from 1"),
        ("bench l.csv --limit -1", "argument --limit: '-1': expected an integer from 1"),
        ("bench l.csv --timeout-cap nan", "argument --timeout-cap: 'nan': expected a positive number"),
        ("bench l.csv --only=", "argument --only: '': expected a name"),
        ("bench l.csv --option timeout=3", "option timeout: not for bench"),
        ("bench l.csv --option picture=a.png", "option picture: not for bench"),
        ("bench l.csv --option rule=best", "option rule = 'best': expected auto, inputs"),
        ("bench l.csv --result l.csv", "l.csv: is an input"),
        ("bench l.csv --result no/such", "no/such: No such file or directory"),
        ("study scaling --timeout 0", "argument --timeout: '0': expected a positive number"),
        ("study scaling --seed -1", "argument --seed: '-1': expected an integer from 0"),
        ("study scaling --instances l.csv", "study scaling: takes no --instances; partition-rules, "),
        ("demo --out=", "argument --out: '': expected a name"),
        ("demo --out l.csv", "l.csv: File exists"),
    ],
)
def test_other_commands_name_wrong_words_too(
    words: str, said: str, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same of the flags of bench, study and demo, before any work."""
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "l.csv").write_text("net.onnx,prop.vnnlib,5\n")
    assert main(words.split()) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and said in err
    assert (tmp_path / "l.csv").read_text() == "net.onnx,prop.vnnlib,5\n"


def with_input_shape(path: Path, shape: list[int | str] | None) -> Path:
    """A ReLU whose input has this shape."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", ends[:1], ends[1:])
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]).SerializeToString())
    return path


@pytest.mark.parametrize(
    ("shape", "message"),
    [(None, "declares no shape"), ([1, 0], "has shape 1x0"), ([1, "n"], "has shape 1xn; only the batch size may be")],
)
def test_shapes_that_are_not_known(
    shape: list[int | str] | None, message: str, tmp_path: Path, capsys: Captured
) -> None:
    """No shape, one without numbers and one with an unknown axis behind the batch's are told from each other."""
    network = with_input_shape(tmp_path / "net.onnx", shape)
    assert message in refused(network, small_files.holds(tmp_path / "prop.vnnlib"), network, capsys)


PLAUSIBLE = {
    "carriage returns": BOXED.replace(")(", ")\r\n("), "old line ends": BOXED.replace(")(", ")\r("),
    "tabs": BOXED.replace(" ", "\t"), "a comment at the end": BOXED + "; (assert",
    "a byte-order mark": "\ufeff" + BOXED, "negative zero": BOXED.replace("(>= X_0 0)", "(>= X_0 -0.0)"),
    "a chain of names": BOXED + "(define-fun low () Real (- 1))",
}  # fmt: skip


@pytest.mark.parametrize("kind", PLAUSIBLE)
def test_odd_but_good_texts_are_read(kind: str, tmp_path: Path, capsys: Captured) -> None:
    """Line ends of all systems, tabs, comments and zeros with a sign change no verdict."""
    network, prop = small_files.absolute(tmp_path / "net.onnx"), tmp_path / "prop.vnnlib"
    prop.write_text(PLAUSIBLE[kind] + "\n(assert (<= Y_0 -5e-1))", newline="")
    assert main(["verify", str(network), str(prop), "--timeout", "60"]) == 0
    assert capsys.readouterr().out.startswith("unsat\n")


def test_names_that_double_names(tmp_path: Path, capsys: Captured) -> None:
    """A formula that is named, and stands twice in the next one, sixty times over, is what it was."""
    network, prop = small_files.absolute(tmp_path / "net.onnx"), tmp_path / "prop.vnnlib"
    names = ["b", *(f"a{i}" for i in range(60))]
    kinds = ("and", "or")
    lets = "".join(f"(let (({b} ({kinds[k % 2]} {a} {a}))) " for k, (a, b) in enumerate(pairwise(names)))
    prop.write_text(f"{BOXED}(assert (let ((b (<= Y_0 -0.5))) {lets}{names[-1]}{')' * 62}")
    assert main(["verify", str(network), str(prop)]) == 0
    assert capsys.readouterr().out.startswith("unsat\n")


def test_names_that_build_on_names_ten_thousand_deep(tmp_path: Path, capsys: Captured) -> None:
    """Each `let` uses the one around it; the formula is read, however deep."""
    network, prop = small_files.absolute(tmp_path / "net.onnx"), tmp_path / "prop.vnnlib"
    names = ["Y_0", *(f"a{i}" for i in range(10_000))]
    lets = "".join(f"(let (({after} (+ 0 {name}))) " for name, after in pairwise(names))
    prop.write_text(f"{BOXED}(assert {lets}(<= {names[-1]} -0.5){')' * 10_001}")
    assert main(["verify", str(network), str(prop)]) == 0
    assert capsys.readouterr().out.startswith("unsat\n")
