"""Rows of an LP around the products among its squares: the four planes of each (`relaxations/mccormick.py`).

    y_s - y_d - plus z_s - minus z_d >= least,    ... <= most,

over the columns of two squares. The columns stay, the numbers are those of the node at hand.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...instances.batch import Node
from ...instances.network import Array
from ...instances.products import Products, products_of
from ...instances.query import Query
from ...instances.sparse import sp
from ..relaxations.mccormick import hull_planes
from ..relaxations.paired_squares import factor_box
from .safe_lp import Block, SafeLP

__all__ = ["ProductRows"]

Index = NDArray[np.intp]


class ProductRows:
    """The rows of those products whose squares have columns."""

    def __init__(self, query: Query) -> None:
        self.query, self.products = query, products_of(query.network)
        self.blocks: list[tuple[Block, Products]] = []  # four rows a product, one product after another
        self.there = {k: np.zeros(len(products), dtype=bool) for k, products in self.products.items()}

    def add(self, k: int, lp: SafeLP, first: Array, second: Array) -> None:
        """Rows of layer k's products, of which there are none yet; `set_node` fills in the numbers.

        first, second: [neurons] columns of z and of its square, -1 where there are none.
        """
        if k not in self.products:
            return
        products, start = self.products[k], self.query.slices[k - 1].start
        plus, minus = start + products.plus, start + products.minus
        chosen = np.flatnonzero((first[plus] >= 0) & (first[minus] >= 0) & ~self.there[k])
        if not len(chosen):
            return
        self.there[k][chosen] = True
        plus, minus, count = plus[chosen], minus[chosen], 4 * len(chosen)
        columns = np.column_stack([first[plus], first[minus], second[plus], second[minus]]).repeat(4, axis=0)
        entries = np.tile([1.0, 1.0, 1.0, -1.0], count)
        rows = sp.csr_array((entries, columns.reshape(-1), 4 * np.arange(count + 1)), (count, lp.columns))
        block = lp.add_rows(rows, np.full(count, -np.inf), np.full(count, np.inf))
        self.blocks.append((block, products[chosen]))

    def set_node(self, lp: SafeLP, node: Node) -> None:
        """The planes of the node."""
        ends = (node.lower[None], node.upper[None], node.pre_lower[None], node.pre_upper[None])
        for block, products in self.blocks:
            below, above = hull_planes(factor_box(self.query, products, *ends))
            plus, minus, side = (
                np.concatenate(columns).T.reshape(-1) for columns in zip(*below, *above, strict=True)
            )
            rows = np.arange(len(plus))
            block.set_coefficients(lp, rows, 0, -plus)
            block.set_coefficients(lp, rows, 1, -minus)
            low = rows % 4 < 2
            lp.set_sides(block.first + rows, np.where(low, side, -np.inf), np.where(low, np.inf, side))
