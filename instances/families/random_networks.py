"""Instance families built in memory: nested maxima, random networks, robustness questions.

`nested_max(d)` computes max(x_1, ..., x_d) by max(a, b) = b + relu(a - b), d - 1 ReLUs in a chain. Mao,
Zhang and Vechev (On the expressiveness of multi-neuron convex relaxations, arXiv 2410.06816): branch and
bound with a layer-wise multi-neuron relaxation needs one subproblem, with single-neuron relaxations
2^(d-1). On two inputs the triangle already gives 1.5 where the maximum over [0, 1]^2 is 1. Other forms of the
maximum are in `max_networks`, the opposite, what no relaxation of layers can see, in `barrier_networks`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..network import Array, Layer, Network, sequential
from ..property import Case, InputSet, Polyhedron, Property

__all__ = ["nested_max", "nested_max_property", "random_network", "random_property", "robustness"]


def nested_max(d: int) -> Network:
    """y = max(x_1, ..., x_d) with m_1 = x_1, r_k = relu(m_k - x_{k+1}), m_{k+1} = x_{k+1} + r_k, y = m_d.

    Raises ValueError for d < 2.

    >>> nested_max(3).evaluate(np.array([0.25, 0.75, 0.5]))
    array([0.75])
    """
    if d < 2:
        raise ValueError(f"nested_max({d}): expected at least two inputs")
    unit = np.eye(d)
    layers = [Layer((0,), ((unit[0] - unit[1])[None],), np.zeros(1), "relu", "max_1")]
    for k in range(2, d):
        row = (unit[k - 1] - unit[k])[None]
        layers.append(Layer((0, k - 1), (row, np.ones((1, 1))), np.zeros(1), "relu", f"max_{k}"))
    layers.append(Layer((0, d - 1), (unit[d - 1][None], np.ones((1, 1))), np.zeros(1), "identity", "y"))
    return Network(d, tuple(layers))


def nested_max_property(d: int, threshold: float = 1.01) -> Property:
    """Forbidden: y >= threshold on [0, 1]^d. It holds above 1; at 1 the boundary alone violates it."""
    region = InputSet.box(np.zeros(d), np.ones(d))
    return Property((Case(region, (Polyhedron(np.array([[-1.0]]), np.array([-threshold])),)),), d, 1)


def random_network(sizes: Sequence[int], seed: int, last: str = "identity") -> Network:
    """A ReLU chain of the sizes (inputs first, outputs last), float32 weights, normal, variance 2 / fan-in.

    last: activation of the output layer.

    >>> random_network([2, 8, 3], seed=0).sizes
    (2, 8, 3)
    """
    rng = np.random.default_rng(seed)
    weights = [rng.normal(0.0, np.sqrt(2.0 / n), (m, n)) for n, m in zip(sizes[:-1], sizes[1:], strict=True)]
    biases = [rng.normal(0.0, 0.1, m) for m in sizes[1:]]
    return sequential([_float32(w) for w in weights], [_float32(b) for b in biases], last)


def random_property(network: Network, seed: int, radius: float = 0.1, slack: float = 0.0) -> Property:
    """Robustness of the network's own answer at a random point of [-1, 1]^inputs.

    Forbidden: another output exceeds the one that is largest there by `slack` or more; with a single output,
    it moves from its value there by `slack` or more.
    """
    rng = np.random.default_rng(seed)
    centre = _float32(rng.uniform(-1.0, 1.0, network.input_size))
    y = network.evaluate(centre)
    region = InputSet.box(centre - radius, centre + radius)
    if network.output_size == 1:
        up, down = np.array([[-1.0]]), np.array([[1.0]])
        forbidden: tuple[Polyhedron, ...] = (Polyhedron(up, -(y + slack)), Polyhedron(down, y - slack))
    else:
        forbidden = _others(network.output_size, int(np.argmax(y)), -slack)
    return Property((Case(region, forbidden),), network.input_size, network.output_size)


def robustness(
    centre: Array, label: int, outputs: int, radius: float, lower: float = -np.inf, upper: float = np.inf
) -> Property:
    """Is some input within `radius` of the centre, in each coordinate, not answered `label`?

    centre: [n]; the box is cut to [lower, upper]. Forbidden: y_label <= y_j for a j != label, so ties too.

    Raises ValueError for a label outside 0..outputs - 1, and where the cut leaves nothing of the box.
    """
    centre = np.asarray(centre, dtype=np.float64)
    if not 0 <= label < outputs:
        raise ValueError(f"robustness: label {label}, expected one of 0..{outputs - 1}")
    if radius < 0 or np.any(centre + radius < lower) or np.any(centre - radius > upper):
        raise ValueError(f"robustness: no input within {radius} of the centre lies in [{lower}, {upper}]")
    region = InputSet.box(np.maximum(centre - radius, lower), np.minimum(centre + radius, upper))
    return Property((Case(region, _others(outputs, label, 0.0)),), len(centre), outputs)


def _others(outputs: int, label: int, rhs: float) -> tuple[Polyhedron, ...]:
    """y_label - y_j <= rhs, one polyhedron for each j != label."""
    unit = np.eye(outputs)
    return tuple(
        Polyhedron((unit[label] - unit[j])[None], np.array([rhs])) for j in range(outputs) if j != label
    )


def _float32(values: Array) -> Array:
    return np.asarray(values.astype(np.float32), dtype=np.float64)
