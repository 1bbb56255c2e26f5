"""Element types of an ONNX file's tensors, and where they make a node round, truncate or wrap.

The network that is read is real-valued: what a node of float32 or float64 tensors computes is taken without
its rounding. Three kinds of nodes are no such thing, and none of them may pass for exact arithmetic:

    a Cast to a narrower float        rounds by definition
    arithmetic in float16, bfloat16   rounds by up to 2^-11, 2^-8 of what it computes: far more than is meant
    arithmetic on integers            truncates quotients, wraps around where the type ends

The first two are read without their rounding, and `Network.unmodelled` says so: such a network serves to look
for counterexamples and proves nothing. The third is done exactly on constants and refused on all else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import NetworkError, UnsupportedOperatorError
from .affine import Expression
from .node import Constant, Value

__all__ = [
    "BOOL", "DOUBLE", "FLOAT", "FLOATS", "INTEGERS", "check_constant", "check_integers", "in_int64", "narrows",
    "result_type", "rounding", "type_name", "widens",
]  # fmt: skip

BOOL, INT64, FLOAT, UINT8, DOUBLE = 9, 7, 1, 2, 11  # of onnx.TensorProto, as below
# float, float16, double, bfloat16: binary digits, and the largest exponent
FLOATS = {1: (24, 127), 10: (11, 15), 11: (53, 1023), 16: (8, 127)}
HALVES = (10, 16)
INTEGERS = {2: 8, 3: 7, 4: 16, 5: 15, 6: 31, 7: 63, 12: 32, 13: 64}  # uint8, int8, ...: digits without the sign
UNSIGNED = (2, 4, 12, 13)

# operators that hand entries on as they are
MOVES = frozenset(
    "Compress Concat ConcatFromSequence DepthToSpace Dropout Expand Flatten Gather GatherElements GatherND Identity "
    "Pad Reshape ReverseSequence Scatter ScatterElements ScatterND SequenceAt SequenceConstruct SequenceEmpty "
    "SequenceErase SequenceInsert SequenceLength Slice SpaceToDepth Split SplitToSequence Squeeze Tile Transpose "
    "Trilu Unsqueeze Where".split()
)
# operators whose result is an entry of what they are given, or its negative: exact in every float type
CHOICES = frozenset("Abs Clip GlobalMaxPool Max MaxPool Min Neg ReduceMax ReduceMin Relu ThresholdedRelu".split())
# operators whose integer results on constants are computed exactly
ON_INTEGERS = frozenset("Add Cast CastLike Div Mul Neg Sub Sum".split())
# operators that read integers and write floats, exactly up to a declared rounding
FROM_INTEGERS = frozenset("Cast CastLike DequantizeLinear".split())
GIVE_INT64 = frozenset("ArgMax ArgMin NonZero SequenceLength Shape Size".split())
TRUTHS = frozenset("And Equal Greater GreaterOrEqual Less LessOrEqual Not Or".split())
LOGIC = frozenset("And Not Or".split())  # of truth values that depend on the input, which are 0 or 1


def type_name(kind: int) -> str:
    """The name of an element type: float, int64, ...

    >>> type_name(7), type_name(99)
    ('int64', 'unknown type 99')
    """
    from onnx import TensorProto

    known = TensorProto.DataType.values()
    return TensorProto.DataType.Name(kind).lower() if kind in known else f"unknown type {kind}"


def result_type(kind: str, proto: Any, types: Sequence[int], data: Sequence[int] = ()) -> int:
    """Element type of a node's (first) output.

    types: of its inputs, in their order; data: of those that depend on the network's input.
    """
    given = {a.name: a for a in proto.attribute}
    if kind == "Cast":
        return int(given["to"].i) if "to" in given else 0
    if kind == "CastLike":
        return types[1] if len(types) > 1 else 0
    if kind == "DequantizeLinear":
        return types[1] if len(types) > 1 else FLOAT
    if kind == "QuantizeLinear":
        stated = int(given["output_dtype"].i) if "output_dtype" in given else 0
        return stated or (types[2] if len(types) > 2 else UINT8)
    if kind == "OneHot":
        return types[2] if len(types) > 2 else 0
    if kind == "EyeLike" and "dtype" in given:
        return int(given["dtype"].i)
    if kind in ("Constant", "ConstantOfShape"):
        if "value" in given:
            return int(given["value"].t.data_type)
        return INT64 if "value_int" in given or "value_ints" in given else FLOAT
    if kind in GIVE_INT64:
        return INT64
    if kind in TRUTHS:
        return BOOL
    if kind == "Where":  # its condition may depend on the input, too
        types, data = types[1:], [t for t in data if t != BOOL]
    return next((t for t in (*data, *types) if t), 0)


def narrows(source: int, target: int) -> bool:
    """Whether a Cast to the float type `target` may change a number of type `source` (0: not known)."""
    digits, exponent = FLOATS[target]
    if source in INTEGERS:
        return INTEGERS[source] > min(digits, exponent)
    if source == BOOL:
        return False
    have_digits, have_exponent = FLOATS.get(source, FLOATS[11])
    return have_digits > digits or have_exponent > exponent


def widens(source: int, target: int) -> bool:
    """Whether the integer type `target` holds every number of the integer type `source`.

    >>> widens(2, 6), widens(7, 6), widens(3, 13)
    (True, False, False)
    """
    if source not in INTEGERS or target not in INTEGERS or INTEGERS[source] > INTEGERS[target]:
        return False
    return source in UNSIGNED or target not in UNSIGNED


def rounding(kind: str, source: int, target: int, outputs: Sequence[Value]) -> str:
    """What a node does to its float numbers beyond the rounding of float32, "" for nothing.

    source, target: element types of what it reads and writes; outputs: as they were read.
    """
    data = any(isinstance(out, Expression) for out in outputs)
    if kind in ("Cast", "CastLike"):
        # integers of the input become float32 up to a rounding like that of any sum: 2^-24 of the number
        coarse = data and target in FLOATS and narrows(source, target) and (source not in INTEGERS or target in HALVES)
        return f"rounds from {type_name(source)} to {type_name(target)}" if coarse else ""
    if target not in HALVES or kind in MOVES or kind in CHOICES:
        return ""
    folded = any(out.roundings for out in outputs if isinstance(out, Constant))
    return f"computes in {type_name(target)}, which rounds" if data or folded else ""


def check_integers(kind: str, types: Sequence[int], inputs: Sequence[Value | None]) -> None:
    """Raise UnsupportedOperatorError for a node that would compute with integers inexactly.

    types: element types of the inputs. Nodes that are folded as arithmetic on constants are not asked about.
    """
    if kind in MOVES or not types:
        return
    data = [t for t, given in zip(types, inputs, strict=True) if isinstance(given, Expression)]
    if not data and kind in ON_INTEGERS:
        return
    read = data[0] if data else types[0]
    if read == BOOL and kind in LOGIC:
        return
    if kind not in FROM_INTEGERS and (read in INTEGERS or read == BOOL):
        raise UnsupportedOperatorError(
            f"it computes in {type_name(read)}, where quotients are truncated and sums may wrap around; "
            "supported are floats, and integers that do not depend on the network's input"
        )


def check_constant(constant: Constant, kind: int) -> None:
    """Raise NetworkError where integers are beyond their element type, where the file's own arithmetic wraps."""
    if kind not in INTEGERS or constant.array.dtype.kind != "i" or not constant.array.size:
        return
    low = 0 if kind in UNSIGNED else -(2 ** INTEGERS[kind])
    if int(constant.array.min()) < low or int(constant.array.max()) >= 2 ** INTEGERS[kind]:
        raise NetworkError(f"arithmetic on integers that goes beyond {type_name(kind)}")


def in_int64(values: Any) -> Constant:
    """Integers, given as Python's own in an array. Raises NetworkError where int64 does not hold them."""
    exact = np.asarray(values, dtype=object)
    if exact.size and not (-(2**63) <= exact.min() and exact.max() < 2**63):
        raise NetworkError("arithmetic on integers that goes beyond int64")
    return Constant(exact.astype(np.int64))
