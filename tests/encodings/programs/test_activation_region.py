"""Activation regions in rational arithmetic: their half-spaces and functions at the exact vertices of the region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import oracle
import pytest
import scipy.sparse as sp
from random_instances import Shape, random_instance, random_points

from hypersplit.encodings.programs.activation_region import activation_region
from hypersplit.instances.batch import Node, root
from hypersplit.instances.network import Array, Layer, Network, sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property
from hypersplit.instances.query import Query, queries

SHAPES = (Shape(residual=0.6), Shape(rough=True, residual=0.6), Shape(scale=1000.0, rough=True), Shape(identity=0.4))
SEEDS = range(40)
ROUNDING = 1e-12  # what bounds may lose, relative to the magnitude of their terms

ON_OFF = np.array([True, False, False])  # phases of `small`: its output is affine

Point = Sequence[Fraction]


def fixed_node(query: Query, active: Array) -> Node:
    """The query's root with the phase of every ReLU demanded; active: [neurons] bool."""
    node = root(query).node(0)
    return replace(
        node,
        pre_lower=np.where(query.relu & active, 0.0, -np.inf),
        pre_upper=np.where(query.relu & ~active, 0.0, np.inf),
        phases=np.where(query.relu, np.where(active, 1, -1), 0).astype(np.int8),
    )


def pattern(query: Query, pre: Sequence[Point]) -> Array:
    """[neurons] bool: which pre-activations are >= 0, from those of all layers."""
    return np.array([z >= 0 for layer in pre[:-1] for z in layer], dtype=bool)


def pre_activations(
    network: Network, x: Point, weight_error: Fraction = Fraction(0), bias_sign: int = 0
) -> list[list[Fraction]]:
    """Exact z_1, z_2, ... of the network whose weights and biases are off by that share of their declared errors."""
    values, pre = [list(x)], []
    for layer in network.layers:
        factor = 1 / (1 + weight_error * layer.roundings * Fraction(1, 2**53))
        z = [Fraction(float(b)) + bias_sign * Fraction(layer.bias_error) for b in layer.bias]
        for s, w in zip(layer.sources, layer.weights, strict=True):
            dense = w if isinstance(w, np.ndarray) else w.toarray()
            z = [a + factor * oracle.exact_dot(row, values[s]) for a, row in zip(z, dense, strict=True)]
        pre.append(z)
        values.append([max(a, Fraction(0)) for a in z] if layer.kind == "relu" else z)
    return pre


def affine(rows: Array, constants: Array, x: Point) -> list[Fraction]:
    """rows @ x + constants, exactly."""
    return [oracle.exact_dot(a, x) + Fraction(float(c)) for a, c in zip(rows, constants, strict=True)]


def magnitudes(query: Query) -> list[float]:
    """Per layer the largest sum of absolute terms over the query's box."""
    values = [np.maximum(np.abs(query.region.lower), np.abs(query.region.upper))]
    for layer in query.network.layers:
        parts = [abs(w) @ values[s] for s, w in zip(layer.sources, layer.weights, strict=True)]
        values.append(np.abs(layer.bias) + sum(parts))
    return [float(v.max()) for v in values[1:]]


def cases(seed: int) -> tuple[Query, Array, Array] | None:
    """(query, points [P, n] of its region, the first one's pattern); None without a point."""
    instance = random_instance(seed, shape=SHAPES[seed % len(SHAPES)])
    query = queries(instance.network, instance.prop)[0]
    points = random_points(np.random.default_rng(seed), query.region, 20)
    if not len(points):
        return None
    return query, points, pattern(query, pre_activations(query.network, exact(points[0])))


def exact(x: Array) -> list[Fraction]:
    """A float point."""
    return [Fraction(v) for v in x.tolist()]


def vertices(query: Query, node: Node) -> list[Point]:
    """Exact vertices of the node's region."""
    phases = np.concatenate([node.phases, np.zeros(query.rows, dtype=np.int8)])
    return [x for leaf in oracle.leaves(query.network, query.region, phases) for x in leaf.polytope.points()]


def small(kind: str) -> Query:
    """z = (x_1 + x_2, x_1 - x_2 + 2), then `kind`, then their difference as margin, on [-1, 1]^2."""
    layers = (
        Layer((0,), (np.array([[1.0, 1.0], [1.0, -1.0]]),), np.array([0.0, 2.0]), kind),
        Layer((1,), (np.array([[1.0, -1.0]]),), np.zeros(1)),
    )
    return affine_query(Network(2, layers))


