"""Radii: both sides are true, near each other, and told to users."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
from carried_inputs import DIGITS, IRIS, digits, flowers

import hypersplit
from hypersplit import InputError, Network, Radius, Result, Witness, sequential, verify
from hypersplit.bab.command.cli import main
from hypersplit.bab.robustness.question import question, whole_range
from hypersplit.bab.robustness.radius_command import rounded
from hypersplit.bab.robustness.upper_side import UpperSide
from hypersplit.instances.carried import carried
from hypersplit.instances.judges.replay import Replay
from hypersplit.instances.network import Array
from hypersplit.instances.onnx.reader import read_network

Captured = pytest.CaptureFixture[str]
IRIS_CSV, DIGITS_CSV = str(carried("iris_nominal.csv")), str(carried("digits_nominal.csv"))
QUICK = ["--jobs", "1", "--timeout", "60"]


def affine() -> tuple[Network, Array]:
    """A classifier without hidden layers, and an input of class 0 whose gap to class 1 is 2, to class 2 it is 4."""
    network = sequential([np.array([[1.0, 2.0], [0.0, 0.0], [-1.0, 1.0]])], [np.zeros(3)])
    return network, np.array([2.0, 0.0])


def others(label: int, classes: int) -> list[int]:
    """All other classes."""
    return [j for j in range(classes) if j != label]


def holds_both_sides(network: Network, x: Array, found: Radius, low: float, high: float) -> None:
    """The certified side is refuted by the search itself, the attacked one shown by the network's own outputs."""
    rest, limits = others(found.label, network.output_size), whole_range(len(x), low, high)
    asked = question(x, found.certified, np.inf, found.label, rest, network.output_size, limits)
    assert verify(network, asked, jobs=1).verdict == "unsat"
    near = found.counterexample
    assert near is not None and (near >= low).all() and (near <= high).all()
    assert np.abs(near - x).max() <= found.attacked <= np.abs(near - x).max() * (1.0 + 1e-12)
    y = network.evaluate(near)
    assert y[found.other] >= y[found.label] - 1e-4  # float32 in the file
    assert found.other == int(np.argmax(np.where(np.arange(len(y)) == found.label, -np.inf, y)))


def test_the_radius_of_an_affine_classifier_is_known() -> None:
    """gap / ||w||_1: 2 / 3 to class 1, 4 / 3 to class 2, between the two sides, which are near each other."""
    network, x = affine()
    found = hypersplit.radius(network, x, tolerance=0.001, jobs=1)
    assert found.certified <= 2 / 3 <= found.attacked <= found.certified / 0.999
    assert (found.label, found.other, found.closed) == (0, 1, True)
    each = hypersplit.radii(network, x, tolerance=0.001, jobs=1)
    assert list(each) == [1, 2]
    assert each[2].certified <= 4 / 3 <= each[2].attacked <= each[2].certified / 0.999
    assert each[1].attacked == pytest.approx(found.attacked, rel=1e-3)


@pytest.mark.parametrize("i", [0, 1, 7])
def test_digits_have_radii_between_both_sides(i: int) -> None:
    """On a carried network the sides meet within the tolerance, and each is what it says."""
    x = digits()[0][i]
    network = read_network(DIGITS)
    found = hypersplit.radius(network, x, low=0.0, high=1.0, tolerance=0.02, jobs=1)
    assert found.closed and 0.98 * found.attacked <= found.certified <= found.attacked
    holds_both_sides(network, x, found, 0.0, 1.0)


@pytest.mark.parametrize("norm", [1, 2])
def test_files_have_radii_in_norm_balls(norm: float) -> None:
    """Of a network read from its file the sides meet in l1 and l2, too: refutations survive the file's own outputs."""
    x = flowers()[0][0]
    found = hypersplit.radius(IRIS, x, norm=norm, tolerance=0.02, jobs=1, timeout=60)
    assert found.closed and 0.98 * found.attacked <= found.certified <= found.attacked
    near = found.counterexample
    assert near is not None and np.linalg.norm(near - x, ord=norm) <= found.attacked
    y = read_network(IRIS).evaluate(near)
    assert found.other is not None and y[found.other] >= y[found.label] - 1e-4  # float32 in the file


def test_flowers_have_radii_to_every_class() -> None:
    """The least of them is the radius; the class itself has none."""
    x, species = flowers()[0][1], int(flowers()[1][1])
    network = read_network(IRIS)
    found, each = (ask(network, x, tolerance=0.02, jobs=1) for ask in (hypersplit.radius, hypersplit.radii))
    holds_both_sides(network, x, found, -np.inf, np.inf)
    assert sorted(each) == others(species, 3)
    assert found.certified <= min(r.attacked for r in each.values())
    assert min(r.certified for r in each.values()) <= found.attacked


