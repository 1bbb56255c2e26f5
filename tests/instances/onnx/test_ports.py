"""Several inputs and outputs, integer inputs, functions of the model's own and branches with constant conditions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx_models import assert_agree, model, read, weight, whole

from hypersplit.bab.bench.witness_check import check_witness
from hypersplit.bab.command.info import describe
from hypersplit.bab.command.report import result_file_text
from hypersplit.bab.verify import verify
from hypersplit.instances.errors import InputError, NetworkError, PropertyError, UnsupportedOperatorError
from hypersplit.instances.judges.replay import Replay, round_into
from hypersplit.instances.onnx.reader import read_network
from hypersplit.instances.property import InputSet

node, info = helper.make_node, helper.make_tensor_value_info
FLOAT, DOUBLE, INT64 = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64


def robot(kind: int = FLOAT) -> ModelProto:
    """force = relu(2 lidar_0 - lidar_1) + state, speed = 3 state; `idle` is read by nothing but `rest`."""
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    nodes = [
        node("MatMul", ["lidar", "w"], ["z"]), node("Relu", ["z"], ["r"]),
        node("Add", ["r", "state"], ["force"]), node("Mul", ["state", "three"], ["speed"]),
        node("Neg", ["idle"], ["rest"]),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes, "g",
        [info("lidar", kind, ["batch", 2]), info("state", kind, ["batch", 1]), info("idle", kind, [1, 2])],
        [info("force", kind, None), info("speed", kind, None), info("rest", kind, None)],
        [numpy_helper.from_array(np.array([[2], [-1]], dtype), "w"), numpy_helper.from_array(dtype.type(3), "three")],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def saved(proto: ModelProto, path: Path) -> Path:
    """The model as a file."""
    onnx.save(proto, path)
    return path


def prop(path: Path, box: list[tuple[float, float]], outputs: int, *rows: str) -> Path:
    """A property over X_0, ... in the box and so many outputs."""
    text = "".join(f"(declare-const X_{i} Real)\n" for i in range(len(box)))
    text += "".join(f"(declare-const Y_{i} Real)\n" for i in range(outputs))
    text += "".join(f"(assert (>= X_{i} {low}))(assert (<= X_{i} {high}))\n" for i, (low, high) in enumerate(box))
    path.write_text(text + "".join(f"(assert {row})\n" for row in rows))
    return path


def test_ports_count_one_after_another(tmp_path: Path) -> None:
    """Inputs and outputs are flat, in the order of the file, and the file itself agrees."""
    network = read_network(saved(robot(), tmp_path / "a.onnx"))
    assert [(p.name, p.shape) for p in network.inputs] == [("lidar", (1, 2)), ("state", (1, 1)), ("idle", (1, 2))]
    assert (network.input_size, network.output_size) == (5, 4)
    x = np.array([1.0, 0.5, 4.0, 7.0, 8.0])
    assert network.evaluate(x).tolist() == [5.5, 12.0, -7.0, -8.0]
    assert Replay(network).run(np.stack([x, -x])).tolist() == [[5.5, 12.0, -7.0, -8.0], [-4.0, -12.0, 7.0, 8.0]]


def test_verdicts_over_all_ports(tmp_path: Path) -> None:
    """`sat` with a witness that a second look takes, and `unsat`, over three inputs and three outputs."""
    path, box = saved(robot(), tmp_path / "a.onnx"), [(-1, 1), (-1, 1), (0, 1), (0, 0), (2, 2)]
    question = prop(tmp_path / "p.vnnlib", box, 4, "(>= Y_0 3.5)", "(<= Y_1 2.5)")
    result = verify(path, question, timeout=60)
    assert result.verdict == "sat" and len(result.witness.output) == 4
    (tmp_path / "r.txt").write_text(result_file_text(result))
    assert check_witness(path, question, tmp_path / "r.txt") == "valid"
    assert verify(path, prop(tmp_path / "q.vnnlib", box, 4, "(>= Y_0 4.5)"), timeout=60).verdict == "unsat"


def test_some_ports_are_chosen_by_name(tmp_path: Path) -> None:
    """With names only those count; what else the file takes is fed with zeros."""
    path = saved(robot(), tmp_path / "a.onnx")
    network = read_network(path, ["lidar", "state"], ["force"])
    assert (network.input_size, network.output_size) == (3, 1)
    assert Replay(network).run(np.array([[1.0, 0.5, 4.0]])).tolist() == [[5.5]]
    question = prop(tmp_path / "p.vnnlib", [(-1, 1), (-1, 1), (0, 1)], 1, "(>= Y_0 3.5)")
    assert verify(path, question, timeout=60, input="lidar, state", output="force").verdict == "sat"
    with pytest.raises(PropertyError, match=r"outputs are force \(1\), speed \(1\), rest \(2\): choose with --output"):
        verify(path, question, timeout=60)


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        (["lidar"], [], "'force' .Add.: it reads the input 'state', which is not among those that were chosen"),
        (["radar"], [], "no input 'radar'; there are lidar, state, idle"),
        ([], ["y"], "no output 'y'; there are force, speed, rest"),
        (["lidar"], ["rest"], "reads the input 'idle'"),
    ],
)
def test_choices_that_cannot_be_are_refused(
    inputs: list[str], outputs: list[str], message: str, tmp_path: Path
) -> None:
    """Names that there are not, and outputs that depend on what was left out."""
    with pytest.raises(NetworkError, match=message):
        read_network(saved(robot(), tmp_path / "a.onnx"), inputs, outputs)


def test_choices_need_a_file(tmp_path: Path) -> None:
    """A network in memory has no ports to choose among."""
    network = read_network(saved(robot(), tmp_path / "a.onnx"))
    question = prop(tmp_path / "p.vnnlib", [(0, 1)] * 5, 4, "(>= Y_0 3.5)")
    with pytest.raises(InputError, match="this network is no path"):
        verify(network, question, input="lidar")


def test_ports_of_two_types(tmp_path: Path) -> None:
    """Each input holds numbers of its own type: a float32 and a double beside each other."""
    nodes = [node("Cast", ["a"], ["d"], to=DOUBLE), node("Sub", ["b", "d"], ["y"])]
    graph = helper.make_graph(nodes, "g", [info("a", FLOAT, [1]), info("b", DOUBLE, [1])], [info("y", DOUBLE, [1])])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    session = Replay(read_network(saved(proto, tmp_path / "a.onnx"))).session
    assert session.single(np.array([0.1, 0.1]))[0] == 0.1 - float(np.float32(0.1))


def test_integer_inputs_are_integers(tmp_path: Path) -> None:
    """A box of reals is refuted for integers too; witnesses are integers of the box, or there is none."""
    nodes = [node("Cast", ["x"], ["f"], to=FLOAT), node("MatMul", ["f", "w"], ["y"])]
    path = saved(model(nodes, [1, 2], {"w": np.array([[1], [2]], np.float32)}, dtype=INT64), tmp_path / "a.onnx")
    proto = onnx.load(path)
    proto.graph.output[0].type.tensor_type.elem_type = FLOAT
    onnx.save(proto, path)
    box = [(0.5, 3.5), (-1.5, 1.5)]
    result = verify(path, prop(tmp_path / "p.vnnlib", box, 1, "(>= Y_0 5.0)"), timeout=60)
    assert result.verdict == "sat" and result.witness.input.tolist() == [3.0, 1.0]
    assert verify(path, prop(tmp_path / "q.vnnlib", box, 1, "(>= Y_0 6.6)"), timeout=60).verdict == "unsat"
    between = verify(path, prop(tmp_path / "r.vnnlib", box, 1, "(>= Y_0 6.0)"), timeout=5)
    assert between.verdict in ("unknown", "timeout")  # reals reach it, integers do not
    empty = verify(path, prop(tmp_path / "e.vnnlib", [(0.2, 0.8)] * 2, 1, "(>= Y_0 0.1)"), timeout=5)
    assert empty.verdict in ("unknown", "timeout")


def test_integers_are_rounded_into_the_box() -> None:
    """The nearest integer inside, without strict ends and beyond no type; NaN where there is none."""
    region = InputSet(
        np.array([0.5, 0.2, 1.0, -900.0]), np.array([2.5, 0.8, 3.0, 900.0]), np.zeros((0, 4)), np.zeros(0),
        np.array([False, False, True, False]), np.array([False, False, True, False]),
    )  # fmt: skip
    x, _ = round_into(region, np.array([0.1, 0.5, 1.0, 700.0]), ((slice(0, 3), np.int64), (slice(3, 4), np.int8)))
    assert x[[0, 2, 3]].tolist() == [1.0, 2.0, 127.0] and np.isnan(x[1])


def test_functions_are_written_out(tmp_path: Path) -> None:
    """A function of the model's own, called twice, one call within another, and its verdicts."""
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("own", 1)]
    line = helper.make_function(
        "own", "line", ["a", "w"], ["c"], [node("MatMul", ["a", "w"], ["b"]), node("Relu", ["b"], ["c"])], opsets[:1]
    )
    twice = helper.make_function(
        "own", "twice", ["a", "w"], ["d"],
        [node("line", ["a", "w"], ["b"], domain="own"), node("line", ["b", "w"], ["d"], domain="own")], opsets,
    )  # fmt: skip
    proto = model([node("twice", ["x", "w"], ["y"], domain="own")], [1, 3], {"w": weight(3, 3)})
    proto.opset_import.append(opsets[1])
    proto.functions.extend([line, twice])
    network = assert_agree(proto)
    assert network.operators == {"MatMul": 2, "Relu": 2}
    path = saved(proto, tmp_path / "a.onnx")
    question = prop(tmp_path / "p.vnnlib", [(0, 1)] * 3, 3, "(<= Y_0 -0.5)")
    assert verify(path, question, timeout=60).verdict == "unsat"


