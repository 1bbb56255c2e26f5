"""What a file says of a network that cannot be read: operators, inputs, outputs."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import NetworkError
from ..expressions.element_types import type_name
from ..files import read_model_bytes
from .messages import model_class
from .missing import kind_of
from .one_type import without_functions
from .stored import DAMAGE, line

__all__ = ["Outline", "outline"]


@dataclass(frozen=True)
class Outline:
    """The graph's own statements, which nothing has checked."""

    operators: dict[str, int]  # operator -> how many nodes, functions written out
    inputs: tuple[str, ...]  # name, type and shape, as text
    outputs: tuple[str, ...]
    opset: int


def outline(path: str | os.PathLike[str]) -> Outline:
    """Of an ONNX file, or `path`.gz. Raises InputError where there is none, NetworkError where it is not a model."""
    from google.protobuf.message import DecodeError

    try:
        model = without_functions(model_class().FromString(read_model_bytes(Path(path))))
        graph = model.graph
        stored = {t.name for t in graph.initializer}
        operators = Counter(kind_of(node) for node in graph.node)
        return Outline(
            dict(sorted(operators.items())),
            tuple(_told(v) for v in graph.input if v.name not in stored),
            tuple(_told(v) for v in graph.output),
            max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0),
        )
    except NetworkError:
        raise
    except (DecodeError, *DAMAGE) as error:
        raise NetworkError(f"{path}: not an ONNX model, or a truncated one ({line(error)})") from error


def _told(value: Any) -> str:
    tensor = value.type.tensor_type
    shape = ", ".join(str(d.dim_value) if d.dim_value > 0 else d.dim_param or "?" for d in tensor.shape.dim)
    return f"{value.name} {type_name(tensor.elem_type)} [{shape}]"
