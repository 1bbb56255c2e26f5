"""Train two networks on images of 28 x 28 pixels: python scripts/train_mnist_pair.py IMAGES OUT [STEPS]

IMAGES: a folder with .npz files of the arrays images ([N, 28, 28], 0 to 255) and labels ([N], 0 to 9). Where one has
"train" in its name, it is trained on that one and tested on the others; else on four fifths of all, and tested on the
rest. OUT gets, for inputs in [0, 1] and with uniform noise in the training:

    mnist_1024_2.onnx        784-1024-2        is the digit 5 or more?
    mnist_1024_512_10.onnx   784-1024-512-10   which digit is it?

Both are wide: they are for measurements, not for the package. `hypersplit study polyhedral-certificates --instances
LIST.csv` takes them from a list with lines such as mnist_1024_2.onnx,samples.npz,10 (images as trained on, in [0, 1]).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from adam import cross_entropy_gradient, minimise

from hypersplit.instances.network import Array, sequential
from hypersplit.instances.onnx.reader import read_network
from hypersplit.instances.onnx.writer import write_network

SEED = 0
STEPS, BATCH, RATE = 1500, 128, 0.001
NOISE, DECAY = 0.1, 1e-4
NETWORKS = (("mnist_1024_2.onnx", [784, 1024, 2]), ("mnist_1024_512_10.onnx", [784, 1024, 512, 10]))


def main(images: Path, out: Path, steps: int) -> None:
    """Train, write, and say how accurate the written files are."""
    x, y, test_x, test_y = read_images(images)
    out.mkdir(parents=True, exist_ok=True)
    for name, sizes in NETWORKS:
        classes, test_classes = (labels >= 5 if sizes[-1] == 2 else labels for labels in (y, test_y))
        weights, biases = train(x, classes.astype(np.int64), sizes, steps)
        write_network(sequential(weights, biases), out / name)
        network = read_network(out / name)
        hits, own = (
            network.evaluate(points).argmax(axis=1) == labels
            for points, labels in ((test_x, test_classes), (x, classes))
        )
        print(f"{name}: {hits.mean():.1%} of {len(test_x)} test images, {own.mean():.1%} of {len(x)} trained on")


def read_images(folder: Path) -> tuple[Array, Array, Array, Array]:
    """(images [N, 784] in [0, 1], labels [N], test images, test labels)."""
    parts: dict[bool, list[tuple[Array, Array]]] = {True: [], False: []}
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as arrays:
            if arrays["images"].shape[1:] == (28, 28):
                scaled = arrays["images"].reshape(-1, 784) / 255.0
                parts["train" in path.name].append((scaled, arrays["labels"].astype(np.int64)))
    if not parts[False]:
        raise SystemExit(f"{folder}: no .npz file with images of 28 x 28 pixels to test on")
    x, y = (np.concatenate(arrays) for arrays in zip(*parts[False], strict=True))
    if parts[True]:
        train_x, train_y = (np.concatenate(arrays) for arrays in zip(*parts[True], strict=True))
        return train_x, train_y, x, y
    order = np.random.default_rng(SEED).permutation(len(x))
    first, rest = order[len(x) // 5 :], order[: len(x) // 5]
    return x[first], y[first], x[rest], y[rest]


def train(x: Array, y: Array, sizes: list[int], steps: int) -> tuple[list[Array], list[Array]]:
    """Weights and biases of a ReLU chain, trained on softmax cross entropy of noisy images."""
    rng = np.random.default_rng(SEED)
    layers = len(sizes) - 1
    weights = [rng.normal(0.0, np.sqrt(2.0 / n), (m, n)) for n, m in zip(sizes, sizes[1:], strict=False)]

    def gradients(parameters: list[Array], chosen: Array) -> list[Array]:
        noise = rng.uniform(-NOISE, NOISE, (len(chosen), sizes[0]))
        values, found = [np.clip(x[chosen] + noise, 0.0, 1.0)], [np.zeros(0)] * (2 * layers)
        for k in range(layers):
            z = values[-1] @ parameters[k].T + parameters[layers + k]
            values.append(z if k == layers - 1 else np.maximum(z, 0.0))
        back = cross_entropy_gradient(values[-1], y[chosen])
        for k in reversed(range(layers)):
            found[k] = back.T @ values[k] + DECAY * parameters[k]
            found[layers + k] = back.sum(axis=0)
            back = (back @ parameters[k]) * (values[k] > 0)
        return found

    start = weights + [np.zeros(m) for m in sizes[1:]]
    trained = minimise(gradients, start, len(x), steps=steps, rate=RATE, seed=SEED, batch=BATCH)
    return trained[:layers], trained[layers:]


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) == 4 else STEPS)
