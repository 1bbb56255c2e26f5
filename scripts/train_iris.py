"""Train iris_1layer.onnx and iris_2layer.onnx: python scripts/train_iris.py [FOLDER]

Nets in the form of Anderson et al. (CDC 2020), whose outputs end in ReLUs: f(x) = ReLU(Wx + b), and the same
behind a hidden layer of 16. Inputs are the four lengths in cm. A third of the flowers is kept for the
test. Also writes iris_nominal.csv: ten test flowers that both nets get right, with their species.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
from adam import cross_entropy_gradient, minimise
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split

from hypersplit.instances.network import Array, Network, sequential
from hypersplit.instances.onnx.reader import read_network
from hypersplit.instances.onnx.writer import write_network

SEED = 0
HIDDEN = 16
DATA = Path(__file__).resolve().parents[1] / "instances" / "data"


def main(folder: Path) -> None:
    """Train, write, and say how accurate the written files are."""
    flowers = load_iris()
    x, test_x, y, test_y = train_test_split(
        flowers.data, flowers.target, test_size=1 / 3, random_state=SEED, stratify=flowers.target
    )
    right = np.ones(len(test_y), dtype=bool)
    for name, sizes in (("iris_1layer.onnx", [4, 3]), ("iris_2layer.onnx", [4, HIDDEN, 3])):
        write_network(train(x, y, sizes), folder / name)
        hits = read_network(folder / name).evaluate(test_x).argmax(axis=1) == test_y
        all_hits = read_network(folder / name).evaluate(flowers.data).argmax(axis=1) == flowers.target
        right &= hits
        print(f"{name}: {hits.mean():.1%} of {len(test_y)} test flowers, {all_hits.mean():.1%} of all 150")
    _write_nominal(folder / "iris_nominal.csv", test_x[right], test_y[right])


def train(x: Array, y: Array, sizes: list[int]) -> Network:
    """A chain with ReLUs everywhere, the outputs too, trained on softmax cross entropy."""
    rng = np.random.default_rng(SEED)
    mean, scale = x.mean(axis=0), x.std(axis=0)
    inputs = (x - mean) / scale
    layers = len(sizes) - 1
    weights = [rng.normal(0.0, np.sqrt(2.0 / n), (m, n)) for n, m in zip(sizes, sizes[1:], strict=False)]
    biases = [np.full(m, 0.1) for m in sizes[1:-1]] + [np.full(sizes[-1], 3.0)]

    def gradients(parameters: list[Array], chosen: Array) -> list[Array]:
        values = [inputs[chosen]]
        for k in range(layers):
            values.append(np.maximum(values[-1] @ parameters[k].T + parameters[layers + k], 0.0))
        back, found = cross_entropy_gradient(values[-1], y[chosen]), [np.zeros(0)] * (2 * layers)
        for k in reversed(range(layers)):
            back = back * (values[k + 1] > 0)
            found[k] = back.T @ values[k] + 2e-3 * parameters[k]
            found[layers + k] = back.sum(axis=0)
            back = back @ parameters[k]
        return found

    trained = minimise(gradients, weights + biases, len(x), steps=3000, rate=0.02, seed=SEED)
    weights, biases = trained[:layers], trained[layers:]
    weights[0] = weights[0] / scale
    biases[0] = biases[0] - weights[0] @ mean
    return sequential(weights, biases, "relu")


def _write_nominal(path: Path, x: Array, y: Array) -> None:
    """Ten flowers, the species in turn."""
    order = np.argsort(np.concatenate([np.arange((y == s).sum()) + s / 10 for s in range(3)]), kind="stable")
    flowers = np.concatenate([np.flatnonzero(y == s) for s in range(3)])[order][:10]
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["sepal_length", "sepal_width", "petal_length", "petal_width", "species"])
        rows.writerows([*x[i].tolist(), int(y[i])] for i in flowers)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DATA)
