"""Matrices of ONNX's linear operators, sparse, built from index arrays without loops over pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from .network import Array

__all__ = ["convolution", "matmul_left", "matmul_right", "pooling_windows", "window_mean"]


MOST_ENTRIES = (
    10**9
)  # that the windows of an image may read: more is a damaged file, or needs gigabytes of indices


def matmul_right(shape: tuple[int, ...], weight: Array) -> tuple[sp.csr_array, tuple[int, ...]]:
    """x @ weight for x of `shape` [..., k] and weight [k, n]: matrix on the flat x, shape of the result."""
    k, n = weight.shape
    if shape[-1] != k:
        raise ValueError(f"a product of shapes {shape} and {weight.shape}")
    repeats = int(np.prod(shape[:-1]))
    matrix = sp.csr_array(weight.T)
    if repeats > 1:
        matrix = sp.csr_array(sp.kron(sp.eye_array(repeats), matrix, format="csr"))
    return matrix, (*shape[:-1], n)


def matmul_left(weight: Array, shape: tuple[int, ...]) -> tuple[sp.csr_array, tuple[int, ...]]:
    """weight @ x for weight [m, k] and x of `shape` [..., k, n] or [k]."""
    m, k = weight.shape
    vector = len(shape) == 1
    inner, n = (shape[0], 1) if vector else shape[-2:]
    if inner != k:
        raise ValueError(f"a product of shapes {weight.shape} and {shape}")
    matrix = sp.kron(sp.csr_array(weight), sp.eye_array(n), format="csr")
    repeats = 1 if vector else int(np.prod(shape[:-2]))
    if repeats > 1:
        matrix = sp.kron(sp.eye_array(repeats), matrix, format="csr")
    return sp.csr_array(matrix), ((m,) if vector else (*shape[:-2], m, n))


def pooling_windows(
    shape: tuple[int, ...], kernel: list[int], attributes: dict[str, Any]
) -> tuple[Array, tuple[int, ...]]:
    """Flat indices that each window reads: ([channels, windows, entries], spatial shape of the result).

    shape: [1, channels, *spatial]. Entries outside the image are -1; those beyond even the explicit
    padding (a last window that ceil_mode adds) are -2.
    """
    spatial = shape[2:]
    strides = list(attributes.get("strides") or [1] * len(spatial))
    dilations = list(attributes.get("dilations") or [1] * len(spatial))
    pads = _pads(spatial, kernel, strides, dilations, attributes)
    ceil = bool(attributes.get("ceil_mode", 0))
    axes, out = [], []
    for d, size in enumerate(spatial):
        reach = dilations[d] * (kernel[d] - 1) + 1
        room = size + pads[0][d] + pads[1][d] - reach
        if room < 0:
            raise ValueError(f"a window of {reach} on {size} entries with padding {pads[0][d]}, {pads[1][d]}")
        count = (-(-room // strides[d]) if ceil else room // strides[d]) + 1
        if ceil and (count - 1) * strides[d] >= size + pads[0][d]:
            count -= 1  # a window must start inside the image or its left padding
        if count * kernel[d] > MOST_ENTRIES:
            raise ValueError(f"{count} windows of {kernel[d]} entries")
        position = (
            np.arange(count)[:, None] * strides[d] + np.arange(kernel[d])[None] * dilations[d] - pads[0][d]
        )
        axes.append(
            np.where(
                position >= size + pads[1][d], -2, np.where((position < 0) | (position >= size), -1, position)
            )
        )
        out.append(count)
    flat = np.zeros((1, 1), dtype=np.int64)
    for d, position in enumerate(axes):
        windows, entries = flat.shape
        if flat.size * position.size * shape[1] > MOST_ENTRIES:
            raise ValueError(f"windows of more than {MOST_ENTRIES:.0e} entries in all")
        joined = flat[:, None, :, None] * spatial[d] + np.maximum(position, 0)[None, :, None, :]
        outside = np.minimum(np.minimum(flat, 0)[:, None, :, None], np.minimum(position, 0)[None, :, None, :])
        flat = np.where(outside < 0, outside, joined).reshape(windows * out[d], entries * kernel[d])
    channels = np.arange(shape[1])[:, None, None] * int(np.prod(spatial))
    return np.where(flat < 0, flat, flat + channels), tuple(out)


def _pads(
    spatial: tuple[int, ...],
    kernel: list[int],
    strides: list[int],
    dilations: list[int],
    attributes: dict[str, Any],
) -> tuple[list[int], list[int]]:
    """Padding before and after each axis."""
    dims = len(spatial)
    auto = attributes.get("auto_pad", b"NOTSET")
    auto = auto.decode() if isinstance(auto, bytes) else auto
    if auto in ("NOTSET", ""):
        pads = list(attributes.get("pads") or [0] * (2 * dims))
        return pads[:dims], pads[dims:]
    if auto == "VALID":
        return [0] * dims, [0] * dims
    before, after = [], []
    for size, k, stride, dilation in zip(spatial, kernel, strides, dilations, strict=True):
        total = max(0, (-(-size // stride) - 1) * stride + dilation * (k - 1) + 1 - size)
        small, large = total // 2, total - total // 2
        before.append(small if auto == "SAME_UPPER" else large)
        after.append(large if auto == "SAME_UPPER" else small)
    return before, after


def convolution(
    shape: tuple[int, ...], weight: Array, attributes: dict[str, Any]
) -> tuple[sp.csr_array, tuple[int, ...]]:
    """Conv of an image [1, channels, *spatial] with weight [filters, channels / groups, *kernel]."""
    groups = int(attributes.get("group", 1))
    filters, depth, *kernel = weight.shape
    if shape[0] != 1 or shape[1] != depth * groups or filters % groups or len(kernel) != len(shape) - 2:
        raise ValueError(f"a convolution of {shape} with weights {weight.shape} in {groups} groups")
    windows, out = pooling_windows(shape, kernel, attributes)
    count = windows.shape[1]
    # [groups, windows, depth * kernel entries]
    read = windows.reshape(groups, depth, count, -1).transpose(0, 2, 1, 3).reshape(groups, count, -1)
    per_group = filters // groups
    columns = np.broadcast_to(read[:, None], (groups, per_group, *read.shape[1:])).reshape(
        filters * count, -1
    )
    flat = weight.reshape(filters, 1, -1)
    data = np.broadcast_to(flat, (filters, count, flat.shape[2])).reshape(filters * count, -1)
    return _rows(columns, data, int(np.prod(shape))), (1, filters, *out)


def window_mean(windows: Array, size: int, include_pad: bool) -> sp.csr_array:
    """Averages over the windows of `pooling_windows`; padding counts as entries with `include_pad`."""
    flat = windows.reshape(-1, windows.shape[2])
    counted = (flat > -2) if include_pad else (flat >= 0)
    share = 1.0 / counted.sum(axis=1)
    return _rows(flat, np.broadcast_to(share[:, None], flat.shape), size)


def _rows(columns: Array, data: Array, width: int) -> sp.csr_array:
    """A csr matrix from padded rows, without the entries whose column is negative or whose weight is zero."""
    keep = (columns >= 0) & (data != 0.0)
    pointers = np.concatenate([[0], np.cumsum(keep.sum(axis=1))])
    matrix = sp.csr_array(
        (data[keep].astype(np.float64), columns[keep], pointers), shape=(len(columns), width)
    )
    matrix.sum_duplicates()
    return matrix
