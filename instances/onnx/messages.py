"""The class of ONNX models without the rest of the onnx package.

`import onnx` brings a checker, shape inference and several text formats along, a quarter of the time of an easy query.
The generated module of its messages needs protobuf alone. It is run here by itself and not entered in `sys.modules`, so
that a later `import onnx` finds everything as it expects it. protobuf's own runtime (upb) has one class a message,
whoever asks, so models of both origins are the same; another runtime, or another layout of the package, gets all of it.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from types import ModuleType
from typing import Any

__all__ = ["model_class"]

_MESSAGES = "onnx.onnx_ml_pb2"


@cache
def model_class() -> Any:
    """onnx.ModelProto.

    >>> import onnx
    >>> model_class() is onnx.ModelProto
    True
    """
    module = None if "onnx" in sys.modules else _messages()
    if module is not None and hasattr(module, "ModelProto"):
        return module.ModelProto
    from onnx import ModelProto

    return ModelProto


def _messages() -> ModuleType | None:
    """The module of the messages, run on its own; None where that is not for us to do."""
    from google.protobuf.internal import api_implementation

    package = PathFinder.find_spec("onnx")
    if api_implementation.Type() != "upb" or package is None or package.submodule_search_locations is None:
        return None
    spec = PathFinder.find_spec(_MESSAGES, package.submodule_search_locations)
    if spec is None or spec.loader is None:
        return None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
