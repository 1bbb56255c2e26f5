"""The ONNX reader: whole files, refusals that name what is wrong, and damaged bytes."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx_graphs import Graph, compare, model_of, node, write

from hypersplit.instances.errors import InputError, NetworkError, UnsupportedOperatorError
from hypersplit.instances.files import read_model_bytes
from hypersplit.instances.onnx_operators import OPERATORS
from hypersplit.instances.onnx_reader import read_network

ROOT = Path(__file__).resolve().parents[2]
PACK = ROOT / ".." / "shared" / "benchmarks"
FAMILIES = (
    "acasxu cersyve cifar10_resnet collins_rul_cnn cora dist_shift eran_mnist linearizenn malbeware "
    "marabou_cifar10 mnist_fc oval21 reach_prob_density rl_benchmarks safenlp "
    "sat_relu sri_resnet_a test tllverifybench verivital"
).split()
MOST_PACKED = 3_000_000  # bytes of a file: larger ones take seconds to read

RNG = np.random.default_rng(21)
EYE, ZEROS, FAR = np.eye(3, dtype=np.float32), np.zeros(6, dtype=np.float32), np.int64([0, 2**40, 0, 0])


def normal(*shape: int) -> np.ndarray:
    """A random float32 constant."""
    return RNG.normal(size=shape).astype(np.float32)


def two_layers() -> Graph:
    """Gemm, Relu, Gemm on three inputs."""
    nodes = [node("Gemm", "X", "W", "c", to="z"), node("Relu", "z", to="a"), node("Gemm", "a", "V", "d")]
    constants = {"W": normal(3, 4), "c": normal(4), "V": normal(4, 2), "d": normal(2)}
    return Graph(nodes, (1, 3), constants)


def refusal(model: object, path: Path) -> str:
    """The message that the reader refuses a model with; it names the file."""
    path.write_bytes(model.SerializeToString())  # type: ignore[attr-defined]
    with pytest.raises(NetworkError) as caught:
        read_network(path)
    assert path.name in str(caught.value)
    return str(caught.value)


def test_layers_names_and_shapes(tmp_path: Path) -> None:
    """A chain becomes one layer an affine map with its activation; names, shapes and operators are kept."""
    path = write(two_layers(), tmp_path / "net.onnx")
    network = compare(path)
    assert [(layer.kind, layer.size, layer.sources) for layer in network.layers] == [
        ("relu", 4, (0,)),
        ("identity", 2, (1,)),
    ]
    assert (network.input_name, network.output_name, network.source) == ("X", "Y", str(path))
    assert (network.input_shape, network.output_shape) == ((1, 3), (1, 2))
    assert network.operators == {"Gemm": 2, "Relu": 1}


def test_weights_are_the_files_own(tmp_path: Path) -> None:
    """The float32 weights of a plain chain arrive without any rounding."""
    graph = two_layers()
    network = read_network(write(graph, tmp_path / "net.onnx"))
    first, second = network.layers
    np.testing.assert_array_equal(first.weights[0], graph.constants["W"].T)
    np.testing.assert_array_equal(second.weights[0], graph.constants["V"].T)
    np.testing.assert_array_equal(first.bias, graph.constants["c"])
    assert all((layer.roundings, layer.bias_error) == (0, 0.0) for layer in network.layers)


def test_folded_constants_declare_their_rounding(tmp_path: Path) -> None:
    """Scaled weights say how far they may be from the exact product, the bias from its exact value."""
    scale, shift = normal(3), normal(3)
    nodes = [
        node("Sub", "X", "m", to="a"),
        node("Div", "a", "s", to="b"),
        node("Gemm", "b", "W", "c"),
    ]
    constants = {"m": shift, "s": scale, "W": normal(3, 4), "c": normal(4)}
    network = compare(write(Graph(nodes, (1, 3), constants), tmp_path / "net.onnx"))
    (layer,) = network.layers
    exact = constants["W"].astype(np.longdouble).T / scale.astype(np.longdouble)
    assert layer.roundings > 0 and layer.bias_error > 0.0
    assert np.all(np.abs(layer.weights[0] - exact) <= layer.roundings * 2.0**-53 * np.abs(exact))
    bias = constants["c"].astype(np.longdouble) - exact @ shift.astype(np.longdouble)
    assert np.abs(layer.bias - bias).max() <= layer.bias_error


def test_products_are_never_added(tmp_path: Path) -> None:
    """Two matrices in a row stay two layers: their product would have to be summed, and sums can cancel."""
    graph = Graph(
        [node("MatMul", "X", "W", to="a"), node("MatMul", "a", "V")],
        (1, 3),
        {"W": normal(3, 3), "V": normal(3, 2)},
    )
    network = compare(write(graph, tmp_path / "net.onnx"))
    assert [layer.kind for layer in network.layers] == ["identity", "identity"]
    assert all(layer.roundings == 0 for layer in network.layers)


def test_residual_sums_stay_edges(tmp_path: Path) -> None:
    """A sum of two branches is one layer with two sources."""
    nodes = [
        node("Relu", "X", to="r"),
        node("MatMul", "r", "W", to="a"),
        node("Relu", "a", to="s"),
        node("Add", "r", "s", to="t"),
        node("Relu", "t"),
    ]
    network = compare(write(Graph(nodes, (1, 3), {"W": normal(3, 3)}), tmp_path / "net.onnx"))
    assert network.layers[-1].sources == (1, 2)


def test_branches_that_nothing_reads_are_dropped(tmp_path: Path) -> None:
    """A layer that the output does not depend on is no layer of the network."""
    nodes = [node("Sigmoid", "X", to="unused"), node("Relu", "X")]
    network = compare(write(Graph(nodes, (1, 3)), tmp_path / "net.onnx"))
    assert [layer.kind for layer in network.layers] == ["relu"]


def test_symbolic_batch_is_one(tmp_path: Path) -> None:
    """An unknown first dimension counts as one input at a time."""
    model = model_of(two_layers(), 13)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    assert compare(path).input_shape == (1, 3)


def test_gzipped_files_are_found(tmp_path: Path) -> None:
    """`net.onnx` is read from `net.onnx.gz` where only that exists."""
    path = write(two_layers(), tmp_path / "net.onnx")
    points = np.array([[0.5, -1.0, 2.0]])
    expected = read_network(path).evaluate(points)
    (tmp_path / "net.onnx.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    np.testing.assert_array_equal(read_network(path).evaluate(points), expected)


@pytest.mark.parametrize("element", [TensorProto.DOUBLE, TensorProto.FLOAT16])
def test_other_float_types(element: int, tmp_path: Path) -> None:
    """Double and half weights are read with their exact values."""
    kind = helper.tensor_dtype_to_np_dtype(element)
    graph = two_layers()
    constants = {name: value.astype(kind) for name, value in graph.constants.items()}
    path = tmp_path / "net.onnx"
    path.write_bytes(model_of(Graph(graph.nodes, graph.shape, constants), 13, element).SerializeToString())
    network = read_network(path)
    np.testing.assert_array_equal(network.layers[0].weights[0], constants["W"].T.astype(np.float64))


def test_unsupported_operator_names_operator_node_and_what_is_supported(tmp_path: Path) -> None:
    """The message about an unknown operator says which, where, and lists what would do."""
    path = write(Graph([node("Relu", "X", to="a"), node("Erf", "a")]), tmp_path / "net.onnx")
    with pytest.raises(UnsupportedOperatorError) as caught:
        read_network(path)
    message = str(caught.value)
    assert "Erf" in message and "n_Y" in message and path.name in message
    assert all(name in message for name in OPERATORS)


PRODUCT = Graph([node("Relu", "X", to="a"), node("Mul", "X", "a")])
REFUSED = {
    "product of two branches": (PRODUCT, "n_Y", "piecewise linear"),
    "quotient": (Graph([node("Div", "c", "X")], constants={"c": normal(6)}), "n_Y", "piecewise linear"),
    "division by zero": (Graph([node("Div", "X", "c")], constants={"c": ZEROS}), "n_Y", "zero"),
    "shapes": (Graph([node("MatMul", "X", "W")], (1, 3), {"W": normal(4, 2)}), "n_Y", "(4, 2)"),
    "missing tensor": (Graph([node("Add", "X", "absent")]), "n_Y", "absent"),
    "NaN weight": (Graph([node("Mul", "X", "bad")], constants={"bad": np.float32([np.nan])}), "bad", "NaN"),
    "folded NaN": (
        Graph(
            [node("Div", "z", "z", to="n"), node("Mul", "X", "n")], constants={"z": np.zeros((), np.float32)}
        ),
        "Y",
        "NaN",
    ),
    "constant output": (Graph([node("Identity", "c")], constants={"c": EYE}), "Y", "does not depend"),
    "integer cast": (Graph([helper.make_node("Cast", ["X"], ["Y"], to=TensorProto.INT64)]), "'Y'", "float"),
    "training": (
        Graph(
            [node("BatchNormalization", "X", *"sbmv", to=["Y", "p", "q"], training_mode=1)],
            (1, 3, 2),
            {name: np.ones(3, np.float32) for name in "sbmv"},
        ),
        "n_Y",
        "training",
    ),
    "indices of a pooling": (
        Graph([node("MaxPool", "X", to=["Y", "i"], kernel_shape=[2])], (1, 1, 4)), "n_Y", "indices"
    ),
    "enormous windows": (
        Graph([node("AveragePool", "X", kernel_shape=[2], pads=[2**40, 0])], (1, 1, 4)), "n_Y", "windows"
    ),
    "enormous padding": (Graph([node("Pad", "X", "p")], constants={"p": FAR}), "n_Y", "shape"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_refusals_name_the_place(kind: str, tmp_path: Path) -> None:
    """What is no piecewise linear network, or no sound one, is refused with its node and the reason."""
    graph, place, reason = REFUSED[kind]
    message = refusal(model_of(graph, 15), tmp_path / "net.onnx")
    assert place in message and reason in message


def test_inputs_and_outputs_are_counted(tmp_path: Path) -> None:
    """Two inputs, two outputs, integer inputs, and unknown inner sizes are refused by name."""
    path = tmp_path / "net.onnx"
    two = model_of(two_layers(), 13)
    two.graph.input.append(helper.make_tensor_value_info("Z", TensorProto.FLOAT, [1]))
    assert "X, Z" in refusal(two, path)
    outputs = model_of(two_layers(), 13)
    outputs.graph.output.append(helper.make_tensor_value_info("a", TensorProto.FLOAT, None))
    assert "Y, a" in refusal(outputs, path)
    assert "float" in refusal(model_of(two_layers(), 13, TensorProto.INT64), path)
    unknown = model_of(two_layers(), 13)
    unknown.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "width"
    assert "'X'" in refusal(unknown, path)


def test_truncated_models_are_refused_or_read(tmp_path: Path) -> None:
    """Every prefix of a file raises InputError or is a model by itself; nothing else escapes."""
    data = model_of(two_layers(), 13).SerializeToString()
    path, refused = tmp_path / "net.onnx", 0
    for end in range(0, len(data), 3):
        path.write_bytes(data[:end])
        try:
            read_network(path)
        except InputError as error:
            refused += 1
            assert path.name in str(error)
    assert refused > len(data) // 6


@pytest.mark.parametrize("seed", range(4))
def test_flipped_bytes_raise_input_errors_only(seed: int, tmp_path: Path) -> None:
    """A model with a changed byte is read or refused with InputError; nothing else escapes."""
    graph = Graph(
        [
            node("Conv", "X", "K", to="a", pads=[1, 1, 1, 1]),
            node("Relu", "a", to="b"),
            node("MaxPool", "b", to="c", kernel_shape=[2, 2], strides=[2, 2]),
            node("Reshape", "c", "s", to="d"),
            node("Gemm", "d", "W", "e", alpha=0.5),
        ],
        (1, 1, 4, 4),
        {"K": normal(2, 1, 3, 3), "s": np.int64([1, -1]), "W": normal(8, 2), "e": normal(2)},
    )
    data = model_of(graph, 13).SerializeToString()
    rng = np.random.default_rng(seed)
    path = tmp_path / "net.onnx"
    refused = 0
    for trial in range(150):
        damaged = bytearray(data)
        damaged[rng.integers(len(data))] = rng.integers(256)
        path.write_bytes(bytes(damaged))
        try:
            read_network(path)
        except InputError:
            refused += 1
        except BaseException as error:
            pytest.fail(f"seed {seed}, trial {trial}: {type(error).__name__}: {error}")
    assert refused > 0


@pytest.mark.parametrize("family", FAMILIES)
def test_benchmark_networks_agree_with_onnxruntime(family: str, tmp_path: Path) -> None:
    """The smallest network of a benchmark family gives what onnxruntime gives."""
    if not PACK.is_dir():
        pytest.skip("benchmark pack ../shared/benchmarks is absent")
    files = sorted((PACK / family).rglob("*.onnx*"), key=lambda p: (p.stat().st_size, p.name))
    assert files, f"no network in {family}"
    if files[0].stat().st_size > MOST_PACKED:
        pytest.skip(f"the networks of {family} take too long to read here")
    path = tmp_path / "net.onnx"
    path.write_bytes(read_model_bytes(files[0]))
    compare(path, points=3, scale=0.5)
