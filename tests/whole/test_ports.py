"""Files with several inputs and outputs, and properties that declare them: in the order of the file, or refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from hypersplit.bab.reading import read
from hypersplit.bab.run.options import Options
from hypersplit.bab.verify import verify
from hypersplit.instances.errors import InputError, PropertyError
from hypersplit.instances.network import sequential
from hypersplit.instances.readout import Readout
from hypersplit.instances.rewriting.side_by_side import side_by_side


def two_ports(path: Path, last: str = "Relu", kind: int = TensorProto.FLOAT) -> Path:
    """a [1, 1] of type `kind` and b [1, 2] to p = relu(a + b_0 - b_1) [1, 1] (or another last operator), q = b."""
    node = helper.make_node
    weights = helper.make_tensor("w", TensorProto.FLOAT, [2, 1], [1.0, -1.0])
    nodes = [
        node("Cast", ["a"], ["real"], to=TensorProto.FLOAT), node("MatMul", ["b", "w"], ["difference"]),
        node("Add", ["real", "difference"], ["sum"]), node(last, ["sum"], ["p"]), node("Identity", ["b"], ["q"]),
    ]  # fmt: skip
    value = helper.make_tensor_value_info
    inputs = [value("a", kind, [1, 1]), value("b", TensorProto.FLOAT, [1, 2])]
    outputs = [value("p", TensorProto.FLOAT, [1, 1]), value("q", TensorProto.FLOAT, [1, 2])]
    graph = helper.make_graph(nodes, "ports", inputs, outputs, [weights])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(proto, path)
    return path


def query(path: Path, least: float, shapes: tuple[str, str] = ("[1]", "[2]"), more: str = "") -> Path:
    declared = f"(declare-input A real {shapes[0]})(declare-input B real {shapes[1]})"
    outputs = "(declare-output P real [1])(declare-output Q real [2])"
    names = [f"{name}[{i}]" for name, shape in zip("AB", shapes, strict=True) for i in range(int(shape[1]))]
    bounds = "".join(f"(assert (>= {name} 0))(assert (<= {name} 4))" for name in names)
    path.write_text(f"(declare-network f {declared}{outputs}){bounds}{more}(assert (>= P[0] {least}))")
    return path


@pytest.mark.parametrize(("least", "verdict"), [(7.5, "sat"), (8.5, "unsat")])
def test_declared_tensors_are_the_files_in_order(least: float, verdict: str, tmp_path: Path) -> None:
    """relu(a + b_0 - b_1) is at most 8 in [0, 4]."""
    result = verify(two_ports(tmp_path / "net.onnx"), query(tmp_path / "q.vnnlib", least), jobs=1)
    assert result.verdict == verdict, result.reason
    if result.witness:
        a, first, second = result.witness.input.tolist()
        assert a + first - second >= least


def test_tensors_of_other_sizes_are_refused(tmp_path: Path) -> None:
    """Two numbers and then one are not what the file has, though together they are as many."""
    prop = query(tmp_path / "q.vnnlib", 1.0, ("[2]", "[1]"))
    with pytest.raises(PropertyError, match=r"declares the inputs A \(2\), B \(1\), but .* has a \(1\), b \(2\)"):
        verify(two_ports(tmp_path / "net.onnx"), prop, jobs=1)


@pytest.mark.parametrize(
    ("equality", "least", "verdict"),
    [("(assert (== A[0] B[0]))", 7.5, "sat"), ("(assert (== (+ A[0] B[0]) 4.5))", 4.25, "sat"),
     ("(assert (== (* 2 A[0]) 4.5))", 0.0, "unknown"), ("(assert (== (+ A[0] B[0]) 4.5))", 4.75, "unsat")],
)  # fmt: skip
def test_integers_meet_equalities_as_they_are(equality: str, least: float, verdict: str, tmp_path: Path) -> None:
    """An integer input is one of the real point, never its rounding: 2 a = 4.5 has no witness."""
    net = two_ports(tmp_path / "net.onnx", kind=TensorProto.INT64)
    result = verify(net, query(tmp_path / "q.vnnlib", least, more=equality), jobs=1, timeout=20)
    assert result.verdict == verdict, result.reason
    if result.witness:
        assert result.witness.input[0] == np.rint(result.witness.input[0])


def test_several_networks_have_no_ports_to_choose(tmp_path: Path) -> None:
    """--input belongs to one file."""
    net = str(two_ports(tmp_path / "net.onnx"))
    with pytest.raises(InputError, match="several networks"):
        read({"f": net}, query(tmp_path / "q.vnnlib", 1.0), Options(input="a"))


def test_a_softmax_side_by_side_is_only_compared(tmp_path: Path) -> None:
    """Rows over the outputs of two networks are refused where one of them is a softmax's."""
    plain = sequential([np.eye(2)], [np.zeros(2)])
    soft = replace(plain, readout=Readout(("Softmax",) * 2, np.zeros(2, dtype=np.int64)))
    joined = side_by_side([soft, plain, soft]).readout
    assert joined is not None and joined.kinds == ("Softmax",) * 2 + ("",) * 2 + ("Softmax",) * 2
    assert joined.vectors.tolist() == [0, 0, -1, -1, 1, 1]
