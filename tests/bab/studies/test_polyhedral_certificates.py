"""The study `polyhedral-certificates`: what is below is never above, and its picture is of the network's regions."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from hypersplit.bab.command.cli import main
from hypersplit.bab.drawing.region_picture import cells, class_parts
from hypersplit.bab.studies import polyhedral_certificates as module
from hypersplit.bab.studies import sample_distances
from hypersplit.bab.studies.contest import Contradiction
from hypersplit.bab.studies.linear_radii import linear_radii
from hypersplit.bab.studies.sample_distances import ABOVE, BELOW, CERTIFICATES, compare
from hypersplit.encodings.certificates.affine_pieces import trace
from hypersplit.instances.carried import DATA
from hypersplit.instances.families.random_networks import random_network
from hypersplit.instances.network import Array

Captured = pytest.CaptureFixture[str]
SQUARE = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
ROUNDED = 1.0 + 1e-9


def read(folder: Path) -> list[dict[str, str]]:
    """The rows of the study's csv."""
    with (folder / "polyhedral-certificates.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def area(polygon: Array) -> float:
    """Of a polygon [k, 2] whose corners go around it."""
    x, y = polygon.T
    return 0.5 * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))


def test_quick_polyhedral_certificates(tmp_path: Path, capsys: Captured) -> None:
    """On every input no certificate is above an attack or the exact distortion; pictures and page are written."""
    pytest.importorskip("matplotlib")
    assert 0 == main(["study", "polyhedral-certificates", "--quick", "--timeout", "1", "--out", str(tmp_path)])
    said, rows = capsys.readouterr().out, read(tmp_path)
    parts = {name: [row for row in rows if row["part"] == name] for name in ("distances", "times", "random")}

    assert 3 * module.QUICK_SAMPLES == len(parts["distances"])
    for row in parts["distances"]:
        assert max(float(row[name]) for name in BELOW) <= ROUNDED * min(float(row[name]) for name in ABOVE)
    assert len(module.NORMS) * module.QUICK_RANDOM == len(parts["random"])
    for row in (row for row in parts["random"] if row["exact"] == "1"):
        assert max(float(row[name]) for name in CERTIFICATES) <= ROUNDED * float(row["walk upper"])
    assert any(0.0 < float(row["walk upper"]) < np.inf for row in parts["random"])
    for row in parts["times"]:
        assert 0.0 < float(row["simplex"]) <= float(row["CROWN"]) <= float(row["DeepFool"]) * ROUNDED
    assert set(module.PAPER) == {row["network"] for row in parts["times"]}
    assert "no certificate exceeds an attack or an exact distortion" in said
    page = (tmp_path / "polyhedral-certificates.html").read_text()
    assert 5 == page.count("<svg")
    assert (tmp_path / "polyhedral-certificates-regions.svg").read_text().count("<path") > 50


def test_lists_of_networks_and_data(tmp_path: Path, capsys: Captured) -> None:
    """--instances takes networks with files of inputs, and leaves out what needs none; --resume adds nothing."""
    pytest.importorskip("matplotlib")
    own = np.loadtxt(DATA / "iris_nominal.csv", delimiter=",", skiprows=1)[:2, :-1]
    np.save(tmp_path / "flowers.npy", own)
    listed = tmp_path / "list.csv"
    listed.write_text(f"{DATA / 'iris_2layer.onnx'},flowers.npy,60\n")
    words = ["study", "polyhedral-certificates", "--instances", str(listed), "--out", str(tmp_path / "out")]
    assert 0 == main([*words, "--timeout", "60"])
    rows = read(tmp_path / "out")

    assert [("distances", "iris_2layer", "0"), ("distances", "iris_2layer", "1")] == [
        (row["part"], row["network"], row["sample"]) for row in rows
    ]
    assert ["1", "1"] == [row["exact"] for row in rows]
    assert "walk exact for 2 of 2" in capsys.readouterr().out
    assert 0 == main([*words, "--timeout", "60", "--resume"])
    assert rows == read(tmp_path / "out")


@pytest.mark.parametrize(
    ("line", "words"),
    [("missing.onnx,flowers.npy,1", "missing.onnx"), (f"{DATA / 'iris_2layer.onnx'},flowers.npy,1", "flowers.npy")],
)
def test_bad_lists_are_one_line_and_2(line: str, words: str, tmp_path: Path, capsys: Captured) -> None:
    """A network that is not there, and inputs that do not fit one, are named."""
    pytest.importorskip("matplotlib")
    np.save(tmp_path / "flowers.npy", np.zeros((2, 5)))
    (tmp_path / "list.csv").write_text(line + "\n")
    listed = ["--instances", str(tmp_path / "list.csv"), "--out", str(tmp_path / "out")]
    assert 2 == main(["study", "polyhedral-certificates", *listed])
    (said,) = capsys.readouterr().err.splitlines()
    assert words in said


def test_only_that_matches_nothing(tmp_path: Path, capsys: Captured) -> None:
    """A glob that names no part and no network is told."""
    pytest.importorskip("matplotlib")
    assert 2 == main(["study", "polyhedral-certificates", "--only", "nonsense", "--out", str(tmp_path / "out")])
    (said,) = capsys.readouterr().err.splitlines()
    assert "--only nonsense: matches no instance" in said


def test_a_certificate_above_an_attack_ends_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """A certificate that lies is caught, with exit code 4 and both sides named."""
    pytest.importorskip("matplotlib")
    monkeypatch.setitem(sample_distances.CERTIFICATES, "simplex", lambda *_: np.array([1e3]))
    words = ["study", "polyhedral-certificates", "--quick", "--only", "iris_1layer", "--out", str(tmp_path)]
    assert 4 == main(words)
    (line,) = capsys.readouterr().err.splitlines()
    assert "simplex says 1000.0" in line
    with pytest.raises(Contradiction, match="DeepFool says 1"):
        compare({"network": "one", "sample": 0, "norm": 2.0, "simplex": 1.1, "DeepFool": 1.0})


def test_linear_bounds_prove_more_than_the_region(capsys: Captured) -> None:
    """Radii by linear bounds lie between the simplex certificate and DeepFool's distance, times are measured."""
    network = random_network([6, 20, 20, 3], 4)
    x = np.random.default_rng(4).uniform(size=6)
    found = linear_radii(network, x, int(network.evaluate(x[None])[0].argmax()), 6)
    assert 0.0 < found["simplex"] < found["CROWN"] <= found["DeepFool"]
    assert found["simplex"] <= found["Fast-Lin"] <= found["DeepFool"]
    assert all(found[f"{name} seconds"] > 0.0 for name in ("Fast-Lin", "CROWN"))


def test_cells_are_the_activation_regions_of_the_window() -> None:
    """They fill the window, each has one pattern of its own, and the classes' parts fill them."""
    network = random_network((2, 7, 5, 3), 3)
    found = cells(network, SQUARE)
    assert sum(area(cell) for cell in found) == pytest.approx(4.0)
    rng, patterns = np.random.default_rng(3), set()
    for cell in found:
        if area(cell) < 1e-9:
            continue
        points = rng.dirichlet(np.ones(len(cell)), 20) @ cell
        phases = np.concatenate(trace(network, points).phases[:-1], axis=1)
        assert (phases == phases[0]).all()
        patterns.add(phases[0].tobytes())
        parts = class_parts(network, cell)
        assert sum(area(part) for _, part in parts) == pytest.approx(area(cell))
        for label, part in parts:
            assert network.evaluate(part.mean(axis=0)[None])[0].argmax() == label
    assert len(patterns) == sum(area(cell) >= 1e-9 for cell in found) > 10
