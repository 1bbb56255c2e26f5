"""Transposed convolutions as matrices: the transpose of what a convolution with the same windows does.

Entry o of the result is the sum of the entries i and taps k with o = i stride + k dilation - padding, so each pair
(o, i) belongs to one tap at most.
"""

from __future__ import annotations

import math

import numpy as np

from ..errors import NetworkError
from ..expressions.affine import Expression
from ..expressions.node import Node
from ..sparse import sp
from .linear import batched, check_products

__all__ = ["conv_transpose"]


def conv_transpose(node: Node) -> Expression:
    """ConvTranspose of any number of axes, with groups, strides, padding, dilations and a stated output shape."""
    x, weights = node.expression(0), node.weights(1)
    w, group = weights.array, int(node.attributes.get("group", 1))
    if w.ndim < 3 or len(x.shape) != w.ndim or group < 1 or w.shape[0] % group or x.shape[1] != w.shape[0]:
        raise NetworkError(f"a transposed convolution of shape {x.shape} with weights {w.shape} in {group} groups")
    kernel = [int(k) for k in node.attributes.get("kernel_shape", w.shape[2:])]
    if kernel != list(w.shape[2:]):
        raise NetworkError(f"kernel_shape {kernel} for weights of shape {w.shape}")
    written, out = _targets(node, x.shape[2:], kernel)
    depth, filters, pixels, size = w.shape[0], w.shape[1], len(written), math.prod(out)
    check_products(float(depth) * filters * pixels * written.shape[1])
    pixel, tap = np.nonzero(written >= 0)
    source, each = np.meshgrid(np.arange(depth), np.arange(filters), indexing="ij")
    target = each + source // (depth // group) * filters
    rows = target[..., None] * size + written[pixel, tap]
    columns = np.broadcast_to(source[..., None] * pixels + pixel, rows.shape)
    data = w.reshape(depth, filters, -1)[..., tap]
    shape = (filters * group * size, depth * pixels)
    one = sp.csr_array(sp.coo_array((data.reshape(-1), (rows.reshape(-1), columns.reshape(-1))), shape=shape))
    result = node.builder.apply(
        batched(one, x.shape[0]), x, (x.shape[0], filters * group, *out), weights.roundings
    )
    if not node.has(2):
        return result
    offset, error = node.offset(node.weights(2))
    return node.builder.shift(result, offset.reshape(-1, *[1] * len(kernel)), error)


def _targets(node: Node, sizes: tuple[int, ...], kernel: list[int]) -> tuple[np.ndarray, tuple[int, ...]]:
    """([pixels, taps] flat positions that each pixel's taps write to, -1 outside the result, and its axes)."""
    dims = len(sizes)
    strides, dilations, more = (
        [int(v) for v in node.attributes.get(name) or [usual] * dims]
        for name, usual in (("strides", 1), ("dilations", 1), ("output_padding", 0))
    )
    pads = [int(p) for p in node.attributes.get("pads") or [0] * (2 * dims)]
    stated = [int(n) for n in node.attributes.get("output_shape") or []][-dims:]
    if not (len(strides) == len(dilations) == len(more) == dims and len(pads) == 2 * dims and len(stated) in (0, dims)):
        raise NetworkError(f"strides, dilations, output_padding, pads or output_shape do not have {dims} axes")
    if min([*kernel, *strides, *dilations], default=1) < 1 or min(more, default=0) < 0:
        raise NetworkError("kernel, strides and dilations must be positive, output_padding not negative")
    auto = node.text("auto_pad", "NOTSET")
    if auto not in ("NOTSET", "", "VALID", "SAME_UPPER", "SAME_LOWER"):
        raise NetworkError(f"auto_pad {auto!r}, expected NOTSET, VALID, SAME_UPPER or SAME_LOWER")
    flat = np.zeros((1, 1), dtype=np.int64)
    out: list[int] = []
    for d, n in enumerate(sizes):
        full = strides[d] * (n - 1) + more[d] + dilations[d] * (kernel[d] - 1) + 1
        before, after = (0, 0) if auto == "VALID" else (pads[d], pads[dims + d])
        if stated or auto.startswith("SAME"):
            total = max(0, full - (stated[d] if stated else n * strides[d]))
            before = total // 2 if auto == "SAME_UPPER" else total - total // 2
            after = total - before
        length = full - before - after
        if stated and length < stated[d]:
            length = stated[d]  # what lies beyond is nothing but the bias
        if length < 1:
            raise NetworkError(f"an axis of {length} entries in the result")
        check_products(float(len(flat)) * n * flat.shape[1] * kernel[d] + math.prod(out) * length)
        position = np.arange(n)[:, None] * strides[d] + np.arange(kernel[d]) * dilations[d] - before
        inside = (position >= 0) & (position < length)
        joint = flat[:, None, :, None] * length + position[None, :, None, :]
        kept = (flat >= 0)[:, None, :, None] & inside[None, :, None, :]
        flat = np.where(kept, joint, -1).reshape(len(flat) * n, flat.shape[1] * kernel[d])
        out.append(length)
    return flat, tuple(out)
