"""What is said about distortions: means in thousandths, median gaps, and what was printed beside them."""

from __future__ import annotations

from pathlib import Path

import pytest
from barrier_pack import pack

from hypersplit.bab.barrier.distortion_findings import findings
from hypersplit.bab.studies.frame import Row, Settings


def row(number: int, method: str, **values: float) -> Row:
    """Of the network SHALLOW."""
    empty = {"epsilon": float("nan"), "grid": float("nan"), "above": float("nan"), "stopped": 0, "layer": -1}
    where = {"network": "SHALLOW", "range": "[0, 1]", "input": number, "method": method}
    return {**where, **empty, "neurons": -1, "seconds": 0.0, **values}


def test_means_gaps_and_times(tmp_path: Path) -> None:
    """Gaps are to PGD's distance on the same input, medians of them; printed means are compared, and the grid told."""
    pytest.importorskip("matplotlib")
    rows = []
    for number, (greedy, above) in enumerate([(0.01, 0.02), (0.03, 0.04), (0.02, 0.1)]):
        rows += [row(number, "PGD", above=above), row(number, "LP-GREEDY", epsilon=greedy, grid=greedy)]
        rows += [row(number, "LP-LAST", epsilon=greedy, grid=greedy, stopped=1)]
    rows.append(row(0, "times", layer=2, neurons=4, seconds=0.02))
    found = findings(Settings(timeout=1.0, instances=str(pack(tmp_path))), rows)
    (means,) = found.tables["Mean distortions, thousandths"]
    assert (means["LP-GREEDY"], means["inputs"], means["stopped"]) == (pytest.approx(20.0), 3, 3)
    (gaps,) = found.tables["Median gaps to PGD, per cent"]
    assert (gaps["LP-GREEDY"], gaps["LP-GREEDY, printed"]) == (pytest.approx(50.0), 50.0)
    beside = found.tables["Beside the printed means, thousandths"]
    assert [("LP-GREEDY", 100.0), ("LP-LAST", 0.0)] == [
        (b["method"], pytest.approx(b["difference, per cent"])) for b in beside[:2]
    ]
    assert [(20.0, 20.0), (20.0, 21.0)] == [
        (pytest.approx(b["on the grid"]), pytest.approx(b["next there"])) for b in beside[:2]
    ]
    (layer,) = found.tables["LP-ALL by layers: processor milliseconds an unstable neuron"]
    assert layer["milliseconds"] == pytest.approx(5.0)
    assert {"gaps", "hulls", "times"} == set(found.figures)
