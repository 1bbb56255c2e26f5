"""A robustness certificate as a record, and its exact check: nothing of what made it is used.

The record holds a point u, its label k, a norm l_p, a radius r and the phases of all ReLUs at u. It says: every x with
||x - u||_p < r is answered k. The check derives the activation region of the phases from the network's weights in
integers (every float64 is one times a power of two), and holds, for each of its faces P_i x + q_i >= 0 and for each
decision function m_j = f_k - f_j on it,
    P_i u + q_i >= r ||P_i||_q,    m_j(u) >= r ||grad m_j||_q and m_j(u) > 0,    1/p + 1/q = 1,
so that the ball lies in the region and all margins are positive in it (Singla and Feizi 2019, Theorem 3). Norms in l2
are compared by their squares.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from ..errors import InputError
from ..network import Array, Layer, Network
from .exact_evaluation import scaled

__all__ = ["RegionCertificate"]

KIND = "simplex"
MOST_PRODUCTS = 2e8  # of integers in one check: minutes


@dataclass(frozen=True)
class RegionCertificate:
    """Every x nearer to `point` than `radius` in l_norm is answered `label`, as the ReLUs' phases there prove.

    Raises InputError where a field is not what is said below.
    """

    point: tuple[float, ...]  # [n], finite
    label: int
    norm: float  # 1, 2 or inf
    radius: float  # >= 0; inf for all x
    phases: tuple[tuple[bool, ...], ...]  # of each layer of ReLUs, in the network's order; True is active

    def __post_init__(self) -> None:
        numbers = (*self.point, self.radius)
        if any(isinstance(v, bool) or not isinstance(v, (int, float)) for v in numbers):
            raise InputError("certificate: point and radius, expected numbers")
        if not all(map(math.isfinite, self.point)) or not self.radius >= 0.0:
            raise InputError("certificate: expected a finite point and a radius of at least 0")
        if isinstance(self.label, bool) or not isinstance(self.label, int) or self.label < 0:
            raise InputError(f"certificate: label {self.label!r}, expected a class number")
        if self.norm not in (1, 2, math.inf):
            raise InputError(f"certificate: norm {self.norm!r}, expected 1, 2 or inf")
        if not all(isinstance(phase, bool) for layer in self.phases for phase in layer):
            raise InputError("certificate: phases, expected true and false")

    def to_json(self) -> str:
        """As text. Floats are written so that they are read as the same ones; infinity as the word "inf"."""
        told = asdict(self) | {"kind": KIND}
        told |= {name: "inf" for name in ("norm", "radius") if told[name] == math.inf}
        return json.dumps(told)

    @staticmethod
    def from_json(text: str) -> RegionCertificate:
        """What `to_json` wrote. Raises InputError for anything else."""
        try:
            told: dict[str, Any] = json.loads(text)
            if told.pop("kind") != KIND or set(told) != {"point", "label", "norm", "radius", "phases"}:
                raise InputError(f"certificate: expected one of kind {KIND!r} with the five fields of it")
            told |= {name: math.inf for name in ("norm", "radius") if told[name] == "inf"}
            told["point"], told["phases"] = tuple(told["point"]), tuple(map(tuple, told["phases"]))
            return RegionCertificate(**told)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"certificate: not a record of one: {error}") from error

    def fault(self, network: Network) -> str:
        """Why the certificate does not hold of the network, in exact arithmetic; "" where it does.

        Raises InputError where it is not about such a network at all: other sizes, an activation that is no ReLU,
        layers known up to rounding only, or too many products for exact arithmetic.
        """
        _suits(self, network)
        if self.radius == 0.0:
            return ""
        order = {1: math.inf, 2: 2}.get(self.norm, 1)  # type: ignore[call-overload]
        first, power = _inputs(self.point)
        functions, exponents, phases = [first], [power], iter(self.phases)
        for k, layer in enumerate(network.layers, start=1):
            function, exponent = _applied(layer, functions, exponents)
            if layer.kind == "relu":
                active = np.array(next(phases), dtype=bool)
                for i in range(layer.size):
                    row = function[i] if active[i] else -function[i]
                    if not _clears(row, order, self.radius):
                        return f"neuron {i} of layer {k} may change its phase within the radius"
                function = np.where(active[:, None], function, 0)
            functions.append(function)
            exponents.append(exponent)
        for j in range(network.output_size):
            margin = functions[-1][self.label] - functions[-1][j]
            if j != self.label and not (margin[-1] > 0 and _clears(margin, order, self.radius)):
                return f"class {j} may be answered within the radius"
        return ""


def _suits(certificate: RegionCertificate, network: Network) -> None:
    sizes = [layer.size for layer in network.layers if layer.kind == "relu"]
    if not network.piecewise_linear or any(k.roundings or k.bias_error for k in network.layers) or network.unmodelled:
        raise InputError("certificate: only networks of ReLUs that were read without rounding can be checked")
    if len(certificate.point) != network.input_size or [len(layer) for layer in certificate.phases] != sizes:
        raise InputError("certificate: of another network: numbers of inputs and of ReLUs differ")
    if not certificate.label < network.output_size:
        raise InputError(f"certificate: label {certificate.label}, the network has {network.output_size} outputs")
    weights = sum(w.shape[0] * w.shape[1] for layer in network.layers for w in layer.weights)
    if weights * network.input_size > MOST_PRODUCTS:
        raise InputError(f"certificate: {weights} weights of {network.input_size} inputs are too many to check exactly")


def _inputs(point: tuple[float, ...]) -> tuple[Array, int]:
    """The inputs as functions of the step from the point, [n, n + 1] integers (rows, value at the point)."""
    numbers, exponent = scaled(np.array(point, dtype=np.float64))
    shift = max(-exponent, 0)
    rows = np.zeros((len(point), len(point) + 1), dtype=object)
    rows[np.arange(len(point)), np.arange(len(point))] = 1 << max(exponent, 0)
    rows[:, -1] = numbers << shift
    return rows, max(exponent, 0)


def _applied(layer: Layer, functions: list[Array], exponents: list[int]) -> tuple[Array, int]:
    """The layer's pre-activations as functions of the step, over 2^exponent."""
    blocks = [w if isinstance(w, np.ndarray) else w.toarray() for w in layer.weights]
    whole, own = scaled(np.column_stack([*blocks, layer.bias]))
    finest = max([0, *(exponents[s] for s in layer.sources)])
    total = np.zeros((layer.size, functions[0].shape[1]), dtype=object)
    total[:, -1] = whole[:, -1] << finest
    start = 0
    for s in layer.sources:
        width = len(functions[s])
        total = total + whole[:, start : start + width] @ (functions[s] << (finest - exponents[s]))
        start += width
    return total, finest + own


def _clears(row: Array, order: float, radius: float) -> bool:
    """row's value >= radius ||normal||_order; the power of two that both sides are over does not matter."""
    *normal, value = row.tolist()
    if value < 0:
        return False
    if not any(normal):
        return True
    if radius == math.inf:
        return False
    reach = Fraction(radius)
    if order == 2:
        return value * value >= reach * reach * sum(g * g for g in normal)
    return value >= reach * (max(map(abs, normal)) if order == math.inf else sum(map(abs, normal)))
