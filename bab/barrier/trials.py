"""What the two studies are tried on: the paper's networks where their folder is given, else the carried ones.

The folder of `--instances` holds

    barrier/onnx/NAME.onnx          networks whose inputs are pixels in [0, 1]
    barrier/paper_table1.csv        network, eps, and percentages: printed robust errors
    barrier/paper_table2.csv        network, and printed means and median gaps of distortions
    barrier/ten_test_images.csv     mnist_test_index, label: the images of the second table
    images/mnist_test.npz           images [N, 28, 28] of bytes, labels [N]

The carried networks of digits stand in where there is none, with the carried digits and noisy copies of them: nothing
was printed of these.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

import numpy as np

from ...instances.carried import carried
from ...instances.errors import InputError
from ...instances.files import open_text
from ...instances.network import Array, Network
from ...instances.onnx.reader import read_network
from ..robustness.inputs import load_array, read_table
from ..studies.frame import Settings

__all__ = ["RANGES", "Inputs", "Trial", "asked_steps", "chosen", "distortion_trials", "error_trials"]

OWN = ("digits_mlp_24x2", "digits_mlp_32")
OWN_EPSILONS = (0.03, 0.06)
OWN_DATA, NOISE = "digits_nominal.csv", 0.1
PIXEL = 255.0
TABLE_1, TABLE_2, TEN = "barrier/paper_table1.csv", "barrier/paper_table2.csv", "barrier/ten_test_images.csv"
IMAGES = "images/mnist_test.npz"
RANGES = {"whole space": (-np.inf, np.inf), "[0, 1]": (0.0, 1.0)}  # of the perturbed inputs, in the second table


@dataclass(frozen=True, eq=False)
class Inputs:
    """Inputs with their numbers in the data and their labels."""

    numbers: Sequence[int]
    points: Array  # [N, n]
    labels: Array  # [N] classes


@dataclass(frozen=True, eq=False)
class Trial:
    """A network, what it is tried on, and what was printed of it."""

    network: str
    load: Callable[[], Network]
    inputs: Callable[[int], Inputs]  # the first so many
    epsilon: float = float("nan")
    range: str = ""  # one of RANGES
    printed: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As --only takes it."""
        return f"{self.network} {self.range or format(self.epsilon, 'g')}"


def error_trials(settings: Settings) -> list[Trial]:
    """The networks and distances of the first table. Raises InputError for a file that is missing or no such file."""
    if not settings.instances:
        return [_own(name, settings.seed, e) for name in OWN for e in OWN_EPSILONS]
    folder, found = _folder(settings), []
    for row in _table(folder / TABLE_1, ("network", "eps")):
        name = row.pop("network")
        numbers = _numbers(row, folder / TABLE_1)
        epsilon = numbers.pop("eps")
        found.append(Trial(name, partial(_read, folder, name), partial(_first, folder), epsilon, printed=numbers))
    return found


def distortion_trials(settings: Settings) -> list[Trial]:
    """The networks of the second table, each in both ranges. Raises InputError as `error_trials`."""
    if not settings.instances:
        return [_own(name, settings.seed, range=known) for name in OWN for known in RANGES]
    folder, found = _folder(settings), []
    for row in _table(folder / TABLE_2, ("network",)):
        name = row.pop("network")
        numbers = _numbers(row, folder / TABLE_2)
        load, ten = partial(_read, folder, name), partial(_ten, folder)
        found += [Trial(name, load, ten, range=known, printed=numbers) for known in RANGES]
    return found


def chosen(trials: Sequence[Trial], settings: Settings) -> list[Trial]:
    """Those whose network, or network and distance or range, --only matches. Raises InputError where there is none."""
    globs = settings.only
    kept = [t for t in trials if not globs or any(fnmatch(s, g) for s in (t.name, t.network) for g in globs)]
    if not kept:
        raise InputError(f"--only {' '.join(globs)}: matches no instance")
    return kept


def asked_steps(settings: Settings, known: Sequence[str]) -> tuple[str, ...]:
    """Those of the known steps that --steps names, all where it names none. Raises InputError for one that is none."""
    unknown = sorted(set(settings.steps) - {*known})
    if unknown:
        raise InputError(f"--steps {','.join(unknown)}: expected some of {', '.join(known)}")
    return tuple(step for step in known if not settings.steps or step in settings.steps)


def _own(name: str, seed: int, epsilon: float = float("nan"), range: str = "") -> Trial:
    return Trial(name, partial(_carried_network, name), partial(_digits, seed), epsilon, range)


def _carried_network(name: str) -> Network:
    return read_network(carried(f"{name}.onnx"))


def _digits(seed: int, count: int) -> Inputs:
    """The carried digits, then copies of them with uniform noise."""
    points, labels = read_table(carried(OWN_DATA), _carried_network(OWN[0]))
    if labels is None:
        raise InputError(f"{OWN_DATA}: no labels there")
    which = np.arange(count) % len(points)
    noise = np.random.default_rng(seed).uniform(-NOISE, NOISE, (count, points.shape[1]))
    noise[: len(points)] = 0.0
    return Inputs(range(count), np.clip(points[which] + noise, 0.0, 1.0), labels[which].astype(np.int64))


def _folder(settings: Settings) -> Path:
    folder = Path(settings.instances)
    if not folder.is_dir():
        raise InputError(f"--instances {folder}: expected a folder with {TABLE_1}, barrier/onnx and {IMAGES}")
    return folder


def _there(path: Path) -> Path:
    if not path.is_file() and not path.with_name(f"{path.name}.gz").is_file():
        raise InputError(f"{path}: no such file; this study needs it")
    return path


def _read(folder: Path, name: str) -> Network:
    return read_network(_there(folder / "barrier" / "onnx" / f"{name}.onnx"))


def _table(path: Path, keys: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a csv that has the columns `keys`."""
    with open_text(_there(path)) as file:
        rows = list(csv.DictReader(file))
    if not rows or any(row.get(key) in (None, "") for row in rows for key in keys):
        raise InputError(f"{path}: expected rows with the columns {', '.join(keys)}")
    return rows


def _numbers(row: dict[str, str], path: Path) -> dict[str, float]:
    try:
        return {key: float(value) for key, value in row.items()}
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: {error}") from error


def _ten(folder: Path, count: int) -> Inputs:
    rows = _table(folder / TEN, ("mnist_test_index", "label"))[:count]
    return _images(folder, [int(_numbers(row, folder / TEN)["mnist_test_index"]) for row in rows])


def _first(folder: Path, count: int) -> Inputs:
    return _images(folder, range(count))


def _images(folder: Path, numbers: Sequence[int]) -> Inputs:
    path = _there(folder / IMAGES)
    images, labels = load_array(path, "images"), load_array(path, "labels")
    known = [i for i in numbers if 0 <= i < min(len(images), len(labels))]
    points = images[known].reshape(len(known), -1).astype(np.float64) / PIXEL
    return Inputs(known, points, labels[known].astype(np.int64))
