"""How many neurons a property leaves undecided, a measure of its difficulty."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ...encodings.linear.linear_bounds import bound
from ...instances.batch import root
from ...instances.query import queries
from ..run.options import named

__all__ = ["unstable_neurons"]


def unstable_neurons(
    network_path: str | os.PathLike[str], property_path: str | os.PathLike[str], inputs: str = "", outputs: str = ""
) -> list[int]:
    """Unstable ReLUs (l < 0 < u) of each layer under the linear bounds of the whole input set.

    inputs, outputs: names of those that count, see `Options`.
    With several input sets, each layer's largest number. Layers without ReLUs give 0.

    Raises InputError for files that cannot be understood.
    """
    from ...instances.onnx.reader import read_network
    from ...instances.vnnlib.reader import read_property

    network = read_network(Path(network_path), named(inputs), named(outputs))
    prop = read_property(Path(property_path), network.input_size, network.output_size)
    most = np.zeros(len(network.layers), dtype=np.int64)
    for query in queries(network, prop):
        bounds = bound(query, root(query))
        if bounds.infeasible[0]:
            continue
        open_neurons = query.relu & (bounds.pre_lower[0] < 0.0) & (bounds.pre_upper[0] > 0.0)
        most = np.maximum(most, [int(open_neurons[part].sum()) for part in query.slices])
    return [int(n) for n in most]
