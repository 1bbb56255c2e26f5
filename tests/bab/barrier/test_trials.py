"""What the studies are tried on, and what is said of files that are not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from barrier_pack import NAMES, pack, pack_images

from hypersplit.bab.barrier.trials import chosen, distortion_trials, error_trials
from hypersplit.bab.studies.frame import Settings
from hypersplit.instances.errors import InputError


def settings(folder: Path | str = "", *only: str) -> Settings:
    """Of a study with that folder."""
    return Settings(timeout=5.0, instances=str(folder), only=only)


def test_the_folder_of_the_paper(tmp_path: Path) -> None:
    """Networks, distances and printed numbers come from the tables, images in [0, 1] from their numbers."""
    given = settings(pack(tmp_path))
    trials = error_trials(given)
    assert [f"{name} 0.14" for name in NAMES] == [trial.name for trial in trials]
    assert {6.0} == {trial.printed["upper_lp_greedy_pct"] for trial in trials}
    assert (4, 3) == (trials[0].load().input_size, trials[0].load().output_size)
    inputs = trials[0].inputs(3)
    assert [0, 1, 2] == list(inputs.numbers)
    assert (inputs.points == pack_images()[:3].reshape(3, -1) / 255.0).all()
    ten = distortion_trials(given)[1].inputs(2)
    assert [5, 2] == list(ten.numbers)
    assert (ten.points == pack_images()[[5, 2]].reshape(2, -1) / 255.0).all()


def test_only_chooses_networks_and_distances(tmp_path: Path) -> None:
    """A glob matches a network, or a network with its distance; one that matches nothing is told."""
    trials = error_trials(settings(pack(tmp_path)))
    assert ["DEEP 0.14"] == [trial.name for trial in chosen(trials, settings("", "DEEP"))]
    assert ["SHALLOW 0.14"] == [trial.name for trial in chosen(trials, settings("", "*W 0.14"))]
    with pytest.raises(InputError, match="--only nonsense: matches no instance"):
        chosen(trials, settings("", "nonsense"))


def test_carried_digits() -> None:
    """Without a folder: carried networks, digits and noisy copies in [0, 1], the same for the same seed."""
    trial = distortion_trials(settings())[0]
    inputs, again = trial.inputs(15), trial.inputs(15)
    assert (inputs.points == again.points).all() and inputs.points.shape == (15, trial.load().input_size)
    assert (0.0 <= inputs.points).all() and (inputs.points <= 1.0).all()
    assert len(np.unique(inputs.points, axis=0)) == 15
    assert (trial.load().evaluate(inputs.points[:10]).argmax(axis=1) == inputs.labels[:10]).all()
    assert len({trial.name for trial in error_trials(settings())}) == 4


@pytest.mark.parametrize(
    "name",
    ["barrier/paper_table1.csv", "barrier/onnx/DEEP.onnx", "images/mnist_test.npz", "barrier/ten_test_images.csv"],
)
def test_files_that_are_missing_are_named(name: str, tmp_path: Path) -> None:
    """The file that is not there is named, before any work."""
    folder = pack(tmp_path)
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"{name}: no such file"):
        for trial in (*error_trials(settings(folder)), *distortion_trials(settings(folder))):
            trial.load()
            trial.inputs(1)


def test_folders_and_tables_that_are_none(tmp_path: Path) -> None:
    """A folder that is not there and a table without its columns are told."""
    with pytest.raises(InputError, match="expected a folder with barrier/paper_table1.csv"):
        error_trials(settings(tmp_path / "missing"))
    folder = pack(tmp_path)
    table = folder / "barrier" / "paper_table1.csv"
    table.write_text("network,eps\nDEEP,\n")
    with pytest.raises(InputError, match="expected rows with the columns network, eps"):
        error_trials(settings(folder))
    table.write_text("network,eps\nDEEP,large\n")
    with pytest.raises(InputError, match=r"paper_table1.csv.*large"):
        error_trials(settings(folder))
