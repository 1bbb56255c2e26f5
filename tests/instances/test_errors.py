"""The errors that users meet are one family, and what is this program's fault is not of it."""

from __future__ import annotations

import pytest

from hypersplit.instances import errors


@pytest.mark.parametrize("name", errors.__all__)
def test_bad_input_is_told_from_bad_code(name: str) -> None:
    """Every error but a disagreement is an InputError, which is a ValueError: exit code 2, never a verdict."""
    kind = getattr(errors, name)
    assert issubclass(kind, errors.InputError) == (name != "DisagreementError")
    assert issubclass(kind, ValueError) == (name != "DisagreementError") and kind.__doc__


def test_an_unsupported_operator_is_a_fault_of_the_network_file() -> None:
    """Whoever catches errors of networks catches it, whoever catches errors of properties does not."""
    assert issubclass(errors.UnsupportedOperatorError, errors.NetworkError)
    assert not issubclass(errors.UnsupportedOperatorError, errors.PropertyError)
