"""From raw numbers to a network's inputs: x = (raw * scale - mean) / std, channel by channel.

Networks take flat vectors; which of their places belong to a channel, and to a pixel, is told by the shape that the
file expects, or guessed where it is flat: squares are grey images, three squares one behind another are coloured ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...instances.errors import InputError
from ...instances.network import Array, Network

__all__ = ["Preparation", "flat", "picture_shape"]

COLOURS = (1, 3)  # channels that an image may have
LEAST_SIDE = 8  # pixels of a square from which a flat vector is taken for an image


@dataclass(frozen=True)
class Preparation:
    """x = (raw * scale - mean) / std. mean and std: one number, or one of each channel.

    Raises InputError where a number is not finite, or std not positive.
    """

    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        for name, values in (("scale", (self.scale,)), ("mean", self.mean), ("std", self.std)):
            if not values or not np.isfinite(values).all():
                raise InputError(f"--{name}: expected finite numbers")
        if self.scale == 0.0 or not min(self.std) > 0.0:
            raise InputError("--scale must not be 0, and --std must be positive")

    def of(self, raw: Array, network: Network) -> Array:
        """Inputs [..., n] of raw numbers [..., n]."""
        return self.normalised(raw * self.scale, network)

    def normalised(self, scaled: Array, network: Network) -> Array:
        """The same of numbers that are scaled already; also of the ends of their range, [..., n]."""
        mean, std = (self._spread(name, network) for name in ("mean", "std"))
        return np.asarray((scaled - mean) / std)

    def _spread(self, name: str, network: Network) -> Array:
        """[n], each place with its channel's number."""
        values = np.array(getattr(self, name), dtype=np.float64)
        if len(values) == 1:
            return np.full(network.input_size, values[0])
        shape = _outer(network)
        channels = shape[0] if len(shape) == 3 else 0
        if len(shape) == 3 and shape[0] not in COLOURS and shape[-1] in COLOURS:
            channels = shape[-1]
            return np.resize(values, network.input_size) if channels == len(values) else _complain(name, channels)
        if not channels:
            channels = len(values) if network.input_size % len(values) == 0 else 0
        if channels != len(values):
            return _complain(name, channels)
        return np.repeat(values, network.input_size // channels)


def flat(raw: Array, network: Network, name: str) -> Array:
    """Raw numbers of one input as float64 [n], images with the channels where the network has them.

    Raises InputError, naming the input, where they are no numbers or of another size.
    """
    if raw.dtype.kind not in "fiub":
        raise InputError(f"{name}: entries of type {raw.dtype}, expected numbers")
    expected = _outer(network)
    if raw.size != network.input_size:
        shape = network.input_shape or (network.input_size,)
        numbers = f"{network.input_size} numbers for inputs of shape {shape}"
        raise InputError(f"{name}: shape {raw.shape}, expected {numbers}")
    raw = raw.reshape(tuple(s for s in raw.shape if s != 1) or (1,)).astype(np.float64)
    channels_first = len(expected) != 3 or expected[0] in COLOURS
    if raw.ndim == 3 and channels_first and raw.shape[0] != 3 and raw.shape[-1] == 3:
        raw = raw.transpose(2, 0, 1)
    elif raw.ndim == 3 and not channels_first and raw.shape[0] == 3 and raw.shape[-1] != 3:
        raw = raw.transpose(1, 2, 0)
    return raw.reshape(-1)


def picture_shape(network: Network) -> tuple[tuple[int, int, int], bool] | None:
    """((channels, height, width), whether channels come last) of inputs that are images; None for others."""
    shape = _outer(network)
    if len(shape) == 3 and shape[0] in COLOURS:
        return (shape[0], shape[1], shape[2]), False
    if len(shape) == 3 and shape[2] in COLOURS:
        return (shape[2], shape[0], shape[1]), True
    if len(shape) == 2 and min(shape) > 1:
        return (1, shape[0], shape[1]), False
    for channels in COLOURS:
        side = math.isqrt(network.input_size // channels)
        if side >= LEAST_SIDE and channels * side * side == network.input_size:
            return (channels, side, side), False
    return None


def _outer(network: Network) -> tuple[int, ...]:
    """The shape of one input, without the batch's axis."""
    shape = tuple(network.input_shape)
    return shape[1:] if len(shape) > 1 and shape[0] == 1 else shape


def _complain(name: str, channels: int) -> Array:
    raise InputError(f"--{name}: expected one number, or {channels or 'as many as there are'} for the channels")
