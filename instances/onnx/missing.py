"""Which nodes of a graph cannot be read, all at once: told from their operators alone, before anything is computed.

An operator that is folded on constants is missing only where it reads what depends on the network's input.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import UnsupportedOperatorError
from ..operators.table import OPERATORS, shortcoming
from .order import read_by, title

__all__ = ["check_operators", "kind_of"]

INDEPENDENT = ("Shape", "Size", "SequenceLength")  # of what they read; only its shape counts
SHOWN = 3  # nodes named of one operator
FLOW = ("If",)


def kind_of(node: Any) -> str:
    """Name of a node's operator, with its domain where that is not ONNX's own."""
    return str(node.op_type) if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"


def check_operators(nodes: Sequence[Any], inputs: Iterable[str]) -> None:
    """Raise UnsupportedOperatorError that names every operator which cannot be read, if there is any.

    nodes: onnx.NodeProto, each behind those that it reads; inputs: names of the graph's inputs.
    """
    from_input = set(inputs)
    missing: dict[str, list[str]] = {}
    reasons: dict[str, str] = {}
    for node in nodes:
        kind = kind_of(node)
        reads = not from_input.isdisjoint(read_by(node))
        if reads and kind not in INDEPENDENT:
            from_input.update(name for name in node.output if name)
        if kind in FLOW:
            continue
        if said := shortcoming(kind, not reads):
            missing.setdefault(kind, []).append(title(node))
            reasons.setdefault(kind, said)
    if not missing:
        return
    (first, nodes_of_first), *others = missing.items()
    also = "".join(f"; the operator {kind} ({_named(found)}) is {reasons[kind]}" for kind, found in others)
    more = f" (and {len(nodes_of_first) - 1} more nodes)" if len(nodes_of_first) > 1 else ""
    raise UnsupportedOperatorError(
        f"node {nodes_of_first[0]}: the operator {first} is {reasons[first]}{more}{also}; "
        f"supported are {', '.join(OPERATORS)}, and {' and '.join(FLOW)} of constants"
    )


def _named(titles: Sequence[str]) -> str:
    shown = ", ".join(t.rsplit(" (", 1)[0] for t in titles[:SHOWN])
    left = len(titles) - SHOWN
    return f"node{'s' if len(titles) > 1 else ''} {shown}{f' and {left} more' if left > 0 else ''}"
