"""The pytest plugin: a fixture `assert_verified`, there in every test suite of an environment with hypersplit."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .run.result import Result

__all__ = ["assert_verified"]


@pytest.fixture(name="assert_verified", scope="session")
def assert_verified() -> Callable[..., Result]:
    """`hypersplit.assert_verified`: `verify`, where anything but a proof fails the test."""
    from .assertion import assert_verified

    return assert_verified
