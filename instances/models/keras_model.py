"""Keras models, through Keras's own ONNX export, for the backend that it runs on."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import NetworkError
from ..network import Array
from .exported import Exported, alone, given_shape, quiet, why

__all__ = ["onnx_of_keras"]


def onnx_of_keras(model: Any, input_shape: tuple[int, ...] | None = None) -> Exported:
    """The export of a Keras model with one input and one output.

    input_shape: of one call, batch axis of 1 included, for a model that does not tell the shape of its input.
    Raises NetworkError where that is not known, the model has several inputs or outputs, or Keras cannot export it.
    """
    name = f"keras {type(model).__name__}"
    shape = _shape(model, name) if input_shape is None else given_shape(input_shape)
    if isinstance(getattr(model, "outputs", None), list) and len(model.outputs) > 1:
        raise NetworkError(f"{name}: it has {len(model.outputs)} outputs, expected one; export it and choose")

    def run(x: Array) -> Array:
        return np.asarray(model.predict(x.reshape(shape).astype(np.float32), verbose=0), dtype=np.float64).ravel()

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        try:
            run(np.zeros(shape))  # Keras exports only what has been called
            with quiet():
                model.export(str(path), format="onnx", verbose=False, **_signature(shape, input_shape is not None))
        except Exception as error:  # of Keras, of its backend, or of the exporter
            raise NetworkError(f"{name}: Keras cannot export it as ONNX ({why(error)})") from error
        return Exported(alone(path.read_bytes(), name), run)


def _shape(model: Any, name: str) -> tuple[int, ...]:
    shape = getattr(model, "input_shape", None)
    if isinstance(shape, tuple) and all(isinstance(n, int) for n in shape[1:]):
        return (1, *shape[1:])
    raise NetworkError(
        f"{name}: its input has shape {shape}, expected one input with all axes but the first known; give them, batch "
        "axis included, e.g. input_shape=(1, 32, 32, 3)"
    )


def _signature(shape: tuple[int, ...], given: bool) -> dict[str, Any]:
    """What tells Keras of a shape that its model does not have."""
    from keras import InputSpec  # type: ignore[import-not-found]

    return {"input_signature": [InputSpec(shape=shape, dtype="float32")]} if given else {}
