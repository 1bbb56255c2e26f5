"""The oracle against hand examples, scipy's LP over all 2^n patterns, samples; and its instances."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import product

import numpy as np
import oracle
import pytest
from random_instances import (
    KINDS,
    Instance,
    Shape,
    random_instance,
    random_network,
    random_phases,
    random_points,
    random_region,
)
from scipy.optimize import linprog

from hypersplit.instances.network import Array, Layer, Network, sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron

SQUARE = InputSet.box(np.full(2, -1.0), np.ones(2))


def pattern_minimum(network: Network, region: InputSet, row: Array) -> float:
    """min row @ f over the region by one LP per pattern, all 2^n of them; +inf for an empty region."""
    relus = [layer.size if layer.kind == "relu" else 0 for layer in network.layers]
    best = np.inf
    for pattern in product((0.0, 1.0), repeat=sum(relus)):
        values = [np.eye(network.input_size, network.input_size + 1)]
        rows, rhs, position = [-region.rows], [region.offsets], 0
        for layer, count in zip(network.layers, relus, strict=True):
            z = sum(np.asarray(w) @ values[s] for s, w in zip(layer.sources, layer.weights, strict=True))
            z[:, -1] += layer.bias
            if layer.kind == "relu":
                active = np.array(pattern[position : position + count])[:, None]
                position += count
                rows.append(np.where(active > 0, -z, z)[:, :-1])
                rhs.append(np.where(active > 0, z, -z)[:, -1])
                z = z * active
            values.append(z)
        objective = row @ values[-1]
        bounds = list(zip(region.lower, region.upper, strict=True))
        result = linprog(objective[:-1], np.concatenate(rows), np.concatenate(rhs), bounds=bounds)
        if result.status == 0:
            best = min(best, result.fun + objective[-1])
    return best


@pytest.mark.parametrize("seed", range(40))
def test_minimum_equals_an_lp_per_pattern(seed: int) -> None:
    """The exact minimum is what scipy finds when it solves one LP for each of the 2^n patterns."""
    rng = np.random.default_rng(seed)
    network = random_network(rng, Shape(most_width=3, most_hidden=2, most_relus=6))
    region, row = random_region(rng, network.input_size), rng.integers(-2, 3, network.output_size) / 2.0
    exact = oracle.minimum(network, region, row, 0.25)
    assert exact is not None, f"seed {seed}"
    assert float(exact) == pytest.approx(pattern_minimum(network, region, row) + 0.25, abs=1e-7), (
        f"seed {seed}"
    )


@pytest.mark.parametrize("chunk", range(4))
def test_exact_ranges_hold_and_are_nearly_reached_by_samples(chunk: int) -> None:
    """No sample leaves the exact ranges; over many instances samples come close to most of the ends."""
    near = total = 0
    for seed in range(25 * chunk, 25 * chunk + 25):
        rng = np.random.default_rng(seed)
        network = random_network(rng)
        region = random_region(rng, network.input_size)
        ranges = oracle.pre_activation_ranges(network, region)
        assert ranges is not None, f"seed {seed}"
        points = random_points(rng, region, 2000)
        for part, z in zip(ranges, network.values(points)[1] if len(points) else [], strict=False):
            for (low, high), column in zip(part, z.T, strict=True):
                reach = 1e-9 + 1e-9 * float(high - low)
                assert float(low) - reach <= column.min() and column.max() <= float(high) + reach, (
                    f"seed {seed}"
                )
                ends = np.array([column.min() - float(low), float(high) - column.max()])
                near += np.count_nonzero(ends <= 0.1 * float(high - low))
                total += 2
    assert near > 0.8 * total


def test_ranges_of_phases_agree_with_filtered_samples() -> None:
    """Under phases the ranges hold for the samples that have these phases, and are empty only without any."""
    seen = empty = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        network = random_network(rng)
        region = random_region(rng, network.input_size)
        phases = random_phases(rng, network, region)
        ranges = oracle.pre_activation_ranges(network, region, phases)
        points = random_points(rng, region, 1000)
        pre = np.concatenate(network.values(points)[1], axis=1)
        kept = pre[np.all(pre * phases >= 0, axis=1)]
        if ranges is None:
            empty += 1
            assert not len(kept), f"seed {seed}"
            continue
        flat = np.array([[float(low), float(high)] for part in ranges for low, high in part])
        assert np.all(kept >= flat[:, 0] - 1e-9) and np.all(kept <= flat[:, 1] + 1e-9), f"seed {seed}"
        assert np.all(flat[phases > 0, 0] >= 0) and np.all(flat[phases < 0, 1] <= 0), f"seed {seed}"
        seen += len(kept) > 0
    assert seen >= 20 and empty >= 5


def test_range_of_one_neuron_is_that_of_the_table() -> None:
    """`pre_activation_range` counts layers from 1 and needs only the layers up to the neuron's."""
    network = sequential(
        [np.array([[1.0, 1.0], [1.0, -1.0]]), np.array([[1.0, 1.0]])], [np.zeros(2), np.array([0.5])]
    )
    assert oracle.pre_activation_range(network, SQUARE, 1, 1) == (-2, 2)
    assert oracle.pre_activation_range(network, SQUARE, 2, 0) == (Fraction(1, 2), Fraction(5, 2))
    assert oracle.pre_activation_range(network, SQUARE, 2, 0, np.array([-1, -1])) == (
        Fraction(1, 2),
        Fraction(1, 2),
    )


