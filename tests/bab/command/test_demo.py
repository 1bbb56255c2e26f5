"""Tests of bab/command/demo.py."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from hypersplit.bab.command import demo as module
from hypersplit.bab.run.result import Result


def test_demo_shows_both_verdicts_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The three questions get their known verdicts, a digit is drawn in blocks, and a picture is written."""
    pytest.importorskip("matplotlib")
    code = module.demo(str(tmp_path / "new" / "folder"))
    text = capsys.readouterr().out

    assert 0 == code
    assert "unsat: yes" in text and "sat: no" in text and "██" in text
    assert (tmp_path / "new" / "folder" / "demo.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("verdict", "expected", "count"), [("unsat", 1, 1), ("timeout", 3, 3)])
def test_other_verdicts_are_told_and_end_with_their_code(
    verdict: str, expected: int, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """An answer that is the opposite of the known one gives 1, no answer 3; both are said."""
    monkeypatch.setattr(module, "verify", lambda *_, **__: Result(verdict))
    code = module.demo(tmp_path)

    assert expected == code
    assert f"{count} of them are not as known" in capsys.readouterr().out


def test_without_matplotlib_no_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where matplotlib cannot be imported, no picture is made and nothing is written."""
    for name in ("matplotlib", "matplotlib.figure", "matplotlib.backends.backend_agg"):
        monkeypatch.setitem(sys.modules, name, None)

    assert module._picture(tmp_path / "out", []) is None
    assert not (tmp_path / "out").exists()


def test_ascii_terminals_get_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal without block characters is drawn on with ASCII."""
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    drawn = module._drawn([("a three", module._image(3))])

    assert drawn.isascii() and "##" in drawn
    assert 1 + module.SIDE == len(drawn.splitlines())