def affine_query(network: Network) -> Query:
    """The network's outputs as the rows of one disjunct, on [-1, 1]^n."""
    n, m = network.input_size, network.output_size
    case = Case(InputSet.box(-np.ones(n), np.ones(n)), (Polyhedron(np.eye(m), np.zeros(m)),))
    return queries(network, Property((case,), n, m))[0]


def test_the_region_lies_in_its_half_spaces_and_the_margins_above_their_functions() -> None:
    """Exactly, at every vertex of the region; residual edges, half-spaces, identity layers and large weights."""
    checked = tight = 0
    for seed in SEEDS:
        if (case := cases(seed)) is None:
            continue
        query, points, active = case
        node = fixed_node(query, active)
        cuts, coefficients, constants = activation_region(query, node, query.relu)
        size = Fraction(ROUNDING * magnitudes(query)[-1])
        assert len(cuts) == query.relu.sum() and coefficients.shape == (query.rows, query.network.input_size)
        for x in [exact(points[0]), *vertices(query, node)]:
            margins = oracle.exact_values(query.network, x)[-1]
            assert all(value >= 0 for value in affine(cuts[:, :-1], cuts[:, -1], x)), f"seed {seed}"
            for margin, low in zip(margins, affine(coefficients, constants, x), strict=True):
                assert 0 <= margin - low <= size, f"seed {seed}"
                tight += margin > low
            checked += 1
    assert checked > 150 and tight > 150, "functions without an error term would rise above the margins somewhere"


def test_inputs_of_other_regions_are_cut_off() -> None:
    """At an input of another pattern the half-spaces of the first layer that differs tell so, up to rounding."""
    outside = 0
    for seed in SEEDS:
        if (case := cases(seed)) is None:
            continue
        query, points, active = case
        cuts, _, _ = activation_region(query, fixed_node(query, active), np.ones(query.neurons, dtype=bool))
        row_of = np.cumsum(query.relu) - 1  # neurons of identity layers have no row
        sizes = magnitudes(query)
        for x in map(exact, points[1:]):
            pre = pre_activations(query.network, x)
            values = affine(cuts[:, :-1], cuts[:, -1], x)
            for k, part in enumerate(query.slices):
                if query.kinds[k] != "relu":
                    continue
                signed = [z if active[part][i] else -z for i, z in enumerate(pre[k])]
                for i, z in enumerate(signed):
                    apart = values[row_of[part.start + i]] - z
                    assert 0 <= apart <= Fraction(ROUNDING * sizes[k]), f"seed {seed}, layer {k + 1}, neuron {i}"
                if min(signed) < 0:
                    outside += 1
                    break  # deeper layers: the functions are another region's
    assert outside > 80


def test_only_wanted_half_spaces_are_returned() -> None:
    """In the neurons' order, and the functions do not depend on what is wanted."""
    for seed in SEEDS:
        if (case := cases(seed)) is None:
            continue
        query, _, active = case
        node = fixed_node(query, active)
        everything = activation_region(query, node, query.relu)
        wanted = np.random.default_rng(seed).random(query.neurons) < 0.5
        some = activation_region(query, node, wanted)
        np.testing.assert_array_equal(some[0], everything[0][wanted[query.relu]], f"seed {seed}")
        for a, b in zip(some[1:], everything[1:], strict=True):
            np.testing.assert_array_equal(a, b)


def test_proved_bounds_are_phases_too() -> None:
    """A ReLU that its bounds make stable needs no demand, and one with bounds [0, 0] is the same either way."""
    query = small("relu")
    demanded = activation_region(query, fixed_node(query, ON_OFF), query.relu)
    node = replace(root(query).node(0), pre_lower=np.array([0.25, -3.0, -9.0]), pre_upper=np.array([2.0, -0.5, 9.0]))
    for a, b in zip(activation_region(query, node, query.relu), demanded, strict=True):
        np.testing.assert_array_equal(a, b)
    node = replace(node, pre_lower=np.zeros(3), pre_upper=np.zeros(3))  # both ReLUs are 0 at x = (-1, 1)
    cuts, coefficients, constants = activation_region(query, node, query.relu)
    x = [Fraction(-1), Fraction(1)]
    apart = [*affine(cuts[:, :-1], cuts[:, -1], x), -affine(coefficients, constants, x)[0]]  # the margin is 0
    assert len(apart) == 3 and all(0 <= value < Fraction(1e-12) for value in apart)


