"""The convex barrier as a family of networks: relaxations from layer to layer are wrong by any factor that one likes.

Mao, Zhang and Vechev (On the expressiveness of multi-neuron convex relaxations, arXiv 2410.06816) show that no
convex relaxation of a bounded number of layers is complete. For one input, x in [-1, 1]:

    layer 1    a = ReLU(x), b = ReLU(-x)                      true values: one of a, b is 0
    layer 2    r = ReLU(a - b), a and b carried on            a - r = min(a, b) = 0
    output     y = a + b - c min(a, b) = (1 - c) a + b + c r  y = |x|, in [0, 1]

The hull of layer 1, even that of x, a and b together, is the triangle of (x, a, b) = (-1, 0, 1), (0, 0, 0), (1, 1, 0).
It holds the spurious point (0, 1/2, 1/2), half of the first plus half of the last. A relaxation that passes convex sets
from layer to layer must let layer 2 take what it takes there, r = 0, and so must let y = 1 - c/2. That is its lowest
value: y is piecewise affine over the triangle, with corners at these four points. c is free, so is the error.

* Identity layers between the two change nothing for such a relaxation, and blind those that see several layers at once:
  the hull of r consecutive layers is fooled from r - 1 identity layers on, for then no such window sees x and r both.
* Copies of the inputs, carried on with weight 0 as `copied_inputs` does, change nothing either: the hull with the
  copies projects onto the hull without. |x| = max(x, -x) needs another network, `max_of_affine` in the tests.
* Branching at x = 0 makes both halves affine. For n inputs (the sum over i) it has to be done for each: over a convex
  part of [-1, 1]^n that holds two corners p, p', the relaxation allows a_i = b_i = 1/2 wherever p_i != p'_i, half of
  either corner's values, and so some y <= -factor. A search over convex parts has at least 2^n of them, however tight
  its layer-wise relaxation; the 2^n orthants suffice.
"""

from __future__ import annotations

import numpy as np

from ..network import Network, sequential
from ..property import Case, InputSet, Polyhedron, Property
from ..query import Query, queries

__all__ = ["barrier_network", "barrier_query"]


def barrier_network(factor: float, identity_layers: int = 0, inputs: int = 1) -> Network:
    """y = |x_1| + ... + |x_n| on [-1, 1]^n; the best layer-wise bound from below is -n (factor + n), the truth is 0.

    So the error is more than `factor` times the range n of y. factor: >= 0; a whole number or a few binary digits of
    fraction keep all weights exact, in float32 too. identity_layers: ReLU layers that carry a and b on, between the
    first and the comparing one.
    Raises ValueError for a negative factor or number of layers, and for no inputs.

    >>> barrier_network(8.0, identity_layers=2).evaluate(np.array([[-0.5], [1.0]])).ravel()
    array([0.5, 1. ])
    """
    if not 0.0 <= factor < np.inf or identity_layers < 0 or inputs < 1:
        raise ValueError(f"barrier_network({factor}, {identity_layers}, {inputs}): expected >= 0, >= 0, >= 1")
    c, unit, pair = 2.0 * (factor + inputs + 1.0), np.eye(inputs), np.eye(2 * inputs)
    weights = [np.concatenate([unit, -unit]), *([pair] * identity_layers)]
    weights.append(np.concatenate([np.concatenate([unit, -unit], axis=1), pair]))
    weights.append(np.repeat([[c, 1.0 - c, 1.0]], inputs, axis=1))
    return sequential(weights, [np.zeros(len(w)) for w in weights])


def barrier_query(network: Network, margin: float = 0.25) -> Query:
    """Can y be -margin or less on [-1, 1]^n? The truth: no (`unsat`) for margin > 0, yes at x = 0 for margin <= 0.

    Layer-wise relaxations of the whole box cannot tell for any margin up to `factor`.
    """
    n = network.input_size
    region = InputSet.box(np.full(n, -1.0), np.ones(n))
    return queries(network, Property((Case(region, (Polyhedron(np.ones((1, 1)), np.array([-margin])),)),), n, 1))[0]
