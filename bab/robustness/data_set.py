"""Reading a data set of inputs with their labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...instances.errors import InputError
from ...instances.files import open_text
from ...instances.network import Array, Network
from .inputs import load_array, read_table
from .preparation import flat

__all__ = ["DataSet", "read_data_set"]

IMAGES, GIVEN = "images", "labels"  # arrays of a .npz


@dataclass(frozen=True, eq=False)
class DataSet:
    """Inputs as they are stored, and the classes that they belong to."""

    raw: Array  # [N, n], float64, images with their channels where the network has them
    labels: Array  # [N], integers from 0


def read_data_set(path: Path, labels: Path | None, network: Network, limit: int | None = None) -> DataSet:
    """`.npz` with the arrays images and labels; `.npy`, with `labels` in a file of their own; `.csv`, the label first.

    labels: `.npy`, or a text file with one label a line; limit: the first N inputs alone.
    Raises InputError, naming the file, for what cannot be read, does not fit the network, or is empty.
    """
    ending = path.suffix.lower()
    if ending == ".npz":
        images, given = load_array(path, IMAGES), None if labels else load_array(path, GIVEN)
    elif ending == ".npy":
        images, given = load_array(path), None
    elif ending == ".csv":
        images, given = read_table(path, network)
    else:
        raise InputError(f"{path}: expected a data set that ends with .npz, .npy or .csv")
    if labels is not None:
        given = load_array(labels) if labels.suffix.lower() == ".npy" else _lines(labels)
    if given is None:
        raise InputError(f"{path}: no labels there, expected --labels FILE")
    where = labels or path
    if images.ndim < 2 or not len(images):
        raise InputError(f"{path}: shape {images.shape}, expected a number of inputs, each of an axis or more")
    if given.shape != (len(images),):
        raise InputError(f"{where}: labels of shape {given.shape} for {len(images)} inputs")
    some = slice(0, limit)
    images, classes = images[some], _classes(given[some], network, where)
    raw = np.array([flat(image, network, f"{path}, input {i}") for i, image in enumerate(images)])
    return DataSet(raw, classes)


def _lines(path: Path) -> Array:
    with open_text(path) as file:
        words = [line.strip().rstrip(",") for line in file if line.strip()]
    words = words[1:] if words and words[0].isalpha() else words
    try:
        return np.array([float(word) for word in words])
    except ValueError as error:
        raise InputError(f"{path}: expected one label a line ({error})") from error


def _classes(given: Array, network: Network, path: Path) -> Array:
    if given.dtype.kind not in "fiu" or (given != np.round(given)).any():
        raise InputError(f"{path}: labels of type {given.dtype}, expected whole numbers")
    wrong = np.flatnonzero((given < 0) | (given >= network.output_size))
    if len(wrong):
        last = network.output_size - 1
        raise InputError(f"{path}: label {given[wrong[0]]:g} of input {wrong[0]}, expected one from 0 to {last}")
    return given.astype(np.int64)
