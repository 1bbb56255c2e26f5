"""Regions of a data set as files: which inputs they are of, and what `verify` says of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from carried_inputs import DIGITS, digits

from hypersplit import InputError, verify
from hypersplit.bab.command.cli import COMMANDS, main
from hypersplit.bab.robustness.regions_command import regions_command
from hypersplit.bab.robustness.vnnlib_files import LIST
from hypersplit.bab.run.arguments import parser

Captured = pytest.CaptureFixture[str]


def data(folder: Path, count: int) -> Path:
    """The first carried images as .npz, the second one with a wrong label."""
    x, y = digits()
    y[1] = (y[1] + 1) % 10
    np.savez(folder / "digits.npz", images=x[:count], labels=y[:count])
    return folder / "digits.npz"


def test_regions_are_of_the_inputs_that_the_network_is_right_on(tmp_path: Path, capsys: Captured) -> None:
    """Numbered as in the data set; with --all the others too; the files are questions that `verify` answers."""
    words = ["regions", DIGITS, str(data(tmp_path, 3)), "--epsilon", "0.01", "--range", "0,1", "--timeout", "7"]
    assert main([*words, "--out", str(tmp_path / "right")]) == 0
    assert "the network is right on 2" in capsys.readouterr().out
    listed = [line.split(",") for line in (tmp_path / "right/instances.csv").read_text().splitlines()]
    assert [row[1:] for row in listed] == [["input0_eps0.01.vnnlib", "7"], ["input2_eps0.01.vnnlib", "7"]]
    network, prop, _ = listed[0]
    assert verify(tmp_path / "right" / network, tmp_path / "right" / prop, jobs=1).verdict == "unsat"
    assert main([*words, "--out", str(tmp_path / "all"), "--all"]) == 0
    listed = [line.split(",") for line in (tmp_path / "all/instances.csv").read_text().splitlines()]
    assert len(listed) == 3
    assert verify(tmp_path / "all" / network, tmp_path / "all" / listed[1][1], jobs=1).verdict == "sat"


@pytest.mark.parametrize("wrong", [["--norm", "2"], ["--epsilon", "0"], ["--limit", "0"], ["--scale", "0"]])
def test_wrong_words_are_one_line(wrong: list[str], tmp_path: Path, capsys: Captured) -> None:
    """Other norms, distances and numbers that are none: exit code 2, and no list."""
    words = ["regions", DIGITS, str(data(tmp_path, 2)), "--epsilon", "0.01", "--out", str(tmp_path / "out"), *wrong]
    try:
        code = main(words)
    except SystemExit as stop:
        code = stop.code
    assert code == 2 and len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "out/instances.csv").exists()


def test_a_list_is_not_written_over(tmp_path: Path, capsys: Captured) -> None:
    """The second time the folder is refused, and so is a file in its place."""
    words = ["regions", DIGITS, str(data(tmp_path, 2)), "--epsilon", "0.01", "--out", str(tmp_path / "out")]
    assert main(words) == 0
    with pytest.raises(InputError, match="has a list"):
        regions_command(parser(COMMANDS).parse_args(words))
    (tmp_path / "out" / LIST).unlink()
    assert main(words) == 0
    (tmp_path / "file").write_text("")
    assert main([*words[:-1], str(tmp_path / "file")]) == 2
    assert "not a folder" in capsys.readouterr().err
