"""Keras models, through Keras's own ONNX export, for the backend that it runs on."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import NetworkError
from ..network import Array
from .exported import Exported, quiet, why

__all__ = ["onnx_of_keras"]


def onnx_of_keras(model: Any) -> Exported:
    """The export of a Keras model with one input of known shape, batch axis aside, and one output.

    Raises NetworkError where it is not built, has several inputs or outputs, or Keras cannot export it.
    """
    name, shape = f"keras {type(model).__name__}", getattr(model, "input_shape", None)
    if not isinstance(shape, tuple) or not all(isinstance(n, int) for n in shape[1:]):
        raise NetworkError(f"{name}: its input has shape {shape}, expected one input with all axes but the first known")
    shape = (1, *shape[1:])

    def run(x: Array) -> Array:
        return np.asarray(model.predict(x.reshape(shape).astype(np.float32), verbose=0), dtype=np.float64).ravel()

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        try:
            run(np.zeros(shape))  # Keras exports only what has been called
            with quiet():
                model.export(str(path), format="onnx", verbose=False)
        except Exception as error:  # of Keras, of its backend, or of the exporter
            raise NetworkError(f"{name}: Keras cannot export it as ONNX ({why(error)})") from error
        return Exported(path.read_bytes(), run)
