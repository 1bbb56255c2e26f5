"""Products of a number with its own gate, and of its own powers, as one curve, however exporters write them in nodes:

    z Sigmoid(z) = silu(z),    z (1 + Erf(z)) = 2 gelu_1(z),    z Tanh(Softplus(z)) = mish(z),    z step(z) = relu(z)
    z (1 + Tanh(a z + c z^3)) = 2 gelu_tanh_(a,c)(z),    z^m z^n = z^(m + n),    z (d + c z^n) = d z + c z^(n + 1)
    z / (1 + |z|) = softsign(z),    1 / Sqrt(z + d) = (z + d)^(-1/2),    Log(Sigmoid(z)) = -softplus(-z)

where the factors may be multiples of these, as in x (1 + Erf(x / sqrt 2)) / 2.
"""

from __future__ import annotations

from fractions import Fraction

from ..curves.gated import is_tanh_gate
from ..curves.names import MOST_POWER, curve_name
from ..expressions.affine import Builder, Expression
from ..expressions.origins import Origin
from ..rounding import LEAST_PRODUCT, MOST_PRODUCT

__all__ = ["inverse", "inverse_root", "logarithm", "one_curve", "softsign"]

INVERSE_ROOT = curve_name("power", -0.5)
ROOM = 2.0**-26  # z^(-1/2) is too steep below 2^-27, where a root and a reciprocal are not

MISH_GATE = "tanh of softplus"  # no layer's kind: mish(z) itself is no gate
# (kind of the gate, what is added to it) -> (the curve z times that sum is a multiple of, and which)
GATES: dict[tuple[str, float], tuple[str, float]] = {
    ("sigmoid", 0.0): ("silu", 1.0),
    ("erf", 1.0): (curve_name("gelu", 1.0), 2.0),
    (MISH_GATE, 0.0): ("mish", 1.0),
    **{(curve_name("step", at_jump), 0.0): ("relu", 1.0) for at_jump in (0.0, 0.5, 1.0)},
}


def one_curve(build: Builder, a: Expression, b: Expression) -> Expression | None:
    """a b, of one shape, as a curve of one number, or as a sum of two; None where it is known to be none."""
    for one, other in ((a, b), (b, a)):
        for way in (_gated, _cubic_gate, _powers, _distributed):
            if (found := way(build, one, other)) is not None:
                return found
    return None


def softsign(build: Builder, a: Expression, b: Expression) -> Expression | None:
    """a / b as a curve where it is z / (1 + |z|) or a multiple; None elsewhere."""
    above, moved = build.origins.of(a), build.origins.moved(b)
    sides = build.origins.sum(moved[0]) if moved and moved[1] == 1.0 and a.shape == b.shape else None
    if sides is None or above.ratio:
        return None
    twice, minus = map(build.origins.of, sides)  # |z| = 2 relu(z) - z
    made = build.origins.layer(twice.base)
    if made is None or made[1] != "relu" or (twice.factor, minus.factor) != (2.0, -1.0):
        return None
    within = build.origins.of(made[0])
    same = within.factor == 1.0 and not within.ratio and not within.roundings
    bases = {id(made[0]), id(within.base)} if same else {id(made[0])}
    if id(minus.base) not in bases or id(above.base) not in bases:
        return None
    if twice.ratio or minus.ratio or twice.roundings or minus.roundings:
        return None
    return _scaled(build, build.layer(made[0], "softsign"), 1.0, (above,))


def inverse(build: Builder, b: Expression) -> Expression:
    """1 / b, of a root of what is moved away from 0 as one curve."""
    made = build.origins.layer(b)
    if made is not None and made[1] == "sqrt":
        moved = build.origins.moved(made[0])
        return inverse_root(build, made[0], moved[1] if moved else 0.0)
    return build.layer(b, "reciprocal")


def inverse_root(build: Builder, z: Expression, least: float) -> Expression:
    """z^(-1/2); least: what z is thought to be at least, by which the form is chosen that is defined there."""
    if least >= ROOM:
        return build.layer(z, INVERSE_ROOT)
    return build.layer(build.layer(z, "sqrt"), "reciprocal")


def logarithm(build: Builder, z: Expression) -> Expression:
    """log z."""
    made = build.origins.layer(z)
    if made is not None and made[1] == "sigmoid":
        return build.scale(build.layer(build.scale(made[0], -1.0), "softplus"), -1.0)
    return build.layer(z, "log")


