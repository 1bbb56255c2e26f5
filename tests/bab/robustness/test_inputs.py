"""Reading inputs: every kind of file gives the same numbers, and what is wrong is said in one line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from carried_inputs import DIGITS, IRIS, digits

from hypersplit import InputError, Network, sequential
from hypersplit.bab.command.cli import main
from hypersplit.bab.robustness.inputs import read_input
from hypersplit.bab.robustness.preparation import Preparation, flat, picture_shape
from hypersplit.instances.carried import carried
from hypersplit.instances.network import Array
from hypersplit.instances.onnx.reader import read_network

Captured = pytest.CaptureFixture[str]
IRIS_CSV = str(carried("iris_nominal.csv"))
CONV = str(carried("digits_conv.onnx"))


def of_shape(*shape: int) -> Network:
    """A network of two outputs whose file takes inputs of this shape."""
    size = int(np.prod(shape))
    plain = sequential([np.zeros((2, size))], [np.zeros(2)])
    return Network(size, plain.layers, input_shape=shape)


@pytest.fixture
def image() -> Array:
    """The carried image of a 3, [8, 8] in [0, 1], with multiples of 1/16."""
    return digits()[0][3].reshape(8, 8)


@pytest.mark.parametrize("path", [DIGITS, CONV])
def test_every_kind_of_file_holds_the_same_input(path: str, image: Array, tmp_path: Path) -> None:
    """Arrays flat and in shape, single and among others, rows of a csv with and without heads and labels."""
    network = read_network(path)
    np.save(tmp_path / "flat.npy", image.ravel())
    np.save(tmp_path / "shaped.npy", image[None, None].astype(np.float32))
    np.save(tmp_path / "several.npy", np.stack([0 * image, image]))
    np.savez(tmp_path / "one.npz", image)
    np.savez(tmp_path / "two.npz", a=np.zeros(3), b=np.stack([image, 0 * image]))
    line = ",".join(repr(float(v)) for v in image.ravel())
    (tmp_path / "bare.csv").write_text(line + "\n")
    (tmp_path / "labelled.csv").write_text(f"3,{line}\n")
    for name, key, row in (
        ("flat.npy", None, None), ("shaped.npy", None, None), ("several.npy", None, 1), ("one.npz", None, None),
        ("two.npz", "b", 0), ("bare.csv", None, None), ("labelled.csv", None, 0),
    ):  # fmt: skip
        assert (read_input(tmp_path / name, network, key, row) == image.ravel()).all(), name
    assert (read_input(carried("digits_nominal.csv"), network, None, 3) == image.ravel()).all()


@pytest.mark.parametrize("path", [DIGITS, CONV])
def test_images_are_read_through_pillow(path: str, image: Array, tmp_path: Path) -> None:
    """Grey levels 0 to 255, which --scale makes the same input of."""
    images = pytest.importorskip("PIL.Image")
    levels = np.rint(image * 16).astype(np.uint8)
    images.fromarray(levels).save(tmp_path / "three.png")
    network = read_network(path)
    raw = read_input(tmp_path / "three.png", network)
    assert (Preparation(scale=1 / 16).of(raw, network) == image.ravel()).all()


def test_colours_go_where_the_network_has_its_channels(tmp_path: Path) -> None:
    """Channels first, last, and none; arrays with the other order are turned."""
    images = pytest.importorskip("PIL.Image")
    pixels = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    images.fromarray(pixels).save(tmp_path / "colours.png")
    first, last = of_shape(1, 3, 4, 5), of_shape(1, 4, 5, 3)
    ordered = pixels.transpose(2, 0, 1).astype(float)
    assert (read_input(tmp_path / "colours.png", first) == ordered.ravel()).all()
    assert (read_input(tmp_path / "colours.png", last) == pixels.ravel()).all()
    assert (flat(pixels, first, "x") == ordered.ravel()).all()
    assert (flat(ordered, last, "x") == pixels.ravel()).all()
    images.fromarray(pixels).save(tmp_path / "grey.png")
    assert read_input(tmp_path / "grey.png", of_shape(1, 1, 4, 5)).shape == (20,)


def test_means_belong_to_channels() -> None:
    """x = (raw * scale - mean) / std, with a number for each channel wherever the channels are."""
    raw = np.arange(24.0)
    preparation = Preparation(0.5, (1.0, 2.0, 3.0), (1.0, 2.0, 4.0))
    expected = (0.5 * raw.reshape(3, 8) - [[1.0], [2.0], [3.0]]) / [[1.0], [2.0], [4.0]]
    assert (preparation.of(raw, of_shape(1, 3, 2, 4)) == expected.ravel()).all()
    expected = (0.5 * raw.reshape(8, 3) - [1.0, 2.0, 3.0]) / [1.0, 2.0, 4.0]
    assert (preparation.of(raw, of_shape(1, 2, 4, 3)) == expected.ravel()).all()
    with pytest.raises(InputError, match="--mean"):
        preparation.of(np.zeros(8), of_shape(1, 1, 2, 4))


def test_shapes_of_pictures_are_those_of_the_file_or_of_squares() -> None:
    """Images and their channels; other vectors are no pictures."""
    assert picture_shape(of_shape(1, 1, 28, 28)) == ((1, 28, 28), False)
    assert picture_shape(of_shape(1, 32, 30, 3)) == ((3, 32, 30), True)
    assert picture_shape(of_shape(1, 784)) == ((1, 28, 28), False)
    assert picture_shape(of_shape(1, 3072)) == ((3, 32, 32), False)
    assert picture_shape(of_shape(1, 5)) is None


def wrong_shape(folder: Path) -> list[str]:
    np.save(folder / "x.npy", np.zeros(5))
    return [str(folder / "x.npy")]


def not_a_number(folder: Path) -> list[str]:
    np.save(folder / "x.npy", np.array([1.0, np.nan, 0.0, 0.0]))
    return [str(folder / "x.npy")]


def complex_numbers(folder: Path) -> list[str]:
    np.save(folder / "x.npy", np.zeros(4, dtype=complex))
    return [str(folder / "x.npy")]


def objects(folder: Path) -> list[str]:
    np.save(folder / "x.npy", np.array([{}, {}, {}, {}], dtype=object), allow_pickle=True)
    return [str(folder / "x.npy")]


def garbage(name: str) -> Callable[[Path], list[str]]:
    def write(folder: Path) -> list[str]:
        (folder / name).write_bytes(np.random.default_rng(0).bytes(200))
        return [str(folder / name)]

    return write


def several(folder: Path) -> list[str]:
    np.save(folder / "x.npy", np.zeros((3, 4)))
    return [str(folder / "x.npy")]


def none(folder: Path) -> list[str]:
    np.save(folder / "x.npy", np.zeros((0, 4)))
    return [str(folder / "x.npy")]


def row_of_one(folder: Path) -> list[str]:
    np.save(folder / "x.npy", np.zeros(4))
    return [str(folder / "x.npy"), "--row", "0"]


def two_arrays(folder: Path) -> list[str]:
    np.savez(folder / "x.npz", a=np.zeros(4), b=np.zeros(4))
    return [str(folder / "x.npz")]


def words(*given: str) -> Callable[[Path], list[str]]:
    return lambda folder: list(given)


BAD: dict[str, tuple[Callable[[Path], list[str]], str]] = {
    "missing": (words("absent.npy"), "absent.npy: no such file"),
    "missing csv": (words("absent.csv"), "absent.csv"),
    "missing image": (words("absent.png"), "absent.png: no such file"),
    "shape": (wrong_shape, "expected 4 numbers"),
    "nan": (not_a_number, "nan in place 1"),
    "complex": (complex_numbers, "complex"),
    "objects": (objects, "cannot be read"),
    "broken npy": (garbage("x.npy"), "cannot be read"),
    "broken npz": (garbage("x.npz"), "cannot be read"),
    "an image for lengths": (garbage("x.png"), "no images"),
    "several": (several, "holds 3 inputs, choose one by --row"),
    "none": (none, "shape (0, 4), no inputs"),
    "row of one": (row_of_one, "--row chooses among several"),
    "two arrays": (two_arrays, "--key, one of a, b"),
    "row": (words(IRIS_CSV, "--row", "10"), "no row 10"),
    "no row": (words(IRIS_CSV), "choose one by --row"),
    "key of csv": (words(IRIS_CSV, "--row", "0", "--key", "a"), "--key"),
    "label": (words(IRIS_CSV, "--row", "0", "--label", "3"), "label 3"),
    "negative label": (words(IRIS_CSV, "--row", "0", "--label", "-1"), "--label"),
    "range": (words(IRIS_CSV, "--row", "0", "--range", "0,1"), "outside the range"),
    "no range": (words(IRIS_CSV, "--row", "0", "--range", "1,0"), "--range"),
    "norm": (words(IRIS_CSV, "--row", "0", "--norm", "3"), "--norm"),
    "tolerance": (words(IRIS_CSV, "--row", "0", "--tolerance", "0"), "--tolerance"),
    "std": (words(IRIS_CSV, "--row", "0", "--std", "0"), "--std"),
    "means": (words(IRIS_CSV, "--row", "0", "--mean", "0,0,0"), "--mean"),
    "scale": (words(IRIS_CSV, "--row", "0", "--scale", "nan"), "--scale"),
    "ratio": (words(IRIS_CSV, "--row", "0", "--scale", "1/0"), "--scale"),
    "picture": (words(IRIS_CSV, "--row", "0", "--picture", "x.bmp"), "--picture"),
    "option": (words(IRIS_CSV, "--row", "0", "--option", "log=x"), "option log"),
    "checkpoint": (words(IRIS_CSV, "--row", "0", "--option", "checkpoint=x"), "option checkpoint"),
    "port": (words(IRIS_CSV, "--row", "0", "--option", "input=x"), "option input"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_one_line(kind: str, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 2, no radius, and what was wrong."""
    monkeypatch.chdir(tmp_path)
    make, said = BAD[kind]
    code = main(["radius", IRIS, *make(tmp_path)])
    out, err = capsys.readouterr()
    assert (code, out) == (2, ""), err
    assert len(err.splitlines()) == 1 and err.startswith("hypersplit: error: ") and said in err


