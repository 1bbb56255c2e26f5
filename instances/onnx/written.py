"""The ONNX nodes that an activation is written as: one operator where there is one, else a few.

    silu(z) = z Sigmoid(z),    gelu_s(z) = z (1 + Erf(z / s)) / 2,
    gelu_tanh_(a,c)(z) = z (1 + Tanh(a (z + c / a z^3))) / 2,
    step_0: Cast(z > 0),    step_1: Cast(z >= 0),    step_(1/2)(z) = (Sign(z) + 1) / 2
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from ..curves.names import curve_name

__all__ = ["LATER", "activation"]

LATER = {"hardswish": 14, "mish": 18, "gelu": 20, "gelu_tanh": 20}  # operator sets from which on they are there
OPERATORS = {
    "relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "arctan": "Atan", "softsign": "Softsign", "exp": "Exp",
    "softplus": "Softplus", "hardswish": "HardSwish", "erf": "Erf", "gelu": "Gelu", "gelu_tanh": "Gelu",
    "mish": "Mish", "sin": "Sin", "cos": "Cos", "sqrt": "Sqrt", "log": "Log", "reciprocal": "Reciprocal",
    "floor": "Floor", "round": "Round",
}  # fmt: skip
ATTRIBUTES = {  # family -> (operator, its attributes in the order of the name's parameters)
    "elu": ("Elu", ("alpha",)), "threshold": ("ThresholdedRelu", ("alpha",)), "shrink": ("Shrink", ("lambd", "bias")),
}  # fmt: skip
STEPS = {curve_name("step", 0.0): "Greater", curve_name("step", 1.0): "GreaterOrEqual"}


def activation(k: int, kind: str, read: str, output: str, tensors: list[Any], dtype: type[Any]) -> list[Any]:
    """Nodes that make the tensor `output` of layer k from the tensor `read`; `tensors` gets the constants.

    Raises ValueError for what ONNX has no operator for, and where it does not hold a parameter.
    """
    from onnx import helper

    family, *given = kind.split(":")
    if kind in OPERATORS:
        more = {"approximate": "tanh"} if kind == "gelu_tanh" else {}
        return [helper.make_node(OPERATORS[kind], [read], [output], name=f"{family}{k}", **more)]
    if family in ATTRIBUTES:
        operator, names = ATTRIBUTES[family]
        if dtype is np.float64 and any(float(np.float32(number)) != float(number) for number in given):
            kept = ", ".join(f"{name} = {number}" for name, number in zip(names, given, strict=True))
            raise ValueError(f"layer {k}: ONNX keeps {kept} in float32, which does not hold it")
        numbers: dict[str, Any] = dict(zip(names, map(float, given), strict=True))
        return [helper.make_node(operator, [read], [output], name=f"{family}{k}", **numbers)]
    return _Chain(k, family, output, tensors, dtype).nodes(kind, read, given)


class _Chain:
    """Several nodes behind one another, the last of which makes the output."""

    def __init__(self, k: int, family: str, output: str, tensors: list[Any], dtype: type[Any]) -> None:
        self.k, self.family, self.output, self.tensors, self.dtype = k, family, output, tensors, dtype
        self.made: list[Any] = []

    def nodes(self, kind: str, read: str, given: list[str]) -> list[Any]:
        """The nodes of a kind that is no single operator without constants."""
        from onnx import TensorProto

        if kind == "silu":
            self.then("Mul", read, self.then("Sigmoid", read))
        elif self.family == "gelu":
            self.gated(read, self.then("Erf", self.then("Div", read, self.number(float(given[0])))))
        elif self.family == "gelu_tanh":
            self.gated(read, self.then("Tanh", self.cubic(read, *map(float, given))))
        elif self.family == "power":
            self.then("Pow", read, self.number(float(given[0])))
        elif kind in STEPS:
            to = TensorProto.DOUBLE if self.dtype is np.float64 else TensorProto.FLOAT
            self.then("Cast", self.then(STEPS[kind], read, self.number(0.0)), to=to)
        elif kind == curve_name("step", 0.5):
            self.then("Mul", self.then("Add", self.then("Sign", read), self.number(1.0)), self.number(0.5))
        else:
            raise ValueError(f"layer {self.k}: ONNX has no operator for {kind}")
        self.made[-1].output[0] = self.output
        return self.made

    def gated(self, read: str, bent: str) -> None:
        """z (1 + bent) / 2."""
        gate = self.then("Add", bent, self.number(1.0))
        self.then("Mul", self.then("Mul", read, gate), self.number(0.5))

    def cubic(self, read: str, linear: float, cubic: float) -> str:
        """linear z + cubic z^3, factored where that is how the element type holds both numbers."""
        ratio, cube = float(self.dtype(cubic / linear)), self.then("Pow", read, self.number(3.0))
        if Fraction(linear) * Fraction(ratio) == Fraction(cubic):
            inner = self.then("Add", read, self.then("Mul", cube, self.number(ratio)))
            return self.then("Mul", inner, self.number(linear))
        if any(float(self.dtype(number)) != number for number in (linear, cubic)):
            raise ValueError(f"layer {self.k}: float32 does not hold {linear} and {cubic} of its {self.family}")
        return self.then("Add", self.then("Mul", read, self.number(linear)), self.then("Mul", cube, self.number(cubic)))

    def then(self, operator: str, *reads: str, **attributes: Any) -> str:
        """One more node; the name of what it makes."""
        from onnx import helper

        name = f"{self.family}{self.k}_{len(self.made)}"
        self.made.append(helper.make_node(operator, [*reads], [name], name=name, **attributes))
        return name

    def number(self, value: float) -> str:
        """A constant; its name."""
        from onnx import numpy_helper

        name = f"{self.family}{self.k}_c{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.array(value, dtype=self.dtype), name))
        return name
