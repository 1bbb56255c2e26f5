"""Files whose floats are of several types: run as a copy of one type, and never an error of the verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_models import model
from small_files import BOX, absolute, holds, property_of, violated

from hypersplit.bab.bench.witness_check import check_witness
from hypersplit.bab.command.report import result_file_text, summary
from hypersplit.bab.verify import verify
from hypersplit.instances.errors import ReplayError
from hypersplit.instances.judges.replay import Replay
from hypersplit.instances.onnx.one_type import DOUBLE, FLOAT, float_types, in_one_type
from hypersplit.instances.onnx.reader import read_network

node = helper.make_node


def mixed(path: Path) -> Path:
    """|x_0| + x_1 with double weights and a float input, which onnxruntime refuses."""
    proto = onnx.load(absolute(path))
    for tensor in proto.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name))
    onnx.save(proto, path)
    return path


def unloadable(path: Path) -> Path:
    """|x_0| + x_1 in a file that the reader takes and onnxruntime refuses: of an IR version to come."""
    proto = onnx.load(absolute(path))
    proto.ir_version = 10_000
    onnx.save(proto, path)
    return path


def test_a_mixture_is_decided_and_noted_once(tmp_path: Path) -> None:
    """`sat` and `unsat` as for a file of one type, with one note that says what was run."""
    path = mixed(tmp_path / "a.onnx")
    for prop, verdict in ((violated, "sat"), (holds, "unsat")):
        result = verify(path, prop(tmp_path / "p.vnnlib"), timeout=60)
        assert result.verdict == verdict and len(result.notes) == 1
        lines = summary(result)
        assert sum("copy with all floats double" in line for line in lines) == 1 and len(lines) <= 6


def test_the_copy_takes_what_the_files_input_holds(tmp_path: Path) -> None:
    """Candidates stay float32, the type of the file's input, though the copy computes in double."""
    session = Replay(read_network(mixed(tmp_path / "a.onnx"))).session
    assert session.dtype is np.float32 and session.feeds[0].fed is np.float64
    assert session.single(np.array([0.1, 0.0]))[0] == float(np.float32(0.1))


def test_the_second_opinion_judges_mixtures(tmp_path: Path) -> None:
    """A witness of a mixed file is judged on a copy, too."""
    path, prop, file = mixed(tmp_path / "a.onnx"), violated(tmp_path / "p.vnnlib"), tmp_path / "result.txt"
    file.write_text(result_file_text(verify(path, prop, timeout=60)))
    assert check_witness(path, prop, file) == "valid"


def test_files_that_cannot_be_run_take_nothing_away(tmp_path: Path) -> None:
    """Without any replay `unsat` stays, with a note, and what would be `sat` is `unknown` with the reason."""
    path = unloadable(tmp_path / "a.onnx")
    result = verify(path, holds(tmp_path / "p.vnnlib"), timeout=60)
    assert result.verdict == "unsat" and "not held against the file's own outputs" in result.notes[0]
    result = verify(path, violated(tmp_path / "q.vnnlib"), timeout=60)
    assert result.verdict == "unknown" and "no replay is possible" in result.reason
    assert "onnxruntime cannot load it" in result.reason


def test_a_replay_that_is_not_needed_decides_nothing(tmp_path: Path) -> None:
    """Close to the boundary, where replays are wanted though nothing is violated, the verdict is `unsat` as well."""
    near = property_of(tmp_path / "p.vnnlib", "(>= Y_0 2.000001)")
    assert verify(unloadable(tmp_path / "a.onnx"), near, timeout=60).verdict == "unsat"


def test_failures_are_replay_errors(tmp_path: Path) -> None:
    """A replay asked for by itself says that the file cannot be run, each time."""
    replay = Replay(read_network(unloadable(tmp_path / "a.onnx")))
    for _ in range(2):
        with pytest.raises(ReplayError, match="a.onnx: onnxruntime cannot load it"):
            replay.run(np.zeros((1, len(BOX))))


@pytest.mark.parametrize("kind", [FLOAT, DOUBLE])
def test_copies_are_of_one_type(kind: int) -> None:
    """Initializers, inputs, outputs, casts and constants of all spellings become one type."""
    value: dict[str, Any] = {"value_floats": [1.0, 2.0]}
    nodes = [
        node("Constant", [], ["c"], **value),
        node("Cast", ["x"], ["d"], to=TensorProto.DOUBLE),
        node("Mul", ["d", "w"], ["m"]),
        node("ConstantOfShape", ["n"], ["z"]),
        node("Add", ["m", "z"], ["a"]),
        node("Add", ["a", "c"], ["y"]),
    ]
    proto = model(nodes, [1, 2], {"w": np.array([0.5, 3.0]), "n": np.array([2])})
    copy = in_one_type(proto, kind)
    assert float_types(proto) == {FLOAT, DOUBLE} and float_types(copy) == {kind}
    import onnxruntime as ort

    session = ort.InferenceSession(copy.SerializeToString(), providers=["CPUExecutionProvider"])
    given = np.array([[1.0, -1.0]], dtype=np.float32 if kind == FLOAT else np.float64)
    np.testing.assert_array_equal(session.run(None, {"x": given})[0], [[1.5, -1.0]])
