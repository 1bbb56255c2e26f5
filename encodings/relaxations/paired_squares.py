"""Products in back-substitution: coefficients c of y_s and -c of y_d are c times a product, with a plane of its own.

Of the two lines that the squares have and the McCormick plane that the product has, each node and pair takes what is
higher over the middle of the factors' box (lower for planes above). For independent factors of widths w_a, w_b the
plane is w_a w_b / 4 off there and the squares' lines (w_a + w_b)^2 / 16, which is never less; squares win where a + b
or a - b varies less than a and b themselves.

A pair takes part with coefficients of opposite signs that differ by a factor of 2 at most: then what is left over is an
exact difference (Sterbenz, *Floating-point computation*, 1974), which goes the way of the squares.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...instances.network import Array, value_range
from ...instances.products import Products
from ...instances.query import Query
from ...instances.rounding import gamma
from .lines import Lines
from .mccormick import Box, Planes, lower_planes, product_range, upper_planes

__all__ = ["PairedSquares", "as_read", "factor_box"]


def factor_box(
    query: Query, products: Products, lower: Array, upper: Array, pre_lower: Array, pre_upper: Array
) -> Box:
    """Bounds [B, Q] of the factors, from those of inputs [B, inputs] and pre-activations [B, neurons]."""
    ends: list[Array] = []
    for values, entries in (products.left, products.right):
        low, high = np.empty((len(lower), len(products))), np.empty((len(lower), len(products)))
        for v in np.unique(values).tolist():
            mine = np.flatnonzero(values == v)
            if v == 0:
                low[:, mine], high[:, mine] = lower[:, entries[mine]], upper[:, entries[mine]]
                continue
            columns = query.slices[v - 1].start + entries[mine]
            low[:, mine], high[:, mine] = value_range(query.kinds[v - 1], pre_lower[:, columns], pre_upper[:, columns])
        ends += [low, high]
    return Box(*ends)


def as_read(products: Products, box: Box, lower: Array, upper: Array) -> tuple[Array, Array]:
    """Bounds [B, n] of a layer's values as whoever reads them may take them: of a product in place of y_s, 0 in place
    of y_d, where nobody reads them but by their difference.

    lower, upper: [B, n] bounds of the values.
    """
    chosen = np.flatnonzero(products.opposite)
    plus, minus = products.plus[chosen], products.minus[chosen]
    low, high = (a[:, chosen] for a in product_range(box))
    slack = gamma(1) * (np.abs(upper[:, plus]) + np.abs(upper[:, minus]))
    low = np.fmax(low, lower[:, plus] - upper[:, minus] - slack)
    high = np.fmin(high, upper[:, plus] - lower[:, minus] + slack)
    below, above = lower.copy(), upper.copy()
    below[:, plus], above[:, plus], below[:, minus], above[:, minus] = low, high, 0.0, 0.0
    return below, above


@dataclass(frozen=True, eq=False)
class PairedSquares:
    """Planes of one layer's products on B nodes, [B, Q] each, all 0 where a node's pair keeps the squares' lines."""

    products: Products
    below: Planes
    above: Planes
    by_below: Array  # [B, Q] bool: whether the plane is taken
    by_above: Array

    @staticmethod
    def of(products: Products, box: Box, line: Lines) -> PairedSquares:
        """line: the squares' own, [B, n]."""
        middle_a, middle_b = (0.5 * low + 0.5 * high for low, high in (box[:2], box[2:]))
        at = 0.5 * middle_a + 0.5 * middle_b, 0.5 * middle_a - 0.5 * middle_b
        plus, minus = products.plus, products.minus
        low = line.lower_slope[:, plus] * at[0] + line.lower_intercept[:, plus]
        low -= line.upper_slope[:, minus] * at[1] + line.upper_intercept[:, minus]
        high = line.upper_slope[:, plus] * at[0] + line.upper_intercept[:, plus]
        high -= line.lower_slope[:, minus] * at[1] + line.lower_intercept[:, minus]
        below, above = lower_planes(box), upper_planes(box)
        by_below = below.plus * at[0] + below.minus * at[1] + below.intercept > low
        by_above = above.plus * at[0] + above.minus * at[1] + above.intercept < high
        below, above = (
            Planes(*(np.where(by, a, 0.0) for a in planes)) for planes, by in ((below, by_below), (above, by_above))
        )
        return PairedSquares(products, below, above, by_below, by_above)

    def __getitem__(self, index: Array) -> PairedSquares:
        """Nodes `index` (bool mask or int array)."""
        below, above = (Planes(*(a[index] for a in planes)) for planes in (self.below, self.above))
        return PairedSquares(self.products, below, above, self.by_below[index], self.by_above[index])

    def taken(self, coefficients: Array) -> tuple[Array, Array]:
        """(coefficients [B, S, n] of the values that are left, share [B, S, Q] of each product), exactly.

        coefficients: [B, S, n], or [1, S, n] for all nodes.
        """
        plus, minus = coefficients[:, :, self.products.plus], coefficients[:, :, self.products.minus]
        one, two = np.abs(plus), np.abs(minus)
        share = np.where(one <= two, plus, -minus)
        near = ((plus > 0.0) == (minus < 0.0)) & (one <= 2.0 * two) & (two <= 2.0 * one)
        by = np.where(share > 0.0, self.by_below[:, None], self.by_above[:, None])
        share = np.where(near & by, share, 0.0)
        left = np.broadcast_to(coefficients, (len(share), *coefficients.shape[1:])).copy()
        left[:, :, self.products.plus] -= share
        left[:, :, self.products.minus] += share
        return left, share

    def moved(self, share: Array) -> tuple[Array, Array, Array]:
        """Coefficients [B, S, Q] of z_s, of z_d, and constants [B, S], below the products times their shares."""
        positive = share > 0.0
        plus, minus = (
            share * np.where(positive, low[:, None], high[:, None])
            for low, high in zip(self.below[:2], self.above[:2], strict=True)
        )
        constants = np.matmul(np.maximum(share, 0.0), self.below.intercept[:, :, None])[:, :, 0]
        constants += np.matmul(np.minimum(share, 0.0), self.above.intercept[:, :, None])[:, :, 0]
        return plus, minus, constants

    @property
    def reach(self) -> Array:
        """[B, Q] the largest intercepts."""
        return np.maximum(np.abs(self.below.intercept), np.abs(self.above.intercept))
