"""Networks evaluated with a guarantee: in float64 with a rigorous error, and exactly in scaled integers.

Float64: with gamma_k = k u / (1 - k u), u = 2^-53, a sum of k products computed in any order errs by at most
gamma_k |w|'|x| (Higham, "Accuracy and Stability of Numerical Algorithms", sec. 3.1); ReLU and tanh pass an
error on unchanged, the logistic function a quarter of it; another curve has its range around the argument.

Exactly: every float64 is an integer times a power of two, so a network of ReLUs and functions that jump maps such
numbers to such numbers; vectors are Python integers with one exponent in common, which needs no greatest common
divisors as Fractions would.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..curves.names import curve
from ..curves.pieces import exact_value, has_pieces
from ..network import Array, Layer, Matrix, Network, activate, curved, value_range
from ..rounding import ELEMENTARY, FEW_ROUNDINGS, ROUND_UP, SMALLEST, UNIT

__all__ = ["MAX_EXACT_WEIGHTS", "enclose", "exact_output", "scaled"]

MAX_EXACT_WEIGHTS = 20_000  # entries of all weight matrices; about a tenth of a second

_Scaled = tuple[NDArray[Any], int]  # Python integers v and an exponent e: the numbers v * 2**-e


@np.errstate(over="ignore", invalid="ignore")  # an infinite radius encloses everything
def enclose(network: Network, x: Array) -> tuple[Array, Array]:
    """(y, radius), each [output_size]: |f(x) - y| <= radius for the real-valued f. x: [input_size].

    Infinite radii where a function may not be defined.
    """
    values, radii = [np.asarray(x, dtype=np.float64)], [np.zeros(network.input_size)]
    defined = True
    for layer in network.layers:
        z, terms = layer.bias.copy(), len(layer.sources) + 2
        size, carried = np.abs(layer.bias), np.zeros(layer.size)
        for s, w in zip(layer.sources, layer.weights, strict=True):
            absolute = abs(w)
            z += w @ values[s]
            size += absolute @ (np.abs(values[s]) + radii[s])
            carried += absolute @ radii[s]
            terms += w.shape[1]
        gamma = (terms + layer.roundings) * UNIT / (1.0 - (terms + layer.roundings) * UNIT)
        radius = carried + gamma * size + layer.bias_error + terms * SMALLEST
        radius *= 1.0 + 8.0 * (terms + 4) * UNIT  # the radius itself is computed in float64
        values.append(activate(layer.kind, z))
        radii.append(_through(layer.kind, z, values[-1], radius))
        defined = defined and not (curved(layer.kind) and _touches(layer.kind, z, radius))
    return values[-1], radii[-1] if defined else np.full(network.output_size, np.inf)


def exact_output(network: Network, x: Array) -> list[Fraction] | None:
    """f(x) exactly, for x of shape [input_size].

    None where that is out of reach: more than MAX_EXACT_WEIGHTS weights, an activation that is not piecewise
    affine, or layers that are known only up to the rounding of their folding.
    """
    weights = sum(w.shape[0] * w.shape[1] for layer in network.layers for w in layer.weights)
    rounded = any(layer.roundings or layer.bias_error for layer in network.layers)
    followed = all(layer.kind in ("identity", "relu") or has_pieces(layer.kind) for layer in network.layers)
    if weights > MAX_EXACT_WEIGHTS or rounded or not followed:
        return None
    values = [scaled(np.asarray(x, dtype=np.float64))]
    for layer in network.layers:
        values.append(_exact_layer(layer, values))
    integers, exponent = values[-1]
    return [Fraction(int(v)) / Fraction(2) ** exponent for v in integers]


def _through(kind: str, z: Array, value: Array, radius: Array) -> Array:
    """Error of act(z) = `value` where the argument z errs by at most `radius`."""
    if kind == "sigmoid":
        return 0.25 * radius * (1.0 + 4.0 * UNIT) + ELEMENTARY
    if kind == "tanh":
        return radius * (1.0 + 4.0 * UNIT) + ELEMENTARY
    if not curved(kind):
        return radius
    low, high = value_range(kind, *_around(z, radius))
    return np.maximum(high - value, value - low) * ROUND_UP


def _around(z: Array, radius: Array) -> tuple[Array, Array]:
    """An interval that holds every number within the radius of z."""
    reach = radius + (np.abs(z) + radius) * FEW_ROUNDINGS
    return z - reach, z + reach


def _touches(kind: str, z: Array, radius: Array) -> bool:
    """Whether an argument z, up to its radius, may be where the curve is not defined."""
    return bool(curve(kind).touches(*_around(z, radius)).any())


def _exact_layer(layer: Layer, values: list[_Scaled]) -> _Scaled:
    """One layer's values, exactly."""
    total = scaled(layer.bias)
    for s, w in zip(layer.sources, layer.weights, strict=True):
        total = _add(total, _product(w, values[s]))
    integers, exponent = total
    if has_pieces(layer.kind):
        return _behind_jumps(layer.kind, integers, exponent)
    return (np.maximum(integers, 0) if layer.kind == "relu" else integers), exponent


def _behind_jumps(kind: str, integers: NDArray[Any], exponent: int) -> _Scaled:
    found = [exact_value(kind, Fraction(int(v)) / Fraction(2) ** exponent) for v in integers]
    finest = max((value.denominator.bit_length() - 1 for value in found), default=0)
    return np.array([int(value * (1 << finest)) for value in found], dtype=object), finest


def _product(w: Matrix, x: _Scaled) -> _Scaled:
    integers, exponent = scaled(w if isinstance(w, np.ndarray) else w.toarray())
    return integers @ x[0], exponent + x[1]


def _add(left: _Scaled, right: _Scaled) -> _Scaled:
    exponent = max(left[1], right[1])
    return (left[0] << (exponent - left[1])) + (right[0] << (exponent - right[1])), exponent


def scaled(numbers: Array) -> _Scaled:
    """Float64 numbers as Python integers over one power of two."""
    mantissas, exponents = np.frexp(numbers)
    lowest = int(exponents[mantissas != 0.0].min(initial=53))
    shifts = np.where(mantissas != 0.0, exponents - lowest, 0)
    integers = np.ldexp(mantissas, 53).astype(np.int64).astype(object)
    return integers << shifts.astype(object), 53 - lowest
