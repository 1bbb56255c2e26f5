"""Draw the rooms of the house from its imports: python scripts/draw_rooms.py [--check]

Writes docs/rooms.svg and the table of docs/architecture.md. A room stands one step right of the rightmost room that it
imports; an arrow that a chain of others implies is left out (transitive reduction). With --check nothing is written,
and the exit code is 1 where the files are not what would be.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path

import networkx as nx

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("instances", "encodings", "heuristics", "bab")
PICTURE, PAGE = ROOT / "docs" / "rooms.svg", ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- rooms: begin (scripts/draw_rooms.py) -->", "<!-- rooms: end -->"
WIDTH, HEIGHT, ACROSS, DOWN, MARGIN = 92, 26, 116, 40, 14  # pixels: of a box, from box to box, around all
COLOURS = {"instances": "#dbeafe", "encodings": "#dcfce7", "heuristics": "#fef9c3", "bab": "#fee2e2"}


def imported(path: Path) -> Iterator[tuple[str, ...]]:
    """Module paths, like ("encodings", "linear", "bounds"), that a file of the package imports when it runs."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    tree = ast.parse(path.read_text(encoding="utf-8"))
    blocks = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    for node in set(ast.walk(tree)) - {n for block in blocks for n in ast.walk(block)}:
        if isinstance(node, ast.ImportFrom) and node.level:
            base = (*parts[: len(parts) - node.level], *(node.module.split(".") if node.module else ()))
            for alias in node.names:
                found = [t for t in ((*base, alias.name), base) if ROOT.joinpath(*t).with_suffix(".py").is_file()]
                yield from found[:1]


def rooms() -> nx.DiGraph:
    """Rooms as "folder/room", the files beside the rooms as "folder"; an edge leads to a room that imports."""
    graph = nx.DiGraph()
    for path in sorted(p for folder in FOLDERS for p in (ROOT / folder).rglob("*.py")):
        if path.name in ("__init__.py", "__main__.py"):
            continue
        room = path.parent.relative_to(ROOT).as_posix()
        graph.add_node(room)
        for target in imported(path):
            other = "/".join(target[:-1])
            if other != room:
                graph.add_edge(other, room)
    return graph


def picture(graph: nx.DiGraph) -> str:
    """The graph as SVG, a column for each step, from left to right; the colour tells the folder."""
    places = {}
    columns = [sorted(column, key=_key) for column in nx.topological_generations(graph)]
    tallest = max(map(len, columns))
    for x, column in enumerate(columns):
        for y, room in enumerate(column):
            places[room] = MARGIN + x * ACROSS, MARGIN + (y + (tallest - len(column)) / 2.0) * DOWN
    wide = 2 * MARGIN + (len(columns) - 1) * ACROSS + WIDTH
    high = 2 * MARGIN + tallest * DOWN + HEIGHT
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" font-family="sans-serif" font-size="11">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="6" markerHeight="6" orient="auto">'
        '<path d="M0 0 L8 4 L0 8 z" fill="#666"/></marker></defs>',
        f'<rect width="{wide}" height="{high}" fill="white"/>',
    ]
    for source, target in sorted(nx.transitive_reduction(graph).edges):
        (a, b), (c, d) = places[source], places[target]
        start, end, bend = a + WIDTH, c, 0.45 * (c - a - WIDTH)
        lines.append(
            f'<path d="M{start} {b + HEIGHT / 2:g} C{start + bend:g} {b + HEIGHT / 2:g} {end - bend:g} '
            f'{d + HEIGHT / 2:g} {end} {d + HEIGHT / 2:g}" fill="none" stroke="#666" marker-end="url(#tip)"/>'
        )
    for room, (x, y) in places.items():
        lines.append(
            f'<rect x="{x}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" rx="4" fill="{COLOURS[room.split("/")[0]]}" '
            f'stroke="#333"/><text x="{x + WIDTH / 2:g}" y="{y + HEIGHT / 2 + 4:g}" text-anchor="middle">'
            f"{escape(room if '/' not in room else room.split('/')[1])}</text>"
        )
    for x, folder in enumerate(FOLDERS):
        left, top = MARGIN + x * 1.4 * ACROSS, high - MARGIN - HEIGHT / 2
        lines.append(
            f'<rect x="{left:g}" y="{top:g}" width="12" height="12" fill="{COLOURS[folder]}" stroke="#333"/>'
            f'<text x="{left + 18:g}" y="{top + 10:g}">rooms of {folder}/</text>'
        )
    return "\n".join([*lines, "</svg>\n"])


def table(graph: nx.DiGraph) -> str:
    """The rooms in an order in which each imports only earlier ones, and which of these it imports."""
    order = list(nx.lexicographical_topological_sort(graph, key=_key))
    lines = ["| | room | imports |", "|---:|---|---|"]
    for number, room in enumerate(order, start=1):
        known = sorted(graph.predecessors(room), key=order.index)
        lines.append(f"| {number} | `{room}/` | {', '.join(f'`{other}`' for other in known) or 'nothing'} |")
    return "\n".join(lines)


def _key(room: str) -> tuple[int, str]:
    return FOLDERS.index(room.split("/")[0]), room


def main() -> int:
    """Write both files, or say whether they are as they should be."""
    graph = rooms()
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    wanted = {PICTURE: picture(graph), PAGE: f"{before}{BEGIN}\n\n{table(graph)}\n\n{END}{after}"}
    if "--check" in sys.argv[1:]:
        old = [path.name for path, text in wanted.items() if not path.is_file() or path.read_text("utf-8") != text]
        print(f"out of date: {', '.join(old)}; run scripts/draw_rooms.py" if old else "up to date")
        return int(bool(old))
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
