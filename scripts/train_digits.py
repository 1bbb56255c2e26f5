"""Train the three digit nets: python scripts/train_digits.py [FOLDER]

scikit-learn's 8x8 digits, pixels divided by 16: 1257 to train, with uniform noise, and 540 to test.
digits_mlp_32 is 64-32-10, digits_mlp_24x2 64-24-24-10; digits_conv has 4 filters of 3x3 with stride 2 and
padding 1, then 16 and 10. Also writes digits_nominal.csv, the test images that the properties are about.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
from adam import cross_entropy_gradient, minimise
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from hypersplit.instances.network import Array, sequential
from hypersplit.instances.onnx.reader import read_network
from hypersplit.instances.onnx.writer import write_network

SEED = 0
NOISE = 0.1  # of each pixel, both ways: makes the nets less brittle
CONV = (4, 3, 2, 1)  # filters, their side, stride, padding
DATA = Path(__file__).resolve().parents[1] / "instances" / "data"


def main(folder: Path) -> None:
    """Train, write, and say how accurate the written files are."""
    digits = load_digits()
    x, test_x, y, test_y = train_test_split(
        digits.data / 16.0, digits.target, test_size=0.3, random_state=SEED, stratify=digits.target
    )
    write_network(sequential(*train_mlp(x, y, [64, 32, 10])), folder / "digits_mlp_32.onnx")
    write_network(sequential(*train_mlp(x, y, [64, 24, 24, 10])), folder / "digits_mlp_24x2.onnx")
    write_conv(train_conv(x, y), folder / "digits_conv.onnx")
    right = np.ones(len(test_y), dtype=bool)
    for name in ("digits_mlp_32.onnx", "digits_mlp_24x2.onnx", "digits_conv.onnx"):
        hits = read_network(folder / name).evaluate(test_x).argmax(axis=1) == test_y
        right &= hits
        print(f"{name}: {hits.mean():.1%} of {len(test_y)} test images")
    with (folder / "digits_nominal.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow([f"pixel_{i}" for i in range(64)] + ["digit"])
        for digit in range(10):
            rows.writerow([*test_x[right & (test_y == digit)][0].tolist(), digit])


def train_mlp(x: Array, y: Array, sizes: list[int]) -> tuple[list[Array], list[Array]]:
    """Weights and biases of a ReLU chain."""
    rng = np.random.default_rng(SEED)
    layers = len(sizes) - 1
    weights = [rng.normal(0.0, np.sqrt(2.0 / n), (m, n)) for n, m in zip(sizes, sizes[1:], strict=False)]

    def gradients(parameters: list[Array], chosen: Array) -> list[Array]:
        values, found = [_noisy(x[chosen], rng)], [np.zeros(0)] * (2 * layers)
        for k in range(layers):
            z = values[-1] @ parameters[k].T + parameters[layers + k]
            values.append(z if k == layers - 1 else np.maximum(z, 0.0))
        back = cross_entropy_gradient(values[-1], y[chosen])
        for k in reversed(range(layers)):
            found[k] = back.T @ values[k] + 1e-3 * parameters[k]
            found[layers + k] = back.sum(axis=0)
            back = (back @ parameters[k]) * (values[k] > 0)
        return found

    start = weights + [np.zeros(m) for m in sizes[1:]]
    trained = minimise(gradients, start, len(x), steps=4000, rate=0.005, seed=SEED)
    return trained[:layers], trained[layers:]


def train_conv(x: Array, y: Array) -> list[Array]:
    """[filters [9, 4], bias, dense [16, 64], bias, dense [10, 16], bias].

    The dense layer reads the filters' values in the order row, column, filter.
    """
    rng = np.random.default_rng(SEED)
    filters, side = CONV[:2]
    shapes = ((side**2, filters), (16, 16 * filters), (10, 16))
    fans = (side**2, 16 * filters, 16)
    start: list[Array] = []
    for shape, fan in zip(shapes, fans, strict=True):
        start += [rng.normal(0.0, np.sqrt(2.0 / fan), shape), np.zeros(shape[1] if not start else shape[0])]

    def gradients(parameters: list[Array], chosen: Array) -> list[Array]:
        k, kb, v, vb, w, wb = parameters
        patches = _patches(_noisy(x[chosen], rng))
        a = np.maximum(patches @ k + kb, 0.0)
        flat = a.reshape(len(a), -1)
        h = np.maximum(flat @ v.T + vb, 0.0)
        top = cross_entropy_gradient(h @ w.T + wb, y[chosen])
        middle = (top @ w) * (h > 0)
        low = ((middle @ v) * (flat > 0)).reshape(a.shape)
        decay = [1e-3 * p for p in (k, v, w)]
        return [
            np.einsum("bpi,bpf->if", patches, low) + decay[0], low.sum(axis=(0, 1)),
            middle.T @ flat + decay[1], middle.sum(axis=0), top.T @ h + decay[2], top.sum(axis=0),
        ]  # fmt: skip

    return minimise(gradients, start, len(x), steps=4000, rate=0.005, seed=SEED)


def write_conv(parameters: list[Array], path: Path) -> None:
    """Conv, Relu, Flatten, Gemm, Relu, Gemm on [1, 1, 8, 8]."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    filters, side, stride, padding = CONV
    k, kb, v, vb, w, wb = parameters
    tensors = {
        "kernel": k.T.reshape(filters, 1, side, side), "kernel_bias": kb,
        # Flatten gives (filter, row, column) order
        "dense": v.reshape(16, 16, filters).transpose(0, 2, 1).reshape(16, -1), "dense_bias": vb,
        "last": w, "last_bias": wb,
    }  # fmt: skip
    nodes = [
        helper.make_node(
            "Conv", ["X", "kernel", "kernel_bias"], ["c"], name="conv",
            kernel_shape=[side] * 2, strides=[stride] * 2, pads=[padding] * 4,
        ),
        helper.make_node("Relu", ["c"], ["a"], name="relu1"),
        helper.make_node("Flatten", ["a"], ["f"], name="flatten"),
        helper.make_node("Gemm", ["f", "dense", "dense_bias"], ["d"], name="dense", transB=1),
        helper.make_node("Relu", ["d"], ["h"], name="relu2"),
        helper.make_node("Gemm", ["h", "last", "last_bias"], ["Y"], name="last", transB=1),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "digits_conv",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [1, 1, 8, 8])],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, [1, 10])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="hypersplit")
    model.ir_version = 8
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))


def _noisy(x: Array, rng: np.random.Generator) -> Array:
    return np.clip(x + rng.uniform(-NOISE, NOISE, x.shape), 0.0, 1.0)


def _patches(x: Array) -> Array:
    """[B, 64] -> [B, 16, 9]: what each position of the filters sees."""
    _, side, stride, padding = CONV
    padded = np.pad(x.reshape(-1, 8, 8), ((0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))
    return windows[:, ::stride, ::stride].reshape(len(x), -1, side**2)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DATA)