def test_an_unreadable_image_is_one_line(tmp_path: Path, capsys: Captured) -> None:
    """Also where it is an image of another size."""
    images = pytest.importorskip("PIL.Image")
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    assert main(["radius", DIGITS, str(tmp_path / "x.png")]) == 2
    assert "cannot be read as an image" in capsys.readouterr().err
    images.fromarray(np.zeros((9, 8), dtype=np.uint8)).save(tmp_path / "y.png")
    assert main(["radius", DIGITS, str(tmp_path / "y.png")]) == 2
    assert "8 x 9 pixels, the network takes 8 x 8" in capsys.readouterr().err


def test_a_network_of_one_output_is_no_classifier(tmp_path: Path, capsys: Captured) -> None:
    """Said in one line."""
    np.save(tmp_path / "x.npy", np.zeros(2))
    assert main(["radius", str(carried("control_2d.onnx")), str(tmp_path / "x.npy")]) == 2
    assert "one output" in capsys.readouterr().err


def test_the_helps_load_no_numpy() -> None:
    """Nor anything of the searches."""
    for command in ("radius", "robustness"):
        code = (
            f"import sys; from hypersplit.bab.command.cli import main; main(['{command}', '--help'])\n"
            "print([name for name in ('numpy', 'hypersplit.bab.verify') if name in sys.modules])"
        )
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert run.stdout.splitlines()[-1] == "[]"
