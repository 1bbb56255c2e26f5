"""The kernel's Python side: what it lays out, and that parts and threads change nothing."""

from __future__ import annotations

import numpy as np
import pytest
from random_instances import Shape, random_instance, random_nodes

from hypersplit.encodings.linear import narrow_bounds
from hypersplit.encodings.linear.bounds import LinearBoundOptions
from hypersplit.encodings.linear.narrow_bounds import bound_narrow
from hypersplit.instances.batch import root
from hypersplit.instances.query import queries

OPTIONS = LinearBoundOptions(kernel="compiled", means=True, conjunctions=True)


def test_parts_and_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any division of a batch among threads gives the arrays of one."""
    monkeypatch.setattr(narrow_bounds, "FEWEST", 1)
    for seed in range(6):
        instance = random_instance(seed)
        query = queries(instance.network, instance.prop)[0]
        batch = random_nodes(np.random.default_rng(seed), query, 11)
        one, three = (bound_narrow(query, batch, OPTIONS._replace(threads=n)) for n in (1, 3))
        for name in ("pre_lower", "pre_upper", "margins", "coefficients", "constants", "points", "together"):
            np.testing.assert_array_equal(getattr(one, name), getattr(three, name), err_msg=f"{instance}: {name}")


def test_the_batch_stays_as_it_was() -> None:
    """Bounds are improved in copies; NaN among the inherited ones is none."""
    instance = random_instance(2)
    query = queries(instance.network, instance.prop)[0]
    batch = root(query)
    batch.pre_lower[0, 0] = batch.pre_upper[0, 0] = np.nan
    found = bound_narrow(query, batch, OPTIONS)
    clean = bound_narrow(query, root(query), OPTIONS)
    assert np.isnan(batch.pre_lower[0, 0]) and (batch.pre_lower[0, 1:] == -np.inf).all()
    np.testing.assert_array_equal(found.margins, clean.margins)


def test_only_what_is_asked_for_is_there() -> None:
    """Means and points cost memory: without their options they are None."""
    instance = random_instance(3, shape=Shape(most_inputs=2))
    query = queries(instance.network, instance.prop)[0]
    bare = bound_narrow(query, root(query), LinearBoundOptions(kernel="compiled"))
    full = bound_narrow(query, root(query), OPTIONS)
    assert bare.means is None and bare.points is None and bare.together is None and bare.functions is not None
    assert full.means is not None and full.points is not None and full.together is not None
    assert full.means.functions.shape == (1, query.neurons, query.network.input_size + 1)
