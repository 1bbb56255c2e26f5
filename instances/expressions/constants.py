"""Arithmetic on constants: shapes computed in the graph, and weights that are scaled or shifted there.

Integers and truth values are exact. Floats are folded in float64 and carry the number of relative roundings
they have been through, so that the network still is the file's own real-valued one up to declared roundings.
What would lose that relative error (a difference of two rounded constants) is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from ..errors import NetworkError, UnsupportedOperatorError
from ..rounding import LEAST_PRODUCT, MOST_PRODUCT, UNIT
from .affine import check_size
from .element_types import FLOATS, INTEGERS, in_int64, narrows, type_name
from .node import Constant, Node

__all__ = ["FOLDED", "added", "divided", "multiplied", "negated"]

BOOL = 9  # of onnx.TensorProto
EXACT_IN_FLOAT = 2.0**24  # integers up to here are float32s

Fold = Callable[[Node], Constant]


def added(a: Constant, b: Constant) -> Constant:
    """a + b: one rounding more, as long as nothing rounded cancels."""
    if not (a.is_float or b.is_float):
        return in_int64(_integers(a) + _integers(b))
    x, y = _floats(a), _floats(b)
    if (a.roundings or b.roundings) and bool(np.any(np.sign(x) * np.sign(y) < 0.0)):
        raise UnsupportedOperatorError(
            "a difference of constants that are themselves rounded results of arithmetic"
        )
    exact = bool(np.all((x == 0.0) | (y == 0.0)))
    return Constant(x + y, max(a.roundings, b.roundings) + (0 if exact else 1), a.name)


def negated(a: Constant) -> Constant:
    """-a."""
    if not a.is_float:
        return in_int64(-_integers(a))
    return Constant(-a.array, a.roundings, a.name)


def multiplied(a: Constant, b: Constant) -> Constant:
    """a * b: one rounding more."""
    if not (a.is_float or b.is_float):
        return in_int64(_integers(a) * _integers(b))
    x, y = _floats(a), _floats(b)
    result = np.asarray(x * y)
    _relative(result[np.broadcast_to(x != 0.0, result.shape) & np.broadcast_to(y != 0.0, result.shape)])
    return Constant(result, a.roundings + b.roundings + 1, a.name)


def divided(a: Constant, b: Constant) -> Constant:
    """a / b: one rounding more, none where the result is an integer; integers are truncated, as ONNX does."""
    if not np.all(b.array):
        raise NetworkError("a division by zero")
    if not (a.is_float or b.is_float):
        m, n = _integers(a), _integers(b)
        quotient = np.asarray(abs(m) // abs(n), dtype=object)
        return in_int64(np.where((m < 0) ^ (n < 0), -quotient, quotient))
    x, y = _floats(a), _floats(b)
    result = np.asarray(x / y)
    _relative(result[np.broadcast_to(x != 0.0, result.shape)])
    whole = a.roundings == b.roundings == 0 and bool(
        np.all((np.rint(result) == result) & (np.fmod(x, y) == 0.0))
    )
    return Constant(result, 0 if whole else a.roundings + b.roundings + 1, a.name)


def _floats(a: Constant) -> Any:
    if a.array.dtype.kind == "b":
        raise NetworkError("arithmetic on truth values")
    return a.array.astype(np.float64)


def _integers(a: Constant) -> Any:
    """The entries as Python's integers, which do not overflow."""
    if a.array.dtype.kind == "b":
        raise NetworkError("arithmetic on truth values")
    return a.array.astype(object)


def _relative(values: Any) -> None:
    """Raise where a result's rounding may not be relative."""
    absolute = np.abs(values)
    if absolute.size and not (absolute.min() >= LEAST_PRODUCT and absolute.max() <= MOST_PRODUCT):
        raise NetworkError(f"constants out of float64's range: {absolute.min():g} to {absolute.max():g}")


def _shape(node: Node) -> Constant:
    dims = np.array(node.tensor(0).shape, dtype=np.int64)
    return Constant(dims[node.attributes.get("start", 0) : node.attributes.get("end")])


def _size(node: Node) -> Constant:
    return Constant(np.array(np.prod(node.tensor(0).shape, dtype=np.int64)))


def _constant_of_shape(node: Node) -> Constant:
    shape = [int(n) for n in node.constant(0).array.reshape(-1)]
    check_size(float(np.prod(shape, dtype=float)) if min(shape, default=0) >= 0 else -1.0)
    value = node.attributes.get("value")
    fill = np.zeros(1) if value is None else value.array
    return Constant(np.full(shape, fill.reshape(-1)[0], dtype=fill.dtype))


