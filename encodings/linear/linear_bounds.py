"""Linear bounds of batches of nodes: one function, two ways to compute them, and the one place that chooses.

* `back_substitution`: numpy, batched matrix products; every network.
* `narrow_nodes`: compiled by numba, one node at a time; narrow dense ReLU networks. Several times faster there, because
  stable neurons leave the products, but numba takes a while to import (and, once per installation, to compile).
"""

from __future__ import annotations

import time
from weakref import WeakKeyDictionary

import numpy as np

from ...instances.batch import Batch
from ...instances.query import Query
from ..kernels.switch import Switch
from .back_substitution import back_substitute
from .bounds import Bounds, LinearBoundOptions, smallest_margins

__all__ = ["Bounds", "LinearBoundOptions", "bound", "smallest_margins"]

WIDEST = 256  # neurons of a layer up to which nodes one at a time beat batched products
KERNEL_AFTER = 0.3  # seconds that numpy spends on a query before numba's import is worth it


def _switch(query: Query) -> Switch:
    sizes, layers = query.network.sizes, query.network.layers
    dense = all(isinstance(w, np.ndarray) for layer in layers for w in layer.weights)
    kinds = all(layer.kind in ("relu", "identity") for layer in layers)
    return Switch("narrow", dense and kinds and max(sizes) <= WIDEST, KERNEL_AFTER)


_SWITCHES: WeakKeyDictionary[Query, Switch] = WeakKeyDictionary()


def bound(query: Query, batch: Batch, options: LinearBoundOptions | None = None) -> Bounds:
    """Linear bounds of all nodes of a batch, intersected with the inherited ones: never worse than the parent's."""
    options = options or LinearBoundOptions()
    switch = _SWITCHES.get(query) or _SWITCHES.setdefault(query, _switch(query))
    if switch.compiled(options.kernel):
        from .narrow_bounds import bound_narrow

        return bound_narrow(query, batch, options)
    started = time.monotonic()
    bounds = back_substitute(query, batch, options)
    switch.seconds += time.monotonic() - started
    return bounds
