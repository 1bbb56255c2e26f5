"""Verdicts on networks with products, held against dense grids and rational arithmetic."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
import pytest
from product_networks import FORMS, corners, exact_values, question, random_model, random_network

from hypersplit.bab.verify import verify
from hypersplit.encodings.linear.linear_bounds import LinearBoundOptions, bound
from hypersplit.encodings.slopes.optimised_bounds import optimise
from hypersplit.instances.batch import Batch, root
from hypersplit.instances.network import Array, Network
from hypersplit.instances.property import Case, InputSet, Polyhedron, Property


def box_around(rng: np.random.Generator, reach: float, width: float) -> InputSet:
    """A box of four inputs, one of them a single number now and then."""
    middle = reach * rng.normal(size=4)
    radius = reach * width * rng.random(4) * (rng.random(4) < 0.9)
    return InputSet.box(middle - radius, middle + radius)


@pytest.mark.parametrize("form", FORMS)
def test_bounds_are_never_beaten_by_a_grid(form: str) -> None:
    """Margins and every pre-activation, plain and with optimised slopes, inherited and anew, for boxes of all sizes."""
    for seed in range(8):
        rng = np.random.default_rng(seed)
        region = box_around(rng, 10.0 ** rng.integers(-3, 4), 10.0 ** rng.integers(-2, 1))
        query = question(random_network(form, seed), region)
        batch, points = root(query), corners(region, 5)
        values, pre = query.network.values(points)
        bounds = bound(query, batch)
        hidden = np.concatenate(pre[:-1], axis=1)
        slack = 1e-12 * (1.0 + np.abs(hidden).max(axis=0))
        assert (hidden >= bounds.pre_lower - slack).all() and (hidden <= bounds.pre_upper + slack).all(), seed
        again = Batch(**{**vars(batch), "pre_lower": bounds.pre_lower, "pre_upper": bounds.pre_upper})
        inherited = bound(query, again, LinearBoundOptions(hidden=False))
        least = values[-1].min() + 1e-12 * np.abs(values[-1]).max()
        for found in (bounds, inherited, optimise(query, batch, bounds)):
            assert found.margins[0, 0] <= least, f"seed {seed}"


@pytest.mark.parametrize("scale", [1e3, 1e-3, 2.0**60, 2.0**-200])
@pytest.mark.parametrize("form", ["entries", "attention", "gram", "gemm", "three"])
def test_bounds_of_single_points_hold_exactly(form: str, scale: float) -> None:
    """On boxes of one point, or a rounding wide, the bound lies below the exact value of the network as it is read."""
    for seed in range(4):
        rng, network = np.random.default_rng(seed), random_network(form, seed)
        x = scale * rng.normal(size=4)
        region = InputSet.box(x, np.nextafter(x, np.inf) if seed % 2 else x)
        query = question(network, region)
        if any(layer.roundings or layer.bias_error for layer in query.network.layers):
            continue
        least = bound(query, root(query)).margins[0, 0]
        for point in (region.lower, region.upper):
            assert Fraction(float(least)) <= exact_values(query.network, point)[-1][0], f"seed {seed}"


def asked(network: Network, region: InputSet, threshold: float) -> Property:
    """Whether the output may be at most the threshold."""
    case = Case(region, (Polyhedron(np.array([[1.0]]), np.array([threshold])),))
    return Property((case,), network.input_size, 1)


def least_of(network: Network, region: InputSet) -> tuple[float, Array]:
    """The least value of a dense grid, and all values."""
    values = network.evaluate(corners(region, 15))[:, 0]
    return float(values.min()), values


@pytest.mark.parametrize("method", ["auto", "milp"])
@pytest.mark.parametrize("form", FORMS)
def test_verdicts_are_those_of_a_grid(form: str, method: str, tmp_path: Path) -> None:
    """A little below the least value of a grid nothing is left, a little above there is a counterexample."""
    for seed in (0, 1) if method == "auto" else (2,):
        onnx.save(random_model(form, seed), tmp_path / "a.onnx")
        network, region = random_network(form, seed), box_around(np.random.default_rng(seed), 0.5, 0.6)
        least, values = least_of(network, region)
        slack = 0.05 * (1e-3 + float(np.ptp(values)))
        for threshold, verdict in ((least + slack, "sat"), (least - slack, "unsat")):
            found = verify(tmp_path / "a.onnx", asked(network, region, threshold), timeout=60, method=method)
            assert found.verdict == verdict, f"seed {seed}: {found.reason}"
