"""PyTorch modules, through PyTorch's own ONNX export of a copy in evaluation mode on the processor."""

from __future__ import annotations

import copy
import io
from importlib import import_module
from typing import Any

import numpy as np

from ..errors import NetworkError
from ..network import Array
from .exported import Exported, alone, given_shape, quiet, why

__all__ = ["onnx_of_module"]


def onnx_of_module(module: Any, input_shape: tuple[int, ...] | None = None) -> Exported:
    """The module's export for one input; the module itself stays as it is.

    input_shape: of one call, batch axis of 1 included; without it (1, in_features) where the first layer is linear.
    Raises NetworkError where the shape is not known or does not fit, the module does not return one tensor, or
    PyTorch cannot export it.
    """
    torch: Any = import_module("torch")

    shape, name = _shape(module, input_shape), f"torch {type(module).__name__}"
    model = copy.deepcopy(module).to("cpu").eval().requires_grad_(False)
    kinds = [p.dtype for p in model.parameters() if p.is_floating_point()]
    example = torch.zeros(shape, dtype=kinds[0] if kinds else torch.float32)

    def run(x: Array) -> Array:
        with torch.no_grad():
            found = model(torch.as_tensor(np.asarray(x).reshape(shape), dtype=example.dtype))
        return found.numpy().astype(np.float64).ravel()

    try:
        with torch.no_grad():
            output = model(example)
    except Exception as error:  # whatever the user's own code raises
        raise NetworkError(f"{name}: cannot be called with an input of shape {shape} ({why(error)})") from error
    if not isinstance(output, torch.Tensor):
        raise NetworkError(f"{name}: it returns {type(output).__name__}, expected one tensor")
    file = io.BytesIO()
    try:
        with quiet():
            _export(model, example, file)
    except Exception as error:  # the exporter's errors share no base class
        raise NetworkError(f"{name}: PyTorch cannot export it as ONNX ({why(error)})") from error
    return Exported(alone(file.getvalue(), name), run)


def _export(model: Any, example: Any, file: io.BytesIO) -> None:
    """By the exporter that traces graphs; by the older one where its library `onnxscript` is missing."""
    torch: Any = import_module("torch")

    try:
        program = torch.onnx.export(model, (example,), verbose=False, dynamo=True)
        file.write(program.model_proto.SerializeToString())
    except ImportError:
        torch.onnx.export(model, (example,), file, dynamo=False)


def _shape(module: Any, given: tuple[int, ...] | None) -> tuple[int, ...]:
    torch: Any = import_module("torch")

    if given is not None:
        return given_shape(given)
    first: Any = next((m for m in module.modules() if any(True for _ in m.parameters(recurse=False))), None)
    if isinstance(first, torch.nn.Linear):
        return 1, first.in_features
    raise NetworkError(
        f"torch {type(module).__name__}: a module does not tell the shape of its input; give it, batch axis included, "
        "e.g. input_shape=(1, 3, 32, 32)"
    )
