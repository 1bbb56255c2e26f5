"""A case for each form of an operator in the operator sets 7 to 23: a node on the input x, alone or between layers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from onnx import helper
from onnx_models import model, weight, whole

ALL = (7, 9, 11, 13, 18, 21)


def single(value: float) -> np.ndarray:
    """A float32 scalar."""
    return np.array(value, dtype=np.float32)


def floats(*values: float) -> np.ndarray:
    """A float32 vector."""
    return np.array(values, dtype=np.float32)


class Case(NamedTuple):
    """One node on the input x; `weights` are its other inputs, `swap` puts x behind them."""

    kind: str
    shape: tuple[int, ...]
    weights: tuple[Any, ...] = ()
    attributes: dict[str, Any] = {}
    opsets: tuple[int, ...] = ALL
    swap: bool = False
    outputs: int = 1
    order: tuple[int, ...] = ()  # of x (0) and the weights (1, ...) among the inputs; swap: behind them
    flat: bool = False  # x loses its first axis beforehand


OLD, NEW = (7, 9), (13, 18, 21)
UP_TO_12, FROM_13 = (7, 9, 11), (13, 18, 21)

CASES = [
    Case("Gemm", (1, 4), (weight(4, 3), weight(3))),
    Case("Gemm", (1, 4), (weight(3, 4), weight(1, 3)), {"transB": 1, "alpha": 0.7, "beta": -1.3}),
    Case("Gemm", (4, 2), (weight(4, 3), weight(2, 1)), {"transA": 1, "beta": 2.0}),
    Case("Gemm", (4, 2), (weight(3, 4),), {}, (11, 13), swap=True),
    Case("MatMul", (1, 4), (weight(4, 3),)),
    Case("MatMul", (4,), (weight(4, 3),)),
    Case("MatMul", (3, 4), (weight(4),)),
    Case("MatMul", (2, 3, 4), (weight(4, 5),)),
    Case("MatMul", (1, 2, 3, 4), (weight(2, 4, 5),)),
    Case("MatMul", (3, 4), (weight(2, 4, 5),)),
    Case("MatMul", (4, 3), (weight(2, 4),), swap=True),
    Case("MatMul", (2, 4, 3), (weight(2, 5, 4),), swap=True),
    Case("MatMul", (4, 3), (weight(4),), swap=True),
    Case("MatMul", (4,), (weight(3, 4),), swap=True),
    Case("Add", (1, 3, 2), (weight(3, 1),)),
    Case("Add", (3, 1), (weight(2, 3, 4),), swap=True),
    Case("Sub", (1, 3, 2), (weight(3, 2),)),
    Case("Sub", (1, 3, 2), (weight(2),), swap=True),
    Case("Mul", (1, 3, 2), (weight(3, 1),)),
    Case("Mul", (3, 1), (weight(2, 1, 4),), swap=True),
    Case("Div", (1, 3, 2), (weight(3, 1) + 3,)),
    Case("Div", (3, 1), (weight(2, 1, 4) - 5,)),
    Case("Neg", (1, 5)),
    Case("Abs", (1, 5)),
    Case("Sum", (1, 5), (weight(1, 5), weight(5)), {}, (9, 13)),
    Case("Max", (1, 5), (weight(1, 5), weight(1)), {}, (9, 13)),
    Case("Min", (1, 5), (weight(5),), {}, (9, 13)),
    Case("Conv", (1, 2, 5, 6), (weight(3, 2, 3, 2), weight(3)), {"pads": [1, 0, 2, 1], "strides": [2, 1]}),
    Case("Conv", (1, 4, 7, 7), (weight(6, 2, 3, 3), weight(6)), {"group": 2, "dilations": [2, 1]}),
    Case("Conv", (1, 4, 5, 5), (weight(4, 1, 2, 2),), {"group": 4}),
    Case("Conv", (2, 3, 9), (weight(2, 3, 4), weight(2)), {"strides": [3], "pads": [2, 1]}),
    Case("Conv", (1, 1, 3, 4, 3), (weight(2, 1, 2, 2, 2),), {"kernel_shape": [2, 2, 2]}),
    Case("Conv", (1, 2, 6, 5), (weight(3, 2, 3, 4),), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    Case("Conv", (1, 2, 6, 5), (weight(3, 2, 3, 4),), {"auto_pad": "SAME_LOWER", "strides": [2, 3]}),
    Case("Conv", (1, 2, 6, 5), (weight(3, 2, 3, 4),), {"auto_pad": "VALID"}),
    Case(
        "BatchNormalization", (1, 3, 2, 2), (weight(3), weight(3), weight(3), weight(3) ** 2), {"epsilon": 1e-3},
    ),
    Case("BatchNormalization", (1, 4), (weight(4), weight(4), weight(4), weight(4) ** 2 + 1)),
    Case("AveragePool", (1, 2, 5, 6), (), {"kernel_shape": [2, 3], "strides": [2, 2], "pads": [1, 1, 0, 1]}),
    Case(
        "AveragePool", (1, 2, 5, 6), (), {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1},
    ),
    Case("AveragePool", (2, 2, 7), (), {"kernel_shape": [3], "strides": [2]}),
    Case(
        "AveragePool", (1, 2, 5, 6), (), {"kernel_shape": [2, 3], "auto_pad": "SAME_UPPER", "strides": [2, 2]},
    ),
    Case(
        "AveragePool", (1, 1, 6, 6), (), {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}, (11, 13, 18),
    ),
    Case(
        "AveragePool", (1, 1, 6, 6), (),
        {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1, "pads": [1, 1, 1, 1]}, (11, 13, 18),
    ),
    Case("AveragePool", (1, 1, 7, 7), (), {"kernel_shape": [2, 2], "dilations": [2, 3]}, (21,)),
    Case("GlobalAveragePool", (1, 3, 4, 2)),
    Case("MaxPool", (1, 2, 6, 4), (), {"kernel_shape": [2, 2], "strides": [2, 2]}),
    Case("MaxPool", (1, 2, 5, 6), (), {"kernel_shape": [3, 2], "pads": [1, 0, 1, 1]}),
    Case("MaxPool", (2, 1, 7), (), {"kernel_shape": [3], "strides": [2], "ceil_mode": 1}, (11, 13)),
    Case(
        "MaxPool", (1, 1, 6, 6), (),
        {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1, "pads": [1, 1, 1, 1]}, (11, 22),
    ),
    Case(
        "AveragePool", (1, 1, 6), (),
        {"kernel_shape": [3], "strides": [3], "ceil_mode": 1, "pads": [1, 1], "count_include_pad": 1}, (11, 19, 22),
    ),
    Case("MaxPool", (1, 1, 8), (), {"kernel_shape": [3], "dilations": [2]}, (11, 13)),
    Case("MaxPool", (1, 1, 5, 5), (), {"kernel_shape": [2, 2], "auto_pad": "SAME_LOWER", "strides": [2, 2]}),
    Case("Pad", (1, 2, 3), (), {"pads": [0, 1, 2, 0, 0, 1], "value": 0.5}, OLD),
    Case("Pad", (1, 2, 3), (whole(0, 1, 2, 0, 0, 1), single(-2.5)), {}, (11, 13, 18)),
    Case("Pad", (1, 2, 5), (whole(0, 0, -1, 0, 1, -2),), {}, (11, 13)),
    Case("Pad", (1, 2, 5), (whole(2, 1), single(1), whole(-1)), {}, (18, 21)),
    Case("Pad", (1, 2, 5), (whole(0, 1, 2, 0, 1, 1),), {"mode": "reflect"}, (11, 13)),
    Case("Pad", (1, 2, 5), (whole(0, 1, 2, 0, 1, 1),), {"mode": "edge"}, (11, 13)),
    Case("Flatten", (2, 3, 4)),
    Case("Flatten", (2, 3, 4), (), {"axis": 0}),
    Case("Flatten", (2, 3, 4), (), {"axis": -1}, (11, 13)),
    Case("Reshape", (2, 3, 4), (whole(0, -1),)),
    Case("Reshape", (2, 3, 4), (whole(4, 3, 2),)),
    Case("Transpose", (2, 3, 4), (), {"perm": [2, 0, 1]}),
    Case("Transpose", (2, 3, 4)),
    Case("Squeeze", (1, 3, 1), (), {"axes": [0]}, UP_TO_12),
    Case("Squeeze", (1, 3, 1), (whole(-1),), {}, FROM_13),
    Case("Squeeze", (1, 3, 1)),
    Case("Unsqueeze", (2, 3), (), {"axes": [0, 3]}, UP_TO_12),
    Case("Unsqueeze", (2, 3), (whole(-1, 0),), {}, FROM_13),
    Case("Concat", (2, 3), (weight(2, 1), weight(2, 2)), {"axis": 1}),
    Case("Concat", (2, 3), (weight(1, 3),), {"axis": -2}, (11, 13), swap=True),
    Case("Slice", (4, 5), (), {"starts": [1, -3], "ends": [3, 2**40], "axes": [0, 1]}, OLD),
    Case("Slice", (4, 5), (), {"starts": [1], "ends": [3]}, OLD),
    Case("Slice", (4, 5), (whole(-1, 1), whole(-(2**40), 5), whole(0, 1), whole(-2, 3)), {}, (11, 13)),
    Case("Slice", (4, 5), (whole(3), whole(0), whole(1), whole(-1)), {}, (11, 13)),
    Case("Slice", (4, 5), (whole(4, 9), whole(-3, -9), whole(-2, -1), whole(-1, -1)), {}, (11, 13)),
    Case("Slice", (4, 5), (whole(-9), whole(-20), whole(0), whole(-1)), {}, (11, 13)),
    Case("Slice", (4, 5), (whole(0, 1), whole(2, -1)), {}, (11, 13)),
    Case("Gather", (3, 4), (np.array([[2, 0], [-1, 0]]),), {"axis": 1}, (11, 13)),
    Case("Gather", (3, 4), (np.array(1),), {"axis": 0}),
    Case("Split", (2, 6), (), {"axis": 1, "split": [1, 5]}, UP_TO_12, outputs=2),
    Case("Split", (2, 6), (whole(2, 4),), {"axis": -1}, FROM_13, outputs=2),
    Case("Split", (2, 6), (), {"axis": 1}, UP_TO_12, outputs=3),
    Case("Split", (2, 7), (), {"axis": 1, "num_outputs": 3}, (18, 21), outputs=3),
    Case("Identity", (2, 3)),
    Case("Dropout", (2, 3), (), {"ratio": 0.4}, UP_TO_12),
    Case("Dropout", (2, 3), (single(0.4), np.array(False)), {}, FROM_13),
    Case("Cast", (2, 3), (), {"to": 1}),
    Case("Expand", (3, 1), (whole(2, 1, 4),), {}, (9, 13)),
    Case("Tile", (2, 3), (whole(2, 2),), {}, (7, 13)),
    Case("Relu", (1, 6)),
    Case("LeakyRelu", (1, 6), (), {"alpha": 0.1}),
    Case("LeakyRelu", (1, 6)),
    Case("PRelu", (1, 3, 2), (weight(3, 1),)),
    Case("Clip", (1, 6), (), {"min": -0.5, "max": 0.75}, OLD),
    Case("Clip", (1, 6), (), {"max": 0.75}, OLD),
    Case("Clip", (1, 6), (single(0), single(6)), {}, (11, 13, 18)),
    Case("Clip", (1, 6), (single(-0.3),), {}, (11, 13)),
    Case("Clip", (1, 6), (None, single(0.3)), {}, (11, 13)),
    Case("Clip", (1, 6), (single(-3.4028235e38), single(np.inf)), {}, (13,)),
    Case("ReduceSum", (2, 3, 4), (), {"axes": [1, -1]}, UP_TO_12),
    Case("ReduceSum", (2, 3, 4), (whole(0),), {"keepdims": 0}, FROM_13),
    Case("ReduceSum", (2, 3, 4)),
    Case("ReduceSum", (2, 3), (whole(),), {"noop_with_empty_axes": 1}, (13,)),
    Case("ReduceMean", (2, 3, 4), (), {"axes": [1], "keepdims": 0}, (7, 11, 13)),
    Case("ReduceMean", (2, 3, 4), (whole(-1, 0),), {}, (18, 21)),
    Case("ReduceL1", (2, 3, 4), (), {"axes": [1]}, (7, 13)),
    Case("ReduceL2", (2, 3, 4), (), {"axes": [1]}, (7, 13)),
    Case("ReduceLogSumExp", (2, 3, 4), (), {"axes": [0, 2]}, (7, 13)),
    Case("ReduceLogSumExp", (2, 5), (whole(1),), {"keepdims": 0}, (18,)),
    Case("ReduceLogSumExp", (2, 3), (whole(),), {"noop_with_empty_axes": 1}, (18,)),
    Case("ReduceMax", (2, 3, 4), (), {"axes": [1, -1]}, (9, 11, 13)),
    Case("ReduceMax", (2, 3, 4), (whole(0),), {"keepdims": 0}, (18, 20)),
    Case("ReduceMax", (2, 3), (whole(),), {"noop_with_empty_axes": 1}, (18,)),
    Case("ReduceMin", (2, 5), (), {}, (11, 13)),
    Case("ReduceMin", (2, 5, 1), (whole(1),), {"keepdims": 0}, (18,)),
    Case("GlobalMaxPool", (1, 2, 3, 3)),
    Case("GlobalMaxPool", (2, 3, 5)),
    Case("HardSigmoid", (1, 6)),
    Case("HardSigmoid", (1, 6), (), {"alpha": 0.7, "beta": -0.1}),
    Case("ThresholdedRelu", (1, 6), (), {"alpha": 0.0}, (10, 13)),
    Case("Shrink", (1, 9), (), {"lambd": 0.5, "bias": 0.5}, (9, 13)),
    Case("ThresholdedRelu", (1, 6), (), {"alpha": 0.5}, (10, 13)),
    Case("Shrink", (1, 9), (), {"lambd": 0.25, "bias": 0.0}, (9, 13)),
    Case("Mean", (1, 5), (weight(1, 5), weight(2, 1)), {}, (9, 13)),
    Case("Mean", (1, 5)),
    Case("Pow", (1, 5), (single(1.0),), {}, (7, 13)),
    Case("Pow", (1, 5), (single(2.0),), {}, (7, 13)),
    Case("Pow", (2, 3), (floats(3.0, 3.0, 3.0),), {}, (12, 15)),
    Case("ReduceProd", (2, 3), (), {"axes": [1]}, (7, 13)),
    Case("ReduceProd", (2, 5, 1), (whole(0, 1),), {"keepdims": 0}, (18,)),
    Case("ReduceProd", (2, 1), (whole(-1),), {}, (18,)),
    Case("ReduceSumSquare", (2, 3), (), {"axes": [1]}, (7, 13)),
    Case("Elu", (1, 6)),
    Case("Elu", (1, 6), (), {"alpha": 1.7}),
    Case("Selu", (1, 6)),
    Case("Celu", (1, 6), (), {"alpha": 0.6}, (12, 18)),
    Case("Atan", (1, 6)),
    Case("Exp", (1, 6)),
    Case("Softplus", (1, 6)),
    Case("Softsign", (1, 6)),
    Case("HardSwish", (1, 8), (), {}, (14, 18)),
    Case("Erf", (1, 6), (), {}, (9, 13)),
    Case("Gelu", (1, 6), (), {}, (20,)),
    Case("Gelu", (1, 6), (), {"approximate": "tanh"}, (20,)),
    Case("Mish", (1, 6), (), {}, (18,)),
    Case("Sin", (1, 6)),
    Case("Cos", (1, 6)),
    Case("Sign", (1, 6), (), {}, (9, 13)),
    Case("Floor", (1, 6)),
    Case("Ceil", (1, 6)),
    Case("Round", (1, 6), (), {}, (11,)),
    Case("CastLike", (1, 5), (single(0),), {}, (15, 21)),
    Case("Where", (2, 3), (np.array([[True, False, True]]), weight(3)), {}, (9, 16), order=(1, 0, 2)),
    Case("Where", (2, 1), (np.array([[True, False, True]]), weight(2, 3)), {}, (9,), order=(1, 2, 0)),
    Case("Trilu", (3, 4), (np.array(1),), {}, (14, 21)),
    Case("Trilu", (2, 3, 3), (np.array(-1),), {"upper": 0}, (14,)),
    Case("CumSum", (3, 4), (np.array(1),), {}, (11, 14)),
    Case("CumSum", (3, 4), (np.array(-2),), {"reverse": 1, "exclusive": 1}, (11, 14)),
    Case("Compress", (3, 4), (np.array([True, False, True]),), {"axis": 1}, (9, 11)),
    Case("Compress", (3, 2), (np.array([False, True, True, False, True]),), {}, (11,)),
    Case("ReverseSequence", (4, 3, 2), (whole(2, 4, 1),), {}, (10,)),
    Case("ReverseSequence", (3, 4), (whole(2, 4, 1),), {"time_axis": 1, "batch_axis": 0}, (10,)),
    Case("GatherElements", (3, 4), (np.array([[0, -1], [2, 1]]),), {"axis": 0}, (11, 13)),
    Case("GatherElements", (3, 4), (np.array([[0, -1, 3]]),), {"axis": -1}, (11, 13)),
    Case("GatherND", (3, 4), (np.array([[0, -1], [2, 1]]),), {}, (11, 13)),
    Case("GatherND", (3, 4, 2), (np.array([[[2], [1]]]),), {}, (11, 13)),
    Case("GatherND", (2, 3, 4), (np.array([[1], [0]]),), {"batch_dims": 1}, (12, 13)),
    Case("ScatterElements", (3, 4), (np.array([[0, 2], [1, 0]]), weight(2, 2)), {"axis": 1}, (11, 13, 18)),
    Case("ScatterElements", (3, 4), (np.array([[0, 2]]), weight(1, 2)), {"reduction": "add"}, (16, 18)),
    Case("Scatter", (3, 4), (np.array([[0, -1]]), weight(1, 2)), {}, (9, 10)),
    Case("ScatterND", (4, 3), (np.array([[2], [-4]]), weight(2, 3)), {}, (11, 13, 18)),
    Case("ScatterND", (1, 2), (weight(4, 3), np.array([[2, 0], [1, 1]])), {}, (11, 16), order=(1, 2, 0), flat=True),
    Case("Einsum", (2, 3), (weight(3, 4),), {"equation": "ij,jk->ik"}, (12, 13)),
    Case("Einsum", (2, 3), (weight(4, 2),), {"equation": "ab,bc"}, (12,), swap=True),
    Case("Einsum", (2, 3, 4), (weight(5, 4, 3),), {"equation": "bij,hji->bh"}, (12,)),
    Case("Einsum", (2, 3, 4), (weight(4, 5),), {"equation": "...i,ij->...j"}, (12,)),
    Case("Einsum", (2, 3), (weight(4),), {"equation": "ij,k->kji"}, (12,)),
    Case("Einsum", (3, 3), (), {"equation": "ii->i"}, (12,)),
    Case("Einsum", (3, 4), (), {"equation": "ij->j"}, (12,)),
    Case("ConvTranspose", (1, 2, 3, 4), (weight(2, 3, 3, 2), weight(3)), {"strides": [2, 1], "pads": [1, 0, 0, 1]}),
    Case("ConvTranspose", (2, 4, 3), (weight(4, 2, 3),), {"group": 2, "strides": [3], "output_padding": [1]}),
    Case("ConvTranspose", (1, 2, 4, 4), (weight(2, 1, 2, 2),), {"dilations": [2, 3]}),
    Case("ConvTranspose", (1, 1, 3, 3), (weight(1, 2, 3, 3),), {"strides": [3, 2], "output_shape": [10, 8]}),
    Case("ConvTranspose", (1, 1, 3, 3), (weight(1, 2, 3, 4),), {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
    Case("ConvTranspose", (1, 1, 3, 3), (weight(1, 2, 3, 4),), {"strides": [2, 2], "auto_pad": "SAME_LOWER"}),
    Case("ConvTranspose", (1, 1, 3), (weight(1, 2, 2),), {"strides": [3]}),
    Case("DepthToSpace", (1, 8, 2, 3), (), {"blocksize": 2}),
    Case("DepthToSpace", (1, 8, 2, 3), (), {"blocksize": 2, "mode": "CRD"}, (11, 13)),
    Case("SpaceToDepth", (1, 2, 4, 6), (), {"blocksize": 2}),
    Case("Upsample", (1, 2, 3, 2), (), {"scales": [1.0, 1.0, 2.0, 3.0]}, (7,)),
    Case("Upsample", (1, 2, 3, 2), (floats(1, 1, 2, 2),), {"mode": "linear"}, (9,)),
    Case("Resize", (1, 2, 3, 2), (floats(1, 1, 2, 2),), {}, (10,)),
    Case("Resize", (1, 1, 4, 6), (floats(), floats(1, 1, 0.5, 2)), {}, (11, 13, 18)),
    Case("Resize", (1, 1, 4, 6), (floats(), floats(1, 1, 0.75, 1.5)), {"mode": "linear"}, (11, 13, 18)),
    Case("Resize", (1, 1, 4, 5), (None, None, whole(1, 1, 7, 3)), {"mode": "linear"}, (13, 19)),
    Case(
        "Resize", (1, 1, 4, 5), (None, None, whole(1, 1, 7, 3)),
        {"mode": "linear", "coordinate_transformation_mode": "align_corners"}, (13,),
    ),
    Case(
        "Resize", (1, 1, 4, 5), (None, None, whole(1, 1, 8, 10)),
        {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}, (13,),
    ),
    Case(
        "Resize", (1, 1, 4, 5), (floats(), floats(1, 1, 2, 1.3)),
        {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "ceil"}, (13,),
    ),
    Case(
        "Resize", (1, 1, 4, 5), (floats(), floats(1, 1, 2, 0.5)),
        {"mode": "cubic", "coordinate_transformation_mode": "pytorch_half_pixel"}, (13,),
    ),
    Case("Resize", (1, 1, 4, 5), (floats(), floats(1, 1, 2, 2)), {"mode": "cubic", "exclude_outside": 1}, (13,)),
    Case("LayerNormalization", (2, 3, 4), (weight(4), weight(4)), {}, (17, 21)),
    Case("LayerNormalization", (2, 3, 4), (weight(3, 4),), {"axis": 1, "epsilon": 0.5}, (17,)),
    Case("InstanceNormalization", (2, 3, 4), (weight(3), weight(3)), {}, (7, 21)),
    Case("GroupNormalization", (2, 4, 3), (weight(4), weight(4)), {"num_groups": 2}, (21,)),
    Case("GroupNormalization", (1, 4, 2, 2), (weight(2), weight(2)), {"num_groups": 2, "epsilon": 0.1}, (18,)),
    Case("RMSNormalization", (2, 3, 4), (weight(4),), {}, (23,)),
    Case("MeanVarianceNormalization", (2, 3, 2, 2), (), {}, (9, 13)),
    Case("MeanVarianceNormalization", (2, 3, 4), (), {"axes": [-1]}, (13,)),
    Case("LpNormalization", (2, 3, 4), (), {"axis": 1}, (7, 22)),
    Case("LpNormalization", (2, 5), (), {"p": 1}, (7,)),
    Case("LRN", (1, 5, 2, 2), (), {"size": 3, "alpha": 0.7}, (7, 13)),
    Case("LRN", (2, 4, 3, 1), (), {"size": 5, "beta": 0.5, "bias": 2.0, "alpha": 0.3}, (13,)),
    Case("RNN", (3, 1, 2), (weight(1, 3, 2), weight(1, 3, 3), weight(1, 6)), {"hidden_size": 3}, (7, 14, 22)),
    Case("GRU", (2, 2, 2), (weight(1, 6, 2), weight(1, 6, 2)), {"hidden_size": 2}, (7, 14, 22)),
    Case("LSTM", (2, 1, 2), (weight(2, 8, 2), weight(2, 8, 2), weight(2, 16)),
         {"hidden_size": 2, "direction": "bidirectional"}, (7, 14, 22)),
    Case("Sigmoid", (1, 6)),
    Case("Tanh", (1, 6)),
]  # fmt: skip


def build(case: Case, opset: int, around: bool):
    """The case's node alone, or between an affine map with a ReLU and a ReLU with an affine map."""
    weights = {f"w{i}": w for i, w in enumerate(case.weights) if w is not None}
    names = ["" if w is None else f"w{i}" for i, w in enumerate(case.weights)]
    start = "x"
    before = []
    if around:
        weights |= {"scale": weight(*case.shape), "offset": weight(*case.shape)}
        before = [
            helper.make_node("Mul", ["x", "scale"], ["x1"]),
            helper.make_node("Relu", ["x1"], ["x2"]),
            helper.make_node("Add", ["x2", "offset"], ["x3"]),
        ]
        start = "x3"
    if case.flat:
        before.append(helper.make_node("Flatten", [start], ["x4"], axis=0))
        weights["first"] = whole(-1)
        before.append(helper.make_node("Reshape", ["x4", "first"], ["x5"]))
        start = "x5"
    inputs = [*names, start] if case.swap else [start, *names]
    if case.order:
        inputs = [inputs[i] for i in case.order]
    outputs = ["y"] if case.outputs == 1 else [f"y{i}" for i in range(case.outputs)]
    nodes = [*before, helper.make_node(case.kind, inputs, outputs, name="tested", **case.attributes)]
    if case.outputs > 1:
        nodes.append(helper.make_node("Concat", outputs[::-1], ["y"], axis=case.attributes.get("axis", 0)))
    if around:
        nodes += [helper.make_node("Relu", ["y"], ["relu"]), helper.make_node("Sub", ["y", "relu"], ["z"])]
    return model(nodes, case.shape, weights, opset)