def test_a_search_finds_what_the_attack_has_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any attack the complete search moves both sides, from above and from below."""
    from hypersplit.bab.robustness import upper_side

    monkeypatch.setattr(upper_side.UpperSide, "attack", lambda *args: None)
    monkeypatch.setattr(upper_side.UpperSide, "improve", lambda *args: None)
    x = digits()[0][3]
    found = hypersplit.radius(read_network(DIGITS), x, low=0.0, high=1.0, tolerance=0.05, jobs=1)
    assert found.closed and found.questions > 3
    holds_both_sides(read_network(DIGITS), x, found, 0.0, 1.0)


def test_another_class_and_ties_have_radius_zero() -> None:
    """The input itself is the counterexample."""
    network, x = affine()
    wrong = hypersplit.radius(network, x, label=1, jobs=1)
    assert (wrong.certified, wrong.attacked, wrong.other, wrong.questions) == (0.0, 0.0, 0, 0)
    tie = hypersplit.radius(network, np.zeros(2), jobs=1)
    assert (tie.certified, tie.attacked) == (0.0, 0.0)


def test_no_counterexample_in_the_range_is_an_infinite_radius() -> None:
    """Where the whole range keeps the class, nothing is left to attack."""
    network, x = affine()
    found = hypersplit.radius(network, x, low=np.array([1.0, -0.2]), high=np.array([3.0, 0.2]), jobs=1)
    assert (found.certified, found.attacked, found.other, found.reason) == (np.inf, np.inf, None, "")


def test_no_counterexample_anywhere_ends_at_a_large_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a range the search for one goes on to a million times the input's size, and says so."""
    network = sequential([np.zeros((2, 2))], [np.array([1.0, 0.0])])
    found = hypersplit.radius(network, np.ones(2), jobs=1)
    assert (found.certified, found.attacked, found.reason) == (np.inf, np.inf, "")  # a certificate knows
    monkeypatch.setattr("hypersplit.bab.robustness.radius.starting_radius", lambda *_: 0.0)
    found = hypersplit.radius(network, np.ones(2), jobs=1)
    assert found.certified > 1e6 and found.attacked == np.inf
    assert found.reason == "no counterexample is known"


def test_a_witness_on_the_edge_of_the_ball_counts() -> None:
    """Its distance is rounded up, beyond the one that was asked for; it is within that all the same."""
    network, x = affine()
    edge = x + np.array([-1.0, -1.0])  # where the class is 1
    upper = UpperSide(Replay(network), x, 0, np.inf, whole_range(2), np.random.default_rng(0))
    upper.keep(Witness(edge, network.evaluate(edge)), [1, 2])
    best = upper.best([1, 2])
    assert best is not None and best.distance > 1.0
    assert upper.reaches([1, 2], 1.0) and not upper.reaches([1, 2], 0.9999) and not upper.reaches([2], 1.0)


def test_an_interruption_ends_with_what_is_known(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """Both radii are printed, certified is nothing, and the exit code is that of interrupted runs; also with --all."""
    from hypersplit.bab.robustness import radius as asked

    calls = []

    def interrupted(*args: object) -> Result:
        calls.append(args)
        return Result("unknown", reason="interrupted")

    monkeypatch.setattr(asked, "answered", interrupted)
    monkeypatch.setattr(asked, "starting_radius", lambda *args: 0.0)
    for words in ([], ["--all"]):
        calls.clear()
        assert main(["radius", IRIS, IRIS_CSV, "--row", "1", *words, *QUICK]) == 3
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].split()[1] == "0" and float(lines[1].split()[1]) > 0.1
        assert lines[4] == "reason:    interrupted" and len(calls) == 1


