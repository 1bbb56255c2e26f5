"""Some of many inputs that stand for all of them in an ascent on slopes.

An ascent needs sum_j |a'W|_j r_j over the inputs j only to compare one choice of slopes with another: the sum over some
of the columns of W r, times what theirs have of all columns' sizes, does nearly as well and costs a share of the
product that is most of a hidden row's price. The bound that the found slopes prove is evaluated on all inputs. Columns
are taken from all ranks of size alike, so that few large ones do not decide alone.
"""

from __future__ import annotations

from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from ...instances.network import Array
from ..linear.first_layer_ball import Ball

__all__ = ["Sample", "sample_of"]

SHARE = 3  # one of so many inputs: half of them cost more time, fewer more nodes, see docs/performance.md
LEAST = 64  # inputs of a sample


class Sample(NamedTuple):
    """Inputs that an ascent looks at."""

    order: Array  # [inputs] int: these first, then all others
    taken: int  # how many they are
    factor: float  # of their sum


def sample_of(ball: Ball) -> Sample:
    """All inputs where they are few, or where the layer is sparse: each of its rows has few anyway."""
    if ball not in _SAMPLES:
        _SAMPLES[ball] = _sample(ball)
    return _SAMPLES[ball]


_SAMPLES: WeakKeyDictionary[Ball, Sample] = WeakKeyDictionary()


def _sample(ball: Ball) -> Sample:
    if not isinstance(ball.scaled, np.ndarray) or ball.inputs < SHARE * LEAST:
        return Sample(np.arange(ball.inputs), ball.inputs, 1.0)
    sizes = np.abs(ball.scaled).sum(axis=0, dtype=np.float64)
    ranks = np.argsort(-sizes, kind="stable")
    turn = np.arange(ball.inputs) % (2 * SHARE)
    chosen = (turn == 0) | (turn == 2 * SHARE - 1)  # the first of a run, the last of the next one
    order = np.concatenate([ranks[chosen], ranks[~chosen]])
    taken = int(chosen.sum())
    mine = float(sizes[order[:taken]].sum())
    return Sample(order, taken, float(sizes.sum()) / mine if mine > 0.0 else 1.0)
