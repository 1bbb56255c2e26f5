"""The bar: off unless it is asked for on a terminal, and then fed with the tree's own numbers."""

from __future__ import annotations

import sys

import pytest
from random_instances import random_query

from hypersplit.bab.tree import progress as module
from hypersplit.bab.tree.progress import progress
from hypersplit.bab.tree.tree import Tree
from hypersplit.instances.batch import root


@pytest.mark.parametrize(("wanted", "terminal"), [(False, True), (True, False)])
def test_nothing_is_written_where_nobody_looks(
    wanted: bool, terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither unasked nor into a file; the callable takes trees all the same."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    with progress(wanted) as report:
        report(Tree(root(random_query(0))))
    assert capsys.readouterr() == ("", "")


def test_the_bar_counts_the_trees_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each update adds what is new, never less than nothing, and the bar is closed at the end, errors or not."""
    import tqdm

    bars: list[object] = []

    class Bar:
        n, closed, text = 0, False, ""

        def __init__(self, **options: object) -> None:
            bars.append(self)

        def set_postfix_str(self, text: str, refresh: bool) -> None:
            self.text = text

        def update(self, more: int) -> None:
            assert more >= 0
            self.n += more

        def close(self) -> None:
            self.closed = True

    monkeypatch.setattr(tqdm, "tqdm", Bar)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(module, "EVERY", 0.0)
    tree = Tree(root(random_query(0)))
    with pytest.raises(ArithmeticError), progress(True) as report:
        report(tree)
        tree.plant(root(random_query(0)))
        report(tree)
        report(tree)
        raise ArithmeticError
    (bar,) = bars
    assert isinstance(bar, Bar) and bar.n == 2 and bar.closed and bar.text.startswith("open 2, bound ")
