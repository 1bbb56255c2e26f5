"""Reading one input: an array file, a row of a csv, an image."""

from __future__ import annotations

import csv
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ...instances.errors import InputError
from ...instances.files import open_text
from ...instances.network import Array, Network
from .preparation import flat, picture_shape

__all__ = ["LABELS", "load_array", "read_input", "read_table"]

LABELS = ("label", "class", "target", "digit", "species")  # heads of a csv's column that is no input
ARRAYS = (".npy", ".npz")


def read_input(path: Path, network: Network, key: str | None = None, row: int | None = None) -> Array:
    """The raw numbers [n] of one input, as float64.

    path: `.npy`; `.npz`, with `key` where it holds several arrays; `.csv`, a line of n numbers, or n + 1 with a label;
    anything else is opened by pillow as an image. row: which of several inputs, from 0.
    Raises InputError, naming the file, for what cannot be read, or does not fit the network.
    """
    ending = path.suffix.lower()
    if key is not None and ending != ".npz":
        raise InputError(f"{path}: --key chooses among the arrays of a .npz file")
    if ending in ARRAYS:
        return flat(_chosen(load_array(path, key), network, row, path), network, str(path))
    if ending == ".csv":
        table, _ = read_table(path, network)
        return flat(_chosen(table, network, row, path), network, str(path))
    if row is not None:
        raise InputError(f"{path}: --row chooses among the inputs of a .npy, .npz or .csv file")
    return _image(path, network)


def load_array(path: Path, key: str | None = None) -> Array:
    """The array of a `.npy` or `.npz` file. Raises InputError, with the names there are where `key` is none."""
    try:
        with open(path, "rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return loaded
            names = list(loaded.files)
            if key is None and len(names) != 1:
                raise InputError(f"{path}: expected --key, one of {', '.join(names) or 'no arrays at all'}")
            chosen = key if key is not None else names[0]
            if chosen not in names:
                raise InputError(f"{path}: no array {chosen!r}, there are {', '.join(names)}")
            return np.asarray(loaded[chosen])
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except InputError:
        raise
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: cannot be read as an array file ({error})") from error


def read_table(path: Path, network: Network) -> tuple[Array, Array | None]:
    """(inputs [N, n], labels [N] or None) of a csv, with or without a line of heads.

    A column more than the network has inputs is the label: the one whose head is one of LABELS, else the first.
    Raises InputError, naming file and line.
    """
    with open_text(path) as file:
        lines = [(number, line) for number, line in enumerate(csv.reader(file), start=1) if any(line)]
    heads = [cell.strip().lower() for cell in lines[0][1]] if lines and not _numbers(lines[0][1]) else []
    lines = lines[1:] if heads else lines
    if not lines:
        raise InputError(f"{path}: no inputs")
    rows = []
    for number, line in lines:
        values = _numbers(line)
        if values is None:
            raise InputError(f"{path}, line {number}: expected numbers")
        if len(values) not in (network.input_size, network.input_size + 1):
            expected = f"{network.input_size} numbers, or one more with the label"
            raise InputError(f"{path}, line {number}: {len(values)} numbers, expected {expected}")
        rows.append(values)
    if len({len(values) for values in rows}) != 1:
        raise InputError(f"{path}: lines of different lengths")
    table = np.array(rows)
    if table.shape[1] == network.input_size:
        return table, None
    place = next((i for i, head in enumerate(heads) if head in LABELS), 0)
    return np.delete(table, place, axis=1), table[:, place]


def _numbers(line: list[str]) -> list[float] | None:
    try:
        return [float(cell) for cell in line]
    except ValueError:
        return None


def _chosen(array: Array, network: Network, row: int | None, path: Path) -> Array:
    """The input itself, or one of several."""
    if not array.size:
        raise InputError(f"{path}: shape {array.shape}, no inputs")
    if row is None:
        several = array.ndim > 1 and array.size != network.input_size and array[0].size == network.input_size
        if several and len(array) > 1:
            raise InputError(f"{path}: holds {len(array)} inputs, choose one by --row")
        return array
    if array.ndim < 2:
        raise InputError(f"{path}: shape {array.shape}, --row chooses among several inputs")
    if not 0 <= row < len(array):
        raise InputError(f"{path}: no row {row}, expected one from 0 to {len(array) - 1}")
    return np.asarray(array[row])


def _image(path: Path, network: Network) -> Array:
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    shape = picture_shape(network)
    if shape is None:
        wanted = network.input_shape or (network.input_size,)
        raise InputError(f"{path}: inputs of shape {wanted} are no images; expected a .npy, .npz or .csv file")
    if find_spec("PIL") is None:
        raise InputError(f'{path}: images are read by pillow: pip install "hypersplit[image]"')
    from PIL import Image, UnidentifiedImageError

    (channels, height, width), last = shape
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise InputError(f"{path}: cannot be read as an image ({error})") from error
    if pixels.shape[:2] != (height, width):
        size = f"{pixels.shape[1]} x {pixels.shape[0]}"
        raise InputError(f"{path}: {size} pixels, the network takes {width} x {height}")
    ordered = pixels if last or channels == 1 else pixels.transpose(2, 0, 1)
    return np.asarray(ordered.reshape(-1), dtype=np.float64)
