"""Witnesses (counterexamples), and the form in which VNN-COMP writes them.

    ((X_0 0.6000000238418579)
    (X_1 0.01)
    (Y_0 -0.017))

Numbers are the `repr` of float64, which holds every float32 exactly: whoever reads them as float64 and casts
to float32, or reads them as float32 at once, has the very input that was replayed. Where that decimal is outside
the interval that the property writes (0.10000000149 for an input fixed at 0.1), another stands in its place that is
inside and is read as the same float32: `Witness.written`, see decimals.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from ..errors import InputError
from ..network import Array

__all__ = ["Witness", "read_witness", "witness_text"]

_ENTRY = re.compile(r"\s*+\(\s*+([XY])_([0-9]+)\s++([^\s()]++)\s*+\)\s*+")


@dataclass(frozen=True, eq=False)
class Witness:
    """An input of the input set whose output is forbidden."""

    input: Array  # [n] float64, each a value of the type that the model takes (float32 as a rule)
    output: Array  # [m] float64, what the replay of `input` gave
    rounded: bool = (
        False  # some bound interval holds no value of that type, and the one nearest to it was taken
    )
    written: dict[int, str] = field(default_factory=dict)  # decimals of inputs whose repr will not do
    # the point of an input set with equalities that `input` is the rounding of, where that is another
    real: tuple[Fraction, ...] | None = None
    case: int = 0  # of the property's cases, the one that it violates
    disjunct: int = 0  # of the forbidden polyhedra of its case, the first that holds the output
    forbidden: str = ""  # what that one says

    def decimal(self, i: int) -> str:
        """Input i as it is written."""
        return self.written.get(i) or repr(float(self.input[i]))


def witness_text(witness: Witness) -> str:
    """The witness in VNN-COMP's form.

    >>> print(witness_text(Witness(np.array([0.5]), np.array([-1.0]))))
    ((X_0 0.5)
    (Y_0 -1.0))
    """
    entries = [f"(X_{i} {witness.decimal(i)})" for i in range(len(witness.input))]
    entries += [f"(Y_{i} {float(v)!r})" for i, v in enumerate(witness.output)]
    return "(" + "\n".join(entries) + ")"


def read_witness(text: str, source: str = "witness") -> Witness:
    """Read VNN-COMP's form, with or without the line `sat` before it.

    Raises InputError, naming `source`, where it is malformed or an index is missing or doubled.
    """
    start, end = re.match(r"\s*(?:sat\s)?\s*\(", text), text.rstrip()
    if start is None or not end.endswith(")"):
        raise InputError(f"{source}: no witness; expected ((X_0 0.5) ... (Y_0 1.0))")
    values: dict[str, dict[int, float]] = {"X": {}, "Y": {}}
    position, stop = start.end(), len(end) - 1
    while position < stop:
        match = _ENTRY.match(text, position, stop)
        if match is None:
            line = text.count("\n", 0, position) + 1
            raise InputError(f"{source}, line {line}: expected (X_i number) or (Y_i number)")
        letter, index = match[1], int(match[2])
        if index in values[letter]:
            raise InputError(f"{source}: {letter}_{index} stands there twice")
        values[letter][index] = _number(match[3], source)
        position = match.end()
    return Witness(_vector(values["X"], "X", source), _vector(values["Y"], "Y", source))


def _number(token: str, source: str) -> float:
    try:
        value = float(token)
    except ValueError as error:
        raise InputError(f"{source}: {token!r} is no number") from error
    if not np.isfinite(value):
        raise InputError(f"{source}: {token} is not a finite number")
    return value


def _vector(values: dict[int, float], letter: str, source: str) -> Array:
    if sorted(values) != list(range(len(values))):
        missing = next(i for i in range(len(values)) if i not in values)
        raise InputError(f"{source}: {letter}_{missing} is missing")
    return np.array([values[i] for i in range(len(values))], dtype=np.float64)