def test_hand_examples() -> None:
    """max(x1, x2), |x| and section 2 of the k-ReLU paper have the minima that paper and pencil give."""
    unit = InputSet.box(np.zeros(2), np.ones(2))
    maximum = Network(2, (
        Layer((0,), (np.array([[1.0, -1.0]]),), np.zeros(1), "relu"),
        Layer((0, 1), (np.array([[0.0, 1.0]]), np.array([[1.0]])), np.zeros(1)),
    ))  # fmt: skip
    assert oracle.minimum(maximum, unit, np.array([-1.0])) == -1
    assert oracle.minimum(maximum, unit, np.array([1.0])) == 0
    pair = sequential([np.array([[1.0, 1.0], [1.0, -1.0]])], [np.zeros(2)], last="relu")
    assert oracle.minimum(pair, SQUARE, np.array([-1.0, -2.0])) == -4
    absolute = sequential([np.array([[1.0], [-1.0]]), np.ones((1, 2))], [np.zeros(2), np.zeros(1)])
    assert oracle.minimum(absolute, InputSet.box(np.array([-3.0]), np.array([2.0])), np.array([-1.0])) == -3
    third = InputSet(np.zeros(1), np.ones(1), np.array([[3.0]]), np.array([-1.0]))
    assert oracle.minimum(absolute, third, np.array([1.0])) == Fraction(1, 3)


def test_polytope_cut_down_to_faces_keeps_exactly_its_vertices() -> None:
    """Opposite half-spaces leave a face, through vertices as well; past it nothing is left."""
    cube = oracle.Polytope.of(InputSet.box(np.zeros(3), np.ones(3)))
    plane = cube.cut([2, 2, 2, -3]).cut([-2, -2, -2, 3])  # x1 + x2 + x3 = 3/2: a regular hexagon
    assert len(plane.vertices) == 6
    diagonal = cube.cut([1, -1, 0, 0]).cut([-1, 1, 0, 0])  # x1 = x2: a rectangle
    assert sorted(diagonal.points()) == [[a, a, b] for a in (0, 1) for b in (0, 1)]
    corner = cube.cut([1, 1, 1, -3])
    assert corner.points() == [[1, 1, 1]] and not corner.cut([-1, 0, 0, 0]).vertices


def test_a_fixed_input_and_an_empty_region() -> None:
    """An input with lower == upper is flat, not empty; contradicting half-spaces leave nothing."""
    network = sequential([np.array([[1.0, 2.0]])], [np.zeros(1)], last="relu")
    flat = InputSet.box(np.array([0.5, -1.0]), np.array([0.5, 1.0]))
    assert oracle.minimum(network, flat, np.array([-1.0])) == Fraction(-5, 2)
    rows, offsets = np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([-0.75, 0.25])
    empty = InputSet(np.zeros(2), np.ones(2), rows, offsets)
    assert oracle.minimum(network, empty, np.array([1.0])) is None
    forbidden = (Polyhedron(np.zeros((0, 1)), np.zeros(0)),)
    assert oracle.decide(network, Case(empty, forbidden)) == ("unsat", None)
    assert oracle.decide(network, Case(flat, forbidden))[0] == "sat"


def test_equality_is_sat_and_one_ulp_above_is_not() -> None:
    """The forbidden set is closed: touched at one point it is reached, and an ulp decides."""
    network = sequential([np.array([[1.0], [-1.0]]), np.ones((1, 2))], [np.zeros(2), np.zeros(1)])
    region = InputSet.box(np.array([0.1]), np.array([1.0]))
    for rhs, expected in ((0.1, "sat"), (np.nextafter(0.1, 0), "unsat"), (np.nextafter(0.1, 1), "sat")):
        verdict, _ = oracle.decide(network, Case(region, (Polyhedron(np.ones((1, 1)), np.array([rhs])),)))
        assert verdict == expected


