"""The simplex certificate: a proved radius from the activation region of a point (Singla and Feizi 2019, Theorem 3).

On the region {P x + q >= 0} of the point u the network is one affine function C x + d. A point with another answer
lies beyond a face or beyond a decision boundary of that function, so its distance in l_p is at least
    min( min_i |P_i u + q_i| / ||P_i||_q,  min_{j != k} |(C_k - C_j) u + d_k - d_j| / ||C_k - C_j||_q ).
Functions that are 0 throughout have no face. The numerators are values of a forward pass less their errors, the norms
are rounded up past those of the rows.

With one hidden layer P is W, whose norms are computed once, and the boundaries of a batch are one product of matrices;
deeper layers need rows of each point, made in blocks that fit the memory.
"""

from __future__ import annotations

import numpy as np

from ...instances.judges.region_certificate import RegionCertificate
from ...instances.network import Array, Network
from .affine_pieces import magnitudes, points_at_once, prepared, rows_of_layers, trace, zero
from .norms import at_least_ratio, at_most_norm, dual, row_norms
from .questions import Question, asked, margins_at

__all__ = ["region_certificate", "simplex_certificate"]


def simplex_certificate(network: Network, points: Array, labels: Array, norm: float = 2) -> Array:
    """[B] radii r >= 0: every x with ||x - point||_norm < r is answered by the point's label.

    points: [B, n]; labels: [B]; norm: 1, 2 or inf. 0 where the network answers otherwise at the point itself, or where
    floats do not tell on which side of a face it lies; inf where nothing limits the answer.

    Raises InputError for arguments that are not so, and for networks with sigmoid or tanh.
    """
    question = asked(network, points, labels, norm)
    size = points_at_once(question.network)
    parts = [_block(question[i : i + size]) for i in range(0, len(question.points), size)]
    return np.concatenate(parts) if parts else np.zeros(0)


def region_certificate(network: Network, point: Array, label: int, norm: float = 2) -> RegionCertificate:
    """The simplex certificate of one point [n] as a record that can be checked without this room.

    Raises InputError as `simplex_certificate` does.
    """
    question = asked(network, np.asarray(point)[None], np.array([label]), norm)
    radius = float(_block(question)[0])
    found = trace(question.network, question.points)
    relus = [k for k, layer in enumerate(network.layers) if layer.kind == "relu"]
    phases = tuple(tuple(found.phases[k][0].tolist()) for k in relus)
    return RegionCertificate(tuple(question.points[0].tolist()), int(label), question.norm, radius, phases)


@np.errstate(invalid="ignore")  # what is no number certifies nothing
def _block(question: Question) -> Array:
    """The certificates of a block of points."""
    network, order = question.network, dual(question.norm)
    at = trace(network, question.points)
    errors = magnitudes(network, at.phases, order)
    best = np.full(len(question.points), np.inf)
    relus = [k for k, layer in enumerate(network.layers) if layer.kind == "relu"]
    void: list[Array] | None = None
    for rows in rows_of_layers(network, at.phases, max(relus, default=-1) + 1):
        k = rows.layer
        if network.layers[k].kind != "relu":
            continue
        room = np.abs(at.pre[k]) - at.errors[k]
        norms = _norms(network, k, rows.shared, order) if rows.own is None else at_most_norm(rows.own, order)
        distance = at_least_ratio(room, norms + errors[k])
        if not (room > 0.0).all():
            void = void or zero(network, at.phases)
            distance = np.where(void[k], np.inf, distance)
        best = np.minimum(best, distance.min(axis=1, initial=np.inf))
    margins, normals, norm_errors, slack = margins_at(question, at, errors[-1])
    distance = at_least_ratio(margins - slack, at_most_norm(normals, order) + norm_errors)
    return np.asarray(np.minimum(best, distance.min(axis=1)))


def _norms(network: Network, layer: int, matrix: object, order: float) -> Array:
    """Norms of rows that are the layer's weights, computed once."""
    known = prepared(network).norms
    if (layer, order) not in known:
        known[layer, order] = row_norms(matrix, order)
    return known[layer, order]
