"""Which regions lie on the other side of a face.

Across the face F of a region, on the hyperplane of neuron i, a neuron keeps its phase unless its function is 0 all over
F, that is, unless its row is a multiple of row i. Such a neuron j is 0 on F from the other side, too, so there its sign
is that of the derivative of its *new* function, composed with the new phases of the layers before, in the direction
away from the region. So the neighbour is built layer by layer. Nearly always i alone is concerned.

Floats do not always tell whether two rows are multiples of each other. A neuron of the first layer is decided in exact
arithmetic; of others both phases are neighbours, of which one may be a region that is empty or flat: more to visit,
nothing lost. A face with more than MOST such regions is given up.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np

from ...instances.network import Array, Layer, Network
from ...instances.rounding import TINY
from ...instances.sparse import is_sparse
from .affine_pieces import magnitudes, rows_of_layers, zero
from .norms import at_most_norm
from .walked_regions import Neuron, Phases, WalkedRegion, key_of, named

__all__ = ["MOST", "flipped", "lone_faces", "neighbours", "variants"]

MOST = 64  # regions behind one face
ALIKE = 1e-9  # by how much, of their size, rows must differ at least to count as different; more than they round


def neighbours(network: Network, region: WalkedRegion, face: int) -> list[Phases] | None:
    """Phases of all regions that may lie across a face; None where they are too many."""
    crossed, away = region.neurons[face], -region.faces.normals[face]
    touched = _touched(region, face)
    candidates = [[p.copy() for p in region.phases]]
    if touched == [crossed]:
        return [flipped(network, region.phases, crossed)]
    for k in sorted({layer for layer, _ in touched}):
        mine = [i for layer, i in touched if layer == k]
        found: list[Phases] = []
        for phases in candidates:
            options = _options(network, phases, k, mine, away, crossed, set(region.unreached))
            found += variants(phases, k, mine, options, MOST - len(found))
            if len(found) >= MOST:
                return None
        candidates = found
    named_ones = [named(network, phases) for phases in candidates]
    distinct = {key_of(network, phases): phases for phases in named_ones}
    distinct.pop(key_of(network, region.phases), None)
    return list(distinct.values())


def flipped(network: Network, phases: Phases, neuron: Neuron) -> Phases:
    """The phases of what lies across a face that only this neuron touches."""
    other = [p.copy() for p in phases]
    other[neuron[0]][0, neuron[1]] ^= True
    return named(network, other)


def lone_faces(region: WalkedRegion) -> Array:
    """[faces] bool: those that only their own neuron touches, for sure."""
    alone = region.alike.sum(axis=1) == 1
    deepest = max((layer for layer, _ in region.unreached), default=-1)
    return np.asarray(alone & (np.array([layer for layer, _ in region.neurons], dtype=np.int64) >= deepest))


def variants(phases: Phases, k: int, neurons: list[int], options: list[tuple[bool, ...]], most: int) -> list[Phases]:
    """Phases with all combinations of the options of neurons of layer k, the first `most` of them."""
    found: list[Phases] = []
    for chosen in product(*options):
        if len(found) >= most:
            break
        other = [p.copy() for p in phases]
        other[k][0, neurons] = chosen
        found.append(other)
    return found


def _touched(region: WalkedRegion, face: int) -> list[Neuron]:
    """Neuron i of the face, all whose functions may be 0 all over it, and all that nothing reaches so far."""
    layer = region.neurons[face][0]
    unreached = [n for n in region.unreached if n[0] > layer]
    if region.alike[face].sum() == 1:
        return [region.neurons[face], *unreached]
    rows, root = region.faces, np.sqrt(region.faces.normals.shape[1])
    normal, value = rows.normals[face], float(rows.values[face])
    square = max(float(normal @ normal), TINY)
    share = rows.normals @ normal / square  # of row i in the others
    apart = at_most_norm(rows.normals - share[:, None] * normal, 2.0)
    # errors in the dual norm are at most root of the inputs' number times as long in l2
    unknown = 4.0 * root * (rows.normal_errors + np.abs(share) * rows.normal_errors[face])
    parallel = ~(apart > ALIKE * at_most_norm(rows.normals, 2.0) + unknown)
    blur = ALIKE * (np.abs(rows.values) + np.abs(share * value)) + unknown / np.sqrt(square) * abs(value)
    blur += 4.0 * (rows.value_errors + np.abs(share) * rows.value_errors[face])
    touching = parallel & ~(np.abs(rows.values - share * value) > blur)
    touching[face] = True
    return [region.neurons[i] for i in np.flatnonzero(touching)] + unreached


def _options(
    network: Network, phases: Phases, k: int, neurons: list[int], away: Array, crossed: Neuron, unreached: set[Neuron]
) -> list[tuple[bool, ...]]:
    """Phases that each of the neurons may have across the face, given those of the layers before."""
    rows = list(rows_of_layers(network, phases, k + 1))[-1].dense(1)[0][neurons]
    errors = magnitudes(network, phases, 2.0)[k][0, neurons]
    slopes = rows @ away
    unsure = ~(np.abs(slopes) > (errors + ALIKE * at_most_norm(rows, 2.0)) * float(at_most_norm(away, 2.0)))
    void = zero(network, phases)[k][0, neurons]
    options: list[tuple[bool, ...]] = []
    for i, slope, doubt, nothing in zip(neurons, slopes.tolist(), unsure.tolist(), void.tolist(), strict=True):
        new: tuple[bool, ...] = (False,) if nothing else (True, False) if doubt else (slope > 0.0,)
        old = bool(phases[k][0, i])
        certain = nothing or (k, i) == crossed or (k, i) in unreached
        same = True if certain else _same_hyperplane(network.layers, k, i, crossed)
        options.append(new if same else (old,) if same is False else tuple(dict.fromkeys((*new, old))))
    return options


def _same_hyperplane(layers: tuple[Layer, ...], k: int, i: int, crossed: Neuron) -> bool | None:
    """Whether two neurons that read the input alone have the same hyperplane, exactly; None for others."""
    first, second = _exact_row(layers[k], i), _exact_row(layers[crossed[0]], crossed[1])
    if first is None or second is None:
        return None
    pivot = next((j for j, g in enumerate(second) if g), None)
    if pivot is None:
        return None
    share = first[pivot] / second[pivot]
    return all(a == share * b for a, b in zip(first, second, strict=True))


def _exact_row(layer: Layer, neuron: int) -> list[Fraction] | None:
    """(weights, bias) of a neuron that reads the input alone and was read without rounding."""
    if layer.sources != (0,) or layer.roundings or layer.bias_error:
        return None
    weights = layer.weights[0]
    row = weights[[neuron]].toarray()[0] if is_sparse(weights) else weights[neuron]
    return [Fraction(float(g)) for g in (*row, layer.bias[neuron])]
