"""Which version of VNN-LIB a text is: its first command tells."""

from __future__ import annotations

import re

from .expressions import SKIP

__all__ = ["is_version_2"]

_START = re.compile(rf"{SKIP}\({SKIP}(?:vnnlib-version{SKIP}<?\s*+2\b|declare-network\b)")


def is_version_2(text: str) -> bool:
    """Whether a text is VNN-LIB 2: it says so, or begins with a network.

    >>> is_version_2("(vnnlib-version <2.0>)"), is_version_2("(declare-const X_0 Real)")
    (True, False)
    """
    return _START.match(text, text.startswith("\ufeff")) is not None
