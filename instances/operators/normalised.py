"""Normalisations by a mean and a spread, or by a norm, that depend on the input:

    LayerNormalization, RMSNormalization          over the axes from `axis` on, then scale and shift entry by entry
    InstanceNormalization, GroupNormalization     over the pixels of a channel, or of a group of channels
    MeanVarianceNormalization                     over `axes`, by the deviation + 1e-9
    LpNormalization                               along one axis, by the sum of absolute values or of squares
    LRN                                           x / (bias + alpha / size sum x^2)^beta, over channels next to it
"""

from __future__ import annotations

import math

import numpy as np

from ..curves.names import LEAST_POWER, MOST_POWER, curve_name
from ..errors import NetworkError, UnsupportedOperatorError
from ..expressions.affine import Expression
from ..expressions.element_types import FLOAT, FLOATS, narrows, type_name
from ..expressions.matrices import scattered
from ..expressions.node import Constant, Node
from ..expressions.products import SQUARE
from ..nonlinear.norms import group_sums, scaled_to_one, standardised, times_its_groups, without_means
from ..nonlinear.products import product
from .linear import grouped

__all__ = [
    "group_normalization", "instance_normalization", "layer_normalization", "local_response", "mean_variance",
    "p_normalization",
]  # fmt: skip

EACH_CHANNEL = 21  # the operator set from which on GroupNormalization has a scale a channel, and a stash_type
MORE = 1e-9  # what MeanVarianceNormalization adds to a deviation


def layer_normalization(node: Node) -> Expression:
    """LayerNormalization and RMSNormalization, of which the first output is read."""
    x, centred = node.expression(0), node.kind == "LayerNormalization"
    if node.outputs > 1:
        raise UnsupportedOperatorError("its outputs beside the first one, mean and deviation; supported is that alone")
    _hold_stash(node)
    dims, axis = len(x.shape), int(node.attributes.get("axis", -1))
    if not -dims <= axis < dims:
        raise NetworkError(f"axis {axis} of a tensor of shape {x.shape}")
    table = grouped(x.shape, list(range(axis % dims, dims)), True)[1]
    return _fitted(node, standardised(node.builder, x, table, _epsilon(node), centred), ())


def instance_normalization(node: Node) -> Expression:
    """InstanceNormalization: one mean and spread for each channel of each image."""
    x = node.expression(0)
    if len(x.shape) < 3:
        raise NetworkError(f"a tensor of shape {x.shape}, expected batch, channels and at least one axis")
    table = grouped(x.shape, list(range(2, len(x.shape))), True)[1]
    return _fitted(node, standardised(node.builder, x, table, _epsilon(node)), (-1, *[1] * (len(x.shape) - 2)))


def group_normalization(node: Node) -> Expression:
    """GroupNormalization; scale and shift are one number a channel, and in operator set 18 one a group."""
    x, groups = node.expression(0), int(node.attributes.get("num_groups", 0))
    if len(x.shape) < 3 or groups < 1 or x.shape[1] % groups:
        raise NetworkError(f"{groups} groups of a tensor of shape {x.shape}")
    if node.opset >= EACH_CHANNEL:
        _hold_stash(node)
    table = np.arange(x.size).reshape(x.shape[0] * groups, -1)
    out, each = standardised(node.builder, x, table, _epsilon(node)), x.shape[1] // groups
    return _fitted(node, out, (-1, *[1] * (len(x.shape) - 2)), each if node.opset < EACH_CHANNEL else 1)


def mean_variance(node: Node) -> Expression:
    """MeanVarianceNormalization: (x - mean) / (deviation + 1e-9)."""
    x, build = node.expression(0), node.builder
    table = grouped(x.shape, [int(a) for a in node.attributes.get("axes", (0, 2, 3))], True)[1]
    centred = without_means(build, x, table)
    spread = build.layer(group_sums(build, build.layer(centred, SQUARE), table, mean=True), "sqrt")
    return times_its_groups(build, centred, build.layer(build.shift(spread, MORE), "reciprocal"), table)


def p_normalization(node: Node) -> Expression:
    """LpNormalization for p = 1 and 2."""
    x, p = node.expression(0), int(node.attributes.get("p", 2))
    if p not in (1, 2):
        raise UnsupportedOperatorError(f"p = {p}; supported are 1 and 2")
    table = grouped(x.shape, [int(node.attributes.get("axis", -1))], True)[1]
    return scaled_to_one(node.builder, x, table, squares=p == 2)


def local_response(node: Node) -> Expression:
    """LRN."""
    x, get, build = node.expression(0), node.attributes.get, node.builder
    size, beta = int(get("size", 0)), float(get("beta", 0.75))
    alpha, bias = float(get("alpha", np.float32(1e-4))), float(get("bias", 1.0))
    if len(x.shape) != 4 or size < 1 or size % 2 == 0:
        raise NetworkError(f"{size} channels of a tensor of shape {x.shape}, expected an odd number, and four axes")
    if not (LEAST_POWER <= beta <= MOST_POWER and bias > 0.0 and alpha >= 0.0):
        raise UnsupportedOperatorError(
            f"alpha = {alpha}, beta = {beta}, bias = {bias}; supported are numbers from 0 on, of beta from "
            f"{LEAST_POWER} to {MOST_POWER}, of bias above 0"
        )
    images, channels, pixels = x.shape[0], x.shape[1], math.prod(x.shape[2:])
    one, two = np.nonzero(np.tri(channels, k=size // 2) * np.tri(channels, k=size // 2).T)
    place = (np.arange(images)[:, None] * channels)[..., None] * pixels + np.arange(pixels)
    rows, columns = (np.add.outer(side * pixels, place).reshape(-1) for side in (one, two))
    matrix = scattered(rows, columns, np.full(len(rows), alpha / size), (x.size, x.size))
    sums = build.apply(matrix, build.layer(x, SQUARE), x.shape, roundings=1)
    return product(node, x, build.layer(build.shift(sums, bias), curve_name("power", -beta)))


def _hold_stash(node: Node) -> None:
    """Say so where mean and deviation are computed in a narrower type than the tensor's, which is float if not told."""
    given, stash = node.type(0), int(node.attributes.get("stash_type", FLOAT))
    if stash not in FLOATS:
        raise NetworkError(f"its attribute stash_type is {type_name(stash)}, expected a float type")
    if given in FLOATS and narrows(given, stash):
        node.rounds(f"rounds from {type_name(given)} to {type_name(stash)}")


def _epsilon(node: Node) -> float:
    epsilon = float(node.attributes.get("epsilon", np.float32(1e-5)))
    if not 0.0 <= epsilon < np.inf:
        raise NetworkError(f"its attribute epsilon is {epsilon}")
    return epsilon


def _fitted(node: Node, out: Expression, form: tuple[int, ...], each: int = 1) -> Expression:
    """The result times input 1 and plus input 2, constants of this shape whose entries stand for `each` in a row."""
    for i in (1, 2):
        if not node.has(i):
            continue
        given = node.weights(i)
        numbers = np.repeat(given.array, each).reshape(form) if form else given.array
        if np.broadcast_shapes(numbers.shape, out.shape) != out.shape:
            raise NetworkError(f"its input {i} of shape {given.shape} for a tensor of shape {out.shape}")
        constant = Constant(numbers, given.roundings, given.name)
        if i == 1:
            out = node.builder.scale(out, constant.array, constant.roundings)
        else:
            out = node.builder.shift(out, *node.offset(constant))
    return out
