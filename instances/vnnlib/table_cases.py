"""The cases of a table: what normal_form.py makes of each conjunction, for all of a shape at once.

Only where it is plain: bounds that are literals, nothing that outputs must satisfy besides, every input bounded. Then
no number is computed, so that none is rounded; anything else is left to the normal form of single conjunctions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..network import Array
from ..property import Case, InputSet, Polyhedron
from .formula import MAX_CONJUNCTIONS, Atom, Conjunction, Shape, Table

__all__ = ["table_cases"]

MOST_ENTRIES = 5e6  # of the bounds of all disjuncts together: 40 MB an array


class _Boxes(NamedTuple):
    """The input set of each disjunct, and which of its bounds are strict; all [N, n]."""

    lower: Array
    upper: Array
    above: Array
    below: Array


def table_cases(
    table: Table, base: tuple[Array, Array, Array, Array], polyhedron: Callable[[Conjunction], Polyhedron]
) -> tuple[Case, ...] | None:
    """The cases in the order in which their input sets come first; None where the table is not plain.

    base: lower, upper, and which of them are strict, all [n], perhaps infinite: bounds of every disjunct;
    polyhedron: of atoms on outputs, see `Normaliser.polyhedron`.
    """
    if table.count > MAX_CONJUNCTIONS or table.count * len(base[0]) > MOST_ENTRIES:
        return None
    boxes = _Boxes(*(np.repeat(part[None], table.count, axis=0) for part in base))
    if not all(_bounded(boxes, shape) for shape in table.shapes):
        return None
    lower, upper = boxes.lower + 0.0, boxes.upper + 0.0
    crossed = (lower > upper) | ((lower == upper) & (boxes.above | boxes.below))
    alive = np.flatnonzero(~crossed.any(axis=1))
    if not len(alive) or not (np.isfinite(lower[alive]).all() and np.isfinite(upper[alive]).all()):
        return None  # an error or a note that names the lines
    kept = [np.ascontiguousarray(part[alive]) for part in (lower, upper, boxes.above, boxes.below)]
    firsts, group = _grouped(kept)
    forbidden = _forbidden(table, polyhedron)
    if forbidden is None:
        return None
    unions: list[dict[object, Polyhedron]] = [{} for _ in firsts]
    for i, g in zip(alive.tolist(), group, strict=True):
        key, p = forbidden[i]
        unions[g].setdefault(key, p)
    ends = zip(*(part[firsts] for part in kept), strict=True)
    return tuple(
        Case.of_checked(InputSet.box_of_checked(*end), tuple(union.values()))
        for end, union in zip(ends, unions, strict=True)
    )


def _bounded(boxes: _Boxes, shape: Shape) -> bool:
    """Take in the bounds of a shape's disjuncts, the tighter ones of each input; whether all are plain."""
    some = shape.disjuncts
    for k in _in_order(shape):
        terms, column, strict = shape.atoms[k].terms, int(shape.columns[k]), shape.atoms[k].strict
        if any(variable < 0 for variable, _ in terms):
            continue
        if column < 0:
            return False
        (variable, coefficient), value = terms[0], shape.numbers[:, column]
        is_upper = coefficient > 0
        ends, masks = (boxes.upper, boxes.below) if is_upper else (boxes.lower, boxes.above)
        before, open_before = ends[some, variable], masks[some, variable]
        tighter = value < before if is_upper else value > before
        ends[some, variable] = np.where(tighter, value, before)
        masks[some, variable] = np.where(tighter, strict, open_before | ((value == before) & strict))
    return True


def _in_order(shape: Shape) -> list[int]:
    """The atoms by their place in the text."""
    return sorted(range(len(shape.atoms)), key=lambda k: shape.atoms[k].position)


def _grouped(parts: list[Array]) -> tuple[list[int], list[int]]:
    """Rows with the same bytes in all parts [N, n] are a group: the first row of each, and the group of every row."""
    bytes_of = np.concatenate([part.view(np.uint8) for part in parts], axis=1)
    known: dict[bytes, int] = {}
    firsts: list[int] = []
    group: list[int] = []
    for i, key in enumerate(bytes_of.view(f"V{bytes_of.shape[1]}").ravel().tolist()):
        g = known.setdefault(key, len(known))
        if g == len(firsts):
            firsts.append(i)
        group.append(g)
    return firsts, group


def _forbidden(
    table: Table, polyhedron: Callable[[Conjunction], Polyhedron]
) -> list[tuple[object, Polyhedron]] | None:
    """Of each disjunct its polyhedron, and what tells it from others; None where a shape's has other numbers."""
    found: list[tuple[object, Polyhedron]] = [(b"", Polyhedron(np.zeros((0, 0)), np.zeros(0)))] * table.count
    for shape in table.shapes:
        outputs = [k for k in _in_order(shape) if not _on_inputs(shape.atoms[k])]
        one = polyhedron(tuple(shape.atoms[k] for k in outputs))
        rows, strict, rhs = one.rows, one.strict, np.zeros((len(shape.disjuncts), len(outputs)))
        for j, k in enumerate(outputs):
            rhs[:, j] = 0.0 - shape.constants(k)
        if strict.tolist() != [shape.atoms[k].strict for k in outputs] or not (rhs == one.rhs).all(axis=1).any():
            return None  # scaled or rounded
        same = rows.tobytes(), strict.tobytes()
        for i, side in zip(shape.disjuncts.tolist(), rhs, strict=True):
            found[i] = (*same, side.tobytes()), Polyhedron.of_checked(rows, side, strict)
    return found


def _on_inputs(atom: Atom) -> bool:
    return all(variable >= 0 for variable, _ in atom.terms)