def test_an_unstable_relu_is_refused() -> None:
    """Whichever neuron it is, and also where its half-space is not asked for."""
    query = small("relu")
    for unstable in range(2):
        node = fixed_node(query, ON_OFF)
        node.pre_lower[unstable], node.pre_upper[unstable] = -1e-300, 1e-300
        for wanted in (query.relu, ~query.relu):
            with pytest.raises(ValueError, match="known phase"):
                activation_region(query, node, wanted)


@pytest.mark.parametrize("kind", ["sigmoid", "tanh"])
def test_other_activations_are_refused(kind: str) -> None:
    """Sigmoids and tangents are no affine functions, whatever bounds they have."""
    query = small(kind)
    node = replace(root(query).node(0), pre_lower=np.ones(3), pre_upper=np.full(3, 2.0))
    with pytest.raises(ValueError, match="must be a ReLU"):
        activation_region(query, node, query.relu)


def test_identity_layers_need_no_phase() -> None:
    """Their neurons may have any sign: the network is affine, there is no half-space, the functions are its own."""
    query = small("identity")
    node = replace(root(query).node(0), pre_lower=np.full(query.neurons, -5.0), pre_upper=np.full(query.neurons, 5.0))
    cuts, coefficients, constants = activation_region(query, node, np.ones(query.neurons, dtype=bool))
    assert cuts.shape == (0, 3) and coefficients.tolist() == [[0.0, 2.0]]
    assert -2.0 - 1e-12 < constants[0] <= -2.0


def test_inactive_neurons_are_left_out() -> None:
    """With every ReLU off the margins are constants, and each half-space is the row turned around."""
    network = sequential([np.array([[2.0, -1.0]]), np.array([[3.0]])], [np.array([0.5]), np.array([0.75])])
    query = affine_query(network)
    node = fixed_node(query, np.zeros(query.neurons, dtype=bool))
    cuts, coefficients, constants = activation_region(query, node, query.relu)
    assert cuts[:, :-1].tolist() == [[-2.0, 1.0]] and -0.5 < cuts[0, -1] <= -0.5 + 1e-12
    assert not coefficients.any() and 0.75 - 1e-12 < constants[0] <= 0.75


@pytest.mark.parametrize(("roundings", "bias_error"), [(0, 1e-3), (2**40, 0.0), (2**36, 1e-4)])
def test_declared_errors_of_weights_and_biases_are_covered(roundings: int, bias_error: float) -> None:
    """The exact network, off by all that its layers declare in either direction, obeys half-spaces and functions."""
    checked = moved = 0
    for seed in SEEDS[:30]:
        instance = random_instance(seed, shape=Shape(residual=0.6, rough=True, identity=0.2))
        layers = tuple(
            replace(layer, roundings=roundings, bias_error=bias_error) for layer in instance.network.layers
        )  # fmt: skip
        query = queries(replace(instance.network, layers=layers), instance.prop)[0]
        for point in random_points(np.random.default_rng(seed), query.region, 3):
            x = exact(point)
            for sign in (-1, 1):
                pre = pre_activations(query.network, x, Fraction(sign), sign)
                node = fixed_node(query, pattern(query, pre))
                cuts, coefficients, constants = activation_region(query, node, query.relu)
                lows = affine(coefficients, constants, x)
                assert all(value >= 0 for value in affine(cuts[:, :-1], cuts[:, -1], x)), f"seed {seed}"
                assert all(m >= low for m, low in zip(pre[-1], lows, strict=True)), f"seed {seed}"
                nominal = oracle.exact_values(query.network, x)[-1]
                moved += pre[-1] != nominal
                checked += 1
    assert checked > 100 and moved > 75


def test_sparse_weights_say_the_same() -> None:
    """Layers as csr arrays give the half-spaces and functions of the dense ones, up to rounding."""
    for seed in SEEDS:
        if (case := cases(seed)) is None:
            continue
        query, _, active = case
        layers = tuple(
            replace(layer, weights=tuple(map(sp.csr_array, layer.weights))) for layer in query.network.layers
        )  # fmt: skip
        sparse = replace(query, network=replace(query.network, layers=layers))
        size = max(magnitudes(query))
        dense = activation_region(query, fixed_node(query, active), query.relu)
        for a, b in zip(activation_region(sparse, fixed_node(sparse, active), query.relu), dense, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=2.0 * ROUNDING * size, err_msg=f"seed {seed}")
