"""Networks of maxima: what they compute, what relaxations of single neurons and of groups make of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import layerwise_hulls
import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import linprog

import hypersplit
from hypersplit.encodings.linear.bounds import LinearBoundOptions
from hypersplit.encodings.linear.linear_bounds import bound
from hypersplit.encodings.neuron_groups.group_lp import GroupLP
from hypersplit.encodings.neuron_groups.group_refinement import refine_by_groups
from hypersplit.instances.batch import Node, root
from hypersplit.instances.families.copied_inputs import with_copied_inputs
from hypersplit.instances.families.max_networks import chained_max, max_query, tree_max
from hypersplit.instances.network import Array, Network
from hypersplit.instances.onnx.reader import read_network
from hypersplit.instances.onnx.writer import write_network
from hypersplit.instances.property import InputSet, Property
from hypersplit.instances.vnnlib.writer import write_property

FORMS = [chained_max, tree_max]
EPS = 2.0**-6
# largest output that triangles allow over [0, 1]^d, hidden bounds by LPs of the same kind
TRIANGLE = [(chained_max, 2, 3 / 2), (chained_max, 3, 19 / 10), (chained_max, 4, 651 / 290), (tree_max, 4, 9 / 4)]


class TriangleLP:
    """max of a chain's output under triangles: variables are all values, layer after layer, the input first."""

    def __init__(self, network: Network, region: InputSet, phases: Mapping[tuple[int, int], int]) -> None:
        self.network, self.phases = network, phases
        self.size = sum(network.sizes)
        self.bounds = [*zip(region.lower, region.upper, strict=True)] + [(None, None)] * (self.size - region.size)
        self.rows: list[np.ndarray] = []
        self.sides: list[float] = []
        self.empty = False

    def largest(self) -> float:
        """Upper bound of output 0; -inf for phases that no input has."""
        start = 0
        for k, layer in enumerate(self.network.layers):
            behind = start + self.network.sizes[k]
            for i in range(layer.size):
                z = np.zeros(self.size)
                z[start:behind] = layer.weights[0][i]
                if layer.kind == "identity":
                    return self._maximum(z) + layer.bias[i]
                self._add_relu(z, float(layer.bias[i]), behind + i, self.phases.get((k, i), 0))
                if self.empty:
                    return -np.inf
            start = behind
        raise AssertionError("the last layer is affine")

    def _add_relu(self, z: np.ndarray, bias: float, y: int, phase: int) -> None:
        """y = ReLU(z + bias): a line where stable or split, else the triangle on the LP's own bounds."""
        low = bias - self._maximum(-z)
        unit = np.eye(1, self.size, y)[0]
        if phase > 0 or (phase == 0 and low >= -1e-9):
            self._add([unit - z, z - unit, -z], [bias, -bias, bias])
        elif phase < 0 or (high := self._maximum(z) + bias) <= 1e-9:
            self._add([unit, -unit, z], [0.0, 0.0, -bias])
        else:
            slope = high / (high - low)
            self._add([-unit, z - unit, unit - slope * z], [0.0, -bias, slope * (bias - low)])

    def _add(self, rows: list[np.ndarray], sides: list[float]) -> None:
        self.rows += rows
        self.sides += sides

    def _maximum(self, objective: np.ndarray) -> float:
        table = sp.csr_array(np.array(self.rows)) if self.rows else None
        found = linprog(-objective, A_ub=table, b_ub=self.sides or None, bounds=self.bounds)
        self.empty |= found.status == 2
        return -np.inf if self.empty else -float(found.fun)


def subproblems(network: Network, region: InputSet, limit: float, phases: dict[tuple[int, int], int]) -> int:
    """Leaves of branch and bound that proves output <= limit by triangles, over the comparing neuron of each layer."""
    if TriangleLP(network, region, phases).largest() <= limit:
        return 1
    k = len(phases)
    return sum(subproblems(network, region, limit, {**phases, (k, 0): sign}) for sign in (-1, 1))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("d", range(2, 17))
def test_forms_are_the_maximum(form: Callable[[int], Network], d: int) -> None:
    """Both forms give max(x) exactly on dyadic inputs, with d - 1 comparisons and all else carried."""
    x = np.random.default_rng(d).integers(0, 65, (60, d)) / 64.0
    network = form(d)
    _, pre = network.values(x)
    carried = sum(int((z >= 1.0).all(axis=0).sum()) for z in pre[:-1])

    np.testing.assert_array_equal(x.max(axis=1), network.evaluate(x)[:, 0])
    assert d - 1 == sum(layer.size for layer in network.layers[:-1]) - carried
    assert len(network.layers) - 1 == (d - 1 if form is chained_max else (d - 1).bit_length())


