"""Operators that pick, place and mask entries by constant indices and truth values: moves, too."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import NetworkError, UnsupportedOperatorError
from ..expressions.affine import Expression, check_size
from ..expressions.element_types import FLOATS
from ..expressions.node import Constant, Node, Tensor, joined, moved
from ..nonlinear.jumps import chosen

__all__ = [
    "compress", "gather", "gather_elements", "gather_nd", "reverse_sequence", "scatter_elements", "scatter_nd",
    "triangle", "where",
]  # fmt: skip


def _indices(node: Node, i: int) -> Any:
    index = node.constant(i).array
    if index.dtype.kind != "i":
        raise NetworkError(f"indices are {index.dtype}, expected integers")
    return index


def gather(node: Node) -> Tensor:
    """Gather along one axis."""
    x, index = node.tensor(0), _indices(node, 1)
    return moved(node, x, lambda i: np.take(i, index, axis=int(node.attributes.get("axis", 0))))


def gather_elements(node: Node) -> Tensor:
    """GatherElements: one index for each entry of the result."""
    index, axis = _indices(node, 1), int(node.attributes.get("axis", 0))
    return moved(node, node.tensor(0), lambda i: _along(i, index, axis)[0][_along(i, index, axis)[1]])


def _along(array: Any, index: Any, axis: int) -> tuple[Any, tuple[Any, ...]]:
    """The array, and the places of entries index[...] along an axis; other axes may be shorter than the array's."""
    if array.ndim != index.ndim or not -array.ndim <= axis < array.ndim:
        raise NetworkError(f"indices of shape {index.shape} along axis {axis} of a tensor of shape {array.shape}")
    places = list(np.indices(index.shape))
    places[axis] = index
    return array, tuple(places)


def gather_nd(node: Node) -> Tensor:
    """GatherND: each index of the last axis picks a slice; the first batch_dims axes go along."""
    x, index, batch = node.tensor(0), _indices(node, 1), int(node.attributes.get("batch_dims", 0))
    if not index.ndim or not 0 <= batch < min(index.ndim, len(x.shape)) or index.shape[:batch] != x.shape[:batch]:
        raise NetworkError(f"indices of shape {index.shape}, batch_dims {batch}, a tensor of shape {x.shape}")
    grid = np.indices(index.shape[:-1])[:batch]
    places = (*grid, *np.moveaxis(index, -1, 0))
    check_size(math.prod(index.shape[:-1]) * math.prod(x.shape[len(places) :]))
    return moved(node, x, lambda i: i[places])


def scatter_elements(node: Node) -> Tensor:
    """Scatter and ScatterElements: one index for each entry that is put in."""
    index, axis = _indices(node, 1), int(node.attributes.get("axis", 0))
    shape = node.tensor(0).shape
    if node.tensor(2).shape != index.shape:
        raise NetworkError(f"indices of shape {index.shape} for updates of shape {node.tensor(2).shape}")
    places = _along(np.zeros(shape, dtype=np.int8), index, axis)[1]
    return _scattered(node, np.arange(math.prod(shape)).reshape(shape)[places])


def scatter_nd(node: Node) -> Tensor:
    """ScatterND: each index of the last axis says where a slice is put in."""
    index, shape = _indices(node, 1), node.tensor(0).shape
    flat = np.arange(math.prod(shape)).reshape(shape)
    places = flat[tuple(np.moveaxis(index, -1, 0))]
    if places.shape != node.tensor(2).shape:
        raise NetworkError(f"updates of shape {node.tensor(2).shape}, the indices ask for {places.shape}")
    return _scattered(node, places)


def _scattered(node: Node, places: Any) -> Tensor:
    """Input 0 with input 2 put in, or added, at flat positions."""
    x, updates, reduction = node.tensor(0), node.tensor(2), node.text("reduction", "none")
    if len(np.unique(places)) < places.size:
        raise UnsupportedOperatorError("indices that name an entry twice, whose order ONNX leaves open")

    def put(entries: Any, new: Any) -> Any:
        result = entries.copy().reshape(-1)
        result[places.reshape(-1)] = new.reshape(-1)
        return result.reshape(entries.shape)

    if reduction == "none":
        return joined(node, [x, updates], put)
    if reduction != "add" or not isinstance(x, Expression) or node.type(0) not in FLOATS:
        raise UnsupportedOperatorError(f"reduction {reduction!r} here; supported are 'none', and 'add' to float data")
    nothing = np.full(math.prod(x.shape), -1)
    spread = node.builder.move(
        node.affine(updates), lambda i: put(nothing.reshape(x.shape), i)
    )
    return node.builder.add(x, spread)


def where(node: Node) -> Tensor:
    """Where by a constant condition, or by one that depends on the input."""
    if isinstance(node.tensor(0), Expression):
        return chosen(node)
    condition = node.constant(0).array
    if condition.dtype.kind != "b":
        raise NetworkError(f"a condition of {condition.dtype}, expected truth values")
    check_size(math.prod(np.broadcast_shapes(condition.shape, node.tensor(1).shape, node.tensor(2).shape)))
    return joined(node, [node.tensor(1), node.tensor(2)], lambda a, b: np.where(condition, a, b))


def compress(node: Node) -> Tensor:
    """Compress: the entries along an axis, or of the flat tensor, whose truth value is true."""
    axis, chosen = node.attributes.get("axis"), np.flatnonzero(node.constant(1).array)
    return moved(node, node.tensor(0), lambda i: np.take(i, chosen, axis=None if axis is None else int(axis)))


def triangle(node: Node) -> Tensor:
    """Trilu: the upper or the lower triangle of the last two axes, zeros elsewhere."""
    x, k = node.tensor(0), int(node.constant(1).array.reshape(-1)[0]) if node.has(1) else 0
    if len(x.shape) < 2:
        raise NetworkError(f"a triangle of a tensor of shape {x.shape}, expected two axes or more")
    upper = node.flag("upper", True)
    ones = np.ones(x.shape[-2:], dtype=bool)
    kept = np.triu(ones, k) if upper else np.tril(ones, k)
    if isinstance(x, Constant):
        return Constant(np.where(kept, x.array, np.zeros((), dtype=x.array.dtype)), x.roundings, x.name)
    return node.builder.move(x, lambda i: np.where(kept, i, -1))


def reverse_sequence(node: Node) -> Tensor:
    """ReverseSequence: the first lengths[b] entries of the time axis turned round, for each entry b of the batch."""
    x, lengths = node.tensor(0), _indices(node, 1)
    time, batch = int(node.attributes.get("time_axis", 0)), int(node.attributes.get("batch_axis", 1))
    if {time, batch} != {0, 1} or len(x.shape) < 2 or lengths.shape != (x.shape[batch],):
        raise NetworkError(f"lengths of shape {lengths.shape} for a tensor of shape {x.shape}")
    step = np.arange(x.shape[time])[:, None]
    turned = np.where(step < lengths, lengths - 1 - step, step)
    if int(turned.min(initial=0)) < 0 or int(turned.max(initial=0)) >= x.shape[time]:
        raise NetworkError(f"lengths {lengths.tolist()} on an axis of {x.shape[time]} entries")
    if time == 0:
        return moved(node, x, lambda i: i[turned, np.arange(x.shape[1])])
    return moved(node, x, lambda i: i[np.arange(x.shape[0])[:, None], turned.T])
