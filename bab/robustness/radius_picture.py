"""An input, its nearest counterexample and their difference, side by side: images where inputs are some, else bars."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ...instances.errors import InputError
from ...instances.network import Array, Network
from ..run.options import PICTURES
from .preparation import picture_shape
from .radius import Radius

__all__ = ["check_picture", "draw_picture"]

LEAST_SHOWN = 1e-12  # of a difference in a picture, to divide by
DOTS = 130  # per inch
GREY = "#6b7280"


def check_picture(path: Path) -> None:
    """Raise InputError, before the work, where no picture could be written to the path."""
    if path.suffix.lower() not in PICTURES:
        raise InputError(f"--picture {path}: expected a file that ends with {', '.join(PICTURES)}")
    if find_spec("matplotlib") is None:
        raise InputError('--picture needs matplotlib: pip install "hypersplit[plot]"')
    if not path.parent.is_dir():
        raise InputError(f"--picture {path}: no folder {path.parent}")


def draw_picture(path: Path, network: Network, x: Array, found: Radius) -> None:
    """Write the picture; without a counterexample the input alone."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = [(f"class {found.label}", x, False)]
    if found.counterexample is not None:
        panels += [
            (f"class {found.other}, at {found.attacked:.4g}", found.counterexample, False),
            ("difference", found.counterexample - x, True),
        ]
    figure = Figure(figsize=(3.4 * len(panels), 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    plain = np.concatenate([values for _, values, signed in panels if not signed])
    for axes, (title, values, signed) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        axes.set_title(title)
        _panel(axes, network, values, (plain.min(), plain.max()), signed)
    figure.suptitle(f"certified to {found.certified:.4g}", color=GREY)
    figure.savefig(path, dpi=DOTS)


def _panel(axes: Any, network: Network, values: Array, span: tuple[float, float], signed: bool) -> None:
    known = picture_shape(network)
    most = max(float(np.abs(values).max()), LEAST_SHOWN)
    if known is None:
        axes.bar(np.arange(len(values)), values, color=GREY)
        axes.set_xlabel("input")
        return
    (channels, height, width), last = known
    shape = (height, width, channels) if last else (channels, height, width)
    pixels = values.reshape(shape) if last else values.reshape(shape).transpose(1, 2, 0)
    axes.set_axis_off()
    if signed and channels == 1:
        axes.imshow(pixels[:, :, 0], cmap="RdBu_r", vmin=-most, vmax=most, interpolation="nearest")
    elif signed:
        axes.imshow(0.5 + 0.5 * pixels / most, interpolation="nearest")
    else:
        low, high = span
        shown = (pixels - low) / max(high - low, LEAST_SHOWN)
        axes.imshow(np.repeat(shown, 3, axis=2) if channels == 1 else shown, interpolation="nearest")
