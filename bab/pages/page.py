"""One HTML file with a question, how it was asked, what came out, and the command that asks it again.

Nothing is fetched: figures, style and the sorting of tables are in the file. Light or dark as the reader's screen is;
from the width of a phone on, wide tables and figures are moved sideways by themselves.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .figures import DARK, LIGHT, svg
from .tables import SORTING, table

__all__ = ["Page", "write_page"]

METAS = (
    '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    '<meta name="color-scheme" content="light dark">'
)
STYLE = f""":root {{ --ground: {LIGHT[0]}; --words: {LIGHT[1]}; --line: #c9ced6; --code: #f1f3f6 }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ground: {DARK[0]}; --words: {DARK[1]}; --line: #434955; --code: #23272f }} }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 62em; margin: 0 auto; padding: 1em;
  color: var(--words); background: var(--ground); overflow-wrap: break-word }}
p, li {{ max-width: 44em }} h1 {{ line-height: 1.2 }} h2 {{ margin-top: 1.6em }} ul {{ padding-left: 1.2em }}
pre {{ background: var(--code); padding: .7em 1em; white-space: pre-wrap }} figure {{ margin: 1.2em 0 }}
.wide {{ overflow-x: auto; max-height: 80vh }} table {{ border-collapse: collapse; font-size: 14px; margin: .5em 0 }}
td, th {{ padding: .15em .7em; border-bottom: 1px solid var(--line); text-align: left; white-space: nowrap }}
.number {{ text-align: right }}
th {{ position: sticky; top: 0; background: var(--ground); vertical-align: bottom }}
th button {{ font: inherit; color: inherit; background: none; border: 0; padding: 0; cursor: pointer;
  text-align: left }}
th button::after {{ content: " ↕"; opacity: .5 }} [aria-sort=ascending] button::after {{ content: " ↑"; opacity: 1 }}
[aria-sort=descending] button::after {{ content: " ↓"; opacity: 1 }} figcaption {{ font-size: 14px }}"""


@dataclass(frozen=True)
class Page:
    """What a page says, in this order."""

    title: str
    question: str
    setting: Sequence[str]  # paragraphs
    finding: Sequence[str]  # sentences
    figures: Mapping[str, Any]  # matplotlib Figures by names
    tables: Mapping[str, Sequence[Mapping[str, Any]]]  # by their captions
    command: str  # that makes the same page again
    rest: tuple[str, Sequence[Mapping[str, Any]]] = ("", ())  # a table that is opened on demand, with its caption


def write_page(folder: Path, name: str, page: Page) -> Path:
    """NAME.html, and NAME-FIGURE.svg of each figure, in a folder that is there; returns the page's path."""
    body = [f"<h1>{html.escape(page.title)}</h1>", "<h2>Question</h2>", f"<p>{html.escape(page.question)}</p>"]
    body += ["<h2>Setting</h2>", *(f"<p>{html.escape(line)}</p>" for line in page.setting)]
    body += ["<h2>Finding</h2>", "<ul>", *(f"<li>{html.escape(line)}</li>" for line in page.finding), "</ul>"]
    for title, figure in page.figures.items():
        path = folder / f"{name}-{title}.svg"
        path.write_text(svg(figure, f"{name}-{title}", alone=True) + "\n", encoding="utf-8")
        caption = f"<figcaption>{html.escape(title.replace('-', ' '))}</figcaption>"
        body.append(f'<figure><div class="wide" tabindex="0">{svg(figure, f"{name}-{title}")}</div>{caption}</figure>')
    for caption, rows in page.tables.items():
        body += [f"<h2>{html.escape(caption)}</h2>", table(rows)]
    caption, rows = page.rest
    if caption:
        body.append(f"<details><summary>{html.escape(caption)}</summary>{table(rows)}</details>")
    body += ["<h2>Again</h2>", f"<pre><code>{html.escape(page.command)}</code></pre>"]
    head = f"{METAS}<title>{html.escape(page.title)}</title><style>{STYLE}</style>"
    text = "\n".join([*body, f"<script>{SORTING}</script>"])
    path = folder / f"{name}.html"
    path.write_text(f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{text}\n</body></html>\n', "utf-8")
    return path