def test_smooth_activations_are_refused() -> None:
    """A sigmoid has no patterns to enumerate; the oracle says so."""
    network = sequential([np.ones((1, 1))], [np.zeros(1)], last="sigmoid")
    with pytest.raises(ValueError, match="sigmoid"):
        oracle.minimum(network, InputSet.box(np.zeros(1), np.ones(1)), np.ones(1))


def margins_at(instance: Instance, case: Case, x: list[Fraction]) -> list[list[Fraction]]:
    """Per forbidden polyhedron the exact margins C y - d at x."""
    y = oracle.exact_values(instance.network, x)[-1] + (list(x) if instance.prop.joint else [])
    return [
        [oracle.exact_dot(row, y) - Fraction(float(d)) for row, d in zip(p.rows, p.rhs, strict=True)]
        for p in case.forbidden
    ]  # fmt: skip


@pytest.mark.parametrize("chunk", range(4))
def test_decisions_worst_margins_and_witnesses_agree(chunk: int) -> None:
    """`decide` (half-spaces) and `worst_margin` (largest margins) agree; witnesses check out exactly."""
    for seed in range(50 * chunk, 50 * chunk + 50):
        instance = random_instance(seed)
        verdicts = set()
        for case in instance.prop.cases:
            verdict, witness = oracle.decide(instance.network, case, instance.prop.joint)
            verdicts.add(verdict)
            found = oracle.worst_margin(instance.network, case, instance.prop.joint)
            assert found is not None and (verdict == "sat") == (found[0] <= 0), str(instance)
            assert min(max(m) for m in margins_at(instance, case, found[1])) == found[0], str(instance)
            if witness is not None:
                assert any(max(m) <= 0 for m in margins_at(instance, case, witness)), str(instance)
                region = case.region
                assert all(
                    low <= x <= high for low, x, high in zip(region.lower, witness, region.upper, strict=True)
                )
                for row, h in zip(region.rows, region.offsets, strict=True):
                    assert (
                        sum(Fraction(float(g)) * x for g, x in zip(row, witness, strict=True))
                        + Fraction(float(h))
                        >= 0
                    )
            for x in random_points(np.random.default_rng(seed), case.region, 50):
                margins = margins_at(instance, case, [Fraction(float(a)) for a in x])
                assert min(map(max, margins)) >= found[0], str(instance)
        assert ("sat" in verdicts) == (instance.truth == "sat"), str(instance)


def test_exact_values_equal_the_network() -> None:
    """Exact evaluation agrees with float64 evaluation, residual edges and identity layers included."""
    for seed in range(50):
        rng = np.random.default_rng(seed)
        network = random_network(rng)
        x = rng.normal(size=network.input_size)
        exact = [float(v) for v in oracle.exact_values(network, [float(a) for a in x])[-1]]
        assert exact == pytest.approx(list(network.evaluate(x)), abs=1e-9), f"seed {seed}"


def test_instances_come_in_comparable_shares_and_repeat() -> None:
    """All kinds are frequent and have the margin they promise, regions and cases vary, seeds repeat."""
    instances = [random_instance(seed) for seed in range(300)]
    kinds = Counter(i.kind for i in instances)
    assert min(kinds[k] for k in KINDS) >= 30, kinds
    for i in instances:
        size, touching = abs(i.worst), i.kind == "touching"
        assert (i.truth == "unsat") == i.kind.endswith("unsat"), str(i)
        assert (
            size == 0
            if touching
            else size >= Fraction(1, 9)
            if i.kind.startswith("clear")
            else 2**-21 < size < 2**-19
        )
    assert {len(i.prop.cases) for i in instances} == {1, 2}
    assert {len(c.forbidden) for i in instances for c in i.prop.cases} == {1, 2, 3}
    assert {len(c.region.rows) for i in instances for c in i.prop.cases} >= {0, 1, 2, 3}
    assert any(i.prop.joint for i in instances)
    layers = [layer for i in instances for layer in i.network.layers]
    assert any(len(layer.sources) > 1 for layer in layers)
    assert any(i.network.layers[-1].kind == "relu" for i in instances)
    again = random_instance(7)
    assert again.worst == instances[7].worst and str(again) == str(instances[7])
