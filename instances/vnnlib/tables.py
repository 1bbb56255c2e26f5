"""A long disjunction of conjunctions of the same few shapes, as tables of numbers.

    (assert (or (and (>= X_0 0.1) (<= X_0 0.2) (<= Y_0 3.5))
                (and (>= X_0 0.2) (<= X_0 0.3) (>= Y_0 4.5)) ...))

Thousands of input sets are written so. The text is cut at its parentheses; what is left of a piece without the literal
at its end is one of a few words, and the words of a disjunct are its *shape*. The ordinary reader reads one disjunct of
each shape; the others are the same with numbers of their own. Whatever is irregular (comments, another connective, a
sum, a disjunct that is no conjunction) makes no table, and the ordinary reader reads it all: it is what the tables are
tested against.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..distinct import distinct
from ..errors import PropertyError
from ..network import Array
from .formula import Conjunction, Shape, Table

__all__ = ["read_table"]

LEAST = 4000  # characters of a disjunction from which on a table is worth a try
MOST_WORDS = 20_000  # different ones; a regular text has a few for each variable
MOST_SHAPES = 64  # beyond which there is nothing to gain
_BEGIN = re.compile(r"\s*+\(\s*+assert\s*+\(\s*+or\b\s*+(?=\()")
_END = re.compile(r"\)\s*+\)\s*+\)\s*+\)")  # of an atom, of its conjunction, of the disjunction, and of the command
_WORD = re.compile(
    r"\s*+(\(\s*+and\s*+)?\(\s*+(?:<=|>=|<|>)\s++[XY]_[0-9]+(\s++[XY]_[0-9]+)?\s*+"
)  # of a piece: whether it opens a conjunction, and whether it compares with a variable
_NUMERIC = np.zeros(256, dtype=bool)
_NUMERIC[list(b"0123456789+-.eE")] = True
_BAD, _CLOSE, _NUMBER, _OPEN_NUMBER, _NAME, _OPEN_NAME = range(6)  # kinds of pieces


def read_table(
    text: str, position: int, formula: Callable[[int], tuple[list[Conjunction], int]]
) -> tuple[Table, int] | None:
    """The table of a command `(assert (or (and ...) ...))` that begins at a position, and where it ends.

    formula: the ordinary reader of a formula at a position, see `Expressions.formula`. None where the command is
    another one or not regular: the ordinary reader then reads it all, and tells what is wrong, if anything is.
    """
    begin = _BEGIN.match(text, position)
    end = _END.search(text, begin.end()) if begin and len(text) - begin.end() >= LEAST else None
    if begin is None or end is None or end.end() - begin.end() < LEAST:
        return None
    pieces = text[begin.end() : end.end()].split(")")[:-3]  # the last one closes a conjunction
    words = _words(pieces)
    if words is None:
        return None
    kinds, ids, numbers = words
    closes = np.flatnonzero(kinds == _CLOSE)
    opens = np.concatenate([[0], closes[:-1] + 1])
    opening = np.flatnonzero((kinds == _OPEN_NUMBER) | (kinds == _OPEN_NAME))
    if kinds[-1] != _CLOSE or not np.array_equal(opening, opens):
        return None
    starts = begin.end() + np.concatenate([[0], np.cumsum([len(piece) + 1 for piece in pieces])])
    numeric = (kinds == _NUMBER) | (kinds == _OPEN_NUMBER)
    try:
        shapes = _shapes(_Pieces(ids, numeric, numbers, starts), opens, closes, formula)
    except PropertyError:  # told by the ordinary reader, who begins with the first disjunct
        return None
    return None if shapes is None else (Table(len(opens), shapes), end.end())


class _Pieces(NamedTuple):
    """What lies between closing parentheses."""

    ids: Array  # [P] numbers of their words
    numeric: Array  # [P] whether a literal ends them
    numbers: Array  # [P] the literals
    starts: Array  # [P + 1] positions in the text, and where the last one ends


def _shapes(
    pieces: _Pieces, opens: Array, closes: Array, formula: Callable[[int], tuple[list[Conjunction], int]]
) -> tuple[Shape, ...] | None:
    """The shapes of the disjuncts, whose pieces are opens[i], ..., closes[i]; None where they are many or irregular."""
    found: list[Shape] = []
    lengths = closes - opens
    for length in distinct(lengths).tolist():
        which = np.flatnonzero(lengths == length)
        index = opens[which][:, None] + np.arange(length)
        _, first, label = np.unique(pieces.ids[index], axis=0, return_index=True, return_inverse=True)
        if len(found) + len(first) > MOST_SHAPES:
            return None
        for k, one in enumerate(first.tolist()):
            same = np.flatnonzero(label.ravel() == k)
            conjunctions, end = formula(int(pieces.starts[index[one, 0]]))
            if len(conjunctions) != 1 or end != pieces.starts[closes[which[one]] + 1]:
                return None
            shape = _shape(pieces, which[same], index[same], index[one], conjunctions[0])
            if shape is None:
                return None
            found.append(shape)
    return tuple(found)


def _shape(pieces: _Pieces, which: Array, index: Array, one: Array, atoms: Conjunction) -> Shape | None:
    """The shape of disjuncts `which`, their pieces `index` [m, length]; one: those of the disjunct that `atoms` are."""
    local = np.searchsorted(pieces.starts[one], [atom.position for atom in atoms], side="right") - 1
    numeric = pieces.numeric[one]
    columns = np.where(numeric, np.cumsum(numeric) - 1, -1)[local]
    # every number in one atom, and no two atoms in one piece
    if np.count_nonzero(columns >= 0) != numeric.sum() or len(distinct(local)) != len(local):
        return None
    for atom, place, column in zip(atoms, one[local].tolist(), columns.tolist(), strict=True):
        (_, c), *others = atom.terms
        if bool(others) == (column >= 0) or c not in (1, -1) or atom.constant != -c * pieces.numbers[place]:
            return None
    inside = np.array([atom.position for atom in atoms]) - pieces.starts[one[local]]
    numbers = pieces.numbers[index[:, numeric]]
    return Shape(which, atoms, columns, numbers, pieces.starts[index[:, local]] + inside)


def _words(pieces: list[str]) -> tuple[Array, Array, Array] | None:
    """Of every piece its kind, the number of its word, and the literal that ends it (or 0).

    A word is what a piece is without its literal. None where some piece is none of the known ones.
    """
    cut = [piece.rstrip().rpartition(" ") for piece in pieces]
    literals = [last if last[:1] not in "XY" else "" for _, _, last in cut]
    known: dict[str, int] = {}
    keys = [head if literal else f"{head} {last}" for literal, (head, _, last) in zip(literals, cut, strict=True)]
    ids = np.array([known.setdefault(key, len(known)) for key in keys])
    if len(known) > MOST_WORDS:
        return None
    kinds = np.array([_kind(word) for word in known])[ids]
    numeric = np.array([literal != "" for literal in literals])
    if (kinds == _BAD).any() or not np.array_equal((kinds == _NUMBER) | (kinds == _OPEN_NUMBER), numeric):
        return None
    given = [literal for literal in literals if literal]
    written = "".join(given)
    # of these characters `float` makes what the ordinary reader does, or nothing
    if not written.isascii() or not _NUMERIC[np.frombuffer(written.encode(), np.uint8)].all():
        return None
    numbers = np.zeros(len(pieces))
    try:
        numbers[numeric] = [float(literal) for literal in given]
    except ValueError:
        return None
    return (kinds, ids, numbers) if np.isfinite(numbers).all() else None


def _kind(word: str) -> int:
    if not word.strip():
        return _CLOSE
    match = _WORD.fullmatch(word)
    return _BAD if match is None else _NUMBER + (match[1] is not None) + 2 * (match[2] is not None)
