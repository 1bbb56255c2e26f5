"""Certified accuracy of a data set: statuses, csv, page, VNN-LIB files, and what is refused."""

from __future__ import annotations

import base64
import csv
import io
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from carried_inputs import DIGITS, IRIS, digits, flowers

import hypersplit
from hypersplit import InputError, verify
from hypersplit.bab.command.cli import main
from hypersplit.bab.robustness.answer_file import COLUMNS
from hypersplit.bab.robustness.question import question, whole_range
from hypersplit.bab.robustness.robustness_page import png
from hypersplit.bab.run.result import Result
from hypersplit.instances.carried import carried
from hypersplit.instances.network import Array
from hypersplit.instances.onnx.reader import read_network

Captured = pytest.CaptureFixture[str]
DIGITS_CSV = str(carried("digits_nominal.csv"))
SAID = ["--range", "0,1", "--option", "jobs=1", "--timeout", "60"]
EPSILONS = (0.05, 0.08, 0.11)


def data(folder: Path, count: int = 10, labels: bool = True) -> Path:
    """The carried images as .npz, the last one with a wrong label; or as .npy."""
    x, y = digits()
    y[-1] = (y[-1] + 1) % 10
    images = x.reshape(-1, 8, 8)[-count:]
    if labels:
        np.savez(folder / "data.npz", images=images, labels=y[-count:].astype(np.uint8))
        return folder / "data.npz"
    np.save(folder / "data.npy", images)
    return folder / "data.npy"


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a csv."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def statuses(path: Path) -> dict[tuple[str, str], str]:
    """(index, epsilon) -> status."""
    return {(row["index"], row["epsilon"]): row["status"] for row in rows_of(path)}


def test_answers_are_those_of_the_search() -> None:
    """Each status is what `verify` says of the same question, and counterexamples lie within the distance."""
    x, y = digits()
    network, limits = read_network(DIGITS), whole_range(64, 0.0, 1.0)
    found = hypersplit.robustness(network, x[2:6], y[2:6], [0.11, 0.05], low=0.0, high=1.0, jobs=1)
    assert [(a.index, a.epsilon) for a in found] == [(i, e) for i in range(4) for e in (0.05, 0.11)]
    for a in found:
        others = [j for j in range(10) if j != a.label]
        asked = question(x[2 + a.index], a.epsilon, np.inf, a.label, others, 10, limits)
        assert {"unsat": "robust", "sat": "attacked"}[verify(network, asked, jobs=1).verdict] == a.status
        if a.counterexample is not None:
            assert np.abs(a.counterexample - x[2 + a.index]).max() <= a.distance <= a.epsilon
            assert network.evaluate(a.counterexample).argmax() == a.other != a.label
    assert {a.status for a in found} == {"robust", "attacked"}


def test_what_no_attack_finds_the_search_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """A counterexample of the search counts as attacked, with its own distance."""
    from hypersplit.bab.robustness import samples

    monkeypatch.setattr(samples.Samples, "_attacked", lambda *args: False)
    x, y = digits()
    (a,) = hypersplit.robustness(read_network(DIGITS), x[3:4], y[3:4], [0.11], low=0.0, high=1.0, jobs=1)
    assert a.status == "attacked" and a.distance <= 0.11 and a.other >= 0


def test_a_limit_leaves_inputs_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """At larger distances nothing is searched for then, and the reason says so."""
    asked = []

    def limited(*_: object) -> Result:
        asked.append(1)
        return Result("timeout", reason="time")

    monkeypatch.setattr("hypersplit.bab.robustness.question.verify", limited)
    x, y = digits()
    found = hypersplit.robustness(read_network(DIGITS), x[:1], y[:1], [0.1, 0.12], low=0.0, high=1.0, jobs=1)
    assert [(a.status, a.reason) for a in found] == [("unknown", "time"), ("unknown", "it is at 0.1, too")]
    assert len(asked) == 1


