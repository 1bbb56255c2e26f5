"""`hypersplit demo`: carried instances asked in words, answered and drawn; one is violated, the others hold.

Two questions are about a network that reads handwritten digits of 8 x 8 pixels, one about a small controller.
"""

from __future__ import annotations

import csv
import os
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ...instances.carried import carried, carried_verdicts
from ...instances.network import Array
from ...instances.onnx.reader import read_network
from ..run.exit_codes import DONE, UNDECIDED, WRONG
from ..run.result import Result
from ..verify import verify

__all__ = ["demo"]

TIMEOUT = 18.0  # seconds per question: all three stay under a minute
SIDE = 8  # pixels in a row of a digit
BLOCKS, LETTERS = " ░▒▓█", " .:*#"  # from dark to bright; letters where the terminal has no blocks
PANEL = 300  # points of a plotted side of the controller's square


@dataclass(frozen=True)
class Question:
    """A carried instance, in words."""

    onnx: str
    vnnlib: str
    words: str
    digit: int | None = None  # the image that it is about


QUESTIONS = (
    Question(
        "digits_mlp_24x2.onnx", "digit0_r0.125.vnnlib",
        "A network with 48 ReLUs reads this image as a 0. Every pixel may change by 1/8 of full brightness,\n"
        "all at once. Does it still read a 0, whatever the change?", 0,
    ),
    Question(
        "digits_mlp_24x2.onnx", "digit3_r0.09375.vnnlib",
        "The same network reads this image as a 3. Every pixel may change by 3/32 of full brightness.\n"
        "Does it still read a 3, whatever the change?", 3,
    ),
    Question(
        "control_2d.onnx", "control_force_1.2.vnnlib",
        "A network of 32 ReLUs steers a cart from its position and velocity, both between -1 and 1.\n"
        "Does its force stay below 1.2, both ways, in all of these states?",
    ),
)  # fmt: skip


def demo(out: str | os.PathLike[str]) -> int:
    """Ask, verify, print, draw.

    out: folder for the picture demo.png, made if needed; without matplotlib no picture is written.

    Returns 0 when all verdicts are the known ones (truth.csv), 1 when one is the opposite, else 3.
    """
    if find_spec("matplotlib") is not None:
        Path(out).mkdir(parents=True, exist_ok=True)  # said before the work where it cannot be
    known = carried_verdicts()
    results = []
    for number, question in enumerate(QUESTIONS, start=1):
        network, prop = carried(question.onnx), carried(question.vnnlib)
        words = question.words.replace("\n", "\n   ")
        print(f"{number}. {words}\n   $ hypersplit verify {_short(network)} {_short(prop)}")
        result = verify(network, prop, timeout=TIMEOUT)
        print(f"   -> {_answer(result)}", flush=True)
        if question.digit is not None:
            images = [("the image", _image(question.digit))]
            if result.witness:
                read = int(np.argmax(result.witness.output))
                images.append((f"read as a {read}", result.witness.input))
            print(_drawn(images))
        print()
        results.append(result)
    path = _picture(Path(out), results)
    print(
        f"picture: {path}"
        if path
        else "no picture: matplotlib is not installed (pip install hypersplit[plot])"
    )
    right = [r.verdict == known[q.onnx, q.vnnlib] for q, r in zip(QUESTIONS, results, strict=True)]
    print(
        "all verdicts are the known ones" if all(right) else f"{right.count(False)} of them are not as known"
    )
    wrong = any(not ok and r.verdict in ("sat", "unsat") for ok, r in zip(right, results, strict=True))
    return DONE if all(right) else WRONG if wrong else UNDECIDED


def _answer(result: Result) -> str:
    words = {
        "unsat": "unsat: yes, proved for every input in the set",
        "sat": "sat: no, here is an input for which it fails, checked by running the ONNX file",
    }
    nodes = int(result.statistics.get("nodes", 0))
    work = f"{result.seconds:.2f} s, {nodes} node{'' if nodes == 1 else 's'}, {result.reason}"
    return f"{words.get(result.verdict, result.verdict)} ({work})"


def _short(path: Path) -> str:
    """The path as one would type it here."""
    return min(str(path), os.path.relpath(path), key=len)


def _image(digit: int) -> Array:
    """The carried image of a digit, [64] in [0, 1]."""
    with carried("digits_nominal.csv").open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            if row.pop("digit") == str(digit):
                return np.array([float(v) for v in row.values()])
    raise ValueError(f"digits_nominal.csv: no image of a {digit}")


def _drawn(images: list[tuple[str, Array]]) -> str:
    """Images side by side, two characters a pixel."""
    shades = BLOCKS if _can_print(BLOCKS) else LETTERS
    pictures = []
    for title, image in images:
        levels = np.rint(np.clip(image, 0.0, 1.0) * (len(shades) - 1)).astype(int).reshape(SIDE, SIDE)
        pictures.append([f"{title:{2 * SIDE}s}", *("".join(2 * shades[i] for i in row) for row in levels)])
    return "\n".join("      " + "     ".join(line).rstrip() for line in zip(*pictures, strict=True))


def _can_print(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def _picture(folder: Path, results: list[Result]) -> Path | None:
    """demo.png: each counterexample beside its image, and the controller's force over all states."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return None
    pairs: list[tuple[str, Array]] = []
    for question, result in zip(QUESTIONS, results, strict=True):
        if question.digit is not None and result.witness:
            pairs += [
                (f"a {question.digit}", _image(question.digit)),
                ("counterexample", result.witness.input),
            ]
    figure = Figure(figsize=(4.0 * (len(pairs) + 1), 4.2), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(pairs) + 1))
    for ax, (title, image) in zip(axes, pairs, strict=False):
        ax.imshow(image.reshape(SIDE, SIDE), cmap="gray", vmin=0.0, vmax=1.0)
        ax.set_title(title)
        ax.set_axis_off()
    shown = _draw_force(
        axes[-1], "proved within ±1.2" if results[-1].verdict == "unsat" else results[-1].verdict
    )
    figure.colorbar(shown, ax=axes[-1])
    path = folder / "demo.png"
    FigureCanvasAgg(figure).print_png(path)
    return path


def _draw_force(ax: Any, answer: str) -> Any:
    """The controller's force over all states; returns the image, for its colour bar."""
    side = np.linspace(-1.0, 1.0, PANEL)
    states = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    force = read_network(carried("control_2d.onnx")).evaluate(states).reshape(PANEL, PANEL)
    ax.set(title=f"force: {answer}", xlabel="position", ylabel="velocity")
    return ax.imshow(force, origin="lower", extent=(-1, 1, -1, 1), cmap="coolwarm", vmin=-1.2, vmax=1.2)