@pytest.mark.parametrize("form", FORMS)
def test_one_input_is_refused(form: Callable[[int], Network]) -> None:
    """A maximum of one input is no maximum."""
    with pytest.raises(ValueError, match="at least two"):
        form(1)


@pytest.mark.parametrize("pieces", [2, 3, 6])
def test_max_of_affine(pieces: int) -> None:
    """The largest of the pieces, whatever the input, with and without copies of the input."""
    rng = np.random.default_rng(pieces)
    rows, offsets = rng.integers(-8, 9, (pieces, 3)) / 4.0, rng.integers(-8, 9, pieces) / 4.0
    x, network = rng.integers(-64, 65, (80, 3)) / 64.0, layerwise_hulls.max_of_affine(rows, offsets)
    copied = with_copied_inputs(network, InputSet.box(np.full(3, -1.0), np.ones(3)))

    np.testing.assert_array_equal((x @ rows.T + offsets).max(axis=1), network.evaluate(x)[:, 0])
    np.testing.assert_array_equal(network.evaluate(x), copied.evaluate(x))


@pytest.mark.parametrize(("form", "d", "allowed"), TRIANGLE)
def test_triangles_are_loose(form: Callable[[int], Network], d: int, allowed: float) -> None:
    """Triangles allow 3/2 for two inputs where the maximum is 1, and more with every input."""
    assert allowed == pytest.approx(TriangleLP(form(d), max_query(form(d)).region, {}).largest(), abs=1e-7)


@pytest.mark.parametrize("d", [2, 3, 4])
def test_subproblems_of_single_neurons_double(d: int) -> None:
    """Branch and bound with triangles, layer after layer, visits all 2^(d-1) patterns of the comparisons."""
    network = chained_max(d)
    assert 2 ** (d - 1) == subproblems(network, max_query(network).region, 1.0 + EPS, {})


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("d", [2, 3, 5, 9, 16])
def test_a_pair_for_each_comparison_is_exact(form: Callable[[int], Network], d: int) -> None:
    """With the groups {a - b, b} of each layer, and nothing else, the root's LP proves it: margin eps, no branching."""
    query = max_query(form(d), EPS)
    batch = root(query)
    found = bound(query, batch, LinearBoundOptions(kernel="plain"))
    node = replace(batch, pre_lower=found.pre_lower, pre_upper=found.pre_upper).node(0)
    deadline = time.monotonic() + 60.0

    def comparisons(k: int, known: Node) -> list[Array]:
        part = query.slices[k - 1]
        count = int(((known.pre_lower[part] < 0.0) & (known.pre_upper[part] > 0.0)).sum())
        return [np.array([[i, count + i] for i in range(count)], dtype=np.intp) + part.start]

    refined, rows = refine_by_groups(query, node, comparisons, deadline)
    value = GroupLP(query, refined, rows).minimise(0, deadline).bound

    assert value == pytest.approx(EPS, abs=1e-6) and value <= EPS


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("d", [2, 3, 4])
def test_hulls_of_layers_are_exact(form: Callable[[int], Network], d: int) -> None:
    """The best layer-wise relaxation has exactly the true range [0, 1], where triangles reach 9/4."""
    network = form(d)
    assert (0, 1) == layerwise_hulls.output_range(network, max_query(network).region)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("eps", "verdict"), [(EPS, "unsat"), (0.0, "sat")])
def test_written_files_say_the_same(
    form: Callable[[int], Network], eps: float, verdict: str, tmp_path: Path
) -> None:
    """Through ONNX and VNN-LIB files the network is the same, and the verdict is the known truth."""
    network, query = form(3), max_query(form(3), eps)
    onnx, vnnlib = tmp_path / "max.onnx", tmp_path / "max.vnnlib"
    write_network(network, onnx)
    write_property(Property((query.case,), 3, 1), vnnlib)
    x = np.random.default_rng(3).integers(0, 65, (20, 3)) / 64.0

    np.testing.assert_array_equal(network.evaluate(x), read_network(onnx).evaluate(x))
    assert verdict == hypersplit.verify(onnx, vnnlib, timeout=60, jobs=1).verdict
