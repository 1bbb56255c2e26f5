"""Distinct integers are those of `numpy.unique`."""

from __future__ import annotations

import numpy as np

from hypersplit.instances.distinct import distinct


def test_it_is_what_numpy_finds() -> None:
    """In order and once each, of any integers, of none and of one."""
    rng = np.random.default_rng(0)
    for size in (0, 1, 2, 50):
        values = rng.integers(-5, 6, size)
        assert distinct(values).tolist() == np.unique(values).tolist()
