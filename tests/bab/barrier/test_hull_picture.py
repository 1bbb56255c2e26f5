"""Hulls of nonlinearities: they hold the graph, they are convex, and they touch it at the ends."""

from __future__ import annotations

import numpy as np
import pytest

from hypersplit.bab.barrier.hull_picture import CURVES, draw_hulls, envelope, max_ceiling


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_envelopes(name: str, sign: float) -> None:
    """The envelope lies on one side of all points, bends one way, and begins and ends with the graph."""
    f, low, high = CURVES[name]
    z = np.linspace(low, high, 101)
    corners = envelope(np.stack([z, f(z)], axis=1), sign)
    slopes = np.diff(corners[:, 1]) / np.diff(corners[:, 0])
    assert (sign * np.diff(slopes) > 0.0).all()
    assert (sign * (f(z) - np.interp(z, *corners.T)) >= -1e-12).all()
    assert [[low, f(z[:1])[0]], [high, f(z[-1:])[0]]] == corners[[0, -1]].tolist()


def test_the_triangle_of_a_relu() -> None:
    """Below ReLU itself, above the chord."""
    z = np.array([-1.0, -0.5, 0.0, 1.0, 3.0])
    points = np.stack([z, np.maximum(z, 0.0)], axis=1)
    assert [[-1.0, 0.0], [0.0, 0.0], [3.0, 3.0]] == envelope(points, 1.0).tolist()
    assert [[-1.0, 0.0], [3.0, 3.0]] == envelope(points, -1.0).tolist()


@pytest.mark.parametrize("box", [((-1.0, 1.5), (-1.2, 1.0)), ((0.0, 3.0), (1.0, 2.0)), ((0.0, 1.0), (2.0, 3.0))])
def test_the_ceiling_of_a_maximum(box: tuple[tuple[float, float], tuple[float, float]]) -> None:
    """It equals max at corners, is nowhere below it, concave, and an average of corners: nothing less is concave."""
    rng = np.random.default_rng(0)
    (lx, ux), (ly, uy) = box
    corners = np.array([[x, y] for x in box[0] for y in box[1]])
    assert max_ceiling(*corners.T, box) == pytest.approx(corners.max(axis=1))
    a, b = (np.stack([rng.uniform(lx, ux, 500), rng.uniform(ly, uy, 500)], axis=1) for _ in range(2))
    at = [max_ceiling(*points.T, box) for points in (a, b, 0.5 * (a + b))]
    assert (at[0] >= a.max(axis=1) - 1e-12).all()
    assert (at[2] >= 0.5 * (at[0] + at[1]) - 1e-12).all()
    high = corners.max(axis=1)
    for point, value in zip(a[:20], at[0][:20], strict=True):
        best = max(
            weights @ high[list(chosen)]
            for chosen in ((0, 1, 2), (1, 2, 3), (0, 1, 3), (0, 2, 3))
            for weights in [np.linalg.solve(np.vstack([corners[list(chosen)].T, np.ones(3)]), [*point, 1.0])]
            if (weights >= -1e-12).all()
        )
        assert value == pytest.approx(best)


def test_the_figure() -> None:
    """A panel for each curve and one in space for the maximum."""
    pytest.importorskip("matplotlib")
    titles = [axes.get_title() for axes in draw_hulls().axes]
    assert [*CURVES, "max(x, y)"] == titles
