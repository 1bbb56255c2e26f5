"""Flat layout of a network's rows and of one disjunct's margins, as `contraction` and its numpy twin read them."""

from __future__ import annotations

from typing import NamedTuple

from ...instances.network import Array

__all__ = ["Rows"]


class Rows(NamedTuple):
    """All rows of a query's network and of one disjunct, sparse, in topological order; see `contraction`."""

    inputs: int
    neurons: int
    ends: Array  # [rows + 1] int: row i has the entries ends[i]:ends[i + 1]
    columns: Array  # [entries] int: input v for v < inputs, else the value of neuron v - inputs
    weights: Array  # [entries]
    bias: Array  # [rows]
    error: Array  # [rows] bias errors
    relative: Array  # [rows] relative error of a sum over the row, outward
    relu: Array  # [neurons] bool
    back: float  # relative error of a margin's function
