"""One page about a data set's robustness: counts, the curve over the distances, the weakest inputs as pictures.

Everything is in the one file, and it reads on a phone and in the dark: curves are inline SVG in the page's own colours,
images are PNG in the links themselves.
"""

from __future__ import annotations

import base64
import html
import math
import struct
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...instances.network import Array
from ...instances.rounding import TINY
from .preparation import picture_shape
from .samples import STATUSES, Answer, Samples
from .upper_side import UpperSide

__all__ = ["Page", "counts", "write_page"]

LEAST_SHOWN = 1e-12  # of a difference in a picture, to divide by
WEAKEST = 8  # inputs that are shown
WIDTH, HEIGHT, LEFT, BELOW = 640, 300, 68, 40  # of the curve, in units of its view box

STYLE = """:root { color-scheme: light dark; --ink: #1d2430; --soft: #5d6675; --page: #fff; --line: #d9dee6;
  --robust: #0072b2; --attacked: #b34a00 }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --soft: #98a2b1; --page: #14181f; --line: #323a46;
  --robust: #5ab4e6; --attacked: #ff9a57 } }
* { box-sizing: border-box }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62em; margin: 2em auto; padding: 0 1em; color: var(--ink);
  background: var(--page) }
.wide { overflow-x: auto } table { border-collapse: collapse; font-size: 14px }
td, th { padding: .2em .7em; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap }
td:first-child, th:first-child { text-align: left }
svg { width: 100%; height: auto; max-width: 44em } svg text { fill: var(--soft); font-size: 13px }
@media (max-width: 34em) { svg text { font-size: 20px } }
svg .axis { stroke: var(--line) } svg polyline { fill: none; stroke-width: 2.5 }
.robust { stroke: var(--robust); color: var(--robust) } .attacked { stroke: var(--attacked); color: var(--attacked) }
svg polyline.attacked { stroke-dasharray: 3 7; stroke-linecap: round }
svg circle { stroke-width: 0 } circle.robust { fill: var(--robust) } circle.attacked { fill: var(--attacked) }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(15em, 1fr)); gap: 1em }
.card { border: 1px solid var(--line); border-radius: 8px; padding: .7em; font-size: 14px }
.card div { display: flex; gap: .4em } .card img { width: 33%; image-rendering: pixelated; border-radius: 3px }
.soft { color: var(--soft) }"""


@dataclass(frozen=True, eq=False)
class Page:
    """What the page tells."""

    samples: Samples
    inputs: Array  # [N, n]
    answers: Sequence[Answer]
    norm: str  # its name
    network: str


def counts(answers: Sequence[Answer]) -> dict[float, Counter[str]]:
    """How many inputs have each status, by distance, the least one first."""
    found: dict[float, Counter[str]] = {e: Counter() for e in sorted({a.epsilon for a in answers})}
    for answer in answers:
        found[answer.epsilon][answer.status] += 1
    return found


