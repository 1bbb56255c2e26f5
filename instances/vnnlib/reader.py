"""VNN-LIB files -> Property: a list of input sets, each with its union of forbidden polyhedra.

parser.py and networks.py read the text, of version 1 and 2, normal_form.py makes cases of what it says. Literals are
the float64 nearest to them, save in the comparisons of a text that states equalities among its inputs.
"""

from __future__ import annotations

from pathlib import Path

from ..declarations import Declared, Tensor
from ..errors import PropertyError
from ..files import open_text
from ..property import Case, Property
from .formula import Formula
from .normal_form import Normaliser
from .parser import parse
from .version import is_version_2

__all__ = ["declarations", "parse_any", "parse_property", "read_property"]

_Read = tuple[Normaliser, tuple[Case, ...], bool]  # who read it, its cases, whether polyhedra are over (y, x)


def read_property(
    path: str | Path, input_size: int | None = None, output_size: int | None = None, strict_types: bool = False
) -> Property:
    """Read a VNN-LIB file of version 1 or 2, plain or gzipped (`path`, or else `path` + ".gz").

    input_size, output_size: sizes of the network it is meant for, checked where given and where it is one network;
    strict_types: refuse declared floats, which are read as reals else.
    Raises InputError where there is no such file, PropertyError (naming file and line) where it is malformed,
    non-linear, leaves an input unbounded, or does not fit the network.
    """
    with open_text(path) as file:
        return parse_property(file.read(), input_size, output_size, str(path), strict_types)


def parse_property(
    text: str, input_size: int | None = None, output_size: int | None = None, source: str = "",
    strict_types: bool = False,
) -> Property:  # fmt: skip
    """Read a VNN-LIB text; `source` is its name in messages. See read_property.

    >>> declarations = "(declare-const X_0 Real) (declare-const Y_0 Real)"
    >>> prop = parse_property(declarations + "(assert (and (>= X_0 -1) (<= X_0 1) (>= Y_0 100)))")
    >>> prop.cases[0].region.lower, prop.cases[0].forbidden[0].rhs
    (array([-1.]), array([-100.]))
    """
    formula = parse_any(text, source or "property", strict=strict_types, tables=True)
    sizes, expected = (len(formula.inputs), len(formula.outputs)), (input_size, output_size)
    unfit = any(e is not None and e != s for s, e in zip(sizes, expected, strict=True))
    if unfit and len(formula.networks) < 2:
        wanted = " and ".join(
            f"{e} {w}" for e, w in zip(expected, ("inputs", "outputs"), strict=True) if e is not None
        )
        raise PropertyError(
            f"{formula.text.name}: the property declares {sizes[0]} inputs and {sizes[1]} outputs, "
            f"the network has {wanted}; is this the property of another network?"
        )
    normaliser = Normaliser(formula)
    cases, joint = normaliser.cases()
    if any(case.region.equal for case in cases):
        normaliser, cases, joint = _as_written(text, formula, (normaliser, cases, joint))
    return Property(
        cases, *sizes, source, joint, text, normaliser.contradiction, tuple(formula.networks), tuple(formula.notes)
    )


def _as_written(text: str, formula: Formula, read: _Read) -> _Read:
    """The normal form with the literals of comparisons as they are written, 0.1 a tenth: what follows from equalities
    depends on their last digits. As it was read where float64 cannot hold their rows."""
    try:
        exact = Normaliser(parse_any(text, formula.text.name, exact=True), as_written=True)
        # bounds by themselves are what they are elsewhere
        exact.formula.bounds = formula.bounds
        exact.base = read[0].base
        return exact, *exact.cases()
    except PropertyError:
        return read


def parse_any(text: str, name: str, exact: bool = False, strict: bool = False, tables: bool = False) -> Formula:
    """What a text of either version says; see `parse` and `parse_networks`, for the switches, too."""
    if not is_version_2(text):
        return parse(text, name, exact, tables)
    from .networks import parse_networks

    return parse_networks(text, name, exact, strict)


def declarations(text: str, source: str = "property") -> tuple[Declared, ...]:
    """The networks that a text declares; of version 1 one, whose tensors are the vectors X and Y.

    Raises PropertyError, as `parse_property`, as far as the text alone tells.
    """
    formula = parse_any(text, source)
    if is_version_2(text):
        return tuple(formula.networks)
    x = Tensor("X", "real", (len(formula.inputs),), 0, True, "real")
    y = Tensor("Y", "real", (len(formula.outputs),), 0, False, "real")
    return (Declared("", (x, y)),)
