"""How far a float32 evaluation may put the arguments of functions that jump from where they are in real numbers.

At a jump the smallest rounding decides between two values. With g = gamma(terms) and x the values that a layer reads,
    |fl(z) - z| <= |W| (g |x| + (1 + g) e) + g |b|,
where the error e of a value is that of its argument behind ReLUs and sloped pieces, and 0 on flat ones. Nothing rounds
    where all products and sums are whole multiples of one power of two, and few of it: steps behind steps;
    in the sign of w x + b, where w is a power of two, and no smaller than 1, so that nothing underflows.
And roundings keep order: a sum over the inputs is nowhere below what it is at the box's corner where it is least, nor
above what it is at the other one, so that where it is exact at a corner, no rounding leads beyond.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...instances.batch import Node
from ...instances.network import Array, Layer, value_range
from ...instances.query import Query
from ...instances.rounding import TINY_32, UP, gamma_32

__all__ = ["ArgumentErrors", "argument_errors"]

FLAT = ("step", "floor", "round")  # families whose pieces are all flat
MOST_EXACT = 2.0**22  # multiples of a power of two that float32 adds up without rounding, with room for signs


class ArgumentErrors(NamedTuple):
    """Of all neurons [N]; evaluated arguments lie within `size` of the real ones, and in [least, most]."""

    size: Array
    least: Array
    most: Array


@np.errstate(over="ignore", invalid="ignore")
def argument_errors(query: Query, node: Node) -> ArgumentErrors:
    """For every input of the node whose arguments lie in its bounds, each evaluated on the piece that it is on."""
    count = query.neurons
    found = ArgumentErrors(np.zeros(count), np.full(count, -np.inf), np.full(count, np.inf))
    sizes, errors = [np.maximum(np.abs(node.lower), np.abs(node.upper))], [np.zeros(len(node.lower))]
    # powers of two that values are multiples of, 0 where nobody knows
    grains = [np.where(node.lower == node.upper, _lowest_bit(node.lower), 0.0)]
    for kind, part, layer in zip(query.kinds, query.slices, query.network.layers, strict=False):
        weights = [w if isinstance(w, np.ndarray) else w.toarray() for w in layer.weights]
        z = _error(layer, weights, sizes, errors)
        grain = _grain(layer, weights, sizes, grains)
        z = np.where(grain > 0.0, 0.0, z)
        family = kind.split(":")[0]
        if layer.sources == (0,):
            z = np.where(_told(weights[0], layer.bias, family), 0.0, z)
            found.least[part], found.most[part] = _ends(layer, weights[0], node)
        found.size[part] = z
        flat = family in FLAT
        ends = value_range(kind, node.pre_lower[part], node.pre_upper[part])
        sizes.append(np.maximum(*map(np.abs, ends)))
        errors.append(np.zeros_like(z) if flat else z)
        grains.append(np.full(len(z), 0.5) if flat and _halves(kind) else np.zeros(len(z)))
    return found


def _error(layer: Layer, weights: list[Array], sizes: list[Array], errors: list[Array]) -> Array:
    """[size] what a layer's arguments may be off by."""
    g = gamma_32(sum(w.shape[1] for w in weights) + len(weights) + 1)
    error = g * np.abs(layer.bias)
    for s, w in zip(layer.sources, weights, strict=True):
        error = error + np.abs(w) @ (g * sizes[s] + (1.0 + g) * errors[s])
    return np.asarray(error * UP + TINY_32)


def _halves(kind: str) -> bool:
    """Whether a flat function's values are multiples of a half."""
    family, *given = kind.split(":")
    return family != "step" or (2.0 * float(given[0])).is_integer()


def _grain(layer: Layer, weights: list[Array], sizes: list[Array], grains: list[Array]) -> Array:
    """[size] a power of two that all products and sums of an argument are few multiples of, 0 where there is none."""
    grain, total = _lowest_bit(layer.bias), np.abs(layer.bias)
    for s, w in zip(layer.sources, weights, strict=True):
        products = np.where(w == 0.0, np.inf, _lowest_bit(w) * grains[s])
        grain = np.minimum(grain, products.min(axis=1, initial=np.inf))
        total = total + np.abs(w) @ sizes[s]
    return np.where((grain > 0.0) & (total <= MOST_EXACT * grain), grain, 0.0)


def _told(weights: Array, bias: Array, family: str) -> Array:
    """[size] bool: arguments of one input whose sign, or, of other functions than steps, value no rounding changes."""
    plain = (np.frexp(np.abs(weights))[0] == 0.5) & (np.abs(weights) >= 1.0)
    alone = ((weights != 0.0).sum(axis=1) <= 1) & ((weights == 0.0) | plain).all(axis=1)
    return np.asarray(alone & ((bias == 0.0) | (family == "step")))


def _ends(layer: Layer, weights: Array, node: Node) -> tuple[Array, Array]:
    """[size] twice: the least and the largest of arguments of the inputs, where they are exact; else infinite."""
    ends = []
    for low, high, none in ((node.lower, node.upper, -np.inf), (node.upper, node.lower, np.inf)):
        corner = np.where(weights > 0.0, low, high)
        grain = np.where(weights == 0.0, np.inf, _lowest_bit(weights) * _lowest_bit(corner)).min(axis=1, initial=np.inf)
        grain = np.minimum(grain, _lowest_bit(layer.bias))
        total = np.abs(layer.bias) + (np.abs(weights) * np.abs(corner)).sum(axis=1)
        exact = (grain > 0.0) & (total <= MOST_EXACT * grain)
        ends.append(np.where(exact, (weights * corner).sum(axis=1) + layer.bias, none))
    return ends[0], ends[1]


def _lowest_bit(numbers: Array) -> Array:
    """The power of two that is the last bit of a float64's mantissa which is not 0; inf for 0, a multiple of all."""
    mantissas, exponents = np.frexp(numbers)
    whole = np.ldexp(np.where(np.isfinite(mantissas), mantissas, 0.0), 53).astype(np.int64)
    lowest = np.ldexp((whole & -whole).astype(np.float64), exponents - 53)
    return np.where(whole == 0, np.where(numbers == 0.0, np.inf, 0.0), lowest)
