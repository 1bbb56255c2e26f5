"""Copies side by side: what computes the same from equal inputs is kept once, exactly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_files

from hypersplit.bab.verify import verify
from hypersplit.instances.families.random_networks import random_network
from hypersplit.instances.network import Network, sequential
from hypersplit.instances.rewriting.merged import without_copies
from hypersplit.instances.rewriting.side_by_side import side_by_side

TWO = (
    "(vnnlib-version <2.0>)(declare-network f (declare-input X real [1,2])(declare-output Y real [1,1]))"
    "(declare-network g (equal-to f)(declare-input Z real [1,2])(declare-output W real [1,1]))"
    "(assert (and (<= -1 X[0,0] 1) (<= -1 X[0,1] 1) (<= -1 Z[0,0] 1) (<= -1 Z[0,1] 1)))"
)


def whole_numbers(rng: np.random.Generator, sizes: tuple[int, ...]) -> Network:
    """A network whose sums are exact."""
    pairs = list(zip(sizes[:-1], sizes[1:], strict=True))
    weights = [rng.integers(-3, 4, (m, n)).astype(float) for n, m in pairs]
    return sequential(weights, [rng.integers(-2, 3, m).astype(float) for _, m in pairs])


def relus(network: Network) -> int:
    return sum(layer.size for layer in network.layers if layer.kind == "relu")


def test_two_copies_become_one() -> None:
    """With all inputs equal, the second copy has no neuron left."""
    one = random_network([3, 6, 5, 2], 1)
    both = side_by_side([one, one])
    merged = without_copies(both, np.array([0, 1, 2, 0, 1, 2]))
    assert relus(merged) == relus(one) and relus(both) == 2 * relus(one)
    x = np.tile(np.random.default_rng(0).normal(size=(20, 3)), 2)
    np.testing.assert_allclose(merged.evaluate(x), both.evaluate(x), atol=1e-12)


@pytest.mark.parametrize("seed", range(40))
def test_random_pairs_keep_their_function(seed: int) -> None:
    """Networks with first layers in common, and inputs that are equal, within one and across: the same values."""
    rng = np.random.default_rng(seed)
    sizes = (3, 4, 4, 2)
    one, other = whole_numbers(rng, sizes), whole_numbers(rng, sizes)
    common = int(rng.integers(0, 3))
    both = side_by_side([one, replace(other, layers=(*one.layers[:common], *other.layers[common:]))])
    alike = np.arange(6)
    for i in range(3, 6):
        alike[i] = i - 3 if rng.random() < 0.7 else i
    if rng.random() < 0.3:
        alike[[1, 4]] = 0
    merged = without_copies(both, alike)
    x = rng.integers(-5, 6, (20, 6)).astype(float)[:, alike]
    np.testing.assert_array_equal(merged.evaluate(x), both.evaluate(x))
    if common and (alike == [0, 1, 2, 0, 1, 2]).all():
        assert relus(merged) < relus(both)


def test_inputs_that_are_not_equal_merge_nothing() -> None:
    """Two copies with inputs of their own are left as they are."""
    both = side_by_side([random_network([2, 4, 1], 2)] * 2)
    assert without_copies(both, np.arange(4)) is both


def test_rounded_numbers_are_the_same_in_one_file_alone() -> None:
    """Layers that declare roundings merge where they are one layer of one file, and not where they only look alike."""
    one = sequential([np.array([[0.1, 0.2], [0.3, 0.3]]), np.ones((1, 2))], [np.array([0.5, 0.25]), np.zeros(1)])
    one = replace(one, layers=(replace(one.layers[0], roundings=1, bias_error=1e-17), one.layers[1]))
    look = replace(one, layers=(replace(one.layers[0], bias=one.layers[0].bias.copy()), one.layers[1]))
    alike = np.array([0, 1, 0, 1])
    assert relus(without_copies(side_by_side([one, one]), alike)) == 2
    assert relus(without_copies(side_by_side([one, look]), alike)) == 4
    # the second row's weights are one number, but of other digits once: with inputs crossed it is another function
    crossed = without_copies(side_by_side([one, one]), np.array([0, 1, 1, 0]))
    assert relus(crossed) == 4


def test_sums_that_would_round_are_left() -> None:
    """Weights of equal inputs of one network are added where the sum is exact, and rounded ones only of one sign."""
    def of(a: float, b: float, roundings: int = 0) -> Network:
        net = sequential([np.array([[a, b, 1.0]]), np.ones((1, 1))], [np.zeros(1), np.zeros(1)])
        return side_by_side([replace(net, layers=(replace(net.layers[0], roundings=roundings), net.layers[1]))] * 2)

    alike = np.array([0, 0, 2, 0, 0, 2])
    assert relus(without_copies(of(0.5, 0.25), alike)) == 1
    assert without_copies(of(0.1, 1e-3), alike) is not None and relus(without_copies(of(0.1, 1e-3), alike)) == 2
    assert relus(without_copies(of(0.5, 0.25, 1), alike)) == 1
    assert relus(without_copies(of(0.5, -0.25, 1), alike)) == 2
    assert relus(without_copies(of(1e-200, -1.5e-200, 1), alike)) == 2  # whose product underflows


def test_a_network_equals_itself(tmp_path: Path) -> None:
    """Of `equal-to` networks with equal inputs, whatever else differs, no bound needs a split; other inputs differ."""
    network = small_files.absolute(tmp_path / "net.onnx")
    equal = "(assert (== X[0,0] Z[0,0]))(assert (== X[0,1] Z[0,1]))"
    result = verify({"f": network}, TWO + equal + "(assert (>= (- Y[0,0] W[0,0]) 0.00001))", jobs=1)
    assert result.verdict == "unsat" and result.statistics["nodes"] == 1, result
    result = verify({"f": network}, TWO + equal[: equal.index("(assert", 2)] + "(assert (>= (- Y[0,0] W[0,0]) 0.5))")
    assert result.verdict == "sat"
