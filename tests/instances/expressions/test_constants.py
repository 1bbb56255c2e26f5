"""Arithmetic on constants keeps their relative errors, or refuses."""

from __future__ import annotations

import numpy as np
import pytest

from hypersplit.instances.errors import UnsupportedOperatorError
from hypersplit.instances.expressions.constants import added
from hypersplit.instances.expressions.node import Constant


@pytest.mark.parametrize("size", [1.0, 1e-200])
def test_rounded_numbers_of_opposite_sign_are_not_added(size: float) -> None:
    """Also where they are so small that their product underflows; exact ones are, and rounded ones of one sign."""
    a, b = Constant(np.array([size]), 1), Constant(np.array([-0.75 * size]), 0)
    with pytest.raises(UnsupportedOperatorError, match="difference"):
        added(a, b)
    assert added(a, Constant(-b.array)).roundings == 2
    assert added(Constant(a.array), b).array.tolist() == [0.25 * size]
