"""Train control_2d.onnx: python scripts/train_control.py [FOLDER]

A controller of a cart at position p with velocity v, both in [-1, 1], learns `force` below, a smooth rule
that brings the cart to rest at 0. Two hidden layers of 16 ReLUs, least squares on 4096 random states.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from adam import minimise

from hypersplit.instances.network import Array, sequential
from hypersplit.instances.onnx.reader import read_network
from hypersplit.instances.onnx.writer import write_network

SEED = 0
SIZES = (2, 16, 16, 1)
DATA = Path(__file__).resolve().parents[1] / "instances" / "data"


def force(states: Array) -> Array:
    """The rule that is learnt: states [B, 2] -> [B, 1]."""
    p, v = states[:, :1], states[:, 1:]
    return np.asarray(-np.tanh(2.0 * p + 1.5 * v) * (1.0 + 0.5 * np.cos(3.0 * p) * np.cos(2.0 * v)))


def main(folder: Path) -> None:
    """Train, write, and say how far the written file is from the rule."""
    rng = np.random.default_rng(SEED)
    states = rng.uniform(-1.0, 1.0, (4096, 2))
    weights, biases = train(states, force(states), rng)
    write_network(sequential(weights, biases), folder / "control_2d.onnx")
    fresh = rng.uniform(-1.0, 1.0, (4096, 2))
    error = np.abs(read_network(folder / "control_2d.onnx").evaluate(fresh) - force(fresh))
    print(f"control_2d.onnx: mean error {error.mean():.3f}, largest {error.max():.3f}")


def train(x: Array, y: Array, rng: np.random.Generator) -> tuple[list[Array], list[Array]]:
    """Weights and biases of the ReLU chain."""
    layers = len(SIZES) - 1
    weights = [rng.normal(0.0, np.sqrt(2.0 / n), (m, n)) for n, m in zip(SIZES, SIZES[1:], strict=False)]

    def gradients(parameters: list[Array], chosen: Array) -> list[Array]:
        values, found = [x[chosen]], [np.zeros(0)] * (2 * layers)
        for k in range(layers):
            z = values[-1] @ parameters[k].T + parameters[layers + k]
            values.append(z if k == layers - 1 else np.maximum(z, 0.0))
        back = 2.0 * (values[-1] - y[chosen]) / len(chosen)
        for k in reversed(range(layers)):
            found[k] = back.T @ values[k]
            found[layers + k] = back.sum(axis=0)
            back = (back @ parameters[k]) * (values[k] > 0)
        return found

    start = weights + [rng.normal(0.0, 0.3, m) for m in SIZES[1:]]
    trained = minimise(gradients, start, len(x), steps=6000, rate=0.01, seed=SEED)
    return trained[:layers], trained[layers:]


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DATA)
