"""Inputs and outputs of a graph: which there are, in the order of the file, and which of them count."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

import numpy as np

from ..errors import NetworkError
from ..expressions.affine import check_size
from ..expressions.element_types import INTEGERS, type_name
from ..network import Port

__all__ = ["chosen_inputs", "chosen_outputs"]

FLOATS = (1, 10, 11)  # float, float16, double in onnx.TensorProto


def chosen_inputs(graph: Any, stored: Container[str], wanted: Sequence[str]) -> tuple[list[Port], list[Port]]:
    """(the inputs that count, those that do not), each in the order of the file.

    Raises NetworkError where there is none, for a name that is no input's, and for inputs of other types or shapes.
    """
    declared = [i for i in graph.input if i.name not in stored]
    _check_names([i.name for i in declared], wanted, "input")
    if not declared:
        raise NetworkError("no inputs that are not weights, expected at least one")
    chosen = [_port(i) for i in declared if not wanted or i.name in wanted]
    check_size(float(sum(p.size for p in chosen)))
    return chosen, [Port(i.name, (), 0) for i in declared if wanted and i.name not in wanted]


def chosen_outputs(graph: Any, wanted: Sequence[str]) -> list[str]:
    """Names of the outputs that count, in the order of the file. Raises NetworkError as `chosen_inputs`."""
    declared = [o.name for o in graph.output]
    _check_names(declared, wanted, "output")
    if not declared:
        raise NetworkError("no outputs, expected at least one")
    return [name for name in declared if not wanted or name in wanted]


def _check_names(declared: Sequence[str], wanted: Sequence[str], what: str) -> None:
    for name in wanted:
        if name not in declared:
            raise NetworkError(f"it has no {what} {name!r}; there are {', '.join(declared) or 'none'}")
    if len(set(declared)) < len(declared):
        raise NetworkError(f"two {what}s of one name among {', '.join(declared)}")


def _port(value: Any) -> Port:
    name, tensor = value.name, value.type.tensor_type
    if tensor.elem_type not in (*FLOATS, *INTEGERS):
        raise NetworkError(
            f"its input {name!r} has element type {type_name(tensor.elem_type)}, "
            "expected float, double, float16 or integers"
        )
    if not tensor.HasField("shape"):
        raise NetworkError(f"its input {name!r} declares no shape; only the batch size may be unknown")
    dims = [d.dim_value for d in tensor.shape.dim]
    if any(n <= 0 for n in dims[1:]):
        known = "only the batch size may be unknown, and none may be 0"
        raise NetworkError(f"its input {name!r} has shape {_shown(tensor)}; {known}")
    shape = tuple(n if n > 0 else 1 for n in dims)
    check_size(float(np.prod(shape, dtype=float)))
    return Port(name, shape, int(tensor.elem_type))


def _shown(tensor: Any) -> str:
    return "x".join(str(d.dim_value) if d.HasField("dim_value") else d.dim_param or "?" for d in tensor.shape.dim)
