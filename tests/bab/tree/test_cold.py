"""What is known of nodes that wait on the disk, and how they are cut into pieces."""

from __future__ import annotations

import numpy as np
import pytest

from hypersplit.bab.tree import cold
from hypersplit.bab.tree.cold import Cold, size_mb, slices
from hypersplit.instances.batch import Batch, root
from hypersplit.instances.families.random_networks import random_network, random_property
from hypersplit.instances.multipliers import Multipliers
from hypersplit.instances.query import queries


def nodes(count: int) -> Batch:
    """Copies of a root, told apart by their numbers, margins and depths."""
    network = random_network([3, 5, 2], seed=0)
    batch = root(queries(network, random_property(network, seed=0))[0])[np.zeros(count, dtype=np.intp)]
    batch.number, batch.margin, batch.depth = np.arange(count), -1.0 - np.arange(count), 2 + np.arange(count)
    return batch


class Nowhere:
    """A source of nothing."""

    def data(self) -> bytes:
        """See `Source`."""
        return b""


def test_what_is_known_without_reading() -> None:
    """Their number, the least margin, the share of the tree and the least depth."""
    found = Cold.of(nodes(3), "name", Nowhere())
    assert (len(found), found.margin, found.share, found.depth) == (3, -3.0, 1 / 4 + 1 / 8 + 1 / 16, 2)


@pytest.mark.parametrize("count", [1, 7, 40])
def test_slices_are_all_nodes_in_order(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is no larger than a piece, unless it is a single node, and none is left out."""
    batch = nodes(count)
    for rows in (0.5, 1, 3, 100):
        monkeypatch.setattr(cold, "PIECE_MB", rows * size_mb(nodes(1)) * 1.01)
        parts = list(slices(batch))
        assert np.concatenate([part.number for part in parts]).tolist() == list(range(count))
        assert max(map(len, parts)) == min(count, max(1, int(rows)))


def test_multipliers_have_their_size() -> None:
    """What an ascent left counts as well as bounds do."""
    plain, known = nodes(4), nodes(4)
    known.multipliers = Multipliers.none((4, 2), 1000, 2, 3)
    assert size_mb(known) - size_mb(plain) == pytest.approx(4e-6 * 4 * 2 * (1000 + 2 + 3))
