"""The same query without the ReLUs that are 0 on the whole region.

A ReLU whose pre-activation is proved <= 0 on the region has the value 0 there: its row, and its column in every later
layer, can go, and nothing is rounded. Networks lose a third to two thirds of their neurons that way, and every bound,
LP and MILP of the region is that much cheaper.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...instances import memory
from ...instances.batch import Batch
from ...instances.expressions.matrices import picking_mb
from ...instances.network import Array, Layer, Matrix
from ...instances.query import Query

__all__ = ["kept_neurons", "reduced", "restrict"]


def kept_neurons(query: Query, batch: Batch) -> Array:
    """[neurons] bool: all but the ReLUs that are inactive on every node by their bounds, without a phase.

    Every layer keeps at least one neuron.
    """
    dead = query.relu & ((batch.pre_upper <= 0.0) & (batch.phases == 0)).all(axis=0)
    for part in query.slices:
        if dead[part].all():
            dead[part.start] = False
    return np.asarray(~dead)


def reduced(query: Query, kept: Array) -> Query:
    """The query on its neurons `kept` [neurons] bool, see `kept_neurons`; valid on those nodes' regions."""
    keeps = [np.arange(query.network.input_size), *(np.flatnonzero(kept[part]) for part in query.slices)]
    layers = [_reduced(layer, rows, keeps) for layer, rows in zip(query.network.layers[:-1], keeps[1:], strict=True)]
    last = query.network.layers[-1]
    layers.append(_reduced(last, np.arange(last.size), keeps))
    return replace(query, network=replace(query.network, layers=tuple(layers), differences=()), lean=True)


def restrict(batch: Batch, kept: Array) -> Batch:
    """The nodes of a batch, with the bounds and phases of the kept neurons only; multipliers, and the
    neurons that were split last, are dropped."""
    return replace(
        batch, pre_lower=batch.pre_lower[:, kept], pre_upper=batch.pre_upper[:, kept], phases=batch.phases[:, kept],
        multipliers=None, last=np.zeros_like(batch.last),
    )  # fmt: skip


def _reduced(layer: Layer, rows: Array, keeps: list[Array]) -> Layer:
    for s, w in zip(layer.sources, layer.weights, strict=True):
        memory.claim(picking_mb(w, len(rows), len(keeps[s])))
    weights: tuple[Matrix, ...] = tuple(
        w[rows][:, keeps[s]] for s, w in zip(layer.sources, layer.weights, strict=True)
    )
    return replace(layer, weights=weights, bias=layer.bias[rows])
