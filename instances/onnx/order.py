"""In which order a graph's nodes can be read: each behind those whose outputs it takes.

ONNX asks writers for that order, onnxruntime takes files in any. So nodes are sorted topologically (Kahn 1962), as near
to the file's order as can be: of all nodes that are ready the first in the file comes next. What never gets ready lies
on a circle or behind one, and the circle is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from typing import Any

from ..errors import NetworkError

__all__ = ["needed_in_order", "read_by", "title"]

SHOWN = 12  # nodes of a circle that are named


def needed_in_order(nodes: Sequence[Any], outputs: Iterable[str], given: Iterable[str] = ()) -> list[Any]:
    """The nodes (onnx.NodeProto) that `outputs` depend on, each behind those that it reads.

    given: names that are no node's to compute, weights and the input. Raises NetworkError where nodes read each other
    in a circle, and where a name is computed twice.
    """
    makers = _makers(nodes, set(given))
    reads: dict[int, list[int]] = {}  # node -> the nodes that it reads, for those that are needed
    asked = [makers[output] for output in outputs if output in makers]
    while asked:
        k = asked.pop()
        if k not in reads:
            reads[k] = sorted({makers[name] for name in read_by(nodes[k]) if name in makers})
            asked += reads[k]
    return [nodes[k] for k in _sorted(reads, nodes)]


def _makers(nodes: Sequence[Any], given: set[str]) -> dict[str, int]:
    """Name of a tensor -> number of the node that computes it."""
    makers: dict[str, int] = {}
    for k, node in enumerate(nodes):
        for name in filter(None, node.output):
            if name in given or name in makers:
                other = f"node {title(nodes[makers[name]])}" if name in makers else "the input or a weight"
                raise NetworkError(f"node {title(node)} computes {name!r}, which {other} provides already")
            makers[name] = k
    return makers


def _sorted(reads: Mapping[int, list[int]], nodes: Sequence[Any]) -> list[int]:
    readers: dict[int, list[int]] = {k: [] for k in reads}
    for k, sources in reads.items():
        for source in sources:
            readers[source].append(k)
    waiting = {k: len(sources) for k, sources in reads.items()}
    ready = [k for k, count in waiting.items() if not count]
    heapify(ready)
    order = []
    while ready:
        k = heappop(ready)
        order.append(k)
        for reader in readers[k]:
            waiting[reader] -= 1
            if not waiting[reader]:
                heappush(ready, reader)
    if len(order) < len(reads):
        raise NetworkError(_circle(reads, set(reads) - set(order), nodes))
    return order


def _circle(reads: Mapping[int, list[int]], left: set[int], nodes: Sequence[Any]) -> str:
    """A shortest circle through the first of the nodes that lie on any, told in the direction of the data."""
    import networkx as nx

    if itself := [k for k in sorted(left) if k in reads[k]]:
        return f"node {title(nodes[itself[0]])} reads its own output"
    graph = nx.DiGraph((source, k) for k in sorted(left) for source in reads[k] if source in left)
    part = graph.subgraph(min((c for c in nx.strongly_connected_components(graph) if len(c) > 1), key=min))
    first = min(part)
    back = min((nx.shortest_path(part, after, first) for after in sorted(part.successors(first))), key=len)
    names = [title(nodes[k]) for k in (first, *back)]
    if len(names) > SHOWN:
        names[SHOWN - 1 : -1] = [f"({len(names) - SHOWN} more)"]
    return f"its nodes {' -> '.join(names)} read each other in a circle"


def read_by(node: Any) -> list[str]:
    """Names of the tensors that a node reads: its inputs, and what graphs inside it take from around them."""
    names = [name for name in node.input if name]
    for attribute in node.attribute:
        for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            own = {t.name for t in graph.initializer} | {i.name for i in graph.input}
            own |= {name for inner in graph.node for name in inner.output}
            names += [name for inner in graph.node for name in read_by(inner) if name not in own]
            names += [o.name for o in graph.output if o.name not in own]
    return names


def title(node: Any) -> str:
    """A node's name and operator, as messages have them."""
    return f"{node.name or next(iter(node.output), '')!r} ({node.op_type})"
