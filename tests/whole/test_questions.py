"""Built properties: what they forbid, and what is said of numbers that do not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hypersplit import InputSet, Property, PropertyError

SQUARE = ([0, 0], [1, 1])


def test_robustness_forbids_ties() -> None:
    """Forbidden is every output at which another one is as large as the label, in the ball and the valid range."""
    prop = Property.robustness([[0.5, 0.25]], 0.5, label=1, lower=0.0, upper=[[0.75, 1.0]]).about(2, 3)
    (case,) = prop.cases
    for y in np.random.default_rng(5).integers(0, 3, size=(60, 3)):
        assert any(p.contains(y) for p in case.forbidden) == (max(y[0], y[2]) >= y[1])
    assert np.all(case.region.lower == 0.0)
    np.testing.assert_allclose(case.region.upper, [0.75, 0.75])


@pytest.mark.parametrize("norm", [1, 2])
def test_robustness_in_other_norms(norm: int) -> None:
    """The input set is the ball of that norm."""
    region = Property.robustness([0.0, 0.0], 1.0, 0, norm=norm).region
    assert region.contains(np.array([0.4, 0.4])) and not region.contains(np.array([0.8, 0.8]))


def test_output_range_and_reach_are_opposites() -> None:
    """Every output lies in the range or is forbidden, its ends are allowed; reach forbids what range allows."""
    asked = ([-1.0, -np.inf], [1.0, 2.0])
    (allowed,) = Property.output_range(*asked, SQUARE).about(2, 2).cases
    (reached,) = Property.reach(*asked, InputSet.box([0, 0], [1, 1])).about(2, 2).cases
    for y in np.random.default_rng(6).integers(-3, 4, size=(80, 2)):
        inside = -1 <= y[0] <= 1 and y[1] <= 2
        assert any(p.contains(y) for p in allowed.forbidden) == (not inside)
        assert any(p.contains(y) for p in reached.forbidden) == inside


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Property.robustness([0.0], -1.0, 0), "radius -1.0"),
        (lambda: Property.robustness([0.0], 1.0, 0, norm=3), "norm 3"),
        (lambda: Property.robustness([0.0], 1.0, -1), "label"),
        (lambda: Property.robustness([0.0, np.nan], 1.0, 0), "nan at"),
        (lambda: Property.robustness([[0.0], [0.0, 1.0]], 1.0, 0), "different lengths"),
        (lambda: Property.robustness([0.0, 0.0], 1.0, 0, lower=[0.0]), r"lower: shape \(1,\), expected a number or"),
        (lambda: Property.robustness([0.0, 0.0], 1.0, 0, lower=5.0), "exceeds"),
        (lambda: Property.robustness([0.0, 0.0], 1.0, 3).about(2, 3), "the network has 3, counted from 0"),
        (lambda: Property.robustness([0.0, 0.0], 1.0, 0).about(2, 1), "the network has 1"),
        (lambda: Property.output_range(0, 1, [0, 1, 2]), "pair"),
        (lambda: Property.output_range(0, 1, ([0, 0], [1])), r"lower of shape \(2,\), upper of shape \(1,\)"),
        (lambda: Property.output_range([0, 0], 1, SQUARE).about(2, 3), r"shape \(2,\), expected a number or shape"),
        (lambda: Property.reach(2, 1, SQUARE).about(2, 1), "exceeds"),
        (lambda: Property.reach("low", 1, SQUARE).about(2, 1), "expected numbers"),
        (lambda: Property.reach(0, 1, SQUARE).about(3, 1), "the network has 3 inputs"),
    ],
)
def test_faults_are_told(build: Any, message: str) -> None:
    """Each wrong number or shape is named, by its argument."""
    with pytest.raises(PropertyError, match=message):
        build()
