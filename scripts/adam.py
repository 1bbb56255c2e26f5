"""Adam (Kingma and Ba, 2015) on lists of arrays, all the training that the carried networks need."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hypersplit.instances.network import Array

__all__ = ["cross_entropy_gradient", "minimise"]


def minimise(
    gradients: Callable[[list[Array], Array], list[Array]],
    parameters: list[Array],
    examples: int,
    steps: int,
    rate: float,
    seed: int,
    batch: int = 64,
) -> list[Array]:
    """Parameters after `steps` of Adam; the rate falls to zero linearly.

    gradients: (parameters, indices of the examples of this step) -> one gradient per parameter.
    """
    rng = np.random.default_rng(seed)
    first = [np.zeros_like(p) for p in parameters]
    second = [np.zeros_like(p) for p in parameters]
    for t in range(1, steps + 1):
        chosen = rng.integers(0, examples, min(batch, examples))
        for i, g in enumerate(gradients(parameters, chosen)):
            first[i] = 0.9 * first[i] + 0.1 * g
            second[i] = 0.999 * second[i] + 0.001 * g**2
            step = first[i] / (1 - 0.9**t) / (np.sqrt(second[i] / (1 - 0.999**t)) + 1e-8)
            parameters[i] = parameters[i] - rate * (1 - t / steps) * step
    return parameters


def cross_entropy_gradient(outputs: Array, labels: Array) -> Array:
    """Gradient of the mean cross entropy of softmax(outputs), [B, classes]; labels [B]."""
    e = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    p[np.arange(len(labels)), labels] -= 1.0
    return np.asarray(p / len(labels))