def test_a_search_that_does_not_look_at_the_clock_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time for it passes, and the sides stay apart for that reason."""
    from hypersplit.bab.robustness import question as asking
    from hypersplit.bab.robustness import radius as asked

    def deaf(network: Network, prop: object, options: object) -> Result:
        end = time.monotonic() + 30.0
        while time.monotonic() < end:
            time.sleep(0.01)
        raise AssertionError("nobody interrupted")

    monkeypatch.setattr(asking, "verify", deaf)
    monkeypatch.setattr(asked, "starting_radius", lambda *args: 0.0)  # it is the whole radius of such a network
    network, x = affine()
    found = hypersplit.radius(network, x, timeout=1.0, jobs=1)
    assert found.reason == "time" and found.certified == 0.0 < found.attacked < 1.0


def test_files_are_read_by_their_paths() -> None:
    """As `verify` does."""
    x, y = flowers()
    assert hypersplit.radius(IRIS, x[1], tolerance=0.5, jobs=1).label == y[1]
    assert hypersplit.robustness(IRIS, x[:2], y[:2], [0.01], jobs=1)[1].status == "robust"


def test_a_short_time_leaves_the_sides_apart() -> None:
    """They stay true, and the reason is told."""
    found = hypersplit.radius(read_network(DIGITS), digits()[0][0], low=0.0, high=1.0, timeout=1e-3, jobs=1)
    assert found.reason == "time" and 0.0 <= found.certified < found.attacked


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"norm": 3}, "norm 3"), ({"tolerance": 0.0}, "tolerance 0.0"), ({"label": 3}, "label 3"),
        ({"x": np.zeros(3)}, "shape"), ({"x": np.array([np.nan, 0.0])}, "finite"),
        ({"low": 3.0}, "outside the range"), ({"low": 1.0, "high": 0.0}, "range"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused(change: dict[str, object], said: str) -> None:
    """In one sentence, before anything is searched."""
    network, x = affine()
    with pytest.raises(InputError, match=said):
        hypersplit.radius(**({"network": network, "x": x} | change))  # type: ignore[arg-type]


@pytest.mark.parametrize(("norm", "exact"), [(1, 1.0), (2, 2 / np.sqrt(5))])
def test_other_norms_have_the_radius_of_the_dual_norm(norm: float, exact: float) -> None:
    """gap / ||w||_q of the affine classifier: 2 / 2 in l1, 2 / sqrt(5) in l2."""
    network, x = affine()
    found = hypersplit.radius(network, x, norm, tolerance=0.001, jobs=1)
    assert found.certified <= exact <= found.attacked <= found.certified / 0.999


@pytest.mark.parametrize("norm", ["1", "2"])
def test_attacks_in_other_norms_need_no_search(norm: str) -> None:
    """The upper side alone: the counterexample is confirmed by the file, at the distance of the dual norm."""
    network, x = affine()
    upper = UpperSide(Replay(network), x, 0, int(norm), whole_range(2), np.random.default_rng(0))
    upper.attack([1, 2], np.inf)
    best = upper.best([1, 2])
    exact = {"1": 1.0, "2": 2 / np.sqrt(5)}[norm]
    assert best is not None and best.other == 1
    assert exact <= best.distance <= exact * (1.0 + 1e-6)


def test_the_command_tells_both_radii(capsys: Captured) -> None:
    """Four lines, the radii rounded to their safe sides."""
    assert main(["radius", IRIS, IRIS_CSV, "--row", "1", *QUICK]) == 0
    out, err = capsys.readouterr()
    lines = [line.split() for line in out.splitlines()]
    assert err == "" and [line[0] for line in lines] == ["certified:", "attacked:", "class:", "time:"]
    certified, attacked = float(lines[0][1]), float(lines[1][1])
    assert 0.0 < 0.98 * attacked < certified < attacked and lines[2][1] == "1"
    assert main(["radius", IRIS, IRIS_CSV, "--row", "1", "--label", "0", *QUICK]) == 0
    assert "the network itself gives the input class 1" in capsys.readouterr().out


def test_json_and_all_classes(capsys: Captured) -> None:
    """One object; with --all it has the radii of each class, and a table without --json."""
    assert main(["radius", IRIS, IRIS_CSV, "--row", "1", "--all", "--json", *QUICK]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    answer = json.loads(line)
    assert answer["class"] == 1 and answer["norm"] == "inf" and answer["seconds"] > 0.0
    assert sorted(answer["classes"]) == ["0", "2"]
    assert answer["certified"] == min(each["certified"] for each in answer["classes"].values())
    assert answer["attacked"] == min(each["attacked"] for each in answer["classes"].values())
    assert len(answer["counterexample"]) == 4
    assert main(["radius", IRIS, IRIS_CSV, "--row", "1", "--all", *QUICK]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows[-3:]] == ["class", "0", "2"]


@pytest.mark.parametrize("value", [0.1, 0.123456789, 1e-9, 123456.789, 2 / 3])
def test_printed_radii_stay_true(value: float) -> None:
    """Certified ones are rounded down, attacked ones up."""
    assert float(rounded(value, False)) <= value <= float(rounded(value, True))
    assert float(rounded(value, True)) - float(rounded(value, False)) <= 2e-5 * value


def test_pictures_show_images_and_bars(tmp_path: Path, capsys: Captured) -> None:
    """Of images and of other inputs."""
    pytest.importorskip("matplotlib")
    for network, data, name in ((DIGITS, DIGITS_CSV, "a.png"), (IRIS, IRIS_CSV, "b.svg")):
        words = ["radius", network, data, "--row", "3", "--tolerance", "0.5", "--picture", str(tmp_path / name)]
        assert main([*words, *QUICK]) == 0, capsys.readouterr().err
        assert (tmp_path / name).stat().st_size > 1000
