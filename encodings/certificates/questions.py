"""What certificates are asked: a network of classes, points, their labels, a norm; checked once, in one form.

The network answers class k at x where f_k(x) > f_j(x) for every other j; a tie is no answer. The *distortion* of a
point u with label k is the distance of the nearest x with f_j(x) >= f_k(x) for some j, 0 where u is such a point. So
the functions f_k - f_j decide: their values at the points, and their rows by a backward pass, are here, too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np

from ...instances.checks import finite_array
from ...instances.errors import InputError
from ...instances.network import Array, Layer, Network
from ...instances.rounding import EPS
from .affine_pieces import Trace, pulled_back

__all__ = ["Question", "affine_output", "asked", "checked_points", "margin_values", "margins_at"]


@dataclass(frozen=True, eq=False)
class Question:
    """B points of one network, each with its label, and the norm of distances."""

    network: Network  # its last layer is affine
    points: Array  # [B, n]
    labels: Array  # [B] int
    norm: float  # 1, 2 or inf

    @property
    def others(self) -> Array:
        """[B, classes - 1] the classes that are not the label, ascending."""
        ranks = np.arange(self.network.output_size - 1)
        return ranks + (ranks >= self.labels[:, None])

    def __getitem__(self, part: slice) -> Question:
        """Some of the points."""
        return replace(self, points=self.points[part], labels=self.labels[part])


def asked(network: Network, points: Array, labels: Array, norm: float) -> Question:
    """points: [B, n], finite; labels: [B] class numbers; norm: 1, 2 or inf.

    Raises InputError for anything else, for a network with fewer than two outputs, and for one with sigmoid or tanh.
    """
    points = checked_points(network, points)
    classes = network.output_size
    if classes < 2:
        raise InputError("a network with one output has no classes to tell apart")
    given = np.asarray(labels)
    if given.shape != (len(points),) or given.dtype.kind not in "iu":
        raise InputError(f"labels of type {given.dtype} and shape {given.shape}, expected integers, {(len(points),)}")
    if given.size and not (0 <= given.min() and given.max() < classes):
        raise InputError(f"labels from {given.min()} to {given.max()}, expected classes in 0..{classes - 1}")
    if norm not in (1, 2, np.inf):
        raise InputError(f"norm {norm!r}, expected 1, 2 or inf")
    return Question(affine_output(network), points, given.astype(np.int64), float(norm))


def checked_points(network: Network, points: Array) -> Array:
    """points [B, n] as float64. Raises InputError for others, and for a network with sigmoid or tanh."""
    if not network.piecewise_linear:
        raise InputError("a network with sigmoid or tanh has no activation regions")
    return np.asarray(finite_array(points, (None, network.input_size), "points", InputError))


_AFFINE: WeakKeyDictionary[Network, Network] = WeakKeyDictionary()


def affine_output(network: Network) -> Network:
    """The network itself, or, where its outputs are ReLUs, the same with a layer behind them that copies them."""
    last = network.layers[-1]
    if last.kind == "identity":
        return network
    if network not in _AFFINE:
        copy = Layer((len(network.layers),), (np.eye(last.size),), np.zeros(last.size), "identity", "copy")
        _AFFINE[network] = replace(network, layers=(*network.layers, copy))
    return _AFFINE[network]


@np.errstate(over="ignore", invalid="ignore")
def margin_values(question: Question, at: Trace) -> tuple[Array, Array]:
    """(f_label - f_j at the points in floats, bounds on their errors), each [B, classes - 1]."""
    y, errors, rows, others = at.pre[-1], at.errors[-1], np.arange(len(question.points)), question.others
    own, their = y[rows, question.labels][:, None], np.take_along_axis(y, others, axis=1)
    slack = errors[rows, question.labels][:, None] + np.take_along_axis(errors, others, axis=1)
    return own - their, slack + EPS * (np.abs(own) + np.abs(their) + slack)


def margins_at(question: Question, at: Trace, output_errors: Array) -> tuple[Array, Array, Array, Array]:
    """(values [B, classes - 1], rows [B, classes - 1, n], bounds on the rows' errors in norm, those on the values').

    output_errors: [B, classes], the norms of the outputs' rows' errors (`magnitudes`).
    """
    rows, others = np.arange(len(question.points)), question.others
    values, slack = margin_values(question, at)
    functions = np.zeros((*others.shape, question.network.output_size))
    functions[rows, :, question.labels] = 1.0
    np.put_along_axis(functions, others[:, :, None], -1.0, axis=2)
    normals = pulled_back(question.network, at.phases, functions)
    norm_errors = output_errors[rows, question.labels][:, None] + np.take_along_axis(output_errors, others, axis=1)
    return values, normals, norm_errors * (1.0 + EPS), slack
