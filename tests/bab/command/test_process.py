"""What the command line sets for its own process."""

from __future__ import annotations

import gc
import logging
import os
import signal
import time
import warnings

import pytest

from hypersplit.bab.command.process import collect_rarely, process_age, quiet, single_threaded_environment, terminable


def test_garbage_is_collected_rarely() -> None:
    """Many more objects than by Python's own threshold lie between two looks, and there still are looks."""
    before = gc.get_threshold()
    try:
        collect_rarely()
        assert gc.isenabled() and gc.get_threshold()[0] > 10 * 700
    finally:
        gc.set_threshold(*before)


def test_a_process_knows_its_age() -> None:
    """In seconds since its start, which grow as time goes by."""
    age = process_age()
    began = time.monotonic()
    while time.monotonic() < began + 0.1:
        pass
    assert age > 0.0 and process_age() > age + 0.05


def test_algebra_gets_one_thread_unless_the_user_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number of threads that stands in the environment is left."""
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    single_threaded_environment()
    assert (os.environ["OPENBLAS_NUM_THREADS"], os.environ["OMP_NUM_THREADS"]) == ("3", "1")


def test_sigterm_is_an_interruption() -> None:
    """Inside the block only: what stood before stands again behind it."""
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), terminable():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5.0)
    assert signal.getsignal(signal.SIGTERM) is before


def test_warnings_are_silent_unless_asked_for() -> None:
    """Those of libraries; the log's handlers and level are as before afterwards."""
    log = logging.getLogger("hypersplit")
    handlers, level = list(log.handlers), log.level
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with quiet(verbose=False):
            warnings.warn("of a library", RuntimeWarning, stacklevel=1)
        assert not seen
        with quiet(verbose=True):
            assert log.level == logging.INFO
    assert (log.handlers, log.level) == (handlers, level)
