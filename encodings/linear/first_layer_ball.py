"""Minima over a box of functions of the first layer's pre-activations, for wide inputs.

With z_1 = W x + b and the box |x - m| <= r,
    min a'z_1 + c = a'(W m + b) + c - sum_j |a'W|_j r_j.
Nearly all the work of bounding a hidden neuron of a reduced network is the last product: hundreds of inputs against
some dozens of neurons. Only the sum needs it, and a sum of absolute values does not cancel, so float32 is good enough:
it is off by at most gamma32(n_1) |a|'(|W| r) in the product and by gamma32(n_0) of itself in the sum, a ten-thousandth
of the box's share. The rest stays in float64.
"""

from __future__ import annotations

import numpy as np

from ...instances.network import Array, Layer, Matrix
from ...instances.rounding import LAST_ROUNDINGS, ROUND_UP, SMALLEST_32, UP, gamma, gamma_32
from ...instances.sparse import sp
from .bounds import at_least, middle_and_radius

__all__ = ["Ball"]

DENSE = 0.04  # share of nonzeros from which a dense float32 product beats a sparse one
CHUNK = 2**20  # float32s of products at a time: they fit the caches


class Ball:
    """A box |x - m| <= r in the first layer's terms."""

    def __init__(self, layer: Layer, lower: Array, upper: Array) -> None:
        self.lower, self.upper = lower, upper
        middle, _ = middle_and_radius(lower, upper)
        radius = np.maximum(upper - middle, middle - lower) * ROUND_UP
        w = layer.weights[0]
        self.middle = w @ middle + layer.bias  # [n_1]
        # [n_1] what |a| is multiplied by: float32's error in the products, float64's in the middle
        magnitude = abs(w) @ np.abs(middle) + np.abs(layer.bias)
        self.rounding = gamma_32(w.shape[0] + 4) * (abs(w) @ radius) + gamma(w.shape[0] + w.shape[1]) * magnitude
        self.rounding += 2.0 * w.shape[1] * SMALLEST_32  # of W r, entries below float32's smallest
        self.rounding *= UP
        # of the coefficients and of the products, the same; |a| takes no part in it
        self.underflow = 2.0 * SMALLEST_32 * (float((abs(w) @ radius).sum()) + w.shape[0] * w.shape[1])
        if not isinstance(w, np.ndarray) and w.nnz >= DENSE * w.shape[0] * w.shape[1]:
            w = w.toarray()
        self.radius = radius
        self.scaled: Matrix = (  # W r; transposed where it is sparse
            np.ascontiguousarray(w * radius[None, :], np.float32) if isinstance(w, np.ndarray)
            else sp.csr_array(w.multiply(radius[None, :]).T, dtype=np.float32)
        )  # fmt: skip
        self.size, self.inputs = w.shape
        self.spread_error = gamma_32(self.inputs)  # relative, of the float32 sum over the inputs

    def of(self, lower: Array, upper: Array) -> bool:
        """Whether this is that box."""
        return np.array_equal(lower, self.lower) and np.array_equal(upper, self.upper)

    def minimum(self, coefficients: Array, constants: Array, error: Array) -> Array:
        """Rigorous minima [B, S] of coefficients @ z_1 + constants - error. coefficients: [B, S, n_1]."""
        flat = coefficients.reshape(-1, self.size)
        step = max(1, CHUNK // self.inputs)
        sums = np.concatenate([self._spread(flat[i : i + step]) for i in range(0, len(flat), step)])
        spread = sums.reshape(constants.shape) * (1.0 + self.spread_error) + self.underflow
        spread += np.abs(coefficients) @ self.rounding
        value = coefficients @ self.middle + constants
        return at_least(value - spread - error - LAST_ROUNDINGS * (np.abs(constants) + spread))

    def _spread(self, flat: Array) -> Array:
        """[S] sum_j |a'W|_j r_j in float32."""
        single = flat.astype(np.float32)
        dense = isinstance(self.scaled, np.ndarray)
        products = single @ self.scaled if dense else (self.scaled @ single.T).T
        return np.abs(products, out=products).sum(axis=1, dtype=np.float32).astype(np.float64)
