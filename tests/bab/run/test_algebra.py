"""Numpy's linear algebra has one thread inside a run, and its caller's number behind it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from job_problems import PLAIN, problem

import hypersplit
from hypersplit.bab.run import algebra
from hypersplit.bab.run.algebra import VARIABLE, one_thread_of_algebra
from hypersplit.bab.tree import search


def threads() -> list[int]:
    """Of every library, now."""
    return [get() for get, _ in algebra._libraries().values()]


@pytest.fixture
def two() -> Iterator[None]:
    """The caller has chosen two threads."""
    libraries = algebra._libraries()
    if not libraries:
        pytest.skip("no OpenBLAS is loaded here, or nobody tells")
    before = {path: get() for path, (get, _) in libraries.items()}
    for _, put in libraries.values():
        put(2)
    yield
    for path, (_, put) in libraries.items():
        put(before[path])


@pytest.mark.usefixtures("two")
def test_one_thread_inside_and_the_callers_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the library and in the environment, for runs that overlap until the last one ends, after an error, too."""
    monkeypatch.delenv(VARIABLE, raising=False)
    chosen = threads()
    assert max(chosen) == 2
    first, second = one_thread_of_algebra(), one_thread_of_algebra()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert set(threads()) == {1} and os.environ[VARIABLE] == "1"
    second.__exit__(None, None, None)
    assert threads() == chosen and VARIABLE not in os.environ
    monkeypatch.setenv(VARIABLE, "7")
    with one_thread_of_algebra():
        assert threads() == chosen  # the environment says a number, which is left
    assert threads() == chosen and os.environ[VARIABLE] == "7"
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(ZeroDivisionError), one_thread_of_algebra():
        raise ZeroDivisionError
    assert threads() == chosen and VARIABLE not in os.environ


@pytest.mark.usefixtures("two")
def test_a_run_has_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """While `verify` searches, not before and not behind it."""
    monkeypatch.delenv(VARIABLE, raising=False)
    seen, real = [], search._round

    def looking(*given: object) -> object:
        seen.append(threads())
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(search, "_round", looking)
    hypersplit.verify(*problem(), **(PLAIN | {"nodes": 20}))
    assert seen and all(set(some) == {1} for some in seen) and set(threads()) == {2}


@pytest.mark.usefixtures("two")
def test_an_interruption_on_the_way_in_leaves_nothing_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C may come before a run has begun: the caller's threads are back, and the next run works as ever."""
    monkeypatch.delenv(VARIABLE, raising=False)
    chosen, libraries = threads(), algebra._libraries
    came = [False]

    def interrupt() -> object:
        if not came[0]:
            came[0] = True
            raise KeyboardInterrupt
        return libraries()

    monkeypatch.setattr(algebra, "_libraries", interrupt)
    with pytest.raises(KeyboardInterrupt), one_thread_of_algebra():
        pass
    assert threads() == chosen and VARIABLE not in os.environ
    with one_thread_of_algebra():
        assert set(threads()) == {1}
    assert threads() == chosen
