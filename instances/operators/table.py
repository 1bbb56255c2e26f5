"""ONNX operators as affine expressions and layers: one function an operator, found by its name in OPERATORS.

What is folded on constants alone stands in FOLDED (constants.py); REFUSED says why operators that many networks have
are in neither table.
"""

from __future__ import annotations

from collections.abc import Callable

from ..errors import UnsupportedOperatorError
from ..expressions.constants import FOLDED, SHAPES
from ..expressions.element_types import check_integers
from ..expressions.node import Constant, Node, Tensor, Value
from ..nonlinear.curves import celu, curve_layer, elu, gelu, selu, swish
from ..nonlinear.jumps import compare, logic, shrink, sign, thresholded, whole
from . import sequences
from .activations import absolute, activation, clip, hard_sigmoid, leaky_relu, parametric_relu
from .arithmetic import (
    add,
    cast,
    dequantize,
    divide,
    dropout,
    identity,
    mean,
    multiply,
    negate,
    power,
    quantize,
    subtract,
)
from .einsum import cumulative_sum, einsum
from .indices import (
    compress,
    gather,
    gather_elements,
    gather_nd,
    reverse_sequence,
    scatter_elements,
    scatter_nd,
    triangle,
    where,
)
from .learned import linear_classifier, linear_regressor, normalizer, scaler
from .linear import average_pool, batch_normalization, conv, gemm, global_average_pool, matmul, reduce
from .maxima import extremum, global_max_pool, max_pool, reduce_extremum
from .moves import concat, cut, expand, flatten, pad, reshape, split, squeeze, tile, transpose, unsqueeze
from .normalised import (
    group_normalization,
    instance_normalization,
    layer_normalization,
    local_response,
    mean_variance,
    p_normalization,
)
from .recurrent import gru, lstm, rnn
from .resize import depth_to_space, resize, space_to_depth
from .softmax import softmax
from .transposed import conv_transpose

__all__ = ["OPERATORS", "run", "shortcoming"]

Operator = Callable[[Node], Value | list[Tensor] | list[Value]]


def run(node: Node) -> list[Value]:
    """Outputs of a node.

    Raises NetworkError, UnsupportedOperatorError, or what numpy raises where shapes do not fit.
    """
    constant = all(t is None or isinstance(t, Constant) for t in node.inputs)
    if node.kind in SHAPES:
        return [SHAPES[node.kind](node)]
    if constant and node.kind in FOLDED:
        return [FOLDED[node.kind](node)]
    if constant and node.kind == "QuantizeLinear":
        return [quantize(node)]
    if node.kind not in OPERATORS:
        raise UnsupportedOperatorError(f"the operator {node.kind} is {shortcoming(node.kind, constant)}")
    check_integers(node.kind, node.types, node.inputs)
    result = OPERATORS[node.kind](node)
    return [*result] if isinstance(result, list) else [result]


def shortcoming(kind: str, constant: bool) -> str:
    """Why an operator cannot be read, "" where it can; constant: nothing that it reads depends on the input."""
    on_constants = kind in FOLDED or kind == "QuantizeLinear"
    if kind in OPERATORS or kind in SHAPES or kind == "Constant" or (constant and on_constants):
        return ""
    why = f" ({REFUSED[kind]})" if kind in REFUSED else ""
    return f"supported on constants alone{why}" if on_constants else f"not supported{why}"


