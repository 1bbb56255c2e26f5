"""A query without its equalities: the same question over the free inputs z alone, x = T z + c (`elimination`).

The network. Where every solved input is a free one or its negative, the columns of the layers that read x are added,
as long as no sum rounds: two copies of a network with equal inputs cost what their free inputs cost, and neurons that
compute the same from them are kept once (`merged`). Otherwise a layer x = T z + c stands before the first one, which
declares what its coefficients round.

The input set. Bounds of solved inputs become rows over z, or bounds of z where they have one term; half-spaces are
rewritten in rational numbers. What floats cannot hold is rounded outward, by SLACK besides: an input set of thin
equalities that is empty in the float64 reading of its decimals may not be in their own. So z's set holds every
solution.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ..network import Array, Layer, Matrix, Network
from ..property import InputSet
from ..query import Query
from ..rounding import LITERALS
from ..sparse import is_sparse, sp
from .elimination import Affine, Solution, solved

__all__ = ["without_equalities"]

SLACK = Fraction(LITERALS)  # times the size of a row's terms
ROUNDS = 1  # roundings of an entry of T


def without_equalities(query: Query) -> Query | None:
    """The query over the free inputs, whose `lift` leads back; itself where it has no equalities, or a norm ball, which
    is none over z; None where the input set is empty. The same query always gives the same one."""
    solution = solved(query.region)
    if solution is None or query.region.ball is not None:
        return query
    if solution.contradiction:
        return None
    from .merged import without_copies

    try:
        region = _region(query.region, solution)
        if region is None:
            return None
        merged = without_copies(query.network, _alike(solution, query.region.size))
        network = _folded(merged, solution) or _before(merged, solution)
    except OverflowError:  # a rational number beyond float64: the rows of the input set do as well
        return query
    return replace(query, network=network, region=region, lift=solution)


def _alike(solution: Solution, size: int) -> NDArray[np.int64]:
    """[size] for each input the free one that it equals, itself where it is free or equals none."""
    alike = np.arange(size)
    for i, (terms, constant) in solution.solved.items():
        if constant == 0 and list(terms.values()) == [1]:
            alike[i] = next(iter(terms))
    return alike


def _region(region: InputSet, solution: Solution) -> InputSet | None:
    """The input set of z, None where it is empty."""
    kept = solution.kept
    lower, upper = region.lower[kept].copy(), region.upper[kept].copy()
    above, below = region.strict_lower[kept].copy(), region.strict_upper[kept].copy()
    reach = np.maximum(np.abs(lower), np.abs(upper))
    rows: list[tuple[dict[int, Fraction], Fraction]] = []
    for (terms, constant), size, plain, strict in _needed(region, solution, reach):
        if plain is not None:
            at, value, is_lower = plain
            ends, masks = (lower, above) if is_lower else (upper, below)
            if value == ends[at]:
                masks[at] |= strict
            elif (value > ends[at]) == is_lower:
                ends[at], masks[at] = value, strict
            continue
        constant += SLACK * size
        if not terms:
            if constant < 0:
                return None
        elif len(terms) == 1:
            _tighten(lower, upper, above, below, solution, terms, constant)
        else:
            rows.append((terms, constant))
    if np.any((lower > upper) | ((lower == upper) & (above | below))):
        return None
    matrix, offsets = np.zeros((len(rows), len(kept))), np.zeros(len(rows))
    for g, (terms, constant) in enumerate(rows):
        for j, c in terms.items():
            matrix[g, solution.place[j]] = float(c)
            constant += abs(Fraction(float(c)) - c) * _number(reach[solution.place[j]])
        offsets[g] = _up(constant)
    return InputSet(lower, upper, matrix, offsets, above, below)


def _needed(
    region: InputSet, solution: Solution, reach: Array
) -> Iterator[tuple[Affine, Fraction, tuple[int, float, bool] | None, bool]]:
    """Functions of z that are >= 0 (> 0 if strict) in the input set, the size of their terms before any cancel, and
    those that are plain bounds also as (place in z, value, whether it is a lower bound).

    reach: [k] largest absolute value of each free input.
    """

    def size(terms: dict[int, Fraction], constant: Fraction) -> Fraction:
        return abs(constant) + sum((abs(c) * _number(reach[solution.place[j]]) for j, c in terms.items()), Fraction(0))

    for i, (terms, constant) in solution.solved.items():
        for is_lower in (True, False):
            end = float((region.lower if is_lower else region.upper)[i])
            strict = bool((region.strict_lower if is_lower else region.strict_upper)[i])
            sign = 1 if is_lower else -1
            moved = {j: sign * c for j, c in terms.items()}, sign * (constant - Fraction(end))
            plain = None
            if constant == 0 and len(terms) == 1 and abs(c := next(iter(terms.values()))) == 1:
                plain = solution.place[next(iter(terms))], float(c) * end, is_lower == (c > 0)
            yield moved, size(terms, constant) + abs(_number(end)), plain, strict
    for row, offset, strict in zip(region.rows, region.offsets, region.strict, strict=True):
        total: dict[int, Fraction] = {}
        constant = Fraction(float(offset))
        taken = abs(constant)
        for i in np.flatnonzero(row).tolist():
            terms, more = solution.solved.get(i, ({i: Fraction(1)}, Fraction(0)))
            constant += Fraction(float(row[i])) * more
            taken += abs(_number(row[i])) * size(terms, more)
            for j, c in terms.items():
                total[j] = total.get(j, Fraction(0)) + Fraction(float(row[i])) * c
        yield ({j: c for j, c in total.items() if c != 0}, constant), taken, None, bool(strict)


def _tighten(
    lower: Array, upper: Array, above: Array, below: Array, solution: Solution, terms: dict[int, Fraction],
    constant: Fraction,
) -> None:  # fmt: skip
    """c z_j + constant >= 0 as a bound of z_j, rounded outward."""
    ((j, c),) = terms.items()
    at, bound = solution.place[j], -constant / c
    if c > 0:
        if (low := -_up(-bound)) > lower[at]:
            lower[at], above[at] = low, False
    elif (high := _up(bound)) < upper[at]:
        upper[at], below[at] = high, False


def _folded(network: Network, solution: Solution) -> Network | None:
    """The network with the columns of solved inputs added to those they equal; None where that is not exact."""
    signs: dict[int, tuple[int, float]] = {}
    for i, (terms, constant) in solution.solved.items():
        if constant != 0 or len(terms) != 1 or abs(c := next(iter(terms.values()))) != 1:
            return None
        signs[i] = solution.place[next(iter(terms))], float(c)
    layers = []
    for layer in network.layers:
        pairs, rounded = zip(layer.sources, layer.weights, strict=True), layer.roundings > 0
        weights = [w if s else _columns(w, solution, signs, rounded) for s, w in pairs]
        if any(w is None for w in weights):
            return None
        layers.append(replace(layer, weights=tuple(weights)))
    size = len(solution.kept)
    return replace(network, input_size=size, layers=tuple(layers), input_shape=(size,), parts=())


def _columns(w: Matrix, solution: Solution, signs: dict[int, tuple[int, float]], rounded: bool) -> Matrix | None:
    """w T for a T of signs, None where a sum of its columns rounds, or where weights that were rounded cancel."""
    if is_sparse(w):
        place, sign = np.zeros(w.shape[1], dtype=np.int64), np.ones(w.shape[1])
        place[solution.kept] = np.arange(len(solution.kept))
        for i, (at, factor) in signs.items():
            place[i], sign[i] = at, factor
        moves = sp.csr_array((sign, (np.arange(w.shape[1]), place)), shape=(w.shape[1], len(solution.kept)))
        moved = sp.csr_array(w @ moves)
        return moved if (abs(w) @ abs(moves)).nnz == np.count_nonzero(w.data) else None
    total: Array = w[:, solution.kept].copy()
    for i, (at, factor) in signs.items():
        old, more = total[:, at].copy(), factor * w[:, i]
        new = old + more
        part = new - old
        # what they were rounded by is no part of the little that is left
        if rounded and np.any(np.sign(old) * np.sign(more) < 0.0):
            return None
        if np.any((old - (new - part)) + (more - part)):  # what Knuth's sum of two rounds off
            return None
        total[:, at] = new
    return total


def _before(network: Network, solution: Solution) -> Network:
    """The network behind a layer x = T z + c."""
    places, columns = solution.kept.tolist(), list(range(len(solution.kept)))
    values = [1.0] * len(places)
    bias, error, exact = np.zeros(network.input_size), Fraction(0), True
    for i, (terms, constant) in solution.solved.items():
        bias[i] = float(constant)
        error = max(error, abs(Fraction(float(bias[i])) - constant))
        for j, c in terms.items():
            places.append(i)
            columns.append(solution.place[j])
            values.append(float(c))
            exact = exact and Fraction(values[-1]) == c
    size = len(solution.kept)
    weights: Matrix = sp.csr_array((values, (places, columns)), shape=(network.input_size, size))
    weights = weights.toarray() if weights.shape[0] * size <= 4096 else weights
    first = Layer((0,), (weights,), bias, "identity", "equalities", _up(error), 0 if exact else ROUNDS)
    layers = [replace(layer, sources=tuple(s + 1 for s in layer.sources)) for layer in network.layers]
    return replace(network, input_size=size, layers=(first, *layers), input_shape=(size,), parts=())


def _number(value: float) -> Fraction:
    return Fraction(float(value))


def _up(number: Fraction) -> float:
    """Least float64 that is not below the number."""
    near = float(number)
    return float(np.nextafter(near, np.inf)) if near < number else near
