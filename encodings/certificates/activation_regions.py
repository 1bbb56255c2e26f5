"""Activation regions of inputs: {x : P x + q >= 0}, and the affine function C x + d that the network is there.

Singla and Feizi (2019), Theorems 1 and 2 and Algorithm 1, for any DAG of affine layers and ReLUs: dense, convolutional,
residual, and with maxima, which are read as ReLUs. `affine_pieces` makes the rows; here they are put together, with the
signs of the phases, so that a region is a list of half-spaces.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...instances import memory
from ...instances.network import Array, Network
from ..programs.scip import Simplex
from .affine_pieces import magnitudes, rows_of_layers, trace
from .questions import checked_points

__all__ = ["ActivationRegions", "activation_region", "essential_faces"]

LP_SECONDS = 10.0  # of one linear program; they take milliseconds
REDUNDANT = 1e-9  # of a row's length: how far below 0 the others let it go where it is still called redundant


@dataclass(frozen=True, eq=False)
class ActivationRegions:
    """The regions of B inputs; N neurons with ReLUs in the order of their layers, m outputs, n inputs.

    Arrays are floats; exact rows and constants differ by at most the errors, in every entry.
    """

    phases: Array  # [B, N] bool: True is active (z >= 0)
    normals: Array  # [B, N, n] P, with the signs of the phases
    offsets: Array  # [B, N] q
    coefficients: Array  # [B, m, n] C
    constants: Array  # [B, m] d
    normal_errors: Array  # [B, N]
    offset_errors: Array  # [B, N]

    def contains(self, b: int, points: Array) -> Array:
        """[...] bool: whether points [..., n] lie in region b, as float64 compares."""
        return np.asarray((points @ self.normals[b].T + self.offsets[b] >= 0.0).all(axis=-1))


def activation_region(network: Network, points: Array) -> ActivationRegions:
    """The region of each of the points [B, n]. A pre-activation of 0 counts as active.

    Raises InputError for points that are no finite numbers, and for networks with sigmoid or tanh.
    """
    points = checked_points(network, points)
    phases = trace(network, points).phases
    at_zero = trace(network, np.zeros_like(points), phases)
    errors, count = magnitudes(network, phases, np.inf), len(points)
    memory.claim(8e-6 * count * network.input_size * sum(network.sizes[1:]))
    relus, signs, normals = [], [], [np.zeros((count, 0, network.input_size))]
    last = np.zeros((count, network.output_size, network.input_size))
    for rows in rows_of_layers(network, phases, len(network.layers)):
        k, dense = rows.layer, rows.dense(count)
        if network.layers[k].kind == "relu":
            relus.append(k)
            signs.append(np.where(phases[k], 1.0, -1.0))
            normals.append(dense * signs[-1][:, :, None])
        last = dense * phases[k][:, :, None]
    none = [np.zeros((count, 0))]
    parts = list(zip(relus, signs, strict=True))
    return ActivationRegions(
        np.concatenate([np.zeros((count, 0), dtype=bool), *(phases[k] for k in relus)], axis=1),
        np.concatenate(normals, axis=1),
        np.concatenate(none + [sign * at_zero.pre[k] for k, sign in parts], axis=1), last,
        at_zero.pre[-1] * phases[-1], np.concatenate(none + [errors[k] for k in relus], axis=1),
        np.concatenate(none + [at_zero.errors[k] for k in relus], axis=1),
    )  # fmt: skip


def essential_faces(regions: ActivationRegions, b: int, point: Array) -> Array:
    """[N] bool: the rows of region b that the others do not imply. point: [n] inside, the input that it is of.

    One linear program a row, over the rows that are left, in floats: for people and pictures. Nothing that is proved
    rests on it. Of rows that are the same one is kept; a row that is 0 is no face.
    """
    lengths = np.linalg.norm(regions.normals[b], axis=1)
    values = regions.normals[b] @ point + regions.offsets[b]
    left = lengths > 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        normals, rooms = regions.normals[b] / lengths[:, None], values / lengths
    for i in sorted(np.flatnonzero(left), key=lambda i: -rooms[i]):
        others = left.copy()
        others[i] = False
        left[i] = _least(normals[others], rooms[others], normals[i], rooms[i]) < -REDUNDANT
    return left


def _least(normals: Array, rooms: Array, row: Array, room: float) -> float:
    """min row'y + room where the others are >= 0 and this one is at least -scale; what the solver says."""
    simplex, n = Simplex(), len(row)
    scale = max(float(room), 1.0)
    simplex.add_columns(row, np.full(n, -np.inf), np.full(n, np.inf))
    matrix, low = np.vstack([normals, row]), np.append(-rooms, -room - scale)
    entries = [[(j, a) for j, a in enumerate(line) if a] for line in matrix.tolist()]
    simplex.add_rows(entries, low, np.full(len(low), np.inf))
    if simplex.solve(LP_SECONDS) != "optimal":
        return -np.inf
    return float(row @ simplex.point()) + room
