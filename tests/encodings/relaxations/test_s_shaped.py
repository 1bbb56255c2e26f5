"""Lines of sigmoid and tanh against those of the same curves' envelopes."""

from __future__ import annotations

import numpy as np
import pytest

from hypersplit.encodings.relaxations.envelopes import supports
from hypersplit.encodings.relaxations.s_shaped import s_shaped


@pytest.mark.parametrize("kind", ["sigmoid", "tanh"])
def test_no_pair_of_lines_has_less_area_than_the_envelopes(kind: str) -> None:
    """The heights in the middle, and so the areas, are at least those of lines that touch the hull there."""
    lower, upper = np.sort(np.random.default_rng(0).uniform(-4.0, 4.0, (2, 300)), axis=0)
    middle = 0.5 * (lower + upper)
    ours, best = s_shaped(kind, lower, upper), supports(kind, lower, upper, middle)
    above = (ours.upper_slope - best.upper_slope) * middle + ours.upper_intercept - best.upper_intercept
    below = (best.lower_slope - ours.lower_slope) * middle + best.lower_intercept - ours.lower_intercept
    assert (above >= -1e-7).all() and (below >= -1e-7).all()
    single = (lower >= 0.0) | (upper <= 0.0)
    assert single.any() and np.allclose(above[single], 0.0, atol=1e-9)
