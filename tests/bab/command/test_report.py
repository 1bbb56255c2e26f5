"""Reports of results: short, and valid JSON."""

from __future__ import annotations

import json

import numpy as np

from hypersplit.bab.command.report import json_text, summary
from hypersplit.bab.run.result import Result
from hypersplit.instances.judges.witness import Witness


def test_summaries_of_large_witnesses_stay_short() -> None:
    """784 inputs are summed up in a line, and infinities do not get into JSON."""
    result = Result(
        "sat", Witness(np.linspace(0.0, 1.0, 784), np.zeros(10)), reason="attack", statistics={"nodes": 3}
    )
    lines = summary(result)
    assert len(lines) <= 6
    assert max(map(len, lines)) < 120
    assert "784 numbers from 0 to 1" in "\n".join(lines)
    assert json.loads(json_text(result))["bound"] is None
