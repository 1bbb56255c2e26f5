"""What a framework exported, held against the framework: an export that baked in one branch must not be asked about."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from ..checks import whole_number
from ..errors import NetworkError
from ..network import Array, Network
from ..onnx.messages import model_class

__all__ = ["Exported", "agreeing", "alone", "given_shape", "quiet", "why"]

POINTS = 4  # random inputs that both are run on
RELATIVE, ABSOLUTE = 1e-3, 1e-4  # far above float32's rounding in sums of thousands, far below another function


@dataclass(frozen=True, eq=False)
class Exported:
    """An ONNX model and the function that it was made of."""

    content: bytes
    run: Callable[[Array], Array]  # one flat input [n] float64 -> flat outputs [m], by the framework itself


def agreeing(network: Network, exported: Exported) -> None:
    """Raise NetworkError where the network that was read is not what the framework computes, at some random inputs."""
    rng = np.random.default_rng(0)
    for x in rng.standard_normal((POINTS, network.input_size)):
        given, read = exported.run(x), network.evaluate(x)
        if network.readout:
            read = network.readout.of(read[None])[0]
        scale = ABSOLUTE * max(1.0, float(np.abs(read).max()))
        if given.shape != read.shape or not np.allclose(given, read, rtol=RELATIVE, atol=scale):
            raise NetworkError(
                f"{network.source}: its ONNX export computes something else than the model itself "
                f"(outputs {_shown(read)} in the place of {_shown(given)}); does it branch on its input, or draw at "
                "random?"
            )


def alone(content: bytes, name: str) -> bytes:
    """The same export. Raises NetworkError where it has other inputs than the model's one: values of the model that
    the exporter left out, as tf2onnx does with constants of Keras's Normalization.
    """
    graph = model_class().FromString(content).graph
    names = [port.name for port in graph.input if port.name not in {tensor.name for tensor in graph.initializer}]
    if len(names) != 1:
        told = ", ".join(map(repr, names))
        raise NetworkError(
            f"{name}: its ONNX export has {len(names)} inputs, expected one: {told}; the exporter has left values of "
            "the model out"
        )
    return content


def given_shape(given: object) -> tuple[int, ...]:
    """The shape of one call, batch axis included. Raises NetworkError where it is none."""
    if not isinstance(given, (tuple, list)):
        raise NetworkError(f"input_shape {given!r}, expected a tuple, batch axis included")
    for size in given:
        whole_number(size, 1, f"input_shape {tuple(given)}", NetworkError)
    return tuple(int(size) for size in given)


def why(error: BaseException) -> str:
    """The first line of what a framework's error was caused by: exporters wrap it in advice of many lines."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@contextmanager
def quiet() -> Iterator[None]:
    """Exporters' warnings and log lines about themselves are not the user's."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def _shown(values: Array) -> str:
    return "[" + ", ".join(f"{v:.6g}" for v in values[:4]) + (", ...]" if len(values) > 4 else "]")
