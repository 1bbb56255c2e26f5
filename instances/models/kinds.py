"""Model objects as networks: what kind an object is, told by its classes alone, and the file that reads that kind.

No framework is imported to find out: a class says in which module it was defined, and whoever has an object of a
framework has imported it. What a framework's model becomes is an ONNX model in memory, which is read and replayed as
a file would be, so all that is said of files holds.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import NetworkError
from ..network import Network
from ..readout import more_than_order

if TYPE_CHECKING:
    from ..property import Property
    from .exported import Exported

__all__ = ["Model", "asked_of", "load_model"]

EXPECTED = (
    "a path, ONNX bytes or ModelProto, a Network, a PyTorch module, a Keras model, a scikit-learn MLP or Pipeline, "
    "or a list of (weights, biases)"
)


class Model(NamedTuple):
    """A network and the ONNX model that it was read from, on which counterexamples are replayed."""

    network: Network  # its `source` is the path of the file that was read, "" for every other kind
    content: bytes | None = None  # the ONNX model; None for a file's path and for plain arrays


def load_model(model: Any, input_shape: tuple[int, ...] | None = None) -> Model:
    """The network that a model holds, ready to be asked any number of questions.

    model: path of an ONNX file (or of it with `.gz`), ONNX bytes, ModelProto, Network, PyTorch module, Keras model,
    scikit-learn MLPClassifier, MLPRegressor or Pipeline, list of (weights [out, in], biases [out]) with ReLUs
    between, or a Model; input_shape: of one call, batch axis of 1 included, for a PyTorch module that does not begin
    with a linear layer, and a Keras model that does not tell its own.

    Raises NetworkError where it is none of these, is not fitted, or cannot be exported; else as `read_network`.

    >>> load_model([([[1, -1]], [0]), ([[2]], [1])]).network.evaluate([3.0, 1.0])
    array([5.])
    """
    if input_shape is not None and _family(model) not in ("torch", "keras"):
        raise NetworkError(f"input_shape {input_shape}: of a PyTorch module or Keras model, others have their own")
    if isinstance(model, Model):
        return model
    if isinstance(model, Network):
        return Model(model)
    if isinstance(model, (str, os.PathLike)):
        from ..onnx.reader import read_network

        return Model(read_network(Path(model)))
    if isinstance(model, (bytes, bytearray)):
        return _from_onnx(bytes(model), "ONNX bytes")
    if isinstance(model, (list, tuple)):
        from .arrays import network_of_arrays

        return Model(network_of_arrays(model))
    return _of_framework(model, input_shape)


def asked_of(model: Model, prop: Property, inputs: Sequence[str] = (), outputs: Sequence[str] = ()) -> Model:
    """The same model with a last softmax computed, where it was read from an ONNX model and a property asks for more
    than the order of its outputs; else itself.

    inputs, outputs: as the model was read with, see `read_network`.
    """
    from ..onnx.reader import network_from_bytes, read_network

    if more_than_order(model.network.readout, prop) is None:
        return model
    if model.content is not None:
        network = network_from_bytes(model.content, "ONNX model", inputs, outputs, probabilities=True)
        return Model(replace(network, source=""), model.content)
    if model.network.source:
        return Model(read_network(model.network.source, inputs, outputs, probabilities=True))
    return model


def _of_framework(model: Any, input_shape: tuple[int, ...] | None) -> Model:
    family, name = _family(model), type(model).__name__
    if family == "onnx":
        return _from_onnx(model.SerializeToString(), "ONNX model")
    if family == "sklearn":
        from .scikit_learn import onnx_of_estimator

        return _from_onnx(onnx_of_estimator(model), f"scikit-learn {name}")
    if family == "torch":
        from .torch_module import onnx_of_module

        return _from_export(onnx_of_module(model, input_shape), f"torch {name}")
    if family == "keras":
        from .keras_model import onnx_of_keras

        return _from_export(onnx_of_keras(model, input_shape), f"keras {name}")
    raise NetworkError(f"a model of type {type(model).__module__}.{name}, expected {EXPECTED}")


def _from_onnx(content: bytes, name: str) -> Model:
    return _held(_network(content, name), content)


def _from_export(exported: Exported, name: str) -> Model:
    from .exported import agreeing

    network = _network(exported.content, name)
    agreeing(network, exported)
    return _held(network, exported.content)


def _network(content: bytes, name: str) -> Network:
    from ..onnx.reader import network_from_bytes

    return network_from_bytes(content, name)


def _held(network: Network, content: bytes) -> Model:
    """The name was for messages of the reading: `source` is where others look for a file."""
    return Model(replace(network, source=""), content)


def _family(model: Any) -> str:
    """The library that defines what the object is, by its classes; "" for none that is known."""
    homes = {(kind.__module__.split(".")[0], kind.__name__) for kind in type(model).__mro__}
    known = (  # Keras before PyTorch: on its torch backend a Keras model is a PyTorch module, too
        ("keras", ("keras", "Model")), ("torch", ("torch", "Module")), ("sklearn", ("sklearn", "BaseEstimator")),
        ("onnx", ("onnx", "ModelProto")),
    )  # fmt: skip
    return next((family for family, home in known if home in homes), "")
