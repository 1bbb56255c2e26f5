"""The study of scaling, in small."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest

from hypersplit.bab.command.cli import main
from hypersplit.bab.studies import frame as module
from hypersplit.bab.studies import partition_rules as partition_rules
from hypersplit.bab.studies import scaling as scaling

Captured = pytest.CaptureFixture[str]


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a csv."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_fits_find_slopes_and_treat_limits_as_lower_bounds() -> None:
    """Exact points give their line; a bound below it changes nothing, one above it draws it up."""
    x = np.arange(6.0)
    y = 0.5 * x + 1.0
    at_end = np.arange(6) == 5
    assert scaling.fit(x, y, np.zeros(6, dtype=bool)) == pytest.approx((0.5, 1.0))
    assert scaling.fit(x, y - 2.0 * at_end, at_end) == pytest.approx((0.5, 1.0))
    above = scaling.fit(x, y + 2.0 * at_end, at_end)
    assert above and above[0] > 0.6
    assert scaling.fit(x, y, x > 0.0) is None


def test_medians_know_that_a_timeout_is_no_small_number() -> None:
    """A run at its limit is longer than all others whatever nodes it got through; most of them make a bound."""
    base = {"swept": "inputs", "inputs": 4, "search_seconds": 1.0}
    solved = [{**base, "verdict": "unsat", "nodes": nodes} for nodes in (100, 300)]
    limits = [{**base, "verdict": "timeout", "nodes": nodes} for nodes in (10, 20)]

    (point,) = scaling.medians([*solved, limits[0]], "inputs")
    assert (300, "", 2) == (point["nodes"], point["bound"], point["solved"])
    (point,) = scaling.medians([solved[0], *limits], "inputs")
    assert (20, "at least") == (point["nodes"], point["bound"])
    assert [] == scaling.medians([{**base, "verdict": "sat", "nodes": 1}], "inputs")


@pytest.mark.parametrize(("share", "verdict"), [(0.05, "unsat"), (-0.2, "sat")])
def test_questions_near_the_maximum(share: float, verdict: str) -> None:
    """Just above the highest output that the attack finds, the answer is `unsat`; well below it, `sat`."""
    asked = scaling.near_maximum([3, 12, 12, 1], seed=1, share=share)
    assert verdict == module.decide(*asked, method="split", timeout=20.0).verdict


def test_quick_scaling(tmp_path: Path, capsys: Captured) -> None:
    """The small version proves all its instances, says how nodes grow, and writes csv, figures and page."""
    pytest.importorskip("matplotlib")
    assert 0 == main(["study", "scaling", "--quick", "--out", str(tmp_path)])
    said = capsys.readouterr().out
    rows = read(tmp_path / "scaling.csv")

    assert sum(len(values) for _, values in scaling.QUICK_SWEEPS.values()) * scaling.QUICK_SEEDS == len(rows)
    assert {"unsat"} == {row["verdict"] for row in rows}
    assert all(int(row["nodes"]) > 0 and float(row["seconds"]) >= float(row["search_seconds"]) for row in rows)
    assert re.search(r"^nodes (grow|fall) by a factor of [\d.]+ per added input \(depth 2, width 20\)", said, re.M)
    assert re.search(r"^nodes go like width\^-?[\d.]+ \(inputs 4, depth 2\)", said, re.M)
    assert {"scaling-nodes.svg", "scaling-search-seconds.svg", "scaling.html"} < {p.name for p in tmp_path.iterdir()}
    assert 3 == (tmp_path / "scaling.html").read_text().count("<svg ")