OPERATORS: dict[str, Operator] = {
    "Abs": absolute,
    "Add": add,
    "And": logic,
    "Atan": curve_layer,
    "AveragePool": average_pool,
    "BatchNormalization": batch_normalization,
    "Cast": cast,
    "CastLike": cast,
    "Ceil": whole,
    "Celu": celu,
    "Clip": clip,
    "Compress": compress,
    "Concat": concat,
    "ConcatFromSequence": sequences.concatenated,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Cos": curve_layer,
    "CumSum": cumulative_sum,
    "DepthToSpace": depth_to_space,
    "DequantizeLinear": dequantize,
    "Div": divide,
    "Dropout": dropout,
    "Einsum": einsum,
    "Elu": elu,
    "Erf": curve_layer,
    "Exp": curve_layer,
    "Expand": expand,
    "Flatten": flatten,
    "Floor": whole,
    "GRU": gru,
    "Gather": gather,
    "GatherElements": gather_elements,
    "GatherND": gather_nd,
    "Gelu": gelu,
    "Gemm": gemm,
    "GlobalAveragePool": global_average_pool,
    "GlobalMaxPool": global_max_pool,
    "Greater": compare,
    "GreaterOrEqual": compare,
    "GroupNormalization": group_normalization,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": curve_layer,
    "Identity": identity,
    "InstanceNormalization": instance_normalization,
    "LRN": local_response,
    "LSTM": lstm,
    "LayerNormalization": layer_normalization,
    "LeakyRelu": leaky_relu,
    "Less": compare,
    "LessOrEqual": compare,
    "Log": curve_layer,
    "LogSoftmax": softmax,
    "LpNormalization": p_normalization,
    "MatMul": matmul,
    "Max": extremum,
    "MaxPool": max_pool,
    "Mean": mean,
    "MeanVarianceNormalization": mean_variance,
    "Min": extremum,
    "Mish": curve_layer,
    "Mul": multiply,
    "Neg": negate,
    "Not": logic,
    "Or": logic,
    "PRelu": parametric_relu,
    "Pad": pad,
    "Pow": power,
    "RMSNormalization": layer_normalization,
    "RNN": rnn,
    "Reciprocal": curve_layer,
    "ReduceL1": reduce,
    "ReduceL2": reduce,
    "ReduceLogSum": reduce,
    "ReduceLogSumExp": reduce,
    "ReduceMax": reduce_extremum,
    "ReduceMean": reduce,
    "ReduceMin": reduce_extremum,
    "ReduceProd": reduce,
    "ReduceSum": reduce,
    "ReduceSumSquare": reduce,
    "Relu": activation,
    "Reshape": reshape,
    "Resize": resize,
    "ReverseSequence": reverse_sequence,
    "Round": whole,
    "Scatter": scatter_elements,
    "ScatterElements": scatter_elements,
    "ScatterND": scatter_nd,
    "Selu": selu,
    "SequenceAt": sequences.at,
    "SequenceConstruct": sequences.construct,
    "SequenceEmpty": sequences.empty,
    "SequenceErase": sequences.erase,
    "SequenceInsert": sequences.insert,
    "SequenceLength": sequences.length,
    "Shrink": shrink,
    "Sigmoid": activation,
    "Sign": sign,
    "Sin": curve_layer,
    "Slice": cut,
    "Softmax": softmax,
    "Softplus": curve_layer,
    "Softsign": curve_layer,
    "SpaceToDepth": space_to_depth,
    "Split": split,
    "SplitToSequence": sequences.split_up,
    "Sqrt": curve_layer,
    "Squeeze": squeeze,
    "Sub": subtract,
    "Sum": add,
    "Swish": swish,
    "Tanh": activation,
    "ThresholdedRelu": thresholded,
    "Tile": tile,
    "Transpose": transpose,
    "Trilu": triangle,
    "Unsqueeze": unsqueeze,
    "Upsample": resize,
    "Where": where,
    "ai.onnx.ml.LinearClassifier": linear_classifier,
    "ai.onnx.ml.LinearRegressor": linear_regressor,
    "ai.onnx.ml.Normalizer": normalizer,
    "ai.onnx.ml.Scaler": scaler,
}

_JUMPS = "it jumps, and no sum of ReLUs does"
_CURVED = "no relaxation of this function is known here"
_STEPS = "trees are steps of the input, and no sum of ReLUs is"
_LOOPS = "loops are not followed; export the model with its loops written out"
REFUSED: dict[str, str] = {
    **dict.fromkeys(("ArgMax", "ArgMin", "Hardmax"), _JUMPS),
    "Equal": "what holds at single numbers only is not bounded",
    **dict.fromkeys(("DynamicQuantizeLinear", "MatMulInteger", "QLinearConv", "QuantizeLinear"), _JUMPS),
    "Tan": _CURVED,
    **dict.fromkeys(("Loop", "Scan"), _LOOPS),
    **dict.fromkeys((f"ai.onnx.ml.TreeEnsemble{kind}" for kind in ("", "Classifier", "Regressor")), _STEPS),
}  # fmt: skip