def test_the_command_counts_and_writes_every_answer(tmp_path: Path, capsys: Captured) -> None:
    """A table with shares of all inputs; a row of the csv for each input and distance; wrong inputs are neither."""
    path = tmp_path / "a.csv"
    words = ["robustness", DIGITS, str(data(tmp_path)), "--epsilon", "0.05,0.08,0.11", "--csv", str(path)]
    assert main([*words, *SAID]) == 0
    out, err = capsys.readouterr()
    assert err == "" and "right on 9 (90.00%)" in out
    rows = rows_of(path)
    assert list(rows[0]) == list(COLUMNS) and len(rows) == 30
    assert all((row["status"] == "wrong") == (row["index"] == "9") for row in rows)
    for line, epsilon in zip(out.splitlines()[-3:], EPSILONS, strict=True):
        counts = [sum(r["status"] == s and float(r["epsilon"]) == epsilon for r in rows) for s in
                  ("robust", "attacked", "unknown", "wrong")]  # fmt: skip
        words_of_line = line.split()
        assert [int(word) for word in words_of_line[1:5]] == counts and sum(counts) == 10
        assert words_of_line[5] == f"{counts[0] / 10:.2%}"
    robust = [sum(s == "robust" and e == repr(eps) for (_, e), s in statuses(path).items()) for eps in EPSILONS]
    assert robust == sorted(robust, reverse=True) and robust[0] > robust[-1]