def _gated(build: Builder, gate: Expression, other: Expression) -> Expression | None:
    """The product where the first is a gate of what the second is a multiple of."""
    outer = build.origins.of(gate)
    made = build.origins.layer(outer.base)
    if made is None:
        return None
    argument, kind = made
    if kind == "tanh" and (inner := build.origins.layer(argument)) is not None and inner[1] == "softplus":
        argument, kind = inner[0], MISH_GATE
    if (kind, outer.ratio) not in GATES:
        return None
    within, beside = build.origins.of(argument), build.origins.of(other)
    if within.base is not beside.base or within.ratio or beside.ratio:
        return None
    curve, times = GATES[kind, outer.ratio]
    return _scaled(build, build.layer(argument, curve), times, (outer, beside), within)


def _cubic_gate(build: Builder, gate: Expression, other: Expression) -> Expression | None:
    """The product where the first is 1 + tanh(a z + c z^3) and the second z, or multiples of them."""
    outer, beside = build.origins.of(gate), build.origins.of(other)
    made = build.origins.layer(outer.base)
    if made is None or made[1] != "tanh" or outer.ratio != 1.0 or beside.ratio:
        return None
    whole = build.origins.of(made[0])
    sides = build.origins.sum(whole.base)
    if sides is None or whole.ratio or whole.roundings:
        return None
    degrees = {n: factor for side in sides for n, factor in [_monomial(build, side, beside.base)]}
    if degrees.keys() != {1, 3}:
        return None
    linear, cubic = (_exact(Fraction(whole.factor) * degrees[n]) for n in (1, 3))
    if linear is None or cubic is None or not is_tanh_gate(linear, cubic):
        return None
    return _scaled(build, build.layer(beside.base, curve_name("gelu_tanh", linear, cubic)), 2.0, (outer, beside))


def _powers(build: Builder, a: Expression, b: Expression) -> Expression | None:
    """The product of powers of one number."""
    one, two = build.origins.of(a), build.origins.of(b)
    if one.ratio or two.ratio:
        return None
    (base, m), (other, n) = (_power(build, side.base) for side in (one, two))
    if base is not other or m + n > MOST_POWER:
        return None
    return _scaled(build, build.layer(base, curve_name("power", m + n)), 1.0, (one, two))


def _distributed(build: Builder, a: Expression, b: Expression) -> Expression | None:
    """The product of a power of a number with a power of the same one plus a constant."""
    if (moved := build.origins.moved(a)) is None:
        return None
    given, number = moved
    first = _powers(build, given, b)
    return None if first is None else build.add(build.scale(b, number), first)


def _power(build: Builder, value: Expression) -> tuple[Expression, int]:
    """(base, n) of what is base^n."""
    made = build.origins.layer(value)
    family, _, exponent = made[1].partition(":") if made else ("", "", "")
    if made is None or family != "power" or not exponent.isdecimal():  # from 2 on, others have another domain
        return value, 1
    return made[0], int(exponent)


def _monomial(build: Builder, side: Expression, base: Expression) -> tuple[int, Fraction]:
    """(n, c) of what is exactly c base^n; n = 0 where it is not known to be."""
    origin = build.origins.of(side)
    inner, n = _power(build, origin.base)
    within = build.origins.of(inner) if n > 1 else Origin(inner)
    if within.base is not base or origin.ratio or within.ratio or origin.roundings or within.roundings:
        return 0, Fraction(0)
    return n, Fraction(origin.factor) * Fraction(within.factor) ** n


def _exact(number: Fraction) -> float | None:
    """The float that a number is, None where it is none."""
    try:
        return float(number) if Fraction(float(number)) == number else None
    except OverflowError:
        return None


def _scaled(
    build: Builder, curve: Expression, times: float, above: tuple[Origin, ...], below: Origin | None = None
) -> Expression | None:
    """times curve above / below, of the factors of these origins; None beyond the range of numbers."""
    factor, exact = times, Fraction(times)
    for origin in above:
        factor, exact = factor * origin.factor, exact * Fraction(origin.factor)
    if below is not None:
        factor, exact = factor / below.factor, exact / Fraction(below.factor)
    if not LEAST_PRODUCT <= abs(factor) <= MOST_PRODUCT:
        return None
    given = sum(origin.roundings for origin in (*above, *([below] if below else ())))
    # two products and a quotient round, and one more is for products of these errors
    return build.scale(curve, factor, given + 4 if given else 0 if exact == Fraction(factor) else 3)
