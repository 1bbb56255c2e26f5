"""Sequences of tensors, as long as their lengths and the positions are constants: lists while the graph is read."""

from __future__ import annotations

import numpy as np

from ..errors import NetworkError
from ..expressions.node import Constant, Node, Sequence, Tensor, joined, moved

__all__ = ["at", "concatenated", "construct", "empty", "erase", "insert", "length", "split_up"]


def construct(node: Node) -> Sequence:
    """SequenceConstruct."""
    return Sequence(tuple(node.tensor(i) for i in range(len(node.inputs))))


def empty(node: Node) -> Sequence:
    """SequenceEmpty."""
    return Sequence(())


def _position(node: Node, i: int, count: int, usual: int) -> int:
    place = int(node.constant(i).array.reshape(-1)[0]) if node.has(i) else usual
    if not -count <= place < max(count, 1):
        raise NetworkError(f"position {place} of a sequence of {count}")
    return place % max(count, 1)


def at(node: Node) -> Tensor:
    """SequenceAt."""
    parts = node.sequence(0).parts
    if not parts:
        raise NetworkError("an entry of an empty sequence")
    return parts[_position(node, 1, len(parts), 0)]


def erase(node: Node) -> Sequence:
    """SequenceErase, the last one where no position is given."""
    parts = node.sequence(0).parts
    if not parts:
        raise NetworkError("an entry of an empty sequence")
    place = _position(node, 1, len(parts), -1)
    return Sequence(parts[:place] + parts[place + 1 :])


def insert(node: Node) -> Sequence:
    """SequenceInsert, at the end where no position is given."""
    parts, new = node.sequence(0).parts, node.tensor(1)
    place = len(parts)
    if node.has(2):
        place = int(node.constant(2).array.reshape(-1)[0])
        if not -len(parts) <= place <= len(parts):
            raise NetworkError(f"position {place} of a sequence of {len(parts)}")
        place += len(parts) if place < 0 else 0
    return Sequence((*parts[:place], new, *parts[place:]))


def length(node: Node) -> Constant:
    """SequenceLength."""
    return Constant(np.array(len(node.sequence(0).parts), dtype=np.int64))


def concatenated(node: Node) -> Tensor:
    """ConcatFromSequence, along an axis or a new one."""
    parts, axis = list(node.sequence(0).parts), int(node.attributes["axis"])
    if not parts:
        raise NetworkError("a join of an empty sequence")
    if node.flag("new_axis"):
        return joined(node, parts, lambda *i: np.stack(i, axis=axis))
    return joined(node, parts, lambda *i: np.concatenate(i, axis=axis))


def split_up(node: Node) -> Sequence:
    """SplitToSequence: parts of one length, of given lengths, or single entries."""
    x, axis = node.tensor(0), int(node.attributes.get("axis", 0))
    if not -len(x.shape) <= axis < len(x.shape):
        raise NetworkError(f"axis {axis} of a tensor of shape {x.shape}")
    size, keep = x.shape[axis], True
    if not node.has(1):
        lengths, keep = [1] * size, node.flag("keepdims", True)
    else:
        given = node.constant(1).array
        if given.ndim:
            lengths = [int(n) for n in given]
        else:
            step = int(given)
            if step < 1:
                raise NetworkError(f"parts of {step} entries")
            lengths = [min(step, size - start) for start in range(0, size, step)]
    if sum(lengths) != size or min(lengths, default=0) < 0:
        raise NetworkError(f"parts {lengths} of an axis of length {size}")
    ends = np.cumsum(lengths)
    ranges = [np.arange(end - n, end) for n, end in zip(lengths, ends, strict=True)]
    parts = [moved(node, x, lambda i, r=r: np.take(i, r, axis=axis)) for r in ranges]  # type: ignore[misc]
    return Sequence(tuple(parts if keep else (moved(node, p, lambda i: np.squeeze(i, axis)) for p in parts)))
