"""Numbers that overflow or vanish in float64 and float32: verdicts are right or `unknown`, and nothing is loud.

A ReLU network may have its hidden values multiplied by any powers of two, layer by layer, and stays the same function:
the oracle's truth about the unscaled instance is that of the scaled one.
"""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from random_instances import Instance, Shape, random_instance

from hypersplit.bab.run.result import Result
from hypersplit.bab.verify import verify
from hypersplit.encodings.linear import number_range
from hypersplit.heuristics.splits.rules import RULES
from hypersplit.instances.network import Network, sequential
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property

SMALL = Shape(most_inputs=3, most_hidden=3, most_width=3, most_relus=7)
EXPONENTS = (30, 60, 100, 250, 500)  # the first three leave proofs possible


def scaled(network: Network, exponents: list[int]) -> Network:
    """The same function: the values of hidden layer k are multiplied by 2**exponents[k - 1]."""
    powers, layers = [0, *exponents, 0], []
    for k, layer in enumerate(network.layers, start=1):
        weights = tuple(np.ldexp(w, powers[k] - powers[s]) for s, w in zip(layer.sources, layer.weights, strict=True))
        layers.append(replace(layer, weights=weights, bias=np.ldexp(layer.bias, powers[k])))
    return replace(network, layers=tuple(layers))


def scaled_instance(seed: int, exponent: int) -> tuple[Instance, Network]:
    """A random instance, and its network with hidden values scaled by 2**(+-exponent) or not at all."""
    instance = random_instance(seed, shape=SMALL)
    rng = np.random.default_rng([seed, exponent])
    exponents = [int(rng.choice([-exponent, 0, exponent])) for _ in instance.network.layers[:-1]]
    return instance, scaled(instance.network, exponents)


def quiet_verdict(network: Network, prop: Property, **options: object) -> Result:
    """`verify` where any warning is an error."""
    given: dict[str, object] = {"jobs": 1, "timeout": 1000.0, "nodes": 200, **options}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return verify(network, prop, **given)


@pytest.mark.parametrize("rule", RULES)
def test_scaled_networks_keep_their_verdict_by_every_rule(rule: str) -> None:
    """Right or `unknown`, without an exception or a warning."""
    for seed in range(5):
        for exponent in EXPONENTS:
            instance, network = scaled_instance(seed, exponent)
            result = quiet_verdict(network, instance.prop, method="split", rule=rule)
            assert result.verdict in (instance.truth, "unknown"), f"{instance}, 2^{exponent}, {result}"


@pytest.mark.parametrize("options", [{"method": "auto"}, {"method": "auto", "rows": "always"}, {"method": "milp"},
                                     {"method": "auto", "kernel": "compiled"}])  # fmt: skip
def test_scaled_networks_keep_their_verdict_by_every_method(options: dict[str, object]) -> None:
    """Right or `unknown`; SCIP is not asked about numbers that its tolerances are not made for."""
    for seed in range(100, 104):
        for exponent in EXPONENTS:
            instance, network = scaled_instance(seed, exponent)
            result = quiet_verdict(network, instance.prop, **options)
            assert result.verdict in (instance.truth, "unknown"), f"{instance}, 2^{exponent}, {result}"


def test_moderate_scales_are_decided() -> None:
    """Scaling by 2^30 costs no verdict on clear instances: the range for proofs is wide."""
    for seed in range(200, 210):
        instance = random_instance(seed, "clear-unsat", SMALL)
        exponents = [30 * (-1) ** k for k in range(len(instance.network.layers) - 1)]
        result = quiet_verdict(scaled(instance.network, exponents), instance.prop, nodes=4000)
        assert result.verdict == "unsat", f"{instance}, {result}"


@pytest.mark.parametrize("exponent", [250, 500])
def test_bounds_alone_close_nothing_wrongly(exponent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where overflow is let into the bounds, what is not finite closes no node, whatever the rule."""
    monkeypatch.setattr(number_range, "LARGEST", np.inf)
    for seed in range(300, 320):
        instance, network = scaled_instance(seed, exponent)
        for rule in ("inputs", "rows", "axes"):
            result = quiet_verdict(network, instance.prop, method="split", rule=rule, nodes=100)
            assert result.verdict in (instance.truth, "unknown"), f"{instance}, 2^{exponent}, {rule}, {result}"


@pytest.mark.parametrize(("weight", "count"), [(1e38, 9), (1e200, 2), (1e-38, 9), (1e-200, 2)])
@pytest.mark.parametrize("threshold", [0.5, 2.0])
def test_chains_that_overflow_are_never_closed_wrongly(weight: float, count: int, threshold: float) -> None:
    """The real network is relu(x) on [0, 1] up to rounding: y >= 0.5 is reached, so `unsat` would be wrong there."""
    weights = [np.array([[w]]) for w in [weight] * count + [1.0 / weight] * count]
    prop = reaches(threshold, 0.0, 1.0)
    result = quiet_verdict(sequential(weights, [np.zeros(1)] * len(weights)), prop)
    assert result.verdict in ("unknown", "sat" if threshold < 1.0 else "unsat")
    assert result.verdict != "unknown" or result.reason == number_range.BEYOND


@pytest.mark.parametrize("end", [1e300, 1.7e308])
def test_a_huge_box_is_searched_from_its_middle(end: float) -> None:
    """A witness near 0 is found although the box's width overflows."""
    prop = reaches(2.0, -end, end)
    assert quiet_verdict(sequential([np.eye(1), np.eye(1)], [np.zeros(1)] * 2), prop).verdict == "sat"
    low = Polyhedron(np.array([[-1.0], [1.0]]), np.array([-2.0, 3.0]))
    prop = Property((Case(prop.cases[0].region, (low,)),), 1, 1)
    assert quiet_verdict(sequential([np.eye(1), np.eye(1)], [np.zeros(1)] * 2), prop).verdict == "sat"


def reaches(threshold: float, lower: float, upper: float) -> Property:
    """Whether y >= threshold is reached on an interval."""
    region = InputSet.box(np.array([lower]), np.array([upper]))
    return Property((Case(region, (Polyhedron(np.array([[-1.0]]), np.array([-threshold])),)),), 1, 1)
