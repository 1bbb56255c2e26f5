"""Inputs that equalities determine: x = T z + c with fewer free inputs z, exact in rational numbers.

Gauss's elimination on the equalities A x + d = 0 of an input set, one after another: what is solved for is the input
with the largest coefficient, so that |T| stays small and z's roundings do not grow. A fixed input is solved for only
where nothing else is left, since its decimal may be no float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from weakref import WeakKeyDictionary

import numpy as np

from ..network import Array
from ..property import Equality, InputSet

__all__ = ["Affine", "Solution", "equalities", "solution_of", "solved"]

MOST_TERMS = 2_000_000  # of all solved inputs together; more is given up

Affine = tuple[dict[int, Fraction], Fraction]  # coefficients by input, constant


@dataclass(frozen=True, eq=False)
class Solution:
    """What the equalities determine."""

    kept: Array  # [k] the free inputs, ascending
    solved: dict[int, Affine]  # every other input, as a function of free ones
    contradiction: bool = False  # whether the equalities alone have no solution
    place: dict[int, int] = field(default_factory=dict)  # of each free input in `kept`

    def __post_init__(self) -> None:
        self.place.update((int(i), k) for k, i in enumerate(self.kept))

    def lifted(self, z: Array) -> Array:
        """x [n] in float64, nearly, for free inputs z [k]."""
        x = np.zeros(len(self.kept) + len(self.solved))
        x[self.kept] = z
        for i, (terms, constant) in self.solved.items():
            x[i] = float(constant) + sum(float(c) * x[j] for j, c in terms.items())
        return x

    def exactly(self, z: Sequence[Fraction]) -> list[Fraction]:
        """x [n] for free inputs z [k]."""
        x = [Fraction(0)] * (len(self.kept) + len(self.solved))
        for i, value in zip(self.kept.tolist(), z, strict=True):
            x[i] = value
        for i, (terms, constant) in self.solved.items():
            x[i] = constant + sum((c * x[j] for j, c in terms.items()), Fraction(0))
        return x


_known: WeakKeyDictionary[InputSet, Solution | None] = WeakKeyDictionary()


def solved(region: InputSet) -> Solution | None:
    """The solution of the region's equalities; None where there are none, or they are too dense to be worth it."""
    if region not in _known:
        _known[region] = solution_of(region, equalities(region))
    return _known[region]


def equalities(region: InputSet) -> list[Equality]:
    """Those that the region states, or else its pairs of opposite half-spaces."""
    if region.equal or len(region.rows) < 2:
        return list(region.equal)
    known: dict[tuple[bytes, float], int] = {}
    found = []
    for g, (row, offset) in enumerate(zip(region.rows + 0.0, region.offsets, strict=True)):
        if region.strict[g]:
            continue
        if ((0.0 - row).tobytes(), 0.0 - float(offset)) in known:
            terms = tuple((int(i), Fraction(float(row[i]))) for i in np.flatnonzero(row))
            found.append(Equality(terms, Fraction(float(offset))))
        known[row.tobytes(), float(offset) + 0.0] = g
    return found


def solution_of(region: InputSet, system: Sequence[Equality]) -> Solution | None:
    """The solution of a system over the inputs of a region, which says what is fixed; None as of `solved`."""
    if not system:
        return None
    fixed = region.lower == region.upper
    done: dict[int, Affine] = {}
    users: dict[int, set[int]] = {}  # of a free input: the solved ones that depend on it
    size = 0
    for equality in system:
        terms, constant = _substituted(dict(equality.terms), Fraction(equality.constant), done)
        if not terms:
            if constant != 0:
                return Solution(np.arange(region.size), {}, contradiction=True)
            continue
        pivot = max(terms, key=lambda i: (not fixed[i], abs(terms[i]), i))
        by = -1 / terms.pop(pivot)
        own: Affine = ({i: c * by for i, c in terms.items()}, constant * by)
        for user in users.pop(pivot, set()):
            size -= len(done[user][0])
            done[user] = _substituted(*done[user], {pivot: own})
            size += len(done[user][0])
            for i in done[user][0]:
                users.setdefault(i, set()).add(user)
        done[pivot] = own
        size += len(own[0])
        for i in own[0]:
            users.setdefault(i, set()).add(pivot)
        if size > MOST_TERMS:
            return None
    kept = np.array([i for i in range(region.size) if i not in done], dtype=np.int64)
    return Solution(kept, done) if len(kept) and done else None


def _substituted(terms: dict[int, Fraction], constant: Fraction, known: dict[int, Affine]) -> Affine:
    """A term with its solved inputs replaced; no zero coefficients are left."""
    total: dict[int, Fraction] = {}
    for i, c in terms.items():
        inner, more = known.get(i, ({i: Fraction(1)}, Fraction(0)))
        constant += c * more
        for j, d in inner.items():
            total[j] = total.get(j, Fraction(0)) + Fraction(c) * d
    return {j: c for j, c in total.items() if c != 0}, constant