def test_a_killed_run_goes_on(tmp_path: Path) -> None:
    """Rows that were written stay as they are, a line cut off in writing is asked again, the rest is added."""
    source, path, whole = data(tmp_path), tmp_path / "a.csv", tmp_path / "whole.csv"
    words = ["robustness", DIGITS, str(source), "--epsilon", "0.05,0.11", *SAID]
    command = [sys.executable, "-m", "hypersplit.bab", *words, "--csv", str(path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        while run.poll() is None and not (path.exists() and len(path.read_bytes().splitlines()) > 4):
            time.sleep(0.005)
        run.send_signal(signal.SIGKILL)
    before = path.read_text().splitlines()
    kept = before[:4]
    path.write_text("\n".join([*kept, before[4][: len(before[4]) // 2]]))  # the fifth line is cut off
    assert main([*words, "--csv", str(path), "--resume"]) == 0
    assert path.read_text().splitlines()[:4] == kept
    assert main([*words, "--csv", str(whole)]) == 0
    assert len(rows_of(path)) == 20 and statuses(path) == statuses(whole)


def test_what_is_there_is_not_overwritten(tmp_path: Path, capsys: Captured) -> None:
    """Without --resume a csv stays as it is; with it, answers to other questions are refused."""
    path = tmp_path / "a.csv"
    words = ["robustness", DIGITS, str(data(tmp_path, 2)), "--csv", str(path), *SAID]
    assert main([*words, "--epsilon", "0.05"]) == 0
    held = path.read_bytes()
    assert main([*words, "--epsilon", "0.05"]) == 2
    assert main([*words, "--epsilon", "0.06", "--resume"]) == 2
    data(tmp_path, 3)
    assert main([*words, "--epsilon", "0.05", "--resume"]) == 2
    assert path.read_bytes() == held
    assert capsys.readouterr().err.count("was begun with the options") == 2


def test_inputs_side_by_side_have_the_same_answers(tmp_path: Path) -> None:
    """Two processes say what one says."""
    words = ["robustness", DIGITS, str(data(tmp_path, 4)), "--epsilon", "0.05,0.11", "--range", "0,1"]
    assert main([*words, "--csv", str(tmp_path / "two.csv"), "--jobs", "2"]) == 0
    assert main([*words, "--csv", str(tmp_path / "one.csv")]) == 0
    assert statuses(tmp_path / "two.csv") == statuses(tmp_path / "one.csv")


def test_the_page_holds_everything(tmp_path: Path) -> None:
    """Counts, curve and pictures in one file without links, for narrow and dark screens; also of answers read back."""
    page, answers = tmp_path / "page.html", tmp_path / "a.csv"
    words = ["robustness", DIGITS, str(data(tmp_path)), "--epsilon", "0.05,0.11", *SAID, "--csv", str(answers)]
    assert main([*words, "--html", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert "http" not in text and "prefers-color-scheme: dark" in text and "width=device-width" in text
    assert text.count("<polyline") == 2 and "90.00%" in text
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    attacked = len({i for (i, _), s in statuses(answers).items() if s == "attacked"})
    assert len(pictures) == 3 * attacked > 0
    images = pytest.importorskip("PIL.Image")
    assert all(images.open(io.BytesIO(base64.b64decode(p))).size == (8, 8) for p in pictures)
    assert main([*words, "--html", str(page), "--resume"]) == 0
    again = re.findall(r'src="data:image/png;base64,([^"]+)"', page.read_text(encoding="utf-8"))
    assert len(again) == len(pictures)


def test_pictures_are_read_back_as_they_were() -> None:
    """Grey and coloured levels, by pillow."""
    images = pytest.importorskip("PIL.Image")
    levels = np.random.default_rng(0).integers(0, 256, size=(5, 7, 3)).astype(np.uint8)
    assert (np.asarray(images.open(io.BytesIO(png(levels)))) == levels).all()
    assert (np.asarray(images.open(io.BytesIO(png(levels[:, :, :1])))) == levels[:, :, 0]).all()


def test_questions_are_written_as_vnnlib(tmp_path: Path, capsys: Captured) -> None:
    """The list and its files are what `verify` and `bench` read, with the same verdicts; other norms are refused."""
    folder = tmp_path / "questions"
    words = ["robustness", DIGITS, str(data(tmp_path, 3)), "--epsilon", "0.05,0.11", *SAID]
    assert main([*words, "--vnnlib", str(folder), "--csv", str(tmp_path / "a.csv")]) == 0
    lines = [line.split(",") for line in (folder / "instances.csv").read_text().splitlines()]
    found = list(statuses(tmp_path / "a.csv").values())
    verdicts = [verify(folder / network, folder / prop, jobs=1).verdict for network, prop, _ in lines]
    assert verdicts == [{"robust": "unsat"}.get(status, "sat") for status in found]
    assert {float(seconds) for _, _, seconds in lines} == {60.0}
    capsys.readouterr()
    assert main([*words, "--norm", "2", "--vnnlib", str(folder)]) == 2
    assert "can be said in VNN-LIB" in capsys.readouterr().err


def test_data_sets_come_in_three_kinds(tmp_path: Path) -> None:
    """.npz, .npy with labels in a file of either kind, and .csv give the same answers."""
    plain, images = data(tmp_path, 3), data(tmp_path, 3, labels=False)
    with np.load(plain) as arrays:
        labels = arrays["labels"].astype(int)
    np.save(tmp_path / "labels.npy", labels)
    (tmp_path / "labels.txt").write_text("".join(f"{k}\n" for k in labels))
    table = [",".join([str(k), *map(repr, x.ravel().tolist())]) for k, x in zip(labels, np.load(images), strict=True)]
    (tmp_path / "data.csv").write_text("\n".join(table) + "\n")
    kinds = (
        [str(plain)], [str(images), "--labels", str(tmp_path / "labels.npy")],
        [str(images), "--labels", str(tmp_path / "labels.txt")], [str(tmp_path / "data.csv")],
    )  # fmt: skip
    found = []
    for k, words in enumerate(kinds):
        path = tmp_path / f"{k}.csv"
        assert main(["robustness", DIGITS, *words, "--epsilon", "0.05", *SAID, "--csv", str(path)]) == 0
        found.append(statuses(path))
    assert all(one == found[0] for one in found) and len(found[0]) == 3


def test_scaled_inputs_have_scaled_radii(tmp_path: Path) -> None:
    """Raw levels of 0 to 16 with --scale 1/16 are the same inputs; --limit takes the first ones."""
    x, y = digits()
    np.savez(tmp_path / "raw.npz", images=np.rint(16 * x).astype(np.uint8), labels=y)
    words = ["robustness", DIGITS, str(tmp_path / "raw.npz"), "--limit", "3", "--epsilon", "0.08", *SAID]
    assert main([*words, "--scale", "1/16", "--csv", str(tmp_path / "a.csv")]) == 0
    expected = hypersplit.robustness(read_network(DIGITS), x[:3], y[:3], [0.08], low=0.0, high=1.0, jobs=1)
    assert list(statuses(tmp_path / "a.csv").values()) == [a.status for a in expected]


@pytest.mark.parametrize("norm", [1, 2])
def test_other_norms_are_certified_too(norm: int) -> None:
    """Their balls lie in that of the maximum norm: what is robust there is robust here."""
    x, y = flowers()
    network = read_network(IRIS)
    wide = hypersplit.robustness(network, x, y, [0.2], jobs=1)
    found = hypersplit.robustness(network, x, y, [0.2], norm, jobs=1)
    assert all(a.status == "robust" for a, b in zip(found, wide, strict=True) if b.status == "robust")
    assert {a.status for a in found} <= {"robust", "attacked"}


def empty(folder: Path) -> list[str]:
    np.savez(folder / "x.npz", images=np.zeros((0, 4)), labels=np.zeros(0, dtype=int))
    return [str(folder / "x.npz")]


def arrays(images: Array, labels: Array) -> Callable[[Path], list[str]]:
    def write(folder: Path) -> list[str]:
        np.savez(folder / "x.npz", images=images, labels=labels)
        return [str(folder / "x.npz")]

    return write


def bare(folder: Path) -> list[str]:
    np.save(folder / "x.npy", np.zeros((3, 4)))
    return [str(folder / "x.npy")]


def text(content: str) -> Callable[[Path], list[str]]:
    def write(folder: Path) -> list[str]:
        (folder / "x.csv").write_text(content)
        return [str(folder / "x.csv")]

    return write


GOOD = arrays(np.zeros((3, 4)), np.zeros(3, dtype=int))
BAD: dict[str, tuple[Callable[[Path], list[str]], list[str], str]] = {
    "missing": (lambda folder: ["absent.npz"], [], "absent.npz: no such file"),
    "no data set": (lambda folder: ["x.txt"], [], "ends with .npz, .npy or .csv"),
    "empty": (empty, [], "shape (0, 4)"),
    "empty csv": (text(""), [], "no inputs"),
    "shape": (arrays(np.zeros((3, 5)), np.zeros(3, dtype=int)), [], "expected 4 numbers"),
    "one axis": (arrays(np.zeros(3), np.zeros(3, dtype=int)), [], "a number of inputs"),
    "label": (arrays(np.zeros((3, 4)), np.array([0, 1, 3])), [], "label 3 of input 2"),
    "labels": (arrays(np.zeros((3, 4)), np.zeros(2, dtype=int)), [], "labels of shape (2,) for 3 inputs"),
    "fractions": (arrays(np.zeros((3, 4)), np.array([0.0, 0.5, 1.0])), [], "whole numbers"),
    "nan labels": (arrays(np.zeros((3, 4)), np.array([0.0, np.nan, 1.0])), [], "whole numbers"),
    "nan": (arrays(np.full((3, 4), np.nan), np.zeros(3, dtype=int)), [], "finite numbers"),
    "no labels": (bare, [], "--labels"),
    "missing labels": (bare, ["--labels", "absent.txt"], "absent.txt"),
    "no labels in csv": (text("1,2,3,4\n"), [], "--labels"),
    "words in csv": (text("0,1,2,3,4\n0,a,2,3,4\n"), [], "line 2: expected numbers"),
    "columns": (text("1,2,3\n"), [], "3 numbers, expected 4"),
    "range": (GOOD, ["--range", "1,2"], "outside the range"),
    "epsilon 0": (GOOD, ["--epsilon", "0"], "epsilon 0: expected positive numbers"),
    "epsilon below": (GOOD, ["--epsilon=-1"], "positive numbers"),
    "epsilon inf": (GOOD, ["--epsilon", "inf"], "finite numbers"),
    "epsilon word": (GOOD, ["--epsilon", "a"], "expected numbers"),
    "limit": (GOOD, ["--limit", "0"], "--limit"),
    "resume": (GOOD, ["--resume"], "--resume needs --csv"),
    "html": (GOOD, ["--html", "nowhere/x.html"], "no folder nowhere"),
    "option": (GOOD, ["--option", "picture=x.png"], "option picture"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_one_line(kind: str, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 2, nothing counted, and what was wrong."""
    monkeypatch.chdir(tmp_path)
    make, more, said = BAD[kind]
    words = ["robustness", IRIS, *make(tmp_path), *more]
    code = main(words if any(w.startswith("--epsilon") for w in more) else [*words, "--epsilon", "0.1"])
    out, err = capsys.readouterr()
    assert (code, out) == (2, ""), err
    assert len(err.splitlines()) == 1 and err.startswith("hypersplit: error: ") and said in err


def test_inputs_over_outputs_are_refused(tmp_path: Path, capsys: Captured) -> None:
    """A csv or page over the data, or both in one file."""
    source = str(data(tmp_path, 2))
    words = ["robustness", DIGITS, source, "--epsilon", "0.05", *SAID]
    assert main([*words, "--csv", source]) == 2
    assert main([*words, "--csv", str(tmp_path / "x"), "--html", str(tmp_path / "x")]) == 2
    assert "is an input" in capsys.readouterr().err


def test_wrong_arguments_of_the_function_are_refused() -> None:
    """Arrays that do not fit, labels that are none, norms that are none."""
    x, y = flowers()
    network = read_network(IRIS)
    for inputs, labels, epsilons, norm in (
        (x[:, :3], y, [0.1], np.inf), (x, y[:3], [0.1], np.inf), (x, y + 5, [0.1], np.inf), (x, y, [], np.inf),
        (x, y, [0.1], 3),
    ):  # fmt: skip
        with pytest.raises(InputError):
            hypersplit.robustness(network, inputs, labels, epsilons, norm, jobs=1)
