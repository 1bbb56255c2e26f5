"""What float32 may make of arguments of functions that jump."""

from __future__ import annotations

import numpy as np

from hypersplit.encodings.exact.argument_errors import argument_errors
from hypersplit.encodings.linear.linear_bounds import bound
from hypersplit.instances.batch import Node, root
from hypersplit.instances.network import Layer, Network
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries


def asked(low: list[float], high: list[float], *layers: Layer) -> tuple[Query, Node]:
    """The root of a question about a network on a box, with its bounds."""
    case = Case(InputSet.box(np.array(low), np.array(high)), (Polyhedron(np.ones((1, 1)), np.zeros(1)),))
    query = queries(Network(len(low), layers), Property((case,), len(low), 1))[0]
    batch = root(query)
    known = bound(query, batch)
    batch.pre_lower, batch.pre_upper = known.pre_lower, known.pre_upper
    return query, batch.node(0)


def test_no_evaluation_is_further_off() -> None:
    """In float32, in any order of the sums, no argument is; behind steps of whole weights none is off at all."""
    rng = np.random.default_rng(3)
    shapes, kinds = ((5, 3), (4, 5)), ("relu", "step:0.5")
    weights = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    biases = [rng.normal(size=shape[0]).astype(np.float32) for shape in shapes]
    layers = [
        Layer((k,), (weights[k].astype(float),), biases[k].astype(float), kinds[k]) for k in range(2)
    ] + [
        Layer((2,), (rng.integers(-3, 4, (4, 4)).astype(float),), rng.integers(-3, 4, 4) / 2.0, "round"),
        Layer((3,), (np.ones((1, 4)),), np.zeros(1)),
    ]  # fmt: skip
    query, node = asked([-1.0] * 3, [1.0] * 3, *layers)
    off = argument_errors(query, node)
    single = rng.uniform(-1.0, 1.0, (2000, 3)).astype(np.float32)
    real = single.astype(float)
    for k in range(2):
        exact, rounded = real @ layers[k].weights[0].T + layers[k].bias, biases[k]
        for j in rng.permutation(weights[k].shape[1]):
            rounded = rounded + single[:, [j]] * weights[k][:, j]
        size = off.size[query.slices[k]]
        assert rounded.dtype == np.float32 and (np.abs(rounded - exact) <= size).all() and (size < 1e-3).all()
        real, single = np.maximum(exact, 0.0), np.maximum(rounded, np.float32(0.0))
    assert not off.size[query.slices[2]].any()
    assert np.isneginf(off.least[query.slices[1]]).all()


def test_sums_at_corners_bound_what_rounding_makes_of_them() -> None:
    """Where a sum is exact at the box's corner no rounding leads below it; elsewhere nothing is known."""
    layers = Layer((0,), (np.ones((1, 2)),), np.zeros(1), "step:1.0"), Layer((1,), (np.ones((1, 1)),), np.zeros(1))
    off = argument_errors(*asked([0.0, 0.25], [1.0, 0.7], *layers))
    assert off.least[0] == 0.25 and off.most[0] == np.inf and off.size[0] > 0.0
