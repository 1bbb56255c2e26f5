"""Layers that nothing reads: what is left of operators that were read together as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..network import Layer

__all__ = ["without_unread"]


def without_unread(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The layers that the last one depends on, with their sources counted anew."""
    needed = {len(layers)}
    for k in range(len(layers), 0, -1):
        if k in needed:
            needed.update(layers[k - 1].sources)
    if len(needed - {0}) == len(layers):
        return tuple(layers)
    place = {old: new for new, old in enumerate(sorted(needed | {0}))}
    kept = [layers[k - 1] for k in sorted(needed - {0})]
    return tuple(replace(layer, sources=tuple(place[s] for s in layer.sources)) for layer in kept)
