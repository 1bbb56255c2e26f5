"""How far a classifier is from answering otherwise: gaps between its label's output and others, with gradients.

A point x with label t is taken for a counterexample where some y_j >= y_t, j != t (ties count), the *target* of an
attack being one such j, or none (ANY): then the nearest rival counts,

    gap(x) = y_t(x) - max_{j != t} y_j(x),    or    gap_j(x) = y_t(x) - y_j(x).

A gap of at most 0 is a candidate; the replay decides.
"""

from __future__ import annotations

import numpy as np

from ...instances.network import Array, Network
from ..attacks.attack_passes import passes_of

__all__ = ["ANY", "ClassGaps"]

ANY = -1  # the target of an attack that any other class is good for
LEAK = 0.1  # slope of inactive ReLUs where the exact gradient is zero


class ClassGaps:
    """The gaps of one network, for attacks around points of ordinary size (see `passes_of`).

    low, high: [n], the box that points lie in, or infinite where there is none; around: [P, n], what is attacked.
    """

    def __init__(self, network: Network, around: Array, low: Array, high: Array) -> None:
        reach = 1.0 + np.abs(around).max(axis=0)
        self.network = network
        self.passes = passes_of(network, np.maximum(low, -reach), np.minimum(high, reach))
        self.low, self.high = low, high

    def outputs(self, points: Array) -> Array:
        """Outputs [P, m], rounded as the passes are."""
        return self.passes.margins(points)

    def exact(self, points: Array, labels: Array, targets: Array) -> Array:
        """Gaps [P] in float64."""
        outputs = self.network.evaluate(points)
        return gaps(outputs, labels, rivals(outputs, labels, targets))

    def __call__(self, points: Array, labels: Array, targets: Array) -> tuple[Array, Array]:
        """(gaps [P], their gradients [P, n]) at points [P, n] with labels and targets [P]."""
        found, gradients = np.empty(len(points)), np.empty(points.shape)
        for part in self._parts(len(points), 1):
            values = self.passes.forward(self._columns(points[part]))
            outputs = values[-1].T.astype(np.float64)
            aims = rivals(outputs, labels[part], targets[part])
            found[part] = gaps(outputs, labels[part], aims)
            gradients[part] = self._pulled(values, differences(outputs.shape, labels[part], aims))
        return found, gradients

    def soft(self, points: Array, labels: Array) -> tuple[Array, Array]:
        """(gaps [P], gradients [P, n] of minus the cross-entropy, divided by 1 - p_t so that they never vanish)."""
        found, gradients = np.empty(len(points)), np.empty(points.shape)
        for part in self._parts(len(points), 1):
            values = self.passes.forward(self._columns(points[part]))
            outputs, own = values[-1].T.astype(np.float64), labels[part]
            number, free = np.arange(len(own)), np.full(len(own), ANY)
            aims = rivals(outputs, own, free)
            found[part] = gaps(outputs, own, aims)
            ahead = outputs - outputs[number, aims][:, None]
            ahead[number, own] = -np.inf  # the others' are at most 0, the label's may be any number
            weight = np.exp(ahead)
            weight /= -weight.sum(axis=1, keepdims=True)
            weight[number, own] = 1.0
            gradients[part] = self._pulled(values, weight)
        return found, gradients

    def nearest(self, points: Array, labels: Array, count: int) -> tuple[Array, Array, Array]:
        """The `count` rivals with the least gaps: (classes [P, k], gaps [P, k], gradients [P, k, n])."""
        count = min(count, self.network.output_size - 1)
        size = len(points), count
        classes, found = np.empty(size, dtype=np.int64), np.empty(size)
        gradients = np.empty((*size, points.shape[1]))
        for part in self._parts(len(points), count):
            values = self.passes.forward(self._columns(points[part]))
            outputs, own = values[-1].T.astype(np.float64), labels[part]
            number = np.arange(len(own))
            others = outputs.copy()
            others[number, own] = -np.inf
            classes[part] = np.argsort(-others, axis=1, kind="stable")[:, :count]
            found[part] = outputs[number, own][:, None] - np.take_along_axis(outputs, classes[part], axis=1)
            repeated = [np.repeat(v, count, axis=1) for v in values]
            wanted = (len(own) * count, outputs.shape[1])
            weight = differences(wanted, np.repeat(own, count), classes[part].ravel())
            gradients[part] = self._pulled(repeated, weight).reshape(len(own), count, -1)
        return classes, found, gradients

    def _columns(self, points: Array) -> Array:
        return np.ascontiguousarray(points.T, dtype=self.passes.dtype)

    def _parts(self, count: int, width: int) -> list[slice]:
        step = max(1, self.passes.chunk // width)
        return [slice(first, first + step) for first in range(0, count, step)]

    def _pulled(self, values: list[Array], weight: Array) -> Array:
        """The exact gradient; where it is 0 because whole layers are off, that of a network with leaky ReLUs."""
        gradient = self.passes.backward(values, weight.T)
        dead = np.flatnonzero(~gradient.any(axis=0))
        if len(dead):
            some = [np.ascontiguousarray(v[:, dead]) for v in values]
            gradient[:, dead] = self.passes.backward(some, weight.T[:, dead], LEAK)
        return np.asarray(gradient.T, dtype=np.float64)


def rivals(outputs: Array, labels: Array, targets: Array) -> Array:
    """The class [P] that each gap is taken to: the target, or the best other class."""
    others = outputs.copy()
    others[np.arange(len(labels)), labels] = -np.inf
    return np.where(targets == ANY, others.argmax(axis=1), targets)


def gaps(outputs: Array, labels: Array, aims: Array) -> Array:
    """y_label - y_aim [P] of outputs [P, m]."""
    number = np.arange(len(labels))
    return np.asarray(outputs[number, labels] - outputs[number, aims])


def differences(shape: tuple[int, ...], labels: Array, aims: Array) -> Array:
    """Cotangents e_label - e_aim, [P, m]."""
    weight, number = np.zeros(shape), np.arange(len(labels))
    weight[number, labels] = 1.0
    weight[number, aims] -= 1.0
    return weight
