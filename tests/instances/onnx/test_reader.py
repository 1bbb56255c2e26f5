"""Reading ONNX files: graphs as layers, folded constants, element types, gzip, the benchmarks' networks."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx.external_data_helper import convert_model_to_external_data
from onnx_models import assert_agree, kinds, model, normal, random_graph, read, runtime, weight, whole

from hypersplit.instances.errors import NetworkError, UnsupportedOperatorError
from hypersplit.instances.files import read_model_bytes
from hypersplit.instances.onnx.reader import read_network

node = helper.make_node

BENCHMARKS = Path(__file__).resolve().parents[3] / ".." / "shared" / "benchmarks"


def test_normalisation_and_flattening_fold_into_the_first_layer() -> None:
    """Sub, Div, Transpose and Flatten before a Gemm leave one ReLU layer, and a last affine layer."""
    nodes = [
        node("Sub", ["x", "mean"], ["a"]),
        node("Div", ["a", "std"], ["b"]),
        node("Transpose", ["b"], ["c"], perm=[0, 2, 3, 1]),
        node("Flatten", ["c"], ["d"]),
        node("Gemm", ["d", "W", "b1"], ["e"], transB=1),
        node("Relu", ["e"], ["f"]),
        node("MatMul", ["f", "V"], ["g"]),
        node("Add", ["g", "b2"], ["y"]),
    ]
    weights = {"mean": weight(1, 3, 1, 1), "std": weight(1, 3, 1, 1) + 2, "W": weight(5, 12), "b1": weight(5)}
    network = assert_agree(
        model(nodes, ["batch", 3, 2, 2], weights | {"V": weight(5, 2), "b2": weight(2)}, listed=True)
    )
    assert kinds(network) == ["relu", "identity"]
    assert network.input_shape == (1, 3, 2, 2) and network.output_shape == (1, 2)
    assert network.operators == dict(sorted(Counter(n.op_type for n in nodes).items()))


def test_a_plain_chain_of_float32_weights_is_read_exactly() -> None:
    """Gemm, ReLU, Gemm without folding keep their float32 weights as they are, with no declared roundings."""
    weights = {"W": weight(4, 3), "b": weight(4), "V": weight(2, 4)}
    nodes = [
        node("Gemm", ["x", "W", "b"], ["z"], transB=1),
        node("Relu", ["z"], ["a"]),
        node("Gemm", ["a", "V"], ["y"], transB=1),
    ]
    network = read(model(nodes, [1, 3], weights))
    for layer, name in zip(network.layers, "WV", strict=True):
        assert np.array_equal(layer.weights[0], weights[name].astype(np.float64))
        assert layer.roundings == 0 and layer.bias_error == 0.0
    assert np.array_equal(network.layers[0].bias, weights["b"].astype(np.float64))


def test_a_network_that_ends_in_a_relu_gets_no_further_layer() -> None:
    """The last layer may be the ReLU itself, whatever shape the output has."""
    nodes = [
        node("MatMul", ["x", "W"], ["z"]),
        node("Relu", ["z"], ["a"]),
        node("Unsqueeze", ["a"], ["y"], axes=[0]),
    ]
    network = assert_agree(model(nodes, [1, 3], {"W": weight(3, 2)}, opset=11))
    assert kinds(network) == ["relu"] and network.output_shape == (1, 1, 2)


def test_a_network_without_weights_is_the_identity() -> None:
    """An Identity node alone reads as one identity layer."""
    network = assert_agree(model([node("Identity", ["x"], ["y"])], [1, 3]))
    assert kinds(network) == ["identity"] and np.array_equal(network.layers[0].weights[0], np.eye(3))


def test_residual_sums_read_two_values_without_adding_weights() -> None:
    """relu(c + W c) keeps W and I apart: the branch W c becomes a layer, so that no two weights are added."""
    nodes = [
        node("MatMul", ["x", "U"], ["z"]),
        node("Relu", ["z"], ["c"]),
        node("MatMul", ["c", "W"], ["w"]),
        node("Add", ["c", "w"], ["s"]),
        node("Relu", ["s"], ["y"]),
    ]
    network = assert_agree(model(nodes, [1, 4], {"U": weight(4, 4), "W": weight(4, 4)}))
    assert kinds(network) == ["relu", "identity", "relu"]
    assert network.layers[2].sources == (1, 2)
    assert all(np.array_equal(w, np.eye(4)) for w in network.layers[2].weights)


def test_branches_on_different_values_join_without_a_layer_between() -> None:
    """relu(U a + V b) of two earlier values is one layer with two sources."""
    nodes = [
        node("Relu", ["x"], ["a"]),
        node("MatMul", ["a", "U"], ["u"]),
        node("MatMul", ["x", "V"], ["v"]),
        node("Sub", ["u", "v"], ["s"]),
        node("Relu", ["s"], ["y"]),
    ]
    network = assert_agree(model(nodes, [1, 4], {"U": weight(4, 3), "V": weight(4, 3)}))
    assert kinds(network) == ["relu", "relu"] and network.layers[1].sources == (0, 1)


@pytest.mark.parametrize("operator", ["Add", "Sub"])
def test_a_value_with_itself(operator: str) -> None:
    """x + x and x - x, through one branch used twice, are what onnxruntime says."""
    nodes = [
        node("MatMul", ["x", "W"], ["z"]),
        node(operator, ["z", "z"], ["s"]),
        node("Add", ["s", "z"], ["t"]),
        node("Relu", ["t"], ["r"]),
        node(operator, ["r", "r"], ["y"]),
    ]
    assert_agree(model(nodes, [1, 4], {"W": weight(4, 4)}))


def test_dense_after_dense_becomes_a_layer_between() -> None:
    """Two matrices in a row are not multiplied out: products would be summed, and round with cancellation."""
    nodes = [node("MatMul", ["x", "W"], ["z"]), node("MatMul", ["z", "V"], ["y"])]
    network = assert_agree(model(nodes, [1, 5], {"W": weight(5, 3), "V": weight(3, 5)}))
    assert kinds(network) == ["identity", "identity"]
    assert [layer.roundings for layer in network.layers] == [0, 0]


def test_max_pooling_is_a_tree_of_relus() -> None:
    """A 2x2 MaxPool gives two levels of ReLUs: two differences a window, then one."""
    nodes = [node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])]
    network = assert_agree(model(nodes, [1, 1, 4, 4]))
    assert [(layer.kind, layer.size) for layer in network.layers] == [
        ("relu", 8),
        ("relu", 4),
        ("identity", 4),
    ]


def test_large_convolutions_stay_sparse() -> None:
    """A convolution's matrix is sparse and holds no more than its kernel for each output."""
    nodes = [node("Conv", ["x", "W"], ["z"], pads=[1, 1, 1, 1]), node("Relu", ["z"], ["y"])]
    network = read(model(nodes, [1, 2, 12, 12], {"W": weight(4, 2, 3, 3)}))
    matrix = network.layers[0].weights[0]
    assert not isinstance(matrix, np.ndarray) and matrix.nnz <= 4 * 144 * 18


