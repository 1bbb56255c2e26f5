"""Orders of nodes: files in any order are read as they are run, circles and names computed twice are told."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from onnx import NodeProto, helper
from onnx_models import assert_agree, model, random_graph, weight

from hypersplit.instances.errors import NetworkError
from hypersplit.instances.onnx.order import needed_in_order
from hypersplit.instances.onnx.reader import network_from_bytes

node = helper.make_node


def refused(nodes: list[NodeProto], message: str, weights: dict[str, Any] | None = None) -> str:
    """The model's message, which must be that of `message`, and onnxruntime's refusal of the same model."""
    import onnxruntime as ort

    data = model(nodes, [1, 3], weights or {}, output="y").SerializeToString()
    with pytest.raises(Exception, match="invalid model|acyclic"):
        ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    with pytest.raises(NetworkError, match=re.escape(message)) as caught:
        network_from_bytes(data)
    return str(caught.value)


@pytest.mark.parametrize("seed", range(20))
def test_shuffled_files_are_the_same_network(seed: int) -> None:
    """Nodes in any order give what onnxruntime computes, and the same layers up to their order."""
    rng = np.random.default_rng(seed)
    proto = random_graph(rng)
    before = network_from_bytes(proto.SerializeToString())
    shuffled = [proto.graph.node[k] for k in rng.permutation(len(proto.graph.node))]
    del proto.graph.node[:]
    proto.graph.node.extend(shuffled)
    after = assert_agree(proto)
    assert sorted(layer.size for layer in after.layers) == sorted(layer.size for layer in before.layers)


@pytest.mark.parametrize("seed", range(20))
def test_each_node_stands_behind_those_that_it_reads(seed: int) -> None:
    """Only what the output depends on is kept, and a file that is in order keeps its order."""
    rng = np.random.default_rng(seed)
    names = [f"t{k}" for k in range(12)]
    read = [sorted(set(rng.integers(0, k, 2).tolist())) if k else [] for k in range(12)]
    nodes = [node("Sum", ["x", *(names[i] for i in read[k])], [names[k]]) for k in range(12)]
    needed, asked = set(), [11]
    while asked:
        k = asked.pop()
        needed.add(k)
        asked += read[k]
    assert [n.output[0] for n in needed_in_order(nodes, ["t11"], ["x"])] == [names[k] for k in sorted(needed)]
    mixed = [nodes[k] for k in rng.permutation(12)]
    done: set[str] = {"x"}
    for n in needed_in_order(mixed, ["t11"], ["x"]):
        assert done.issuperset(n.input)
        done.update(n.output)
    assert done == {"x"} | {names[k] for k in needed}


def test_circles_are_named_in_order() -> None:
    """Of several circles the one through the first node is told, in the direction of the data; no node behind it is."""
    nodes = [
        node("Relu", ["x"], ["r"], name="in"),
        node("Add", ["r", "c"], ["a"], name="join"),
        node("Neg", ["a"], ["b"], name="turn"),
        node("Abs", ["b"], ["c"], name="back"),
        node("Add", ["b", "d"], ["e"], name="other"),
        node("Relu", ["e"], ["d"]),
        node("Add", ["c", "e"], ["y"], name="out"),
    ]
    said = refused(nodes, "its nodes 'join' (Add) -> 'turn' (Neg) -> 'back' (Abs) -> 'join' (Add) read each other")
    assert "'out'" not in said and "'in'" not in said


def test_a_node_that_reads_itself_is_named() -> None:
    """The shortest circle has one node."""
    refused([node("Add", ["x", "y"], ["y"], name="loop")], "node 'loop' (Add) reads its own output")


def test_long_circles_are_told_in_short() -> None:
    """Of a circle of 40 nodes some are named, and how many are not."""
    ring = [node("Relu", [f"t{(k - 1) % 40}"], [f"t{k}"]) for k in range(40)]
    said = refused([*ring, node("Add", ["x", "t7"], ["y"])], "'t0' (Relu) -> 't1' (Relu)")
    assert "more)" in said and said.endswith("-> 't0' (Relu) read each other in a circle")


def test_circles_off_the_way_to_the_output_are_not_read() -> None:
    """What the output does not depend on is not looked at, as with operators."""
    nodes = [node("Neg", ["b"], ["a"]), node("Neg", ["a"], ["b"]), node("Relu", ["x"], ["y"])]
    assert [n.output[0] for n in needed_in_order(nodes, ["y"], ["x"])] == ["y"]


def test_names_are_computed_once() -> None:
    """Two nodes, or a node and a weight, of one name leave open which is meant."""
    twice = [node("Relu", ["x"], ["y"], name="one"), node("Neg", ["x"], ["y"], name="two")]
    refused(twice, "node 'two' (Neg) computes 'y', which node 'one' (Relu) provides already")
    stored = [node("Neg", ["x"], ["w"], name="n"), node("Relu", ["w"], ["y"])]
    refused(stored, "node 'n' (Neg) computes 'w', which the input or a weight provides already", {"w": weight(3)})


def test_networkx_is_loaded_for_circles_only() -> None:
    """A file in order, or in another, is read without it."""
    code = (
        "import sys; from onnx import helper as h; from hypersplit.instances.onnx.order import needed_in_order\n"
        "nodes = [h.make_node('Neg', ['a'], ['y']), h.make_node('Relu', ['x'], ['a'])]\n"
        "print(len(needed_in_order(nodes, 'y', ['x'])), 'networkx' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["2", "False"]