def branching(condition: Any, other: str = "Tan") -> ModelProto:
    """relu(x) + w where the condition is true, else `other` of x."""
    yes = helper.make_graph(
        [node("Relu", ["x"], ["r"]), node("Add", ["r", "inner"], ["out1"])], "yes", [], [info("out1", FLOAT, None)],
        [numpy_helper.from_array(np.ones(2, np.float32), "inner")],
    )  # fmt: skip
    no = helper.make_graph([node(other, ["x"], ["out2"])], "no", [], [info("out2", FLOAT, None)])
    choice = node("If", ["c"], ["b"], name="choice", then_branch=yes, else_branch=no)
    return model([*condition, choice, node("Neg", ["b"], ["y"])], [1, 2], {"two": whole(2), "true": np.array(True)})


def test_a_constant_condition_chooses_a_branch() -> None:
    """The shape decides, as exporters write it; the other branch need not be readable."""
    decided = [node("Shape", ["x"], ["s"]), node("Size", ["s"], ["n"]), node("Equal", ["n", "two"], ["e"]),
               node("Squeeze", ["e"], ["c"])]  # fmt: skip
    assert_agree(branching(decided))
    assert_agree(branching([node("Not", ["true"], ["c"])], other="Abs"))
    with pytest.raises(UnsupportedOperatorError, match=r"'choice' \(If\): node 'out2' \(Tan\): the operator Tan"):
        read(branching([node("Not", ["true"], ["c"])]))


