"""What the compiled kernels work on: a network laid out flat, results, working memory; and how they are compiled."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...instances.network import Array

__all__ = [
    "BLOCK", "Box", "MOST_PHASES", "Net", "Out", "PASSES", "PLAIN", "Room", "SUMS", "room_for",
]  # fmt: skip

# Sums may be reordered and fused: gamma covers every order. Nothing else is relaxed (NaN keeps its sense).
SUMS = {"reassoc", "contract", "nsz"}
# No kernel allocates: without reference counts the arrays' handles cost nothing, in the loops and to compile.
PLAIN: dict[str, Any] = {"cache": True, "error_model": "numpy", "_nrt": False}
BLOCK = 96  # rows that walk back together
PASSES = 2  # rounds of the ascent over half-spaces: the second one recovers most of what the first leaves
MOST_PHASES = 32  # phases of deeper layers whose half-spaces a node derives


class Net(NamedTuple):
    """A query's network, flattened. Values are numbered 0 (the input) .. L (the margins); layer k makes value k."""

    starts: Array  # [L + 2] int: value v lies at starts[v]:starts[v + 1] of a flat vector of all values
    relu: Array  # [L + 1] bool: layer k ends in a ReLU (else it is affine)
    edges: Array  # [L + 2] int: layer k takes in the edges edges[k]:edges[k + 1]
    sources: Array  # [edges] int: the value that the edge comes from
    offsets: Array  # [edges] int: where its weights [size of layer, size of source] begin in `weights`
    weights: Array  # flat
    bias: Array  # flat as the values
    interval: Array  # [L + 1] relative error of an interval bound
    relative: Array  # [L + 1] relative error of a product with the layer's weights on the way back
    bias_error: Array  # [L + 1]
    input_relative: float  # relative error of the sum over the inputs
    sums: int  # additions that a coefficient or a constant goes through
    disjuncts: Array  # [disjuncts + 1] int: rows of the margins that belong together
    differing: Array  # [L + 1] int: of a second layer the one of differences, of that one the second; else 0
    partner: Array  # [L + 1] int: of the second of two layers the first one, else 0
    pairs: Array  # [values, 2] int: of a difference the places of its two neurons in a flat vector of all values


class Out(NamedTuple):
    """Arrays of `Bounds`, written in place."""

    margins: Array
    coefficients: Array
    constants: Array
    sensitivities: Array
    infeasible: Array
    means: Array  # [B or 0, neurons, inputs + 1]
    spreads: Array  # [B or 0, neurons]
    points: Array  # [B, inputs]
    together: Array  # [B] bool


Box = tuple[Array, Array]  # lower and upper end


class Room(NamedTuple):
    """Working memory of one thread; flat vectors are indexed as the values are."""

    lower: Array  # bounds of the values
    upper: Array
    magnitude: Array  # |W| m + |b| of each pre-activation
    alive: Array  # int: the neurons of a value that are not inactive, gathered to the front of its part
    kept: Array  # [L + 1] int: how many they are
    below: Array  # slopes and upper intercept of the alive
    above: Array
    intercept: Array
    bias: Array  # of the alive
    gathered: Array  # flat as the weights: those between alive neurons
    spread: Array  # [L + 1] norm of the intercepts of the alive
    unit: Array  # [L + 1] error that a row of norm 1 collects on its way through the layer
    pending: Array  # flat: [BLOCK, size] coefficients of every value
    waits: Array  # [L + 1] bool: value v has coefficients pending
    product: Array  # flat: [BLOCK, widest]
    rows: Array  # [widest] int: rows to bound
    constants: Array  # [BLOCK]
    errors: Array  # [BLOCK]
    values: Array  # [BLOCK] minima
    cuts: Array  # [most, inputs + 1] the node's half-spaces, newest first, then those of its deeper phases
    betas: Array  # [most]
    kinks: Array  # [inputs]
    order: Array  # [inputs] int
    row: Array  # [inputs]
    tableau: Array  # flat: [inputs + 2, columns], see narrow_programs
    basis: Array  # [inputs + 1] int
    weights: Array  # [rows of a disjunct + half-spaces]
    place: Array  # int: of a neuron its place among the alive of its value
    partners: Array  # [values, 2] int: of differences that are worth it, gathered to the front, these places of the two
    straight: Array  # flat, as `pending`: coefficients that pre-activations get from lines over differences
    bypasses: Array  # [L + 1] bool: value v has some


def room_for(net: Net, cuts: int) -> Room:
    """Working memory for one thread. cuts: half-spaces a node."""
    values, layers, inputs, most = net.starts[-1], len(net.relu), net.starts[1], cuts + MOST_PHASES
    columns = int(np.diff(net.disjuncts).max()) + most + 2 * inputs + 1
    widest = int(np.diff(net.starts).max())
    return Room(
        np.empty(values), np.empty(values), np.empty(values), np.empty(values, np.int64), np.empty(layers, np.int64),
        np.empty(values), np.empty(values), np.empty(values), np.empty(values), np.empty(len(net.weights)),
        np.empty(layers), np.empty(layers), np.empty(BLOCK * values), np.empty(layers, np.bool_),
        np.empty(BLOCK * widest), np.empty(widest, np.int64), np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK),
        np.empty((most, inputs + 1)), np.empty(most), np.empty(inputs), np.empty(inputs, np.int64), np.empty(inputs),
        np.empty((inputs + 2) * columns), np.empty(inputs + 1, np.int64), np.empty(columns),
        np.empty(values, np.int64), np.empty((values, 2), np.int64),
        np.empty(BLOCK * values if net.differing.any() else 0), np.empty(layers, np.bool_),
    )  # fmt: skip
