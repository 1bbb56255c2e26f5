"""Big-M: exact with its binary, the triangle without."""

from __future__ import annotations

import numpy as np
import pytest
from single_relus import extreme, neuron

from hypersplit.encodings.milp.big_m import BigM


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_with_a_binary_it_is_the_relu_and_without_the_triangle(scale: float) -> None:
    """Least and largest y at several z: max(0, z), and u (z - l) / (u - l) once the switch is continuous."""
    rng = np.random.default_rng(1)
    query, node = neuron(scale * rng.normal(size=3), 0.05 * scale, -np.ones(3), np.ones(3))
    low, high = node.pre_lower[0], node.pre_upper[0]
    for share in (0.05, 0.4, 0.6, 0.95):
        z = low + share * (high - low)
        for sign in (1.0, -1.0):
            assert extreme(query, node, BigM(), z, sign) == pytest.approx(max(z, 0.0), abs=1e-5 * scale)
        top = high * (z - low) / (high - low)
        for relaxed, integral in ((False, False), (True, True)):
            assert extreme(query, node, BigM(), z, -1.0, relaxed, integral) == pytest.approx(top, abs=1e-5 * scale)
            least = extreme(query, node, BigM(), z, 1.0, relaxed, integral)
            assert least == pytest.approx(max(z, 0.0), abs=1e-5 * scale)