def _range(node: Node) -> Constant:
    start, limit, delta = (_unrounded(node, i).reshape(-1)[0] for i in range(3))
    if not float(delta):
        raise NetworkError("a range with steps of zero")
    check_size(max(0.0, np.ceil((float(limit) - float(start)) / float(delta))))
    if any(float(v) != np.rint(v) or abs(float(v)) > EXACT_IN_FLOAT for v in (start, limit, delta)):
        raise UnsupportedOperatorError("a range of floats that are no small integers, which would round")
    return Constant(np.arange(start, limit, delta))


def _cast(node: Node) -> Constant:
    """What the cast makes of a constant: rounded to the target type, truncated, or compared with zero."""
    a, source, target = node.constant(0), node.type(0), int(node.attributes["to"])
    if target in INTEGERS:
        return Constant(_truncated(_unrounded(node, 0), target))
    if target == BOOL:
        return Constant(_unrounded(node, 0).astype(bool))
    if target not in FLOATS:
        known = "supported are floats, integers and truth values"
        raise UnsupportedOperatorError(f"a cast to {type_name(target)}; {known}")
    from onnx import helper

    kind = np.dtype(helper.tensor_dtype_to_np_dtype(target))
    if not a.roundings:
        return Constant(a.array.astype(kind).astype(np.float64), 0, a.name)
    if source and not narrows(source, target):
        return a
    slack = (a.roundings + 2) * UNIT
    low, high = ((a.array * (1.0 + sign * slack)).astype(kind).astype(np.float64) for sign in (-1.0, 1.0))
    if not np.array_equal(low, high):
        raise UnsupportedOperatorError(
            f"a cast to {type_name(target)} of rounded results of arithmetic on constants, which may go either way"
        )
    return Constant(low, 0, a.name)


def _truncated(values: Any, target: int) -> Any:
    """Floats cut off to integers, integers wrapped around, as int64."""
    from onnx import helper

    kind = np.dtype(helper.tensor_dtype_to_np_dtype(target))
    if values.dtype.kind == "f":
        cut = np.trunc(values)
        bounds = np.iinfo(kind)
        if not bool(np.all((cut >= float(bounds.min)) & (cut < float(bounds.max) + 1.0))):
            raise UnsupportedOperatorError(f"a cast to {type_name(target)} of floats beyond that type")
        if cut.size and float(cut.max()) >= 2.0**63:
            raise NetworkError("a cast to integers beyond int64")
        return cut.astype(kind).astype(np.int64)
    wrapped = values.astype(kind)
    if kind.kind == "u" and wrapped.size and int(wrapped.max()) >= 2**63:
        raise NetworkError("a cast to integers beyond int64")
    return wrapped.astype(np.int64)


def _sqrt(node: Node) -> Constant:
    a = node.weights(0)
    if bool(np.any(a.array < 0.0)):
        raise NetworkError("a square root of a negative constant")
    return Constant(np.sqrt(_floats(a)), a.roundings + 1, a.name)


def _reciprocal(node: Node) -> Constant:
    a = node.constant(0)
    return divided(Constant(np.ones(a.shape)), a)


def _power(node: Node) -> Constant:
    a, exponent = node.constant(0), node.constant(1).array
    if not (a.is_float or exponent.dtype.kind == "f"):
        if bool(np.any(exponent < 0)) or bool(np.any(exponent > 64)):
            raise UnsupportedOperatorError("a power of integers; supported are the exponents 0 to 64")
        return in_int64(_integers(a) ** exponent.astype(object))
    if exponent.size != 1 or exponent.reshape(-1)[0] not in (1.0, 2.0):
        raise UnsupportedOperatorError("a power of constants; supported are the exponents 1 and 2")
    return a if exponent.reshape(-1)[0] == 1.0 else multiplied(a, a)


def _reduce_product(node: Node) -> Constant:
    a = node.constant(0)
    axes = node.integers("axes", 1)
    keep = node.flag("keepdims", True)
    if a.is_float:
        raise UnsupportedOperatorError("a product of float constants; supported are integers")
    return in_int64(np.prod(_integers(a), axis=None if not axes else tuple(axes), keepdims=keep))


def _modulo(node: Node) -> Constant:
    """The remainder: of the divisor's sign for integers, of the dividend's with the attribute fmod."""
    x, y = _unrounded(node, 0), _unrounded(node, 1)
    if not np.all(y):
        raise NetworkError("a division by zero")
    truncates = node.flag("fmod")
    if not truncates and (x.dtype.kind == "f" or y.dtype.kind == "f"):
        raise NetworkError("floats without fmod = 1, which ONNX demands for them")
    return Constant(np.asarray(np.fmod(x, y) if truncates else np.mod(x, y)))


