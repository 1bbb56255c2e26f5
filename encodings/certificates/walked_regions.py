"""One activation region as a walk sees it: its faces and decision functions as functions of the step from the input.

A region is told by the phases of all ReLUs, whether the input lies in it or not. Neurons that nothing reaches (`zero`)
have no face; their phase counts as inactive, so that no region has two names.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...instances.network import Array, Network
from .affine_pieces import Trace, magnitudes, rows_of_layers, trace, zero
from .norms import at_most_norm, dual
from .polytope_distance import Rows
from .questions import Question, margins_at

__all__ = ["Neuron", "Phases", "WalkedRegion", "flips", "key_of", "made", "named", "relu_layers"]

Phases = list[Array]  # [1, size] bool a layer
Neuron = tuple[int, int]  # layer - 1, place in it
APART = 1e-6  # square of the sine of the angle from which rows are no multiples of each other, errors or none
BLURRED = 1e5  # times as long as its error, and roots of the inputs' number, a row is for that


@dataclass(eq=False)
class WalkedRegion:
    """The region {faces >= 0}, and where the label's decision functions are >= 0 on it."""

    phases: Phases
    faces: Rows
    neurons: list[Neuron]  # one a face
    margins: Rows  # f_label - f_j
    unreached: list[Neuron]  # that are 0 all over the region since nothing reaches them

    @cached_property
    def alike(self) -> Array:
        """[faces, faces] bool: which rows may be multiples of each other; the others are none, whatever rounds."""
        rows, root = self.faces, np.sqrt(self.faces.normals.shape[1])
        lengths = at_most_norm(rows.normals, 2.0)
        blurred = ~(lengths > BLURRED * root * rows.normal_errors)
        unit = rows.normals / np.where(blurred, 1.0, lengths)[:, None]
        found = ~(1.0 - (unit @ unit.T) ** 2 > APART) | blurred | blurred[:, None]
        return np.asarray(found)


def relu_layers(network: Network) -> list[int]:
    """Layers, counted from 0, with ReLUs."""
    return [k for k, layer in enumerate(network.layers) if layer.kind == "relu"]


def named(network: Network, phases: Phases) -> Phases:
    """The same region's phases with those inactive that do not matter."""
    none = zero(network, phases)
    return [p & ~none[k] if network.layers[k].kind == "relu" else p for k, p in enumerate(phases)]


def key_of(network: Network, phases: Phases) -> bytes:
    """What tells the region from others."""
    return b"".join(np.packbits(phases[k]).tobytes() for k in relu_layers(network))


def flips(network: Network) -> dict[Neuron, int]:
    """What the key of a region, as a number, is changed by (xor) where one neuron's phase is."""
    found: dict[Neuron, int] = {}
    before = 8 * sum(-(-network.layers[k].size // 8) for k in relu_layers(network))  # bits from here to the end
    for k in relu_layers(network):
        size = network.layers[k].size
        found |= {(k, i): 1 << (before - 1 - i) for i in range(size)}
        before -= 8 * -(-size // 8)
    return found


def made(question: Question, phases: Phases) -> WalkedRegion:
    """The region of a question about one point."""
    network, order = question.network, dual(question.norm)
    at: Trace = trace(network, question.points, phases)
    errors, none, relus = magnitudes(network, phases, order), zero(network, phases), relu_layers(network)
    parts, neurons = [], []
    for rows in rows_of_layers(network, phases, max(relus, default=-1) + 1):
        k = rows.layer
        if k not in relus:
            continue
        kept = np.flatnonzero(~none[k][0])
        sign = np.where(phases[k][0, kept], 1.0, -1.0)
        normals, values = rows.dense(1)[0][kept] * sign[:, None], at.pre[k][0, kept] * sign
        parts.append(Rows(normals, values, errors[k][0, kept], at.errors[k][0, kept]))
        neurons += [(k, int(i)) for i in kept]
    none_at_all = Rows(np.zeros((0, network.input_size)), np.zeros(0), np.zeros(0), np.zeros(0))
    margins, normals, norm_errors, slack = margins_at(question, at, errors[-1])
    decisions = Rows(normals[0], margins[0], norm_errors[0], slack[0])
    unreached = [(k, int(i)) for k in relus for i in np.flatnonzero(none[k][0])]
    return WalkedRegion(phases, Rows.stacked([none_at_all, *parts]), neurons, decisions, unreached)