def test_nodes_that_the_output_does_not_need_are_ignored() -> None:
    """An unsupported operator on a dead branch is no obstacle, and leaves no layer."""
    nodes = [node("Sin", ["x"], ["dead"]), node("Relu", ["dead"], ["deader"]), node("Relu", ["x"], ["y"])]
    network = read(model(nodes, [1, 3]))
    assert len(network.layers) == 1 and network.operators == {"Relu": 2, "Sin": 1}


def test_random_graphs_agree_with_onnxruntime() -> None:
    """Random chains and joins of branches of many operators agree with onnxruntime."""
    for seed in range(40):
        assert_agree(random_graph(np.random.default_rng(seed)), seed, tolerance=1e-4)


def test_shape_arithmetic_folds() -> None:
    """The Reshape that PyTorch exports for x.view(x.size(0), -1) folds to a constant."""
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Constant", [], ["zero"], value=numpy_helper.from_array(np.array(0, dtype=np.int64))),
        node("Gather", ["s", "zero"], ["batch"], axis=0),
        node("Constant", [], ["axes"], value_ints=[0]),
        node("Unsqueeze", ["batch", "axes"], ["first"]),
        node("Slice", ["s", "one", "many"], ["rest"]),
        node("ReduceProd", ["rest"], ["product"], keepdims=1),
        node("Div", ["product", "two"], ["half"]),
        node("Cast", ["half"], ["float"], to=TensorProto.FLOAT),
        node("Floor", ["float"], ["floor"]),
        node("Cast", ["floor"], ["columns"], to=TensorProto.INT64),
        node("Mul", ["first", "two"], ["rows"]),
        node("Concat", ["rows", "columns"], ["shape"], axis=0),
        node("Reshape", ["x", "shape"], ["r"]),
        node(
            "ConstantOfShape",
            ["shape"],
            ["ones"],
            value=numpy_helper.from_array(np.ones(1, dtype=np.float32)),
        ),
        node("Add", ["r", "ones"], ["y"]),
    ]
    network = assert_agree(model(nodes, [1, 3, 4], {"one": whole(1), "many": whole(9), "two": whole(2)}))
    assert network.output_shape == (2, 6)


