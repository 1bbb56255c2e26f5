"""`--picture`: a figure is written for every kind of tree, bad options are said before the search."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from split_trees import halved, query_of

from hypersplit.bab.command.cli import main
from hypersplit.bab.drawing.cells import choose_inputs
from hypersplit.bab.drawing.picture import Drawing, draw
from hypersplit.bab.run.result import Result
from hypersplit.bab.tree.trace import Trace
from hypersplit.bab.verify import verify
from hypersplit.heuristics.splits.splits import Splits
from hypersplit.instances.batch import Batch, root
from hypersplit.instances.carried import carried
from hypersplit.instances.judges.witness import Witness

pytest.importorskip("matplotlib")
Captured = pytest.CaptureFixture[str]
NETWORK, HOLDS = str(carried("control_2d.onnx")), str(carried("control_force_1.2.vnnlib"))


def size_of(path: Path) -> tuple[int, int]:
    """Width and height that a PNG's header states."""
    head = path.read_bytes()[:24]
    assert head.startswith(b"\x89PNG\r\n\x1a\n")
    return int.from_bytes(head[16:20]), int.from_bytes(head[20:24])


def test_verify_draws_what_it_searched(tmp_path: Path, capsys: Captured) -> None:
    """The picture is a large PNG; verdict, exit code and output are those of a run without it."""
    path = tmp_path / "p.png"
    assert main(["verify", NETWORK, HOLDS, "--picture", str(path), "--picture-inputs", "1,0"]) == 0
    out, err = capsys.readouterr()

    assert out.splitlines()[0] == "unsat" and err == ""
    width, height = size_of(path)
    assert width > 1500 and height > 800 and path.stat().st_size > 20_000


def test_recording_does_not_change_the_search(tmp_path: Path) -> None:
    """With and without a picture a run bounds the same nodes to the same depth."""
    plain = verify(NETWORK, HOLDS).statistics
    drawn = verify(NETWORK, HOLDS, picture=str(tmp_path / "p.svg")).statistics

    assert plain["nodes"] == drawn["nodes"] > 10 and plain["depth"] == drawn["depth"]
    assert (tmp_path / "p.svg").read_text().startswith("<?xml")


@pytest.mark.parametrize(("inputs", "open_inputs", "times"), [(1, 1, 3), (2, 1, 0), (2, 2, 6), (4, 3, 9), (3, 2, 12)])
def test_every_size_of_tree_is_drawn(inputs: int, open_inputs: int, times: int, tmp_path: Path) -> None:
    """One node, a graph, bars and an image; one input, two, fixed ones and a slice; a witness or none."""
    query = query_of(inputs, open_inputs)
    x = query.region.upper
    result = Result("sat", Witness(x, np.zeros(1), False), reason="search", statistics={"nodes": 7})
    tree = halved(query, times, open_inputs)
    draw(str(tmp_path / "p.png"), Drawing(query, tree, result if times % 2 else Result("timeout"), "a,  b"))

    assert size_of(tmp_path / "p.png")[0] > 1500


def test_the_inputs_that_show_most_cells_are_drawn() -> None:
    """Axis splits and half-spaces both count, and a fixed input is never chosen before an open one."""
    query = query_of(5, 4)
    trace, batch = Trace(), root(query)
    trace.planted(batch)
    row = np.array([[0.0, 0.0, 3.0, 1.0, 0.0, 0.1]])
    for axis in (3, -1, 3):
        both = Batch.concatenate([batch, batch])
        splits = Splits.none(1, 5)
        splits.axis[0], splits.row = axis, row * (axis < 0)
        both.number = trace.size + np.arange(2)
        trace.split(batch, splits, both)
        batch = both[:1]
    nothing = Trace()
    nothing.planted(root(query))

    assert choose_inputs(query, trace.tree(), np.zeros(5)) == (2, 3)
    assert max(choose_inputs(query_of(3, 2), nothing.tree(), np.zeros(3))) < 2
    assert choose_inputs(query_of(1, 1), nothing.tree(), np.zeros(1)) == (0, -1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--picture p.jpeg", ".png"), ("--picture p", ".png"), ("--picture no/such.png", "cannot be written"),
        ("--picture p.png --picture-inputs 0,2", "inputs of 0 to 1"),
        ("--picture p.png --picture-inputs 1,1", "different"), ("--picture p.png --picture-inputs -1,0", "different"),
        ("--picture p.png --picture-inputs x", "e.g. 0,1"), ("--picture-inputs 0,1", "no picture"),
    ],
)  # fmt: skip
def test_bad_options_are_one_line_and_2(
    arguments: str, words: str, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said before the search, which here would be an internal error, and no file is left behind."""

    def fail(*_: object) -> None:
        raise AssertionError

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hypersplit.bab.verify.run", fail)
    options = arguments.replace("--picture-inputs ", "--picture-inputs=").split()
    assert main(["verify", NETWORK, HOLDS, *options]) == 2
    out, err = capsys.readouterr()

    assert out == "" and len(err.splitlines()) == 1 and words in err
    assert not list(tmp_path.iterdir())


def test_a_missing_matplotlib_is_said_with_the_remedy(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line with the command that installs it, exit code 2."""
    monkeypatch.setattr("hypersplit.bab.drawing.picture.find_spec", lambda name: None)
    assert main(["verify", NETWORK, HOLDS, "--picture", str(tmp_path / "p.png")]) == 2
    assert 'pip install "hypersplit[plot]"' in capsys.readouterr().err


def test_a_picture_that_fails_costs_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full at the end leaves the verdict, with the failure in the reason."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hypersplit.bab.drawing.picture.draw", full)
    result = verify(NETWORK, HOLDS, picture=str(tmp_path / "p.png"))

    assert result.verdict == "unsat" and "No space left" in result.reason