def _unrounded(node: Node, i: int) -> Any:
    """Input i, which must be exact: a comparison or a rounding to integers of a rounded number is a guess."""
    a = node.constant(i)
    if a.roundings:
        raise UnsupportedOperatorError(
            f"its input {i} is a rounded result of arithmetic on constants; expected an exact one"
        )
    return a.array


def _exactly(function: Callable[..., Any]) -> Fold:
    """An operator whose result on exact constants is exact."""
    return lambda node: Constant(
        np.asarray(function(*(_unrounded(node, i) for i in range(len(node.inputs)))))
    )


def _one_hot(node: Node) -> Constant:
    """OneHot of exact indices; those beyond the depth give no hit."""
    index, depth = _unrounded(node, 0), int(_unrounded(node, 1).reshape(-1)[0])
    off, on = node.constant(2).array.reshape(-1)
    axis = int(node.attributes.get("axis", -1))
    check_size(float(index.size) * max(depth, 0))
    wrapped = np.where(index < 0, index + depth, index)
    hit = np.expand_dims(wrapped, axis) == np.arange(depth).reshape(
        [-1 if d == axis % (index.ndim + 1) else 1 for d in range(index.ndim + 1)]
    )
    return Constant(np.where(hit, on, off), node.constant(2).roundings)


def _eye_like(node: Node) -> Constant:
    a = node.constant(0)
    if len(a.shape) != 2:
        raise NetworkError(f"a matrix like one of shape {a.shape}")
    kind = int(node.attributes.get("dtype", 0)) or node.type(0)
    dtype = np.int64 if kind in INTEGERS else np.float64
    return Constant(np.eye(*a.shape, k=int(node.attributes.get("k", 0)), dtype=dtype))


def _arg_extremum(node: Node) -> Constant:
    """ArgMax, ArgMin: the first place of the extremum, or the last one."""
    a, axis = _unrounded(node, 0), int(node.attributes.get("axis", 0))
    values = np.flip(a, axis) if node.flag("select_last_index") else a
    place = (np.argmax if node.kind == "ArgMax" else np.argmin)(values, axis=axis, keepdims=True)
    if node.flag("select_last_index"):
        place = a.shape[axis] - 1 - place
    return Constant(place if node.flag("keepdims", True) else np.squeeze(place, axis))


def _reduced(function: Callable[..., Any]) -> Fold:
    """A maximum or minimum over axes."""

    def fold(node: Node) -> Constant:
        a, axes = _unrounded(node, 0), node.integers("axes", 1)
        if not axes and node.flag("noop_with_empty_axes"):
            return node.constant(0)
        keep = node.flag("keepdims", True)
        return Constant(np.asarray(function(a, axis=tuple(axes) if axes else None, keepdims=keep)))

    return fold


FOLDED: dict[str, Fold] = {
    "Abs": _exactly(np.abs),
    "ArgMax": _arg_extremum,
    "ArgMin": _arg_extremum,
    "And": _exactly(np.logical_and),
    "Ceil": _exactly(np.ceil),
    "ConstantOfShape": _constant_of_shape,
    "EyeLike": _eye_like,
    "Equal": _exactly(np.equal),
    "Floor": _exactly(np.floor),
    "Greater": _exactly(np.greater),
    "GreaterOrEqual": _exactly(np.greater_equal),
    "Less": _exactly(np.less),
    "LessOrEqual": _exactly(np.less_equal),
    "Max": _exactly(lambda *a: reduce(np.maximum, a)),
    "Min": _exactly(lambda *a: reduce(np.minimum, a)),
    "Mod": _modulo,
    "NonZero": _exactly(lambda a: np.stack(np.nonzero(np.atleast_1d(a)))),
    "Not": _exactly(np.logical_not),
    "OneHot": _one_hot,
    "Or": _exactly(np.logical_or),
    "Pow": _power,
    "Range": _range,
    "Reciprocal": _reciprocal,
    "ReduceMax": _reduced(np.max),
    "ReduceMin": _reduced(np.min),
    "ReduceProd": _reduce_product,
    "Round": _exactly(np.rint),
    "Sign": _exactly(np.sign),
    "Sqrt": _sqrt,
    "Where": _exactly(np.where),
}
SHAPES: dict[str, Fold] = {"Shape": _shape, "Size": _size}  # constant whatever they are given
CAST: Fold = _cast
