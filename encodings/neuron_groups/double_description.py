"""Facets of hulls of a few dozen points that lie on many common planes, by the double description method.

Rows h = (normal, offset) that are >= 0 at all points form a cone whose extreme rays are the facets. The points are
taken in one after another (Motzkin, Raiffa, Thompson and Thrall 1953; Fukuda and Prodon, *Double description method
revisited*, 1996): rays that are negative at the new point go, and every pair of *adjacent* rays, one positive and one
negative, gives a new one, zero there. Two rays are adjacent if no third one is zero at all points where both are.

Points of ReLU graphs are degenerate by construction: whole pieces lie in y_i = 0 or y_i = z_i. Qhull, which merges or
joggles simplices, breaks down on them in six dimensions; here a point is on a plane or it is not.

Hundreds of hulls at once: all take in their i-th point together, their rays one hull after another in the same arrays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ...instances.network import Array

__all__ = ["hull_facets"]

ZERO = 1e-9  # of a row scaled to a largest entry of 1, at points of size 1: the point is on the plane
TOGETHER = 2**17  # hulls worked on at a time, times 4 for every dimension: each has more rays
FEW_RAYS = 64  # of a hull up to which pairs of all hulls are looked at together
MOST_PAIRS = 2**22  # pairs of rays, times points or third rays, worked on at a time


def hull_facets(sets: Sequence[Array]) -> list[Array]:
    """[R, d + 1] rows (normal, offset), normal @ x + offset >= 0, of the hull of each set of points [N, d].

    Points should be of size about 1, all of one dimension d. Raises LinAlgError if those of a set lie in a plane.
    """
    found: list[Array] = [np.zeros(0)] * len(sets)
    order = np.argsort([len(points) for points in sets], kind="stable")
    step = max(1, TOGETHER // 4 ** (sets[0].shape[1] if len(sets) else 0))
    for start in range(0, len(order), step):
        some = order[start : start + step]
        for i, facets in zip(some.tolist(), _facets([sets[j] for j in some]), strict=True):
            found[i] = facets
    return found


def _facets(sets: Sequence[Array]) -> list[Array]:
    points = np.zeros((len(sets), max(map(len, sets)), sets[0].shape[1] + 1))
    for row, own in zip(points, sets, strict=True):
        row[: len(own), :-1], row[: len(own), -1] = own, 1.0
    points = _simplex_first(points)
    count, most, d = points.shape
    rays = _unit(np.linalg.inv(points[:, :d]).transpose(0, 2, 1).reshape(-1, d))
    owner = np.repeat(np.arange(count), d)
    on = np.zeros((len(rays), most), dtype=bool)  # which of the points so far lie on a ray's plane
    on[:, :d] = _on(rays, owner, points[:, :d])
    for i in range(d, most):  # sets with fewer points have zeros, where every ray is 0
        value = np.einsum("td,td->t", rays, points[owner, i])
        keep = value > -ZERO
        on[:, i] = np.abs(value) <= ZERO
        if keep.all():
            continue
        adjacent = _one_by_one if len(rays) > FEW_RAYS * count else _together
        one, two = adjacent(owner, on[:, :i], value > ZERO, ~keep, d - 2)
        new = _unit(value[one, None] * rays[two] - value[two, None] * rays[one])
        touching = np.zeros((len(new), most), dtype=bool)
        touching[:, : i + 1] = _on(new, owner[one], points[:, : i + 1])
        rays, on = np.vstack([rays[keep], new]), np.vstack([on[keep], touching])
        owner = np.concatenate([owner[keep], owner[one]])
        place = np.argsort(owner, kind="stable")
        rays, on, owner = rays[place], on[place], owner[place]
    return np.split(rays, np.searchsorted(owner, np.arange(1, count)))


def _simplex_first(points: Array) -> Array:
    """[G, N, d] each set's points, first those that span the space, each as far as can be from the span before."""
    count, most, d = points.shape
    rest, every = points.copy(), np.arange(count)
    rank = np.full((count, most), d)
    for i in range(d):
        size = (rest * rest).sum(axis=2)
        best = size.argmax(axis=1)
        if (size[every, best] < ZERO**2).any():
            raise np.linalg.LinAlgError("the points lie in a plane")
        rank[every, best] = i
        direction = rest[every, best] / np.sqrt(size[every, best])[:, None]
        rest -= np.einsum("gnd,gd->gn", rest, direction)[:, :, None] * direction[:, None]
    order = np.argsort(rank, axis=1, kind="stable")
    return np.take_along_axis(points, order[:, :, None], axis=1)


