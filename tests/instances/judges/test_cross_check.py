"""Before `unsat` the file itself is run: a misread network is an internal error, a forbidden output a witness."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx_models import model, random_graph, weight
from small_files import absolute, holds, property_of

from hypersplit.bab.command import cli
from hypersplit.bab.verify import verify
from hypersplit.instances.errors import DisagreementError
from hypersplit.instances.judges import cross_check as module
from hypersplit.instances.judges.cross_check import cross_check
from hypersplit.instances.judges.replay import Replay
from hypersplit.instances.network import Network
from hypersplit.instances.onnx import reader as onnx_reader
from hypersplit.instances.onnx.reader import network_from_bytes, read_network
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

node = helper.make_node


def misread(network: Network, by: float = 0.01) -> Network:
    """The network with the last biases off."""
    *others, last = network.layers
    return replace(network, layers=(*others, replace(last, bias=last.bias + by)))


def asked(network: Network, rhs: float, case_count: int = 1) -> list[Query]:
    """Is y_0 >= rhs on the unit box, so many times?"""
    region = InputSet.box(-np.ones(network.input_size), np.ones(network.input_size))
    row = -np.eye(network.output_size)[:1]
    case = Case(region, (Polyhedron(row, np.array([-rhs])),))
    return queries(network, Property((case,) * case_count, network.input_size, network.output_size))


def saved(path: Path, nodes: list[Any], weights: dict[str, np.ndarray], dtype: int = TensorProto.FLOAT) -> Path:
    """A file with inputs [1, 1]."""
    onnx.save(model(nodes, [1, 1], weights, dtype=dtype), path)
    return path


def test_a_misread_network_is_an_internal_error(tmp_path: Path) -> None:
    """Weights other than the file's end in an error that shows the input, not in a verdict."""
    path = absolute(tmp_path / "a.onnx")
    with pytest.raises(DisagreementError, match=r"a\.onnx is misread: at the input \(.*the file's output 0"):
        verify(misread(read_network(path)), holds(tmp_path / "p.vnnlib"), timeout=60)