def test_constants_computed_in_the_graph() -> None:
    """Weights that are transposed, scaled, inverted and shifted in the graph before they are used."""
    nodes = [
        node("Sqrt", ["v"], ["root"]),
        node("Reciprocal", ["root"], ["inverse"]),
        node("Mul", ["W", "inverse"], ["scaled"]),
        node("Transpose", ["scaled"], ["T"]),
        node("Neg", ["b"], ["minus"]),
        node("Where", ["mask", "minus", "b"], ["bias"]),
        node("MatMul", ["x", "T"], ["z"]),
        node("Add", ["z", "bias"], ["t"]),
        node("Relu", ["t"], ["y"]),
    ]
    weights = {
        "W": weight(3, 4),
        "v": weight(3, 1) ** 2 + 1,
        "b": weight(3),
        "mask": np.array([True, False, True]),
    }
    network = assert_agree(model(nodes, [1, 4], weights))
    assert network.layers[0].roundings >= 3


def test_a_difference_of_rounded_constants_is_refused() -> None:
    """What cancels cannot keep a relative error: the reader says so instead of rounding silently."""
    nodes = [
        node("Sqrt", ["v"], ["root"]),
        node("Sub", ["W", "root"], ["d"]),
        node("MatMul", ["x", "d"], ["y"]),
    ]
    with pytest.raises(UnsupportedOperatorError, match=r"'d' \(Sub\): a difference of constants"):
        read(model(nodes, [1, 4], {"W": weight(4, 3), "v": weight(4, 3) ** 2}))


@pytest.mark.parametrize(
    ("element", "dtype", "tolerance"),
    [(TensorProto.DOUBLE, np.float64, 1e-13), (TensorProto.FLOAT16, np.float16, 2e-2)],
)
def test_other_float_types(element: int, dtype: Any, tolerance: float) -> None:
    """Models in float64 and float16 keep their weights exactly."""
    weights = {
        "W": np.random.default_rng(5).standard_normal((4, 3)).astype(dtype),
        "b": np.random.default_rng(5).standard_normal(3).astype(dtype),
    }
    nodes = [node("MatMul", ["x", "W"], ["z"]), node("Add", ["z", "b"], ["t"]), node("Relu", ["t"], ["y"])]
    network = assert_agree(model(nodes, [1, 4], weights, dtype=element), tolerance=tolerance)
    assert np.array_equal(network.layers[0].weights[0], weights["W"].T.astype(np.float64))


def test_gzipped_files_are_found_by_their_plain_name(tmp_path: Path) -> None:
    """`net.onnx` is read from `net.onnx.gz` where only that exists."""
    data = model([node("Relu", ["x"], ["y"])], [1, 2]).SerializeToString()
    (tmp_path / "net.onnx.gz").write_bytes(gzip.compress(data))
    network = read_network(tmp_path / "net.onnx")
    assert network.source == str(tmp_path / "net.onnx") and (network.input_name, network.output_name) == (
        "x",
        "y",
    )


def test_external_data_is_read_beside_the_file(tmp_path: Path) -> None:
    """Weights stored in another file are read; where that file is missing the tensor is named."""
    weights = {"W": weight(40, 40)}
    proto = model([node("MatMul", ["x", "W"], ["y"])], [1, 40], weights)
    convert_model_to_external_data(proto, location="weights.bin", size_threshold=0)
    onnx.save(proto, tmp_path / "net.onnx")
    network = read_network(tmp_path / "net.onnx")
    assert np.array_equal(network.layers[0].weights[0], weights["W"].T)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(NetworkError, match="tensor 'W'.*cannot be read"):
        read_network(tmp_path / "net.onnx")


def benchmark_networks() -> list[Path]:
    """One network of each benchmark family, the smallest."""
    if not BENCHMARKS.exists():
        return []
    with (BENCHMARKS / "networks.csv").open(newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: int(row["raw_bytes"]))
    first: dict[str, Path] = {}
    for row in rows:
        first.setdefault(row["family"], BENCHMARKS / row["family"] / row["onnx"])
    return list(first.values())


def test_benchmark_networks_agree_with_onnxruntime() -> None:
    """The smallest network of every benchmark family gives what onnxruntime gives."""
    paths = benchmark_networks()
    if not paths:
        pytest.skip("benchmark pack ../shared/benchmarks is absent")
    for path in paths:
        network = read_network(path)
        proto = ModelProto.FromString(read_model_bytes(path))
        for seed in range(3):
            x = normal(np.random.default_rng(seed), *network.input_shape)
            expected = runtime(proto, x).reshape(-1)
            error = np.abs(network.evaluate(x.reshape(-1).astype(np.float64)) - expected).max()
            assert error <= 1e-4 * max(1.0, np.abs(expected).max()), f"{path.name}, seed {seed}: off by {error:.2e}"
