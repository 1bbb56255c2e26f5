"""VNN-COMP's form of witnesses: what is written is read as the very same numbers, and faults are named."""

from __future__ import annotations

import numpy as np
import pytest

from hypersplit.instances.errors import InputError
from hypersplit.instances.judges.witness import Witness, read_witness, witness_text


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_written_and_read_it_is_the_same(dtype: type) -> None:
    """Bit for bit, for numbers of all sizes, subnormal ones and zeros of either sign; with and without `sat`."""
    rng = np.random.default_rng(0)
    numbers = (rng.normal(size=50) * 10.0 ** rng.integers(-44, 38, 50)).astype(dtype).astype(np.float64)
    numbers[:3] = 0.0, -0.0, 1.0
    witness = Witness(numbers, -numbers[::2])
    for text in (witness_text(witness), "sat\n" + witness_text(witness), f"  {witness_text(witness)}\n\n"):
        again = read_witness(text)
        assert again.input.tobytes() == witness.input.tobytes() and again.output.tobytes() == witness.output.tobytes()


def test_decimals_of_the_property_stand_where_they_are_given() -> None:
    """Another decimal in the place of an input's own digits, read as another float64."""
    witness = Witness(np.array([0.10000000149011612, 1.0]), np.zeros(1), written={0: "0.1"})
    assert witness_text(witness).splitlines()[0] == "((X_0 0.1)"
    assert read_witness(witness_text(witness)).input.tolist() == [0.1, 1.0]


def test_the_order_of_entries_is_free() -> None:
    """Indices say which number is which."""
    read = read_witness("((Y_0 3) ( X_1 2.5e0 )\n(X_0 -1))")
    assert read.input.tolist() == [-1.0, 2.5] and read.output.tolist() == [3.0]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("unsat", "no witness"), ("((X_0 1)", "expected|no witness"), ("((X_0 1) (X_0 2))", "twice"),
        ("((X_1 1))", "X_0 is missing"), ("((X_0 nan))", "finite"), ("((X_0 one))", "no number"),
        ("((X_0 1)\n(Z_0 1))", "line 2"), ("((X_0 1e999))", "finite"), ("((X_0 1) 7)", "expected"),
    ],
)  # fmt: skip
def test_malformed_texts_are_named(text: str, fault: str) -> None:
    """Source and fault in one line, whatever is wrong."""
    with pytest.raises(InputError, match=fault) as caught:
        read_witness(text, "file.txt")
    assert str(caught.value).startswith("file.txt") and "\n" not in str(caught.value)


def test_a_long_damaged_text_is_refused_at_once() -> None:
    """Blanks without end cost no backtracking: the work is linear, and the fault is found."""
    with pytest.raises(InputError):
        read_witness("(" + "(X_0 " + " " * 200_000 + ")")
