"""`assert_verified`: a property as an assertion of a test suite."""

from __future__ import annotations

from typing import Any, Unpack

from .reading import Properties
from .run.options import Options, OptionValues
from .run.result import Result
from .verify import verify

__all__ = ["assert_verified"]


def assert_verified(
    network: Any,
    property: Properties,
    options: Options | None = None,
    *,
    input_shape: tuple[int, ...] | None = None,
    **overrides: Unpack[OptionValues],
) -> Result:
    """`verify`, with all its arguments, where anything but a proof fails the test.

    Returns the result, whose verdict is `unsat`. Raises AssertionError, with the counterexample for `sat` and the
    reason for `unknown` and `timeout`; and as `verify`.
    """
    __tracebackhide__ = True  # pytest shows the line that asserts, not this one
    result = verify(network, property, options, input_shape=input_shape, **overrides)
    if result.verdict != "unsat":
        raise AssertionError(_failure(result))
    return result


def _failure(result: Result) -> str:
    if result.witness is None or result.counterexample is None:
        return f"not verified: {result.verdict} after {result.seconds:.1f} s ({result.reason or 'no reason'})"
    given, outputs = result.counterexample, result.witness.output
    return f"the property is violated, by the input\n{given!r}\nwhose outputs are\n{outputs!r}"