def _on(rays: Array, owner: Array, points: Array) -> Array:
    """[T, n] bool: rays [T, d] are zero at points [G, n, d] of their own sets."""
    step, found = max(1, MOST_PAIRS // points[0].size), np.zeros((len(rays), points.shape[1]), dtype=bool)
    for t in range(0, len(rays), step):
        part = slice(t, t + step)
        found[part] = np.abs(np.matmul(points[owner[part]], rays[part, :, None])[:, :, 0]) <= ZERO
    return found


def _one_by_one(owner: Array, on: Array, above: Array, below: Array, least: int) -> tuple[Array, Array]:
    """`_together` for sets of many rays, by products of matrices, one set after another."""
    parts = [(np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp))]
    first = np.searchsorted(owner, np.arange(owner[-1] + 2))
    for g in np.unique(owner[below]).tolist():
        mine = slice(int(first[g]), int(first[g + 1]))
        zeros = on[mine].astype(np.float32)
        tops, bottoms = np.flatnonzero(above[mine]), np.flatnonzero(below[mine])
        one, two = np.nonzero(zeros[tops] @ zeros[bottoms].T >= least)
        one, two = tops[one], bottoms[two]
        common = zeros[one] * zeros[two]
        need, holding = common.sum(axis=1), np.zeros(len(one), dtype=np.intp)
        step = max(1, MOST_PAIRS // len(zeros))
        for p in range(0, len(one), step):
            part = slice(p, p + step)
            holding[part] = np.count_nonzero(common[part] @ zeros.T >= need[part, None] - 0.5, axis=1)
        parts.append((one[holding == 2] + mine.start, two[holding == 2] + mine.start))
    return np.concatenate([a for a, _ in parts]), np.concatenate([b for _, b in parts])


def _together(owner: Array, on: Array, above: Array, below: Array, least: int) -> tuple[Array, Array]:
    """Pairs of adjacent rays of one set, (those `above` [T] bool, those `below`); on: [T, n] bool, points on them.

    owner: [T] ascending; least: points that two adjacent rays have in common at least.
    """
    packed = np.packbits(on, axis=1)
    first = np.searchsorted(owner, np.arange(owner[-1] + 2))  # where each set's rays begin
    parts = []
    for one, two in _pairs(owner, np.flatnonzero(above), np.flatnonzero(below), MOST_PAIRS // on.shape[1]):
        enough = np.count_nonzero(on[one] & on[two], axis=1) >= least
        one, two = one[enough], two[enough]
        common, rays = packed[one] & packed[two], np.diff(first)[owner[one]]
        holding = np.zeros(len(one), dtype=np.intp)
        for part in _portions(rays, MOST_PAIRS // packed.shape[1]):
            pair, third = _ragged(rays[part], first[owner[one[part]]])
            own = common[part][pair]
            holding[part] = np.bincount(pair[((packed[third] & own) == own).all(axis=1)], minlength=len(rays[part]))
        parts.append((one[holding == 2], two[holding == 2]))
    return np.concatenate([a for a, _ in parts]), np.concatenate([b for _, b in parts])


def _pairs(owner: Array, above: Array, below: Array, most: int) -> Iterator[tuple[Array, Array]]:
    """All pairs of an entry of `above` and one of `below` with the same owner, about `most` at a time."""
    begin = np.searchsorted(owner[below], np.arange(owner[-1] + 2))
    counts = np.diff(begin)[owner[above]]
    for part in _portions(counts, most):
        which, place = _ragged(counts[part], begin[owner[above[part]]])
        yield above[part][which], below[place]


def _portions(counts: Array, most: int) -> list[slice]:
    """Parts of a list, at least one, whose counts sum to about `most` each."""
    sums = np.cumsum(counts)
    ends = np.searchsorted(sums, np.arange(most, int(sums[-1]) if len(sums) else 0, most)) + 1
    ends = np.unique(np.append(ends, len(counts)))
    return [slice(int(a), int(b)) for a, b in zip(np.append(0, ends[:-1]), ends, strict=True)]


def _ragged(counts: Array, first: Array) -> tuple[Array, Array]:
    """(i, first[i] + 0, 1, ..., counts[i] - 1) for every i, one after another."""
    which = np.repeat(np.arange(len(counts)), counts)
    steps = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    return which, first[which] + steps


def _unit(rays: Array) -> Array:
    return rays / np.abs(rays).max(axis=1, keepdims=True)
