"""Rows behind a half-space: at most their exact minima, nearly these, and the same by both twins."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from hypersplit.encodings.slopes.rows_behind import bounds_behind
from hypersplit.instances.network import Array, Layer


def exact_minimum(w: Array, lower: Array, upper: Array, normal: Array, offset: float) -> Fraction | None:
    """Of w'x over the box and normal'x + offset >= 0, by the dual's kinks; None where nothing is left."""
    low, high = ([Fraction(x) for x in end.tolist()] for end in (lower, upper))
    g, h = [Fraction(x) for x in normal.tolist()], Fraction(offset)
    if sum(max(a * b, a * c) for a, b, c in zip(g, low, high, strict=True)) + h < 0:
        return None
    v = [Fraction(x) for x in w.tolist()]
    kinks = [Fraction(0), *(a / b for a, b in zip(v, g, strict=True) if b and a / b > 0)]
    return max(
        sum(min((a - beta * b) * x, (a - beta * b) * y) for a, b, x, y in zip(v, g, low, high, strict=True)) - beta * h
        for beta in kinks
    )


def drawn(seed: int, scale: float, count: int = 5, inputs: int = 9) -> tuple[Layer, Array, Array, Array, float]:
    """A layer, a box, and a half-space that cuts off some share of it, or all of it."""
    rng = np.random.default_rng(seed)
    w, bias = scale * rng.normal(size=(count, inputs)), rng.normal(size=count)
    lower = rng.normal(size=inputs)
    upper = lower + rng.uniform(0.0, 2.0, inputs) * (rng.random(inputs) < 0.9)
    normal = rng.normal(size=inputs) * rng.choice([1.0, 1e-6, 1e6])
    top = np.maximum(normal * lower, normal * upper).sum()
    width = np.abs(normal) @ (upper - lower)
    return Layer((0,), (w,), bias, "relu"), lower, upper, normal, float(-top + rng.uniform(-0.05, 1.0) * width)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e6])
def test_bounds_are_true_and_near(scale: float, compiled: bool) -> None:
    """Never beyond the exact extremes; where something is left within a tenth of what the half-space wins."""
    far = 0
    for seed in range(40):
        layer, lower, upper, normal, offset = drawn(seed, scale)
        rows = np.array([4, 0, 2])
        low, high = bounds_behind(layer.weights[0], rows, layer.bias, (lower, upper), normal, offset, compiled=compiled)
        w, bias = layer.weights[0], layer.bias
        for i, r in enumerate(rows.tolist()):
            least = exact_minimum(w[r], lower, upper, normal, offset)
            most = exact_minimum(-w[r], lower, upper, normal, offset)
            if least is None or most is None:
                continue
            exact = least + Fraction(float(bias[r])), Fraction(float(bias[r])) - most
            assert Fraction(float(low[i])) <= exact[0] <= exact[1] <= Fraction(float(high[i]))
            plain = bounds_behind(w, rows[[i]], bias, (lower, upper), np.zeros_like(normal), 0.0, compiled=compiled)
            won = float(exact[0]) - plain[0][0] + plain[1][0] - float(exact[1])
            far += float(exact[0]) - low[i] + high[i] - float(exact[1]) > 0.1 * won + 1e-9 * max(scale, 1.0)
    assert far <= 4


def test_the_twins_agree() -> None:
    """They follow the same steps, in sums of another order."""
    for seed in range(20):
        layer, lower, upper, normal, offset = drawn(seed, 1.0, inputs=40)
        given = layer.weights[0], np.arange(layer.size), layer.bias, (lower, upper), normal, offset
        ends = [bounds_behind(*given, compiled=way) for way in (False, True)]
        np.testing.assert_allclose(ends[0], ends[1], atol=1e-3 * np.abs(ends[0]).max())


def test_numbers_that_are_none() -> None:
    """A half-space of NaN or infinite numbers proves nothing."""
    layer, lower, upper, normal, offset = drawn(3, 1.0)
    w, bias = layer.weights[0], layer.bias
    values = w @ np.stack([lower, upper], axis=1) + bias[:, None]
    for compiled in (False, True):
        for bad in (np.nan, np.inf, -np.inf):
            normal[0] = bad
            low, high = bounds_behind(w, np.arange(len(w)), bias, (lower, upper), normal, offset, compiled=compiled)
            assert (low[:, None] <= values + 1e-9).all() and (values <= high[:, None] + 1e-9).all()


def test_a_half_space_that_misses_the_box() -> None:
    """Bounds that cross, or any others: there is nothing to be wrong about."""
    layer, lower, upper, normal, _ = drawn(5, 1.0)
    offset = float(-np.maximum(normal * lower, normal * upper).sum() - 10.0 * np.abs(normal).sum())
    low, high = bounds_behind(layer.weights[0], np.arange(5), layer.bias, (lower, upper), normal, offset)
    assert not np.isnan(low).any() and not np.isnan(high).any()