def test_the_command_ends_with_4(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command line calls it an internal error, exit code 4, and gives no verdict."""
    path, prop = absolute(tmp_path / "a.onnx"), holds(tmp_path / "p.vnnlib")
    wrong = misread(read_network(path))
    monkeypatch.setattr(onnx_reader, "read_network", lambda *_: wrong)
    assert cli.main(["verify", str(path), str(prop)]) == 4
    said = capsys.readouterr()
    assert said.out == "" and "DisagreementError" in said.err


def test_sound_files_pass(tmp_path: Path) -> None:
    """Random image networks, in float32, are what their files compute, by the tolerance that is used."""
    for seed in range(25):
        proto = random_graph(np.random.default_rng(seed))
        path = tmp_path / f"{seed}.onnx"
        onnx.save(proto, path)
        network = network_from_bytes(proto.SerializeToString(), str(path))
        findings = cross_check(Replay(network), asked(network, 1e9), False, np.random.default_rng(seed))
        assert (findings.note, findings.doubt, findings.witness) == ("", "", None), f"seed {seed}: {findings}"
        with pytest.raises(DisagreementError):
            wrong = misread(network, 0.05)
            cross_check(Replay(wrong), asked(wrong, 1e9), False, np.random.default_rng(seed))


def test_a_forbidden_output_of_the_file_is_a_witness(tmp_path: Path) -> None:
    """Where float32 rounds the file's output into the forbidden set, the file's word is `sat`."""
    nodes = [node("Add", ["x", "big"], ["s"]), node("Sub", ["s", "big"], ["y"])]
    path = saved(tmp_path / "a.onnx", nodes, {"big": np.array([2.0**26], np.float32)})
    prop = property_of(tmp_path / "p.vnnlib", "(>= Y_0 8)", ((5.0, 7.0),))
    result = verify(path, prop, timeout=60)
    assert result.verdict == "sat" and result.witness is not None
    assert 5.0 <= result.witness.input[0] <= 7.0 and result.witness.output[0] == 8.0


def test_what_float32_explains_is_noted(tmp_path: Path) -> None:
    """Cancellation in the file's float32 is no fault of the reading: `unsat`, with a note."""
    nodes = [node("Add", ["x", "big"], ["s"]), node("Sub", ["s", "big"], ["y"])]
    path = saved(tmp_path / "a.onnx", nodes, {"big": np.array([2.0**26], np.float32)})
    result = verify(path, property_of(tmp_path / "p.vnnlib", "(>= Y_0 20)", ((5.0, 7.0),)), timeout=60)
    assert result.verdict == "unsat" and len(result.notes) == 1 and "in double they agree" in result.notes[0]


def test_gelu_of_nodes_is_held_against_doubles(tmp_path: Path) -> None:
    """1 + erf cancels in float32 for arguments around -5, and onnx's own erf, in float32 as well, is no second look."""
    gate = [node("Div", ["x", "root"], ["d"]), node("Erf", ["d"], ["e"]), node("Add", ["e", "one"], ["g"])]
    numbers = {"root": np.float32(np.sqrt(2.0)), "one": np.float32(1.0)}
    path = saved(tmp_path / "a.onnx", [*gate, node("Mul", ["x", "g"], ["y"])], numbers)
    case = Case(InputSet.box(np.full(1, -5.5), np.full(1, -4.5)), (Polyhedron(-np.eye(1), np.full(1, -1.0)),))
    assert verify(path, Property((case,), 1, 1), timeout=60).verdict == "unsat"


def test_what_double_does_not_settle_is_unknown(tmp_path: Path) -> None:
    """Cancellation of numbers too large for float64 as well leaves nothing known."""
    nodes = [node("Add", ["x", "big"], ["s"]), node("Sub", ["s", "big"], ["y"])]
    path = saved(tmp_path / "a.onnx", nodes, {"big": np.array([2.0**90], np.float32)})
    result = verify(path, property_of(tmp_path / "p.vnnlib", "(>= Y_0 20)", ((5.0, 7.0),)), timeout=60)
    assert result.verdict == "unknown" and "numbers of size" in result.reason


def test_unmodelled_rounding_is_never_unsat(tmp_path: Path) -> None:
    """A cast to float16 and back minus the input is not 0: `sat` where the file reaches it, else `unknown`."""
    nodes = [
        node("Cast", ["x"], ["h"], to=TensorProto.FLOAT16, name="narrow"),
        node("Cast", ["h"], ["f"], to=TensorProto.FLOAT),
        node("Sub", ["f", "x"], ["y"]),
    ]
    path = saved(tmp_path / "a.onnx", nodes, {})
    reached = property_of(tmp_path / "p.vnnlib", "(>= Y_0 0.0001)", ((0.5, 1.0),))
    assert verify(path, reached, timeout=60).verdict == "sat"
    beyond = property_of(tmp_path / "q.vnnlib", "(>= Y_0 1)", ((0.5, 1.0),))
    result = verify(path, beyond, timeout=60)
    assert result.verdict == "unknown" and "'narrow' (Cast) rounds from float to float16" in result.reason
    assert result.bound == -np.inf


def test_single_inputs_of_half_networks_are_the_files(tmp_path: Path) -> None:
    """For an input fixed in float16 the answer is the file's own output, whatever the real-valued network's is."""
    rng = np.random.default_rng(0)
    weights = {"w": weight(1, 40).astype(np.float16), "v": weight(40, 1).astype(np.float16)}
    nodes = [node("MatMul", ["x", "w"], ["a"]), node("Relu", ["a"], ["b"]), node("MatMul", ["b", "v"], ["y"])]
    path = saved(tmp_path / "a.onnx", nodes, weights, TensorProto.FLOAT16)
    for _ in range(5):
        x = float(np.float16(rng.random()))
        y = float(Replay(read_network(path)).run(np.array([[x]]))[0, 0])
        result = verify(path, property_of(tmp_path / "p.vnnlib", f"(= Y_0 {y!r})", ((x, x),)), timeout=60)
        assert result.verdict == "sat"


def test_many_input_sets_share_the_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many input sets there are, the number of inputs that are run is limited."""
    runs: list[int] = []
    network = read_network(absolute(tmp_path / "a.onnx"))
    replay = Replay(network)
    kept = replay.run
    monkeypatch.setattr(replay, "run", lambda x: runs.append(len(x)) or kept(x))
    cross_check(replay, asked(network, 1e9, 2000), False, np.random.default_rng(0))
    assert sum(runs) <= module.ALL_POINTS and len(runs) > 100


def test_networks_in_memory_have_nothing_to_check(tmp_path: Path) -> None:
    """Without a file nothing is run: the same network, misread or not, gives its own verdict."""
    network = replace(misread(read_network(absolute(tmp_path / "a.onnx"))), source="")
    result = verify(network, holds(tmp_path / "p.vnnlib"), timeout=60)
    assert result.verdict == "unsat" and result.notes == ()