def write_page(path: Path, page: Page) -> None:
    """Write the page; its images are those of inputs that are images, others are not drawn."""
    found, total = counts(page.answers), len(page.inputs)
    right = len({a.index for a in page.answers if a.status != "wrong"})
    title = f"Robustness of {Path(page.network).name}"
    body = [
        f"<h1>{html.escape(title)}</h1>",
        f"<p>{total} inputs, {right} of them classified rightly ({right / total:.2%}); distances in {page.norm}; "
        f"{math.fsum(a.seconds for a in page.answers):.0f} s for all questions.</p>",
        "<p class=soft>Robust: proved that no input within the distance gets another class. Attacked: one is known, "
        "and the file itself was run on it. Unknown: neither, in the time there was. Wrong: the network errs on the "
        "input itself.</p>",
        _table(found, total),
        "<h2>Accuracy by distance</h2>", _curve(found, total, right / total),
        "<h2>The weakest inputs</h2>", *_weakest(page),
    ]  # fmt: skip
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    head += f"<title>{html.escape(title)}</title><style>{STYLE}</style>"
    text = "\n".join(body)
    path.write_text(f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{text}\n</body></html>\n', "utf-8")


def _table(found: dict[float, Counter[str]], total: int) -> str:
    heads = ["distance", *STATUSES, "certified accuracy", "accuracy under attack"]
    lines = ["".join(f"<th>{head}</th>" for head in heads)]
    for epsilon, row in found.items():
        cells = [f"{epsilon:g}", *(str(row[s]) for s in STATUSES), f"{row['robust'] / total:.2%}"]
        cells.append(f"{(row['robust'] + row['unknown']) / total:.2%}")
        lines.append("".join(f"<td>{cell}</td>" for cell in cells))
    return "<div class=wide><table>" + "\n".join(f"<tr>{line}</tr>" for line in lines) + "</table></div>"


def _curve(found: dict[float, Counter[str]], total: int, right: float) -> str:
    """Certified accuracy, and accuracy under attack, over the distance; at 0 both are the network's own."""
    most = max(found)
    certified = [(0.0, right), *((e, row["robust"] / total) for e, row in found.items())]
    attacked = [(0.0, right), *((e, (row["robust"] + row["unknown"]) / total) for e, row in found.items())]

    def place(epsilon: float, share: float) -> tuple[float, float]:
        return LEFT + (WIDTH - LEFT - 16) * epsilon / most, 14 + (HEIGHT - BELOW - 14) * (1.0 - share)

    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = place(0.0, share)
        parts.append(f'<line class=axis x1="{x:.1f}" y1="{y:.1f}" x2="{WIDTH - 16}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{x - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">{share:.0%}</text>')
    for epsilon in (0.0, *found):
        x, y = place(epsilon, 0.0)
        parts.append(f'<text x="{x:.1f}" y="{y + 20:.1f}" text-anchor="middle">{epsilon:g}</text>')
    for name, line in (("robust", certified), ("attacked", attacked)):  # dashed over solid: both show where they meet
        spots = [place(*point) for point in line]
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
        parts.append(f'<polyline class={name} points="{joined}"/>')
        parts += [f'<circle class={name} cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in spots]
    words = {"robust": "certified accuracy", "attacked": "accuracy under attack"}
    marks = {"robust": "━", "attacked": "┅"}
    key = " &nbsp; ".join(f"<span class={name}>{marks[name]} {said}</span>" for name, said in words.items())
    label = f"{' and '.join(words.values())} by distance"
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg><p>{key}</p>'


def _weakest(page: Page) -> list[str]:
    """The inputs with the nearest counterexamples, and those that are wrong last."""
    weak: dict[int, Answer] = {}
    for answer in page.answers:
        known = weak.get(answer.index)
        if answer.status == "attacked" and (known is None or answer.distance < known.distance):
            weak[answer.index] = answer
    chosen = sorted(weak.values(), key=lambda a: a.distance)[:WEAKEST]
    if not chosen:
        return ["<p>None was attacked.</p>"]
    return ["<div class=cards>", *(_card(page, answer) for answer in chosen), "</div>"]


def _card(page: Page, answer: Answer) -> str:
    x = page.inputs[answer.index]
    near = answer.counterexample if answer.counterexample is not None else _found_again(page, answer)
    images = ""
    if near is not None and picture_shape(page.samples.network):
        low, high = float(min(x.min(), near.min())), float(max(x.max(), near.max()))
        most = max(float(np.abs(near - x).max()), LEAST_SHOWN)
        shown = (("input", x, low, high), ("counterexample", near, low, high), ("difference", near - x, -most, most))
        images = "".join(f'<img alt="{name}" src="{_picture(page, v, a, b)}">' for name, v, a, b in shown)
    said = f"input {answer.index}: class {answer.label}, taken for {answer.other} at {answer.distance:.4g}"
    return f"<div class=card><div>{images}</div>{said}</div>"


def _found_again(page: Page, answer: Answer) -> Array | None:
    """The counterexample of an answer that was read back: attacked anew; None where it is not met again."""
    samples, x = page.samples, page.inputs[answer.index]
    rng = np.random.default_rng(samples.options.seed)
    upper = UpperSide(samples.replay, x, answer.label, samples.norm, samples.limits, rng)
    upper.attack([answer.other], math.inf)
    best = upper.best([answer.other])
    return best.input if best else None


def _picture(page: Page, values: Array, low: float, high: float) -> str:
    """An image as a link that holds it."""
    known = picture_shape(page.samples.network)
    assert known is not None
    (channels, height, width), last = known
    pixels = values.reshape((height, width, channels) if last else (channels, height, width))
    pixels = pixels if last else pixels.transpose(1, 2, 0)
    levels = np.rint(255.0 * np.clip((pixels - low) / max(high - low, TINY), 0.0, 1.0)).astype(np.uint8)
    return "data:image/png;base64," + base64.b64encode(png(levels)).decode("ascii")


def png(levels: Array) -> bytes:
    """PNG of levels [height, width, 1 or 3], uint8.

    >>> png(np.zeros((2, 2, 1), dtype=np.uint8))[:4]
    b'\\x89PNG'
    """
    height, width, channels = levels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in levels)
    head = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    chunks = (struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
