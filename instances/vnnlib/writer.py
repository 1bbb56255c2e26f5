"""Property -> VNN-LIB 1 file. Numbers are written by `repr`, which reads back as the same float64.

Reading the file back gives an equal property, with three spellings that the normal form has one word for: a
half-space of a single input comes back as a bound, a row without variables as true or false, and doubles of
disjuncts once. One input set is written flat, as the competition's files are; several become one `or` with
inputs and outputs mixed.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ..errors import PropertyError
from ..network import Array
from ..property import Case, InputSet, Polyhedron, Property

__all__ = ["forbidden_text", "property_text", "write_property"]

_TRUE, _FALSE = "(<= 0 0)", "(<= 1 0)"


def write_property(prop: Property, path: str | Path) -> None:
    """Write a property as VNN-LIB 1, gzipped where the path ends in ".gz"."""
    data = property_text(prop).encode()
    # mtime=0: the same property gives the same bytes
    Path(path).write_bytes(gzip.compress(data, mtime=0) if str(path).endswith(".gz") else data)


def property_text(prop: Property) -> str:
    """The property as VNN-LIB 1 text. Raises PropertyError for norm balls, which VNN-LIB cannot say.

    >>> box = InputSet.box(np.array([-1.0]), np.array([1.0]))
    >>> case = Case(box, (Polyhedron(np.array([[1.0, -1.0]]), np.zeros(1)),))
    >>> print(property_text(Property((case,), 1, 2)).split("Real)")[-1].strip())
    (assert (>= X_0 -1.0))
    (assert (<= X_0 1.0))
    (assert (<= Y_0 Y_1))
    """
    if any(case.region.ball is not None for case in prop.cases):
        raise PropertyError("an input set with a norm ball cannot be written as VNN-LIB")
    inputs = [f"X_{i}" for i in range(prop.input_size)]
    outputs = [f"Y_{i}" for i in range(prop.output_size)]
    names = outputs + inputs if prop.joint else outputs
    lines = [f"(declare-const {name} Real)" for name in inputs + outputs]
    cases = [case for case in prop.cases if case.forbidden]  # a case that forbids nothing has no solutions
    if not cases:
        lines.append(f"(assert {_FALSE})")
    elif len(cases) == 1:
        (case,) = cases
        lines += [
            f"(assert {atom})" for atom in (*_region(case.region, inputs), *_union(case.forbidden, names))
        ]
    else:
        lines += ["(assert (or", *(f"  {_case(case, inputs, names)}" for case in cases), "))"]
    return "\n".join(lines) + "\n"


def forbidden_text(prop: Property, case: Case, k: int) -> str:
    """What polyhedron k of a case says, with the names that the property's own text uses.

    >>> case = Case(InputSet.box(np.zeros(1), np.ones(1)), (Polyhedron(np.array([[1.0, -1.0]]), np.zeros(1)),))
    >>> forbidden_text(Property((case,), 1, 2), case, 0)
    '(<= Y_0 Y_1)'
    """
    polyhedron = case.forbidden[k]
    used = np.flatnonzero(polyhedron.rows.any(axis=0)).tolist() if len(polyhedron.rows) else []
    names = [""] * (prop.output_size + (prop.input_size if prop.joint else 0))
    for i in used:
        is_input = i >= prop.output_size
        names[i] = prop.name_of(i - prop.output_size if is_input else i, is_input)
    atoms = _rows(polyhedron, names) or ["true"]
    return atoms[0] if len(atoms) == 1 else _and(atoms)


def _case(case: Case, inputs: Sequence[str], names: Sequence[str]) -> str:
    """One case as a formula on a line."""
    return _and([*_region(case.region, inputs), *_union(case.forbidden, names)])


def _region(region: InputSet, inputs: Sequence[str]) -> Iterator[str]:
    """Bounds and half-spaces as atoms."""
    masks = region.strict_lower, region.strict_upper
    for name, low, high, above, below in zip(inputs, region.lower, region.upper, *masks, strict=True):
        yield f"({'>' if above else '>='} {name} {_number(low)})"
        yield f"({'<' if below else '<='} {name} {_number(high)})"
    for row, offset, strict in zip(region.rows, region.offsets, region.strict, strict=True):
        yield _atom(0.0 - row, offset, inputs, bool(strict))


def _union(forbidden: Sequence[Polyhedron], names: Sequence[str]) -> list[str]:
    """Formulas whose conjunction is the union of polyhedra."""
    if len(forbidden) == 1:
        return _rows(forbidden[0], names)
    return ["(or " + "\n  ".join(_and(_rows(p, names) or [_TRUE]) for p in forbidden) + ")"]


def _rows(polyhedron: Polyhedron, names: Sequence[str]) -> list[str]:
    rows = zip(polyhedron.rows, polyhedron.rhs, polyhedron.strict, strict=True)
    return [_atom(row, rhs, names, bool(strict)) for row, rhs, strict in rows]


def _and(atoms: Sequence[str]) -> str:
    return f"(and {' '.join(atoms)})"


def _atom(row: Array, rhs: float, names: Sequence[str], strict: bool) -> str:
    """row @ v <= rhs, or <, in the plainest spelling: a bound, a comparison of two variables, or a sum."""
    less, more = ("<", ">") if strict else ("<=", ">=")
    used = np.flatnonzero(row).tolist()
    coefficients = [float(row[i]) for i in used]
    if coefficients == [1.0]:
        return f"({less} {names[used[0]]} {_number(rhs)})"
    if coefficients == [-1.0]:
        return f"({more} {names[used[0]]} {_number(-rhs)})"
    if rhs == 0.0 and sorted(coefficients) == [-1.0, 1.0]:
        small, large = (used[0], used[1]) if coefficients[0] == 1.0 else (used[1], used[0])
        return f"({less} {names[small]} {names[large]})"
    terms = [f"(* {_number(c)} {names[i]})" for c, i in zip(coefficients, used, strict=True)]
    total = "0.0" if not terms else terms[0] if len(terms) == 1 else f"(+ {' '.join(terms)})"
    return f"({less} {total} {_number(rhs)})"


def _number(value: float) -> str:
    """Shortest decimal that reads back as the same float64; no negative zero, which some tools misread."""
    return repr(float(value) + 0.0)