def test_a_last_softmax_inside_a_branch() -> None:
    """Compared by its logits' order, and computed where a property needs its values, as one outside of a branch."""
    yes = helper.make_graph([node("Softmax", ["x"], ["out1"], name="soft")], "yes", [], [info("out1", FLOAT, None)])
    no = helper.make_graph([node("Identity", ["x"], ["out2"])], "no", [], [info("out2", FLOAT, None)])
    choice = node("If", ["true"], ["y"], name="choice", then_branch=yes, else_branch=no)
    data = model([choice], [1, 2], {"true": np.array(True)}).SerializeToString()
    box = "".join(f"(declare-const {v}_{i} Real)" for v in "XY" for i in (0, 1))
    box += "(assert (<= 0 X_0)) (assert (<= X_0 1)) (assert (<= 2 X_1)) (assert (<= X_1 3))"
    for row, verdict in (("(>= Y_0 Y_1)", "unsat"), ("(>= Y_0 0.3)", "unsat"), ("(>= Y_0 0.2)", "sat")):
        assert verify(data, f"{box} (assert {row})", timeout=60).verdict == verdict


def test_a_condition_on_the_input_is_refused() -> None:
    """A branch that the network's input takes is no affine map."""
    proto = branching([node("ReduceSum", ["x"], ["t"], keepdims=0), node("Cast", ["t"], ["c"], to=TensorProto.BOOL)])
    with pytest.raises(UnsupportedOperatorError, match="becomes other than a float"):
        read(proto)


def test_sparse_weights_are_read() -> None:
    """A sparse initializer with flat indices and with one row an entry."""
    values = numpy_helper.from_array(np.array([2.0, -1.0], np.float32), "w")
    for index in (whole(1, 5), np.array([[0, 1], [2, 1]])):
        proto = model([node("MatMul", ["x", "w"], ["y"])], [1, 3])
        proto.graph.sparse_initializer.append(
            helper.make_sparse_tensor(values, numpy_helper.from_array(index, "i"), [3, 2])
        )
        assert read(proto).evaluate(np.array([1.0, 5.0, 3.0])).tolist() == [0.0, -1.0]


def test_what_a_file_holds_is_told(tmp_path: Path) -> None:
    """`info` names ports with their variables; of a network that cannot be read, operators and all that is missing."""
    text = describe(saved(robot(), tmp_path / "a.onnx"))
    assert "lidar [1, 2] X_0..X_1, state [1, 1] X_2..X_2, idle [1, 2] X_3..X_4" in text
    assert "rest [1, 2] Y_2..Y_3" in text
    nodes = [node("Tan", ["x"], ["s"]), node("Asinh", ["s"], ["y"])]
    question = prop(tmp_path / "p.vnnlib", [(0, 1)] * 2, 2, "(<= Y_0 -0.5)")
    text = describe(saved(model(nodes, [1, 2]), tmp_path / "b.onnx"), question)
    said = ("Asinh x1, Tan x1", "x float [1, 2] -> y float []; operator set 13", "operator Tan is", "operator Asinh (")
    for part in said:
        assert part in text, part
    assert "1 input set" in text
