"""`assert_verified`, by itself and as pytest's fixture, and results in notebooks."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import hypersplit

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = "hypersplit.bab.pytest_plugin"
PAIRS = [([[1.0, -1.0]], [0.0])]  # y = x_0 - x_1
SQUARE = ([0, 0], [1, 1])
SUITE = """
from hypersplit import Property

NETWORK = [([[1.0, -1.0]], [0.0])]

def test_that_holds(assert_verified):
    assert_verified(NETWORK, Property.output_range(-1, 1, ([0, 0], [1, 1])), timeout=60)

def test_that_is_violated(assert_verified):
    assert_verified(NETWORK, Property.output_range(-1, 0.5, ([0, 0], [1, 1])), timeout=60)
"""


def test_assertions() -> None:
    """A proof returns its result; a counterexample and a verdict that is open fail with what there is to say."""
    assert hypersplit.assert_verified(PAIRS, hypersplit.Property.output_range(-1, 1, SQUARE)).verdict == "unsat"
    with pytest.raises(AssertionError, match=r"violated, by the input\narray\(\[\["):
        hypersplit.assert_verified(PAIRS, hypersplit.Property.output_range(-1, 0.5, SQUARE))
    tanh = hypersplit.sequential([[[1.0]], [[1.0]]], [[0.0], [0.0]], last="tanh")
    with pytest.raises(AssertionError, match="not verified: "):
        hypersplit.assert_verified(tanh, hypersplit.Property.reach(0.5, 0.5, ([0], [1])), nodes=1)


def test_the_fixture_in_a_suite_of_its_own(tmp_path: Path) -> None:
    """A suite that only knows the plugin's name passes what is proved and fails, with the input, what is not."""
    (tmp_path / "test_suite.py").write_text(SUITE)
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", PLUGIN, "-p", "no:cacheprovider", "test_suite.py"]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode == 1 and "1 failed, 1 passed" in run.stdout, run.stdout + run.stderr
    assert "violated, by the input" in run.stdout and "bab/assertion.py" not in run.stdout


def test_the_plugin_is_announced() -> None:
    """pyproject names it as pytest's entry point."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"hypersplit": PLUGIN}


def test_results_in_a_notebook() -> None:
    """The verdict, its meaning, the input and whatever was noted, with nothing taken for markup."""
    result = hypersplit.verify(PAIRS, hypersplit.Property.output_range(-1, 0.5, SQUARE))
    shown = result._repr_html_()
    assert "<b>sat</b>" in shown and "input 1x2" in shown and "output" in shown
    odd = hypersplit.Result("unknown", reason="a < b", notes=("c > d",))._repr_html_()
    assert "a &lt; b" in odd and "c &gt; d" in odd and "not decided" in odd
