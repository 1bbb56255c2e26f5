"""Linear bounds of batches of nodes: one function, two ways to compute them, and the one place that chooses.

* `back_substitution`: numpy, batched matrix products; every network.
* `kernels`: compiled by numba, one node at a time; narrow dense ReLU networks. Several times faster there, because
  stable neurons leave the products, but numba takes a while to import (and, once per installation, to compile).
"""

from __future__ import annotations

import sys
import time
from weakref import WeakKeyDictionary

import numpy as np

from ..instances.batch import Batch
from ..instances.query import Query
from .back_substitution import back_substitute
from .bounds import Bounds, LinearBoundOptions, gamma, smallest_margins
from .kernel_cache import compile_in_background, kernels_ready

__all__ = ["Bounds", "LinearBoundOptions", "bound", "gamma", "smallest_margins"]

WIDEST = 256  # neurons of a layer up to which nodes one at a time beat batched products
KERNEL_AFTER = 0.12  # seconds that numpy spends on a query before numba's import is worth it


class _Engine:
    """How one query is bounded: numpy at first, the kernel once numpy has taken long enough to repay the import."""

    def __init__(self, query: Query) -> None:
        sizes, layers = query.network.sizes, query.network.layers
        dense = all(isinstance(w, np.ndarray) for layer in layers for w in layer.weights)
        kinds = all(layer.kind in ("relu", "identity") for layer in layers)
        self.narrow = dense and kinds and max(sizes) <= WIDEST
        self.seconds = 0.0
        self.ready = "numba" in sys.modules and kernels_ready()

    def compiled(self, choice: str) -> bool:
        """Whether the next batch goes to the kernel."""
        if choice != "auto" or not self.narrow:
            return self.narrow and choice == "compiled"
        if not self.ready and self.seconds > KERNEL_AFTER:
            self.ready = kernels_ready()
            if not self.ready:
                compile_in_background()
        return self.ready


_ENGINES: WeakKeyDictionary[Query, _Engine] = WeakKeyDictionary()


def bound(query: Query, batch: Batch, options: LinearBoundOptions | None = None) -> Bounds:
    """Linear bounds of all nodes of a batch, intersected with the inherited ones: never worse than the parent's."""
    options = options or LinearBoundOptions()
    engine = _ENGINES.setdefault(query, _Engine(query)) if query not in _ENGINES else _ENGINES[query]
    if engine.compiled(options.kernel):
        from .narrow_bounds import bound_narrow

        return bound_narrow(query, batch, options)
    started = time.monotonic()
    bounds = back_substitute(query, batch, options)
    engine.seconds += time.monotonic() - started
    return bounds
